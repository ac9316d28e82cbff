//! Observations in the formats of other scanners.

use std::io::{self, Write};

use kenshin_observation::{Check, Observation};

use crate::format::Format;
use crate::zmap::Fields;
use crate::{masscan, nmap, zgrab2, zmap};

/// Writes rows in one format, as they come, holding what it knows of one host at most.
///
/// Rows of a host must follow each other, as they do in the order of the lake, to stand in one
/// object or element; otherwise a host has several. Credential checks are never written: few may
/// see them.
pub struct Export<'a> {
    rows: Box<dyn Rows + Send + 'a>,
}

/// A format that rows are written in.
pub(crate) trait Rows {
    /// Writes a row, or holds it until its host is complete.
    fn row(&mut self, row: &Observation) -> io::Result<()>;

    /// Writes what is held and what ends the file.
    fn finish(&mut self) -> io::Result<()>;
}

impl<'a> Export<'a> {
    /// A file of `format` in `to`; `fields` are those of ZMap's formats.
    pub fn new(format: Format, to: impl Write + Send + 'a, fields: Fields) -> Self {
        let rows: Box<dyn Rows + Send + 'a> = match format {
            Format::ZmapCsv | Format::ZmapJson => Box::new(zmap::Writer::new(format, to, fields)),
            Format::MasscanJson | Format::MasscanList => Box::new(masscan::Writer::new(format, to)),
            Format::Zgrab2 => Box::new(zgrab2::Writer::new(to)),
            Format::NmapXml => Box::new(nmap::Writer::new(to)),
        };
        Self { rows }
    }

    /// Writes a row.
    pub fn row(&mut self, row: &Observation) -> io::Result<()> {
        if row.check == Check::CredentialCheck {
            return Ok(());
        }
        self.rows.row(row)
    }

    /// Ends the file.
    pub fn finish(mut self) -> io::Result<()> {
        self.rows.finish()
    }
}

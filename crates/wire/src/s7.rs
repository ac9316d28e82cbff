//! Siemens S7 communication over ISO transport (as Wireshark's dissector documents it): connection,
//! setup, and two system status lists that say what the module is. Nothing is read from or written to
//! a program or its data.

use crate::Answer;
use crate::charset;
use crate::reader::Reader;
use crate::tpkt;

/// Ends of the connection that answer on most controllers: slot 2 of rack 0, then slot 0.
pub const DESTINATIONS: [u16; 2] = [0x0102, 0x0200];

/// Module identification: order number and versions.
pub const MODULE: u16 = 0x0011;

/// Component identification: names and serial number.
pub const COMPONENT: u16 = 0x001c;

/// Most records of a list that are looked at.
const RECORDS_MAX: u16 = 64;

const PROTOCOL: u8 = 0x32;
const JOB: u8 = 1;
const ANSWER: u8 = 3;
const USER_DATA: u8 = 7;

/// Connection request to one of [`DESTINATIONS`].
pub fn connect(destination: u16) -> Vec<u8> {
    // Class 0, units of 1024 bytes, from a programming device.
    let mut header = vec![0xe0, 0, 0, 0, 1, 0, 0xc0, 1, 10, 0xc1, 2, 1, 0, 0xc2, 2];
    header.extend_from_slice(&destination.to_be_bytes());
    tpkt::packet(&header, &[])
}

/// Reads the connection confirm at the start of `bytes`, and how many bytes it took.
pub fn connected(bytes: &[u8]) -> Answer<usize> {
    tpkt::unit(bytes).read(|(unit, len)| {
        // A server of another protocol would not name its ends.
        let names_ends = unit.parameters.windows(2).any(|pair| matches!(pair, [0xc1 | 0xc2, 1..=32]));
        (unit.kind == tpkt::CONFIRM && names_ends).then_some(len)
    })
}

/// Setup of communication: one job at a time, units of 480 bytes.
pub fn setup() -> Vec<u8> {
    data(JOB, 1, &[0xf0, 0, 0, 1, 0, 1, 0x01, 0xe0], &[])
}

/// Reads the answer to [`setup`] at the start of `bytes`, and how many bytes it took.
pub fn set_up(bytes: &[u8]) -> Answer<usize> {
    tpkt::unit(bytes).read(|(unit, len)| {
        let message = message(unit)?;
        let accepted = message.kind == ANSWER && message.error == 0;
        (accepted && message.parameters.first() == Some(&0xf0)).then_some(len)
    })
}

/// Asks for the system status list `id`, [`MODULE`] or [`COMPONENT`], all of it.
pub fn read_list(id: u16) -> Vec<u8> {
    let mut payload = vec![0xff, 9, 0, 4];
    payload.extend_from_slice(&id.to_be_bytes());
    payload.extend_from_slice(&[0, 0]);
    // A request (0x11) to the CPU functions (0x44), read a list (1), first unit (0).
    data(USER_DATA, 2, &[0, 1, 0x12, 4, 0x11, 0x44, 1, 0], &payload)
}

fn data(kind: u8, reference: u8, parameters: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = vec![PROTOCOL, kind, 0, 0, 0, reference];
    out.extend_from_slice(&(parameters.len() as u16).to_be_bytes());
    out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
    out.extend_from_slice(parameters);
    out.extend_from_slice(payload);
    tpkt::packet(&[tpkt::DATA, 0x80], &out)
}

struct Message<'a> {
    kind: u8,
    /// Of answers; other kinds have none.
    error: u16,
    parameters: &'a [u8],
    payload: &'a [u8],
}

fn message(unit: tpkt::Unit<'_>) -> Option<Message<'_>> {
    let mut reader = Reader::new(unit.data);
    if unit.kind != tpkt::DATA || reader.u8()? != PROTOCOL {
        return None;
    }
    let kind = reader.u8()?;
    let _reference = reader.u32()?;
    let (parameters, payload) = (reader.u16()?, reader.u16()?);
    let error = if matches!(kind, 2 | ANSWER) { reader.u16()? } else { 0 };
    Some(Message {
        kind,
        error,
        parameters: reader.take(parameters.into())?,
        payload: reader.take(payload.into())?,
    })
}

/// What a controller says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Order number of the module, such as `6ES7 315-2EH14-0AB0`.
    pub module: Option<String>,
    /// Version of its firmware, such as `3.2.6`.
    pub version: Option<String>,
    /// Name of the automation system.
    pub system_name: Option<String>,
    /// Name of the module.
    pub module_name: Option<String>,
    /// Identification of the plant.
    pub plant: Option<String>,
    /// Serial number of the module.
    pub serial_number: Option<String>,
}

impl Identity {
    /// Takes over what `list` tells.
    pub fn learn(&mut self, list: &List<'_>) {
        for (index, record) in list.records() {
            let text = || Some(charset::field(record)).filter(|text| !text.is_empty());
            match (list.id, index) {
                (MODULE, 1) => self.module = record.get(..20).map(charset::field),
                (MODULE, 7) => self.version = firmware(record).or(self.version.take()),
                // The firmware has a record of its own on most modules; the module's is the next best.
                (MODULE, 6) if self.version.is_none() => self.version = firmware(record),
                (COMPONENT, 1) => self.system_name = text(),
                (COMPONENT, 2) => self.module_name = text(),
                (COMPONENT, 3) => self.plant = text(),
                (COMPONENT, 5) => self.serial_number = text(),
                _ => {}
            }
        }
    }
}

/// `V` and three numbers, in the last four bytes of a record of [`MODULE`].
fn firmware(record: &[u8]) -> Option<String> {
    match record.get(22..26)? {
        [b'V', major, minor, patch] => Some(format!("{major}.{minor}.{patch}")),
        _ => None,
    }
}

/// A system status list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List<'a> {
    /// Which.
    pub id: u16,
    record_bytes: u16,
    records: &'a [u8],
}

impl<'a> List<'a> {
    /// The records, each as (index, what follows the index).
    pub fn records(&self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let len = usize::from(self.record_bytes).max(2);
        self.records.chunks_exact(len).take(RECORDS_MAX.into()).filter_map(|record| {
            let (index, rest) = record.split_first_chunk::<2>()?;
            Some((u16::from_be_bytes(*index), rest))
        })
    }
}

/// Reads the answer to [`read_list`] at the start of `bytes`, and how many bytes it took; no list
/// when the controller refuses. Of an answer in several units this is the first.
pub fn list(bytes: &[u8]) -> Answer<(Option<List<'_>>, usize)> {
    tpkt::unit(bytes).read(|(unit, len)| {
        let message = message(unit)?;
        // An answer (0x12) of the CPU functions (0x84).
        if message.kind != USER_DATA || message.parameters.get(4..6) != Some(&[0x12, 0x84]) {
            return None;
        }
        let mut reader = Reader::new(message.payload);
        let (code, _kind, _len) = (reader.u8()?, reader.u8()?, reader.u16()?);
        if code != 0xff {
            return Some((None, len));
        }
        let (id, _index, record_bytes) = (reader.u16()?, reader.u16()?, reader.u16()?);
        let _count = reader.u16()?;
        Some((Some(List { id, record_bytes, records: reader.rest() }), len))
    })
}

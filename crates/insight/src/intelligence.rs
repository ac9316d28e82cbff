//! What is known about weaknesses: exploited, described, scored, out of support.
//!
//! Files of every [`IntelligenceKind`] are read ([`Importer`]) into versioned [`Snapshot`]s in a normalised form
//! that can be stored as JSON lines ([`Snapshot::write`], [`Snapshot::read`]) and joined into an
//! [`Intelligence`], which answers by vendor and product. Reading is streaming and bounded; a
//! record that cannot be used is reported with file and line ([`Rejected`]) and the rest goes on.
//!
//! ```
//! use kenshin_insight::intelligence::{Importer, Intelligence, IntelligenceKind};
//! let mut importer = Importer::new(IntelligenceKind::EndOfLife);
//! let file = "---\ntitle: Example Router\ncategory: os\npermalink: /example-router\n\
//!             identifiers:\n  - cpe: cpe:2.3:o:example:router\n\
//!             releases:\n  - releaseCycle: \"1.0\"\n    eol: 2020-01-01\n---\n";
//! importer.read("example-router.md", file.as_bytes()).unwrap();
//! let import = importer.finish("2026-04-01".parse().unwrap());
//! assert!(import.rejected.is_empty());
//! let intelligence = Intelligence::new([import.snapshot]);
//! let today = "2026-04-01".parse().unwrap();
//! let cycle = intelligence.cycle(Some("Example"), "Router", "1.0.7").unwrap();
//! assert!(cycle.release.ended(today));
//! ```

mod addresses;
mod affected;
mod csaf;
mod cve;
mod elements;
mod endoflife;
mod epss;
mod front_matter;
mod importer;
mod index;
mod jvn;
mod kev;
mod keys;
pub mod mmdb;
mod name;
mod nvd;
mod objects;
mod osv;
mod oui;
mod record;
mod snapshot;
mod ssvc;

pub use addresses::{AddressTable, AddressTableBuilder, Entry};
pub(crate) use csaf::phrase;
pub use importer::{Import, ImportError, Importer, REJECTED_MAX, Rejected};
pub(crate) use importer::{io, read_line};
pub use index::{Cycle, Intelligence, Match, Said};
pub use name::Names;
pub use oui::Vendors;
pub use record::advisory::{Advisory, Containment, Jvn, Named, Osv, Oui, Package, Statement};
pub use record::{
    Affected, Bound, Change, Cve, CveId, Cvss, Day, EndOfLife, Ending, Epss, Kev, KnownKey, ParseCveIdError,
    ParseDayError, Range, Release, Ssvc, Status,
};
pub use snapshot::{IntelligenceKind, Records, Snapshot, SnapshotError};

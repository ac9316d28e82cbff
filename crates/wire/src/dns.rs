//! DNS messages (RFC 1035), and the two questions that tell what a server is and whom it serves:
//! its version (`version.bind` of class CH) and a name that the caller chose, with recursion
//! desired. [`crate::mdns`] reads the same messages.

mod message;
mod name;

pub use message::{Data, Message, Record};
pub use name::Name;

use crate::charset;

/// Kinds of record (RFC 1035 §3.2.2 and later).
pub mod kind {
    /// IPv4 address.
    pub const A: u16 = 1;
    /// Name server.
    pub const NS: u16 = 2;
    /// Another name for this one.
    pub const CNAME: u16 = 5;
    /// Pointer to a name.
    pub const PTR: u16 = 12;
    /// Texts.
    pub const TXT: u16 = 16;
    /// IPv6 address, RFC 3596.
    pub const AAAA: u16 = 28;
    /// Where a service is, RFC 2782.
    pub const SRV: u16 = 33;
}

/// Classes of records.
pub mod class {
    /// The internet.
    pub const IN: u16 = 1;
    /// Chaos: what servers say of themselves.
    pub const CH: u16 = 3;
}

/// Response codes (RFC 1035 §4.1.1).
pub mod rcode {
    /// No error.
    pub const NOERROR: u8 = 0;
    /// The server could not read the question.
    pub const FORMERR: u8 = 1;
    /// There is no such name.
    pub const NXDOMAIN: u8 = 3;
    /// The server does not do what was asked.
    pub const NOTIMP: u8 = 4;
    /// The server does not do it for us.
    pub const REFUSED: u8 = 5;
}

/// A question; equal when name (whatever its case), kind and class are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Name asked about.
    pub name: Name,
    /// One of [`kind`], or another.
    pub kind: u16,
    /// One of [`class`], or another.
    pub class: u16,
}

impl Question {
    /// The server's version: TXT of `version.bind` in class CH.
    pub fn version_bind() -> Self {
        let name = Name::from_labels(&["version", "bind"]).expect("two short labels are a name");
        Self { name, kind: kind::TXT, class: class::CH }
    }

    /// The IPv4 address of `name`, which should be in a zone of the one who asks, and new each time,
    /// so that no cache knows it.
    pub const fn address(name: Name) -> Self {
        Self { name, kind: kind::A, class: class::IN }
    }
}

/// A query of these questions; servers expect one, mDNS responders take several.
pub fn query(id: u16, recursion_desired: bool, questions: Vec<Question>) -> Vec<u8> {
    Message { id, recursion_desired, questions, ..Message::default() }.encode()
}

impl Message {
    /// True when this answers the query `id` with the one question: a response of the same kind and
    /// id that repeats the question, or has an error and no question, as old servers do.
    pub fn answers(&self, id: u16, question: &Question) -> bool {
        let repeated = match self.questions.as_slice() {
            [] => self.rcode != rcode::NOERROR,
            [one] => one == question,
            _ => false,
        };
        self.response && self.opcode == 0 && self.id == id && repeated
    }

    /// The texts that answer [`Question::version_bind`], joined.
    pub fn version_bind(&self) -> Option<String> {
        let asked = Question::version_bind();
        let texts: Vec<&[u8]> = self
            .answers
            .iter()
            .filter(|record| record.name == asked.name)
            .filter_map(|record| match &record.data {
                Data::Txt(texts) => Some(texts),
                _ => None,
            })
            .flatten()
            .map(Vec::as_slice)
            .collect();
        let text = charset::decode(&texts.concat(), None);
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// True when the server looked a stranger's name up for us: it offers recursion, and either
    /// gives an answer that is not its own, or says for sure that there is none.
    pub fn recursion_open(&self) -> bool {
        let resolved = match self.rcode {
            rcode::NOERROR => !self.answers.is_empty(),
            rcode::NXDOMAIN => true,
            _ => false,
        };
        self.response && self.recursion_available && !self.authoritative && resolved
    }
}

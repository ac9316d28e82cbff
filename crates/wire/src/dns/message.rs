//! Messages and records.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Name, Question, kind};
use crate::malformed::Malformed;
use crate::reader::Reader;

/// Most questions read.
const QUESTIONS_MAX: u16 = 16;

/// Most records read, of all sections together.
const RECORDS_MAX: u16 = 256;

/// Most texts of one record.
const TEXTS_MAX: usize = 64;

/// Length of a header.
const HEADER_BYTES: usize = 12;

/// A message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Id of the query.
    pub id: u16,
    /// It is an answer.
    pub response: bool,
    /// 0 for ordinary queries.
    pub opcode: u8,
    /// The server is an authority for the name.
    pub authoritative: bool,
    /// More was to be said than the datagram holds.
    pub truncated: bool,
    /// Recursion is wanted.
    pub recursion_desired: bool,
    /// Recursion is offered.
    pub recursion_available: bool,
    /// One of [`super::rcode`], or another.
    pub rcode: u8,
    /// Questions.
    pub questions: Vec<Question>,
    /// Answers.
    pub answers: Vec<Record>,
    /// Authorities.
    pub authorities: Vec<Record>,
    /// Everything else.
    pub additionals: Vec<Record>,
}

/// A resource record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Owner.
    pub name: Name,
    /// One of [`kind`], or another.
    pub kind: u16,
    /// One of [`super::class`]; the highest bit means something else in mDNS.
    pub class: u16,
    /// How long it holds, seconds.
    pub ttl_s: u32,
    /// Contents.
    pub data: Data,
}

/// Contents of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Of [`kind::A`].
    A(Ipv4Addr),
    /// Of [`kind::AAAA`].
    Aaaa(Ipv6Addr),
    /// Of [`kind::NS`], [`kind::CNAME`] and [`kind::PTR`].
    Name(Name),
    /// Of [`kind::TXT`].
    Txt(Vec<Vec<u8>>),
    /// Of [`kind::SRV`].
    Srv {
        /// Lower is tried first.
        priority: u16,
        /// Share among equals.
        weight: u16,
        /// Port.
        port: u16,
        /// Host.
        target: Name,
    },
    /// Of every other kind, as sent.
    Other(Vec<u8>),
}

impl Message {
    /// Reads a message. A truncated one may break off inside of its records; those before count.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        const END: Malformed = Malformed::Truncated("a DNS header");
        let mut header = Reader::new(bytes);
        let id = header.u16().ok_or(END)?;
        let flags = header.u16().ok_or(END)?;
        let mut counts = [0; 4];
        for count in &mut counts {
            *count = header.u16().ok_or(END)?;
        }
        let mut message = Self {
            id,
            response: flags & 0x8000 != 0,
            opcode: (flags >> 11 & 0xf) as u8,
            authoritative: flags & 0x0400 != 0,
            truncated: flags & 0x0200 != 0,
            recursion_desired: flags & 0x0100 != 0,
            recursion_available: flags & 0x0080 != 0,
            rcode: (flags & 0xf) as u8,
            ..Self::default()
        };
        let [questions, answers, authorities, additionals] = counts;
        if questions > QUESTIONS_MAX {
            return Err(Malformed::Limit("questions"));
        }
        if u32::from(answers) + u32::from(authorities) + u32::from(additionals) > RECORDS_MAX.into() {
            return Err(Malformed::Limit("records"));
        }
        let mut cursor = Cursor { message: bytes, at: HEADER_BYTES };
        for _ in 0..questions {
            message.questions.push(cursor.question()?);
        }
        let cut = message.truncated;
        'sections: for (count, section) in [
            (answers, &mut message.answers),
            (authorities, &mut message.authorities),
            (additionals, &mut message.additionals),
        ] {
            for _ in 0..count {
                match cursor.record() {
                    Ok(record) => section.push(record),
                    Err(Malformed::Truncated(_)) if cut => break 'sections,
                    Err(malformed) => return Err(malformed),
                }
            }
        }
        Ok(message)
    }

    /// Writes the message, without compression.
    pub fn encode(&self) -> Vec<u8> {
        let bit = |set: bool, at: u32| u16::from(set) << at;
        let flags = bit(self.response, 15)
            | u16::from(self.opcode & 0xf) << 11
            | bit(self.authoritative, 10)
            | bit(self.truncated, 9)
            | bit(self.recursion_desired, 8)
            | bit(self.recursion_available, 7)
            | u16::from(self.rcode & 0xf);
        let mut out = Vec::new();
        let lengths =
            [self.questions.len(), self.answers.len(), self.authorities.len(), self.additionals.len()];
        for number in [self.id, flags].into_iter().chain(lengths.map(|len| len as u16)) {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for question in &self.questions {
            question.name.encode(&mut out);
            out.extend_from_slice(&question.kind.to_be_bytes());
            out.extend_from_slice(&question.class.to_be_bytes());
        }
        for record in self.answers.iter().chain(&self.authorities).chain(&self.additionals) {
            record.encode(&mut out);
        }
        out
    }
}

impl Record {
    fn encode(&self, out: &mut Vec<u8>) {
        self.name.encode(out);
        out.extend_from_slice(&self.kind.to_be_bytes());
        out.extend_from_slice(&self.class.to_be_bytes());
        out.extend_from_slice(&self.ttl_s.to_be_bytes());
        let mut data = Vec::new();
        match &self.data {
            Data::A(addr) => data.extend_from_slice(&addr.octets()),
            Data::Aaaa(addr) => data.extend_from_slice(&addr.octets()),
            Data::Name(name) => name.encode(&mut data),
            Data::Txt(texts) => {
                for text in texts {
                    let text = &text[..text.len().min(255)];
                    data.push(text.len() as u8);
                    data.extend_from_slice(text);
                }
            }
            Data::Srv { priority, weight, port, target } => {
                for number in [priority, weight, port] {
                    data.extend_from_slice(&number.to_be_bytes());
                }
                target.encode(&mut data);
            }
            Data::Other(bytes) => data.extend_from_slice(bytes),
        }
        out.extend_from_slice(&(data.len() as u16).to_be_bytes());
        out.append(&mut data);
    }
}

/// A place in a message; names may point back from it.
struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn name(&mut self) -> Result<Name, Malformed> {
        let (name, next) = Name::decode(self.message, self.at)?;
        self.at = next;
        Ok(name)
    }

    fn take(&mut self, len: usize) -> Result<Reader<'a>, Malformed> {
        let end = self.at + len;
        let taken = self.message.get(self.at..end).ok_or(Malformed::Truncated("a record"))?;
        self.at = end;
        Ok(Reader::new(taken))
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.take(2)?.u16().ok_or(Malformed::Truncated("a record"))
    }

    fn question(&mut self) -> Result<Question, Malformed> {
        Ok(Question { name: self.name()?, kind: self.u16()?, class: self.u16()? })
    }

    fn record(&mut self) -> Result<Record, Malformed> {
        let (name, kind, class) = (self.name()?, self.u16()?, self.u16()?);
        let ttl_s = self.take(4)?.u32().ok_or(Malformed::Truncated("a record"))?;
        let length = usize::from(self.u16()?);
        let start = self.at;
        let contents = self.take(length)?;
        let data = self.data(kind, start, contents)?;
        Ok(Record { name, kind, class, ttl_s, data })
    }

    fn data(&self, kind: u16, start: usize, mut contents: Reader<'a>) -> Result<Data, Malformed> {
        const END: Malformed = Malformed::Truncated("a record's contents");
        let whole = contents.rest();
        // A name inside ends where the contents end.
        let inside = |at: usize| match Name::decode(self.message, at)? {
            (name, end) if end == start + whole.len() => Ok(name),
            _ => Err(Malformed::Not("a name alone")),
        };
        Ok(match kind {
            kind::A => match whole.try_into().map(<[u8; 4]>::into) {
                Ok(addr) => Data::A(addr),
                Err(_) => Data::Other(whole.to_vec()),
            },
            kind::AAAA => match whole.try_into().map(<[u8; 16]>::into) {
                Ok(addr) => Data::Aaaa(addr),
                Err(_) => Data::Other(whole.to_vec()),
            },
            kind::NS | kind::CNAME | kind::PTR => Data::Name(inside(start)?),
            kind::TXT => {
                let mut texts = Vec::new();
                while let Some(length) = contents.u8() {
                    let text = contents.take(length.into()).ok_or(END)?;
                    if texts.len() < TEXTS_MAX {
                        texts.push(text.to_vec());
                    }
                }
                Data::Txt(texts)
            }
            kind::SRV => Data::Srv {
                priority: contents.u16().ok_or(END)?,
                weight: contents.u16().ok_or(END)?,
                port: contents.u16().ok_or(END)?,
                target: inside(start + 6)?,
            },
            _ => Data::Other(whole.to_vec()),
        })
    }
}

//! DNS-SD over mDNS (RFC 6763, RFC 6762), asked of one host alone from an ordinary port, so that it
//! answers us alone (RFC 6762 §6.7).

use crate::charset;
use crate::dns::{self, Data, Message, Name, Question, class, kind};

/// Most entries of each list of [`Discovered`].
const LIST_MAX: usize = 64;

/// Most questions put at once.
pub const QUESTIONS_MAX: usize = 8;

/// With this bit in its class a question asks for a unicast answer, and a record replaces others.
const UNICAST: u16 = 0x8000;

/// What a host says it serves. Every list is without repetition, in the order sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovered {
    /// Kinds of service, such as `_ipp._tcp.local`.
    pub services: Vec<Name>,
    /// Instances of services, such as `Printer in room 3._ipp._tcp.local`.
    pub instances: Vec<Name>,
    /// Hosts that serve them.
    pub hosts: Vec<Name>,
    /// What instances say of themselves, `key=value`.
    pub texts: Vec<String>,
}

impl Discovered {
    /// Adds what another answer said.
    pub fn add(&mut self, message: &Message) {
        let index = index();
        for record in message.answers.iter().chain(&message.additionals) {
            match &record.data {
                Data::Name(name) if record.kind == kind::PTR && record.name == index => {
                    put(&mut self.services, name.clone());
                }
                Data::Name(name) if record.kind == kind::PTR && is_service(&record.name) => {
                    put(&mut self.instances, name.clone());
                }
                Data::Srv { target, .. } => put(&mut self.hosts, target.clone()),
                Data::A(_) | Data::Aaaa(_) => put(&mut self.hosts, record.name.clone()),
                Data::Txt(texts) => {
                    for text in texts.iter().filter(|text| !text.is_empty()) {
                        put(&mut self.texts, charset::decode(text, None));
                    }
                }
                _ => {}
            }
        }
    }
}

/// `_name._tcp.…`; other pointers lead from addresses to names.
fn is_service(name: &Name) -> bool {
    name.labels().next().is_some_and(|label| label.starts_with(b"_"))
}

fn put<T: PartialEq>(list: &mut Vec<T>, entry: T) {
    if list.len() < LIST_MAX && !list.contains(&entry) {
        list.push(entry);
    }
}

/// Asks which kinds of service there are.
pub fn services(id: u16) -> Vec<u8> {
    dns::query(id, false, vec![pointer(index())])
}

/// Asks for the instances of these kinds of service, the first [`QUESTIONS_MAX`] of them.
pub fn instances(id: u16, services: &[Name]) -> Vec<u8> {
    dns::query(id, false, services.iter().take(QUESTIONS_MAX).cloned().map(pointer).collect())
}

/// True when `message` is what a responder answers to the query `id`: a response without error
/// and with records. RFC 6762 §6.7 has it repeat id and question; some leave the id zero.
pub fn answers(message: &Message, id: u16) -> bool {
    message.response
        && message.opcode == 0
        && message.rcode == dns::rcode::NOERROR
        && (message.id == id || message.id == 0)
        && !message.answers.is_empty()
}

fn pointer(name: Name) -> Question {
    Question { name, kind: kind::PTR, class: class::IN | UNICAST }
}

/// The name under which all kinds of service are listed, RFC 6763 §9.
fn index() -> Name {
    Name::from_labels(&["_services", "_dns-sd", "_udp", "local"]).expect("four short labels are a name")
}

//! The questions, which of them fit a port, and which answers belong to them.

use std::net::SocketAddr;

use kenshin_observation::Endpoint;
use kenshin_wire::datagram::Answer;
use kenshin_wire::dns::{self, Name};
use kenshin_wire::ntp::{self, control, private};
use kenshin_wire::wsd::{self, Wanted};
use kenshin_wire::{coap, mdns, sip, snmp, ssdp};

use super::Channel;
use crate::probe::ProbeSettings;

/// What a service speaks over UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Snmp,
    Ssdp,
    Wsd,
    Mdns,
    Dns,
    Ntp,
    Coap,
    Sip,
    Bacnet,
}

impl Spoken {
    /// Name of its record.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Snmp => "snmp",
            Self::Ssdp => "ssdp",
            Self::Wsd => "wsd",
            Self::Mdns => "mdns",
            Self::Dns => "dns",
            Self::Ntp => "ntp",
            Self::Coap => "coap",
            Self::Sip => "sip",
            Self::Bacnet => "bacnet",
        }
    }
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// SNMPv3's engine discovery.
    SnmpEngine,
    /// The community `public`.
    SnmpPublic(snmp::Version),
    Ssdp(ssdp::Target),
    Wsd(Wanted),
    /// Kinds of service, then their instances. A name server answers it too, with a refusal.
    Mdns,
    /// The time.
    Ntp,
    /// The system's variables.
    NtpControl,
    /// The least of mode 7.
    NtpPrivate,
    /// `version.bind`.
    DnsVersion,
    /// A name in the operator's own zone.
    DnsRecursion(Name),
    Coap,
    Sip,
}

impl Question {
    /// What a service speaks that answers it as it should.
    pub(super) const fn speaks(&self) -> Spoken {
        match self {
            Self::SnmpEngine | Self::SnmpPublic(_) => Spoken::Snmp,
            Self::Ssdp(_) => Spoken::Ssdp,
            Self::Wsd(_) => Spoken::Wsd,
            Self::Mdns => Spoken::Mdns,
            Self::Ntp | Self::NtpControl | Self::NtpPrivate => Spoken::Ntp,
            Self::DnsVersion | Self::DnsRecursion(_) => Spoken::Dns,
            Self::Coap => Spoken::Coap,
            Self::Sip => Spoken::Sip,
        }
    }
}

/// What a port is for, if that is known.
pub(super) const fn expected(port: u16) -> Option<Spoken> {
    match port {
        53 => Some(Spoken::Dns),
        123 => Some(Spoken::Ntp),
        161 => Some(Spoken::Snmp),
        1900 => Some(Spoken::Ssdp),
        3702 => Some(Spoken::Wsd),
        5060 => Some(Spoken::Sip),
        5353 => Some(Spoken::Mdns),
        5683 => Some(Spoken::Coap),
        47_808 => Some(Spoken::Bacnet),
        _ => None,
    }
}

/// The questions of `handshake` at a port: those that fit it, or one of each kind, those first that
/// are found at odd ports most.
pub(super) fn order(port: u16) -> Vec<Question> {
    match expected(port) {
        Some(spoken) => order_of(spoken),
        None => vec![
            Question::SnmpEngine,
            Question::Sip,
            Question::Coap,
            Question::Mdns,
            Question::Ssdp(ssdp::Target::RootDevice),
            Question::Wsd(Wanted::Any),
            Question::Ntp,
        ],
    }
}

/// The questions of `handshake` to a service that speaks so.
pub(super) fn order_of(spoken: Spoken) -> Vec<Question> {
    match spoken {
        Spoken::Snmp => vec![Question::SnmpEngine],
        Spoken::Ssdp => vec![Question::Ssdp(ssdp::Target::RootDevice)],
        Spoken::Wsd => [Wanted::Any, Wanted::Cameras, Wanted::Devices].map(Question::Wsd).into(),
        // What a name server has to say is for `reflector`; that it is one shows here.
        Spoken::Mdns | Spoken::Dns => vec![Question::Mdns],
        Spoken::Ntp => vec![Question::Ntp],
        Spoken::Coap => vec![Question::Coap],
        Spoken::Sip => vec![Question::Sip],
        // It says what it is to `ics-identity`, and hears nothing else.
        Spoken::Bacnet => Vec::new(),
    }
}

/// The questions of `reflector` to a service that speaks so, if there are any.
pub(super) fn reflecting(spoken: Spoken, zone: Option<&Name>) -> Option<Vec<Question>> {
    match spoken {
        Spoken::Ntp => Some(vec![Question::NtpControl, Question::NtpPrivate]),
        Spoken::Ssdp => Some(vec![Question::Ssdp(ssdp::Target::All)]),
        Spoken::Dns => {
            let zone = zone.cloned().map(Question::DnsRecursion);
            Some([Question::DnsVersion].into_iter().chain(zone).collect())
        }
        Spoken::Snmp | Spoken::Wsd | Spoken::Mdns | Spoken::Coap | Spoken::Sip | Spoken::Bacnet => None,
    }
}

/// A question as it was put, with the ids that its answer must repeat.
#[derive(Debug)]
pub(super) struct Asked {
    question: Question,
    nonce: u64,
    sent: Vec<u8>,
    call_id: String,
}

impl Asked {
    pub(super) fn new(
        question: &Question,
        endpoint: Endpoint,
        channel: &Channel,
        settings: &ProbeSettings,
    ) -> Self {
        let mut question = question.clone();
        let nonce = channel.nonce();
        let server = SocketAddr::new(endpoint.addr, endpoint.port);
        let agent = settings.introduction.user_agent.as_str();
        if let Question::DnsRecursion(zone) = &mut question {
            // No cache knows a name that nobody asked for before.
            *zone = zone.child(&format!("{nonce:016x}")).unwrap_or_else(|| zone.clone());
        }
        let options =
            sip::Options { server, ours: channel.local_addr().unwrap_or(server), nonce, user_agent: agent };
        let sent = match &question {
            Question::SnmpEngine => snmp::discover(number(nonce)),
            Question::SnmpPublic(version) => snmp::get(*version, "public", number(nonce)),
            Question::Ssdp(target) => ssdp::search(server, *target, agent),
            Question::Wsd(wanted) => wsd::probe(uuid(nonce), *wanted),
            Question::Mdns => mdns::services(short(nonce)),
            Question::Ntp => ntp::client(nonce).to_vec(),
            Question::NtpControl => control::read_variables(short(nonce)).to_vec(),
            Question::NtpPrivate => private::REQUEST.to_vec(),
            Question::DnsVersion => dns::query(short(nonce), false, vec![dns::Question::version_bind()]),
            Question::DnsRecursion(name) => {
                dns::query(short(nonce), true, vec![dns::Question::address(name.clone())])
            }
            Question::Coap => coap::get_core(short(nonce), token(nonce)),
            Question::Sip => options.encode(),
        };
        Self { call_id: options.call_id(), question, nonce, sent }
    }

    /// The datagram.
    pub(super) fn sent(&self) -> &[u8] {
        &self.sent
    }

    pub(super) const fn question(&self) -> &Question {
        &self.question
    }

    /// True when `answer` repeats what this was asked with. A server of another protocol shows by an
    /// error that it read our bytes as its own: then the ids are where its protocol has them.
    pub(super) fn is_answered_by(&self, answer: &Answer) -> bool {
        let id = short(self.nonce);
        match (answer, &self.question) {
            (Answer::Snmp(snmp::Answer::Response(response)), Question::SnmpPublic(_)) => {
                response.request_id == i64::from(number(self.nonce))
            }
            (Answer::Snmp(snmp::Answer::Report(report)), Question::SnmpEngine) => {
                report.message_id == i64::from(number(self.nonce))
            }
            (Answer::Snmp(_), _) => false,
            // It has no ids; that it comes to our port from the one asked has to do.
            (Answer::Ssdp(_), _) => true,
            (Answer::Wsd(matches), Question::Wsd(_)) => matches
                .relates_to
                .as_ref()
                .is_some_and(|id| id.eq_ignore_ascii_case(&wsd::message_id(uuid(self.nonce)))),
            (Answer::Wsd(_), _) => false,
            (Answer::Dns(message), Question::DnsVersion) => {
                message.answers(id, &dns::Question::version_bind())
            }
            (Answer::Dns(message), Question::DnsRecursion(name)) => {
                message.answers(id, &dns::Question::address(name.clone()))
            }
            (Answer::Dns(message), Question::Mdns) => {
                // A name server says that it knows no such name, or nothing of it.
                mdns::answers(message, id) || message.id == id
            }
            (Answer::Dns(message), _) => {
                self.sent_at(0) == message.id.to_be_bytes() && message.rcode != dns::rcode::NOERROR
            }
            (Answer::Ntp(answer), _) => self.sent_at(40) == answer.origin.to_be_bytes(),
            (Answer::NtpControl(fragment), _) => self.sent_at(2) == fragment.sequence.to_be_bytes(),
            (Answer::NtpPrivate(_), question) => *question == Question::NtpPrivate,
            (Answer::Coap(message), Question::Coap) => {
                message.token == token(self.nonce) || (message.code == 0 && message.id == id)
            }
            (Answer::Coap(message), _) => {
                message.kind == coap::Kind::Reset && self.sent_at(2) == message.id.to_be_bytes()
            }
            (Answer::Sip(answer), Question::Sip) => answer.call_id.as_deref() == Some(&self.call_id),
            (Answer::Sip(_), _) => false,
        }
    }

    /// So many bytes of the question; zeros behind its end, where no id is.
    fn sent_at<const N: usize>(&self, at: usize) -> [u8; N] {
        self.sent.get(at..).and_then(|rest| rest.first_chunk().copied()).unwrap_or([0; N])
    }

    /// What a service speaks that answered so.
    pub(super) fn spoken(&self, answer: &Answer) -> Spoken {
        match answer {
            Answer::Snmp(_) => Spoken::Snmp,
            Answer::Ssdp(_) => Spoken::Ssdp,
            Answer::Wsd(_) => Spoken::Wsd,
            Answer::Dns(message)
                if self.question == Question::Mdns && mdns::answers(message, short(self.nonce)) =>
            {
                Spoken::Mdns
            }
            Answer::Dns(_) => Spoken::Dns,
            Answer::Ntp(_) | Answer::NtpControl(_) | Answer::NtpPrivate(_) => Spoken::Ntp,
            Answer::Coap(_) => Spoken::Coap,
            Answer::Sip(_) => Spoken::Sip,
        }
    }

    /// What is said to `answer`, the first one or a later one.
    pub(super) fn reply(&self, answer: &Answer, first: bool) -> Option<Vec<u8>> {
        match answer {
            Answer::Coap(message) if message.kind == coap::Kind::Confirmable => {
                Some(coap::acknowledgement(message.id).to_vec())
            }
            Answer::Dns(message) if first && self.spoken(answer) == Spoken::Mdns => {
                let mut discovered = mdns::Discovered::default();
                discovered.add(message);
                let services = discovered.services;
                (!services.is_empty()).then(|| mdns::instances(short(self.nonce), &services))
            }
            _ => None,
        }
    }

    /// True when `answer` only says that the real one comes later.
    pub(super) const fn is_provisional(&self, answer: &Answer) -> bool {
        match answer {
            Answer::Coap(message) => message.code == 0 && matches!(message.kind, coap::Kind::Acknowledgement),
            Answer::Sip(answer) => answer.status < 200,
            _ => false,
        }
    }

    /// True when more answers than one are to be expected.
    pub(super) const fn has_many(&self) -> bool {
        matches!(self.question, Question::Ssdp(_) | Question::Wsd(_) | Question::Mdns | Question::NtpControl)
    }
}

const fn short(nonce: u64) -> u16 {
    nonce as u16
}

/// A positive number, which agents repeat as it was.
pub(crate) const fn number(nonce: u64) -> i32 {
    (nonce >> 16) as i32 & i32::MAX
}

const fn token(nonce: u64) -> [u8; 4] {
    ((nonce >> 32) as u32).to_be_bytes()
}

const fn uuid(nonce: u64) -> u128 {
    (nonce as u128) << 64 | nonce.rotate_left(23) as u128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_port_is_asked_for_what_it_is_for_first() {
        for port in 0..=u16::MAX {
            let order = order(port);
            match expected(port) {
                Some(Spoken::Dns) => assert_eq!(order, [Question::Mdns]),
                Some(spoken) => assert!(order.iter().all(|question| question.speaks() == spoken)),
                None => assert_eq!(order.len(), 7),
            }
        }
    }
}

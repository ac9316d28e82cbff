//! Which question is put first to a service that waits. The port is a hint, and so is what other hosts
//! of the run answered to at the same port (the idea of LZR: Izhikevich, Teixeira, Durumeric, USENIX
//! Security 2021). Neither decides anything but the order: what a service is, its answer tells.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use kenshin_observation::Check;

use super::ProbeResult;

/// A way to ask a service what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Http,
    Tls,
    Rtsp,
    Rdp,
    Smb,
    Mqtt,
    Redis,
    Mongodb,
    Adb,
    Memcached,
    Modbus,
    S7,
}

use Question::{Adb, Http, Memcached, Modbus, Mongodb, Mqtt, Rdp, Redis, Rtsp, S7, Smb, Tls};

impl Question {
    /// In the order for a port that says nothing, the commonest first.
    const ALL: [Self; 12] = [Http, Tls, Rtsp, Rdp, Smb, Mqtt, Redis, Mongodb, Adb, Memcached, Modbus, S7];

    /// The class of exchange that it is: an MQTT CONNECT is a login, a command to a data store as well.
    pub(super) const fn check(self) -> Check {
        match self {
            Http | Tls | Rtsp | Rdp | Smb => Check::Handshake,
            Mqtt | Redis | Mongodb | Adb | Memcached => Check::AnonymousLogin,
            Modbus | S7 => Check::IcsIdentity,
        }
    }

    /// True when `result` is the answer that this question hoped for.
    fn answered_by(self, result: &ProbeResult) -> bool {
        let name = match self {
            Tls => return result.records.tls.is_some(),
            Http => "http",
            Rtsp => "rtsp",
            Rdp => "rdp",
            Smb => "smb",
            Mqtt => "mqtt",
            Redis => "redis",
            Mongodb => "mongodb",
            Adb => "adb",
            Memcached => "memcached",
            Modbus => "modbus",
            S7 => "s7",
        };
        result.protocol.as_deref() == Some(name) && result.records.tls.is_none()
    }
}

/// What is usually found at a port.
const fn usual(port: u16) -> Option<Question> {
    Some(match port {
        443 | 465 | 636 | 853 | 990 | 993 | 995 | 4433 | 4443 | 5061 | 8443 | 8883 | 9443 | 10443 => Tls,
        554 | 8554 | 10554 => Rtsp,
        3388..=3391 | 13389 => Rdp,
        139 | 445 => Smb,
        1883..=1885 | 11883 => Mqtt,
        6379..=6381 | 16379 | 26379 => Redis,
        27017..=27019 => Mongodb,
        5555 => Adb,
        11211 => Memcached,
        502 => Modbus,
        102 => S7,
        _ => return None,
    })
}

/// Most ports remembered; what is learned of others is forgotten.
const PORTS_MAX: usize = 1024;

/// How often each question was answered at each port, by the hosts of one run. Its conversations share
/// it. The same answers in the same order make the same order of questions.
#[derive(Debug, Default)]
pub struct Orders(Mutex<BTreeMap<u16, [u32; Question::ALL.len()]>>);

impl Orders {
    /// Every question of the classes that `may`, best guess first: what was answered most at this port,
    /// then what is usually there, then the commonest.
    pub(super) fn questions(&self, port: u16, may: impl Fn(Check) -> bool) -> Vec<Question> {
        let learned = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&port).copied();
        let answers = learned.unwrap_or_default();
        let mut questions: Vec<Question> =
            Question::ALL.into_iter().filter(|question| may(question.check())).collect();
        questions.sort_by_key(|question| {
            (std::cmp::Reverse(answers[*question as usize]), usual(port) != Some(*question))
        });
        questions
    }

    /// Remembers `question` when `result` is what it hoped for.
    pub(super) fn learn(&self, port: u16, question: Question, result: &ProbeResult) {
        if !question.answered_by(result) {
            return;
        }
        let mut ports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ports.len() == PORTS_MAX && !ports.contains_key(&port) {
            return;
        }
        let answers = ports.entry(port).or_default();
        answers[question as usize] = answers[question as usize].saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use kenshin_observation::Outcome;

    use super::*;

    fn answer(protocol: &str) -> ProbeResult {
        let mut result = ProbeResult::new(Check::Handshake, Outcome::Answered, None);
        result.protocol = Some(protocol.to_owned());
        result
    }

    #[test]
    fn the_port_is_a_hint_about_the_order() {
        let orders = Orders::default();
        let all = |port| orders.questions(port, |_| true);
        assert_eq!(all(4000), Question::ALL);
        assert_eq!(all(443)[..3], [Tls, Http, Rtsp]);
        assert_eq!(all(3389)[..2], [Rdp, Http]);
        assert_eq!(all(6379)[..2], [Redis, Http]);
        for port in [22, 102, 443, 502, 6379] {
            let mut sorted = all(port);
            sorted.sort_by_key(|question| *question as usize);
            assert_eq!(sorted, Question::ALL, "nothing is left out at {port}");
        }
        assert_eq!(orders.questions(102, |check| check == Check::Handshake), [Http, Tls, Rtsp, Rdp, Smb]);
    }

    #[test]
    fn what_other_hosts_answered_comes_first() {
        let orders = Orders::default();
        orders.learn(4000, Redis, &answer("redis"));
        orders.learn(4000, Redis, &answer("redis"));
        orders.learn(4000, Rdp, &answer("rdp"));
        orders.learn(4000, Http, &answer("ssh"));
        assert_eq!(orders.questions(4000, |_| true)[..4], [Redis, Rdp, Http, Tls]);
        assert_eq!(orders.questions(4001, |_| true), Question::ALL, "another port has its own order");
    }

    #[test]
    fn memory_is_bounded() {
        let orders = Orders::default();
        for port in 1..=4096 {
            orders.learn(port, S7, &answer("s7"));
        }
        assert_eq!(orders.0.lock().unwrap().len(), PORTS_MAX);
        assert_eq!(orders.questions(1, |_| true)[0], S7);
        assert_eq!(orders.questions(4096, |_| true)[0], Http);
    }
}

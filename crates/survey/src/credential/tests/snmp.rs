//! SNMP communities against an agent in this process.

use std::sync::{Arc, Mutex};

use kenshin_observation::{Check, Endpoint, Outcome, Transport};
use tokio::net::{TcpStream, UdpSocket};

use super::super::{Dictionary, Method, check_credentials, introduced};
use super::{Journal, handshake, protocol};
use crate::probe::datagram::{Channel, Datagrams};
use crate::probe::tests::settings;
use crate::probe::{Connect, ConnectError, ProbeResult};

const COMMUNITIES: &str = r#"
[[entries]]
user = "admin"
password = "kura-11"
[[entries]]
user = ""
password = "kura-12"
methods = ["snmp"]
[[entries]]
user = ""
password = "kura-13"
methods = ["snmp"]
"#;

/// An agent that answers requests with `community`, and repeats what it heard.
struct Agent {
    endpoint: Endpoint,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Agent {
    async fn start(community: &'static str, status: u8) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut bytes = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut bytes).await {
                log.lock().unwrap().push(bytes[..len].to_vec());
                let mut answer = bytes[..len].to_vec();
                let says = |word: &str| answer.windows(word.len()).any(|window| window == word.as_bytes());
                if !says(community) {
                    continue;
                }
                // The same message as a response: its tag, and its error status behind the request id.
                let pdu = answer.iter().position(|byte| *byte == 0xa0).unwrap();
                answer[pdu] = 0xa2;
                let id_len = usize::from(answer[pdu + 3]);
                answer[pdu + 4 + id_len + 2] = status;
                let mut other = answer.clone();
                other[pdu + 4] ^= 1; // somebody else's request
                let _ = socket.send_to(&other, from).await;
                let _ = socket.send_to(&answer, from).await;
            }
        });
        Self { endpoint: Endpoint::new(addr.ip(), addr.port(), Transport::Udp), heard }
    }

    async fn check(&self, cap: usize) -> (Option<String>, protocol::Credential, Vec<i32>) {
        self.check_as(&handshake(Method::Snmp), COMMUNITIES, cap).await
    }

    /// The same by another handshake and dictionary.
    async fn check_as(
        &self,
        handshake: &ProbeResult,
        dictionary: &str,
        cap: usize,
    ) -> (Option<String>, protocol::Credential, Vec<i32>) {
        let journal = Journal::with_cap(cap);
        let dictionary = Dictionary::parse(dictionary).unwrap();
        let settings = settings(&[Check::CredentialCheck]);
        let result = check_credentials(self.endpoint, handshake, &dictionary, &journal, self, &settings)
            .await
            .unwrap();
        assert!(!format!("{result:?}").contains("kura"));
        assert_eq!(result.outcome == Outcome::Limited, result.reason.is_some());
        (result.reason, *result.records.credential.unwrap(), journal.begun())
    }
}

impl Datagrams for Agent {
    async fn open(&self, endpoint: Endpoint, check: Check) -> Result<Channel, ConnectError> {
        assert_eq!(check, Check::CredentialCheck);
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect((endpoint.addr, endpoint.port)).await.unwrap();
        Ok(Channel::new(socket, 0x1234_5678_9abc_def0, 4))
    }
}

impl Connect for Agent {
    async fn connect(&self, _endpoint: Endpoint, _check: Check) -> Result<TcpStream, ConnectError> {
        panic!("SNMP needs no connection")
    }
}

#[tokio::test(start_paused = true)]
async fn a_community_is_asked_for_once_with_entries_that_are_for_it() {
    let agent = Agent::start("kura-13", 0).await;
    let (reason, credential, begun) = agent.check(9).await;
    assert_eq!((reason, credential.method.as_str(), credential.result.as_str()), (None, "snmp", "accepted"));
    assert_eq!((credential.entry, begun), (Some(3), vec![2, 3]));
    let heard = agent.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 2, "one datagram an attempt");
    // sysObjectID.0, and nothing else.
    let object = [0x06, 0x08, 0x2b, 6, 1, 2, 1, 1, 2, 0, 0x05, 0x00];
    assert!(heard.iter().all(|datagram| datagram.ends_with(&object)));
}

#[tokio::test(start_paused = true)]
async fn silence_and_an_error_of_authorization_are_a_no() {
    for (community, status) in [("none of them", 0), ("kura", 16)] {
        let agent = Agent::start(community, status).await;
        let (reason, credential, begun) = agent.check(9).await;
        assert_eq!((reason, credential.result.as_str(), begun), (None, "rejected", vec![2, 3]));
    }
}

#[tokio::test(start_paused = true)]
async fn the_cap_holds_for_datagrams_too() {
    let agent = Agent::start("kura-13", 0).await;
    let (reason, credential, begun) = agent.check(1).await;
    assert_eq!((reason.as_deref(), credential.result.as_str(), begun), (Some("capped"), "capped", vec![2]));
    assert_eq!(agent.heard.lock().unwrap().len(), 1);
}

/// An agent of version 1 alone is silent to a handshake: version and make are in what it told in the public
/// community.
#[tokio::test(start_paused = true)]
async fn an_agent_is_asked_in_its_version_and_by_its_make() {
    let mut silent = ProbeResult::new(Check::Handshake, Outcome::Answered, None);
    silent.protocol = Some("snmp".to_owned());
    let mut login = ProbeResult::new(Check::AnonymousLogin, Outcome::Answered, None);
    let told = |accepted, version: &str, descr: &str| {
        Some(Box::new(protocol::Snmp {
            version: version.to_owned(),
            community_accepted: Some(accepted),
            sys_descr: Some(descr.to_owned()),
            ..protocol::Snmp::default()
        }))
    };
    login.records.snmp = told(true, "1", "Kura NAS 4");
    let dictionary = COMMUNITIES.replacen("methods", "vendor = \"kura nas\"\nmethods", 1);
    for (login, begun, version) in [(Some(&login), vec![2, 3], 0), (None, vec![3], 1)] {
        let agent = Agent::start("kura-13", 0).await;
        let (reason, credential, tried) = agent.check_as(&introduced(&silent, login), &dictionary, 9).await;
        assert_eq!((reason, credential.result.as_str(), tried), (None, "accepted", begun));
        let heard = agent.heard.lock().unwrap().clone();
        // A sequence of the version first.
        assert!(heard.iter().all(|datagram| datagram[2..5] == [2, 1, version]), "{heard:?}");
    }
    login.records.snmp = told(false, "2c", "");
    assert_eq!(introduced(&silent, Some(&login)), silent);
}

//! Credential checks against servers in this process, with a journal that servers can look into.

mod door;
mod form;
mod order;
mod snmp;
mod stream;

use std::sync::{Arc, Mutex};

use kenshin_observation::{Check, protocol};
use proptest::prelude::*;

use super::*;
use crate::probe::tests::host::Host;
use crate::probe::tests::settings;

/// Three pairs; the third opens what the tests open.
pub(super) const PAIRS: &str = r#"
[[entries]]
user = "admin"
password = "admin"
[[entries]]
user = "root"
password = "toor-1"
[[entries]]
user = "admin"
password = "検診-pass"
[[entries]]
user = "admin"
password = "never-reached"
"#;

/// Remembers attempts in memory; `cap` of them are allowed.
#[derive(Clone)]
pub(super) struct Journal {
    attempts: Arc<Mutex<Vec<Attempt>>>,
    cap: usize,
}

impl Journal {
    pub(super) fn with_cap(cap: usize) -> Self {
        Self { attempts: Arc::default(), cap }
    }

    /// Entry numbers begun, in order.
    pub(super) fn begun(&self) -> Vec<i32> {
        self.attempts.lock().unwrap().iter().map(|attempt| attempt.entry).collect()
    }
}

impl AttemptJournal for Journal {
    async fn begin(&self, attempt: &Attempt) -> Result<AttemptVerdict, AttemptJournalError> {
        // A durable journal takes its time; nothing may be sent meanwhile.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let mut attempts = self.attempts.lock().unwrap();
        if attempts.contains(attempt) {
            return Ok(AttemptVerdict::AlreadyTried);
        }
        if attempts.len() >= self.cap {
            return Ok(AttemptVerdict::Capped);
        }
        attempts.push(attempt.clone());
        Ok(AttemptVerdict::Allowed)
    }
}

/// The handshake result of a service that takes pairs by `method`.
pub(super) fn handshake(method: Method) -> ProbeResult {
    let mut result = ProbeResult::new(Check::Handshake, kenshin_observation::Outcome::Answered, None);
    let http = |scheme: &str| {
        Box::new(protocol::Http {
            status: 401,
            www_authenticate: Some(format!("{scheme} realm=\"CAM-7\"")),
            ..protocol::Http::default()
        })
    };
    match method {
        Method::Ssh => result.records.ssh = Some(Box::default()),
        Method::Telnet => {
            result.records.telnet =
                Some(Box::new(protocol::Telnet { login_prompt: true, ..protocol::Telnet::default() }));
        }
        Method::Ftp => result.records.ftp = Some(Box::default()),
        Method::HttpBasic => result.records.http = Some(http("Basic")),
        Method::HttpDigest => result.records.http = Some(http("Digest")),
        Method::HttpForm => {
            let page =
                protocol::Http { status: 200, title: Some("CAM-7 login".into()), ..Default::default() };
            result.records.http = Some(Box::new(page));
        }
        Method::Rtsp => {
            let server = Some("Hoshi CAM-7".to_owned());
            result.records.rtsp = Some(Box::new(protocol::Rtsp { server, ..Default::default() }));
        }
        Method::Snmp => result.records.snmp = Some(Box::default()),
    }
    result
}

/// Runs a check and returns its record; also asserts that no password got into the result.
pub(super) async fn check(
    host: &Host,
    method: Method,
    dictionary: &str,
    journal: &Journal,
) -> (ProbeResult, protocol::Credential) {
    check_with(host, method, Dictionary::parse(dictionary).unwrap(), journal).await
}

/// The same with a dictionary that has recipes.
pub(super) async fn check_with(
    host: &Host,
    method: Method,
    dictionary: Dictionary,
    journal: &Journal,
) -> (ProbeResult, protocol::Credential) {
    let settings = settings(&[Check::CredentialCheck]);
    let result = check_credentials(host.endpoint, &handshake(method), &dictionary, journal, host, &settings)
        .await
        .expect("the method applies");
    host.left_alone().await;
    let shown = format!("{result:?}");
    for entry in dictionary.entries() {
        assert!(entry.password.len() < 4 || !shown.contains(&entry.password), "{shown}");
    }
    assert!(host.checks().iter().all(|check| *check == Check::CredentialCheck));
    let credential = *result.records.credential.clone().unwrap();
    assert_eq!(credential.dictionary_sha256, dictionary.sha256());
    assert_eq!(usize::try_from(credential.attempts).unwrap(), journal.begun().len());
    (result, credential)
}

#[test]
fn dictionaries_are_read_or_explained() {
    let dictionary = Dictionary::parse(PAIRS).unwrap();
    assert_eq!((dictionary.entries().len(), dictionary.sha256().len()), (4, 64));
    assert!(!format!("{dictionary:?}").contains("toor"));

    let problem = |text: &str| Dictionary::parse(text).unwrap_err().to_string();
    assert!(problem("").contains("no entries"));
    let wrong = problem("[[entries]]\nuser = \"a\"\npasword = \"hunter2\"\n");
    assert!(wrong.starts_with("line 3") && wrong.contains("hint:") && !wrong.contains("hunter2"), "{wrong}");
    let wrong = problem("[[entries]]\nuser = \"a\"\npassword = hunter2\n");
    assert!(wrong.starts_with("line 3") && !wrong.contains("hunter2"), "{wrong}");
    let wrong = problem("[[entries]]\nuser = \"a\"\npassword = \"b\"\nmethods = [\"hunter2\"]\n");
    assert!(wrong.starts_with("line 4"), "{wrong}");
    let missing = problem("[[entries]]\nuser = \"a\"\n");
    assert!(missing.contains("missing field `password`"), "{missing}");
}

/// A file as it may be: another text altogether, or this one with some of it replaced.
pub(super) fn spoilt(whole: &'static str) -> impl Strategy<Value = String> {
    let noise = || prop_oneof![".{0,40}", "[\\[\\]{}\"'=,.#_\\\\ \n a-f0-9-]{0,40}", "\\[{0,9000}"];
    let chars = whole.chars().count();
    let replaced = (noise(), 0..chars, 0..30usize).prop_map(move |(noise, at, gone)| {
        let (before, after) = (whole.chars().take(at), whole.chars().skip(at + gone));
        before.chain(noise.chars()).chain(after).collect()
    });
    prop_oneof![1 => noise(), 4 => replaced]
}

proptest! {
    /// Whatever a file says, it is read or explained with a line that it has, and without a password of it.
    #[test]
    fn any_dictionary_is_read_or_explained(text in spoilt(PAIRS)) {
        if let Err(error) = Dictionary::parse(&text) {
            let shown = error.to_string();
            prop_assert!(!shown.contains("toor-1") && !shown.contains("never-r"), "{}", shown);
            if let DictionaryError::Syntax { line, .. } = error {
                prop_assert!((1..=1 + text.matches('\n').count()).contains(&line), "{}", shown);
            }
        }
    }
}

/// A parser quotes what it does not understand, and that may be a password.
#[test]
fn messages_about_a_dictionary_hold_no_value_of_it() {
    for (line, problem) in [
        ("password = 123456", "invalid type: integer, expected a string"),
        ("password = 123456.5", "invalid type: floating point, expected a string"),
        ("password = [\"123456\"]", "invalid type: sequence, expected a string"),
        ("password = 123456_000_000_000_000_000_000", ""),
        ("password = 1234-56-78", ""),
        ("password = 123456abc", ""),
        ("password = \"123456\\q\"", ""),
        ("password = 'a'\n'123456' = 1", "unknown field, expected one of"),
        ("password = 'a'\n'123`456' = 1", "unknown field, expected one of"),
        ("password = 'a'\n123456 = 1\n123456 = 2", ""),
        ("password = 'a'\nmethods = \"123456\"", "invalid type: string, expected a sequence"),
        ("password = 'a'\nmethods = \"12`34, expected 56\"", "invalid type: string, expected a sequence"),
        ("password = 'a'\nmethods = [\"123456\"]", "unknown variant, expected one of `ssh`"),
    ] {
        let wrong = Dictionary::parse(&format!("[[entries]]\nuser = 'b'\n{line}\n")).unwrap_err().to_string();
        let silent = ["1234", "3456", "`34", "56\""].iter().all(|part| !wrong.contains(part));
        assert!(silent && wrong.contains(problem), "{line}: {wrong}");
    }
}

#[test]
fn entries_are_tried_where_they_fit() {
    let dictionary = Dictionary::parse(
        "[[entries]]\nuser='a'\npassword='b'\nvendor='CAM'\nmethods=['http-basic','http-digest']\n[[entries]]\nuser='a'\npassword='b'\nproduct='other'\n",
    )
    .unwrap();
    let [camera, other] = dictionary.entries() else { panic!() };
    let evidence = evidence(&handshake(Method::HttpBasic));
    assert!(camera.fits(Method::HttpBasic, &evidence));
    assert!(!camera.fits(Method::Telnet, &evidence));
    assert!(!other.fits(Method::HttpBasic, &evidence));
}

#[test]
fn methods_follow_from_the_handshake() {
    use Method::{Ftp, HttpBasic, HttpDigest, Rtsp, Snmp, Ssh, Telnet};
    for method in [Ssh, Telnet, Ftp, HttpBasic, HttpDigest, Rtsp, Snmp] {
        assert_eq!(Method::of(&handshake(method), &Recipes::default()), Some(method));
    }
    let mut open = handshake(Method::HttpBasic);
    open.records.http.as_mut().unwrap().status = 200;
    assert_eq!(Method::of(&open, &Recipes::default()), None);
    let mut shell = handshake(Method::Telnet);
    shell.records.telnet.as_mut().unwrap().shell_prompt = true;
    assert_eq!(Method::of(&shell, &Recipes::default()), None);
}

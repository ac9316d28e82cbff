//! Journal, caps, lockout and repetition, on a Telnet that can be told how to behave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kenshin_observation::Outcome;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::super::Method;
use super::{Journal, PAIRS, check};
use crate::probe::tests::host::{Host, until};

/// What the service does with the attempt of this number (from 1, over all connections).
type Behaviour = fn(u32) -> Act;

enum Act {
    Reject,
    RejectAfter(u64),
    Accept,
    Say(&'static str),
    HangUp,
}

/// A Telnet login whose third pair is right unless `behaviour` says otherwise. Before it reads a
/// password it checks that the journal knows of the attempt.
async fn telnet(journal: &Journal, behaviour: Behaviour) -> (Host, Arc<Mutex<Vec<String>>>) {
    let said = Arc::new(Mutex::new(Vec::new()));
    let (heard, journal) = (Arc::clone(&said), journal.clone());
    let host = Host::start(move |_, mut stream| {
        let (heard, journal) = (Arc::clone(&heard), journal.clone());
        async move {
            stream.write_all(b"\xff\xfb\x01\xff\xfb\x03\r\nDVR-16\r\n").await.unwrap();
            loop {
                stream.write_all(b"login: ").await.unwrap();
                let Some(user) = until(&mut stream, b"\r\0").await else { return };
                let tried = heard.lock().unwrap().len();
                assert_eq!(journal.begun().len(), tried + 1, "a pair was sent that no journal knows of");
                stream.write_all(b"Password: ").await.unwrap();
                let Some(password) = until(&mut stream, b"\r\0").await else { return };
                let pair = [user, password].concat();
                let pair: Vec<u8> =
                    pair.into_iter().filter(|byte| (0x20..0xf0).contains(byte) || *byte == b'\r').collect();
                heard.lock().unwrap().push(String::from_utf8_lossy(&pair).replace('\r', " "));
                match behaviour(tried as u32 + 1) {
                    Act::Reject => stream.write_all(b"\r\nLogin incorrect\r\n").await.unwrap(),
                    Act::RejectAfter(seconds) => {
                        sleep(Duration::from_secs(seconds)).await;
                        stream.write_all(b"\r\nLogin incorrect\r\n").await.unwrap();
                    }
                    Act::Say(words) => {
                        stream.write_all(words.as_bytes()).await.unwrap();
                        until(&mut stream, b"\0\0\0\0").await;
                        return;
                    }
                    Act::Accept => {
                        stream.write_all(b"\r\n\r\nBusyBox v1.12\r\n# ").await.unwrap();
                        let after = until(&mut stream, b"\0\0\0\0").await;
                        assert_eq!(after, None, "a command was sent");
                        return;
                    }
                    Act::HangUp => return,
                }
            }
        }
    })
    .await;
    (host, said)
}

#[tokio::test(start_paused = true)]
async fn it_stops_at_the_first_success() {
    let journal = Journal::with_cap(10);
    let (host, said) = telnet(&journal, |number| if number == 3 { Act::Accept } else { Act::Reject }).await;
    let (result, credential) = check(&host, Method::Telnet, PAIRS, &journal).await;
    assert_eq!((credential.result.as_str(), credential.entry), ("accepted", Some(3)));
    assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Answered, None));
    assert_eq!(said.lock().unwrap().len(), 3);
    assert_eq!(journal.begun(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_every_pair_is_rejected() {
    let journal = Journal::with_cap(10);
    let (host, said) = telnet(&journal, |_| Act::Reject).await;
    let (result, credential) = check(&host, Method::Telnet, PAIRS, &journal).await;
    assert_eq!(
        (credential.result.as_str(), credential.entry, credential.attempts),
        ("rejected", None, 4),
        "{result:?}"
    );
    assert_eq!(result.outcome, Outcome::Answered);
    assert_eq!(said.lock().unwrap()[0], "admin admin ");
    // Three attempts over one connection, then another.
    assert_eq!(host.connections(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_up_on_each_pair_is_asked_again() {
    let journal = Journal::with_cap(10);
    let (host, _) = telnet(&journal, |number| if number == 3 { Act::Accept } else { Act::HangUp }).await;
    let (_, credential) = check(&host, Method::Telnet, PAIRS, &journal).await;
    assert_eq!((credential.result.as_str(), credential.entry), ("accepted", Some(3)));
    assert_eq!(host.connections(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_cap_holds() {
    let journal = Journal::with_cap(2);
    let (host, said) = telnet(&journal, |_| Act::Reject).await;
    let (result, credential) = check(&host, Method::Telnet, PAIRS, &journal).await;
    assert_eq!((credential.result.as_str(), credential.attempts), ("capped", 2));
    assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some("capped")));
    assert_eq!(said.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn signs_of_lockout_stop_it() {
    for (behaviour, attempts, reason) in [
        ((|_| Act::Say("\r\nToo many failures, account locked\r\n")) as Behaviour, 1, "lockout"),
        (|_| Act::Say("\r\nしばらくしてからお試しください\r\n"), 1, "delay"),
        // It answered before, and says nothing more now.
        (|number| if number == 1 { Act::Reject } else { Act::Say("\r\n") }, 2, "delay"),
        (|number| if number == 1 { Act::Reject } else { Act::RejectAfter(5) }, 2, "delay"),
    ] {
        let journal = Journal::with_cap(10);
        let (host, said) = telnet(&journal, behaviour).await;
        let (result, credential) = check(&host, Method::Telnet, PAIRS, &journal).await;
        assert_eq!((credential.result.as_str(), credential.attempts), ("locked-out", attempts), "{reason}");
        assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some(reason)));
        assert_eq!(said.lock().unwrap().len(), usize::try_from(attempts).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_steady_delay_is_no_sign_of_lockout() {
    let journal = Journal::with_cap(10);
    let (host, _) = telnet(&journal, |_| Act::RejectAfter(3)).await;
    let (_, credential) = check(&host, Method::Telnet, PAIRS, &journal).await;
    assert_eq!((credential.result.as_str(), credential.attempts), ("rejected", 4));
}

/// Whether a word that no list has is a prompt, a long silence shows; the second time it is known, also of
/// a console that stops in the middle of a word.
#[tokio::test(start_paused = true)]
async fn a_prompt_in_unknown_words_is_waited_for_once() {
    let journal = Journal::with_cap(10);
    let host = Host::start(|_, mut stream| async move {
        let halting = async |stream: &mut tokio::net::TcpStream, halves: [&[u8]; 2]| {
            stream.write_all(halves[0]).await.unwrap();
            sleep(Duration::from_secs(1)).await;
            stream.write_all(halves[1]).await.unwrap();
            until(stream, b"\r\n").await.is_some()
        };
        while halting(&mut stream, [b"Hlid\r\nNa", b"fn? "]).await
            && halting(&mut stream, [b"Ley", b"nd? "]).await
        {
            stream.write_all(b"\r\nNei.\r\n").await.unwrap();
        }
    })
    .await;
    let began = tokio::time::Instant::now();
    let (_, credential) = check(&host, Method::Telnet, PAIRS, &journal).await;
    assert_eq!((credential.result.as_str(), credential.attempts), ("rejected", 4));
    assert_eq!(host.connections(), 2);
    // Ten turns of the console's own second: two silences of six seconds, and eight short ones.
    let waited = began.elapsed() - Duration::from_secs(10);
    assert!((12..17).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn to_be_turned_away_after_an_attempt_is_lockout() {
    let journal = Journal::with_cap(10);
    let (host, _) = telnet(&journal, |_| Act::HangUp).await;
    let (result, credential) = check(&host.refusing_after(2), Method::Telnet, PAIRS, &journal).await;
    assert_eq!((credential.result.as_str(), credential.attempts), ("locked-out", 2));
    assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some("lockout")));
}

#[tokio::test(start_paused = true)]
async fn to_be_turned_away_before_any_attempt_is_not() {
    let journal = Journal::with_cap(10);
    let (host, _) = telnet(&journal, |_| Act::Reject).await;
    let (result, credential) = check(&host.refusing_after(0), Method::Telnet, PAIRS, &journal).await;
    assert_eq!((credential.result.as_str(), credential.attempts), ("interrupted", 0));
    assert_eq!(result.reason.as_deref(), Some("refused"));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_never_repeated() {
    let journal = Journal::with_cap(10);
    let (host, said) = telnet(&journal, |_| Act::Reject).await;
    check(&host, Method::Telnet, PAIRS, &journal).await;
    assert_eq!(said.lock().unwrap().len(), 4);

    // A second run, as after a crash: nothing is sent, and nothing is claimed.
    let dictionary = super::Dictionary::parse(PAIRS).unwrap();
    let settings = crate::probe::tests::settings(&[kenshin_observation::Check::CredentialCheck]);
    let handshake = super::handshake(Method::Telnet);
    let again =
        super::check_credentials(host.endpoint, &handshake, &dictionary, &journal, &host, &settings).await;
    let again = again.unwrap();
    assert_eq!(again.reason.as_deref(), Some("already-tried"));
    let credential = again.records.credential.unwrap();
    assert_eq!((credential.result.as_str(), credential.attempts), ("interrupted", 0));
    assert_eq!((said.lock().unwrap().len(), journal.begun().len()), (4, 4));
}

/// A run that ended after its first pair may have been let in, or locked out: the next says nothing more.
#[tokio::test(start_paused = true)]
async fn nothing_follows_an_attempt_whose_end_is_not_known() {
    let journal = Journal::with_cap(10);
    let (host, said) = telnet(&journal, |_| Act::Reject).await;
    let dictionary = super::Dictionary::parse(PAIRS).unwrap();
    let before = super::Attempt {
        device: format!("addr:{}", host.endpoint.addr),
        endpoint: host.endpoint,
        method: Method::Telnet,
        dictionary_sha256: dictionary.sha256().to_owned(),
        entry: 1,
    };
    super::AttemptJournal::begin(&journal, &before).await.unwrap();
    let settings = crate::probe::tests::settings(&[kenshin_observation::Check::CredentialCheck]);
    let handshake = super::handshake(Method::Telnet);
    let result =
        super::check_credentials(host.endpoint, &handshake, &dictionary, &journal, &host, &settings).await;
    let result = result.unwrap();
    assert_eq!((result.outcome, result.reason.as_deref()), (Outcome::Limited, Some("already-tried")));
    let credential = result.records.credential.unwrap();
    assert_eq!((credential.result.as_str(), credential.attempts), ("interrupted", 0));
    assert_eq!((said.lock().unwrap().len(), journal.begun()), (0, vec![1]));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_tried_without_a_grant() {
    let journal = Journal::with_cap(10);
    let (host, _) = telnet(&journal, |_| Act::Reject).await;
    let dictionary = super::Dictionary::parse(PAIRS).unwrap();
    let handshake = super::handshake(Method::Telnet);
    let granted = crate::probe::tests::settings(&[kenshin_observation::Check::CredentialCheck]);
    let listen_only = crate::probe::ProbeSettings { listen_only: true, ..granted };
    for settings in [crate::probe::tests::settings(&[kenshin_observation::Check::Handshake]), listen_only] {
        let result =
            super::check_credentials(host.endpoint, &handshake, &dictionary, &journal, &host, &settings)
                .await;
        assert_eq!(result, None);
    }
    assert_eq!((host.connections(), journal.begun().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_second_factor_is_not_taken_for_success() {
    for (words, reason) in [
        ("\r\nVerification code: ", "second-factor"),
        ("\r\nOTP: ", "second-factor"),
        ("\r\n確認コード：", "second-factor"),
        ("\r\nVerifying...", "prompt"),
    ] {
        let journal = Journal::with_cap(10);
        let host = Host::start(move |_, mut stream| async move {
            stream.write_all(b"login: ").await.unwrap();
            until(&mut stream, b"\r\n").await.unwrap();
            stream.write_all(b"Password: ").await.unwrap();
            until(&mut stream, b"\r\n").await.unwrap();
            stream.write_all(words.as_bytes()).await.unwrap();
            until(&mut stream, b"\0\0\0\0").await;
        })
        .await;
        let (result, credential) = check(&host, Method::Telnet, PAIRS, &journal).await;
        assert_eq!((credential.result.as_str(), credential.attempts), ("interrupted", 1), "{words}");
        assert_eq!(result.reason.as_deref(), Some(reason));
    }
}

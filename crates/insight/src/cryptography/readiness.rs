//! Whether a key exchange would hold against a computer that breaks those of today: what is recorded
//! now can be read then.

use kenshin_observation::protocol::{LIST_MAX, Records, Ssh, Tls};
use kenshin_observation::words;

use super::version;

words!(
    /// Readiness for post-quantum key exchange.
    Readiness, "readiness" {
        /// A hybrid key exchange is offered.
        Offered = "offered",
        /// It was asked for or listed, and is not there.
        NotOffered = "not-offered",
        /// Never measured.
        Unknown = "not-known",
    }
);

/// What names of post-quantum methods of SSH hold: ML-KEM (draft-ietf-sshm-mlkem-hybrid-kex),
/// Streamlined NTRU Prime, and Kyber of the time before.
const SSH: &[&str] = &["mlkem", "sntrup", "kyber"];

/// The same of TLS groups (draft-ietf-tls-ecdhe-mlkem); Kyber drafts have no name at IANA.
const TLS: &[&str] = &["MLKEM", "0x6399", "0x639a"];

/// How ready the service is that one conversation was with; `None` when it was neither SSH nor TLS.
pub fn readiness(records: &Records) -> Option<Readiness> {
    match (&records.ssh, &records.tls) {
        (Some(ssh), _) => Some(of_ssh(ssh)),
        (None, Some(tls)) => Some(of_tls(tls)),
        (None, None) => None,
    }
}

fn of_ssh(ssh: &Ssh) -> Readiness {
    let offered = ssh.kex.iter().any(|name| SSH.iter().any(|part| name.contains(part)));
    match (offered, ssh.kex.len()) {
        (true, _) => Readiness::Offered,
        // A list that may have been cut tells nothing of its end.
        (false, 0 | LIST_MAX..) => Readiness::Unknown,
        (false, _) => Readiness::NotOffered,
    }
}

/// A server that was offered a hybrid group and chose another, or a version that knows none, does not
/// offer it. What it would choose without having been offered it is not known.
fn of_tls(tls: &Tls) -> Readiness {
    let hybrid = |group: &str| TLS.iter().any(|part| group.contains(part));
    match (&tls.group, version(&tls.version)) {
        (Some(group), _) if hybrid(group) => Readiness::Offered,
        _ if tls.hybrid_offered != Some(true) => Readiness::Unknown,
        (Some(_), Some(_)) => Readiness::NotOffered,
        (None, Some(version)) if version < (1, 3) => Readiness::NotOffered,
        _ => Readiness::Unknown,
    }
}

//! SSH: what a server offers before anything is agreed (RFC 4253 §7.1).

use kenshin_observation::Severity;
use kenshin_observation::protocol::Ssh;

use super::{Aspect, Weak, small};

/// Key exchanges that RFC 9142 forbids or advises against: groups of 1024 bits, and groups that
/// only SHA-1 vouches for.
const KEX: &[&str] = &["diffie-hellman-group1-sha1", "diffie-hellman-group-exchange-sha1", "rsa1024-sha1"];

/// Host keys of DSA have 1024 bits.
const HOST_KEYS: &[&str] = &["ssh-dss", "x509v3-ssh-dss", "x509v3-sign-dss"];

/// RFC 8758 (RC4), blocks of 64 bits, or nothing at all.
const CIPHERS: &[&str] = &[
    "arcfour",
    "arcfour128",
    "arcfour256",
    "des-cbc",
    "des-cbc@ssh.com",
    "3des-cbc",
    "3des-ctr",
    "blowfish-cbc",
    "blowfish-ctr",
    "cast128-cbc",
    "cast128-ctr",
    "idea-cbc",
    "none",
];

/// MD5 (RFC 6151), or nothing at all.
const MACS: &[&str] =
    &["hmac-md5", "hmac-md5-96", "hmac-md5-etm@openssh.com", "hmac-md5-96-etm@openssh.com", "none"];

/// Names in a list of key exchanges that are none, but signals.
const SIGNALS: &[&str] = &["kexguess2@matt.ucc.asn.au", "ext-info-s", "kex-strict-s-v00@openssh.com"];

/// One list of a KEXINIT: field, what of it is obsolete, its names.
struct List<'a> {
    field: &'static str,
    obsolete: &'static [&'static str],
    names: &'a [String],
}

fn lists(ssh: &Ssh) -> [List<'_>; 6] {
    let list = |field, obsolete, names| List { field, obsolete, names };
    [
        list("ssh.kex", KEX, &ssh.kex),
        list("ssh.host_key_algorithms", HOST_KEYS, &ssh.host_key_algorithms),
        list("ssh.ciphers_client_to_server", CIPHERS, &ssh.ciphers_client_to_server),
        list("ssh.ciphers_server_to_client", CIPHERS, &ssh.ciphers_server_to_client),
        list("ssh.macs_client_to_server", MACS, &ssh.macs_client_to_server),
        list("ssh.macs_server_to_client", MACS, &ssh.macs_server_to_client),
    ]
}

impl List<'_> {
    fn methods(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str).filter(|name| !SIGNALS.contains(name) && !name.is_empty())
    }

    /// Nothing better is offered.
    fn hopeless(&self) -> bool {
        self.methods().next().is_some() && self.methods().all(|name| self.obsolete.contains(&name))
    }
}

pub(crate) fn weaknesses(ssh: &Ssh) -> Vec<Weak> {
    let mut weak = Vec::new();
    if ssh.banner.starts_with("SSH-1.") {
        let version: String = ssh.banner.chars().take_while(|c| !c.is_whitespace()).take(8).collect();
        weak.push(Weak::new(Aspect::Protocol, Severity::High, version, "ssh.banner", &ssh.banner));
    }
    let mut said: Vec<String> = Vec::new();
    for list in lists(ssh).iter().filter(|list| list.hopeless()) {
        let names = list.methods().collect::<Vec<_>>().join(",");
        // Both directions have as a rule one list.
        if !said.contains(&names) {
            weak.push(Weak::new(Aspect::Algorithm, Severity::Medium, &names, list.field, &names));
            said.push(names);
        }
    }
    let algorithm = ssh.host_key_algorithm.as_deref().unwrap_or_default();
    let family = if algorithm.contains("rsa") { "rsa" } else { "" };
    weak.extend(small(family, ssh.host_key_bits, "ssh.host_key_bits"));
    weak
}

pub(super) fn measured(ssh: &Ssh) -> Vec<Aspect> {
    let mut measured = Vec::new();
    if ssh.banner.starts_with("SSH-") {
        measured.push(Aspect::Protocol);
    }
    if !ssh.kex.is_empty() {
        measured.push(Aspect::Algorithm);
    }
    if ssh.host_key_bits.is_some() {
        measured.push(Aspect::Size);
    }
    measured
}

/// Obsolete algorithms that a server offers, whether or not it has better ones, in its order.
pub fn obsolete_offers(ssh: &Ssh) -> Vec<&str> {
    let mut offers: Vec<&str> = Vec::new();
    for list in [
        (KEX, &ssh.kex),
        (HOST_KEYS, &ssh.host_key_algorithms),
        (CIPHERS, &ssh.ciphers_client_to_server),
        (CIPHERS, &ssh.ciphers_server_to_client),
        (MACS, &ssh.macs_client_to_server),
        (MACS, &ssh.macs_server_to_client),
    ] {
        let (obsolete, names) = list;
        for name in names.iter().map(String::as_str).filter(|name| obsolete.contains(name)) {
            if !offers.contains(&name) {
                offers.push(name);
            }
        }
    }
    offers
}

//! Keys as GnuPG makes them: what providers really have.

#![expect(clippy::disallowed_methods, reason = "the test starts the program it works with")]

use std::path::Path;
use std::process::{Command, Output};

use kenshin_casework::openpgp::{self, KeyError, SeededRng};
use kenshin_observation::TimeUs;

use crate::world::DAY;

struct Gpg {
    home: tempfile::TempDir,
}

impl Gpg {
    /// `None`, said by name, where it is not installed.
    fn new(test: &str) -> Option<Self> {
        // In /tmp: the path of its agent's socket must be short.
        let gpg = Self { home: tempfile::Builder::new().prefix("kenshin-gpg").tempdir_in("/tmp").unwrap() };
        if Command::new("gpg").arg("--version").output().is_err() {
            eprintln!("{test}: SKIPPED: gpg is not installed");
            return None;
        }
        Some(gpg)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let fixed = ["--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""];
        let output = Command::new("gpg")
            .arg("--homedir")
            .arg(self.home.path())
            .args(fixed)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn generate(&self, name: &str, algorithm: &str, usage: &str, expires: &str) -> String {
        self.run(&["--quick-gen-key", name, algorithm, usage, expires]);
        self.export(name)
    }

    fn export(&self, name: &str) -> String {
        String::from_utf8(self.run(&["--armor", "--export", name]).stdout).unwrap()
    }

    /// When the newest key of this name was made: GnuPG has a clock of its own.
    fn made(&self, name: &str) -> TimeUs {
        let listed = String::from_utf8(self.run(&["--with-colons", "--list-keys", name]).stdout).unwrap();
        let line = listed.lines().find(|line| line.starts_with("pub:")).unwrap();
        TimeUs::from_secs(line.split(':').nth(5).unwrap().parse().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ =
            Command::new("gpgconf").arg("--homedir").arg(self.home.path()).args(["--kill", "all"]).status();
    }
}

#[test]
fn mail_to_keys_made_by_gpg_is_read_by_gpg() {
    let Some(gpg) = Gpg::new("mail_to_keys_made_by_gpg_is_read_by_gpg") else { return };
    for (name, algorithm) in [("curve@example.net", "future-default"), ("rsa@example.net", "rsa2048")] {
        let mut usage = "default";
        if algorithm == "rsa2048" {
            usage = "encrypt,sign";
        }
        let key = gpg.generate(name, algorithm, usage, "never");
        openpgp::check_recipient(&key).unwrap();
        let text = format!("secret for {name}\r\n");
        let sealed =
            openpgp::encrypt(&key, text.as_bytes(), gpg.made(name), SeededRng::new([9; 32])).unwrap();
        let again = openpgp::encrypt(&key, text.as_bytes(), gpg.made(name), SeededRng::new([8; 32])).unwrap();
        assert_ne!(sealed, again, "another seed, another session key");
        let opened = gpg.run(&["--decrypt", &gpg.file("mail.asc", &sealed)]);
        assert_eq!(String::from_utf8(opened.stdout).unwrap(), text);
    }
}

#[test]
fn keys_that_cannot_or_may_not_be_used_are_refused() {
    let Some(gpg) = Gpg::new("keys_that_cannot_or_may_not_be_used_are_refused") else { return };
    let now = |name: &str| gpg.made(name);
    let seal = |key: &str, now: TimeUs| openpgp::encrypt(key, b"x", now, SeededRng::new([9; 32]));

    let signs = gpg.generate("signs@example.net", "ed25519", "sign", "never");
    assert!(matches!(openpgp::check_recipient(&signs), Err(KeyError::NoEncryption)));

    let expires = gpg.generate("expires@example.net", "future-default", "default", "1d");
    openpgp::check_recipient(&expires).unwrap();
    assert!(seal(&expires, now("expires@example.net").plus_secs(DAY / 2)).is_ok());
    assert!(matches!(
        seal(&expires, now("expires@example.net").plus_secs(2 * DAY)),
        Err(KeyError::NoEncryption)
    ));

    gpg.generate("revoked@example.net", "future-default", "default", "never");
    gpg.run(&[
        "--import",
        &gpg.file("revocation.asc", &revocation(gpg.home.path(), "revoked@example.net", &gpg)),
    ]);
    let revoked = gpg.export("revoked@example.net");
    assert!(matches!(openpgp::check_recipient(&revoked), Err(KeyError::Revoked)));

    for nonsense in [
        "",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nnonsense\n-----END PGP PUBLIC KEY BLOCK-----\n",
        "\0\0\0",
    ] {
        assert!(matches!(openpgp::check_recipient(nonsense), Err(KeyError::Syntax(_))), "{nonsense:?}");
    }
    // Two keys mixed: the subkey of one under the other's primary does not hold.
    let tampered = expires.replacen('A', "B", 40);
    assert!(openpgp::check_recipient(&tampered).is_err());
}

/// The revocation GnuPG prepares with each key, made usable as its own text says.
fn revocation(home: &Path, name: &str, gpg: &Gpg) -> String {
    let listed = String::from_utf8(gpg.run(&["--with-colons", "--list-keys", name]).stdout).unwrap();
    let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
    let fingerprint = line.split(':').nth(9).unwrap();
    let text = std::fs::read_to_string(home.join(format!("openpgp-revocs.d/{fingerprint}.rev"))).unwrap();
    text.replace(":-----BEGIN", "-----BEGIN")
}

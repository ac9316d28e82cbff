//! With the real `ssh-keygen`, where it is installed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use kenshin_mandate::signature::MANDATE_NAMESPACE;
use kenshin_mandate::{SignerKey, TrustRoots, template, verify};

use crate::support::{AUTHORITY, noon, options};

/// Runs `ssh-keygen`; `None` when it is not installed.
fn ssh_keygen(dir: &Path, args: &[&str], input: &str) -> Option<(bool, String)> {
    #[expect(clippy::disallowed_methods, reason = "the test is about this very program")]
    let command = Command::new("ssh-keygen")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match command {
        Ok(child) => child,
        Err(_) => {
            eprintln!("skipped: ssh-keygen is not installed");
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn we_verify_what_ssh_keygen_signs() {
    let dir = tempfile::tempdir().unwrap();
    let text = template(&options());
    fs::write(dir.path().join("m.toml"), &text).unwrap();
    for (kind, more) in [("ed25519", vec![]), ("rsa", vec!["-b", "3072"]), ("ecdsa", vec!["-b", "256"])] {
        let make = [&["-q", "-t", kind, "-N", "", "-C", "a person", "-f", kind], more.as_slice()].concat();
        let Some((made, said)) = ssh_keygen(dir.path(), &make, "") else { return };
        assert!(made, "{said}");
        let sign = ["-Y", "sign", "-n", MANDATE_NAMESPACE, "-f", kind];
        // From stdin, so that the signature comes on stdout.
        let (signed, signature) = ssh_keygen(dir.path(), &sign, &text).unwrap();
        assert!(signed, "{signature}");
        let signature = &signature[signature.find("-----BEGIN").unwrap()..];
        let signature = &signature[..signature.rfind("-----END SSH SIGNATURE-----").unwrap() + 27];
        let public = fs::read_to_string(dir.path().join(format!("{kind}.pub"))).unwrap();
        let roots = TrustRoots::parse("allowed_signers", &format!("{AUTHORITY} {public}")).unwrap();
        let mandate =
            verify("m.toml", &text, &[signature], &roots, noon()).unwrap_or_else(|e| panic!("{kind}: {e}"));
        assert_eq!(mandate.signers()[0].principals, [AUTHORITY]);
        let (_, listed) = ssh_keygen(dir.path(), &["-l", "-f", &format!("{kind}.pub")], "").unwrap();
        assert!(listed.contains(&mandate.signers()[0].fingerprint), "{listed}");
    }
}

#[test]
fn ssh_keygen_verifies_what_we_sign() {
    let dir = tempfile::tempdir().unwrap();
    let text = template(&options());
    let file = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    // A key that ssh-keygen made and encrypted, read by us.
    let make = ["-q", "-t", "ed25519", "-N", "a long passphrase", "-f", "person"];
    let Some((made, said)) = ssh_keygen(dir.path(), &make, "") else { return };
    assert!(made, "{said}");
    let pem = fs::read_to_string(dir.path().join("person")).unwrap();
    assert!(SignerKey::from_openssh(&pem, None).is_err());
    assert!(SignerKey::from_openssh(&pem, Some("another")).is_err());
    let key = SignerKey::from_openssh(&pem, Some("a long passphrase")).unwrap();

    file("m.toml.sig", &key.sign(&text, MANDATE_NAMESPACE).unwrap());
    file("allowed_signers", &key.allowed_signers_line(AUTHORITY, &[MANDATE_NAMESPACE]));
    let verify = [
        "-Y",
        "verify",
        "-f",
        "allowed_signers",
        "-I",
        AUTHORITY,
        "-n",
        MANDATE_NAMESPACE,
        "-s",
        "m.toml.sig",
    ];
    let (good, said) = ssh_keygen(dir.path(), &verify, &text).unwrap();
    assert!(good && said.contains("Good"), "{said}");
    let (good, _) = ssh_keygen(dir.path(), &verify, &format!("{text} ")).unwrap();
    assert!(!good);
}

#[test]
fn ssh_keygen_reads_the_keys_we_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    fs::write(&path, SignerKey::from_seed(&[5; 32], "thrown away").to_openssh()).unwrap();
    let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600);
    fs::set_permissions(&path, mode).unwrap();
    let Some((read, public)) = ssh_keygen(dir.path(), &["-y", "-f", "key"], "") else { return };
    assert!(read, "{public}");
    assert_eq!(public.trim(), SignerKey::from_seed(&[5; 32], "thrown away").public_line());
}

//! What an operator does before the first survey, by the commands of the handbook.

#![expect(clippy::disallowed_methods, reason = "keys are made as the operator makes them")]

use std::path::Path;
use std::process::Command;

use kenshin_mandate::{TemplateOptions, template};
use kenshin_observation::Check;
use serde_json::Value;

use crate::namespace::now;
use crate::process::expect;

const AUTHORITY: &str = "authority@example.jp";

/// A home with a mandate that two people signed, a fresh list of what is revoked, and a dictionary.
/// `terms` says for what the mandate is; it grants every check that the first circle needs.
pub(crate) fn found(home: &Path, dictionary: &str, terms: impl FnOnce(&mut TemplateOptions)) {
    let made = expect(home, 0, &["init", "--organisation", "Example CSIRT", "--format", "json"]);
    let settings = home.join("kenshin.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("# dictionary = ", "dictionary = ")).unwrap();
    std::fs::write(home.join("dictionary.toml"), dictionary).unwrap();

    let signers = [AUTHORITY, "second@example.jp"].map(|principal| (principal, home.join(principal)));
    let roots = signers.clone().map(|(principal, key)| {
        let args = ["-q", "-t", "ed25519", "-N", "", "-C", principal, "-f", key.to_str().unwrap()];
        assert!(Command::new("ssh-keygen").args(args).status().unwrap().success());
        let public = std::fs::read_to_string(key.with_added_extension("pub")).unwrap();
        format!("{principal} {public}")
    });
    std::fs::write(home.join("mandates/allowed_signers"), roots.concat()).unwrap();
    let draft = home.join("draft.toml");
    std::fs::write(&draft, mandate(&serde_json::from_str(&made).unwrap(), terms)).unwrap();
    let draft = draft.to_str().unwrap();
    for (_, key) in &signers {
        expect(home, 0, &["mandate", "sign", draft, "--key", key.to_str().unwrap()]);
    }
    expect(home, 0, &["mandate", "add", draft]);
    let key = signers[0].1.to_str().unwrap();
    expect(home, 0, &["mandate", "renew", "--authority", AUTHORITY, "--key", key]);
}

fn mandate(made: &Value, terms: impl FnOnce(&mut TemplateOptions)) -> String {
    let mut options = TemplateOptions::example();
    options.authority = AUTHORITY.to_owned();
    (options.valid_from, options.valid_until) = (now().plus_secs(-3_600), now().plus_secs(86_400));
    options.special_reason = "a network that a test made".to_owned();
    options.exclusions.clear();
    options.checks =
        vec![Check::Sweep, Check::Banner, Check::Handshake, Check::AnonymousLogin, Check::CredentialCheck];
    options.signers_required = 2;
    (options.rate.whole_pps, options.rate.whole_burst) = (20_000, 2_000);
    (options.rate.per_prefix.pps, options.rate.per_prefix.burst) = (20_000, 2_000);
    (options.rate.per_address.per_minute, options.rate.per_address.burst) = (6_000, 200);
    options.revocation_list = "revocations.toml".to_owned();
    let sensor = &mut options.sensors[0];
    sensor.id = made["sensor_id"].as_str().unwrap().parse().unwrap();
    let key = hex::decode(made["sensor_public_key"].as_str().unwrap()).unwrap();
    sensor.public_key = ed25519_dalek::VerifyingKey::from_bytes(&key.try_into().unwrap()).unwrap();
    terms(&mut options);
    template(&options)
}

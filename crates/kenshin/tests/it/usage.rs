//! Bad input gets a clear error that names file, line and way out, exit code 2, and nothing is lost.

use crate::process::{expect, expect_error};

#[test]
fn errors_say_whose_turn_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    assert!(expect_error(&home, 2, &["survey", "list"]).contains("hint: run `kenshin init`"));
    assert!(expect_error(&home, 2, &["no-such-command"]).contains("unrecognized subcommand"));
    assert!(expect(&home, 0, &["--help"]).contains("kenshin demo"));
    assert!(expect(&home, 0, &["--version"]).starts_with("kenshin "));
    let made = expect(&home, 0, &["init", "--organisation", "Example CSIRT", "--quiet"]);
    assert!(made.contains("password"), "{made}");
    assert!(
        expect_error(&home, 2, &["init", "--organisation", "Example CSIRT"])
            .contains("there is a home already")
    );
    expect(&home, 1, &["survey", "list"]);
    expect(&home, 1, &["finding", "list"]);
    expect(&home, 1, &["asset", "list"]);
    let nobody = "01J00000000000000000000000";
    for command in [["asset", "show"], ["survey", "show"], ["survey", "resume"], ["case", "show"]] {
        assert!(expect_error(&home, 1, &[command[0], command[1], nobody]).contains(nobody));
    }
    assert!(expect_error(&home, 2, &["asset", "list", "--at", "nonsense"]).contains("192.0.2.0/24"));
    assert!(expect_error(&home, 2, &["mandate", "check", "nowhere.toml"]).contains("nowhere.toml"));
    assert!(
        expect_error(&home, 2, &["survey", "run", "--mandate", "none"])
            .contains("there is no mandate `none`")
    );
    assert!(expect_error(&home, 2, &["sql", "SELEKT 1"]).contains("cannot be answered"));
    let error = expect_error(&home, 2, &["search", "port:23 contry:JP"]);
    assert!(
        error.contains("port:23 contry:JP\n        ^^^^^^") && error.contains("did you mean `country`?"),
        "{error}"
    );
    let counts = expect(&home, 1, &["search", "--count", "--format", "csv"]);
    assert_eq!(counts, "SERVICES,HOSTS\n0,0\n");
    let counts = expect(&home, 1, &["search", "--facet", "port", "--format", "csv"]);
    assert_eq!(counts, "FIELD,VALUE,SERVICES\n");
    for count in ["--count", "--facet=port"] {
        let error = expect_error(&home, 2, &["search", count, "--format", "parquet"]);
        assert!(error.contains("counts are not written as Parquet") && error.contains("csv"), "{error}");
    }
    assert!(expect_error(&home, 2, &["provider", "import", "nowhere.csv"]).contains("nowhere.csv"));

    let settings = home.join("kenshin.toml");
    let good = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, good.replace("[mail]", "[mail]\nspeed = 1")).unwrap();
    let error = expect_error(&home, 2, &["doctor"]);
    assert!(error.contains("kenshin.toml:") && error.contains("unknown field `speed`"), "{error}");
    std::fs::write(&settings, good).unwrap();

    let providers = folder.path().join("providers.csv");
    std::fs::write(
        &providers,
        "prefix_or_asn,name,mail,language,encryption\n203.0.113.1/24,A,a@example.net,en,link-only\n",
    )
    .unwrap();
    let error = expect_error(&home, 2, &["provider", "import", providers.to_str().unwrap()]);
    assert!(error.contains("providers.csv:2:1") && error.contains("203.0.113.0/24"), "{error}");
}

/// A mandate from template to survey plan, as the README shows it.
#[test]
fn a_mandate_is_written_signed_checked_and_planned() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    expect(&home, 0, &["init", "--organisation", "Example CSIRT"]);
    let path = folder.path().join("mine.toml");
    let file = path.to_str().unwrap();
    expect(&home, 0, &["mandate", "new", file, "--id", "mine"]);
    // Revoked in the end, and with a source address from which nothing could leave the machine.
    let text = std::fs::read_to_string(&path).unwrap().replace("192.0.2.10", "127.0.0.1");
    std::fs::write(&path, &text).unwrap();
    let key = kenshin_mandate::SignerKey::from_seed(&[5; 32], "authority@example.jp");
    let key_file = folder.path().join("id_ed25519");
    std::fs::write(&key_file, key.to_openssh()).unwrap();
    let roots = home.join("mandates/allowed_signers");
    std::fs::write(
        &roots,
        key.allowed_signers_line("authority@example.jp", &["kenshin-mandate", "kenshin-revocation"]),
    )
    .unwrap();

    assert!(expect_error(&home, 2, &["mandate", "check", file]).contains("not signed"));
    expect(&home, 0, &["mandate", "sign", file, "--key", key_file.to_str().unwrap()]);
    std::fs::write(&path, format!("{text}\n")).unwrap();
    assert!(expect_error(&home, 2, &["mandate", "check", file]).contains("mine.toml"));
    std::fs::write(&path, &text).unwrap();
    // Signed, and no revocation list yet: well-formed, and it authorises nothing.
    let refused = expect_error(&home, 1, &["mandate", "check", file]);
    assert!(refused.contains("revocation list"), "{refused}");
    expect(&home, 0, &["mandate", "add", file]);
    let renew =
        ["mandate", "renew", "--authority", "authority@example.jp", "--key", key_file.to_str().unwrap()];
    expect(&home, 0, &renew);
    let plan = expect(
        &home,
        0,
        &["survey", "plan", "--mandate", "mine", "--target", "198.51.100.0/28", "--port", "23,80"],
    );
    assert!(plan.contains("nothing was sent") && plan.contains("exchanges   32"), "{plan}");
    let list = folder.path().join("targets");
    let planned = |text: &str, code: i32| {
        std::fs::write(&list, text).unwrap();
        let file = list.to_str().unwrap();
        let args = ["survey", "plan", "--mandate", "mine", "--port", "23", "--targets-file", file];
        if code == 0 { expect(&home, code, &args) } else { expect_error(&home, code, &args) }
    };
    let plan = planned("# the office\n198.51.100.0/30, 198.51.100.9-11\n", 0);
    assert!(plan.contains("addresses   7") && plan.contains("exchanges   7"), "{plan}");
    let mistake = planned("198.51.100.0/30\n198.51.100.9/30\n", 2);
    assert!(
        mistake.contains("targets:2:1: ") && mistake.contains("hint: write 198.51.100.8/30"),
        "{mistake}"
    );
    let outside =
        expect_error(&home, 1, &["survey", "plan", "--mandate", "mine", "--target", "192.0.2.0/24"]);
    assert!(outside.contains("outside the scope"), "{outside}");
    expect(&home, 0, &["mandate", "revoke", "mine", "--reason", "a test"]);
    let revoked = expect_error(
        &home,
        1,
        &["survey", "run", "--mandate", "mine", "--target", "198.51.100.0/28", "--port", "23"],
    );
    assert!(revoked.contains("revoked"), "{revoked}");
}

/// Labelled banners against the shipped fingerprints, and what is said when Recog's are not there.
#[test]
fn labelled_banners_are_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let path = folder.path().join("labelled.jsonl");
    let file = path.to_str().unwrap();
    std::fs::write(
        &path,
        r#"{"service":"snmp","banner":"RTX810 Rev.11.01.34 (Tue Nov 26 18:39:12 2019)","truth":{"vendor":"YAMAHA","type":"router"}}
{"service":"ssh","banner":"SSH-2.0-dropbear_2019.78","truth":{"version":["2019.79","2020.80"]}}
not json
"#,
    )
    .unwrap();
    let figures =
        expect(&home, 0, &["insight", "eval", file, "--pack", "own", "--format", "json", "--wrong"]);
    let figures: serde_json::Value = serde_json::from_str(&figures).unwrap();
    assert_eq!(figures["vendor"]["precision"], 1.0);
    assert_eq!(figures["version"]["judged"], 1);
    assert_eq!(figures["version"]["correct"], 0);
    assert_eq!(figures["product"]["precision"], serde_json::Value::Null);
    assert_eq!(figures["wrong"][0]["answer"], "2019.78");
    let table = expect(&home, 0, &["insight", "eval", file, "--pack", "own"]);
    assert!(table.contains("PRECISION") && table.contains("vendor"), "{table}");
    let talk = expect_error(&home, 0, &["insight", "eval", file, "--pack", "own"]);
    assert!(talk.contains("labelled.jsonl:3: "), "{talk}");
    let nowhere = folder.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    let error = expect_error(&home, 2, &["insight", "eval", file, "--pack", "recog", "--recog", nowhere]);
    assert!(error.contains("nowhere") && error.contains("hint: name the folder"), "{error}");
    assert!(expect_error(&home, 2, &["insight", "eval", nowhere]).contains("is not there"));
}

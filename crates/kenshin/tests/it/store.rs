//! A lake in a bucket: the same rows as in a folder, by two writers at once, and what the store does not do
//! is told.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use kenshin_lake::{Lake, Location, Store};
use kenshin_observation::TimeUs;
use serde_json::Value;

use crate::cluster::{self, Worker};
use crate::process::{expect, kenshin, skip};
use crate::python::{Python, Script};
use crate::retention::{POLICY, sealed};

const ROWS: &str = "SELECT subject_addr, subject_port, outcome, protocol FROM observations ORDER BY 1, 2, \"check\", outcome";
const SERVICES: &str = "SELECT addr, port, product, version FROM services ORDER BY 1, 2, transport, protocol";

/// Nothing of the caller's own.
fn bare(home: &Path) -> Command {
    let mut command = kenshin(home);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
}

/// Puts the lake of a home elsewhere.
fn settle(home: &Path, lake: &str, store: &str) {
    let text = kenshin_observatory::Settings::template("Example CSIRT");
    let text = text.replace("lake = \"lake\"", &format!("lake = \"{lake}\""));
    std::fs::write(home.join("kenshin.toml"), format!("{text}\n[store]\n{store}\n")).unwrap();
}

#[test]
fn a_lake_in_a_bucket_is_the_lake_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("store-ca.pem");
    let server = Python::new(folder.path()).and_then(|python| {
        python.install(&["moto", "flask", "flask-cors"])?;
        Script::start(&python, include_str!("store.py"), &[ca.to_str().unwrap()])
    });
    let mut server = match server {
        Ok(server) => server,
        Err(why) => return skip("a_lake_in_a_bucket_is_the_lake_in_a_folder", &why),
    };
    let told = server.hear();
    let [endpoint, by_tls, key, secret] =
        ["endpoint", "by_tls", "key", "secret"].map(|name| told[name].as_str().unwrap());
    let credentials = |name: &str, secret: &str| {
        let path = folder.path().join(name);
        let mut file = std::fs::OpenOptions::new();
        let mut file = file.write(true).create_new(true).mode(0o600).open(&path).unwrap();
        let text = format!("access_key_id = \"{key}\"\nsecret_access_key = \"{secret}\"\n");
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        path
    };
    let store = format!("endpoint = \"{endpoint}\"");
    let lake = "s3://observatory/the/lake";
    let file = credentials("store.toml", secret);
    let unknown = format!("endpoint = \"{by_tls}\"\ncredentials = {file:?}");
    let by_file = format!("{unknown}\nca = {ca:?}");
    // One comes by TLS and takes its credentials from a file, the other in the clear with those of the
    // environment.
    let [one, other, local] = ["one", "other", "local"].map(|name| folder.path().join(name));
    for home in [&one, &other, &local] {
        expect(home, 0, &["init", "--organisation", "Example CSIRT"]);
    }
    settle(&one, lake, &by_file);
    settle(&other, lake, &store);
    let of = |home: &Path| {
        let mut command = bare(home);
        if home == other {
            command.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
        }
        command
    };
    let told = |output: &Output| {
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!text.contains(key) && !text.contains(secret), "{text}");
        text
    };
    let json = |home: &Path, args: &[&str]| -> Value {
        let output = of(home).args(["--format", "json"]).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?} {}", told(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };

    // Both at once, into a lake that neither has opened; with everything logged that can be.
    let sample = |name: &str| format!("{}/../../testdata/exchange/{name}", env!("CARGO_MANIFEST_DIR"));
    let (nmap, zmap) = (sample("nmap-services.xml"), sample("zmap-default.csv"));
    let by_nmap = ["survey", "import", "--as", "nmap-xml", &nmap];
    let by_zmap = ["survey", "import", "--as", "zmap-csv", "--port", "80", &zmap];
    let both = [(&one, &by_nmap[..]), (&other, &by_zmap[..])].map(|(home, args)| {
        let (out, err) = (Stdio::piped(), Stdio::piped());
        of(home).env("KENSHIN_LOG", "debug").args(args).stdout(out).stderr(err).spawn().unwrap()
    });
    for child in both {
        let output = child.wait_with_output().unwrap();
        let text = told(&output);
        assert!(output.status.success(), "{}", &text[text.len().saturating_sub(2_000)..]);
        assert!(text.contains("DEBUG"), "{text}");
    }
    expect(&local, 0, &by_nmap);
    expect(&local, 0, &by_zmap);
    let done = |home: &Path, args: &[&str]| {
        let output = of(home).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?} {}", told(&output));
    };
    let in_folder = |sql: &str| -> Value {
        serde_json::from_str(&expect(&local, 0, &["--format", "json", "sql", sql])).unwrap()
    };
    let same = |when: &str, rows: usize| {
        assert_eq!(in_folder(ROWS).as_array().unwrap().len(), rows, "{when}");
        for (home, sql) in [(&one, ROWS), (&other, SERVICES)] {
            assert_eq!(json(home, &["sql", sql]), in_folder(sql), "{when}: {sql}");
        }
        let verified = json(&other, &["lake", "verify", "--deep"]);
        assert_eq!(verified["faults"], Value::Array(Vec::new()), "{when}: {verified}");
    };
    // Each folds in what it wrote itself; one does it for all.
    done(&one, &["lake", "rebuild"]);
    same("both have written", 20);

    // Workers read the bucket too, each by the settings of a home that has nothing else.
    let shared = cluster::secret(folder.path(), "secret", "0123456789abcdef0123456789abcdef\n");
    let workers = ["127.41.1.1:0", "127.41.1.2:0"].map(|listen| {
        let home = folder.path().join(listen);
        std::fs::create_dir(&home).unwrap();
        settle(&home, lake, &by_file);
        Worker::start(&home, lake, &shared, listen)
    });
    settle(&other, lake, &(store.clone() + &cluster::settled(&[&workers[0], &workers[1]], &shared)));
    let plan = json(&other, &["sql", &format!("EXPLAIN {ROWS}")]).to_string();
    assert!(plan.contains("tasks=2"), "{plan}");
    same("workers help", 20);
    drop(workers);
    same("no worker is left", 20);
    settle(&other, lake, &store);

    // What is due is erased there as it is here.
    let batches = [sealed(1, "a"), sealed(2, "b")];
    let in_bucket = Location {
        lake: lake.to_owned(),
        store: Store {
            endpoint: Some(by_tls.into()),
            credentials: Some(file),
            ca: Some(ca.clone()),
            ..Store::default()
        },
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for location in [in_bucket, local.join("lake").to_str().unwrap().into()] {
            let lake = Lake::open(location).await.unwrap();
            lake.commit(&batches, TimeUs::from_secs(1_600_000_000)).await.unwrap();
        }
    });
    for home in [&one, &local] {
        done(home, &["lake", "compact"]);
        done(home, &["lake", "rebuild"]);
        let path = home.join("kenshin.toml");
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + POLICY).unwrap();
    }
    same("files are merged", 100);
    for home in [&one, &local] {
        done(home, &["lake", "retain", "--yes", "--at-once"]);
    }
    same("what was due is erased", 20);

    // What the store does not do is told, with a hint and without what requests are signed with.
    let wrong = format!("{store}\ncredentials = {:?}", credentials("wrong.toml", "wrong"));
    let refused = [
        (lake, wrong.as_str(), 3, "refuses: SignatureDoesNotMatch", "must be let in"),
        (lake, unknown.as_str(), 3, "does not answer: invalid peer certificate", "`ca`"),
        (lake, store.as_str(), 2, "neither the environment nor", "AWS_ACCESS_KEY_ID"),
        ("s3://nowhere/lake", by_file.as_str(), 3, "has no such bucket", "make the bucket"),
        ("s3://careless/lake", by_file.as_str(), 3, "overwrites what", "If-None-Match"),
        ("s3://a:b@observatory/lake", by_file.as_str(), 2, "`s3://bucket/folder`", "kenshin.toml"),
        ("gs://observatory/lake", by_file.as_str(), 2, "`s3://bucket/folder`", "kenshin.toml"),
    ];
    let refuses = |code: i32, said: &str, hint: &str| {
        let output = bare(&one).args(["sql", ROWS]).output().unwrap();
        let text = told(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said) && text.contains("hint: ") && text.contains(hint), "{text}");
    };
    for (lake, store, code, said, hint) in refused {
        settle(&one, lake, store);
        refuses(code, said, hint);
    }
    settle(&one, lake, &by_file);
    drop(server);
    refuses(3, "does not answer: ", "is the endpoint");
}

//! SQL by a client from PyPI: ADBC's driver for Arrow Flight gets the rows that the command line and HTTP
//! get, through TLS and without, as far as whoever asks may see; and DuckDB, which opens the tables itself
//! and gets the same rows.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

use kenshin_casework::providers::Directory;
use kenshin_casework::{Actor, NewUser, PageRequest, Role};
use kenshin_observation::TimeUs;
use kenshin_observatory::{Edge, Home, Observatory};
use serde_json::{Value, json};

use crate::process::{expect, expect_error, kenshin, skip};
use crate::python::{Python, Script};

const NOW: TimeUs = TimeUs::from_secs(1_790_000_000);
const PASSWORD: &str = "correct horse battery";

/// Ten questions, each with one order of rows.
const QUERIES: [&str; 11] = [
    "SELECT count(*) AS n FROM observations",
    "SELECT to_timestamp_micros(t) AS t FROM (VALUES (0), (769000), (769001), (1000000)) AS times (t) ORDER BY 1",
    "SELECT subject_addr, subject_port, outcome, protocol FROM observations ORDER BY 1, 2, survey_id, \"check\"",
    "SELECT subject_addr, count(*) AS n, min(t) AS first, max(t_us) AS last FROM observations GROUP BY 1 ORDER BY 1",
    "SELECT subject_port, ssh, http FROM observations WHERE protocol IN ('ssh', 'http') ORDER BY subject_addr, 1, survey_id",
    "SELECT subject_addr, blobs, labels FROM observations ORDER BY subject_addr, subject_port, survey_id, \"check\"",
    "SELECT addr, port, product, version, banner, seen_us FROM services ORDER BY addr, port, transport, protocol",
    "SELECT product, count(*) AS n, avg(port) AS mean FROM services GROUP BY product ORDER BY n DESC, product",
    "SELECT addr, row_number() OVER (PARTITION BY addr ORDER BY port) AS place FROM services ORDER BY 1, 2",
    "WITH s AS (SELECT * FROM services WHERE in_cidr(addr, '192.0.2.8/29')) SELECT o.subject_addr, s.port, o.check \
     FROM s JOIN observations o ON o.subject_addr = s.addr AND o.subject_port = s.port ORDER BY 1, 2, o.check, o.survey_id, s.protocol",
    "SELECT addr, version_cmp(version, '2.0') AS older, country(addr) AS c, NULL AS nothing FROM services \
     WHERE port < 1000 ORDER BY addr, port, transport, protocol",
];

/// A home with what nmap and ZMap saw at two providers, and people who may see all of it and a part.
fn observed(home: &Path) {
    let sample = |name: &str| format!("{}/../../testdata/exchange/{name}", env!("CARGO_MANIFEST_DIR"));
    expect(home, 0, &["init", "--organisation", "Example CSIRT"]);
    expect(home, 0, &["survey", "import", "--as", "nmap-xml", &sample("nmap-services.xml")]);
    expect(home, 0, &["survey", "import", "--as", "zmap-csv", "--port", "80", &sample("zmap-default.csv")]);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let observatory = Observatory::open(&Home::at(home), &Edge::fixed(NOW, [7; 32])).await.unwrap();
        let (casework, org) = (observatory.casework(), observatory.org());
        let directory = "prefix_or_asn,name,mail,language,encryption\n\
                         192.0.2.10/32,Nishi Net,abuse@nishi.example,ja,link-only\n\
                         192.0.2.0/24,North ISP,abuse@north.example,en,link-only\n";
        let parsed =
            Directory::parse("providers.csv", directory, &["en", "ja"], |_| Err("no such file".into()));
        casework.import_directory(org, &parsed.unwrap(), &Actor::rule("test"), NOW).await.unwrap();
        let providers = casework.providers(&observatory.viewer(), &PageRequest::first()).await.unwrap().items;
        let nishi = providers.iter().find(|one| one.name == "Nishi Net").unwrap().provider_id;
        for (role, providers) in [(Role::Admin, Vec::new()), (Role::Provider, vec![nishi])] {
            let user = NewUser {
                login: format!("the-{role}"),
                name: format!("The {role}"),
                role,
                language: "en".into(),
                password: PASSWORD.into(),
                must_change: false,
                providers,
                limit: kenshin_casework::Limit::default(),
            };
            casework.add_user(org, &user, NOW).await.unwrap();
        }
    });
}

/// `kenshin serve`, until it is dropped.
struct Served {
    child: Child,
    talk: BufReader<ChildStderr>,
}

impl Served {
    fn start(home: &Path, options: &[&str]) -> Self {
        let mut child = kenshin(home)
            .args(["serve", "--no-jobs", "--listen", "127.0.0.1:0"])
            .args(options)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let talk = BufReader::new(child.stderr.take().unwrap());
        Self { child, talk }
    }

    /// What the program says behind this word.
    fn after(&mut self, word: &str) -> String {
        let mut line = String::new();
        while self.talk.read_line(&mut line).unwrap() > 0 {
            if let Some(rest) = line.trim().strip_prefix(word) {
                return rest.split(' ').next().unwrap_or_default().to_owned();
            }
            line.clear();
        }
        panic!("the program does not say `{word}`");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A session of ADBC.
struct Adbc(Script);

impl Adbc {
    fn connect(&mut self, uri: &str, login: &str, password: &str, more: &Value) -> Value {
        let mut options = json!({ "username": login, "password": password });
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.0.ask(&json!({ "connect": uri, "options": options }))
    }

    fn rows(&mut self, sql: &str) -> Value {
        let told = self.0.ask(&json!({ "sql": sql }));
        assert!(told["rows"].is_array(), "{sql}: {told}");
        told["rows"].clone()
    }

    fn error(&mut self, question: &Value) -> String {
        let told = self.0.ask(question);
        told["error"].as_str().unwrap_or_else(|| panic!("{question}: {told}")).to_owned()
    }
}

/// Rows as `POST /api/v1/sql` answers them.
fn over_http(address: SocketAddr, login: &str, sql: &str) -> Value {
    let post = |path: &str, headers: &str, body: &Value| {
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n{headers}\r\n",
            body.len()
        );
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).unwrap();
        let answer = std::io::read_to_string(stream).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        (head.to_owned(), body.to_owned())
    };
    let given = json!({ "login": login, "password": PASSWORD });
    let (head, body) = post("/api/v1/session", "", &given);
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let me: Value = serde_json::from_str(&body).unwrap();
    let headers = format!("cookie: {cookie}\r\nx-csrf-token: {}\r\n", me["me"]["csrf"].as_str().unwrap());
    let (_, body) = post("/api/v1/sql", &headers, &json!({ "sql": sql }));
    serde_json::from_str::<Value>(&body).unwrap()["rows"].clone()
}

#[test]
fn adbc_gets_the_rows_that_the_command_line_and_http_get() {
    const TEST: &str = "adbc_gets_the_rows_that_the_command_line_and_http_get";
    let folder = tempfile::tempdir().unwrap();
    let adbc = Python::new(folder.path()).and_then(|python| {
        python.install(&["adbc-driver-flightsql", "pyarrow"])?;
        Ok((Adbc(Script::start(&python, include_str!("flight.py"), &[])?), python))
    });
    let (mut adbc, python) = match adbc {
        Ok(adbc) => adbc,
        Err(why) => return skip(TEST, &why),
    };
    let home = folder.path().join("home");
    observed(&home);
    let mut served = Served::start(&home, &["--flight", "127.0.0.1:0", "--sensors-listen", "127.0.0.1:0"]);
    let uri = served.after("Arrow Flight SQL on ");
    let address = served.after("serving on http://").parse().unwrap();

    let told = adbc.connect(&uri, "the-admin", PASSWORD, &json!({}));
    assert!(told["driver"].is_string(), "{told}");
    for sql in QUERIES {
        let rows = adbc.rows(sql);
        let printed = expect(&home, 0, &["--format", "json", "sql", sql]);
        assert_eq!(rows, serde_json::from_str::<Value>(&printed).unwrap(), "{sql}");
        assert_eq!(rows, over_http(address, "the-admin", sql), "{sql}");
        assert!(!rows.as_array().unwrap().is_empty(), "{sql}");
    }
    // The command read files, and the hub what it holds.
    let plan = adbc.rows("EXPLAIN SELECT port FROM services").to_string();
    assert!(plan.contains("InMemory"), "{plan}");
    let objects = adbc.0.ask(&json!({ "objects": true }));
    assert_eq!(objects.as_object().unwrap().len(), 8, "{objects}");
    assert!(objects["services"].as_u64().unwrap() > 40, "{objects}");
    let columns = adbc.0.ask(&json!({ "schema": "observations" }));
    assert!(columns["columns"].as_array().unwrap().contains(&json!("subject_addr")), "{columns}");

    let all = adbc.rows("SELECT DISTINCT subject_addr AS a FROM observations ORDER BY a");
    let told = adbc.connect(&uri, "the-provider", PASSWORD, &json!({}));
    assert!(told["driver"].is_string(), "{told}");
    for sql in QUERIES {
        assert_eq!(adbc.rows(sql), over_http(address, "the-provider", sql), "{sql}");
    }
    let own = adbc.rows("SELECT DISTINCT subject_addr AS a FROM observations ORDER BY a");
    assert_eq!(own, json!([{ "a": "192.0.2.10" }]));
    assert!(all.as_array().unwrap().len() > 1, "{all}");
    let objects = adbc.0.ask(&json!({ "objects": true }));
    assert_eq!(objects.as_object().unwrap().len(), 3, "{objects}");

    // What is refused says why, and what to do.
    for (question, said) in [
        (json!({ "sql": "SELECT nothing FROM services" }), "hint: `DESCRIBE services`"),
        (json!({ "sql": "SELECT * FROM batches" }), "hint: `DESCRIBE services`"),
        (json!({ "sql": "SELECT unnest(range(0, 100001))" }), "more than 100000 rows; hint: aggregate"),
        (json!({ "sql": format!("SELECT 1 -- {}", "x".repeat(33_000)) }), "longer than 32768 bytes"),
        (json!({ "sql": "SELECT * FROM services WHERE port = $1", "parameters": [23] }), "parameter"),
        (json!({ "update": "DELETE FROM services" }), "read-only"),
        (json!({ "ingest": true }), "read-only"),
    ] {
        let error = adbc.error(&question);
        assert!(error.to_lowercase().contains(&said.to_lowercase()), "{question}: {error}");
    }
    let told = adbc.connect(&uri, "the-admin", "wrong", &json!({}));
    let error = told["error"].as_str().unwrap();
    assert!(error.contains("account or password is wrong"), "{error}");

    // Through TLS, by the certificate that the other start made; without one, on loopback alone.
    drop(served);
    let (certificate, key) = (home.join("tls/hub.crt"), home.join("tls/hub.key"));
    let tls = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let mut served = Served::start(&home, &[&["--flight", "127.0.0.1:0"], &tls[..]].concat());
    let uri = served.after("Arrow Flight SQL on ");
    assert!(uri.starts_with("grpc+tls://"), "{uri}");
    let known = json!({
        "adbc.flight.sql.client_option.tls_root_certs": std::fs::read_to_string(&certificate).unwrap(),
        "adbc.flight.sql.client_option.tls_override_hostname": "kenshin-hub",
    });
    let told = adbc.connect(&uri, "the-admin", PASSWORD, &known);
    assert!(told["driver"].is_string(), "{told}");
    assert_eq!(adbc.rows(QUERIES[0])[0]["n"], 20);
    let stranger = adbc.connect(&uri, "the-admin", PASSWORD, &json!({}));
    assert!(stranger["error"].as_str().unwrap().contains("certificate"), "{stranger}");
    drop(served);
    let refused =
        expect_error(&home, 2, &["serve", "--no-jobs", "--listen", "127.0.0.1:0", "--flight", "0.0.0.0:0"]);
    assert!(refused.contains("in the clear") && refused.contains("--tls-cert"), "{refused}");

    duckdb_reads_what_sql_answers(&python, &home);
}

/// Every row of every table, before files are merged and after, when the old ones still lie beside the new.
fn duckdb_reads_what_sql_answers(python: &Python, home: &Path) {
    let lake = home.join("lake");
    let duckdb = python
        .install(&["duckdb", "duckdb-extension-delta"])
        .and_then(|()| Script::start(python, include_str!("delta.py"), &[lake.to_str().unwrap()]));
    let mut duckdb = match duckdb {
        Ok(duckdb) => duckdb,
        Err(why) => return skip("duckdb_reads_what_sql_answers", &why),
    };
    for (merged, files) in [(false, 2), (true, 1)] {
        if merged {
            expect(home, 0, &["lake", "compact"]);
        }
        for (table, rows) in [
            ("observations", 20),
            ("services", 10),
            ("batches", 2),
            ("blobs", 0),
            ("salts", 20),
            ("coverage", 0),
        ] {
            let mut rows_of = |sql: &str| duckdb.ask(&json!(sql));
            let columns = rows_of(&format!("DESCRIBE {table}"));
            let told = |column: &Value| column["column_type"].as_str().unwrap().to_owned();
            let name = |column: &Value| format!("\"{}\"", column["column_name"].as_str().unwrap());
            let columns = columns.as_array().unwrap();
            let all: Vec<String> = columns.iter().map(name).collect();
            let plain = |column: &&Value| ["VARCHAR", "BIGINT", "INTEGER"].contains(&told(column).as_str());
            let by: Vec<String> = columns.iter().filter(plain).map(name).collect();
            let sql = format!("SELECT {} FROM {table} ORDER BY {}", all.join(", "), by.join(", "));
            // Nothing found is an answer too.
            let printed = expect(home, i32::from(rows == 0), &["--format", "json", "sql", &sql]);
            let read = rows_of(&sql);
            assert_eq!(read, serde_json::from_str::<Value>(&printed).unwrap(), "{sql}");
            assert_eq!(read.as_array().unwrap().len(), rows, "{sql}");
        }
        let scan = format!("delta_scan('{}/batches')", lake.display());
        let held = duckdb.ask(&json!(format!("SELECT count(DISTINCT filename) AS n FROM {scan}")));
        assert_eq!(held, json!([{ "n": files }]));
    }
}

//! How many observations a second one core judges by today's knowledge.
//!
//! `cargo bench -p kenshin-insight --bench retrospect` prints a table; a path behind `--` takes the same
//! figures as JSON. Hosts are those of `testdata/insight/identity.txt`, as unevenly common as products
//! are (the n-th by 1/n), with versions of their own; one in five says something that no other says (a
//! host name in its title, a serial number in its certificate). Knowledge is KEV, the CVE records of IoT
//! vendors and endoflife of `../shared/data` (or `KENSHIN_SHARED_DATA`); without them nothing is measured.
//! Each host has a row of the sweep and one of the handshake for each service. Budget: 200,000 a second.

#![expect(clippy::print_stdout, reason = "its table is the data of a bench")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{BufReader, Read};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use kenshin_insight::Assessor;
use kenshin_insight::fingerprint::Packs;
use kenshin_insight::intelligence::{Importer, Intelligence, IntelligenceKind};
use kenshin_observation::protocol::{Ftp, Http, Records, Rtsp, Smtp, Snmp, Ssh, Telnet, Tls};
use kenshin_observation::{
    AssetId, Check, Direction, Endpoint, Observation, OrgId, Outcome, SensorId, SurveyId, TimeUs, Tlp,
};

/// Hosts in one pass.
const HOSTS: u32 = 60_000;

/// Passes, each with an assessor that knows nothing yet; the median counts.
const PASSES: usize = 5;

/// Observations a second.
const BUDGET: f64 = 200_000.0;

/// Versions of each product.
const VERSIONS: u64 = 6;

/// One host in this many says something that no other says.
const UNIQUE: u64 = 5;

fn main() -> ExitCode {
    let Some(intelligence) = intelligence() else {
        eprintln!("skipped: intelligence (no shared data)");
        return ExitCode::SUCCESS;
    };
    let packs = Packs::own();
    let observations = population();
    let spoken = observations.iter().filter(|o| o.protocol.is_some()).count();
    let now = TimeUs::from_secs(1_790_000_000);
    let (mut seconds, mut found) = (Vec::new(), 0);
    for _ in 0..=PASSES {
        let (begun, on_cpu) = (Instant::now(), processor_seconds());
        found = pass(black_box(&observations), &packs, &intelligence, now);
        let spent = on_cpu.zip(processor_seconds()).map(|(before, after)| after - before);
        seconds.push(spent.unwrap_or_else(|| begun.elapsed().as_secs_f64()));
    }
    // The first compiles patterns.
    seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    let rate = observations.len() as f64 / seconds[seconds.len() / 2];
    println!("{:<28}{:>14}", "hosts", HOSTS);
    println!("{:<28}{:>14}", "observations", observations.len());
    println!("{:<28}{:>14}", "of these, that spoke", spoken);
    println!("{:<28}{:>14}", "findings", found);
    println!("{:<28}{:>14.0}", "observations/s", rate);
    println!("{:<28}{:>14.0}", "of these, that spoke", rate * spoken as f64 / observations.len() as f64);
    if let Some(path) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) {
        let figures = serde_json::json!({ "hosts": HOSTS, "observations": observations.len(), "spoken": spoken,
            "findings": found, "observations_per_s": rate });
        let text = serde_json::to_string_pretty(&figures).expect("a map of numbers is JSON");
        if let Err(error) = std::fs::write(&path, text + "\n") {
            eprintln!("failed to write `{path}`: {error}");
            return ExitCode::from(3);
        }
    }
    if rate >= BUDGET {
        return ExitCode::SUCCESS;
    }
    eprintln!("over budget: {rate:.0} observations a second, {BUDGET:.0} wanted");
    ExitCode::FAILURE
}

/// Seconds that this thread was on a processor, where Linux tells: other work on the machine does not
/// count, as the budget is for one core.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

/// Judges all hosts; gives the number of findings.
fn pass(observations: &[Observation], packs: &Packs, intelligence: &Intelligence, now: TimeUs) -> usize {
    let mut hosts: BTreeMap<IpAddr, Vec<&Observation>> = BTreeMap::new();
    for observation in observations {
        hosts.entry(observation.subject.addr).or_default().push(observation);
    }
    let mut assessor = Assessor::new(packs, intelligence, now);
    let assessed = hosts.values().zip(1..).map(|(seen, id)| assessor.assess(AssetId::from_bits(id), seen));
    assessed.map(|assessed| assessed.findings.len()).sum()
}

fn intelligence() -> Option<Intelligence> {
    let base = match std::env::var_os("KENSHIN_SHARED_DATA") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let today = "2026-11-26".parse().ok()?;
    let mut snapshots = Vec::new();
    for (kind, folder) in [
        (IntelligenceKind::Kev, "kev"),
        (IntelligenceKind::Cve, "cve5-iot"),
        (IntelligenceKind::EndOfLife, "endoflife"),
    ] {
        let mut importer = Importer::new(kind);
        let mut paths = files(base.join(folder))?;
        paths.sort();
        for path in paths {
            let name = path.display().to_string();
            let file = std::fs::File::open(&path).ok()?;
            let read: Box<dyn Read> = if name.ends_with(".gz") {
                Box::new(flate2::read::MultiGzDecoder::new(file))
            } else {
                Box::new(file)
            };
            // Read-me files lie beside the data.
            let _ = importer.read(&name, BufReader::new(read));
        }
        let import = importer.finish(today);
        if import.snapshot.records.is_empty() {
            return None;
        }
        snapshots.push(import.snapshot);
    }
    Some(Intelligence::new(snapshots))
}

fn files(folder: PathBuf) -> Option<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        if path.is_dir() { found.extend(files(path)?) } else { found.push(path) }
    }
    Some(found)
}

/// One line of a host: field, port, text.
type Line = (String, u16, String);

fn population() -> Vec<Observation> {
    let kinds = kinds(include_str!("../../../testdata/insight/identity.txt"));
    let harmonic: f64 = (1..=kinds.len()).map(|n| 1.0 / n as f64).sum();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        // xorshift64: the same hosts in every run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut observations = Vec::new();
    for host in 0..HOSTS {
        let mut place = (next() >> 11) as f64 / (1u64 << 53) as f64 * harmonic;
        let mut kind = 0;
        while kind + 1 < kinds.len() && place > 1.0 / (kind + 1) as f64 {
            place -= 1.0 / (kind + 1) as f64;
            kind += 1;
        }
        let version = next() % VERSIONS;
        let unique = (next() % UNIQUE == 0).then_some(host);
        let addr = IpAddr::from((0xc612_0000 + host).to_be_bytes());
        let mut services: BTreeMap<u16, Records> = BTreeMap::new();
        for (field, port, text) in &kinds[kind] {
            put(services.entry(*port).or_default(), field, &varied(text, field, version, unique));
        }
        for (port, records) in services {
            observations.push(row(addr, port, Check::Sweep, Records::default()));
            observations.push(row(addr, port, Check::Handshake, records));
        }
    }
    observations
}

/// The last digit of the text is that of the version; what may be unique is.
fn varied(text: &str, field: &str, version: u64, unique: Option<u32>) -> String {
    let digit = text.rfind(|c: char| c.is_ascii_digit());
    let mut text = match digit {
        Some(at) if version > 0 => format!("{}{version}{}", &text[..at], &text[at + 1..]),
        _ => text.to_owned(),
    };
    if let Some(host) = unique {
        match field {
            "http.title" => text.push_str(&format!(" (host-{host})")),
            "tls.subject" => text.push_str(&format!(",OU=device-{host}")),
            _ => {}
        }
    }
    text
}

fn kinds(text: &str) -> Vec<Vec<Line>> {
    let mut kinds: Vec<Vec<Line>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("= ") {
            kinds.push(Vec::new());
        } else if let Some((head, said)) = line.split_once(' ')
            && let Some((field, port)) = head.split_once(':')
            && let (Ok(port), Some(kind)) = (port.parse(), kinds.last_mut())
        {
            let said = said.replace("\\r", "\r").replace("\\n", "\n").replace("\\\\", "\\");
            kind.push((field.to_owned(), port, said));
        }
    }
    kinds.retain(|kind| !kind.is_empty());
    kinds
}

fn put(records: &mut Records, field: &str, text: &str) {
    let text = text.to_owned();
    match field {
        "ssh.banner" => records.ssh = Some(Ssh { banner: text, ..Ssh::default() }.into()),
        "telnet.text" => {
            records.telnet = Some(Telnet { text, login_prompt: true, ..Telnet::default() }.into())
        }
        "ftp.banner" => records.ftp = Some(Ftp { banner: text, ..Ftp::default() }.into()),
        "smtp.banner" => records.smtp = Some(Smtp { banner: text, ..Smtp::default() }.into()),
        "rtsp.server" => records.rtsp = Some(Rtsp { server: Some(text), ..Rtsp::default() }.into()),
        "snmp.sys_descr" => records.snmp = Some(Snmp { sys_descr: Some(text), ..Snmp::default() }.into()),
        "tls.subject" => {
            let tls = Tls {
                version: "TLSv1.2".into(),
                cipher: "ECDHE-RSA-AES256-GCM-SHA384".into(),
                subject: Some(text),
                key_algorithm: Some("rsa".into()),
                key_bits: Some(2048),
                ..Tls::default()
            };
            records.tls = Some(tls.into());
        }
        _ => {
            let http = records.http.get_or_insert_with(|| Http { status: 200, ..Http::default() }.into());
            match field {
                "http.server" => http.server = Some(text),
                "http.title" => http.title = Some(text),
                "http.www_authenticate" => http.www_authenticate = Some(text),
                "http.powered_by" => http.powered_by = Some(text),
                "http.cookie_names" => http.cookie_names.push(text),
                _ => {}
            }
        }
    }
}

fn row(addr: IpAddr, port: u16, check: Check, records: Records) -> Observation {
    Observation {
        org_id: OrgId::from_bits(1),
        mandate_id: "bench".into(),
        survey_id: SurveyId::from_bits(1),
        sensor_id: SensorId::from_bits(1),
        tlp: Tlp::Amber,
        time: TimeUs::from_secs(1_789_000_000),
        clock_error_us: None,
        subject: Endpoint::tcp(addr, port),
        vantage: Endpoint::tcp(IpAddr::from([192, 0, 2, 1]), 40_000),
        direction: Direction::Probed,
        check,
        method_version: 1,
        attempt: 1,
        outcome: Outcome::Answered,
        reason: None,
        protocol: (check == Check::Handshake).then(|| "http".to_owned()),
        records,
        blobs: Vec::new(),
        labels: Vec::new(),
    }
}

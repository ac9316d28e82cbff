//! How much a million ranges of addresses and a million CVE records cost.
//!
//! `cargo bench -p kenshin-insight --bench knowledge` prints a table; a path behind `--` takes the same
//! figures as JSON. Ranges and records are generated, of the size and shape of real ones; records are
//! read from a stream that never lies in memory as a whole. Budgets: a look-up below a microsecond,
//! a million records in five minutes and two GiB.

#![expect(clippy::print_stdout, reason = "its table is the data of a bench")]

use std::hint::black_box;
use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::Instant;

use kenshin_insight::intelligence::{
    AddressTable, Entry, Importer, Intelligence, IntelligenceKind, Snapshot,
};

const MILLION: u32 = 1_000_000;
const LOOKUPS: u32 = 10_000_000;
const LOOKUP_NS_MAX: f64 = 1_000.0;
const IMPORT_S_MAX: f64 = 300.0;
const MEMORY_MIB_MAX: u64 = 2_048;

fn main() -> ExitCode {
    let mut figures: Vec<(&str, f64)> = Vec::new();
    let mut tell = |what: &'static str, value: f64, unit: &str| {
        println!("{what:<44}{value:>14.1} {unit}");
        figures.push((what, value));
        value
    };

    let before = resident_mib("VmRSS");
    let (table, seconds) = timed(ranges);
    tell("a million ranges: built", seconds, "s");
    tell("a million ranges: in memory", resident_mib("VmRSS").saturating_sub(before) as f64, "MiB");
    let (hits, seconds) = timed(|| {
        let mut seed = 1u32;
        let next = |seed: &mut u32| {
            // Numerical Recipes' generator: addresses in no order.
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            IpAddr::V4(Ipv4Addr::from_bits(*seed))
        };
        (0..LOOKUPS).filter(|_| black_box(table.lookup(next(&mut seed))).is_some()).count()
    });
    assert!(hits > 0);
    let lookup_ns = tell("a million ranges: look-up", seconds * 1e9 / f64::from(LOOKUPS), "ns");
    drop(table);

    let stored = std::env::temp_dir().join(format!("kenshin-bench-{}.jsonl", std::process::id()));
    let (import, import_s) = timed(|| {
        let mut importer = Importer::new(IntelligenceKind::Cve);
        importer
            .read("generated.jsonl", BufReader::with_capacity(1 << 16, Records::default()))
            .expect("a stream");
        importer.finish("2026-04-01".parse().expect("a day"))
    });
    assert_eq!((import.snapshot.records.len(), import.rejected_total), (MILLION as usize, 0));
    tell("a million records: imported", import_s, "s");
    tell(
        "a million records: of so many bytes",
        Records::default().length() as f64 / f64::from(1 << 20),
        "MiB",
    );
    let ((), seconds) = timed(|| {
        let mut file = BufWriter::new(std::fs::File::create(&stored).expect("a temporary file"));
        import.snapshot.write(&mut file).and_then(|()| file.flush()).expect("the disk takes it");
    });
    tell("a million records: stored", seconds, "s");
    let peak = tell("a million records: peak memory", resident_mib("VmHWM") as f64, "MiB");
    drop(import);
    let (intelligence, seconds) = timed(|| {
        let file = BufReader::new(std::fs::File::open(&stored).expect("it was written"));
        Intelligence::new([Snapshot::read(file).expect("it was written")])
    });
    tell("a million records: read back and indexed", seconds, "s");
    tell("a million records: peak memory, indexed", resident_mib("VmHWM") as f64, "MiB");
    let (found, seconds) = timed(|| {
        (0..10_000)
            .map(|number| {
                intelligence.matches("Vendor 7", &format!("Router {}", number * 10 + 7), "1.0.3").len()
            })
            .sum::<usize>()
    });
    assert!(found > 0);
    tell("a million records: one product asked", seconds * 1e6 / 10_000.0, "µs");
    std::fs::remove_file(&stored).expect("it was written");

    if let Some(path) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) {
        let object: serde_json::Map<String, serde_json::Value> =
            figures.iter().map(|(what, value)| ((*what).to_owned(), (*value).into())).collect();
        std::fs::write(&path, serde_json::to_vec_pretty(&object).expect("numbers"))
            .expect("the path can be written");
    }
    let kept = lookup_ns <= LOOKUP_NS_MAX && import_s <= IMPORT_S_MAX && peak <= MEMORY_MIB_MAX as f64;
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let begin = Instant::now();
    let done = work();
    (done, begin.elapsed().as_secs_f64())
}

/// A line of `/proc/self/status`, in MiB.
fn resident_mib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) >> 10
}

/// A million neighbouring ranges of 80,000 systems.
fn ranges() -> AddressTable {
    let mut builder = AddressTable::builder();
    for number in 0..MILLION {
        let asn = 1 + number.wrapping_mul(2_654_435_761) % 80_000;
        let entry =
            Entry { asn: Some(asn), name: Some(format!("Example Network {asn}")), ..Entry::default() };
        let from = number * 4_000;
        assert!(builder.add(
            Ipv4Addr::from_bits(from).into(),
            Ipv4Addr::from_bits(from + 3_999).into(),
            &entry
        ));
    }
    builder.finish()
}

/// A million CVE records as a stream of JSON lines.
#[derive(Default)]
struct Records {
    number: u32,
    line: Vec<u8>,
    at: usize,
}

impl Records {
    fn record(number: u32) -> String {
        let (year, id) = (2000 + number / 40_000, 1_000 + number % 40_000);
        let (vendor, product) = (number % 4_000 % 10, number % 200_000);
        format!(
            "{{\"dataType\":\"CVE_RECORD\",\"dataVersion\":\"5.1\",\"cveMetadata\":{{\"cveId\":\"CVE-{year}-{id:04}\",\
             \"assignerOrgId\":\"8254265b-2729-46b6-b9e3-3dfca2d5bfca\",\"state\":\"PUBLISHED\",\
             \"dateUpdated\":\"2025-01-02T03:04:05.000Z\"}},\"containers\":{{\"cna\":{{\"title\":\"Command injection in the \
             web interface of Router {product}\",\"affected\":[{{\"vendor\":\"Vendor {vendor}\",\"product\":\"Router {product}\",\
             \"defaultStatus\":\"unaffected\",\"versions\":[{{\"version\":\"1.0\",\"status\":\"affected\",\"lessThan\":\"1.0.9\",\
             \"versionType\":\"semver\"}},{{\"version\":\"2.0\",\"status\":\"affected\",\"lessThanOrEqual\":\"2.3.{number}\",\
             \"versionType\":\"semver\"}}]}}],\"descriptions\":[{{\"lang\":\"en\",\"value\":\"{text}\"}}],\"references\":[{{\"url\":\
             \"https://vendor.example/advisories/{number}\"}}],\"metrics\":[{{\"cvssV3_1\":{{\"version\":\"3.1\",\"baseScore\":9.8,\
             \"vectorString\":\"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"}}}}]}}}}}}\n",
            text = "An unauthenticated attacker on the network can run commands through a crafted request. "
                .repeat(8),
        )
    }

    fn length(&self) -> u64 {
        (0..MILLION).step_by(1_000).map(|number| Self::record(number).len() as u64 * 1_000).sum()
    }
}

impl Read for Records {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.line.len() {
            if self.number == MILLION {
                return Ok(0);
            }
            (self.line, self.at) = (Self::record(self.number).into_bytes(), 0);
            self.number += 1;
        }
        let length = buffer.len().min(self.line.len() - self.at);
        buffer[..length].copy_from_slice(&self.line[self.at..][..length]);
        self.at += length;
        Ok(length)
    }
}

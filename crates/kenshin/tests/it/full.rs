//! A full disk: whatever was begun is refused or done, nothing is lost, and all goes on when there is room.

#![expect(clippy::disallowed_methods, reason = "a disk is mounted by a program")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use kenshin_lake::{Lake, LakeError, Limits, Thoroughness};
use kenshin_observation::schema::ServiceRow;
use kenshin_observation::{Batch, TimeUs};
use serde_json::Value;

use crate::process::{expect, run, skip};
use crate::retention::{POLICY, sealed};

const NOW: TimeUs = TimeUs::from_secs(1_600_000_000);
/// Bytes of the disk.
const SIZE: u64 = 32 << 20;
/// Bytes that are left when something is begun: none, and so on until there are enough.
const ROOM: [u64; 10] = [0, 8, 24, 48, 96, 160, 256, 512, 1_024, 2_048];

/// A disk of its own, unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` where none can be mounted.
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={SIZE}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "kenshin-test"])
            .arg(folder.path())
            .output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.path().join("ballast")
    }

    /// Fills it but for so many KiB.
    fn leave(&self, kib: u64) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let full = std::iter::repeat_with(|| ballast.write_all(&[1; 4_096])).find_map(Result::err).unwrap();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        let held = ballast.metadata().unwrap().len() / 4_096 * 4_096;
        ballast.set_len(held - kib * 1_024).unwrap();
    }

    fn clear(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).output();
    }
}

/// How often something was refused before it was done.
fn refusals(
    disk: &Disk,
    what: &str,
    mut done: impl FnMut() -> Result<(), LakeError>,
    mut whole: impl FnMut(),
) {
    let mut refused = 0;
    for kib in ROOM {
        disk.leave(kib);
        let result = done();
        disk.clear();
        whole();
        match result {
            Ok(()) => break,
            Err(error) => assert!(error.lacks_room(), "{what} with {kib} KiB: {error:?}"),
        }
        refused += 1;
    }
    assert!(refused > 0 && refused < ROOM.len(), "{what} was refused {refused} times");
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let Some(disk) = Disk::new() else {
        return skip("a_full_disk_refuses_and_loses_nothing", "no file system can be mounted (root)");
    };
    let home = disk.0.path().join("home");
    expect(&home, 0, &["init", "--organisation", "Example CSIRT"]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let location = home.join("lake").to_str().unwrap().to_owned();
    let mandates = ["kept", "a", "kept", "a", "b"];
    let batches: Vec<Batch> = (1..).zip(mandates).map(|(number, mandate)| sealed(number, mandate)).collect();
    let (first, rest) = batches.split_at(2);
    let lake = runtime.block_on(Lake::open(&*location)).unwrap();
    let rows = |sql: &str| {
        let answer = runtime.block_on(lake.query(sql, Limits::default())).unwrap();
        answer.batches.iter().map(|batch| batch.num_rows()).sum::<usize>()
    };

    // Taken into an empty lake, and behind what is there.
    let mut before = 0;
    for batches in [first, rest] {
        let all = before + 40 * batches.len();
        let taken = || runtime.block_on(lake.commit(batches, NOW)).map(|_| ());
        refusals(&disk, "a commit", taken, || {
            let held = rows("SELECT batch_id FROM observations");
            assert!(held == before || held == all, "{held}");
        });
        assert_eq!(rows("SELECT DISTINCT batch_id, \"row\" FROM observations"), all);
        assert_eq!(rows("SELECT batch_id FROM observations"), all);
        before = all;
    }
    // The current view, made and merged.
    let service = |n: i64| ServiceRow {
        transport: "tcp".into(),
        state: "answered".into(),
        tlp: "TLP:AMBER".into(),
        addr_lo: n,
        ..ServiceRow::default()
    };
    let sensor = batches[0].header.sensor_id;
    for sequence in 1..=2 {
        let rows = || (0..100 * sequence).map(service).collect();
        let added = || runtime.block_on(lake.whole().add(rows(), &[(sensor, sequence)].into()));
        let all = usize::try_from(100 * sequence).unwrap();
        refusals(&disk, "rows of the view", added, || {
            let held = rows_of_view(&runtime, &lake);
            assert!(held == all - 100 || held == all, "{held}");
        });
        assert_eq!(rows_of_view(&runtime, &lake), all);
    }
    let merged = || runtime.block_on(lake.whole().compact(NOW)).map(|_| ());
    refusals(&disk, "merging the view", merged, || assert_eq!(rows_of_view(&runtime, &lake), 200));
    let merged = || runtime.block_on(lake.compact(NOW, Thoroughness::All, |_, _, _| {})).map(|_| ());
    refusals(&disk, "merging", merged, || assert_eq!(rows("SELECT batch_id FROM observations"), before));

    retention(&disk, &home, &runtime, &lake, &batches);
}

fn rows_of_view(runtime: &tokio::runtime::Runtime, lake: &Lake) -> usize {
    let sql = "SELECT addr FROM services";
    let answer = runtime.block_on(lake.query(sql, Limits::default())).unwrap();
    answer.batches.iter().map(|batch| batch.num_rows()).sum()
}

/// What is due is erased by the binary, as far as there is room to say so before.
fn retention(disk: &Disk, home: &Path, runtime: &tokio::runtime::Runtime, lake: &Lake, batches: &[Batch]) {
    let settings = home.join("kenshin.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text + POLICY).unwrap();
    let mut refused = 0;
    for kib in ROOM {
        disk.leave(kib);
        let done = run(home, &["lake", "retain", "--yes", "--at-once"]);
        disk.clear();
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        expect(home, 0, &["lake", "verify", "--deep", "--quiet"]);
        for batch in batches {
            let proved = runtime.block_on(lake.prove(batch.header.batch_id)).unwrap().unwrap();
            assert!(proved.holds(), "with {kib} KiB: {proved:?}");
        }
        match done.status.code() {
            Some(0) => break,
            Some(3) => assert!(told.contains("hint: ") && told.contains("space"), "with {kib} KiB: {told}"),
            other => panic!("with {kib} KiB: {other:?} {told}"),
        }
        refused += 1;
    }
    assert!(refused > 0 && refused < ROOM.len(), "it was refused {refused} times");
    let told: Value =
        serde_json::from_str(&expect(home, 0, &["lake", "erasures", "--format", "json"])).unwrap();
    assert_eq!((&told["fault"], told["open"].as_array().unwrap().len()), (&Value::Null, 0));
    assert_eq!(told["proofs"].as_array().unwrap().len(), 4, "two months of two mandates, each once: {told}");
    let left = expect(home, 0, &["sql", "SELECT count(*) AS n FROM observations", "--format", "csv"]);
    assert_eq!(left, "n\n80\n");
}

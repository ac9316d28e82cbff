//! Archives: real ones where they are at hand, and damaged ones.

use std::io::Write;
use std::path::{Path, PathBuf};

use kenshin_insight::intelligence::IntelligenceKind;
use kenshin_observation::TimeUs;
use proptest::prelude::*;

use crate::intelligence::archive::{Packed, members_within, packed};
use crate::{ActError, Edge, Home, Observatory};

pub(super) fn shared(path: &str) -> Option<PathBuf> {
    let base = match std::env::var_os("KENSHIN_SHARED_DATA") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let path = base.join(path);
    if !path.exists() {
        eprintln!("skipped: `{}` is not at hand", path.display());
    }
    path.exists().then_some(path)
}

/// Name and content of every file.
fn content(path: &Path) -> Result<Vec<(String, Vec<u8>)>, ActError> {
    content_within(path, 1 << 20)
}

fn content_within(path: &Path, room: u64) -> Result<Vec<(String, Vec<u8>)>, ActError> {
    let mut found = Vec::new();
    members_within(
        path,
        packed(path)?,
        room,
        &mut |_| {},
        |_| true,
        |name, from| {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map_err(|source| ActError::io("read", path, source))?;
            found.push((name.to_owned(), bytes));
            Ok::<(), ActError>(())
        },
    )?;
    Ok(found)
}

fn put(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut member = |name: &str, kind: u8, content: &[u8]| {
        let mut header = [0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = kind;
        header[257..263].copy_from_slice(b"ustar\0");
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        archive.extend(header);
        archive.extend(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    };
    for (name, content) in files {
        if name.len() > 90 {
            let record = format!("path={name}\n");
            let length = record.len() + 1 + 3;
            member("pax", b'x', format!("{length} {record}").as_bytes());
            member(&name[..90], b'0', content);
        } else {
            member(name, if name.ends_with('/') { b'5' } else { b'0' }, content);
        }
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// A zip archive with every second file deflated.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (at, (name, content)) in files.iter().enumerate() {
        let (method, packed) = match at % 2 {
            0 => (0u16, content.to_vec()),
            _ => {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
                encoder.write_all(content).unwrap();
                (8, encoder.finish().unwrap())
            }
        };
        let begin = archive.len() as u32;
        let common = |out: &mut Vec<u8>| {
            out.extend([20, 0, 0, 0]);
            out.extend(method.to_le_bytes());
            out.extend([0; 8]);
            out.extend((packed.len() as u32).to_le_bytes());
            out.extend((content.len() as u32).to_le_bytes());
            out.extend((name.len() as u16).to_le_bytes());
            out.extend([0, 0]);
        };
        archive.extend(b"PK\x03\x04");
        common(&mut archive);
        archive.extend(name.as_bytes());
        archive.extend(&packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        common(&mut directory);
        directory.extend([0; 10]);
        directory.extend(begin.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let begin = archive.len() as u32;
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend((files.len() as u16).to_le_bytes());
    archive.extend((files.len() as u16).to_le_bytes());
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(begin.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

#[test]
fn files_come_out_of_archives_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("{}/long.json", "deep".repeat(40));
    let files: [(&str, &[u8]); 5] =
        [("folder/", b""), ("folder/a.json", b"{}"), ("b", &[7; 1500]), (&long, b"long"), ("empty", b"")];
    let expected: Vec<(String, Vec<u8>)> =
        files[1..].iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect();
    let tar = tar(&files);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    for (name, bytes, kind) in [
        ("a.tar", tar.clone(), Packed::Tar),
        // What a file is shows in it, not in its name.
        ("main", gzip.finish().unwrap(), Packed::Tar),
        ("a.zip", zip(&files), Packed::Zip),
    ] {
        let path = put(&folder, name, &bytes);
        assert_eq!(packed(&path).unwrap(), kind, "{name}");
        assert_eq!(content(&path).unwrap(), expected, "{name}");
    }
    let plain = put(&folder, "plain.json", b"{}");
    assert_eq!(packed(&plain).unwrap(), Packed::Alone);
    assert_eq!(content(&plain).unwrap().len(), 1);
}

#[test]
fn damaged_archives_are_refused_and_never_break_the_reader() {
    let folder = tempfile::tempdir().unwrap();
    let files: [(&str, &[u8]); 3] = [("a", b"one"), ("b", &[0; 600]), ("c", b"three")];
    for (name, whole) in [("a.tar", tar(&files)), ("a.zip", zip(&files))] {
        // Without the marks of their end archives are still read as far as they go, or refused.
        for length in (0..whole.len()).step_by(7) {
            let _ = content(&put(&folder, name, &whole[..length]));
        }
        for at in 0..whole.len().min(1200) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            let _ = content(&put(&folder, name, &bytes));
        }
    }
    let refused = |name: &str, bytes: &[u8]| content(&put(&folder, name, bytes)).unwrap_err();
    let cut = tar(&files);
    let error = refused("cut.tar", &cut[..700]);
    assert!(error.to_string().contains("damaged archive: it ends inside of a file"), "{error}");
    let error = refused("cut.zip", &zip(&files)[..60]);
    assert!(error.to_string().contains("damaged archive: it has no directory"), "{error}");
    let mut encrypted = zip(&files);
    let at = encrypted.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    encrypted[at + 8] |= 1;
    let error = refused("locked.zip", &encrypted);
    assert!(error.to_string().contains("`a`: it is encrypted"), "{error}");
}

#[test]
fn the_files_of_an_archive_share_what_may_be_read_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let files: [(&str, &[u8]); 3] = [("a", &[b'x'; 400]), ("b", &[b'y'; 400]), ("c", &[b'z'; 400])];
    for (name, bytes) in [("a.tar", tar(&files)), ("a.zip", zip(&files))] {
        let path = put(&folder, name, &bytes);
        assert_eq!(content_within(&path, 1_200).unwrap().len(), 3, "{name}");
        let error = content_within(&path, 1_199).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("unpacks to more than is read"), "{name}: {cause}");
    }
}

#[test]
fn a_size_that_no_file_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for size in [[0xff; 8], [0, 0, 0, 4, 0, 0, 0, 1]] {
        let mut archive = tar(&[("a", b"one")]);
        let header = &mut archive[..512];
        header[124..136].fill(0);
        header[124] = 0x80;
        header[128..136].copy_from_slice(&size);
        header[148..156].fill(b' ');
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let error = content(&put(&folder, "a.tar", &archive)).unwrap_err();
        assert!(error.to_string().contains("damaged archive: a file is too large"), "{error}");
    }
}

proptest! {
    /// Whatever becomes of an archive on its way, it is read or refused, and nobody reads more of it
    /// than was allowed.
    #[test]
    fn any_archive_is_survived(
        files in proptest::collection::vec(("[a-z]{1,9}(/[a-z]{1,99})?", proptest::collection::vec(any::<u8>(), 0..600)), 0..5),
        as_zip: bool,
        damage in proptest::option::of((0usize..4_000, 0usize..40, proptest::collection::vec(any::<u8>(), 0..40))),
    ) {
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
        let mut bytes = if as_zip { zip(&files) } else { tar(&files) };
        let whole = damage.is_none() && !files.is_empty();
        if let Some((at, cut, with)) = damage {
            let at = at.min(bytes.len());
            bytes.splice(at..(at + cut).min(bytes.len()), with);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = put(&folder, "any", &bytes);
        let read = content_within(&path, 8 << 10);
        if let Ok(read) = &read && packed(&path).unwrap() != Packed::Alone {
            prop_assert!(read.iter().map(|(_, content)| content.len()).sum::<usize>() <= 8 << 10);
        }
        if whole {
            let expected: Vec<(String, Vec<u8>)> =
                files.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect();
            prop_assert_eq!(read.unwrap(), expected);
        }
    }
}

/// Packed or not, one hears how far a file is read, and never of more than it has.
#[tokio::test]
async fn how_far_a_long_file_is_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let edge = Edge::fixed(TimeUs::from_secs(1_790_000_000), [7; 32]);
    let home = Home::at(folder.path().join("home"));
    Observatory::init(&home, "Example CSIRT", "admin", "en", &edge).await.unwrap();
    let observatory = Observatory::open(&home, &edge).await.unwrap();
    let mut text = String::from("cve,epss,percentile\n");
    let mut drawn = 1u32;
    for number in 0..120_000 {
        // Numbers that do not pack well.
        drawn = drawn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(&format!("CVE-2099-{number:07},0.{drawn:010},0.{:010}\n", drawn.rotate_left(13)));
    }
    let name = "epss_scores-2026-03-31.csv";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    for (file, bytes) in [
        (name.to_owned(), text.clone().into_bytes()),
        (format!("{name}.gz"), gzip.finish().unwrap()),
        ("a.tar".to_owned(), tar(&[(name, text.as_bytes())])),
        ("a.zip".to_owned(), zip(&[(name, text.as_bytes())])),
    ] {
        let path = put(&folder, &file, &bytes);
        let mut heard = Vec::new();
        let imported =
            observatory.import_intelligence(IntelligenceKind::Epss, std::slice::from_ref(&path), |reading| {
                assert_eq!((reading.path, reading.total), (path.as_path(), bytes.len() as u64));
                heard.push(reading.bytes);
            });
        assert_eq!(imported.await.unwrap().records, 120_000, "{file}");
        assert_eq!(heard[0], 0, "{file}: when it is begun");
        assert!(heard.len() > bytes.len() >> 20, "{file}: {heard:?}");
        assert!(heard.is_sorted() && heard.last().is_some_and(|last| *last <= bytes.len() as u64), "{file}");
    }
}

#[tokio::test]
async fn archives_of_publishers_are_imported() {
    let Some(feeds) = shared("vulnfeeds") else { return };
    let folder = tempfile::tempdir().unwrap();
    let edge = Edge::fixed(TimeUs::from_secs(1_790_000_000), [7; 32]);
    let home = Home::at(folder.path());
    Observatory::init(&home, "Example CSIRT", "admin", "en", &edge).await.unwrap();
    let observatory = Observatory::open(&home, &edge).await.unwrap();
    for (kind, file, records) in [
        (IntelligenceKind::Cve, "mitre/cve/v5/testdata/fixtures/cvelistV5-main.tar.gz", 4),
        (IntelligenceKind::EndOfLife, "endoflife-date/products/testdata/fixtures/happy/master.tar.gz", 2),
        (IntelligenceKind::Csaf, "cisa/csaf/testdata/fixtures/develop.tar.gz", 2),
    ] {
        let imported = observatory.import_intelligence(kind, &[feeds.join(file)], |_| {}).await.unwrap();
        assert_eq!(
            (imported.records, imported.rejected_total),
            (records, 0),
            "{file}: {:?}",
            imported.rejected
        );
    }
    // A list of weaknesses as such is no list of vulnerabilities.
    let zip = feeds.join("mitre/cwe/testdata/fixtures/cwec_latest.xml.zip");
    let refused = observatory.import_intelligence(IntelligenceKind::Jvn, &[zip], |_| {}).await.unwrap_err();
    assert!(refused.to_string().contains("cwec_latest.xml.zip/"), "{refused}");
}

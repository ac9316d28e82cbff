//! An append-only file of records that survives `kill -9` and a full disk.
//!
//! One record is one line: eight hexadecimal digits of CRC-32 (IEEE 802.3) over the JSON that
//! follows. An append is written, then synchronised, before it counts. A crash can leave a torn
//! last record, which opening removes; damage before the last good record is not a crash but a
//! broken disk or a meddling hand, and is refused.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A log that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The medium failed; the log is as before the attempt.
    #[error("failed to {act} `{}`{}", path.display(), hint_of(source))]
    Io {
        /// What was attempted.
        act: &'static str,
        /// On which file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// Another process or task has it open.
    #[error("`{}` is in use by another run; hint: wait for it or stop it first", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A record before the last good one is damaged.
    #[error("`{}` line {line} is damaged although later lines are not; hint: restore the file, or move it away to begin anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// An append failed earlier and the file could not be put back: nothing more is written.
    #[error("`{}` is closed after a failed write; hint: free space and run again", path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
}

impl LogError {
    pub(crate) fn io(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { act, path: path.to_owned(), source }
    }

    /// True when this process has too many files open: trying again soon is the way out.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)))
    }

    /// True when freeing space and running again is the way out.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => disk_full(source),
            Self::Poisoned { .. } => true,
            _ => false,
        }
    }
}

/// True for a full file system or an exhausted quota.
pub(crate) fn disk_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

pub(crate) fn hint_of(error: &io::Error) -> &'static str {
    if disk_full(error) { "; hint: the disk is full; free space, then resume" } else { "" }
}

/// The open log, locked against a second opener.
#[derive(Debug)]
pub struct Logbook<R> {
    path: PathBuf,
    file: File,
    length: u64,
    poisoned: bool,
    /// Something was appended and not yet synchronised.
    dirty: bool,
    records: PhantomData<fn(R)>,
}

impl<R: Serialize + DeserializeOwned> Logbook<R> {
    /// Opens or creates the log at `path` and reads what it holds. A torn tail is removed.
    pub fn open(path: &Path) -> Result<(Self, Vec<R>), LogError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(LogError::io("open", path))?;
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => LogError::Locked { path: path.to_owned() },
            std::fs::TryLockError::Error(source) => LogError::io("lock", path)(source),
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(LogError::io("read", path))?;
        let (records, good) =
            parse(&bytes).map_err(|line| LogError::Damaged { path: path.to_owned(), line })?;
        let mut log = Self {
            path: path.to_owned(),
            file,
            length: bytes.len() as u64,
            poisoned: false,
            dirty: false,
            records: PhantomData,
        };
        if log.length != good {
            log.cut(good)?;
        }
        log.length = good;
        log.file.sync_all().map_err(LogError::io("synchronise", path))?;
        sync_parent(path)?;
        Ok((log, records))
    }

    /// Appends one record; when this returns `Ok`, it survives a crash.
    pub fn append(&mut self, record: &R) -> Result<(), LogError> {
        self.append_unsynced(std::slice::from_ref(record))?;
        self.sync()
    }

    /// Appends records that something else can restore: they survive the end of the process, and
    /// the end of the machine only once [`Logbook::sync`] has returned.
    pub fn append_unsynced(&mut self, records: &[R]) -> Result<(), LogError> {
        self.check_poison()?;
        let lines: Vec<u8> = records.iter().flat_map(|record| line(record)).collect();
        let written = self.file.seek(SeekFrom::Start(self.length)).and_then(|_| self.file.write_all(&lines));
        match written {
            Ok(()) => {
                self.length += lines.len() as u64;
                self.dirty |= !records.is_empty();
                Ok(())
            }
            Err(source) => {
                self.poisoned = self.cut(self.length).is_err();
                Err(LogError::io("append to", &self.path)(source))
            }
        }
    }

    /// Makes everything appended durable.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.check_poison()?;
        if !self.dirty {
            return Ok(());
        }
        if let Err(source) = self.file.sync_data() {
            // Nobody knows what of it is on the disk; opening again will tell.
            self.poisoned = true;
            return Err(LogError::io("synchronise", &self.path)(source));
        }
        self.dirty = false;
        Ok(())
    }

    fn check_poison(&self) -> Result<(), LogError> {
        if self.poisoned { Err(LogError::Poisoned { path: self.path.clone() }) } else { Ok(()) }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the whole log by `records`: all of them or, after a crash, what was before.
    pub fn rewrite(self, records: &[R]) -> Result<Self, LogError> {
        let path = self.path.clone();
        let bytes: Vec<u8> = records.iter().flat_map(|record| line(record)).collect();
        replace_file(&path, &bytes)?;
        drop(self);
        Self::open(&path).map(|(log, _)| log)
    }

    fn cut(&mut self, length: u64) -> Result<(), LogError> {
        let path = &self.path;
        self.file.set_len(length).map_err(LogError::io("cut the torn tail of", path))?;
        self.file.sync_all().map_err(LogError::io("synchronise", path))
    }
}

fn line(record: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_vec(record).expect("records serialise to JSON");
    let mut line = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    line
}

/// Records of the good beginning and its length in bytes, or the number of the damaged line.
fn parse<R: DeserializeOwned>(bytes: &[u8]) -> Result<(Vec<R>, u64), usize> {
    let mut records = Vec::new();
    let mut good = 0;
    let mut bad = None;
    let mut at = 0;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        at += line.len() as u64;
        match (record(line), bad) {
            (Some(_), Some(damaged)) => return Err(damaged),
            (Some(record), None) => {
                records.push(record);
                good = at;
            }
            (None, _) => bad = bad.or(Some(number + 1)),
        }
    }
    Ok((records, good))
}

fn record<R: DeserializeOwned>(line: &[u8]) -> Option<R> {
    let line = line.strip_suffix(b"\n")?;
    let (crc, json) = line.split_at_checked(9)?;
    let crc = u32::from_str_radix(std::str::from_utf8(crc).ok()?.strip_suffix(' ')?, 16).ok()?;
    (crc == crc32fast::hash(json)).then(|| serde_json::from_slice(json).ok()).flatten()
}

/// Writes a file beside `path`, synchronises it, and renames it into place.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    let beside = path.with_extension("tmp");
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    if let Err(source) = written {
        // What lies beside is of no use; when it cannot be removed either, the next write replaces it.
        let _ = std::fs::remove_file(&beside);
        return Err(LogError::io("write", path)(source));
    }
    sync_parent(path)
}

/// Makes a created, renamed or removed name durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), LogError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(LogError::io("synchronise", parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(path: &Path) -> Vec<u32> {
        Logbook::<u32>::open(path).unwrap().1
    }

    #[test]
    fn a_tail_torn_at_any_byte_costs_only_the_last_record() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (mut log, _) = Logbook::<u32>::open(&path).unwrap();
        for n in [7, 70, 700] {
            log.append(&n).unwrap();
        }
        drop(log);
        let whole = std::fs::read(&path).unwrap();
        let ends: Vec<usize> =
            whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(i, _)| i + 1).collect();
        for cut in 0..=whole.len() {
            for garbage in [&b""[..], b"\0\0\0\0", b"zzzz\nzz", b"00000000 7\n"] {
                std::fs::write(&path, [&whole[..cut], garbage].concat()).unwrap();
                let kept = ends.iter().filter(|end| **end <= cut).count();
                // A piece of the next record followed by garbage is still only a torn tail.
                assert_eq!(records(&path), [7, 70, 700][..kept], "cut at {cut}");
                let (mut log, _) = Logbook::<u32>::open(&path).unwrap();
                log.append(&9).unwrap();
                drop(log);
                assert_eq!(records(&path).last(), Some(&9), "cut at {cut}");
            }
        }
    }

    #[test]
    fn damage_in_the_middle_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (mut log, _) = Logbook::<u32>::open(&path).unwrap();
        (0..3).for_each(|n| log.append(&n).unwrap());
        drop(log);
        let mut bytes = std::fs::read(&path).unwrap();
        let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        bytes[second + 3] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = Logbook::<u32>::open(&path).unwrap_err();
        assert!(matches!(error, LogError::Damaged { line: 2, .. }), "{error}");
    }

    #[test]
    fn a_second_opener_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let first = Logbook::<u32>::open(&path).unwrap();
        assert!(matches!(Logbook::<u32>::open(&path), Err(LogError::Locked { .. })));
        drop(first);
        Logbook::<u32>::open(&path).unwrap();
    }

    #[test]
    fn a_rewrite_replaces_everything() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (mut log, _) = Logbook::<u32>::open(&path).unwrap();
        log.append(&1).unwrap();
        let mut log = log.rewrite(&[5, 6]).unwrap();
        log.append(&7).unwrap();
        drop(log);
        assert_eq!(records(&path), [5, 6, 7]);
    }
}

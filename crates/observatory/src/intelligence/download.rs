//! Fetches one file: asked for only if it changed, continued where it broke off, bounded in bytes and
//! time, checked against its checksum, and put in place as a whole.
//!
//! Beside the file `F` lie `F.json` (its validators, digest, and the snapshot made of it), and while
//! it is under way `F.part` with `F.part.json`. What is in place stays until something better is whole.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{
    CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED,
    RANGE,
};
use reqwest::{Client, Response, StatusCode, redirect};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::source::{IntelSource, is_digest};
use crate::error::ActError;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(20);
/// Bytes of a checksum file that are read at most.
const CHECKSUMS_MAX: u64 = 4 << 20;
/// Most redirections followed.
const REDIRECTS_MAX: usize = 5;

/// What one download may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of one file.
    pub(super) bytes: u64,
    /// Longest silence inside of a transfer.
    pub(super) stall: Duration,
    /// One file as a whole.
    pub(super) whole: Duration,
    /// How often a transfer that breaks off is continued at once.
    pub(super) attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 8 << 30,
            stall: Duration::from_secs(60),
            whole: Duration::from_secs(3 * 3_600),
            attempts: 5,
        }
    }
}

/// Why a file was not fetched. What was in place before is still there.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    /// No connection, or it broke off.
    #[error("`{url}` cannot be fetched: {problem}")]
    Transfer {
        /// Asked for.
        url: String,
        /// What was seen.
        problem: String,
    },
    /// The server says something else.
    #[error("`{url}` answers {status}")]
    Status {
        /// Asked for.
        url: String,
        /// Status code and its name.
        status: StatusCode,
    },
    /// More than is taken.
    #[error("`{url}` is larger than {max} bytes")]
    Large {
        /// Asked for.
        url: String,
        /// Most bytes taken.
        max: u64,
    },
    /// It took too long.
    #[error("`{url}` was not there after {seconds} s; the next attempt goes on where this one stopped")]
    Slow {
        /// Asked for.
        url: String,
        /// Longest time.
        seconds: u64,
    },
    /// What came is not what was announced.
    #[error("`{url}` has SHA-256 {found}, and its checksum says {expected}: it is not used")]
    Checksum {
        /// Asked for.
        url: String,
        /// As announced.
        expected: String,
        /// As computed.
        found: String,
    },
    /// A checksum file without a checksum for this file.
    #[error("`{checksums}` states no SHA-256 of `{url}`")]
    NoChecksum {
        /// The checksum file.
        checksums: String,
        /// Asked for.
        url: String,
    },
    /// Neither the address nor its mirror gave it.
    #[error("{first}; of its mirror: {then}")]
    Mirror {
        /// What became of the address.
        first: Box<DownloadError>,
        /// What became of the mirror.
        then: Box<DownloadError>,
    },
    /// The disk failed.
    #[error("failed to {action} `{}`: {source}", path.display())]
    Disk {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
}

/// A file that is in place.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// It is the same as before.
    pub(super) unchanged: bool,
    /// The snapshot that was made of it, when one was.
    pub(super) snapshot: Option<String>,
}

/// Where a transfer is.
#[derive(Debug, Clone, Copy)]
pub struct Transfer<'a> {
    /// Asked for.
    pub url: &'a str,
    /// Bytes so far, those of an earlier attempt included.
    pub bytes: u64,
    /// Of how many, where the server says it.
    pub total: Option<u64>,
}

/// What is known of a file in place, or of a part.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Note {
    url: String,
    #[serde(default)]
    etag: Option<String>,
    #[serde(default)]
    last_modified: Option<String>,
    #[serde(default)]
    sha256: String,
    /// Digest of the snapshot that was made of it.
    #[serde(default)]
    snapshot: Option<String>,
}

/// Fetches into one folder.
pub(super) struct Downloader {
    http: Client,
    folder: PathBuf,
    limits: Limits,
}

/// Where the files of one source lie.
struct Place {
    file: PathBuf,
    note: PathBuf,
    part: PathBuf,
    part_note: PathBuf,
}

impl Place {
    fn of(file: PathBuf) -> Self {
        let beside = |ending: &str| {
            let mut name = file.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        };
        Self { note: beside(".json"), part: beside(".part"), part_note: beside(".part.json"), file }
    }
}

/// What a server gave.
enum Given {
    /// The file in place is still the newest.
    Unchanged,
    /// The part is whole now.
    Whole(Note),
}

impl Downloader {
    /// Fetches into `folder`, which is made.
    pub(super) fn new(folder: PathBuf, limits: Limits) -> Result<Self, ActError> {
        std::fs::create_dir_all(&folder)
            .map_err(|source| ActError::io("create the folder", &folder, source))?;
        let http = Client::builder()
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::custom(|attempt| {
                let secure = attempt.previous().first().is_some_and(|url| url.scheme() == "https");
                if attempt.previous().len() > REDIRECTS_MAX {
                    attempt.error("too many redirections")
                } else if secure && attempt.url().scheme() != "https" {
                    attempt.error("a redirection leaves TLS")
                } else {
                    attempt.follow()
                }
            }))
            .user_agent(concat!("kenshin/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ActError::outside("failed to prepare TLS", error))?;
        Ok(Self { http, folder, limits })
    }

    /// Fetches a source, from its mirror when its own address does not give it.
    pub(super) async fn fetch(
        &self,
        source: &IntelSource,
        progress: &mut impl FnMut(Transfer<'_>),
    ) -> Result<Fetched, DownloadError> {
        let place = Place::of(self.folder.join(file_name(&source.url)));
        let first = match self.fetch_from(&source.url, source, &place, progress).await {
            Ok(fetched) => return Ok(fetched),
            Err(error @ DownloadError::Disk { .. }) => return Err(error),
            Err(error) => error,
        };
        let Some(mirror) = &source.mirror else { return Err(first) };
        let fetched = self.fetch_from(mirror, source, &place, progress).await;
        fetched.map_err(|then| DownloadError::Mirror { first: first.into(), then: then.into() })
    }

    /// Notes that a snapshot was made of a file in place.
    pub(super) fn imported(&self, file: &Path, snapshot: &str) -> Result<(), DownloadError> {
        let place = Place::of(file.to_owned());
        let mut note = read_note(&place.note).unwrap_or_default();
        note.snapshot = Some(snapshot.to_owned());
        write_note(&place.note, &note)
    }

    async fn fetch_from(
        &self,
        url: &str,
        source: &IntelSource,
        place: &Place,
        progress: &mut impl FnMut(Transfer<'_>),
    ) -> Result<Fetched, DownloadError> {
        let whole = self.limits.whole;
        let work = async {
            let expected = match &source.sha256 {
                None => None,
                Some(digest) if is_digest(digest) => Some(digest.to_ascii_lowercase()),
                Some(checksums) => Some(self.checksum(checksums, url).await?),
            };
            let given = self.attempts(url, place, progress).await?;
            finish(url, place, given, expected).await
        };
        match tokio::time::timeout(whole, work).await {
            Ok(done) => done,
            Err(_) => Err(DownloadError::Slow { url: url.to_owned(), seconds: whole.as_secs() }),
        }
    }

    /// Asks until the file is whole; a transfer that brought something and broke off is continued.
    async fn attempts(
        &self,
        url: &str,
        place: &Place,
        progress: &mut impl FnMut(Transfer<'_>),
    ) -> Result<Given, DownloadError> {
        let mut attempt = 1;
        loop {
            let before = length(&place.part);
            match self.ask(url, place, progress).await {
                Err(DownloadError::Transfer { .. })
                    if attempt < self.limits.attempts && length(&place.part) > before =>
                {
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    async fn ask(
        &self,
        url: &str,
        place: &Place,
        progress: &mut impl FnMut(Transfer<'_>),
    ) -> Result<Given, DownloadError> {
        let mut request = self.http.get(url);
        if let Some(note) = read_note(&place.note).filter(|note| note.url == url && place.file.exists()) {
            let ask = |name, value: Option<String>| value.map(|value| (name, value));
            let conditions = [ask(IF_NONE_MATCH, note.etag), ask(IF_MODIFIED_SINCE, note.last_modified)];
            for (name, value) in conditions.into_iter().flatten() {
                request = request.header(name, value);
            }
        }
        // A part is continued only while its file is surely still the same.
        let begun = read_note(&place.part_note).filter(|note| note.url == url);
        let validator =
            begun.and_then(|note| note.etag.filter(|etag| !etag.starts_with("W/")).or(note.last_modified));
        let held = length(&place.part);
        if let Some(validator) = validator.filter(|_| held > 0) {
            request = request.header(RANGE, format!("bytes={held}-")).header(IF_RANGE, validator);
        }
        let answer = match tokio::time::timeout(self.limits.stall, request.send()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(broken(url, chain(&error))),
            Err(_) => return Err(broken(url, "no answer in time".to_owned())),
        };
        match answer.status() {
            StatusCode::NOT_MODIFIED => Ok(Given::Unchanged),
            StatusCode::OK => {
                let total = answer.content_length();
                self.take(url, place, answer, 0, total, progress).await
            }
            StatusCode::PARTIAL_CONTENT
                if let Some((first, total)) = range(answer.headers()).filter(|(first, _)| *first == held) =>
            {
                self.take(url, place, answer, first, Some(total), progress).await
            }
            status => {
                // A part that does not fit any more is begun anew next time.
                if matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE) {
                    discard(place);
                }
                Err(DownloadError::Status { url: url.to_owned(), status })
            }
        }
    }

    /// Writes what comes behind the first `held` bytes of the part, of `total` where the server says it.
    async fn take(
        &self,
        url: &str,
        place: &Place,
        mut answer: Response,
        held: u64,
        total: Option<u64>,
        progress: &mut impl FnMut(Transfer<'_>),
    ) -> Result<Given, DownloadError> {
        let failed = |source| DownloadError::Disk { action: "write", path: place.part.clone(), source };
        let large = || DownloadError::Large { url: url.to_owned(), max: self.limits.bytes };
        if total.is_some_and(|total| total > self.limits.bytes) {
            return Err(large());
        }
        let text = |name: HeaderName| {
            answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let note = Note {
            url: url.to_owned(),
            etag: text(ETAG),
            last_modified: text(LAST_MODIFIED),
            ..Note::default()
        };
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(held == 0)
            .append(held > 0)
            .open(&place.part)
            .map_err(failed)?;
        write_note(&place.part_note, &note)?;
        let mut bytes = held;
        loop {
            progress(Transfer { url, bytes, total });
            let chunk = match tokio::time::timeout(self.limits.stall, answer.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    return Err(broken(
                        url,
                        format!("it breaks off after {bytes} bytes ({})", chain(&error)),
                    ));
                }
                Err(_) => return Err(broken(url, format!("it falls silent after {bytes} bytes"))),
            };
            bytes += chunk.len() as u64;
            if bytes > self.limits.bytes {
                drop(file);
                discard(place);
                return Err(large());
            }
            file.write_all(&chunk).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        // A server may give less than the rest that was asked for.
        match total.filter(|total| *total != bytes) {
            Some(total) => Err(broken(url, format!("it ends after {bytes} of {total} bytes"))),
            None => Ok(Given::Whole(note)),
        }
    }

    /// The SHA-256 that a checksum file states for `url`.
    async fn checksum(&self, checksums: &str, url: &str) -> Result<String, DownloadError> {
        let asked = self.http.get(checksums).timeout(self.limits.stall).send().await;
        let mut answer = asked.map_err(|error| broken(checksums, chain(&error)))?;
        if answer.status() != StatusCode::OK {
            return Err(DownloadError::Status { url: checksums.to_owned(), status: answer.status() });
        }
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| broken(checksums, chain(&error)))? {
            text.extend_from_slice(&chunk);
            if text.len() as u64 > CHECKSUMS_MAX {
                return Err(DownloadError::Large { url: checksums.to_owned(), max: CHECKSUMS_MAX });
            }
        }
        stated(&String::from_utf8_lossy(&text), url)
            .ok_or_else(|| DownloadError::NoChecksum { checksums: checksums.to_owned(), url: url.to_owned() })
    }
}

/// Checks what was given and puts it in place.
async fn finish(
    url: &str,
    place: &Place,
    given: Given,
    expected: Option<String>,
) -> Result<Fetched, DownloadError> {
    let held = read_note(&place.note);
    let wrong = |found: &str| match &expected {
        Some(expected) if expected != found => Err(DownloadError::Checksum {
            url: url.to_owned(),
            expected: expected.clone(),
            found: found.to_owned(),
        }),
        _ => Ok(()),
    };
    let fetched = |unchanged, snapshot| Fetched { path: place.file.clone(), unchanged, snapshot };
    let mut note = match given {
        Given::Unchanged => {
            let held = held.unwrap_or_default();
            wrong(&held.sha256)?;
            discard(place);
            return Ok(fetched(true, held.snapshot));
        }
        Given::Whole(note) => note,
    };
    note.sha256 = digest(&place.part).await?;
    if let Err(error) = wrong(&note.sha256) {
        discard(place);
        return Err(error);
    }
    let same = held.filter(|held| held.sha256 == note.sha256);
    note.snapshot = same.as_ref().and_then(|held| held.snapshot.clone());
    std::fs::rename(&place.part, &place.file).map_err(|source| DownloadError::Disk {
        action: "put in place",
        path: place.file.clone(),
        source,
    })?;
    write_note(&place.note, &note)?;
    discard(place);
    Ok(fetched(same.is_some(), note.snapshot))
}

/// Drops a part; that there is none is as well.
fn discard(place: &Place) {
    for path in [&place.part, &place.part_note] {
        if let Err(error) = std::fs::remove_file(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a partial download cannot be removed");
        }
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// A note that cannot be read is none: the file is fetched again.
fn read_note(path: &Path) -> Option<Note> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn write_note(path: &Path, note: &Note) -> Result<(), DownloadError> {
    let failed = |source| DownloadError::Disk { action: "write", path: path.to_owned(), source };
    let beside = path.with_extension("tmp");
    let text = serde_json::to_vec(note).map_err(|error| failed(error.into()))?;
    std::fs::write(&beside, text).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}

async fn digest(path: &Path) -> Result<String, DownloadError> {
    let path = path.to_owned();
    let failed = |source| DownloadError::Disk { action: "read", path: path.clone(), source };
    let read = path.clone();
    let hashed = tokio::task::spawn_blocking(move || {
        let mut hash = Sha256::new();
        std::io::copy(&mut std::fs::File::open(read)?, &mut hash).map(|_| hex::encode(hash.finalize()))
    });
    hashed.await.map_err(|error| failed(std::io::Error::other(error)))?.map_err(failed)
}

/// A name for the file of an address: short, harmless, and different for different addresses. It keeps
/// the address's own last part, by which importers tell dates and formats.
fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let harmless = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_');
    let last: String = last.chars().filter(|char| harmless(*char)).take(80).collect();
    let digest = hex::encode(Sha256::digest(url));
    format!("{}-{}", &digest[..8], last.trim_start_matches('.'))
}

/// First byte, and bytes of the whole, of a `Content-Range: bytes 100-199/200`. Of a whole whose length
/// is not said (`*`) nobody could tell that it is there.
fn range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split('-').next()?.trim().parse().ok()?, total.trim().parse().ok()?))
}

/// The SHA-256 that a checksum file states for a file: in the line that names it or one of the lines
/// behind (JSON), or the only one that there is.
fn stated(text: &str, url: &str) -> Option<String> {
    /// How far behind the name the digest may stand.
    const LINES: usize = 4;
    let name = url.split(['?', '#']).next().unwrap_or(url).rsplit('/').next().unwrap_or_default();
    let words = |line: &str| -> Vec<String> {
        let apart = |char: char| {
            char.is_whitespace() || matches!(char, '"' | ',' | ':' | '*' | '=' | '(' | ')' | '/')
        };
        line.split(apart).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let digest = |line: &str| {
        words(line).into_iter().find(|word| is_digest(word)).map(|word| word.to_ascii_lowercase())
    };
    let lines: Vec<&str> = text.lines().collect();
    if let Some(at) = lines.iter().position(|line| words(line).iter().any(|word| word == name)) {
        return lines[at..].iter().take(1 + LINES).find_map(|line| digest(line));
    }
    let mut all: Vec<String> = lines.iter().filter_map(|line| digest(line)).collect();
    all.dedup();
    if all.len() == 1 { all.pop() } else { None }
}

fn broken(url: &str, problem: String) -> DownloadError {
    DownloadError::Transfer { url: url.to_owned(), problem }
}

/// The causes of an error, the address left out: it is named once.
fn chain(error: &reqwest::Error) -> String {
    let mut said = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said.push(error.to_string());
        cause = error.source();
    }
    if said.is_empty() { "the connection failed".to_owned() } else { said.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_as_they_are_published() {
        let (a, b) = ("a".repeat(64), "B".repeat(64));
        let json = format!(
            "[{{\n\"url\": \"https://x/jvndb_2023.rdf\",\n\"filename\": \"jvndb_2023.rdf\",\n\"sha256\": \"{b}\"}}]"
        );
        for (text, url, expected) in [
            (format!("{a}  other.csv\n{b} *kev.json\n"), "https://x/kev.json", Some(&b)),
            (format!("SHA256 (kev.json) = {a}\n"), "https://x/kev.json?y=1", Some(&a)),
            (json, "https://x/jvndb_2023.rdf", Some(&b)),
            (format!("{a}\n"), "https://x/kev.json", Some(&a)),
            (format!("lastModified:x\r\nsha256:{b}\r\n"), "https://x/kev.json", Some(&b)),
            (format!("{a}  one\n{b}  two\n"), "https://x/kev.json", None),
            (String::new(), "https://x/kev.json", None),
        ] {
            assert_eq!(stated(&text, url), expected.map(|digest| digest.to_lowercase()), "{text}");
        }
    }

    #[test]
    fn names_of_files_are_harmless() {
        assert!(file_name("https://x/a/kev.json?x=/../y").ends_with("-kev.json"));
        assert!(file_name("https://x/..").ends_with('-'));
        assert_ne!(file_name("https://x/kev.json"), file_name("https://y/kev.json"));
    }
}

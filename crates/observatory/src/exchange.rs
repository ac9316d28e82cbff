//! Results of other scanners in, ours out in their formats.

use std::collections::BTreeMap;
use std::io::{BufRead, Read, Write};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use kenshin_exchange::{Export, Fields, Format, Import, Imported, Look, Origin, ReadError, Terms};
use kenshin_lake::Selection;
use kenshin_observation::{BatchId, SurveyId, TimeUs, Tlp, Transport};
use kenshin_survey::spool::{Draft, Spool};
use kenshin_wire::telnet::{Prompt, prompt};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::ActError;
use crate::intelligence::open;
use crate::{Observatory, Worker};

/// Most problems of a file that are listed; further ones are counted.
const PROBLEMS_MAX: usize = 1_000;
/// Rows of one batch.
const BATCH_ROWS: usize = 4_096;

/// What an import is told, because files do not say it.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// Format of the files.
    pub format: Format,
    /// Port that was scanned, where a file states none.
    pub port: Option<(u16, Transport)>,
    /// Addresses of hosts that a file calls by name alone.
    pub names: BTreeMap<String, IpAddr>,
}

/// What became of a file.
#[derive(Debug, Clone, Serialize)]
pub struct ImportedFile {
    /// Name of the file.
    pub file: String,
    /// What wrote it.
    pub tool: String,
    /// Version of that, when it is stated.
    pub version: Option<String>,
    /// SHA-256 of its bytes, unpacked.
    pub sha256: String,
    /// The survey that its rows belong to.
    pub survey_id: SurveyId,
    /// Rows in it.
    pub rows: u64,
    /// Rows that are new in the lake; the others were there already.
    pub rows_new: u64,
    /// Records that could not be used, at most 1000.
    pub problems: Vec<String>,
    /// How many could not be used.
    pub problems_total: u64,
}

impl Worker {
    /// Takes a file of another scanner's results into the lake, through the spool as everything
    /// else: sealed by this machine's sensor, committed once. The rows say that they are another's
    /// ([`Origin`]). A file that is there already changes nothing, and one that was interrupted is
    /// completed.
    pub async fn import(
        &self,
        observatory: &Observatory,
        request: &ImportRequest,
        path: &Path,
    ) -> Result<ImportedFile, ActError> {
        let sha256 = digest(path)?;
        let origin = Origin::new(request.format.tool(), sha256);
        let survey_id = origin.survey_id(observatory.org());
        let terms = Terms {
            org_id: observatory.org(),
            tlp: Tlp::Amber,
            time: modified(path)?,
            port: request.port,
            names: request.names.clone(),
            look: look(),
        };
        let hash = Arc::new(Mutex::new(Sha256::new()));
        let from = Hashing { from: open(path)?, hash: hash.clone() };
        let name = path.display().to_string();
        let mut reading = Reading {
            import: Import::new(request.format, &name, from, origin, terms),
            path: path.to_owned(),
            spool: self.spool().clone(),
            random: ChaCha20Rng::from_seed(observatory.edge().seed()),
            now: observatory.now(),
            survey_id,
            slice: 0,
            file: ImportedFile {
                file: name,
                tool: String::new(),
                version: None,
                sha256: hex::encode(sha256),
                survey_id,
                rows: 0,
                rows_new: 0,
                problems: Vec::new(),
                problems_total: 0,
            },
        };
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let more = reading.seal_next();
                (reading, more)
            });
            let (back, more) = read
                .await
                .map_err(|error| ActError::outside(format!("failed to read `{}`", path.display()), error))?;
            reading = back;
            let more = more?;
            self.ship().await?;
            if !more {
                break;
            }
        }
        let again: [u8; 32] = hash.lock().unwrap_or_else(PoisonError::into_inner).clone().finalize().into();
        if again != sha256 {
            return Err(ActError::input(format!("`{}` was changed while it was read", path.display()))
                .with_hint("import it again when nothing writes to it"));
        }
        Ok(reading.finish())
    }
}

/// A file that is being read, batch by batch.
struct Reading {
    import: Import<'static>,
    path: PathBuf,
    spool: Spool,
    random: ChaCha20Rng,
    now: TimeUs,
    survey_id: SurveyId,
    slice: u64,
    file: ImportedFile,
}

impl Reading {
    /// Reads the rows of one batch and seals them, unless that was done before; false when the file
    /// has ended.
    fn seal_next(&mut self) -> Result<bool, ActError> {
        let mut draft = Draft {
            survey_id: self.survey_id,
            slice: self.slice,
            mandate_digest: self.file.sha256.clone(),
            observations: Vec::new(),
            coverage: Vec::new(),
            blobs: Vec::new(),
        };
        while draft.observations.len() < BATCH_ROWS {
            match self.import.next() {
                None => break,
                Some(Ok(Imported { observation, blobs })) => {
                    draft.observations.push(observation);
                    draft.blobs.extend(blobs);
                }
                Some(Err(ReadError::Malformed(problem))) => {
                    self.file.problems_total += 1;
                    if self.file.problems.len() < PROBLEMS_MAX {
                        self.file.problems.push(problem.to_string());
                    }
                }
                Some(Err(ReadError::Io { source, .. })) => {
                    return Err(ActError::io("read", &self.path, source));
                }
            }
        }
        let rows = draft.observations.len();
        if rows == 0 {
            return Ok(false);
        }
        self.file.rows += rows as u64;
        if !self.spool.sealed(self.survey_id).contains(self.slice) {
            draft.blobs.sort_by_cached_key(|blob| blob.sha256());
            draft.blobs.dedup();
            let batch_id = BatchId::new(self.now, self.random.random());
            let random = &mut self.random;
            self.spool
                .seal(&draft, batch_id, self.now, || random.random())
                .map_err(|error| ActError::outside("failed to seal imported rows", error))?;
            self.file.rows_new += rows as u64;
        }
        self.slice += 1;
        Ok(rows == BATCH_ROWS)
    }

    fn finish(self) -> ImportedFile {
        let origin = self.import.origin();
        ImportedFile {
            tool: origin.tool().to_string(),
            version: origin.version().map(str::to_owned),
            ..self.file
        }
    }
}

impl Observatory {
    /// Writes the observations of a survey, ours or imported, in the format of another scanner;
    /// returns how many there were.
    pub async fn export(
        &self,
        survey: SurveyId,
        format: Format,
        fields: Fields,
        to: impl Write + Send,
    ) -> Result<u64, ActError> {
        let mut export = Export::new(format, to, fields);
        let selection = Selection { survey: Some(survey), ..Selection::default() };
        let (mut rows, mut failed) = (0, None);
        self.lake()
            .await?
            .each_observation(&selection, |observation| match export.row(&observation) {
                Ok(()) => {
                    rows += 1;
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })
            .await?;
        let written = match failed {
            Some(error) => Err(error),
            None => export.finish(),
        };
        written.map_err(|error| {
            ActError::outside(format!("failed to write survey {survey} as {format}"), error)
        })?;
        Ok(rows)
    }
}

/// What strangers said is looked at as in our own probes.
fn look() -> Look {
    Look {
        redact: kenshin_wire::redaction::text,
        title: kenshin_wire::http::page::title,
        password_form: kenshin_wire::http::page::has_password_form,
        prompt: |text| {
            let stops_at = prompt(text);
            [Prompt::Login, Prompt::Password, Prompt::Shell].map(|kind| stops_at == Some(kind))
        },
    }
}

/// SHA-256 of what a file holds, unpacked.
fn digest(path: &Path) -> Result<[u8; 32], ActError> {
    let mut from = open(path)?;
    let mut hash = Sha256::new();
    loop {
        let chunk = from.fill_buf().map_err(|source| ActError::io("read", path, source))?;
        if chunk.is_empty() {
            return Ok(hash.finalize().into());
        }
        hash.update(chunk);
        let length = chunk.len();
        from.consume(length);
    }
}

/// When a file was written, for what it does not say itself.
fn modified(path: &Path) -> Result<TimeUs, ActError> {
    let time = std::fs::metadata(path).and_then(|file| file.modified());
    let time = time.map_err(|source| ActError::io("read", path, source))?;
    let micros = time.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_micros());
    Ok(TimeUs::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)))
}

/// Takes the digest of what is read, so that a file that changes meanwhile is noticed.
struct Hashing<R> {
    from: R,
    hash: Arc<Mutex<Sha256>>,
}

impl<R: BufRead> BufRead for Hashing<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.from.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What was shown before is still there: nothing was read in between.
        if let Ok(chunk) = self.from.fill_buf() {
            let taken = &chunk[..amount.min(chunk.len())];
            self.hash.lock().unwrap_or_else(PoisonError::into_inner).update(taken);
        }
        self.from.consume(amount);
    }
}

impl<R: BufRead> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let chunk = self.fill_buf()?;
        let amount = chunk.len().min(into.len());
        into[..amount].copy_from_slice(&chunk[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

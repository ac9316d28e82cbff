//! Mandates, trust roots, revocation and narrowing lists as files of the home.
//!
//! Trust roots are installed by hand in `mandates/allowed_signers` and by nobody else. A mandate
//! lies in `mandates/ID.toml` with its signatures beside it. The revocation list lies where the
//! mandate says, relative to `mandates/`. `mandates/narrowing.toml` is unsigned: it can only take
//! away. On a sensor apart from its hub the same files lie in the same places; [`papers`] says how
//! they come there.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kenshin_mandate::signature::{MANDATE_NAMESPACE, REVOCATION_NAMESPACE, sidecar_names};
use kenshin_mandate::{
    AddressSet, Gate, GateStart, Mandate, Narrowing, ProviderRate, Revocation, RevocationDraft,
    RevocationList, Revoked, SignerKey, TrustRoots, VerifiedMandate, verify,
};
use kenshin_observation::{Prefix, SensorId, TimeUs};

use crate::error::ActError;
use crate::home::Home;

mod papers;

/// Longest mandate, list or signature file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Files of `mandates/` that are no mandates.
const RESERVED: [&str; 4] = ["narrowing", "narrowing-hub", "narrowing-providers", "revocations"];
/// Up to how many bytes of the narrowing list strangers may fill: the rest is the operator's.
const OPT_OUT_BYTES_MAX: u64 = 1 << 20;

/// A signed text with the signature files beside it.
#[derive(Debug, Clone)]
pub struct SignedText {
    /// Where it was read.
    pub path: PathBuf,
    /// The text, byte for byte.
    pub text: String,
    /// The texts of its signature files.
    pub signatures: Vec<String>,
}

impl SignedText {
    /// Reads a text and the signatures beside it, of which there may be none.
    pub fn read(path: &Path) -> Result<Self, ActError> {
        let text = read_limited(path)?;
        let mut signatures = Vec::new();
        for sidecar in sidecar_names(&path.display().to_string()) {
            match read_limited(Path::new(&sidecar)) {
                Ok(signature) => signatures.push(signature),
                Err(ActError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { path: path.to_owned(), text, signatures })
    }

    fn file(&self) -> String {
        self.path.display().to_string()
    }

    fn signature_texts(&self) -> Vec<&str> {
        self.signatures.iter().map(String::as_str).collect()
    }
}

/// The files of a home that authorise.
#[derive(Debug, Clone)]
pub struct Authority {
    home: Home,
}

impl Authority {
    /// Those of a home.
    pub fn of(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    /// The trust roots of a file.
    pub fn roots_of(path: &Path) -> Result<TrustRoots, ActError> {
        let text = read_limited(path).map_err(|error| match error {
            ActError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                ActError::input(format!("there are no trust roots: `{}` is not there", path.display())).with_hint(
                    "put the public keys of those who may sign mandates there, in the format of ssh-keygen's allowed_signers",
                )
            }
            other => other,
        })?;
        TrustRoots::parse(&path.display().to_string(), &text)
            .map_err(|invalid| ActError::input(invalid.to_string()).with_hint(invalid.hint()))
    }

    /// The trust roots of this machine.
    pub fn roots(&self) -> Result<TrustRoots, ActError> {
        Self::roots_of(&self.home.trust_roots())
    }

    /// Verifies a mandate wherever it lies.
    pub fn verify(signed: &SignedText, roots: &TrustRoots, now: TimeUs) -> Result<VerifiedMandate, ActError> {
        verify(&signed.file(), &signed.text, &signed.signature_texts(), roots, now)
            .map_err(|error| ActError::input(error.to_string()).with_hint(error.hint()))
    }

    /// Verifies the mandate of the home with this id.
    pub fn mandate(&self, id: &str, now: TimeUs) -> Result<Arc<VerifiedMandate>, ActError> {
        let path = self.path_of(id)?;
        if !path.exists() {
            return Err(ActError::input(format!(
                "there is no mandate `{id}` in `{}`",
                self.home.mandates().display()
            ))
            .with_hint(
                "`kenshin mandate list` shows those there are; `kenshin mandate add FILE` takes one in",
            ));
        }
        Ok(Arc::new(Self::verify(&SignedText::read(&path)?, &self.roots()?, now)?))
    }

    /// The signed text of the mandate of the home with this id.
    pub fn signed_text(&self, id: &str) -> Result<SignedText, ActError> {
        SignedText::read(&self.path_of(id)?)
    }

    /// Takes a mandate into the home, after it was verified against the trust roots.
    pub fn add(&self, signed: &SignedText, now: TimeUs) -> Result<VerifiedMandate, ActError> {
        let verified = Self::verify(signed, &self.roots()?, now)?;
        write_signed(&self.path_of(&verified.id)?, signed)?;
        Ok(verified)
    }

    /// Ids of the mandates in the home, sorted.
    pub fn ids(&self) -> Result<Vec<String>, ActError> {
        let folder = self.home.mandates();
        let entries = std::fs::read_dir(&folder).map_err(|source| ActError::io("read", &folder, source))?;
        let mut ids: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
            .filter(|id| !RESERVED.contains(&id.as_str()))
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// The revocation list that a mandate names, verified; `None` when it is not there.
    pub fn revocation(
        &self,
        mandate: &VerifiedMandate,
        roots: &TrustRoots,
        now: TimeUs,
    ) -> Result<Option<RevocationList>, ActError> {
        let path = self.revocation_path(mandate);
        let signed = match SignedText::read(&path) {
            Ok(signed) => signed,
            Err(ActError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        RevocationList::verify(&signed.file(), &signed.text, &signed.signature_texts(), roots, now)
            .map(Some)
            .map_err(|error| ActError::input(error.to_string()).with_hint(error.hint()))
    }

    /// Where the revocation list lies that a mandate names.
    fn revocation_path(&self, mandate: &Mandate) -> PathBuf {
        self.home.mandates().join(&mandate.revocation.list)
    }

    /// The unsigned narrowing lists: this home's, its hub's, and the rates of its provider directory;
    /// one that cannot be read stops everything, because nobody may believe that it applied.
    pub fn narrowing(&self) -> Result<Narrowing, ActError> {
        let here = read_narrowing(&self.home.narrowing())?;
        let hub = read_narrowing(&self.home.narrowing_of_hub())?;
        Ok(here.and(hub).and(read_narrowing(&self.home.narrowing_of_providers())?))
    }

    /// Replaces the rates that the provider directory states. They hold on running surveys within a
    /// second, as all that narrows.
    pub fn set_provider_rates(&self, rates: impl IntoIterator<Item = ProviderRate>) -> Result<(), ActError> {
        let mut narrowing = Narrowing::none();
        rates.into_iter().for_each(|rate| narrowing.slow_down(rate));
        let text = format!("# Written by `kenshin provider import`; do not edit.\n{}", narrowing.to_text());
        write_whole(&self.home.narrowing_of_providers(), &text)
    }

    /// A gate for a sensor under a mandate, from the lists as they are now.
    pub fn gate(
        &self,
        mandate: Arc<VerifiedMandate>,
        sensor: SensorId,
        last_sent: Option<TimeUs>,
        now: TimeUs,
    ) -> Result<Gate, ActError> {
        let revocation = self.revocation(&mandate, &self.roots()?, now)?;
        let start = GateStart { sensor, last_sent, revocation, narrowing: self.narrowing()?, now };
        Gate::new(mandate, start).map_err(|error| ActError::no(error.to_string()).with_hint(error.hint()))
    }

    /// Revokes a mandate here and now by the unsigned narrowing list.
    pub fn revoke_here(&self, id: &str, reason: &str) -> Result<(), ActError> {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        self.add_to_narrowing(&format!(
            "\n[[revoked]]\nmandate = {}\nreason = {}\n",
            quoted(id),
            quoted(reason)
        ))
    }

    /// Leaves an address out from now on, because its holder asked. False when it was already.
    pub fn opt_out(&self, addr: IpAddr) -> Result<bool, ActError> {
        self.leave_out(Prefix::host(addr), format!("\n[[opt_out]]\naddress = \"{addr}\"\n"))
    }

    /// Leaves a prefix out from now on, because its holder asked and proved to be that. False when
    /// it was already.
    pub fn opt_out_prefix(&self, prefix: Prefix, proof: &str) -> Result<bool, ActError> {
        let proof = toml::Value::String(proof.to_owned());
        self.leave_out(prefix, format!("\n[[opt_out]]\nprefix = \"{prefix}\"\nproof = {proof}\n"))
    }

    fn leave_out(&self, prefix: Prefix, entry: String) -> Result<bool, ActError> {
        let left_out: AddressSet = self.narrowing()?.exclusions().iter().map(|e| &e.addresses).collect();
        if AddressSet::from(prefix).minus(&left_out).is_empty() {
            return Ok(false);
        }
        let size = std::fs::metadata(self.home.narrowing()).map_or(0, |metadata| metadata.len());
        if size > OPT_OUT_BYTES_MAX {
            return Err(ActError::no("the list of those who are left alone is full")
                .with_hint("ask the contact of the mandate: a person makes room"));
        }
        self.add_to_narrowing(&entry)?;
        Ok(true)
    }

    fn add_to_narrowing(&self, entry: &str) -> Result<(), ActError> {
        let path = self.home.narrowing();
        // One writer at a time, whichever process it is in: of two additions none is lost.
        let lock = path.with_extension("lock");
        let failed = |source| ActError::io("lock", &lock, source);
        let held = std::fs::File::create(&lock).map_err(failed)?;
        held.lock().map_err(failed)?;
        let mut text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
                "# What is taken away from mandates, at once and unsigned: [[exclusion]], [[opt_out]], [[revoked]].\n\
                 schema_version = 1\n"
                    .to_owned()
            }
            Err(source) => return Err(ActError::io("read", &path, source)),
        };
        text.push_str(entry);
        Narrowing::parse(&path.display().to_string(), &text)
            .map_err(|invalid| ActError::input(invalid.to_string()).with_hint(invalid.hint()))?;
        write_whole(&path, &text)
    }

    /// Issues the next revocation list at `path`, signed: one number higher, with what was revoked
    /// before and `more`.
    pub fn issue_revocations(
        path: &Path,
        authority: &str,
        more: Vec<(String, String)>,
        key: &SignerKey,
        now: TimeUs,
    ) -> Result<RevocationDraft, ActError> {
        let last = match read_limited(path) {
            Ok(text) => RevocationDraft::parse(&path.display().to_string(), &text)
                .map_err(|invalid| ActError::input(invalid.to_string()).with_hint(invalid.hint()))?,
            Err(ActError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                RevocationDraft {
                    authority: authority.to_owned(),
                    number: 0,
                    issued_at: now,
                    revoked: Vec::new(),
                }
            }
            Err(error) => return Err(error),
        };
        let more = more.into_iter().map(|(id, reason)| Revocation { what: Revoked::Mandate(id), reason });
        let next = last.next(now, more);
        let text = next.to_text();
        let signature = sign(key, &text, REVOCATION_NAMESPACE)?;
        // A reader between the two writes sees a signature that does not fit and stops sending
        // until the next look: the safe side.
        write_whole(Path::new(&sidecar_names(&path.display().to_string())[0]), &signature)?;
        write_whole(path, &text)?;
        Ok(next)
    }

    /// Signs a mandate text and writes the signature beside it; returns where.
    pub fn sign_mandate(path: &Path, key: &SignerKey) -> Result<PathBuf, ActError> {
        let text = read_limited(path)?;
        let signature = sign(key, &text, MANDATE_NAMESPACE)?;
        let names = sidecar_names(&path.display().to_string());
        let Some(free) = names.iter().map(PathBuf::from).find(|name| !name.exists()) else {
            return Err(ActError::input(format!("`{}` has two signatures already", path.display()))
                .with_hint(format!(
                    "remove `{}` or `{}` first, if they are of an older text",
                    names[0], names[1]
                )));
        };
        write_whole(&free, &signature)?;
        Ok(free)
    }

    fn path_of(&self, id: &str) -> Result<PathBuf, ActError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || !id.chars().all(plain) || RESERVED.contains(&id) {
            return Err(ActError::input(format!("`{id}` is not the id of a mandate"))
                .with_hint("ids are lower-case letters, digits and hyphens"));
        }
        Ok(self.home.mandates().join(format!("{id}.toml")))
    }
}

fn read_narrowing(path: &Path) -> Result<Narrowing, ActError> {
    match read_limited(path) {
        Ok(text) => Narrowing::parse(&path.display().to_string(), &text)
            .map_err(|invalid| ActError::input(invalid.to_string()).with_hint(invalid.hint())),
        Err(ActError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(Narrowing::none())
        }
        Err(error) => Err(error),
    }
}

/// Reads an OpenSSH private key for signing.
pub fn read_key(path: &Path, passphrase: Option<&str>) -> Result<SignerKey, ActError> {
    SignerKey::from_openssh(&read_limited(path)?, passphrase)
        .map_err(|error| ActError::input(format!("`{}`: {error}", path.display())).with_hint(error.hint()))
}

fn sign(key: &SignerKey, text: &str, namespace: &str) -> Result<String, ActError> {
    key.sign(text, namespace).map_err(|error| ActError::input(error.to_string()).with_hint(error.hint()))
}

/// Writes a signed text: signatures first, because a text without them counts for nothing, and the
/// reverse would be worse.
fn write_signed(path: &Path, signed: &SignedText) -> Result<(), ActError> {
    for (number, name) in sidecar_names(&path.display().to_string()).iter().enumerate() {
        match (signed.signatures.get(number), std::fs::remove_file(name)) {
            (Some(signature), _) => write_whole(Path::new(name), signature)?,
            (None, Err(source)) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(ActError::io("remove", Path::new(name), source));
            }
            // A second signature of an older text would count for nothing, and against the new one.
            (None, _) => {}
        }
    }
    write_whole(path, &signed.text)
}

/// Reads a text file of bounded size.
pub fn read_limited(path: &Path) -> Result<String, ActError> {
    let size = std::fs::metadata(path).map_err(|source| ActError::io("read", path, source))?.len();
    if size > FILE_BYTES_MAX {
        return Err(ActError::input(format!(
            "`{}` has {size} bytes, more than {FILE_BYTES_MAX}",
            path.display()
        )));
    }
    std::fs::read_to_string(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::InvalidData => ActError::input(format!("`{}` is not UTF-8 text", path.display())),
        _ => ActError::io("read", path, source),
    })
}

/// Writes a file so that a reader sees the old or the new one, never half, and a crash keeps one.
pub fn write_whole(path: &Path, text: &str) -> Result<(), ActError> {
    write_bytes_whole(path, text.as_bytes())
}

/// The same for bytes.
pub(crate) fn write_bytes_whole(path: &Path, bytes: &[u8]) -> Result<(), ActError> {
    use std::io::Write;
    let failed = |source| ActError::io("write", path, source);
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = std::fs::File::create(&beside).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)?;
    if let Some(folder) = path.parent().and_then(|folder| std::fs::File::open(folder).ok()) {
        folder.sync_all().map_err(failed)?;
    }
    Ok(())
}

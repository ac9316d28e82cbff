//! `KENSHIN_HOME`: where everything lies.

use std::path::{Path, PathBuf};

use crate::error::ActError;

/// The folder that holds `kenshin.toml`, `kenshin.db`, `lake/`, `intel/`, `ledger/`, `mandates/`,
/// `outbox/` and `spool/`.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home at `root`; nothing is read or made.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Makes the folders that are missing, readable by their owner alone.
    pub fn create(&self) -> Result<(), ActError> {
        create(&[
            self.root.clone(),
            self.lake(),
            self.intel(),
            self.ledger(),
            self.mandates(),
            self.outbox(),
            self.spool(),
        ])
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `kenshin.toml`: the settings.
    pub fn settings(&self) -> PathBuf {
        self.root.join("kenshin.toml")
    }

    /// `kenshin.db`: decisions, unless the settings name a PostgreSQL database.
    pub fn database(&self) -> PathBuf {
        self.root.join("kenshin.db")
    }

    /// `lake/`: observations.
    pub fn lake(&self) -> PathBuf {
        self.root.join("lake")
    }

    /// `intel/`: imported snapshots.
    pub fn intel(&self) -> PathBuf {
        self.root.join("intel")
    }

    /// `ledger/`: the transparency log.
    pub fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    /// `mandates/`: signed mandates, trust roots, revocation and narrowing lists.
    pub fn mandates(&self) -> PathBuf {
        self.root.join("mandates")
    }

    /// `mandates/allowed_signers`: the trust roots, installed by hand.
    pub fn trust_roots(&self) -> PathBuf {
        self.mandates().join("allowed_signers")
    }

    /// `mandates/narrowing.toml`: exclusions, opt-outs and revocations that apply at once.
    pub fn narrowing(&self) -> PathBuf {
        self.mandates().join("narrowing.toml")
    }

    /// `mandates/narrowing-hub.toml`: what a sensor's hub ever told it to leave out.
    pub fn narrowing_of_hub(&self) -> PathBuf {
        self.mandates().join("narrowing-hub.toml")
    }

    /// `mandates/narrowing-providers.toml`: how slowly the provider directory wants networks asked.
    pub fn narrowing_of_providers(&self) -> PathBuf {
        self.mandates().join("narrowing-providers.toml")
    }

    /// `requests/`: what people asked at a sensor's courtesy page and its hub has not heard yet.
    pub fn requests(&self) -> PathBuf {
        self.root.join("requests")
    }

    /// `inbox/`: batches that were taken from sensors, until the lake has them.
    pub fn inbox(&self) -> PathBuf {
        self.root.join("inbox")
    }

    /// `tls/`: the certificate that a hub made for itself, and its key.
    pub fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// Makes the folders of a sensor's home, readable by their owner alone.
    pub fn create_for_sensor(&self) -> Result<(), ActError> {
        create(&[self.root.clone(), self.mandates(), self.spool(), self.requests()])
    }

    /// `outbox/`: the maildir that notices go to by default.
    pub fn outbox(&self) -> PathBuf {
        self.root.join("outbox")
    }

    /// `spool/`: what the sensor keeps until the lake has it, and its own key.
    pub fn spool(&self) -> PathBuf {
        self.root.join("spool")
    }

    /// A path of the settings: absolute, or under the home.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }
}

fn create(folders: &[PathBuf]) -> Result<(), ActError> {
    use std::os::unix::fs::DirBuilderExt;
    for folder in folders {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| ActError::io("create the folder", folder, source))?;
    }
    Ok(())
}

//! What a sensor can tell those it measures, and what it takes from them.
//!
//! A request from an address covers that address at once: this sensor's narrowing list has it before
//! the answer is given. The hub hears of it when it can, and every sensor then. What waits for the
//! hub lies in `requests/`, one file each, so that neither a crash nor a day without the hub loses
//! any.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kenshin_casework::NewOptOut;
use kenshin_mandate::{AddressSet, Refusal, VerifiedMandate, standing};
use kenshin_observation::{JobId, SensorId, TimeUs};

use crate::authority::{Authority, SignedText, read_limited, write_whole};
use crate::edge::Edge;
use crate::error::ActError;
use crate::home::Home;
use crate::hub::LeaveAlone;
use crate::worker::Worker;

/// Requests that wait for the hub at most.
const WAITING_MAX: usize = 10_000;
/// Requests passed on at a time at most.
const PASSED_AT_ONCE: usize = 50;

/// What a sensor tells those it measures. Cheap to clone.
#[derive(Clone)]
pub struct Courtesy {
    home: Home,
    edge: Edge,
    /// Who runs the observatory.
    pub organisation: String,
    /// The sensor.
    pub sensor_id: SensorId,
    /// Its public key, hexadecimal.
    pub public_key: String,
}

/// A mandate that names this sensor.
#[derive(Debug, Clone)]
pub struct ShownMandate {
    /// The mandate, verified by this sensor.
    pub mandate: Arc<VerifiedMandate>,
    /// Its text and signatures, for others to verify.
    pub signed: SignedText,
    /// Whether anything may be sent under it now.
    pub standing: Result<(), Refusal>,
}

impl Courtesy {
    /// Of the sensor at work.
    pub fn of(worker: &Worker, organisation: &str) -> Self {
        let sensor = worker.spool().sensor();
        Self {
            home: worker.home().clone(),
            edge: worker.edge().clone(),
            organisation: organisation.to_owned(),
            sensor_id: sensor.id,
            public_key: sensor.public_key_hex(),
        }
    }

    /// Now.
    pub fn now(&self) -> TimeUs {
        self.edge.now()
    }

    /// The mandates under which this sensor may send or might have, by id. One that does not verify
    /// authorises nothing and is not shown. Blocks on the disk.
    pub fn mandates(&self) -> Result<Vec<ShownMandate>, ActError> {
        let (authority, now) = (self.authority(), self.now());
        let roots = authority.roots()?;
        let narrowing = authority.narrowing()?;
        let mut shown = Vec::new();
        for id in authority.ids()? {
            let Ok(mandate) = authority.mandate(&id, now) else { continue };
            if mandate.sensor(self.sensor_id).is_none() {
                continue;
            }
            let revocation = authority.revocation(&mandate, &roots, now).unwrap_or_default();
            let standing = standing(&mandate, revocation.as_ref(), &narrowing, now);
            shown.push(ShownMandate { signed: authority.signed_text(&id)?, mandate, standing });
        }
        Ok(shown)
    }

    /// True when nothing is sent to the address. Blocks on the disk.
    pub fn leaves_out(&self, addr: IpAddr) -> Result<bool, ActError> {
        let left_out: AddressSet =
            self.authority().narrowing()?.exclusions().iter().map(|e| &e.addresses).collect();
        Ok(left_out.contains(addr))
    }

    /// Leaves an address out, at once. Blocks on the disk.
    pub fn leave_out(&self, addr: IpAddr) -> Result<(), ActError> {
        self.authority().opt_out(addr)?;
        // Named after the address: asked twice, told once.
        let name = format!("address-{}", addr.to_string().replace(':', "-"));
        self.keep(&name, &LeaveAlone::Address { addr })
    }

    /// Keeps a request about a prefix, for the hub's people. Blocks on the disk.
    pub fn ask(&self, asked: NewOptOut) -> Result<(), ActError> {
        let random = u128::from_le_bytes(self.edge.seed()[..16].try_into().expect("half of 32 bytes"));
        self.keep(&JobId::new(self.now(), random).to_string(), &LeaveAlone::Prefix(asked))
    }

    fn keep(&self, name: &str, request: &LeaveAlone) -> Result<(), ActError> {
        let folder = self.home.requests();
        std::fs::create_dir_all(&folder)
            .map_err(|source| ActError::io("create the folder", &folder, source))?;
        if waiting(&self.home)?.len() >= WAITING_MAX {
            return Err(
                ActError::no("too many requests wait for the hub").with_hint("write to the contact instead")
            );
        }
        let json =
            serde_json::to_string(request).map_err(|e| ActError::outside("failed to keep a request", e))?;
        write_whole(&folder.join(format!("{name}.json")), &json)
    }

    fn authority(&self) -> Authority {
        Authority::of(&self.home)
    }
}

impl Worker {
    /// Passes on to the hub what was asked at the courtesy page.
    pub(crate) async fn pass_on(&self) -> Result<(), ActError> {
        for path in waiting(self.home())?.into_iter().take(PASSED_AT_ONCE) {
            let request: Result<LeaveAlone, _> = serde_json::from_str(&read_limited(&path)?);
            let told = match request {
                Ok(request) => self.hub().leave_alone(&request).await,
                Err(error) => Err(ActError::outside(format!("`{}` cannot be read", path.display()), error)),
            };
            let failed = |source| ActError::io("put away", &path, source);
            match told {
                Ok(()) => std::fs::remove_file(&path).map_err(failed)?,
                Err(error) if error.is_away() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "a request was not taken by the hub; look at it yourself");
                    std::fs::rename(&path, path.with_extension("refused")).map_err(failed)?;
                }
            }
        }
        Ok(())
    }
}

/// Requests that wait for the hub, oldest names first.
fn waiting(home: &Home) -> Result<Vec<PathBuf>, ActError> {
    let folder = home.requests();
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ActError::io("read", &folder, source)),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    Ok(paths)
}

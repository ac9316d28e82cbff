//! A cluster as the settings have it, and a worker of one.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use kenshin_insight::intelligence::{Intelligence, Snapshot};
use kenshin_lake::cluster::{Cluster, ClusterError, Division, PlacesNamed, Secret, Worker};
use kenshin_lake::{Location, Places};

use crate::error::ActError;
use crate::home::Home;
use crate::intelligence::Tables;
use crate::settings::Settings;

/// Files that the name of one set of tables has at most.
const FILES_MAX: usize = 4;

/// What a worker of a cluster is given.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// The lake, a folder or URL, as the hub's settings have it; `None` for that of the home's settings.
    pub lake: Option<String>,
    /// File of the secret; `None` for that of the home's settings.
    pub secret: Option<PathBuf>,
    /// MiB that all questions together may take.
    pub memory_mib: usize,
}

/// The cluster of a hub, if it has one.
pub(crate) fn of(settings: &Settings, home: &Home) -> Result<Option<Cluster>, ActError> {
    let wanted = &settings.cluster;
    let Some(secret) = wanted.secret.as_ref().filter(|_| !wanted.workers.is_empty()) else {
        return Ok(None);
    };
    let secret = Secret::read(&home.resolve(secret)).map_err(wrong)?;
    let division = Division { cores: wanted.cores as usize, least_bytes: (wanted.least_mib as usize) << 20 };
    Ok(Some(Cluster::new(&wanted.workers, secret, division).map_err(wrong)?))
}

/// A worker of the home, which needs no more of it than tables of places under `intel/`.
pub fn worker(home: &Home, spec: &WorkerSpec) -> Result<Worker, ActError> {
    let mut lake = match &spec.lake {
        // How a bucket is reached, settings say as well, where there are any.
        Some(given) if home.settings().exists() => {
            Location { lake: given.clone(), ..Settings::read(home)?.lake_location(home) }
        }
        Some(given) => Location::from(given),
        None => Settings::read(home)?.lake_location(home),
    };
    let secret = match &spec.secret {
        Some(given) => given.clone(),
        // A worker may have no home: then nothing names its secret either.
        None => {
            let settings = home.settings().exists().then(|| Settings::read(home)).transpose()?;
            let named = settings.and_then(|settings| settings.cluster.secret);
            home.resolve(&named.ok_or_else(|| {
                ActError::input("a worker needs the secret of its cluster")
                    .with_hint("name its file with --secret, or as `secret` under [cluster] in kenshin.toml")
            })?)
        }
    };
    let secret = Secret::read(&secret).map_err(wrong)?;
    lake.lake = absolute(&lake.lake)?;
    Worker::new(&lake, secret, spec.memory_mib << 20, tables_in(home.intel())).map_err(wrong)
}

/// A folder that is there, by its whole path; a URL as it is.
fn absolute(lake: &str) -> Result<String, ActError> {
    if lake.contains("://") {
        return Ok(lake.to_owned());
    }
    let found = std::fs::canonicalize(lake).map_err(|source| ActError::io("find", lake.as_ref(), source))?;
    Ok(found.display().to_string())
}

/// Finds tables by the names of their files in a folder: digests stand in them, so that what is found is
/// what was meant.
fn tables_in(folder: PathBuf) -> PlacesNamed {
    Arc::new(move |name| {
        let mut snapshots = Vec::new();
        for file in name.split(' ').take(FILES_MAX + 1) {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if !file.bytes().all(plain) || snapshots.len() == FILES_MAX {
                return None;
            }
            let read = Snapshot::read(BufReader::new(File::open(folder.join(format!("{file}.jsonl"))).ok()?));
            let snapshot = read.ok()?;
            // The name is not to be taken for the content.
            if format!("{}-{}", snapshot.kind(), snapshot.sha256) != file {
                return None;
            }
            snapshots.push(snapshot);
        }
        let table = Intelligence::new(snapshots).addresses();
        Some(Arc::new(Tables { name: name.to_owned(), files: name.to_owned(), table }) as Arc<dyn Places>)
    })
}

fn wrong(error: ClusterError) -> ActError {
    let hint = match &error {
        ClusterError::Readable { path } => format!("`chmod 600 {}`", path.display()),
        ClusterError::Short { path, .. } => {
            format!("make one: `(umask 077; openssl rand -hex 32 > {})`", path.display())
        }
        ClusterError::Address { .. } => "workers speak TLS and nothing else".to_owned(),
        ClusterError::Read { .. } => {
            "make one: `openssl rand -hex 32`, readable by its owner alone".to_owned()
        }
        ClusterError::Tls(_) | ClusterError::Lake { .. } => {
            return ActError::outside("failed to prepare the cluster", error);
        }
    };
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    ActError::input(format!("{error}{cause}")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_found_by_what_is_in_them() {
        use kenshin_insight::intelligence::{Importer, IntelligenceKind};
        let folder = tempfile::tempdir().unwrap();
        let mut importer = Importer::new(IntelligenceKind::Country);
        importer.read("c.csv", "192.0.2.0,192.0.2.255,JP\n".as_bytes()).unwrap();
        let snapshot = importer.finish(kenshin_observation::TimeUs::from_secs(1_790_000_000).into()).snapshot;
        let name = format!("country-{}", snapshot.sha256);
        let mut written = Vec::new();
        snapshot.write(&mut written).unwrap();
        std::fs::write(folder.path().join(format!("{name}.jsonl")), &written).unwrap();
        let other = format!("country-{}", "0".repeat(64));
        std::fs::write(folder.path().join(format!("{other}.jsonl")), &written).unwrap();
        let find = tables_in(folder.path().to_owned());
        let found = find(&name).unwrap();
        assert_eq!(found.country("192.0.2.7".parse().unwrap()), Some(("JP", None)));
        assert_eq!(found.edition(), name);
        for bad in [other.as_str(), "country-1", "../country", "", &format!("{name} asn-1")] {
            assert!(find(bad).is_none(), "{bad}");
        }
    }
}

//! Where a lake is: a folder, or a bucket of a store that speaks S3.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deltalake::logstore::logstore_factories;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError, ObjectStoreError, Path, ensure_table_uri};
use futures::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, S3ConditionalPut};
use object_store::{
    BackoffConfig, Certificate, ClientOptions, CredentialProvider, ObjectStore, PutMode, RetryConfig,
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::LakeError;
use crate::extent::VIEWS;

/// How long a store may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one request may take: files are written whole, or in parts of some megabytes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a request is repeated when the store is busy or not there, for three seconds in all.
const RETRIES_MAX: usize = 5;
/// For how long, when each attempt takes long.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
/// What is written only where it is not there yet, whenever a lake is opened.
const ONCE: &str = "written-once";
/// What stands in it.
const ONCE_TEXT: &str = "Whoever opened this lake first wrote this. The store lets nobody write it again.\n";

/// Where a lake is, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// A folder or its `file://` URL, or `s3://bucket/folder`.
    pub lake: String,
    /// How a bucket is reached; of no matter for a folder.
    pub store: Store,
}

/// How a store is reached. What its requests are signed with is not here: it comes from the environment,
/// or from a file of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// `https://store.example:9000`; without one, that of the region at Amazon, or `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
    /// Without one, `AWS_REGION` or `us-east-1`; most stores but Amazon's take any.
    pub region: Option<String>,
    /// A file (TOML) with `access_key_id`, `secret_access_key` and, if need be, `session_token`; without
    /// one, those of the environment (`AWS_ACCESS_KEY_ID` and so on).
    pub credentials: Option<PathBuf>,
    /// Certificates (PEM) of the authority that signed the store's, when the system does not know it.
    pub ca: Option<PathBuf>,
    /// Speak HTTP without TLS to an endpoint that is not on this machine.
    pub allow_http: bool,
}

/// What a store does not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreTrouble {
    /// The address is not one.
    #[error("is not written as `s3://bucket/folder`")]
    Address,
    /// The endpoint or the authority's certificate cannot be used.
    #[error("cannot be reached as the settings say: {0}")]
    Settings(String),
    /// There is nothing to sign requests with.
    #[error("wants to know who asks: {0}")]
    Credentials(String),
    /// It does not answer.
    #[error("does not answer: {0}")]
    Away(String),
    /// It answers no.
    #[error("refuses: {0}")]
    Refuses(String),
    /// It has no such bucket.
    #[error("has no such bucket")]
    NoBucket,
    /// It overwrites what it was asked to leave alone (`If-None-Match: *`).
    #[error(
        "overwrites what it was asked to leave alone, so that two writers would undo each other's commits"
    )]
    Overwrites,
}

/// What stands in a file of credentials.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// Signs requests. Stores are logged with all that is in them; of this only its name is.
struct Signer(Arc<AwsCredential>);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

#[async_trait]
impl CredentialProvider for Signer {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        Ok(self.0.clone())
    }
}

impl From<Credentials> for Signer {
    fn from(given: Credentials) -> Self {
        let Credentials { access_key_id: key_id, secret_access_key: secret_key, session_token: token } =
            given;
        Self(Arc::new(AwsCredential { key_id, secret_key, token }))
    }
}

impl From<&str> for Location {
    fn from(lake: &str) -> Self {
        Self { lake: lake.to_owned(), store: Store::default() }
    }
}

impl From<&String> for Location {
    fn from(lake: &String) -> Self {
        lake.as_str().into()
    }
}

impl Location {
    /// Makes ready to reach the lake; a store is asked nothing yet.
    pub(crate) fn reached(&self) -> Result<Reached, LakeError> {
        let lake = self.lake.trim_end_matches('/').to_owned();
        let bucket = match lake.strip_prefix("s3://") {
            Some(_) => Some(self.bucket().map_err(|trouble| self.told(trouble))?),
            None if lake.contains("://") && !lake.starts_with("file://") => {
                return Err(self.told(StoreTrouble::Address));
            }
            None => None,
        };
        Ok(Reached { lake, bucket })
    }

    fn told(&self, trouble: StoreTrouble) -> LakeError {
        // A password that stands where none may is not told again.
        let location = match self.lake.split_once("://").zip(self.lake.rsplit_once('@')) {
            Some(((scheme, _), (_, behind))) => format!("{scheme}://…@{behind}"),
            None => self.lake.clone(),
        };
        LakeError::Store { location, trouble }
    }

    fn bucket(&self) -> Result<Arc<dyn ObjectStore>, StoreTrouble> {
        let (bucket, _) = in_bucket(&self.lake).ok_or(StoreTrouble::Address)?;
        let Store { endpoint, region, credentials, ca, allow_http } = &self.store;
        let settings = |error: ObjectStoreError| StoreTrouble::Settings(error.to_string());
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        if let Some(region) = region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let given = match credentials {
            Some(path) => Some(read_credentials(path)?),
            None => in_environment(&builder)?,
        };
        let known = |key: AmazonS3ConfigKey| builder.get_config_value(&key);
        let lent = [
            AmazonS3ConfigKey::WebIdentityTokenFile,
            AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
            AmazonS3ConfigKey::ContainerCredentialsFullUri,
            AmazonS3ConfigKey::MetadataEndpoint,
        ];
        // Without any, object_store would ask the network that it is in for some.
        if given.is_none() && !lent.into_iter().any(|key| known(key).is_some()) {
            return Err(StoreTrouble::Credentials(
                "neither the environment nor the settings name any credentials".into(),
            ));
        }
        let endpoint = known(AmazonS3ConfigKey::Endpoint);
        let in_the_clear = endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        if in_the_clear && !allow_http && !endpoint.as_deref().is_some_and(is_here) {
            return Err(StoreTrouble::Settings(format!(
                "`{}` speaks in the clear and is not on this machine",
                endpoint.unwrap_or_default()
            )));
        }
        let mut client = ClientOptions::new()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT)
            .with_allow_http(in_the_clear);
        if let Some(path) = ca {
            let unusable = |error: &dyn std::error::Error| {
                StoreTrouble::Settings(format!("the authority `{}`: {error}", path.display()))
            };
            let text = std::fs::read(path).map_err(|error| unusable(&error))?;
            for certificate in Certificate::from_pem_bundle(&text).map_err(|error| unusable(&error))? {
                client = client.with_root_certificate(certificate);
            }
        }
        let retries = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_TIMEOUT,
        };
        if let Some(given) = given {
            builder = builder.with_credentials(Arc::new(given));
        }
        let store = builder
            .with_client_options(client)
            .with_retry(retries)
            // A commit is a file that must not be there yet, whatever the environment says.
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .build()
            .map_err(settings)?;
        Ok(Arc::new(store))
    }
}

/// A lake that can be asked.
pub(crate) struct Reached {
    lake: String,
    bucket: Option<Arc<dyn ObjectStore>>,
}

impl Reached {
    /// A folder, or `s3://bucket/folder`.
    pub(crate) fn lake(&self) -> &str {
        &self.lake
    }

    /// A table, of which nothing is read yet.
    pub(crate) fn table(&self, name: &str) -> Result<DeltaTable, DeltaTableError> {
        let Some(bucket) = &self.bucket else {
            return DeltaTableBuilder::from_url(ensure_table_uri(format!("{}/{name}", self.lake))?)?.build();
        };
        let url = |text: &str| Url::parse(text).map_err(|error| DeltaTableError::generic(error.to_string()));
        let factories = logstore_factories();
        let s3 = url("s3://")?;
        if !factories.contains_key(&s3) {
            // The log of a folder, whose files are made only where there are none, is that of a bucket.
            let same = factories.get(&url("file://")?).map(|factory| factory.value().clone());
            let same = same.ok_or_else(|| DeltaTableError::generic("no log of files is known"))?;
            factories.insert(s3, same);
        }
        let table = url(&format!("{}/{name}/", self.lake))?;
        DeltaTableBuilder::from_url(table.clone())?.with_storage_backend(bucket.clone(), table).build()
    }

    /// The folders of views that are not made of all observations.
    pub(crate) async fn views(&self) -> Result<Vec<String>, LakeError> {
        let reading =
            |source: Box<dyn std::error::Error + Send + Sync>| LakeError::Read { table: VIEWS, source };
        let within = self.table(VIEWS).map_err(|error| reading(error.into()))?;
        let store = within.log_store().object_store(None);
        let listed = match store.list_with_delimiter(None).await {
            Ok(listed) => listed.common_prefixes,
            Err(ObjectStoreError::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(reading(error.into())),
        };
        let mut views = Vec::new();
        for folder in listed {
            // One without a commit is no table: whoever began to make it was killed, or it is nothing of ours.
            let log = Path::from(format!("{folder}/_delta_log"));
            let commits =
                store.list(Some(&log)).try_any(async |file| file.location.extension() == Some("json"));
            if commits.await.map_err(|error| reading(error.into()))? {
                views.push(format!("{VIEWS}/{folder}"));
            }
        }
        Ok(views)
    }

    /// Asks whether the store is there, lets us in and can tell writers apart: what one of them made, no
    /// other may make again.
    pub(crate) async fn greet(&self) -> Result<(), LakeError> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        let told = |trouble| LakeError::Store { location: self.lake.clone(), trouble };
        let (_, folder) = in_bucket(&self.lake).unwrap_or_default();
        let once = Path::from(folder).join(ONCE);
        for _ in 0..2 {
            match bucket.put_opts(&once, ONCE_TEXT.into(), PutMode::Create.into()).await {
                Err(ObjectStoreError::AlreadyExists { .. }) => return Ok(()),
                Err(error) => return Err(told(trouble(&error))),
                Ok(_) => {}
            }
        }
        Err(told(StoreTrouble::Overwrites))
    }
}

/// The bucket and the folder in it, where they are of plain letters: they stand in URLs and signatures
/// as they are.
fn in_bucket(lake: &str) -> Option<(&str, &str)> {
    let rest = lake.strip_prefix("s3://")?.trim_end_matches('/');
    let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    let parts = folder.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    ((3..=63).contains(&bucket.len()) && plain(rest) && (folder.is_empty() || parts))
        .then_some((bucket, folder))
}

/// True for an endpoint that is an address of this machine itself.
fn is_here(endpoint: &str) -> bool {
    match Url::parse(endpoint).ok().as_ref().and_then(Url::host) {
        Some(url::Host::Ipv4(addr)) => addr.is_loopback(),
        Some(url::Host::Ipv6(addr)) => addr.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The credentials of the environment, if it has any.
fn in_environment(builder: &AmazonS3Builder) -> Result<Option<Signer>, StoreTrouble> {
    let known = |key: AmazonS3ConfigKey| builder.get_config_value(&key);
    match (known(AmazonS3ConfigKey::AccessKeyId), known(AmazonS3ConfigKey::SecretAccessKey)) {
        (Some(access_key_id), Some(secret_access_key)) => {
            let session_token = known(AmazonS3ConfigKey::Token);
            Ok(Some(Credentials { access_key_id, secret_access_key, session_token }.into()))
        }
        (None, None) => Ok(None),
        _ => Err(StoreTrouble::Credentials("the environment has one half of its credentials alone".into())),
    }
}

fn read_credentials(path: &FilePath) -> Result<Signer, StoreTrouble> {
    use std::os::unix::fs::PermissionsExt;
    let failed =
        |why: &dyn std::fmt::Display| StoreTrouble::Credentials(format!("`{}` {why}", path.display()));
    let cannot_be_read = |error: std::io::Error| failed(&format!("cannot be read: {error}"));
    let mode = std::fs::metadata(path).map_err(cannot_be_read)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(failed(&format!("has mode {mode:o}, so that others than its owner may read it")));
    }
    let text = std::fs::read_to_string(path).map_err(cannot_be_read)?;
    // What the parser says quotes the text.
    toml::from_str::<Credentials>(&text)
        .map(Signer::from)
        .map_err(|_| failed(&"is not TOML with `access_key_id` and `secret_access_key`, or has more"))
}

/// What an error of a store means. What the store wrote is told by its code alone: the rest of the answer
/// may repeat what the request was signed with.
fn trouble(error: &ObjectStoreError) -> StoreTrouble {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let text = error.to_string();
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map(|(code, _)| code.chars().filter(char::is_ascii_alphanumeric).take(64).collect());
    match (error, code) {
        (ObjectStoreError::NotFound { .. }, _) => StoreTrouble::NoBucket,
        (_, Some(code)) => StoreTrouble::Refuses(code),
        (ObjectStoreError::PermissionDenied { .. } | ObjectStoreError::Unauthenticated { .. }, None) => {
            StoreTrouble::Refuses("who signed the request is not known, or may not".into())
        }
        (_, None) => StoreTrouble::Away(innermost.to_string().lines().next().unwrap_or_default().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_named_in_plain_letters() {
        for (lake, bucket) in [
            ("s3://observatory/lake", Some(("observatory", "lake"))),
            ("s3://observatory", Some(("observatory", ""))),
            ("s3://observatory/a/b-c_1/", Some(("observatory", "a/b-c_1"))),
            ("s3://key:secret@observatory/lake", None),
            ("s3://observatory/lake?versionId=1", None),
            ("s3://observatory/../other", None),
            ("s3://observatory//lake", None),
            ("s3:///lake", None),
            ("s3://", None),
        ] {
            assert_eq!(in_bucket(lake), bucket, "{lake}");
        }
    }

    #[test]
    fn credentials_are_wanted_and_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.toml");
        let at = |lake: &str, store: &Store| {
            let error = Location { lake: lake.into(), store: store.clone() }.reached().err();
            error.map(|error| error.to_string()).unwrap_or_default()
        };
        let endpoint = Some("http://127.0.0.1:1".to_owned());
        let store = Store { endpoint, credentials: Some(path.clone()), ..Store::default() };
        assert!(at("s3://observatory/lake", &store).contains("cannot be read"));
        let mode = |mode| {
            let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(mode);
            std::fs::set_permissions(&path, mode).unwrap();
        };
        std::fs::write(&path, "access_key_id = \"me\"\nsecret_access_key = \"hush\"\n").unwrap();
        mode(0o644);
        assert!(at("s3://observatory/lake", &store).contains("has mode 644"));
        mode(0o600);
        assert_eq!(at("s3://observatory/lake", &store), "");
        for (endpoint, allow_http, said) in [
            ("http://store.example:9000", false, "in the clear"),
            ("http://store.example:9000", true, ""),
            ("https://store.example:9000", false, ""),
        ] {
            let store = Store { endpoint: Some(endpoint.into()), allow_http, ..store.clone() };
            let told = at("s3://observatory/lake", &store);
            assert!(told.contains(said) && told.is_empty() == said.is_empty(), "{endpoint}: {told}");
        }
        std::fs::write(&path, "access_key_id = \"me\"\nsecret_access_key = hush\n").unwrap();
        let told = at("s3://observatory/lake", &store);
        assert!(told.contains("is not TOML") && !told.contains("hush"), "{told}");
        assert!(at("gs://observatory/lake", &store).contains("s3://bucket/folder"));
    }
}

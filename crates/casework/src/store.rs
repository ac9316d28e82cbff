//! The handle, its connections and its schema version.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use kenshin_observation::TimeUs;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use sqlx::any::{AnyArguments, AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor, Row};

use crate::error::{CaseworkError, Result};

/// Migrations in order. One text serves both databases; an applied one never changes.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../migrations/0001_ground.sql")),
    (2, include_str!("../migrations/0002_sensors.sql")),
    (3, include_str!("../migrations/0003_priority.sql")),
    (4, include_str!("../migrations/0004_urgency.sql")),
    (5, include_str!("../migrations/0005_searches.sql")),
    (6, include_str!("../migrations/0006_retention.sql")),
    (7, include_str!("../migrations/0007_finding_table.sql")),
    (8, include_str!("../migrations/0008_mandate_sight.sql")),
];

/// Connections held at most; a hub that needs more is better served by a second hub.
const CONNECTIONS_MAX: u32 = 8;

/// Which database is behind the handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file, one hub.
    Sqlite,
    /// A server, several hubs.
    Postgres,
}

/// The handle to casework. Cheap to clone; all clones share connections and the source of ids.
#[derive(Clone)]
pub struct Casework {
    pub(crate) pool: AnyPool,
    backend: Backend,
    random: Arc<Mutex<ChaCha20Rng>>,
    /// SQLite takes one writer at a time: ours queue here in order instead of spinning on its lock.
    writer: Arc<tokio::sync::Mutex<()>>,
}

/// A write transaction. Dropped without [`Tx::commit`], it is as if it never was.
pub(crate) struct Tx {
    inner: sqlx::Transaction<'static, Any>,
    _writer: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl std::fmt::Debug for Casework {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Casework").field("backend", &self.backend).finish_non_exhaustive()
    }
}

/// Opens the database, and closes it again.
async fn first_connection(url: &str, prepare: &'static str) -> std::result::Result<(), sqlx::Error> {
    let mut connection = AnyConnection::connect(url).await?;
    connection.execute(sqlx::raw_sql(prepare)).await?;
    connection.close().await
}

impl Casework {
    /// Opens `sqlite:///path/file.db` (made when absent) or `postgres://…` and brings its schema up
    /// to date. `seed` feeds every id, token and random draw; the edge takes it from the system,
    /// tests and the demo set it.
    pub async fn open(url: &str, seed: [u8; 32], now: TimeUs) -> Result<Self> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let bad = |why: &str| CaseworkError::Url { url: without_password(url), why: why.to_owned() };
        let (backend, url) = if url.starts_with("sqlite:") {
            if url.contains(":memory:") || url.contains("mode=memory") {
                return Err(bad("a database in memory is lost with its connection"));
            }
            let mode = if url.contains("mode=") {
                ""
            } else if url.contains('?') {
                "&mode=rwc"
            } else {
                "?mode=rwc"
            };
            (Backend::Sqlite, format!("{url}{mode}"))
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            (Backend::Postgres, url.to_owned())
        } else {
            return Err(bad("unknown scheme"));
        };
        let prepare = match backend {
            Backend::Sqlite => {
                "PRAGMA busy_timeout = 15000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            }
            Backend::Postgres => "SET lock_timeout = '15s'; SET timezone = 'UTC';",
        };
        // A pool asks again for half a minute, and then has forgotten why it could not.
        if backend == Backend::Sqlite
            && let Err(error) = first_connection(&url, prepare).await.map_err(CaseworkError::from)
            && error.may_lack_space()
        {
            return Err(error);
        }
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(Duration::from_secs(30))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    connection.execute(sqlx::raw_sql(prepare)).await?;
                    Ok(())
                })
            })
            .connect(&url)
            .await?;
        let casework = Self {
            pool,
            backend,
            random: Arc::new(Mutex::new(ChaCha20Rng::from_seed(seed))),
            writer: Arc::default(),
        };
        casework.migrate(now).await?;
        Ok(casework)
    }

    /// Which database is behind the handle.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Schema version this software writes.
    pub fn schema_version() -> i64 {
        MIGRATIONS.last().map_or(0, |(version, _)| *version)
    }

    /// Closes all connections; SQLite checkpoints its write-ahead log.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// 128 random bits from the injected source.
    pub(crate) fn random(&self) -> u128 {
        let mut source = self.random.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        u128::from(source.next_u64()) << 64 | u128::from(source.next_u64())
    }

    /// A seed for one generator.
    pub(crate) fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.random.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill_bytes(&mut seed);
        seed
    }

    /// A secret of 256 random bits, hexadecimal.
    pub(crate) fn secret(&self) -> String {
        format!("{:032x}{:032x}", self.random(), self.random())
    }

    pub(crate) async fn begin(&self) -> Result<Tx> {
        let (writer, statement) = match self.backend {
            Backend::Sqlite => (Some(self.writer.clone().lock_owned().await), "BEGIN IMMEDIATE"),
            Backend::Postgres => (None, "BEGIN"),
        };
        Ok(Tx { inner: self.pool.begin_with(statement).await?, _writer: writer })
    }

    async fn migrate(&self, now: TimeUs) -> Result<()> {
        let mut tx = self.begin().await?;
        if self.backend == Backend::Postgres {
            // Several hubs may start at once; the number is arbitrary and ours.
            tx.run(query("SELECT 1 FROM (SELECT pg_advisory_xact_lock(7386502)) AS held")).await?;
        }
        tx.run(query(
            "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL PRIMARY KEY, sha256 TEXT NOT NULL, applied_us BIGINT NOT NULL)",
        ))
        .await?;
        let applied = tx.rows(query("SELECT version, sha256 FROM schema_version ORDER BY version")).await?;
        let known = Self::schema_version();
        for row in &applied {
            let version = row.int("version")?;
            let Some((_, text)) = MIGRATIONS.iter().find(|(v, _)| *v == version) else {
                return Err(CaseworkError::NewerSchema { found: version, known });
            };
            if row.text("sha256")? != digest(text) {
                return Err(CaseworkError::ForeignSchema { version });
            }
        }
        for (version, text) in &MIGRATIONS[applied.len()..] {
            tx.inner.execute(sqlx::raw_sql(*text)).await?;
            tx.run(
                query("INSERT INTO schema_version (version, sha256, applied_us) VALUES ($1, $2, $3)")
                    .bind(*version)
                    .bind(digest(text))
                    .bind(now.micros()),
            )
            .await?;
        }
        tx.commit().await
    }
}

/// A query with its bound values.
pub(crate) type Query = sqlx::query::Query<'static, Any, AnyArguments>;

/// A query of fixed text.
pub(crate) fn query(text: &'static str) -> Query {
    sqlx::query(text)
}

/// A query whose text was put together from fixed parts: a value never becomes text, it is bound.
pub(crate) fn composed(text: String) -> Query {
    sqlx::query(AssertSqlSafe(text))
}

impl Tx {
    pub(crate) async fn run(&mut self, query: Query) -> Result<u64> {
        Ok(query.execute(&mut *self.inner).await?.rows_affected())
    }

    pub(crate) async fn rows(&mut self, query: Query) -> Result<Vec<AnyRow>> {
        Ok(query.fetch_all(&mut *self.inner).await?)
    }

    pub(crate) async fn maybe(&mut self, query: Query) -> Result<Option<AnyRow>> {
        Ok(query.fetch_optional(&mut *self.inner).await?)
    }

    pub(crate) async fn commit(self) -> Result<()> {
        Ok(self.inner.commit().await?)
    }
}

impl Casework {
    pub(crate) async fn rows(&self, query: Query) -> Result<Vec<AnyRow>> {
        Ok(query.fetch_all(&self.pool).await?)
    }

    pub(crate) async fn maybe(&self, query: Query) -> Result<Option<AnyRow>> {
        Ok(query.fetch_optional(&self.pool).await?)
    }
}

/// Typed access to the columns of a row.
pub(crate) trait Columns {
    fn text(&self, column: &str) -> Result<String>;
    fn maybe_text(&self, column: &str) -> Result<Option<String>>;
    fn int(&self, column: &str) -> Result<i64>;
    fn maybe_int(&self, column: &str) -> Result<Option<i64>>;

    fn time(&self, column: &str) -> Result<TimeUs> {
        Ok(TimeUs::from_micros(self.int(column)?))
    }

    fn maybe_time(&self, column: &str) -> Result<Option<TimeUs>> {
        Ok(self.maybe_int(column)?.map(TimeUs::from_micros))
    }

    /// A word or id stored as text.
    fn word<T>(&self, column: &str) -> Result<T>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        self.text(column)?.parse().map_err(|error| corrupt(column, error))
    }

    fn maybe_word<T>(&self, column: &str) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let text = self.maybe_text(column)?;
        text.map(|text| text.parse()).transpose().map_err(|error| corrupt(column, error))
    }

    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        document(column, &self.text(column)?)
    }

    fn addr(&self, column: &str) -> Result<IpAddr> {
        addr_from_text(column, &self.text(column)?)
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &str) -> Result<String> {
        Ok(self.try_get(column)?)
    }

    fn maybe_text(&self, column: &str) -> Result<Option<String>> {
        Ok(self.try_get(column)?)
    }

    fn int(&self, column: &str) -> Result<i64> {
        Ok(self.try_get(column)?)
    }

    fn maybe_int(&self, column: &str) -> Result<Option<i64>> {
        Ok(self.try_get(column)?)
    }
}

fn corrupt(column: &str, source: impl std::error::Error + Send + Sync + 'static) -> CaseworkError {
    CaseworkError::Corrupt { column: column.to_owned(), source: Box::new(source) }
}

/// The structure that a stored text is, as JSON.
pub(crate) fn document<T: DeserializeOwned>(column: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| corrupt(column, error))
}

/// A structure as the JSON that is stored.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("stored structures have string keys and serialise")
}

/// A text from outside as it can be stored: PostgreSQL knows no NUL in TEXT.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// An address as 32 hexadecimal digits, IPv4 mapped: text order is address order.
pub(crate) fn addr_text(addr: IpAddr) -> String {
    let bits = match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    format!("{bits:032x}")
}

/// The inverse of [`addr_text`].
pub(crate) fn addr_from_text(column: &str, text: &str) -> Result<IpAddr> {
    u128::from_str_radix(text, 16)
        .map(|bits| Ipv6Addr::from_bits(bits).to_canonical())
        .map_err(|error| corrupt(column, error))
}

/// SHA-256 of a text, hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Puts a query together from fixed parts and numbers its parameters. Values are only ever bound.
pub(crate) struct Compose {
    text: String,
    values: Vec<Value>,
}

#[derive(Clone)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl Compose {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    /// Appends fixed text.
    pub(crate) fn text(&mut self, text: &'static str) {
        self.text.push_str(text);
    }

    /// Appends fixed text; each `?` in it takes the next of `values`.
    pub(crate) fn push<V: Into<Value>>(&mut self, text: &'static str, values: impl IntoIterator<Item = V>) {
        let mut values = values.into_iter();
        for (i, part) in text.split('?').enumerate() {
            if i > 0 {
                let value = values.next().expect("a fixed query names as many parameters as it is given");
                self.values.push(value.into());
                write!(self.text, "${}", self.values.len()).expect("writing to a string succeeds");
            }
            self.text.push_str(part);
        }
        assert!(values.next().is_none(), "a fixed query names as many parameters as it is given");
    }

    /// Appends `(?, ?, …)` for a list; an empty list matches nothing.
    pub(crate) fn push_list<V: Into<Value>>(&mut self, text: &'static str, values: Vec<V>) {
        if values.is_empty() {
            self.text.push_str(" AND 1 = 0");
            return;
        }
        self.text.push_str(text);
        self.text.push('(');
        for (i, value) in values.into_iter().enumerate() {
            self.push(if i == 0 { "?" } else { ", ?" }, [value]);
        }
        self.text.push(')');
    }

    pub(crate) fn finish(self) -> Query {
        self.values.into_iter().fold(composed(self.text), |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Int(int) => query.bind(int),
        })
    }
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{host}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_text_orders_like_addresses() {
        let mut addrs: Vec<IpAddr> = ["10.0.0.1", "9.255.255.255", "2001:db8::1", "255.0.0.1", "::1"]
            .iter()
            .map(|a| a.parse().unwrap())
            .collect();
        addrs.sort_by_key(|a| addr_text(*a));
        let text: Vec<String> = addrs.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["::1", "9.255.255.255", "10.0.0.1", "255.0.0.1", "2001:db8::1"]);
    }

    #[test]
    fn composed_queries_number_their_parameters() {
        let mut compose = Compose::new("SELECT 1 WHERE 1 = 1");
        compose.push(" AND a = ? AND b > ?", [Value::from("x"), Value::from(3)]);
        compose.push_list(" AND c IN ", vec!["p", "q"]);
        compose.push_list(" AND d IN ", Vec::<String>::new());
        assert_eq!(compose.text, "SELECT 1 WHERE 1 = 1 AND a = $1 AND b > $2 AND c IN ($3, $4) AND 1 = 0");
        assert_eq!(compose.values.len(), 4);
    }

    #[test]
    fn errors_show_no_password() {
        assert_eq!(without_password("postgres://kenshin:secret@db/k"), "postgres://kenshin@db/k");
    }
}

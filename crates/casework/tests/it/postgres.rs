//! A throw-away PostgreSQL cluster for the tests of this process, on a Unix socket.

#![expect(clippy::disallowed_methods, reason = "the test starts the server it needs")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Runs as a person without rights, ends with its standard input: when this process ends, however,
/// the pipe closes, and the cluster stops and is removed.
const SCRIPT: &str = r#"
set -e
cd "$DIR"
"$BIN/initdb" -D "$DIR/data" -A trust -U kenshin -E UTF8 --no-sync >"$DIR/log" 2>&1
"$BIN/postgres" -D "$DIR/data" -k "$DIR" -c listen_addresses= -c fsync=off -c max_connections=200 >>"$DIR/log" 2>&1 &
server=$!
while ! "$BIN/pg_isready" -q -h "$DIR" -U kenshin -d postgres; do kill -0 $server; done
echo ready
cat >/dev/null || true
kill -INT $server
wait $server || true
cd /
rm -rf "$DIR"
"#;

/// Directory of the socket, or why there is none.
static CLUSTER: OnceLock<Result<(PathBuf, Child), String>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(1);

/// The URL of a new, empty database; `None`, said by name, where the server is not installed.
pub(crate) async fn database(test: &str) -> Option<String> {
    let socket = match CLUSTER.get_or_init(start) {
        Ok((socket, _)) => socket,
        Err(why) => {
            eprintln!("{test}: SKIPPED on PostgreSQL: {why}");
            return None;
        }
    };
    let name = format!("t{}", DATABASES.fetch_add(1, Ordering::SeqCst));
    let url = |database: &str| format!("postgres:///{database}?host={}&user=kenshin", socket.display());
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&url("postgres")).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&pool).await.unwrap();
    pool.close().await;
    Some(url(&name))
}

fn start() -> Result<(PathBuf, Child), String> {
    let bin = server_folder().ok_or("the server (initdb, postgres) is not installed")?;
    let folder =
        tempfile::Builder::new().prefix("kenshin-pg").tempdir_in("/tmp").map_err(|e| e.to_string())?.keep();
    let mut command = if is_root() {
        // The server refuses to run as root: hand it to nobody.
        let status = Command::new("chown").arg("nobody").arg(&folder).status().map_err(|e| e.to_string())?;
        if !status.success() {
            return Err("cannot hand a folder to nobody".into());
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid=65534", "--clear-groups", "sh", "-c", SCRIPT]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT]);
        command
    };
    let mut child = command
        .env("DIR", &folder)
        .env("BIN", bin)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start it: {e}"))?;
    let mut line = String::new();
    let stdout = child.stdout.take().ok_or("no standard output")?;
    BufReader::new(stdout).read_line(&mut line).map_err(|e| e.to_string())?;
    if line.trim() == "ready" {
        return Ok((folder, child));
    }
    Err(format!("it did not start, see {}", folder.join("log").display()))
}

fn server_folder() -> Option<PathBuf> {
    let mut folders = vec![PathBuf::from("/usr/local/bin"), PathBuf::from("/usr/bin")];
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        folders.insert(0, entry.path().join("bin"));
    }
    folders
        .into_iter()
        .find(|folder| ["initdb", "postgres", "pg_isready"].iter().all(|name| folder.join(name).exists()))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(Path::new("/proc/self")).is_ok_and(|metadata| metadata.uid() == 0)
}

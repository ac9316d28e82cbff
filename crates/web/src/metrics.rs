//! Counters of the process in Prometheus' text format. They hold no figure about anybody.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::{STREAMS_MAX, Web};

/// Count and whole time of requests by method, route and status.
type Requests = BTreeMap<(String, String, u16), (u64, Duration)>;

/// What is counted. Routes are those of the table, so that the number of series is bounded.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<Requests>,
    sign_ins_refused: AtomicU64,
}

impl Metrics {
    /// Counts one answered request.
    pub(crate) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let entry = requests.entry((method.to_owned(), route.to_owned(), status)).or_default();
        entry.0 += 1;
        entry.1 += took;
    }

    /// Counts one refused sign-in.
    pub(crate) fn sign_in_refused(&self) {
        self.sign_ins_refused.fetch_add(1, Ordering::Relaxed);
    }

    fn text(&self, streams: usize) -> String {
        let mut out = String::new();
        let head =
            |name: &str, kind: &str, help: &str| format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        let requests = self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        out += &head("kenshin_http_requests_total", "counter", "Requests answered.");
        for ((method, route, status), (count, _)) in &requests {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            writeln!(out, "kenshin_http_requests_total{{{labels}}} {count}")
                .expect("writing to a string succeeds");
        }
        out += &head("kenshin_http_request_seconds_total", "counter", "Time spent answering.");
        for ((method, route, status), (_, took)) in &requests {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            writeln!(out, "kenshin_http_request_seconds_total{{{labels}}} {:.6}", took.as_secs_f64())
                .expect("writing to a string succeeds");
        }
        out += &head("kenshin_sign_ins_refused_total", "counter", "Sign-ins refused.");
        writeln!(out, "kenshin_sign_ins_refused_total {}", self.sign_ins_refused.load(Ordering::Relaxed))
            .expect("writing to a string succeeds");
        out += &head("kenshin_progress_streams", "gauge", "Progress streams open.");
        writeln!(out, "kenshin_progress_streams {streams}").expect("writing to a string succeeds");
        out += &head("kenshin_build_info", "gauge", "The version that runs.");
        writeln!(out, "kenshin_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))
            .expect("writing to a string succeeds");
        out
    }
}

/// `GET /metrics`.
pub(crate) async fn show(State(web): State<Web>) -> impl IntoResponse {
    let open = STREAMS_MAX - web.inner.streams.available_permits();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], web.inner.metrics.text(open))
}

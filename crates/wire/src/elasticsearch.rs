//! Elasticsearch and OpenSearch: what the answer to `GET /` tells about them. Nothing else is asked
//! of them.

use serde_json::Value;

use crate::http::Response;
use crate::http::challenge::challenges;

/// Longest text kept, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// A search engine, open or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Engine {
    /// `elasticsearch` or `opensearch`.
    pub distribution: &'static str,
    /// Version number; unknown when it asks who we are.
    pub version: Option<String>,
    /// Name of the cluster.
    pub cluster_name: Option<String>,
    /// It asks who we are before it says more.
    pub authentication_required: bool,
}

const ELASTICSEARCH: &str = "elasticsearch";
const OPENSEARCH: &str = "opensearch";

/// The engine that gave this answer to `GET /`, if one did.
pub fn recognise(response: &Response) -> Option<Engine> {
    match response.head.status {
        200 => open(response),
        401 | 403 => closed(response),
        _ => None,
    }
}

fn open(response: &Response) -> Option<Engine> {
    let json: Value = serde_json::from_slice(&response.body).ok()?;
    let version = json.get("version")?;
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(cut);
    let tagline = text(&json, "tagline").unwrap_or_default();
    let distribution = match version.get("distribution").and_then(Value::as_str) {
        Some("opensearch") => OPENSEARCH,
        _ if tagline.starts_with("The OpenSearch Project") => OPENSEARCH,
        _ if tagline == "You Know, for Search" => ELASTICSEARCH,
        _ => return None,
    };
    Some(Engine {
        distribution,
        version: Some(text(version, "number")?),
        cluster_name: text(&json, "cluster_name"),
        authentication_required: false,
    })
}

/// A refusal that only such an engine writes.
fn closed(response: &Response) -> Option<Engine> {
    let headers = &response.head.headers;
    let realms: Vec<String> = challenges(headers)
        .iter()
        .filter_map(|challenge| challenge.parameter("realm").map(str::to_owned))
        .collect();
    let refused = || {
        let json: Value = serde_json::from_slice(&response.body).ok()?;
        let kind = json.get("error")?.get("type")?.as_str()?.to_owned();
        (kind == "security_exception").then_some(())
    };
    let distribution = match headers.get("x-elastic-product") {
        Some(product) if product.eq_ignore_ascii_case(ELASTICSEARCH) => ELASTICSEARCH,
        _ if realms.iter().any(|realm| realm == "OpenSearch Security") => OPENSEARCH,
        _ if refused().is_some() => ELASTICSEARCH,
        _ => return None,
    };
    Some(Engine { distribution, authentication_required: true, ..Engine::default() })
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}

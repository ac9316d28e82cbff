//! Past the first answer of a web server: the page that it redirects to at the same address and port,
//! and its icon. Every request is an exchange with a permit of its own, and counts among the
//! connections of the probe.

use kenshin_observation::BlobClass;
use kenshin_wire::http::reference::{Base, Target, resolve};
use kenshin_wire::http::{Response, favicon, page};

use super::conversation::Lines;
use super::web::{self, Answer};
use super::{Connect, ProbeResult, record};
use crate::tls::{Offer, establish};

/// Most redirects followed.
const REDIRECTS_MAX: u32 = 2;

/// Where a page that names no icon has it.
const ICON_PATH: &str = "/favicon.ico";

/// Follows the redirects of `response`, the answer to `GET /`, and looks at the icon of the page that
/// is reached; `result` is of that page then. `offer` is how TLS was established, when it was.
///
/// Another port is not followed to: it is a target of its own, or not granted.
pub(super) async fn explore<C: Connect>(
    lines: &mut Lines<'_, C>,
    offer: Option<Offer>,
    mut response: Response,
    result: &mut ProbeResult,
) {
    let mut path = "/".to_owned();
    for _ in 0..REDIRECTS_MAX {
        let redirect = matches!(response.head.status, 301 | 302 | 303 | 307 | 308);
        let Some(location) = response.head.headers.get("location").filter(|_| redirect) else { break };
        let Some(next) = here(lines, offer, &path, location).filter(|next| *next != path) else { break };
        let Some(page) = fetch(lines, offer, &next).await else { break };
        (path, response) = (next, page);
        let settings = lines.settings;
        let mut record = record::http(&response);
        record.redirected_to = Some(record::shown(path.as_bytes()));
        result.records.http = Some(Box::new(record));
        web::recognise_servers(&response, &mut result.records);
        result.blobs.retain(|blob| blob.class == BlobClass::Certificate);
        result.blobs.extend(record::http_blobs(&response, settings.blob_bytes_max));
    }
    if let Some(icon) = icon(lines, offer, &path, &response).await
        && let Some(http) = &mut result.records.http
    {
        (http.favicon_mmh3, http.favicon_sha256) = (Some(icon.mmh3), Some(icon.sha256));
    }
}

/// Digests of the icon of a page.
async fn icon<C: Connect>(
    lines: &mut Lines<'_, C>,
    offer: Option<Offer>,
    path: &str,
    response: &Response,
) -> Option<favicon::Favicon> {
    let text = response.text();
    let kind = response.head.headers.get("content-type").unwrap_or("text/html").to_ascii_lowercase();
    if response.head.status != 200 || !kind.contains("html") || !text.contains('<') {
        return None;
    }
    let icon = match page::icon(&text) {
        Some(reference) => here(lines, offer, path, reference)?,
        None => ICON_PATH.to_owned(),
    };
    let icon = fetch(lines, offer, &icon).await?;
    // A cut picture has the digest of nothing.
    let whole = icon.head.status == 200 && icon.complete && favicon::is_picture(&icon.body);
    if whole { favicon::digests(&icon.body) } else { None }
}

/// The path that `reference` leads to, when it stays at the endpoint.
fn here<C>(lines: &Lines<'_, C>, offer: Option<Offer>, path: &str, reference: &str) -> Option<String> {
    let (addr, port) = (lines.endpoint.addr, lines.endpoint.port);
    let base = Base { tls: offer.is_some(), addr, port, path };
    match resolve(reference, &base) {
        Target::Here { tls, port: same, path } if tls == base.tls && same == port => Some(path),
        Target::Here { .. } | Target::Elsewhere => None,
    }
}

/// `GET path` on a connection of its own.
async fn fetch<C: Connect>(lines: &mut Lines<'_, C>, offer: Option<Offer>, path: &str) -> Option<Response> {
    let mut session = lines.open().await.ok()?;
    let (endpoint, settings) = (lines.endpoint, lines.settings);
    let answer = match offer {
        None => {
            let answer = web::get(&mut session, endpoint, path, false, settings).await;
            session.part(&[]).await;
            answer
        }
        Some(offer) => {
            let mut session = establish(session, offer, &settings.limits).await.ok()?.session;
            let answer = web::get(&mut session, endpoint, path, true, settings).await;
            session.part(&[]).await;
            answer
        }
    };
    match answer {
        Answer::Response(response, _) => Some(response),
        Answer::Other(..) | Answer::Nothing(_) => None,
    }
}

//! The built user interface, part of the binary.

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
#[cfg(feature = "ui")]
use axum::response::Html;
use axum::response::{IntoResponse, Response};

use crate::Problem;
use crate::headers::StyleNonce;

#[cfg(feature = "ui")]
#[derive(rust_embed::RustEmbed)]
#[folder = "../../ui/dist"]
struct Built;

/// What the embedded files were made from; naming it makes the compiler see them again when it changes.
#[cfg(feature = "ui")]
const _: &str = env!("KENSHIN_UI_SOURCES");

/// Everything that is not the API: a file of the interface, or its page, which then shows the view
/// that the path names.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/api/") {
        return Problem::not_found("route", path).into_response();
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let nonce = request.extensions().get::<StyleNonce>().map_or("", |nonce| &nonce.0);
    file(path.trim_start_matches('/')).unwrap_or_else(|| page(nonce))
}

#[cfg(feature = "ui")]
fn file(path: &str) -> Option<Response> {
    let file = Built::get(path).filter(|_| path != "index.html")?;
    let kind = match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        _ => "application/octet-stream",
    };
    // Names under assets/ hold a digest of their content.
    let keep = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    Some(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep)], file.data).into_response())
}

#[cfg(feature = "ui")]
fn page(nonce: &str) -> Response {
    let Some(page) = Built::get("index.html") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    Html(String::from_utf8_lossy(&page.data).replace("__CSP_NONCE__", nonce)).into_response()
}

#[cfg(not(feature = "ui"))]
fn file(_path: &str) -> Option<Response> {
    None
}

#[cfg(not(feature = "ui"))]
fn page(_nonce: &str) -> Response {
    let text = "This build has no user interface. The API is described at /api/openapi.json.\n";
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

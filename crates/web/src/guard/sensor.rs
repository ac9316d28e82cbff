//! Sensors at the door: no cookie, no password; every request signed by the sensor's own key, within
//! minutes of its time, and heard once.

use std::net::IpAddr;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use kenshin_observatory::hub::SHIPMENT_BYTES_MAX;
use kenshin_observatory::signed::{Claim, Covered, SignatureFault, VerifyingKey, check_body};

use super::Caller;
use crate::policy::Reach;
use crate::{Problem, Web};

/// Header by which a signed request is known.
pub(crate) const SIGNATURE_INPUT: &str = "signature-input";
/// Bytes of an ordinary request of a sensor at most; batches have their own limit.
const REPORT_BYTES_MAX: usize = 1 << 20;
/// How long the body of a request may take.
pub(crate) const REPORT_WITHIN: Duration = Duration::from_secs(20);
const SHIPMENT_WITHIN: Duration = Duration::from_secs(600);

/// Authenticates the sensor that signed; the request goes on with its body as it came.
pub(super) async fn admit(
    web: &Web,
    route: &str,
    request: Request,
    addr: IpAddr,
) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    let claim = claim_of(&parts.headers)?;
    // Nothing is read for strangers.
    let Some(sensor) = web.observatory().active_sensor(claim.sensor).await? else {
        return Err(Problem::unsigned().detail(format!("sensor {} is not enrolled here", claim.sensor)));
    };
    let key = VerifyingKey::read(&sensor.public_key).ok_or_else(Problem::unsigned)?;
    proven(&claim, &key, &parts, web)?;
    let (org, now) = (web.org(), web.now());
    if !web.casework().spend_nonce(org, sensor.sensor_id, &claim.nonce, claim.ends_at(), now).await? {
        return Err(Problem::bad_signature("replayed", "this request was heard before"));
    }
    let batches = route.ends_with("/batches");
    let _room = match batches {
        true => {
            let stopping = |_| Problem::busy("the server is stopping");
            Some(web.inner.shipments.acquire().await.map_err(stopping)?)
        }
        false => None,
    };
    let (bytes_max, within) =
        if batches { (SHIPMENT_BYTES_MAX, SHIPMENT_WITHIN) } else { (REPORT_BYTES_MAX, REPORT_WITHIN) };
    let body = read_body(&parts, body, bytes_max, within).await?;
    let reach = Reach::Organisation;
    parts.extensions.insert(Caller { session: None, token: None, sensor: Some(sensor), addr, reach });
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// What the headers of a request claim.
pub(crate) fn claim_of(headers: &HeaderMap) -> Result<Claim, Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(input), Some(signature)) = (text(SIGNATURE_INPUT), text("signature")) else {
        return Err(Problem::unsigned());
    };
    Claim::read(input, signature).map_err(fault)
}

/// Believes a claim by its key, or says why not.
pub(crate) fn proven(claim: &Claim, key: &VerifyingKey, parts: &Parts, web: &Web) -> Result<(), Problem> {
    let covered = Covered {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        content_digest: digest_of(parts),
    };
    claim.verify(key, covered, web.now()).map_err(fault)
}

/// The body, which must be the one whose digest was signed.
pub(crate) async fn read_body(
    parts: &Parts,
    body: Body,
    bytes_max: usize,
    within: Duration,
) -> Result<Bytes, Problem> {
    let body = tokio::time::timeout(within, to_bytes(body, bytes_max))
        .await
        .map_err(|_| Problem::busy("the body took too long"))?
        .map_err(|_| Problem::too_large(bytes_max))?;
    check_body(digest_of(parts), &body).map_err(fault)?;
    Ok(body)
}

fn digest_of(parts: &Parts) -> &str {
    parts.headers.get("content-digest").and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn fault(fault: SignatureFault) -> Problem {
    let code = match fault {
        SignatureFault::Form => "signature-form",
        SignatureFault::Body => "signature-body",
        SignatureFault::Key => "signature-key",
        SignatureFault::Time => "signature-time",
    };
    Problem::bad_signature(code, fault.to_string())
}

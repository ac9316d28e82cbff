//! The hub through HTTPS: every request signed by the sensor's own key, every answer bounded.
//!
//! What a later attempt may change (no connection, no answer in time, 408, 429, 5xx) is
//! [`ActError::Away`]; every other refusal is the hub's word, and repeating would not change it.

use std::io::{BufWriter, Read};
use std::time::Duration;

use async_trait::async_trait;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use kenshin_casework::{AssessmentSummary, NewSensor};
use kenshin_observation::{Batch, OrgId};
use kenshin_survey::progress::Progress;
use kenshin_survey::sensor::SensorIdentity;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Client, Method, StatusCode, redirect};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Held, Hub, Lease, LeaveAlone, Papers, Pulse, SHIPMENT_BYTES_MAX, ShardEnd, trust};
use crate::authority::read_limited;
use crate::edge::Edge;
use crate::error::ActError;
use crate::home::Home;
use crate::settings::HubAddress;
use crate::signed::{self, Covered};

/// Bytes of an answer that are read at most.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for an ordinary answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Longest wait for batches to be taken.
const SHIPMENT: Duration = Duration::from_secs(600);

/// A hub that is reached by its address.
pub struct Away {
    url: String,
    http: Client,
    identity: SensorIdentity,
    edge: Edge,
}

/// What a hub answers to a sensor that enrols.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Name of the organisation that runs it.
    pub organisation: String,
    /// Its id, which every observation carries.
    pub org_id: OrgId,
    /// What the administrator calls the sensor.
    pub name: String,
}

/// What a sensor sends to enrol.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enrolment {
    /// The token that an administrator made.
    pub token: String,
    /// Its public key, hexadecimal; the request is signed with the private one.
    pub public_key: String,
    /// Sequence of the last batch of its chain that this hub will not be sent.
    pub head_sequence: i64,
    /// Digest of that batch.
    pub head_digest: String,
}

/// The parts of `application/problem+json` that a sensor repeats.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    title: String,
    detail: Option<String>,
    hint: Option<String>,
}

/// A request to be made.
struct Call<'a> {
    method: Method,
    path: &'a str,
    body: Vec<u8>,
    packed: bool,
    within: Duration,
}

impl Away {
    /// The hub at an address, for a sensor. Nothing is sent.
    pub fn new(
        hub: &HubAddress,
        home: &Home,
        identity: &SensorIdentity,
        edge: &Edge,
    ) -> Result<Self, ActError> {
        let failed = |error| ActError::outside("failed to prepare TLS", error);
        let mut builder = Client::builder()
            .https_only(true)
            // A redirect would carry a signed request to a place it was not made for.
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("kenshin-sensor/", env!("CARGO_PKG_VERSION")));
        if let Some(fingerprint) = &hub.fingerprint {
            builder = builder.tls_backend_preconfigured(trust::pinned(fingerprint)?);
        } else if let Some(ca) = &hub.ca {
            let pem = read_limited(&home.resolve(ca))?;
            let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|error| ActError::input(format!("`{}`: {error}", ca.display())))?;
            builder = builder.tls_certs_only(certificates);
        }
        Ok(Self {
            url: hub.url.trim_end_matches('/').to_owned(),
            http: builder.build().map_err(failed)?,
            identity: identity.clone(),
            edge: edge.clone(),
        })
    }

    /// Spends an enrolment token: from now on the hub knows this sensor's public key.
    pub async fn enrol(&self, token: &str, sensor: &NewSensor) -> Result<Enrolled, ActError> {
        let enrolment = Enrolment {
            token: token.to_owned(),
            public_key: sensor.public_key.clone(),
            head_sequence: sensor.head_sequence,
            head_digest: sensor.head_digest.clone(),
        };
        self.post("/api/v1/sensor/enrol", &enrolment).await
    }

    /// Looks whether the hub can be reached and is the one it should be.
    pub async fn look(&self) -> Result<(), ActError> {
        let asked = self.http.get(format!("{}/healthz", self.url)).timeout(ANSWER).send().await;
        let answer = asked.map_err(|error| self.away(chain(&error)))?;
        match answer.status() {
            StatusCode::OK => Ok(()),
            status => Err(self.away(format!("it answers {status}"))),
        }
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ActError> {
        let body = serde_json::to_vec(body).map_err(|e| ActError::outside("failed to write a request", e))?;
        self.call(Call { method: Method::POST, path, body, packed: false, within: ANSWER }).await
    }

    async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, ActError> {
        let digest = signed::content_digest(&call.body);
        let covered =
            Covered { method: call.method.as_str(), path: call.path, query: None, content_digest: &digest };
        let nonce = u128::from_le_bytes(self.edge.seed()[..16].try_into().expect("half of 32 bytes"));
        let headers = signed::sign(&self.identity, covered, self.edge.now(), nonce);
        let mut request = self
            .http
            .request(call.method, format!("{}{}", self.url, call.path))
            .timeout(call.within)
            .header(CONTENT_TYPE, "application/json")
            .header("content-digest", &digest)
            .header("signature-input", headers.input)
            .header("signature", headers.signature);
        if call.packed {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let mut answer = request.body(call.body).send().await.map_err(|error| self.away(chain(&error)))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.away(chain(&error)))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(self.away(format!("its answer has more than {ANSWER_BYTES_MAX} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        judge(&self.url, answer.status(), &bytes)
    }

    fn away(&self, why: String) -> ActError {
        ActError::Away { hub: self.url.clone(), why }
    }
}

#[async_trait]
impl Hub for Away {
    async fn lease(&self) -> Result<Option<Lease>, ActError> {
        self.post("/api/v1/sensor/lease", &serde_json::json!({})).await
    }

    async fn pulse(&self, held: Held, progress: &Progress) -> Result<Pulse, ActError> {
        let path = format!("/api/v1/sensor/jobs/{}/pulse", held.job_id);
        self.post(&path, &serde_json::json!({ "lease": held.lease, "progress": progress })).await
    }

    async fn end(&self, held: Held, end: &ShardEnd) -> Result<Option<AssessmentSummary>, ActError> {
        let path = format!("/api/v1/sensor/jobs/{}/end", held.job_id);
        let () = self.post(&path, &serde_json::json!({ "lease": held.lease, "end": end })).await?;
        Ok(None)
    }

    async fn ship(&self, batches: Vec<Batch>) -> Result<(), ActError> {
        let packing = tokio::task::spawn_blocking(move || pack(&batches));
        let body = packing.await.map_err(|error| ActError::outside("failed to pack batches", error))??;
        if body.len() > SHIPMENT_BYTES_MAX {
            return Err(ActError::no(format!(
                "a shipment has {} bytes, and the hub takes {SHIPMENT_BYTES_MAX}",
                body.len()
            )));
        }
        let path = "/api/v1/sensor/batches";
        self.call(Call { method: Method::POST, path, body, packed: true, within: SHIPMENT }).await
    }

    async fn papers(&self, mandate_id: &str) -> Result<Option<Papers>, ActError> {
        let path = format!("/api/v1/sensor/papers/{mandate_id}");
        let call = Call { method: Method::GET, path: &path, body: Vec::new(), packed: false, within: ANSWER };
        self.call(call).await.map(Some)
    }

    async fn leave_alone(&self, request: &LeaveAlone) -> Result<(), ActError> {
        self.post("/api/v1/sensor/leave-alone", request).await
    }
}

/// What an answer means: the hub's word, or trouble that may be over when it is asked again.
fn judge<T: DeserializeOwned>(hub: &str, status: StatusCode, bytes: &[u8]) -> Result<T, ActError> {
    let away = |why: String| ActError::Away { hub: hub.to_owned(), why };
    if status.is_success() {
        return serde_json::from_slice(bytes)
            .map_err(|error| away(format!("its answer cannot be read: {error}")));
    }
    let refusal: Refusal = serde_json::from_slice(bytes).unwrap_or_default();
    let said = refusal.detail.unwrap_or(refusal.title);
    if status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
    {
        return Err(away(format!("it answers {status}: {said}")));
    }
    let refused = ActError::no(format!("the hub refuses ({status}): {said}"));
    Err(match refusal.hint {
        Some(hint) => refused.with_hint(hint),
        None => refused,
    })
}

/// Batches as they travel: a JSON array, compressed.
pub fn pack(batches: &[Batch]) -> Result<Vec<u8>, ActError> {
    let failed = |error: std::io::Error| ActError::outside("failed to pack batches", error);
    // JSON is written a word at a time; each write would be a turn of the compressor.
    let mut words = BufWriter::new(GzEncoder::new(Vec::new(), Compression::fast()));
    serde_json::to_writer(&mut words, batches)
        .map_err(|error| ActError::outside("failed to pack batches", error))?;
    words.into_inner().map_err(|error| failed(error.into_error()))?.finish().map_err(failed)
}

/// Batches that travelled, of at most `bytes_max` bytes as JSON. Their signatures are the reader's to
/// verify.
pub fn unpack(packed: &[u8], bytes_max: u64) -> Result<Vec<Batch>, ActError> {
    let mut json = Vec::new();
    GzDecoder::new(packed)
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut json)
        .map_err(|error| ActError::input(format!("the shipment is not gzip: {error}")))?;
    if json.len() as u64 > bytes_max {
        return Err(ActError::input(format!("the shipment has more than {bytes_max} bytes")));
    }
    serde_json::from_slice(&json)
        .map_err(|error| ActError::input(format!("the shipment holds no batches: {error}")))
}

/// An error with its causes: `error sending request` alone helps nobody.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn trouble_and_refusal_are_told_apart() {
        let judge = |status: u16, body: &str| {
            judge::<Option<u8>>("https://hub.example", StatusCode::from_u16(status).unwrap(), body.as_bytes())
        };
        assert_eq!(judge(200, "7").unwrap(), Some(7));
        assert_eq!(judge(200, "null").unwrap(), None);
        for (status, body) in
            [(500, "{}"), (503, "no JSON"), (502, "<html>"), (429, ""), (408, ""), (200, "<html>")]
        {
            let error = judge(status, body).unwrap_err();
            assert!(error.is_away(), "{status} {body}: {error}");
        }
        for status in [400, 401, 403, 404, 409, 413, 422, 301] {
            let error =
                judge(status, r#"{"title": "no", "detail": "not so", "hint": "do otherwise"}"#).unwrap_err();
            assert!(!error.is_away() && error.to_string().contains("not so"), "{status}: {error}");
            assert_eq!(error.hint(), Some("do otherwise"));
        }
    }

    #[test]
    fn batches_travel_packed_and_bounded() {
        assert_eq!(unpack(&pack(&[]).unwrap(), 2).unwrap(), Vec::new());
        let gzip = |bytes: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let refused = |bytes: &[u8]| unpack(bytes, 1_000).unwrap_err().to_string();
        assert!(refused(b"no gzip").contains("is not gzip"));
        assert!(refused(&gzip(b"{}")).contains("holds no batches"));
        assert!(refused(&gzip(&[b' '; 1_001])).contains("more than 1000 bytes"), "a bomb");
        let torn = gzip(b"[]");
        assert!(refused(&torn[..torn.len() - 4]).contains("is not gzip"));
    }
}

//! The order of exchanges of one probe.

use kenshin_observation::{Blob, BlobClass, Check, Endpoint, Outcome, protocol};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Connect, ProbeResult, ProbeSettings};

pub(super) async fn run(
    endpoint: Endpoint,
    first: Option<TcpStream>,
    connect: &impl Connect,
    settings: &ProbeSettings,
) -> Vec<ProbeResult> {
    let check = if settings.granted.contains(&Check::Handshake) && !settings.listen_only {
        Check::Handshake
    } else if settings.granted.contains(&Check::Banner) {
        Check::Banner
    } else {
        return Vec::new();
    };
    let stream = match first {
        Some(stream) => Ok(stream),
        None => connect.connect(endpoint, check).await,
    };
    let Ok(mut stream) = stream else {
        return vec![ProbeResult::new(check, Outcome::Error, Some("connect"))];
    };
    let mut bytes = vec![0; settings.blob_bytes_max];
    let read = match timeout(settings.limits.listen, stream.read(&mut bytes)).await {
        Ok(Ok(read)) => read,
        Ok(Err(_)) => return vec![ProbeResult::new(check, Outcome::Limited, Some("reset"))],
        Err(_) => return vec![ProbeResult::new(check, Outcome::Limited, Some("silent"))],
    };
    bytes.truncate(read);
    let mut result = ProbeResult::new(check, Outcome::Answered, None);
    result.protocol = Some("unknown".to_owned());
    result.unknown = Some(protocol::Unknown {
        banner: protocol::text(&bytes),
        first_bytes: hex::encode(&bytes[..read.min(64)]),
        bytes: read as i64,
    });
    result.blobs.push(Blob { class: BlobClass::Banner, bytes });
    vec![result]
}

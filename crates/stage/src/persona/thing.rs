//! Things with a protocol of their own, and print ports.

use std::io;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Stream, Witness, part_from};

/// Says its bytes at once and listens to nothing.
pub(super) async fn speak<S: Stream>(says: &str, mut stream: S) -> io::Result<()> {
    stream.write_all(&hex::decode(says).unwrap_or_default()).await?;
    let mut chunk = [0; 256];
    for _ in 0..16 {
        if stream.read(&mut chunk).await? == 0 {
            break;
        }
    }
    part_from(stream, b"").await
}

/// Prints whatever it is sent: a survey that sends anything here wastes somebody's paper.
pub(super) async fn print<S: Stream>(mut stream: S, witness: &Witness) -> io::Result<()> {
    let mut chunk = [0; 256];
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        witness.printed_bytes.fetch_add(read as u64, Ordering::Relaxed);
    }
}

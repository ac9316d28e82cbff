//! Brokers: CONNECT is answered, nothing is published.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{INPUT_BYTES_MAX, Part, Stream, part_from};

pub(super) async fn play<S: Stream>(part: &Part, mut stream: S) -> io::Result<()> {
    let Some(connect) = packet(&mut stream).await? else { return part_from(stream, b"").await };
    let code = match has_user_name(&connect) {
        None => return part_from(stream, b"").await,
        Some(true) => 4,
        Some(false) if part.anonymous => 0,
        Some(false) => 5,
    };
    stream.write_all(&[0x20, 2, 0, code]).await?;
    if code == 0 {
        // Whatever follows is read until DISCONNECT and answered with nothing but pings.
        for _ in 0..16 {
            match packet(&mut stream).await? {
                Some(next) if next.first() == Some(&0xc0) => stream.write_all(&[0xd0, 0]).await?,
                Some(next) if next.first() != Some(&0xe0) => {}
                _ => break,
            }
        }
    }
    part_from(stream, b"").await
}

/// One control packet; `None` at the end or when it is none.
async fn packet<S: Stream>(stream: &mut S) -> io::Result<Option<Vec<u8>>> {
    let mut first = [0; 1];
    if stream.read(&mut first).await? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let byte = stream.read_u8().await?;
        length |= usize::from(byte & 127) << shift;
        if byte < 128 {
            break;
        }
    }
    if length > INPUT_BYTES_MAX {
        return Ok(None);
    }
    let mut packet = vec![0; 1 + length];
    packet[0] = first[0];
    if !matches!(first[0] >> 4, 1 | 3..=14) {
        return Ok(None);
    }
    stream.read_exact(&mut packet[1..]).await?;
    Ok(Some(packet))
}

/// Whether a CONNECT names a user; `None` when it is no CONNECT of MQTT 3.1 or 3.1.1.
fn has_user_name(packet: &[u8]) -> Option<bool> {
    match packet {
        [0x10, 0, 4, b'M', b'Q', b'T', b'T', 4, flags, ..]
        | [0x10, 0, 6, b'M', b'Q', b'I', b's', b'd', b'p', 3, flags, ..] => Some(flags & 0x80 != 0),
        _ => None,
    }
}

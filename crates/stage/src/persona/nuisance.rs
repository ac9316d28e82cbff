//! Hostile hosts. They cost whoever talks to them as much as they can; here they are bounded by
//! bytes and time, so that they do not cost us.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::town::Nuisance;

/// A conversation ends here, if the visitor lasts that long.
const PATIENCE: Duration = Duration::from_secs(180);

/// An endless sender stops here.
const FLOOD_BYTES_MAX: usize = 1 << 30;

pub(super) async fn play(nuisance: Nuisance, address: Ipv4Addr, stream: TcpStream) -> io::Result<()> {
    tokio::time::timeout(PATIENCE, perform(nuisance, address, stream)).await.unwrap_or(Ok(()))
}

async fn perform(nuisance: Nuisance, address: Ipv4Addr, mut stream: TcpStream) -> io::Result<()> {
    let mut chunk = [0; 4096];
    match nuisance {
        Nuisance::Mute => loop {
            if stream.read(&mut chunk).await? == 0 {
                return Ok(());
            }
        },
        Nuisance::Drip => loop {
            stream.write_all(b".").await?;
            tokio::time::sleep(Duration::from_secs(60)).await;
        },
        Nuisance::Endless => {
            let line = [b"all work and no play makes the town a dull place. ".as_slice(); 80].concat();
            flood(&mut stream, &line).await
        }
        Nuisance::Garbage => {
            let mut rng = ChaCha8Rng::seed_from_u64(u64::from(address.to_bits()));
            // No byte that begins a Telnet command, no printable prompt: plain noise.
            let noise: Vec<u8> = (0..2048).map(|_| rng.random_range(0x80..0xf0)).collect();
            stream.write_all(&noise).await?;
            stream.shutdown().await
        }
        Nuisance::GiantHeader => {
            let _ = stream.read(&mut chunk).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nX-Filler: ").await?;
            flood(&mut stream, &[b'a'; 4096]).await
        }
        Nuisance::BadTls => {
            let _ = stream.read(&mut chunk).await?;
            stream.write_all(b"\x16\x03\x03\x00\x20").await?;
            stream.write_all(&[0x5a; 0x20]).await?;
            stream.shutdown().await
        }
        Nuisance::HangUp => {
            let _ = stream.read(&mut chunk).await?;
            stream.write_all(b"HTTP/1.1 200 O").await?;
            stream.shutdown().await
        }
    }
}

async fn flood(stream: &mut TcpStream, line: &[u8]) -> io::Result<()> {
    for _ in 0..FLOOD_BYTES_MAX / line.len() {
        stream.write_all(line).await?;
    }
    stream.shutdown().await
}

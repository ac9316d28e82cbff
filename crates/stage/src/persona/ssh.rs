//! SSH servers of devices: banner and lists as the product shows them, a real key exchange with
//! the device's own host key, password authentication where the lists allow what we can encrypt.
//! Nobody gets further than being let in.

mod exchange;
mod packet;
mod profile;

use std::io;

use openssl::error::ErrorStack;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::exchange::Algorithms;
pub(super) use self::exchange::HostKey;
use self::packet::{Channel, Reader, put_string};
use self::profile::Profile;
use super::{Part, Stream, Witness, part_from};
use crate::key::KeyRing;
use crate::model::{Firmware, Service, ServiceKind};

const DISCONNECT: u8 = 1;
const SERVICE_REQUEST: u8 = 5;
const SERVICE_ACCEPT: u8 = 6;
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;
const USERAUTH_REQUEST: u8 = 50;
const USERAUTH_FAILURE: u8 = 51;
const USERAUTH_SUCCESS: u8 = 52;
const CHANNEL_OPEN: u8 = 90;
const CHANNEL_OPEN_FAILURE: u8 = 92;

/// Passwords tried before the server hangs up.
const FAILURES_MAX: u32 = 6;

/// Longest identification line of a visitor.
const IDENTIFICATION_BYTES_MAX: usize = 255;

/// Packets taken from one visitor.
const PACKETS_MAX: usize = 64;

pub(super) async fn play<S: Stream>(
    part: &Part,
    mut stream: S,
    host_key: &HostKey,
    witness: &Witness,
) -> io::Result<()> {
    let Some(profile) = profile(part) else { return Ok(()) };
    stream.write_all(format!("{}\r\n", profile.banner).as_bytes()).await?;
    let ours = kexinit(part, profile);
    let mut channel = Channel::new(stream);
    channel.send(&ours).await?;
    let Some(visitor) = identification(&mut channel.stream).await? else { return Ok(()) };
    let Some(theirs) = channel.receive().await? else { return Ok(()) };
    let Some(algorithms) = Algorithms::agree(&ours, &theirs) else {
        return part_from(channel.stream, b"").await;
    };
    let Some(question) = channel.receive().await? else { return Ok(()) };
    let greeting = exchange::Greeting {
        client: visitor.as_bytes(),
        server: profile.banner.as_bytes(),
        client_kexinit: &theirs,
        server_kexinit: &ours,
    };
    let Some(agreed) = exchange::answer(&algorithms, &greeting, &question, host_key, part).map_err(broken)?
    else {
        return part_from(channel.stream, b"").await;
    };
    channel.send(&agreed.reply).await?;
    channel.send(&[NEWKEYS]).await?;
    match channel.receive().await? {
        Some(newkeys) if newkeys == [NEWKEYS] => {}
        _ => return part_from(channel.stream, b"").await,
    }
    if !channel.encrypt(&algorithms, &agreed).map_err(broken)? {
        // Nothing we can encrypt with: this is as far as the persona goes.
        return part_from(channel.stream, b"").await;
    }
    authenticate(part, channel, witness).await
}

/// The host key of a part that speaks SSH. Takes a moment for RSA.
pub(super) fn host_key(part: &Part, ring: &KeyRing) -> Result<Option<HostKey>, ErrorStack> {
    profile(part).map(|profile| HostKey::make(part, profile, ring)).transpose()
}

/// The host key of a service that speaks SSH is smaller than is safe today.
pub(crate) fn key_is_small(service: &Service, firmware: &Firmware) -> bool {
    let ServiceKind::Ssh { profile } = &service.kind else { return false };
    Profile::of(profile, firmware.ssh.as_deref())
        .is_some_and(|profile| profile.host_keys.contains("ssh-rsa") && profile.rsa_bits < 2048)
}

fn profile(part: &Part) -> Option<&'static Profile> {
    match &part.service().kind {
        ServiceKind::Ssh { profile } => {
            Profile::of(profile, part.model.firmware[part.firmware].ssh.as_deref())
        }
        _ => None,
    }
}

async fn authenticate<S: Stream>(part: &Part, mut channel: Channel<S>, witness: &Witness) -> io::Result<()> {
    let mut failures = 0;
    for _ in 0..PACKETS_MAX {
        let Some(packet) = channel.receive().await? else { return Ok(()) };
        match packet.first().copied().unwrap_or_default() {
            DISCONNECT => break,
            SERVICE_REQUEST => {
                let mut accept = vec![SERVICE_ACCEPT];
                put_string(&mut accept, b"ssh-userauth");
                channel.send(&accept).await?;
            }
            USERAUTH_REQUEST => {
                let mut reader = Reader::new(&packet[1..]);
                let mut text = || reader.string().map(|s| String::from_utf8_lossy(s).into_owned());
                let (Some(user), Some(_service), Some(method)) = (text(), text(), text()) else { break };
                let admitted = match method.as_str() {
                    "password" => {
                        let _change = reader.byte();
                        let password = reader.string().unwrap_or_default();
                        part.admits(&user, &String::from_utf8_lossy(password), witness)
                    }
                    _ => false,
                };
                if admitted {
                    channel.send(&[USERAUTH_SUCCESS]).await?;
                    continue;
                }
                failures += u32::from(method == "password");
                if failures > FAILURES_MAX {
                    break;
                }
                let mut failure = vec![USERAUTH_FAILURE];
                put_string(&mut failure, b"publickey,password");
                failure.push(0);
                channel.send(&failure).await?;
            }
            CHANNEL_OPEN => {
                // A shell is never opened, not even to those who were let in.
                let mut reader = Reader::new(&packet[1..]);
                let sender = reader.string().and_then(|_| reader.number()).unwrap_or_default();
                let mut refusal = vec![CHANNEL_OPEN_FAILURE];
                refusal.extend(sender.to_be_bytes());
                refusal.extend(1u32.to_be_bytes());
                put_string(&mut refusal, b"administratively prohibited");
                put_string(&mut refusal, b"");
                channel.send(&refusal).await?;
            }
            _ => {}
        }
    }
    part_from(channel.stream, b"").await
}

/// The lists of the profile as a KEXINIT payload. The cookie is the device's own, which is as
/// good as a random one here.
fn kexinit(part: &Part, profile: &Profile) -> Vec<u8> {
    let mut payload = vec![KEXINIT];
    payload.extend(&part.key_seed("ssh cookie")[..16]);
    let lists = [
        &profile.kex,
        &profile.host_keys,
        &profile.ciphers,
        &profile.ciphers,
        &profile.macs,
        &profile.macs,
        &profile.compression,
        &profile.compression,
    ];
    for list in lists {
        put_string(&mut payload, list.as_bytes());
    }
    put_string(&mut payload, b"");
    put_string(&mut payload, b"");
    payload.extend([0; 5]);
    payload
}

/// The visitor's identification line without its end, read byte by byte so that nothing after it
/// is lost.
async fn identification<S: Stream>(stream: &mut S) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    while line.len() <= IDENTIFICATION_BYTES_MAX {
        match stream.read_u8().await? {
            b'\n' => {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                return Ok(text.starts_with("SSH-").then_some(text));
            }
            byte => line.push(byte),
        }
    }
    Ok(None)
}

fn broken(error: ErrorStack) -> io::Error {
    io::Error::other(error)
}

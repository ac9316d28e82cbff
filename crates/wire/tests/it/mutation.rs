//! A bounded fuzz run in every test run: each transcript, damaged in seeded ways.

use super::{exercise, exercise_datagrams, folder};

/// SplitMix64: small, seeded, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// Pieces that decoders are sensitive to.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n\n",
    b"\r\n\r\n",
    b"\x00",
    b"\xff",
    b"\xff\xfa",
    b"\xff\xf0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"HTTP/1.1 ",
    b"Content-Length: 18446744073709551615\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"ffffffffffffffff\r\n",
    b"WWW-Authenticate: Digest nonce=\"",
    b"220-",
    b"220 ",
    b"SSH-2.0-",
    b"<title>",
    b"<input type=",
    b"<!--",
    b"&#x110000;",
    b"&#xd800;",
    b"\x1b[",
    b"\x1b$B",
    b"\xe6\xa4",
    b"\x83\x5c",
    b"\"",
    b"\\",
    b"=",
    b",",
    b";",
    b"\x30\x84\x7f\xff\xff\xff",
    b"\xc0\x0c",
    b"\xc0\x00",
    b"&#0;",
    b"</",
    b"<![CDATA[",
    b"<!DOCTYPE a [",
    b"SIP/2.0 200 OK\r\n",
    b"://",
    b"\x03\x00\xff\xff",
    b"\xfeSMB",
    b"\x81\x0a",
    b"$16384\r\n",
    b"Location: //",
    b"/../",
    b"{\"version\":",
];

fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut Random) {
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(7) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 if at < bytes.len() => bytes[at] = random.next() as u8,
            3 => {
                let piece = PIECES[random.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            4 => {
                let end = (at + random.below(64)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            5 => {
                let end = (at + random.below(16)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let other = &others[random.below(others.len())];
                let from = random.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
}

#[test]
fn damaged_transcripts_never_panic_and_never_exceed_the_limits() {
    let mut seeds: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 20, "only {} transcripts", seeds.len());
    let bytes: Vec<Vec<u8>> = seeds.into_iter().map(|(_, bytes)| bytes).collect();
    let mut random = Random(20_260_401);
    for seed in &bytes {
        exercise::everything(seed, 1);
        exercise_datagrams::everything(seed);
        for _ in 0..120 {
            let mut damaged = seed.clone();
            mutate(&mut damaged, &bytes, &mut random);
            exercise::everything(&damaged, random.next());
            exercise_datagrams::everything(&damaged);
        }
    }
}

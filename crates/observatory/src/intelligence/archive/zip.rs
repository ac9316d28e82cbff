//! A zip archive, read by its directory at the end. What is encrypted, split, or packed by another
//! method than deflate is refused by name.

use std::io::{Read, Seek, SeekFrom};

use super::{MEMBERS_MAX, NAME_MAX, damaged};

/// The directory of the largest published archives is below this.
const DIRECTORY_MAX: u64 = 512 << 20;
/// End of the directory: 22 bytes, and a remark of up to 65,535.
const END: usize = 22;

/// A file in the archive.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    method: u16,
    encrypted: bool,
    packed: u64,
    at: u64,
}

/// An opened archive: its files, folders left out.
pub(super) struct Zip<R> {
    from: R,
    pub(super) members: Vec<Member>,
}

impl<R: Read + Seek> Zip<R> {
    pub(super) fn open(mut from: R) -> std::io::Result<Self> {
        let length = from.seek(SeekFrom::End(0))?;
        let tail_at = length.saturating_sub((END + 0xffff) as u64);
        let tail = part(&mut from, tail_at, length - tail_at)?;
        let end = tail
            .windows(4)
            .rposition(|bytes| bytes == b"PK\x05\x06")
            .filter(|at| at + END <= tail.len())
            .ok_or_else(|| damaged("it has no directory"))?;
        let record = &tail[end..];
        let (mut size, mut at) = (u64::from(u32_at(record, 12)), u64::from(u32_at(record, 16)));
        if at == u64::from(u32::MAX) || size == u64::from(u32::MAX) || u16_at(record, 10) == u16::MAX {
            // Larger archives state it once more, in 64 bits.
            let locator =
                end.checked_sub(20).map(|at| &tail[at..end]).filter(|bytes| bytes.starts_with(b"PK\x06\x07"));
            let locator =
                locator.ok_or_else(|| damaged("its directory is stated in 32 bits and does not fit"))?;
            let wide = part(&mut from, u64_at(locator, 8), 56)?;
            if !wide.starts_with(b"PK\x06\x06") {
                return Err(damaged("its directory of 64 bits is not where it should be"));
            }
            (size, at) = (u64_at(&wide, 40), u64_at(&wide, 48));
        }
        if size > DIRECTORY_MAX {
            return Err(damaged("its directory is too large"));
        }
        let directory = part(&mut from, at, size)?;
        Ok(Self { from, members: members(&directory)? })
    }

    /// The content of a member.
    pub(super) fn read(&mut self, number: usize) -> std::io::Result<Box<dyn Read + '_>> {
        let Member { method, encrypted, packed, at, .. } = self.members[number];
        if encrypted {
            return Err(damaged("it is encrypted"));
        }
        // The header before the content repeats the name and has fields of its own length.
        let header = part(&mut self.from, at, 30)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Err(damaged("it is not where the directory says"));
        }
        let begin = at + 30 + u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        self.from.seek(SeekFrom::Start(begin))?;
        let content = self.from.by_ref().take(packed);
        match method {
            0 => Ok(Box::new(content)),
            8 => Ok(Box::new(flate2::read::DeflateDecoder::new(content))),
            other => Err(damaged(&format!("method {other} is not known"))),
        }
    }
}

fn members(directory: &[u8]) -> std::io::Result<Vec<Member>> {
    const HEADER: usize = 46;
    let mut members = Vec::new();
    let mut rest = directory;
    while !rest.is_empty() {
        if rest.len() < HEADER || !rest.starts_with(b"PK\x01\x02") {
            return Err(damaged("its directory is cut or damaged"));
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(rest, at)));
        let [name, extra, remark] = lengths;
        let whole = HEADER + name + extra + remark;
        if rest.len() < whole || name > NAME_MAX {
            return Err(damaged("its directory is cut or damaged"));
        }
        let mut member = Member {
            name: String::from_utf8_lossy(&rest[HEADER..HEADER + name]).into_owned(),
            method: u16_at(rest, 10),
            encrypted: u16_at(rest, 8) & 1 != 0,
            packed: u64::from(u32_at(rest, 20)),
            at: u64::from(u32_at(rest, 42)),
        };
        widen(&mut member, u32_at(rest, 24), &rest[HEADER + name..][..extra]);
        if !member.name.ends_with('/') {
            members.push(member);
        }
        if members.len() > MEMBERS_MAX {
            return Err(damaged("it holds too many files"));
        }
        rest = &rest[whole..];
    }
    Ok(members)
}

/// Numbers that did not fit into 32 bits, in the order in which they are missing (APPNOTE §4.5.3).
fn widen(member: &mut Member, size: u32, mut extra: &[u8]) {
    while extra.len() >= 4 {
        let (id, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(field) = extra.get(4..4 + length) else { return };
        if id == 1 {
            let mut numbers = field.chunks_exact(8).map(|bytes| u64_at(bytes, 0));
            if size == u32::MAX {
                numbers.next();
            }
            for number in [&mut member.packed, &mut member.at] {
                if *number == u64::from(u32::MAX) {
                    *number = numbers.next().unwrap_or(*number);
                }
            }
            return;
        }
        extra = &extra[4 + length..];
    }
}

fn part(from: &mut (impl Read + Seek), at: u64, length: u64) -> std::io::Result<Vec<u8>> {
    from.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(damaged("it is cut off")) }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

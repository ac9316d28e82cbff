//! A tar archive, read once from beginning to end.

use std::io::Read;

use super::{FILE_BYTES_MAX, NAME_MAX, damaged};

/// Everything in the format is a multiple of this many bytes.
pub(super) const BLOCK: usize = 512;

/// True when a block is the header of a member: its checksum is right.
pub(super) fn is_header(block: &[u8]) -> bool {
    let Some(stated) = block.get(148..156).and_then(octal) else { return false };
    // The checksum counts itself as blanks.
    let sum = block
        .iter()
        .enumerate()
        .map(|(at, byte)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte }));
    block.len() == BLOCK && stated > 0 && sum.sum::<u64>() == stated
}

/// An archive; as a reader it gives the content of the member that [`Tar::next`] named last.
pub(super) struct Tar<R> {
    from: R,
    /// Bytes of the member not yet read, and of the filling behind it.
    left: u64,
    filling: u64,
}

impl<R: Read> Tar<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, left: 0, filling: 0 }
    }

    /// Name of the next ordinary file; what was not read of the one before is passed over.
    pub(super) fn next(&mut self) -> std::io::Result<Option<String>> {
        let mut long_name = None;
        loop {
            self.pass_over()?;
            let mut header = [0; BLOCK];
            if !self.fill(&mut header)? || header.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            if !is_header(&header) {
                return Err(damaged("a header has the wrong checksum"));
            }
            let size = octal(&header[124..136]).ok_or_else(|| damaged("a header states no size"))?;
            if size > FILE_BYTES_MAX {
                return Err(damaged("a file is too large"));
            }
            self.left = size;
            self.filling = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
            match header[156] {
                b'0' | 0 | b'7' => return Ok(Some(long_name.take().unwrap_or_else(|| name(&header)))),
                b'x' => {
                    let records = self.small()?;
                    long_name = pax_path(&records).or(long_name);
                }
                b'L' => {
                    let text = self.small()?;
                    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
                    long_name = Some(String::from_utf8_lossy(&text[..end]).into_owned());
                }
                // Folders, links, and remarks for the whole archive.
                b'g' => {}
                _ => long_name = None,
            }
        }
    }

    /// The content of a member that is part of the archive's own notes.
    fn small(&mut self) -> std::io::Result<Vec<u8>> {
        if self.left > NAME_MAX as u64 * 4 {
            return Err(damaged("a name is too long"));
        }
        let mut content = Vec::new();
        self.read_to_end(&mut content)?;
        Ok(content)
    }

    fn pass_over(&mut self) -> std::io::Result<()> {
        let rest = self.left + self.filling;
        let passed = std::io::copy(&mut self.from.by_ref().take(rest), &mut std::io::sink())?;
        (self.left, self.filling) = (0, 0);
        if passed == rest { Ok(()) } else { Err(damaged("it ends inside of a file")) }
    }

    /// Fills a block; false at the end of the archive.
    fn fill(&mut self, block: &mut [u8; BLOCK]) -> std::io::Result<bool> {
        let mut filled = 0;
        while filled < BLOCK {
            match self.from.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(damaged("it ends inside of a header")),
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl<R: Read> Read for Tar<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.from.read(&mut buffer[..most])?;
        if read == 0 && most > 0 {
            return Err(damaged("it ends inside of a file"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

fn name(header: &[u8; BLOCK]) -> String {
    let text = |field: &[u8]| {
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        String::from_utf8_lossy(&field[..end]).into_owned()
    };
    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
    // Old GNU archives keep other things where the prefix is.
    match &header[257..263] == b"ustar\0" && !prefix.is_empty() {
        true => format!("{prefix}/{name}"),
        false => name,
    }
}

/// `path` of pax records, each `length key=value\n`.
fn pax_path(records: &[u8]) -> Option<String> {
    String::from_utf8_lossy(records).lines().find_map(|record| {
        let (_, pair) = record.split_once(' ')?;
        pair.strip_prefix("path=").map(str::to_owned)
    })
}

/// A number in octal digits, or in base 256 when its first bit is set.
fn octal(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        return rest.iter().try_fold(u64::from(first & 0x7f), |number, byte| {
            Some(number.checked_mul(256)? | u64::from(*byte))
        });
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

//! Files as publishers pack them: gzip, tar (POSIX.1-1988 ustar, with the long names of pax and GNU) and
//! zip (PKWARE APPNOTE 6.3, stored and deflated). Read as streams, cut off at stated sizes.

mod tar;
mod zip;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::ActError;

/// Most uncompressed bytes of one file, or of one archive.
const FILE_BYTES_MAX: u64 = 16 << 30;
/// Most files of one archive.
const MEMBERS_MAX: usize = 2_000_000;
/// Longest name of a file in an archive, in bytes.
const NAME_MAX: usize = 4 << 10;

/// Bytes of a file after which it is told again how far it was read.
const STEP: u64 = 1 << 20;

/// Opens a file, unpacked when its name ends in `.gz`, cut off at a stated size.
pub(crate) fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, ActError> {
    let file = File::open(path).map_err(|source| ActError::io("read", path, source))?;
    let gzip = path.extension().is_some_and(|extension| extension == "gz" || extension == "tgz");
    Ok(if gzip {
        Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(BufReader::new(file)).take(FILE_BYTES_MAX)))
    } else {
        Box::new(BufReader::new(file.take(FILE_BYTES_MAX)))
    })
}

/// What kind of archive a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packed {
    /// One file, perhaps compressed.
    Alone,
    Tar,
    Zip,
}

/// What a file is by its first bytes; names of downloads do not always tell.
pub(super) fn packed(path: &Path) -> Result<Packed, ActError> {
    let failed = |source| ActError::io("read", path, source);
    let mut magic = [0; 4];
    let mut file = File::open(path).map_err(failed)?;
    let read = file.read(&mut magic).map_err(failed)?;
    if magic[..read].starts_with(b"PK\x03\x04") {
        return Ok(Packed::Zip);
    }
    let mut block = Vec::new();
    unpacked(path, &mut |_| {})?.take(tar::BLOCK as u64).read_to_end(&mut block).map_err(failed)?;
    Ok(if tar::is_header(&block) { Packed::Tar } else { Packed::Alone })
}

/// Opens a file, unpacked when it begins as gzip does, whatever its name. `tell` hears how many bytes
/// of it, as it is packed, were read.
pub(super) fn unpacked<'a>(
    path: &Path,
    tell: &'a mut dyn FnMut(u64),
) -> Result<Box<dyn BufRead + 'a>, ActError> {
    let failed = |source| ActError::io("read", path, source);
    let mut file = BufReader::new(Told::open(path, tell)?);
    let gzip = file.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
    Ok(if gzip {
        Box::new(BufReader::with_capacity(
            1 << 16,
            flate2::bufread::MultiGzDecoder::new(file).take(FILE_BYTES_MAX),
        ))
    } else {
        Box::new(BufReader::with_capacity(1 << 16, file.take(FILE_BYTES_MAX)))
    })
}

/// Hands out each file of an archive that `wanted` names, in the order packed. All together they have
/// at most `FILE_BYTES_MAX` bytes. `tell` is that of [`unpacked`].
pub(super) fn members<E: From<ActError>>(
    path: &Path,
    packed: Packed,
    tell: &mut dyn FnMut(u64),
    wanted: impl Fn(&str) -> bool,
    each: impl FnMut(&str, &mut dyn BufRead) -> Result<(), E>,
) -> Result<(), E> {
    members_within(path, packed, FILE_BYTES_MAX, tell, wanted, each)
}

pub(super) fn members_within<E: From<ActError>>(
    path: &Path,
    packed: Packed,
    mut room: u64,
    tell: &mut dyn FnMut(u64),
    wanted: impl Fn(&str) -> bool,
    mut each: impl FnMut(&str, &mut dyn BufRead) -> Result<(), E>,
) -> Result<(), E> {
    let broken = |problem: String| {
        E::from(ActError::input(format!("`{}` is a damaged archive: {problem}", path.display())))
    };
    match packed {
        Packed::Tar => {
            let mut archive = tar::Tar::new(unpacked(path, tell)?);
            for count in 0.. {
                let Some(name) = archive.next().map_err(|error| broken(error.to_string()))? else {
                    return Ok(());
                };
                if count >= MEMBERS_MAX {
                    return Err(broken(format!("it holds more than {MEMBERS_MAX} files")));
                }
                if wanted(&name) {
                    each(&name, &mut BufReader::new(Metered { from: &mut archive, room: &mut room }))?;
                }
            }
            Ok(())
        }
        Packed::Zip => {
            let file = Told::open(path, tell)?;
            let mut archive =
                zip::Zip::open(BufReader::new(file)).map_err(|error| broken(error.to_string()))?;
            for at in 0..archive.members.len() {
                let name = archive.members[at].name.clone();
                if wanted(&name) {
                    let member = archive.read(at).map_err(|error| broken(format!("`{name}`: {error}")))?;
                    each(&name, &mut BufReader::new(Metered { from: member, room: &mut room }))?;
                }
            }
            Ok(())
        }
        Packed::Alone => each(&path.display().to_string(), &mut *unpacked(path, tell)?),
    }
}

/// A file that tells how far it was read.
struct Told<'a> {
    file: File,
    bytes: u64,
    next: u64,
    tell: &'a mut dyn FnMut(u64),
}

impl<'a> Told<'a> {
    fn open(path: &Path, tell: &'a mut dyn FnMut(u64)) -> Result<Self, ActError> {
        let file = File::open(path).map_err(|source| ActError::io("read", path, source))?;
        Ok(Self { file, bytes: 0, next: STEP, tell })
    }
}

impl Read for Told<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.bytes += read as u64;
        if self.bytes >= self.next {
            self.next = self.bytes + STEP;
            (self.tell)(self.bytes);
        }
        Ok(read)
    }
}

impl Seek for Told<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

/// A file of an archive; `room` is what all of them may still have.
struct Metered<'a, R> {
    from: R,
    room: &'a mut u64,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.from.read(buffer)?;
        let left = self.room.checked_sub(read as u64);
        *self.room = left.ok_or_else(|| damaged("the archive unpacks to more than is read of one"))?;
        Ok(read)
    }
}

/// A damaged archive, as an error of the medium.
fn damaged(problem: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, problem.to_owned())
}

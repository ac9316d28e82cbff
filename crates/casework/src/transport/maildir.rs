//! A maildir: written to `tmp`, synced, renamed to `new`.
//!
//! The file's name follows from the Message-ID, so that a delivery repeated after a crash finds or
//! overwrites its own file, and a mail that a reader moved to `cur` is recognised.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::{Delivery, Envelope};

pub(super) fn deliver(path: &Path, envelope: &Envelope, message: &str) -> Delivery {
    let name = file_name(envelope);
    match write(path, &name, message) {
        Ok(()) => Delivery::Sent(format!("maildir file {name}")),
        // Repeating it is safe, so a failure is certain enough to be tried again.
        Err(error) => {
            Delivery::Failed(format!("failed to write `{}`: {error}", path.join("new").join(&name).display()))
        }
    }
}

/// Seconds, a part that is unique, a host: the parts maildir readers expect.
fn file_name(envelope: &Envelope) -> String {
    let seconds = envelope.created_at.micros().div_euclid(1_000_000).max(0);
    format!("{seconds}.{}.kenshin", &crate::store::digest(&envelope.message_id)[..32])
}

fn write(path: &Path, name: &str, message: &str) -> io::Result<()> {
    for folder in ["tmp", "new", "cur"] {
        fs::create_dir_all(path.join(folder))?;
    }
    if was_delivered(path, name)? {
        return Ok(());
    }
    let (temporary, target) = (path.join("tmp").join(name), path.join("new").join(name));
    let mut file = File::create(&temporary)?;
    // Mail at rest has the line ends of the system, as delivery agents write it.
    file.write_all(message.replace("\r\n", "\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, &target)?;
    File::open(path.join("new"))?.sync_all()
}

fn was_delivered(path: &Path, name: &str) -> io::Result<bool> {
    if path.join("new").join(name).exists() {
        return Ok(true);
    }
    // A reader moves it to `cur` and appends flags: `name:2,S`.
    for entry in fs::read_dir(path.join("cur"))? {
        let found = entry?.file_name();
        let found = found.to_string_lossy();
        if found == name || found.strip_prefix(name).is_some_and(|flags| flags.starts_with(':')) {
            return Ok(true);
        }
    }
    Ok(false)
}

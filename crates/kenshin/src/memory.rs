//! How memory is asked for: a survey runs for weeks beside other things on a small machine.

use crate::cli::{Cli, Command};

/// From how many bytes on a piece of memory is mapped by itself, and given back as soon as it is free.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_FROM_BYTES: libc::c_int = 128 << 10;

/// Commands that survey keep one heap and give back what is free: glibc would keep a heap for every
/// thread, and what each of them held at its busiest, which is a third more. Others may answer many
/// queries at once, for which a heap a thread is faster. Call it before threads start.
pub(crate) fn keep_small(cli: &Cli) {
    let surveys =
        matches!(cli.command, Command::Demo(_) | Command::Survey(_) | Command::Sensor(_) | Command::Case(_));
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if surveys {
        // SAFETY: mallopt only sets parameters of the allocator; no other thread runs yet.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, 1);
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
            libc::mallopt(libc::M_TRIM_THRESHOLD, MAPPED_FROM_BYTES);
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = surveys;
}

//! How memory is asked for: a survey runs for weeks beside other things on a small machine.

use crate::cli::{Cli, Command};

/// From how many bytes on a piece of memory is mapped by itself, and given back as soon as it is free.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_FROM_BYTES: libc::c_int = 128 << 10;

/// Commands that survey keep one heap and give back what is free: glibc would keep a heap for every
/// thread, and what each of them held at its busiest, which is a third more. Others may take and answer
/// much at once and have a heap a processor: with one a thread, of which glibc would make eight a
/// processor, memory grew by three quarters while the lake took observations.
///
/// Call it before threads start.
pub(crate) fn keep_small(cli: &Cli) {
    let surveys =
        matches!(cli.command, Command::Demo(_) | Command::Survey(_) | Command::Sensor(_) | Command::Case(_));
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let heaps = if surveys { 1 } else { libc::c_int::try_from(processors).unwrap_or(libc::c_int::MAX) };
        // SAFETY: mallopt only sets parameters of the allocator; no other thread runs yet.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, heaps);
            if surveys {
                libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM_BYTES);
                libc::mallopt(libc::M_TRIM_THRESHOLD, MAPPED_FROM_BYTES);
            }
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = surveys;
}

/// Bytes of memory of this machine, or of the part of it that this program may have (Linux,
/// control groups, version 2); none where it cannot be found out.
pub(crate) fn machine_bytes() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = machine.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let bytes = total.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10;
    let most = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let most = most.and_then(|most| most.trim().parse::<u64>().ok());
    Some(most.map_or(bytes, |most| most.min(bytes)))
}

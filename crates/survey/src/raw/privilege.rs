//! Capabilities, given up once the sockets are open.
//!
//! Sockets that are open go on working: what was opened with CAP_NET_RAW sends and receives
//! without it.

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, set_capabilities,
    set_no_new_privs,
};

/// Privilege could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// Other threads would keep theirs.
    #[error(
        "failed to drop capabilities: {0} threads run already, and capabilities belong to threads; hint: \
         drop them before anything else starts one"
    )]
    Threads(usize),
    /// The kernel refused.
    #[error("failed to drop capabilities")]
    Kernel(#[source] io::Error),
}

/// True when the calling thread may open raw sockets and guard its source ports: CAP_NET_RAW and
/// CAP_NET_ADMIN. False where the kernel does not say.
pub fn held() -> bool {
    let needed = CapabilitySet::NET_RAW | CapabilitySet::NET_ADMIN;
    capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// Gives up all capabilities of this process, for good: permitted, effective, inheritable and
/// ambient, and whatever a program that it starts might bring (`PR_SET_NO_NEW_PRIVS`). Root is left
/// with the name only.
///
/// Call it before the first thread is started; it refuses otherwise.
pub fn drop_all() -> Result<(), PrivilegeError> {
    let threads = std::fs::read_dir("/proc/self/task").map_err(PrivilegeError::Kernel)?.count();
    if threads != 1 {
        return Err(PrivilegeError::Threads(threads));
    }
    drop_here().map_err(PrivilegeError::Kernel)
}

/// The same for the calling thread, and threads and programs that it starts from now on.
pub fn drop_here() -> io::Result<()> {
    clear_ambient_capability_set()?;
    set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}

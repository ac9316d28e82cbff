//! Capabilities are given up for good.

use std::os::unix::process::CommandExt;

use kenshin_survey::raw::privilege::{self, PrivilegeError, drop_all};

use super::*;

/// The process of the child, between fork and exec, is one without other threads; the program it
/// becomes shows that not even root gets anything back.
#[test]
fn nothing_is_left_and_nothing_comes_back() {
    let mut command = Command::new("cat");
    command.arg("/proc/self/status");
    // SAFETY: the child has this one thread only, and allocating is safe in it because the C
    // library takes its own locks into account when forking.
    unsafe { command.pre_exec(|| drop_all().map_err(std::io::Error::other)) };
    let output = command.output().unwrap();
    let status = String::from_utf8(output.stdout).unwrap();
    let line = |name: &str| {
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{status}"));
        line.trim_start_matches(':').trim().to_owned()
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(line(set), "0000000000000000", "{set}");
    }
    assert_eq!(line("NoNewPrivs"), "1");
}

#[test]
fn other_threads_are_not_forgotten() {
    // Tests run on threads of their own.
    let refused = drop_all().unwrap_err();
    assert!(matches!(refused, PrivilegeError::Threads(2..)), "{refused}");
    assert!(refused.to_string().contains("hint: drop them before"), "{refused}");
}

#[test]
fn without_privilege_links_say_what_to_do() {
    let Some(pair) = Pair::new("without_privilege_links_say_what_to_do") else { return };
    pair.inside("a", || {
        assert!(privilege::held());
        privilege::drop_here().unwrap();
        assert!(!privilege::held());
        let refused = link::open(&settings(Engine::Auto)).unwrap_err();
        assert!(matches!(refused, LinkError::Privilege(_)), "{refused}");
        assert!(refused.to_string().contains("setcap cap_net_raw,cap_net_admin+ep"), "{refused}");
    });
}

/// What `setcap cap_net_raw,cap_net_admin+ep` gives is enough, AF_XDP included.
#[test]
fn two_capabilities_are_enough() {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    let Some(pair) = Pair::new("two_capabilities_are_enough") else { return };
    pair.inside("a", || {
        let two = CapabilitySet::NET_RAW | CapabilitySet::NET_ADMIN;
        let sets = CapabilitySets { effective: two, permitted: two, inheritable: CapabilitySet::empty() };
        set_capabilities(None, sets).unwrap();
        let link = open(Engine::Auto);
        assert_eq!(link.transmit.chosen().engine, Engine::AfXdp, "{}", link.transmit.chosen().why);
        let ours = [addr(US_V4), addr(US_V6)];
        assert!(kenshin_survey::raw::guard::Guard::raise(&ours, SourcePorts::default()).unwrap().stands());
    });
}

/// Both directions go to threads of their own.
#[test]
fn links_go_to_threads() {
    fn sendable<T: Send>() {}
    sendable::<Link>();
    sendable::<kenshin_survey::raw::transmit::Transmit>();
    sendable::<kenshin_survey::raw::receive::Receive>();
}

//! Capabilities are given up for good.

use std::os::unix::process::CommandExt;

use kenshin_survey::raw::privilege::{PrivilegeError, drop_all};

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
        kenshin_survey::raw::privilege::drop_here().unwrap();
        let refused = link::open(&settings(Engine::Auto)).unwrap_err();
        assert!(matches!(refused, LinkError::Privilege(_)), "{refused}");
        assert!(refused.to_string().contains("setcap cap_net_raw,cap_net_admin+ep"), "{refused}");
    });
}

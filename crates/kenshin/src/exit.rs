//! Exit codes, and how an error is told: once, at the top, with its causes and one hint.

use std::process::ExitCode;

use kenshin_casework::CaseworkError;
use kenshin_observatory::{ActError, Blame};

/// How the program ends (DESIGN.md §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Done, and the answer is no: nothing found, check failed, refused by the mandate.
    No,
    /// Usage, configuration or bad input.
    Input,
    /// Trouble outside: network, disk, privilege.
    Outside,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Input => 2,
            Exit::Outside => 3,
        })
    }
}

/// Prints an error with its causes and hint to standard error and says how to end.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    if is_closed_pipe(error) {
        return Exit::Done;
    }
    crate::output::talk(&format!("error: {error}"));
    for cause in error.chain().skip(1) {
        crate::output::talk(&format!("  because: {cause}"));
    }
    let act = error.downcast_ref::<ActError>();
    if let Some(hint) = act.and_then(ActError::hint) {
        crate::output::talk(&format!("hint: {hint}"));
    }
    // Commands that only look read casework themselves.
    let blame = act.map(ActError::blame).or_else(|| error.downcast_ref::<CaseworkError>().map(Blame::from));
    match blame {
        Some(Blame::No) => Exit::No,
        Some(Blame::Input) => Exit::Input,
        Some(Blame::Outside) | None => Exit::Outside,
    }
}

/// Whoever reads our output has seen enough: that is success.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

//! What programs send to the door for Arrow Flight SQL: whatever comes is understood or refused, and a
//! statement that was sealed for a session is opened in that session alone.

#![no_main]

use arrow_flight::sql::Command;
use arrow_schema::Schema;
use flight::asked::{Asked, Refusal, asked, fetched, prepared, ticket};
use flight::statement::{open, seal};
use libfuzzer_sys::fuzz_target;

/// The reading alone: the application around it takes half an hour to build for coverage.
#[path = "../../crates/web/src/flight"]
mod flight {
    pub mod asked;
    pub mod statement;
}

const MINE: &str = "mine";
const THEIRS: &str = "theirs";

fuzz_target!(|bytes: &[u8]| {
    // Bytes as they come: no seal is among them that anybody made.
    match asked(bytes, MINE) {
        // Written in the clear, by whoever asks.
        Ok(Asked::Rows(sql)) => {
            assert!(sql.is_empty() || bytes.windows(sql.len()).any(|part| part == sql.as_bytes()));
        }
        Ok(Asked::Catalogue(command)) => browse(command),
        Err(_) => {}
    }
    assert!(!matches!(fetched(bytes, MINE), Ok(Asked::Rows(_))), "nobody sealed it");
    assert_eq!(open(bytes, MINE), None);
    let _ = prepared(bytes);

    // A statement that was sealed, and changed on its way.
    let [at, change, statement @ ..] = bytes else { return };
    let Ok(statement) = std::str::from_utf8(statement) else { return };
    let sealed = seal(statement, MINE);
    assert_eq!(open(&sealed, MINE).as_deref(), Some(statement));
    assert_eq!(open(&sealed, THEIRS), None);
    let mut changed = sealed.clone();
    let place = usize::from(*at) % changed.len();
    changed[place] ^= *change;
    assert_eq!(open(&changed, MINE).is_some(), *change == 0);
    assert_eq!(open(&sealed[..place], MINE), None);
    let ticket = ticket(statement, THEIRS);
    assert!(matches!(fetched(&ticket, MINE), Err(Refusal::Foreign)));
    assert!(matches!(fetched(&ticket, THEIRS), Ok(Asked::Rows(opened)) if opened == statement));
});

/// Patterns of clients that browse are theirs too.
fn browse(command: Command) {
    match command {
        Command::CommandGetDbSchemas(asked) => {
            let mut builder = asked.into_builder();
            builder.append("datafusion", "public");
            let _ = builder.build();
        }
        Command::CommandGetTables(asked) => {
            let mut builder = asked.into_builder();
            let _ = builder.append("datafusion", "public", "services", "TABLE", &Schema::empty());
            let _ = builder.build();
        }
        _ => {}
    }
}

//! What can go wrong, split by who must act.

use crate::state::Refusal;

/// Who must act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The input is wrong: the caller corrects it.
    Input,
    /// What was asked for does not exist, or may not be seen by who asks.
    NotFound,
    /// The state does not allow it, or somebody was faster.
    Conflict,
    /// Trouble outside: database or network. Trying later may help.
    Outside,
    /// Our own fault, or a damaged database.
    Internal,
}

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum CaseworkError {
    /// The database was written by a newer version.
    #[error(
        "the database has schema version {found}, this version knows up to {known}; hint: start the newer version that wrote it"
    )]
    NewerSchema {
        /// Version in the database.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// A migration that was applied differs from the one shipped.
    #[error(
        "migration {version} in the database is not the one this version ships; hint: use the release that made the database"
    )]
    ForeignSchema {
        /// Version of the migration.
        version: i64,
    },
    /// The URL is not one of those that can be opened.
    #[error("cannot open `{url}`: {why}; hint: sqlite:///path/kenshin.db or postgres://user@host/database")]
    Url {
        /// The URL, without its password.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The input is wrong.
    #[error("{0}")]
    Input(String),
    /// No such thing, or not for this viewer.
    #[error("no {what} `{id}`")]
    NotFound {
        /// Kind of thing.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// The state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The state machine of cases refused.
    #[error("case {case} refused: {refusal}")]
    Refused {
        /// The case.
        case: String,
        /// Why; said in the message, so not a cause of its own.
        refusal: Refusal,
    },
    /// A stored value does not parse.
    #[error("column `{column}` holds an unreadable value")]
    Corrupt {
        /// The column.
        column: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A file could not be read or written.
    #[error("failed to {action} `{path}`")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: String,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
}

/// Result of the store.
pub type Result<T, E = CaseworkError> = std::result::Result<T, E>;

impl CaseworkError {
    /// Who must act.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Input(_) | Self::Url { .. } | Self::NewerSchema { .. } | Self::ForeignSchema { .. } => {
                ErrorKind::Input
            }
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Conflict(_) | Self::Refused { .. } => ErrorKind::Conflict,
            Self::Database(_) | Self::Io { .. } => ErrorKind::Outside,
            Self::Corrupt { .. } => ErrorKind::Internal,
        }
    }

    /// True when the database could not write, for which a full disk is the first thing to look for:
    /// `SQLITE_FULL` and the kinds of `SQLITE_IOERR`, or PostgreSQL's `disk_full`.
    pub fn may_lack_space(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        let Some(code) = error.code() else { return false };
        // PostgreSQL's codes have five characters, SQLite's fewer.
        let in_sqlite = |code: u32| matches!(code & 0xff, 10 | 13);
        code == "53100" || code.len() < 5 && code.parse().is_ok_and(in_sqlite)
    }

    pub(crate) fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }
}

//! What can go wrong in an act, split by whose turn it is.

use std::path::Path;

use kenshin_casework::{CaseworkError, ErrorKind};

/// Whose turn it is when an act fails; the command line turns it into its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The act was done and the answer is no: refused by the mandate, nothing found.
    No,
    /// Usage, configuration or bad input: mend it and come again.
    Input,
    /// Network, disk, privilege: trouble outside.
    Outside,
}

impl From<&CaseworkError> for Blame {
    fn from(error: &CaseworkError) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::Conflict => Self::No,
            ErrorKind::Input => Self::Input,
            _ => Self::Outside,
        }
    }
}

/// What to do when the disk is full.
const FULL: &str = "free some space and run the same command again: nothing that was committed is lost";

/// Why an act was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The answer is no.
    #[error("{message}")]
    No {
        /// What was asked and why not.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// What was given cannot be used.
    #[error("{message}")]
    Input {
        /// What, where and why.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A file or folder failed.
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
    /// A room failed for a reason outside of the input.
    #[error("{context}")]
    Outside {
        /// What was attempted.
        context: String,
        /// Cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The hub did not answer, or said that it cannot at the moment: it is asked again.
    #[error("the hub at {hub} does not answer: {why}")]
    Away {
        /// Its address.
        hub: String,
        /// What was seen.
        why: String,
    },
    /// The lake failed.
    #[error(transparent)]
    Lake(#[from] kenshin_lake::LakeError),
    /// Casework failed.
    #[error(transparent)]
    Casework(#[from] kenshin_casework::CaseworkError),
}

impl ActError {
    /// The answer is no.
    pub fn no(message: impl Into<String>) -> Self {
        Self::No { message: message.into(), hint: None }
    }

    /// Bad input.
    pub fn input(message: impl Into<String>) -> Self {
        Self::Input { message: message.into(), hint: None }
    }

    /// A failed file operation.
    pub fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.display().to_string(), source }
    }

    /// Trouble outside.
    pub fn outside(
        context: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Outside { context: context.into(), source: Box::new(source) }
    }

    /// True when the hub did not answer: asking again later is the way out.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::No { hint, .. } | Self::Input { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// Whose turn it is.
    pub fn blame(&self) -> Blame {
        use kenshin_lake::{LakeError, StoreTrouble};
        match self {
            Self::No { .. } => Blame::No,
            Self::Input { .. }
            | Self::Lake(LakeError::Query { .. } | LakeError::Large { .. } | LakeError::Limit { .. }) => {
                Blame::Input
            }
            Self::Lake(LakeError::Store {
                trouble: StoreTrouble::Address | StoreTrouble::Settings(_) | StoreTrouble::Credentials(_),
                ..
            }) => Blame::Input,
            Self::Casework(error) => error.into(),
            Self::Io { .. } | Self::Outside { .. } | Self::Away { .. } | Self::Lake(_) => Blame::Outside,
        }
    }

    /// What to do, where known.
    pub fn hint(&self) -> Option<&str> {
        use kenshin_lake::{LakeError, StoreTrouble};
        match self {
            Self::Lake(LakeError::Query { .. }) => Some(
                "`DESCRIBE services` lists that table's columns, `DESCRIBE findings` the other's, and so on; \
                      docs/sql.md lists tables and functions",
            ),
            Self::Lake(LakeError::Large { .. } | LakeError::Limit { unit: "bytes", .. }) => Some(
                "ask in parts, for fewer columns, or for shorter texts; `kenshin sql --memory` gives more memory",
            ),
            Self::Lake(LakeError::Limit { unit: "rows", .. }) => {
                Some("aggregate, or ask for less with LIMIT")
            }
            Self::Lake(LakeError::Limit { unit: "services", .. }) => {
                Some("narrow the query; within a network (net:203.0.113.0/24) the past is found fast")
            }
            Self::Lake(LakeError::Limit { .. }) => {
                Some("narrow the query by time or prefix: files that hold nothing of them are not read")
            }
            Self::Lake(LakeError::Unmade { .. }) => Some(
                "it is made when an account is limited, when `kenshin serve` begins, and by `kenshin lake rebuild`: try \
                 again in a while",
            ),
            Self::Lake(LakeError::Store { trouble, .. }) => Some(match trouble {
                StoreTrouble::Address => {
                    "name it by `lake` in kenshin.toml; what else the store wants to know is under [store]"
                }
                StoreTrouble::Settings(_) => "mend [store] in kenshin.toml",
                StoreTrouble::Credentials(_) => {
                    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file that its owner alone may read \
                     by `credentials` under [store]"
                }
                StoreTrouble::Away(_) => {
                    "is the endpoint under [store] right, and the store up? When its certificate is in question, name \
                     that of who signed it by `ca` there. Nothing that was committed is lost, and what was not is \
                     sent again"
                }
                StoreTrouble::Refuses(_) => {
                    "whoever signs the requests must be let in to read, write, list and delete in the bucket"
                }
                StoreTrouble::NoBucket => "make the bucket first, or mend `lake` in kenshin.toml",
                StoreTrouble::Overwrites => {
                    "take a store that honours `If-None-Match: *` when it is written to, or a folder"
                }
            }),
            Self::No { hint, .. } | Self::Input { hint, .. } => hint.as_deref(),
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => Some(FULL),
            Self::Lake(error) if error.lacks_room() => Some(FULL),
            Self::Casework(error) if error.may_lack_space() => Some(
                "is the disk full? Free some space and run the same command again: nothing that was committed is lost",
            ),
            _ => None,
        }
    }
}

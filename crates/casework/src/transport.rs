//! How a mail leaves: into a maildir, or to the operator's relay.
//!
//! A delivery tells three endings apart: handed over, certainly not handed over, and nobody can
//! know. Only the middle one may be tried again by itself.

use std::path::PathBuf;

use kenshin_observation::TimeUs;

mod maildir;
mod smtp;

pub use smtp::{Credentials, Smtp, Tls};

/// How a delivery ended, with what was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Handed over.
    Sent(String),
    /// Certainly not handed over.
    Failed(String),
    /// Nobody can know.
    Uncertain(String),
}

/// What a delivery needs to know of a mail beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) message_id: String,
    pub(crate) sender: String,
    pub(crate) recipient: String,
    pub(crate) created_at: TimeUs,
}

/// How mails leave.
#[derive(Debug, Clone)]
pub enum Transport {
    /// A maildir at this path, made when absent. The default.
    Maildir(PathBuf),
    /// The operator's relay.
    Smtp(Smtp),
}

impl Transport {
    /// True when delivering the same mail twice has the effect of once.
    pub fn is_idempotent(&self) -> bool {
        matches!(self, Self::Maildir(_))
    }

    pub(crate) async fn deliver(&self, envelope: &Envelope, message: &str) -> Delivery {
        match self {
            Self::Maildir(path) => {
                let (path, envelope, message) = (path.clone(), envelope.clone(), message.to_owned());
                // File system calls block and fsync waits: never on an async worker.
                match tokio::task::spawn_blocking(move || maildir::deliver(&path, &envelope, &message)).await
                {
                    Ok(delivery) => delivery,
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            }
            Self::Smtp(smtp) => smtp.deliver(envelope, message).await,
        }
    }
}

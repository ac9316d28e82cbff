//! Mandates, and requests to be left alone.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum OptOut {
    /// List requests about prefixes that wait for a decision.
    List {
        /// Also those that are decided.
        #[arg(long)]
        all: bool,
    },
    /// The requester has shown that the prefix is theirs: leave it alone from now on.
    Accept {
        /// Id of the request.
        id: String,
        /// Reference to what was shown.
        #[arg(long)]
        proof: String,
    },
    /// The requester has not shown that the prefix is theirs.
    Decline {
        /// Id of the request.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mandate {
    /// Write a commented mandate to fill in.
    New {
        /// File to write; it must not exist.
        file: PathBuf,
        /// Id of the mandate.
        #[arg(long)]
        id: Option<String>,
    },
    /// Sign a mandate with an OpenSSH private key; the same as `ssh-keygen -Y sign -n kenshin-mandate`.
    Sign {
        /// The mandate.
        file: PathBuf,
        /// OpenSSH private key.
        #[arg(long, short)]
        key: PathBuf,
    },
    /// Say in plain words what a mandate allows, or why it is refused.
    Check {
        /// The mandate; its signatures lie beside it.
        file: PathBuf,
        /// Trust roots instead of those of the home.
        #[arg(long, value_name = "ALLOWED_SIGNERS")]
        roots: Option<PathBuf>,
    },
    /// Take a checked mandate into the home, so that surveys can run under it.
    Add {
        /// The mandate.
        file: PathBuf,
    },
    /// List the mandates of the home.
    List,
    /// Revoke a mandate here and now; acts within a second on running surveys.
    Revoke {
        /// Id of the mandate.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Issue the next revocation list, signed: nothing is sent on a stale one.
    Renew {
        /// Principal that issues it: the `authority` of the mandates it is for.
        #[arg(long)]
        authority: String,
        /// OpenSSH private key of the authority; its passphrase from KENSHIN_PASSPHRASE.
        #[arg(long, short)]
        key: PathBuf,
        /// Revoke this mandate too.
        #[arg(long, value_name = "ID")]
        revoke: Vec<String>,
        /// Why it is revoked.
        #[arg(long, default_value = "revoked by its authority")]
        reason: String,
        /// The list; default: mandates/revocations.toml in the home.
        #[arg(long)]
        list: Option<PathBuf>,
    },
}

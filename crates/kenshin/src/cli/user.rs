//! Accounts.

use clap::{Args, Subcommand};
use kenshin_casework::Role;

/// Accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Make an account; its first password is printed once.
    #[command(after_help = "Examples:\n  \
        kenshin user add hanako --role analyst\n  \
        kenshin user add noc --role provider --provider \"Nishi Net\"\n  \
        kenshin user add guest --role analyst --mandate city-2026\n  \
        kenshin user add peer --role analyst --mandate city-2026 --community \"Energy ISAC\"\n\
        An analyst with --mandate sees what was observed under these mandates and nothing else: in search, on \
        host pages and by SQL. Cases, findings and figures are made of what all mandates bring, and stay closed. \
        With --community it is somebody from outside, who sees of that what is TLP:GREEN or TLP:CLEAR; the mandates must \
        have a legal basis to share.")]
    Add(AddUser),
    /// List accounts.
    List,
    /// Limit an analyst to some mandates, or with --all to nothing.
    Limit {
        /// Whose account, by the name to sign in with.
        login: String,
        /// Id of a mandate; may be said more than once.
        #[arg(long, value_name = "ID", required_unless_present = "all")]
        mandate: Vec<String>,
        /// For this community outside of the organisation: as much as labels let it see.
        #[arg(long, value_name = "NAME", requires = "mandate")]
        community: Option<String>,
        /// See what every mandate brings again.
        #[arg(long, conflicts_with = "mandate")]
        all: bool,
    },
    /// Give an account a new password, printed once; its sessions end.
    Password {
        /// Whose account, by the name to sign in with.
        login: String,
    },
    /// Let nobody sign in to an account; its sessions end.
    Lock {
        /// Whose account, by the name to sign in with.
        login: String,
    },
    /// Open a locked account again.
    Unlock {
        /// Whose account, by the name to sign in with.
        login: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddUser {
    /// Name to sign in with.
    pub(crate) login: String,
    /// admin, operator, analyst, provider, researcher or auditor.
    #[arg(long)]
    pub(crate) role: Role,
    /// Name to show.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A provider that the person acts for, by its name; may be said more than once.
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Vec<String>,
    /// A mandate that the account is limited to, by its id; may be said more than once.
    #[arg(long, value_name = "ID")]
    pub(crate) mandate: Vec<String>,
    /// The community outside of the organisation that the account is for.
    #[arg(long, value_name = "NAME", requires = "mandate")]
    pub(crate) community: Option<String>,
}

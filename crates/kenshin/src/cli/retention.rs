//! For how long the lake keeps what, and what is kept nevertheless.

use clap::{Args, Subcommand};
use kenshin_observation::{Prefix, SurveyId};

#[derive(Debug, Args)]
pub(crate) struct Retain {
    /// Only show what is due, and which holds keep it. Exit code 1 when nothing is.
    #[arg(long, conflicts_with_all = ["yes", "at_once"])]
    pub(crate) dry_run: bool,
    /// Erase it: this cannot be undone.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Delete the bytes at once, not an hour later: whoever is reading them fails.
    #[arg(long, requires = "yes")]
    pub(crate) at_once: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Hold {
    /// Keep rows whatever retention says, from now on. Whole files are kept: every one that may have such
    /// rows.
    Add(AddHold),
    /// List holds.
    List {
        /// Also those that were released.
        #[arg(long)]
        all: bool,
    },
    /// Release a hold: what it kept is due again.
    Release {
        /// Its id.
        id: String,
        /// Why; kept in the audit trail.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddHold {
    /// Of this mandate. What is named together narrows; something must be named.
    #[arg(long)]
    pub(crate) mandate: Option<String>,
    /// From this month on, such as 2026-01.
    #[arg(long, value_name = "MONTH")]
    pub(crate) from: Option<String>,
    /// To this month, included.
    #[arg(long, value_name = "MONTH")]
    pub(crate) to: Option<String>,
    /// Of this survey.
    #[arg(long)]
    pub(crate) survey: Option<SurveyId>,
    /// About addresses in this prefix, or this address.
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    pub(crate) addr: Option<Prefix>,
    /// Why; kept in the audit trail.
    #[arg(long)]
    pub(crate) reason: String,
}

fn prefix(text: &str) -> Result<Prefix, kenshin_observation::ParsePrefixError> {
    match text.parse::<std::net::IpAddr>() {
        Ok(addr) => Ok(Prefix::host(addr)),
        Err(_) => text.parse(),
    }
}

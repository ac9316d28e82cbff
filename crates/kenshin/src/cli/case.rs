//! Cases and those who are told of them.

use std::path::PathBuf;

use clap::Subcommand;

use super::SurveySpec;

#[derive(Debug, Subcommand)]
pub(crate) enum Case {
    /// List cases.
    List {
        /// Only this stage.
        #[arg(long)]
        stage: Option<String>,
        /// Only this condition.
        #[arg(long)]
        condition: Option<kenshin_observation::Condition>,
        /// In which order: key (newest first) or priority, the most urgent first.
        #[arg(long, default_value = "key", value_name = "ORDER")]
        sort: kenshin_casework::Order,
        /// Most rows.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Show one case with its trail.
    Show {
        /// Its id.
        id: kenshin_observation::CaseId,
    },
    /// Send notices: one mail per provider for the newest round.
    Notify,
    /// Acknowledge: somebody works on it.
    Ack {
        /// Its id.
        id: kenshin_observation::CaseId,
        /// What was said.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Survey the open cases and their providers' pools again, and judge what became of each.
    Recheck {
        #[command(flatten)]
        spec: SurveySpec,
        /// Only these cases; default: every case that is not closed.
        id: Vec<kenshin_observation::CaseId>,
    },
    /// Close with a reason: remedied, exposure-ended, false-positive, withdrawn, accepted-risk, retired, no-addressee.
    Close {
        /// Its id.
        id: kenshin_observation::CaseId,
        /// Why.
        #[arg(long)]
        reason: String,
        /// What was said.
        #[arg(long, default_value = "")]
        note: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Provider {
    /// Import the directory: CSV with prefix_or_asn,name,mail,language,encryption and, if wanted, pps.
    Import {
        /// The CSV file.
        file: PathBuf,
    },
    /// List providers.
    List,
}

//! Figures.

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// Figures of one survey.
    Survey {
        /// Its id; default: the newest.
        id: Option<kenshin_observation::SurveyId>,
    },
    /// Health over rounds: open, notified, remedied, exposure ended, each with its denominator.
    Health,
    /// Cryptography: old protocols, weak algorithms, small and shared keys, dates, and readiness for
    /// post-quantum key exchange; of each how many, of how many judged, and of how many it is not known.
    Crypto {
        /// Put together by this alone; default: by provider and year.
        #[arg(long, value_enum)]
        by: Option<CryptoBy>,
    },
}

/// By what figures of cryptography are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CryptoBy {
    /// By provider, each endpoint as it was last seen.
    Provider,
    /// By year of the observations.
    Year,
}

//! Searching services, and keeping the view that is searched.

use clap::{Args, Subcommand};

use super::{Hold, Retain};

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// The query; several words are put together with blanks between.
    pub(crate) query: Vec<String>,
    /// List the fields that queries can name.
    #[arg(long)]
    pub(crate) fields: bool,
    /// Only say how much is found.
    #[arg(long)]
    pub(crate) count: bool,
    /// Count what is found by a field, its most frequent values; may be repeated.
    #[arg(long, value_name = "FIELD[:N]")]
    pub(crate) facet: Vec<String>,
    /// Sort by a field, with `-` before it for the greatest first. Default: by address.
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    pub(crate) sort: Option<kenshin_lake::view::Sort>,
    /// Most rows.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
    /// Go on behind this mark, which the page before told.
    #[arg(long, value_name = "MARK")]
    pub(crate) after: Option<kenshin_lake::view::Mark>,
    /// As it was known at this instant (RFC 3339) or at the end of this day (UTC). Reads all
    /// observations.
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<String>,
    /// Also services as they were before something changed. Reads all observations.
    #[arg(long)]
    pub(crate) history: bool,
    /// Say when, and by which sensor, an address was asked, whether it answered or not.
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["query", "facet", "count", "at", "history"])]
    pub(crate) probed: Option<std::net::IpAddr>,
    #[command(subcommand)]
    pub(crate) command: Option<SearchCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SearchCommand {
    /// Save a query, and tell when its answer changes.
    #[command(
        after_help = "Example: kenshin search save 'new cameras' 'type:camera country:JP' --mail soc@example.net\n\
        What it finds now is the base line. `kenshin serve` looks after every change of the current view; without it, \
        `kenshin search saved check` does, for example from cron."
    )]
    Save(SaveSearch),
    /// List, show, check, enable, disable and delete saved searches.
    #[command(subcommand)]
    Saved(SavedSearches),
}

#[derive(Debug, Args)]
pub(crate) struct SaveSearch {
    /// What to call it.
    pub(crate) name: String,
    /// The query; several words are put together with blanks between.
    #[arg(required = true)]
    pub(crate) query: Vec<String>,
    /// Mail address to tell; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mail: Vec<String>,
    /// Address to tell by a signed HTTP request: https://, or http:// on this machine. The secret is printed
    /// once.
    #[arg(long, value_name = "URL")]
    pub(crate) webhook: Option<String>,
    /// What counts as a change: new (services that were never in the answer), gone, any (either, and those that
    /// come back), count (a threshold is reached, or not any more).
    #[arg(long, default_value = "new", value_name = "CHANGE")]
    pub(crate) on: kenshin_casework::Watch,
    /// Of how many services, for `--on count`.
    #[arg(long, value_name = "N")]
    pub(crate) threshold: Option<i64>,
    /// Least time between two alerts, for example 10m, 6h, 1d.
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = seconds)]
    pub(crate) every: i64,
    /// Account of the person as whom it looks: what they may not see is not told. Default: the first
    /// administrator.
    #[arg(long, value_name = "LOGIN")]
    pub(crate) owner: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SavedSearches {
    /// List saved searches.
    List,
    /// Show one, with its alerts and what became of them.
    Show {
        /// Its id or name.
        search: String,
    },
    /// Look now, and send what is to be sent. Exit code 1 when nothing is otherwise.
    Check {
        /// Only this one, by id or name; default: all.
        search: Option<String>,
    },
    /// Let one alert again; it tells what came meanwhile.
    Enable {
        /// Its id or name.
        search: String,
    },
    /// Silence one.
    Disable {
        /// Its id or name.
        search: String,
    },
    /// Delete one with its alerts.
    Delete {
        /// Its id or name.
        search: String,
    },
}

/// Seconds of a length of time: `90s`, `10m`, `6h`, `1d`.
fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no length of time; for example 10m, 6h, 1d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let times = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    i64::from(count).checked_mul(times).ok_or_else(wrong)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Lake {
    /// Make the current view anew from all observations.
    Rebuild,
    /// Merge small files into great ones, sorted by address, and the runs of the current view into one.
    ///
    /// `kenshin serve` does what is due of this by itself: when a month is over, and when files are many. Tables
    /// that a first version of Kenshin made are put apart by month and mandate, which `serve` does not.
    Compact,
    /// Look whether every file that the tables name is there and whole, and every batch has its
    /// observations. Exit code 1 when not.
    Verify {
        /// Read every row, not only sizes and what stands at the end of each file.
        #[arg(long)]
        deep: bool,
    },
    /// Take out of the tables what cannot be read, so that the rest can: files that are lost or damaged, a
    /// commit that was cut off. Put files back from a copy first, if there is one.
    Repair,
    /// Erase what is due by `[retention]` in `kenshin.toml`. Without that everything is kept for ever.
    ///
    /// Whole months go, of one mandate each, when they ended so long ago. Salts go with their observations;
    /// batches stay, because proofs rest on them. The bytes are deleted an hour later, and then the deletion
    /// is proved. `kenshin serve` does the same once a day.
    Retain(Retain),
    /// List proofs of deletion, each signed and naming the one before. Exit code 1 when there is none, or
    /// when the chain is broken.
    Erasures,
    /// Legal holds: what is kept whatever retention says.
    #[command(subcommand)]
    Hold(Hold),
    /// Make the root of a batch of the rows that are kept and of what stands for erased ones. Exit code 1 when
    /// it is not the one that the sensor signed.
    Prove {
        /// Id of the batch.
        batch: kenshin_observation::BatchId,
    },
}

//! Searching services, and keeping the view that is searched.

use clap::{Args, Subcommand};

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
}

#[derive(Debug, Subcommand)]
pub(crate) enum Lake {
    /// Make the current view anew from all observations.
    Rebuild,
    /// Merge small files into great ones, sorted by address, and the runs of the current view into one.
    ///
    /// `kenshin serve` does what is due of this by itself: when a month is over, and when files are many.
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
}

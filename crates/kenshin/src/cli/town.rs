//! The simulated town.

use std::net::SocketAddr;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End after the figures, without the dashboard.
    #[arg(long)]
    pub(crate) no_serve: bool,
    /// Seed of the town and of every draw; the same seed gives the same answer.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Address of the dashboard.
    #[arg(long, default_value = "127.0.0.1:8480")]
    pub(crate) listen: SocketAddr,
    /// Prefix the town lives in; a /16 inside 127.0.0.0/8.
    #[arg(long, default_value = "127.42.0.0/16")]
    pub(crate) net: kenshin_observation::Prefix,
    /// Number of devices.
    #[arg(long, default_value_t = 420)]
    pub(crate) devices: usize,
    /// Where the lake lies: `s3://bucket/folder`, reached as the environment says (AWS_ENDPOINT_URL,
    /// AWS_ACCESS_KEY_ID and so on), or a folder.
    #[arg(long, default_value = "lake", value_name = "URL")]
    pub(crate) lake: String,
}

#[derive(Debug, Args)]
pub(crate) struct TownSpec {
    /// Seed of the town.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Prefix the town lives in; a /16 inside 127.0.0.0/8.
    #[arg(long, default_value = "127.42.0.0/16")]
    pub(crate) net: kenshin_observation::Prefix,
    /// Number of devices.
    #[arg(long, default_value_t = 420)]
    pub(crate) devices: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Town {
    /// Serve the town until Ctrl-C. A line on standard input moves it to the next round.
    Run(TownSpec),
    /// Print the answer key: what each device is, what is knowable, what a re-check must say.
    Truth {
        #[command(flatten)]
        town: TownSpec,
        /// Rounds to unfold.
        #[arg(long, default_value_t = 2)]
        rounds: u32,
    },
}

//! Working as a sensor, and making sensors known.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Sweep;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Sensor {
    #[command(subcommand)]
    pub(crate) command: Option<SensorCommand>,
    #[command(flatten)]
    pub(crate) run: SensorRun,
}

impl Sensor {
    /// How it sweeps, when it works at all.
    pub(crate) fn sweep(&self) -> Option<&Sweep> {
        match &self.command {
            None => Some(&self.run.sweep),
            Some(SensorCommand::Run(run)) => Some(&run.sweep),
            Some(_) => None,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SensorRun {
    #[command(flatten)]
    pub(crate) sweep: Sweep,
    /// End when no job is left, instead of waiting for the next.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SensorCommand {
    /// Work off jobs; the same as `kenshin sensor` alone.
    Run(SensorRun),
    /// On the hub: make a token with which one sensor can enrol within a day.
    Token {
        /// What the sensor will be called.
        #[arg(long)]
        name: String,
        /// Certificate (PEM) that `serve --tls-cert` shows, when it is not the hub's own.
        #[arg(long, value_name = "FILE")]
        tls_cert: Option<PathBuf>,
    },
    /// On the sensor's machine: make its key, and make it known to the hub.
    Enrol(Enrol),
    /// On the hub: list sensors.
    List,
    /// On the hub: from now on a sensor's key does not count.
    Retire {
        /// Its id.
        id: kenshin_observation::SensorId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Enrol {
    /// Address of the hub, `https://host:port`.
    #[arg(long, value_name = "URL")]
    pub(crate) hub: String,
    /// Token from `kenshin sensor token` on the hub; better than on the command line: KENSHIN_TOKEN.
    #[arg(long, env = "KENSHIN_TOKEN", hide_env_values = true)]
    pub(crate) token: String,
    /// PEM file of the authority that signed the hub's certificate; default: those of the system.
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    pub(crate) ca: Option<PathBuf>,
    /// SHA-256 of the hub's certificate, as `kenshin sensor token` prints it.
    #[arg(long, value_name = "SHA256")]
    pub(crate) fingerprint: Option<String>,
}

//! Kenshin: the command line. Parses arguments, opens the home, calls one act, prints its answer.

mod cli;
mod commands;
mod exit;
mod memory;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::exit::Exit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; anything else is a usage error.
            let exit = if error.use_stderr() { Exit::Input } else { Exit::Done };
            let _ = error.print();
            return exit.into();
        }
    };
    memory::keep_small(&cli);
    log(cli.verbose);
    let courtesy = match commands::sensor::courtesy_listener(&cli) {
        Ok(courtesy) => courtesy,
        Err(error) => return exit::report(&error).into(),
    };
    let sockets = match commands::raw::open(&cli) {
        Ok(sockets) => sockets,
        Err(error) => return exit::report(&error).into(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&anyhow::Error::new(error).context("failed to start")).into(),
    };
    let ended = runtime.block_on(commands::run(&cli, sockets, courtesy));
    // Whatever still blocks (a file system, a name lookup) must not hold the program up.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error).into(),
    }
}

/// Talk goes to standard error: warnings by default, more with `-v`, exactly what KENSHIN_LOG says.
fn log(verbose: u8) {
    let default = match verbose {
        // Delta's kernel reports a table that is not there yet as an error of its own.
        0 => "warn,buoyant_kernel=off",
        1 => "info,datafusion=warn,deltalake=warn,buoyant_kernel=off",
        _ => "debug,datafusion=info,deltalake=info,sqlx=info",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("KENSHIN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

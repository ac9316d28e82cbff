//! One module a noun; each command calls one act and prints its answer.

mod asset;
mod case;
mod component;
mod demo;
mod doctor;
mod exchange;
mod finding;
mod insight;
mod integrity;
mod intel;
mod mandate;
mod opt_out;
mod provider;
pub(crate) mod raw;
mod report;
mod retention;
mod saved;
mod search;
pub(crate) mod sensor;
mod serve;
mod survey;
mod town;
mod user;
mod worker;

use std::net::TcpListener;
use std::time::Duration;

use clap::CommandFactory;
use kenshin_casework::Viewer;
use kenshin_lake::Limits;
use kenshin_observation::Messages;
use kenshin_observatory::{Edge, Home, Observatory, Settings};
use kenshin_survey::raw::sweep::Sockets;

use crate::cli::{Cli, Command, Format};
use crate::exit::Exit;
use crate::output::print_text;

/// What every command may need.
pub(crate) struct Context<'a> {
    pub(crate) cli: &'a Cli,
    /// Raw sockets, when the command may sweep with them.
    pub(crate) sockets: Option<Sockets>,
    /// Where the courtesy page listens, when it was opened with privileges that are given up since.
    pub(crate) courtesy: Option<TcpListener>,
    pub(crate) home: Home,
    pub(crate) edge: Edge,
}

impl Context<'_> {
    /// The home, opened.
    pub(crate) async fn open(&self) -> anyhow::Result<Observatory> {
        Ok(Observatory::open(&self.home, &self.edge).await?)
    }

    /// True when the home is that of a sensor apart from its hub: it has mandates and no database.
    pub(crate) fn is_sensors(&self) -> bool {
        Settings::read(&self.home).is_ok_and(|settings| settings.hub.is_some())
    }

    /// How rows are printed.
    pub(crate) fn format(&self) -> Format {
        self.cli.format
    }

    /// The reader's language: as asked for, else from LANG, else English.
    pub(crate) fn language(&self) -> String {
        self.cli.lang.clone().unwrap_or_else(|| {
            let lang = std::env::var("LC_ALL").or_else(|_| std::env::var("LANG")).unwrap_or_default();
            if lang.starts_with("ja") { "ja".to_owned() } else { "en".to_owned() }
        })
    }

    /// Talk: to standard error unless asked to be quiet.
    pub(crate) fn say(&self, text: &str) {
        if !self.cli.quiet {
            crate::output::talk(text);
        }
    }
}

/// Runs the command.
pub(crate) async fn run(
    cli: &Cli,
    sockets: Option<Sockets>,
    courtesy: Option<TcpListener>,
) -> anyhow::Result<Exit> {
    let context = Context { cli, sockets, courtesy, home: Home::at(&cli.home), edge: Edge::system() };
    match &cli.command {
        Command::Demo(options) => demo::run(&context, options).await,
        Command::Init(options) => doctor::init(&context, options).await,
        Command::Doctor => doctor::doctor(&context).await,
        Command::Serve(options) => serve::serve(&context, options).await,
        Command::Sensor(options) => sensor::run(&context, options).await,
        Command::OptOut(command) => opt_out::run(&context, command).await,
        Command::Mandate(command) => mandate::run(&context, command).await,
        Command::Survey(command) => survey::run(&context, command).await,
        Command::Intel(command) => intel::run(&context, command).await,
        Command::Insight(command) => insight::run(&context, command),
        Command::Search(options) => search::run(&context, options).await,
        Command::Lake(command) => search::lake(&context, command).await,
        Command::Sql { query, rows, seconds, memory } => {
            let (time, memory_bytes) = (Duration::from_secs(*seconds), (*memory as usize) << 20);
            sql(&context, query, Limits { rows: *rows, memory_bytes, time }).await
        }
        Command::Worker(options) => worker::run(&context, options).await,
        Command::Asset(command) => asset::run(&context, command).await,
        Command::Component(command) => component::run(&context, command).await,
        Command::Finding(command) => finding::run(&context, command).await,
        Command::Case(command) => case::run(&context, command).await,
        Command::Provider(command) => provider::run(&context, command).await,
        Command::User(command) => user::run(&context, command).await,
        Command::Report(command) => report::run(&context, command).await,
        Command::Town(command) => town::run(&context, command).await,
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print_text(&String::from_utf8_lossy(&page))?;
            Ok(Exit::Done)
        }
    }
}

async fn sql(context: &Context<'_>, query: &str, limits: Limits) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let answer = observatory.sql(&Viewer::system(observatory.org()), query, limits).await?;
    search::print_answer(&answer, context.format())?;
    Ok(if answer.rows() == 0 { Exit::No } else { Exit::Done })
}

/// Prose for a code in the reader's language, with hostile arguments made visible.
pub(crate) fn prose(
    messages: &Messages,
    language: &str,
    explanation: &kenshin_observation::Explanation,
) -> String {
    messages.render_with(language, &explanation.code, &explanation.args, crate::output::visible)
}

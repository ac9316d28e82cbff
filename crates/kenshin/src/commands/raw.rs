//! Raw sockets: opened before any thread runs, because capabilities belong to threads and are given up
//! for good as soon as the sockets are open. The web process never comes here.

use std::net::{IpAddr, UdpSocket};

use anyhow::Context as _;
use kenshin_observatory::{Authority, Edge, Home};
use kenshin_survey::raw::link::{LinkError, Settings};
use kenshin_survey::raw::privilege;
use kenshin_survey::raw::sweep::Sockets;
use kenshin_survey::raw::transmit;

use crate::cli::{Cli, Command, Engine, Survey, Sweep};

/// The sockets that the command may sweep with; `None` when it connects instead.
pub(crate) fn open(cli: &Cli) -> anyhow::Result<Option<Sockets>> {
    let Some(sweep) = asked(&cli.command) else { return Ok(None) };
    let say = |text: &str| {
        if !cli.quiet {
            crate::output::talk(text);
        }
    };
    let engine = match sweep.engine {
        Engine::Connect => return Ok(None),
        Engine::Auto | Engine::Raw => transmit::Engine::Auto,
        Engine::AfPacket => transmit::Engine::AfPacket,
        Engine::AfXdp => transmit::Engine::AfXdp,
    };
    let must = sweep.engine != Engine::Auto;
    let sources = if sweep.source.is_empty() { of_mandates(cli) } else { sweep.source.clone() };
    if sources.is_empty() && !must {
        return Ok(None);
    }
    match Sockets::open(Settings { engine, ..Settings::new(sources) }) {
        Ok(sockets) => {
            privilege::drop_all()?;
            sockets.notes().iter().for_each(|note| say(note));
            Ok(Some(sockets))
        }
        Err(error @ (LinkError::Privilege(_) | LinkError::NotEthernet(_))) if !must => {
            if cli.verbose > 0 || matches!(error, LinkError::Privilege(_)) {
                say(&format!("{error}; what is lost: speed, echo requests, UDP at scale"));
            }
            Ok(None)
        }
        Err(error) => Err(error).context("failed to open raw sockets"),
    }
}

fn asked(command: &Command) -> Option<&Sweep> {
    match command {
        Command::Survey(Survey::Run(options)) if !options.detach => Some(&options.sweep),
        Command::Survey(Survey::Resume { sweep, .. }) => Some(sweep),
        Command::Sensor(options) => options.sweep(),
        _ => None,
    }
}

/// Addresses that mandates of the home name for sensors and that this machine has; loopback carries
/// no frames.
fn of_mandates(cli: &Cli) -> Vec<IpAddr> {
    let (authority, now) = (Authority::of(&Home::at(&cli.home)), Edge::system().now());
    let mut sources: Vec<IpAddr> = Vec::new();
    // What is wrong with a mandate is said by the command itself.
    for mandate in authority.ids().unwrap_or_default().iter().filter_map(|id| authority.mandate(id, now).ok())
    {
        for source in mandate.sensors.iter().flat_map(|sensor| &sensor.source_addresses) {
            let ours = !source.is_loopback() && UdpSocket::bind((*source, 0)).is_ok();
            if ours && !sources.contains(source) {
                sources.push(*source);
            }
        }
    }
    sources
}

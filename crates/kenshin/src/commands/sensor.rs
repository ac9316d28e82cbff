//! `sensor`: work, enrol; and on the hub: token, list, retire.

use kenshin_casework::{Actor, PageRequest, SensorRecord};
use kenshin_observation::{SensorId, TimeUs};
use kenshin_observatory::hub::{Away, new_sensor};
use kenshin_observatory::{ActError, Courtesy, Home, HubAddress, Observatory, Settings, Worker, write_whole};
use kenshin_web::tls::Certificate;
use serde::Serialize;

use super::Context;
use super::serve::{certificate, courtesy_page, stop_token, work};
use crate::cli::{Cli, Command, Enrol, Format, Sensor, SensorCommand, SensorRun};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text};

pub(crate) async fn run(context: &Context<'_>, options: &Sensor) -> anyhow::Result<Exit> {
    match &options.command {
        None => at_work(context, &options.run).await,
        Some(SensorCommand::Run(run)) => at_work(context, run).await,
        Some(SensorCommand::Token { name, tls_cert }) => token(context, name, tls_cert.as_deref()).await,
        Some(SensorCommand::Enrol(enrol)) => self::enrol(context, enrol).await,
        Some(SensorCommand::List) => list(context).await,
        Some(SensorCommand::Retire { id }) => retire(context, *id).await,
    }
}

/// The listener of the courtesy page of a sensor that is about to work, opened while this process may
/// still open port 80: raw sockets cost it every privilege.
pub(crate) fn courtesy_listener(cli: &Cli) -> anyhow::Result<Option<std::net::TcpListener>> {
    let Command::Sensor(options) = &cli.command else { return Ok(None) };
    let home = Home::at(&cli.home);
    if options.sweep().is_none() || !home.settings().exists() {
        return Ok(None);
    }
    let Some(address) = Settings::read(&home)?.courtesy_listen else { return Ok(None) };
    let failed = |source| ActError::outside(format!("failed to listen on {address}"), source);
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(Some(listener))
}

/// Works off jobs: those of the hub that the settings name, or of this home.
async fn at_work(context: &Context<'_>, options: &SensorRun) -> anyhow::Result<Exit> {
    let settings = Settings::read(&context.home)?;
    let worker = match &settings.hub {
        Some(_) => Worker::apart(&context.home, &settings, &context.edge)?,
        None => Worker::open(&context.open().await?)?,
    }
    .with_sockets(context.sockets.clone());
    let stop = stop_token();
    let courtesy = Courtesy::of(&worker, &settings.organisation);
    let page = courtesy_page(context, settings.courtesy_listen, courtesy, &stop).await?;
    let at = settings.hub.as_ref().map_or_else(String::new, |hub| format!(" for {}", hub.url));
    context.say(&format!("sensor {} at work{at}  (Ctrl-C to end)", worker.spool().sensor().id));
    let worked = work(worker, stop.clone(), options.once).await;
    stop.cancel();
    if let Some(page) = page {
        page.await?;
    }
    worked?;
    Ok(Exit::Done)
}

async fn token(
    context: &Context<'_>,
    name: &str,
    tls_cert: Option<&std::path::Path>,
) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let fingerprint = match tls_cert {
        Some(path) => Certificate::fingerprint_of(path).map_err(certificate)?,
        None => Certificate::own(&context.home.tls()).map_err(certificate)?.fingerprint().to_owned(),
    };
    let token = observatory.new_sensor_token(name, &Actor::rule("command-line")).await?;
    #[derive(Serialize)]
    struct Answer {
        token: String,
        for_s: i64,
        fingerprint: String,
    }
    let answer = Answer { token, for_s: kenshin_observatory::TOKEN_S, fingerprint };
    if context.format() == Format::Json {
        print_json(&answer)?;
    } else {
        print_text(&format!(
            "token       {}   (shown once, good for one sensor within {} hours)\nfingerprint {}\n",
            answer.token,
            answer.for_s / 3_600,
            answer.fingerprint
        ))?;
    }
    context.say(
        "on the sensor's machine: KENSHIN_TOKEN=… kenshin --home DIR sensor enrol --hub https://THIS-HUB:PORT --fingerprint …",
    );
    Ok(Exit::Done)
}

async fn enrol(context: &Context<'_>, options: &Enrol) -> anyhow::Result<Exit> {
    let mut hub = HubAddress::at(options.hub.trim_end_matches('/'));
    // The settings lie elsewhere than the shell: a relative path would lead nowhere.
    hub.ca = options
        .ca
        .as_ref()
        .map(std::fs::canonicalize)
        .transpose()
        .map_err(|error| ActError::input(format!("the file of --ca cannot be used: {error}")))?;
    hub.fingerprint.clone_from(&options.fingerprint);
    if context.home.settings().exists()
        && Settings::read(&context.home)?.hub.is_none_or(|known| known.url != hub.url)
    {
        return Err(ActError::input(format!(
            "`{}` is not the home of a sensor of this hub",
            context.home.root().display()
        ))
        .with_hint("choose another folder with --home: a sensor has a home of its own")
        .into());
    }
    let settings = Settings { hub: Some(hub.clone()), ..Settings::new("") };
    // What cannot be read again is not written.
    Settings::parse("the settings of the sensor", &Settings::sensor_template("", &hub))?;
    let worker = Worker::apart(&context.home, &settings, &context.edge)?;
    let sensor = worker.spool().sensor().clone();
    let away = Away::new(&hub, &context.home, &sensor, &context.edge)?;
    let enrolled = away.enrol(&options.token, &new_sensor(worker.spool())?).await?;
    if !context.home.settings().exists() {
        write_whole(&context.home.settings(), &Settings::sensor_template(&enrolled.organisation, &hub))?;
    }
    context.say(&format!(
        "enrolled as `{}` with {}; next: put the keys of those who may sign mandates into {}, and have the mandate name this sensor",
        enrolled.name,
        enrolled.organisation,
        context.home.trust_roots().display()
    ));
    #[derive(Serialize)]
    struct Answer {
        organisation: String,
        name: String,
        sensor_id: String,
        public_key: String,
    }
    let answer = Answer {
        organisation: enrolled.organisation,
        name: enrolled.name,
        sensor_id: sensor.id.to_string(),
        public_key: sensor.public_key_hex(),
    };
    if context.format() == Format::Json {
        print_json(&answer)?;
    } else {
        print_text(&format!(
            "[[sensor]]\nid = \"{}\"\nname = {}\npublic_key = \"{}\"\nsource_addresses = [\"…\"]\nshare_percent = …\n",
            answer.sensor_id,
            toml::Value::String(answer.name),
            answer.public_key
        ))?;
    }
    Ok(Exit::Done)
}

async fn list(context: &Context<'_>) -> anyhow::Result<Exit> {
    let observatory: Observatory = context.open().await?;
    let found = observatory.casework().sensors(observatory.org(), &PageRequest::first()).await?;
    let none = found.items.is_empty();
    Rows {
        columns: &["ID", "NAME", "BATCHES", "ENROLLED", "SEEN", "RETIRED", "PUBLIC KEY"],
        right: &[2],
        items: found.items,
        cells: |sensor: &SensorRecord| {
            vec![
                sensor.sensor_id.to_string(),
                sensor.name.clone(),
                sensor.head_sequence.to_string(),
                sensor.enrolled_at.to_string(),
                time(sensor.seen_at),
                time(sensor.retired_at),
                sensor.public_key.clone(),
            ]
        },
    }
    .print(context.format())?;
    Ok(if none { Exit::No } else { Exit::Done })
}

fn time(time: Option<TimeUs>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

async fn retire(context: &Context<'_>, id: SensorId) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let actor = Actor::rule("command-line");
    observatory.casework().retire_sensor(observatory.org(), id, &actor, observatory.now()).await?;
    context.say(&format!("sensor {id} is given no more work, and nothing more of it is taken"));
    Ok(Exit::Done)
}

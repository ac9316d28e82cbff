//! `init` and `doctor`.

use std::path::Path;

use kenshin_observatory::hub::Away;
use kenshin_observatory::{Authority, Home, Observatory, Settings, Worker};
use serde::Serialize;

use super::Context;
use crate::cli::{Format, Init};
use crate::exit::Exit;
use crate::output::{print_json, print_text};

pub(crate) async fn init(context: &Context<'_>, options: &Init) -> anyhow::Result<Exit> {
    let language = context.language();
    let made =
        Observatory::init(&context.home, &options.organisation, &options.admin, &language, &context.edge)
            .await?;
    let observatory = context.open().await?;
    let worker = Worker::open(&observatory)?;
    let sensor = worker.spool().sensor();
    context.say(&format!("made `{}`", context.home.root().display()));
    context.say("next: put the keys of those who may sign mandates into mandates/allowed_signers, then `kenshin mandate new`");
    #[derive(Serialize)]
    struct Answer<'a> {
        home: &'a Path,
        login: &'a str,
        password: &'a str,
        sensor_id: String,
        sensor_public_key: String,
    }
    let answer = Answer {
        home: context.home.root(),
        login: &made.login,
        password: &made.password,
        sensor_id: sensor.id.to_string(),
        sensor_public_key: sensor.public_key_hex(),
    };
    if context.format() == Format::Json {
        print_json(&answer)?;
    } else {
        print_text(&format!(
            "login      {}\npassword   {}   (shown once, kept nowhere)\nsensor     {}\npublic key {}\n",
            answer.login, answer.password, answer.sensor_id, answer.sensor_public_key
        ))?;
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Finding {
    what: &'static str,
    good: bool,
    detail: String,
}

pub(crate) async fn doctor(context: &Context<'_>) -> anyhow::Result<Exit> {
    let settings = Settings::read(&context.home)?;
    if settings.hub.is_some() {
        return doctor_of_sensor(context, &settings).await;
    }
    let mut findings = Vec::new();
    let mut note = |what, result: Result<String, String>| {
        let good = result.is_ok();
        findings.push(Finding { what, good, detail: result.unwrap_or_else(|error| error) });
    };
    let observatory = match context.open().await {
        Ok(observatory) => observatory,
        Err(error) => {
            return Err(error);
        }
    };
    let text = |error: &dyn std::error::Error| error.to_string();
    note("settings", Ok(context.home.settings().display().to_string()));
    note(
        "database",
        Ok(format!(
            "{:?}, schema {}",
            observatory.casework().backend(),
            kenshin_casework::Casework::schema_version()
        )),
    );
    note(
        "audit trail",
        match observatory.casework().verify_audit(observatory.org()).await {
            Ok(Ok(rows)) => Ok(format!("{rows} entries, unbroken")),
            Ok(Err(row)) => Err(format!("broken at entry {row}")),
            Err(error) => Err(text(&error)),
        },
    );
    note(
        "lake",
        match observatory.lake().await {
            Ok(lake) => Ok(lake.location().to_owned()),
            Err(error) => Err(text(&error)),
        },
    );
    if let Some(cluster) = observatory.lake().await.ok().and_then(kenshin_lake::Lake::cluster) {
        for (worker, looked) in cluster.look_at_all().await {
            note("worker", looked.map(|()| worker.to_string()).map_err(|why| format!("{worker} {why}")));
        }
    }
    note(
        "spool",
        match Worker::open(&observatory) {
            Ok(worker) => {
                Ok(format!("sensor {}, {} bytes wait", worker.spool().sensor().id, worker.spool().bytes()))
            }
            Err(error) => Err(text(&error)),
        },
    );
    note(
        "trust roots",
        match observatory.authority().roots() {
            Ok(roots) => Ok(format!("{} keys", roots.roots().len())),
            Err(error) => Err(text(&error)),
        },
    );
    note(
        "mandates",
        match observatory.authority().ids() {
            Ok(ids) => Ok(if ids.is_empty() { "none yet".to_owned() } else { ids.join(", ") }),
            Err(error) => Err(text(&error)),
        },
    );
    note("dictionary", dictionary(observatory.settings(), &context.home));
    note(
        "descriptors",
        match rlimit::Resource::NOFILE.get() {
            Ok((soft, hard)) => Ok(format!("{soft}, can be raised to {hard}")),
            Err(error) => Err(error.to_string()),
        },
    );
    note(
        "privilege",
        Ok(match kenshin_survey::raw::privilege::held() {
            true => {
                "raw packets may be sent (CAP_NET_RAW, CAP_NET_ADMIN); see `survey run --engine`".to_owned()
            }
            false => "none, and none is needed: sweeps are ordinary connections, which costs speed, \
                      echo requests and UDP at scale"
                .to_owned(),
        }),
    );
    print(context, &findings, observatory.settings())
}

/// What a sensor apart from its hub needs: its key, trust roots of its own, and the hub.
async fn doctor_of_sensor(context: &Context<'_>, settings: &Settings) -> anyhow::Result<Exit> {
    let mut findings = Vec::new();
    let mut note = |what, result: Result<String, String>| {
        let good = result.is_ok();
        findings.push(Finding { what, good, detail: result.unwrap_or_else(|error| error) });
    };
    let (authority, now) = (Authority::of(&context.home), context.edge.now());
    note("settings", Ok(context.home.settings().display().to_string()));
    match Worker::apart(&context.home, settings, &context.edge) {
        Err(error) => note("spool", Err(error.to_string())),
        Ok(worker) => {
            let sensor = worker.spool().sensor();
            note("spool", Ok(format!("sensor {}, {} bytes wait", sensor.id, worker.spool().bytes())));
            let reached = match &settings.hub {
                None => Ok(()),
                Some(hub) => match Away::new(hub, &context.home, sensor, &context.edge) {
                    Ok(away) => away.look().await,
                    Err(error) => Err(error),
                },
            };
            let url = settings.hub.as_ref().map(|hub| hub.url.clone()).unwrap_or_default();
            note("hub", reached.map(|()| url).map_err(|error| error.to_string()));
        }
    }
    note(
        "trust roots",
        authority.roots().map(|roots| format!("{} keys", roots.roots().len())).map_err(|e| e.to_string()),
    );
    note("dictionary", dictionary(settings, &context.home));
    for id in authority.ids()? {
        let mandate = authority.mandate(&id, now);
        note("mandate", mandate.map(|mandate| mandate.id.clone()).map_err(|error| error.to_string()));
    }
    print(context, &findings, settings)
}

/// What credential checks would be made with; what is wrong is told with file and line.
fn dictionary(settings: &Settings, home: &Home) -> Result<String, String> {
    match settings.read_dictionary(home) {
        Ok(Some(dictionary)) => {
            Ok(format!("{} pairs, {} recipes", dictionary.entries().len(), dictionary.recipes().len()))
        }
        Ok(None) => Ok("none: no credential checks".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn print(context: &Context<'_>, findings: &[Finding], settings: &Settings) -> anyhow::Result<Exit> {
    let all_good = findings.iter().all(|finding| finding.good);
    if context.format() == Format::Json {
        #[derive(Serialize)]
        struct Answer<'a> {
            findings: &'a [Finding],
            settings: &'a Settings,
        }
        print_json(&Answer { findings, settings })?;
    } else {
        let mut out = String::new();
        for finding in findings {
            out.push_str(&format!(
                "{} {:<12} {}\n",
                if finding.good { "ok  " } else { "FAIL" },
                finding.what,
                finding.detail
            ));
        }
        out.push_str("\neffective settings:\n");
        out.push_str(&toml::to_string_pretty(settings)?);
        print_text(&out)?;
    }
    Ok(if all_good { Exit::Done } else { Exit::No })
}

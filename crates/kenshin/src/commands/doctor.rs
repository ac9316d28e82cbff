//! `init` and `doctor`.

use std::path::Path;

use kenshin_observatory::{Observatory, Worker};
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
    note(
        "descriptors",
        match rlimit::Resource::NOFILE.get() {
            Ok((soft, hard)) => Ok(format!("{soft}, can be raised to {hard}")),
            Err(error) => Err(error.to_string()),
        },
    );
    note(
        "privilege",
        Ok(match rustix::process::geteuid().is_root() {
            true => "root; this version sweeps with ordinary connections and needs none".to_owned(),
            false => "none, and none is needed: sweeps are ordinary connections".to_owned(),
        }),
    );
    let all_good = findings.iter().all(|finding| finding.good);
    if context.format() == Format::Json {
        #[derive(Serialize)]
        struct Answer<'a> {
            findings: &'a [Finding],
            settings: &'a kenshin_observatory::Settings,
        }
        print_json(&Answer { findings: &findings, settings: observatory.settings() })?;
    } else {
        let mut out = String::new();
        for finding in &findings {
            out.push_str(&format!(
                "{} {:<12} {}\n",
                if finding.good { "ok  " } else { "FAIL" },
                finding.what,
                finding.detail
            ));
        }
        out.push_str("\neffective settings:\n");
        out.push_str(&toml::to_string_pretty(observatory.settings())?);
        print_text(&out)?;
    }
    Ok(if all_good { Exit::Done } else { Exit::No })
}

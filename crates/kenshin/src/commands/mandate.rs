//! `mandate`: new, sign, check, add, list, revoke, renew.

use std::path::Path;

use kenshin_mandate::{Statement, TemplateOptions, TemplateSensor, standing, template};
use kenshin_observatory::{
    ActError, Authority, Observatory, Settings, SignedText, Worker, read_key, write_whole,
};

use super::Context;
use crate::cli::{Format, Mandate};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text};

pub(crate) async fn run(context: &Context<'_>, command: &Mandate) -> anyhow::Result<Exit> {
    match command {
        Mandate::New { file, id } => new(context, file, id.as_deref()).await,
        Mandate::Sign { file, key } => {
            let passphrase = std::env::var("KENSHIN_PASSPHRASE").ok();
            let written = Authority::sign_mandate(file, &read_key(key, passphrase.as_deref())?)?;
            context.say(&format!("signed: `{}`", written.display()));
            Ok(Exit::Done)
        }
        Mandate::Check { file, roots } => check(context, file, roots.as_deref()),
        Mandate::Add { file } => add(context, file).await,
        Mandate::List => list(context),
        Mandate::Revoke { id, reason } => {
            Authority::of(&context.home).revoke_here(id, reason)?;
            if !context.is_sensors()
                && let Err(error) = register_revocation(context, id).await
            {
                context.say(&format!(
                    "note: the registry did not take it ({error}); sending has stopped all the same"
                ));
            }
            context.say(&format!("`{id}` is revoked on this machine, within a second for running surveys"));
            Ok(Exit::Done)
        }
        Mandate::Renew { authority, key, revoke, reason, list } => {
            let passphrase = std::env::var("KENSHIN_PASSPHRASE").ok();
            let path = match list {
                Some(path) => path.clone(),
                None => context.home.mandates().join("revocations.toml"),
            };
            let more = revoke.iter().map(|id| (id.clone(), reason.clone())).collect();
            let key = read_key(key, passphrase.as_deref())?;
            let next = Authority::issue_revocations(&path, authority, more, &key, context.edge.now())?;
            context.say(&format!(
                "`{}`: list {}, issued at {}, revokes {}",
                path.display(),
                next.number,
                next.issued_at,
                next.revoked.len()
            ));
            Ok(Exit::Done)
        }
    }
}

async fn register_revocation(context: &Context<'_>, id: &str) -> anyhow::Result<()> {
    let observatory = context.open().await?;
    let actor = Observatory::rule("command-line");
    Ok(observatory.casework().revoke_mandate(observatory.org(), id, &actor, observatory.now()).await?)
}

async fn new(context: &Context<'_>, file: &Path, id: Option<&str>) -> anyhow::Result<Exit> {
    if file.exists() {
        return Err(ActError::input(format!("`{}` is there already", file.display()))
            .with_hint("choose another name: nothing is overwritten")
            .into());
    }
    let mut options = TemplateOptions::example();
    if let Some(id) = id {
        options.id = id.to_owned();
    }
    // With a home, the sensor of this machine stands in the mandate already.
    if context.home.settings().exists() && !context.is_sensors() {
        let observatory = context.open().await?;
        let worker = Worker::open(&observatory)?;
        let sensor = worker.spool().sensor();
        options.sensors = vec![TemplateSensor {
            id: sensor.id,
            name: "this-machine".to_owned(),
            public_key: sensor.public_key(),
            source_addresses: options.sensors[0].source_addresses.clone(),
            share_percent: 100,
        }];
        options.revocation_list = "revocations.toml".to_owned();
    }
    write_whole(file, &template(&options))?;
    context.say(&format!("wrote `{}`: fill it in, then `kenshin mandate sign {0}`", file.display()));
    Ok(Exit::Done)
}

fn check(context: &Context<'_>, file: &Path, roots: Option<&Path>) -> anyhow::Result<Exit> {
    let now = context.edge.now();
    let authority = Authority::of(&context.home);
    let signed = SignedText::read(file).map_err(not_there)?;
    let roots = match roots {
        Some(path) => Authority::roots_of(path)?,
        None => authority.roots()?,
    };
    let mandate = Authority::verify(&signed, &roots, now)?;
    let revocation = authority.revocation(&mandate, &roots, now)?;
    let stands = standing(&mandate, revocation.as_ref(), &authority.narrowing()?, now);
    let refused = stands.as_ref().err().map(|refusal| (refusal.to_string(), refusal.hint()));
    let statement = Statement::new(&mandate, mandate.signers(), Some(stands));
    if context.format() == Format::Json {
        print_json(&statement)?;
    } else {
        print_text(&statement.render(&kenshin_observation::Messages::builtin(), &context.language()))?;
    }
    match refused {
        None => Ok(Exit::Done),
        Some((why, hint)) => Err(ActError::no(format!("`{}` authorises nothing now: {why}", file.display()))
            .with_hint(hint)
            .into()),
    }
}

async fn add(context: &Context<'_>, file: &Path) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let signed = SignedText::read(file).map_err(not_there)?;
    let verified = observatory.add_mandate(&signed).await?;
    context.say(&format!(
        "`{}` version {} is in the home; `kenshin survey plan --mandate {0}` sends nothing",
        verified.id, verified.version
    ));
    Ok(Exit::Done)
}

fn list(context: &Context<'_>) -> anyhow::Result<Exit> {
    Settings::read(&context.home)?;
    let (authority, now) = (Authority::of(&context.home), context.edge.now());
    let mut items = Vec::new();
    for id in authority.ids()? {
        items.push(match authority.mandate(&id, now) {
            Err(error) => {
                Row { id, version: 0, title: String::new(), until: String::new(), state: error.to_string() }
            }
            Ok(mandate) => {
                let revocation = authority.revocation(&mandate, &authority.roots()?, now)?;
                let state = match standing(&mandate, revocation.as_ref(), &authority.narrowing()?, now) {
                    Ok(()) => "stands".to_owned(),
                    Err(refusal) => refusal.to_string(),
                };
                Row {
                    id,
                    version: mandate.version,
                    title: mandate.title.clone(),
                    until: mandate.valid_until.to_string(),
                    state,
                }
            }
        });
    }
    let none = items.is_empty();
    Rows {
        columns: &["ID", "VERSION", "TITLE", "VALID UNTIL", "STATE"],
        right: &[1],
        items,
        cells: |row: &Row| {
            vec![
                row.id.clone(),
                row.version.to_string(),
                row.title.clone(),
                row.until.clone(),
                row.state.clone(),
            ]
        },
    }
    .print(context.format())?;
    Ok(if none { Exit::No } else { Exit::Done })
}

#[derive(serde::Serialize)]
struct Row {
    id: String,
    version: u32,
    title: String,
    until: String,
    state: String,
}

/// A file that the user named and that is not there is their input, not trouble outside.
fn not_there(error: ActError) -> ActError {
    match error {
        ActError::Io { action, path, source } if source.kind() == std::io::ErrorKind::NotFound => {
            ActError::input(format!("failed to {action} `{path}`: it is not there"))
                .with_hint("check the name")
        }
        other => other,
    }
}

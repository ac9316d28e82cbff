//! `demo`: the whole circle on a simulated town, then the dashboard.

use std::path::PathBuf;

use kenshin_observatory::demo::{DemoAnswer, DemoOptions, Step, run as run_demo};
use kenshin_observatory::{ActError, Home};
use tokio::net::TcpListener;

use super::Context;
use super::serve::{alert, stop_token};
use crate::cli::{Demo, Format};
use crate::exit::Exit;
use crate::output::{print_json, print_text, thousands};
use crate::progress::Line;

pub(crate) async fn run(context: &Context<'_>, options: &Demo) -> anyhow::Result<Exit> {
    // A home that was not named is made anew under the system's folder for temporary files.
    let named = std::env::args().any(|arg| arg == "--home" || arg.starts_with("--home="))
        || std::env::var_os("KENSHIN_HOME").is_some();
    let folder = if named { context.cli.home.clone() } else { fresh_folder()? };
    let home = Home::at(&folder);
    let demo_options = DemoOptions {
        seed: options.seed,
        net: options.net,
        devices: options.devices,
        lake: options.lake.clone(),
        language: context.language(),
    };
    let mut line: Option<Line> = None;
    let demo = run_demo(&home, &demo_options, |step| match step {
        Step::Act(act, detail) => {
            if let Some(line) = line.take() {
                line.done();
            }
            context.say(&format!("{act:<10} {detail}"));
        }
        Step::Surveying(progress) => line.get_or_insert_with(|| Line::new(context.cli.quiet)).show(&progress),
    })
    .await?;
    if let Some(line) = line.take() {
        line.done();
    }
    if context.format() == Format::Json {
        print_json(&demo.answer)?;
    } else {
        print_text(&text(&demo.answer))?;
    }
    context.say(&format!("home       {}", folder.display()));
    if options.no_serve {
        demo.town.stop().await;
        return Ok(Exit::Done);
    }
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|source| ActError::outside(format!("failed to listen on {}", options.listen), source))?;
    context.say(&format!(
        "\ndashboard  http://{}/\nsign in    {} / {}\nCtrl-C ends it",
        listener.local_addr()?,
        demo.login,
        demo.password
    ));
    let stop = stop_token();
    let alerts = tokio::spawn(alert(demo.observatory.clone(), stop.clone()));
    let web = kenshin_web::Web::new(demo.observatory);
    kenshin_web::serve(listener, None, &web, stop.cancelled_owned()).await?;
    alerts.await??;
    demo.town.stop().await;
    Ok(Exit::Done)
}

fn fresh_folder() -> anyhow::Result<PathBuf> {
    let base = std::env::temp_dir();
    for number in 0..1000 {
        let folder = base.join(format!("kenshin-demo-{}-{number}", std::process::id()));
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => {
                return Err(
                    ActError::outside(format!("failed to make `{}`", folder.display()), source).into()
                );
            }
        }
    }
    anyhow::bail!("failed to find a free name under `{}`", base.display())
}

fn text(answer: &DemoAnswer) -> String {
    let mut text = format!(
        "\nsurveyed   {} addresses × {} ports, {} exchanges in two rounds\nresponders {}   services {}   assets {}\n",
        thousands(answer.addresses as i64),
        thousands(answer.ports as i64),
        thousands(answer.exchanges as i64),
        thousands(answer.responders as i64),
        thousands(answer.services as i64),
        thousands(answer.assets as i64),
    );
    let list = |title: &str, counts: &std::collections::BTreeMap<String, u64>| {
        let parts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
        format!("{title:<10} {}\n", parts.join(", "))
    };
    text.push_str(&list("findings", &answer.findings));
    text.push_str(&list("stages", &answer.cases.stage));
    text.push_str(&list("conditions", &answer.cases.condition));
    let score = &answer.score;
    text.push_str(&format!(
        "notices    {}\nscore      findings: precision {:.2}, recall {:.2}; re-check {} of {} right; identity: precision {:.2}, recall {:.2}, {} abstained\ntime       {:.1} s\n",
        answer.notices,
        score.findings.precision,
        score.findings.recall,
        score.recheck.correct,
        score.recheck.total,
        score.identity.precision,
        score.identity.recall,
        score.identity.abstained,
        answer.duration_s,
    ));
    text
}

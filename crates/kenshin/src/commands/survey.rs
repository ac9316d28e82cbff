//! `survey`: plan, run, resume, stop, list, show; export and import in `exchange`.

use kenshin_casework::{PageRequest, Survey as Stored, SurveyKind};
use kenshin_observation::{Endpoint, SurveyId, TimeUs};
use kenshin_observatory::{
    ActError, Observatory, Planned, Reassessed, RetrospectRequest, SurveyEnd, SurveyRequest, TargetList,
    Worker,
};
use kenshin_survey::plan::{Manner, Silence};
use kenshin_survey::progress::Progress;
use kenshin_survey::run::Ending;
use kenshin_survey::run::front::miss::MissEstimate;
use serde::Serialize;
use tokio::sync::watch;

use super::Context;
use super::serve::stop_token;
use crate::cli::{Format, Survey, SurveySpec};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text, thousands};
use crate::progress::{Line, duration};

pub(crate) async fn run(context: &Context<'_>, command: &Survey) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    match command {
        Survey::Plan(spec) => {
            let planned = observatory.plan(&request(spec)?)?;
            print_plan(context, &planned)?;
            Ok(Exit::Done)
        }
        Survey::Run(options) => {
            let planned = observatory.plan(&request(&options.spec)?)?;
            let survey = observatory.store_plan(&planned, SurveyKind::Survey).await?;
            context.say(&format!(
                "survey {}: {} addresses × {} ports, about {} at the mandate's rate",
                survey.survey_id,
                thousands(planned.summary.addresses),
                planned.summary.ports,
                duration(planned.summary.duration_s)
            ));
            if options.detach {
                return detach(context, &observatory, survey.survey_id, options.shards).await;
            }
            execute(context, &observatory, survey.survey_id, Some(options.shards)).await
        }
        Survey::Resume { id, .. } => execute(context, &observatory, *id, None).await,
        Survey::Stop { id } => {
            observatory.stop_survey(*id).await?;
            context.say(&format!("survey {id} stops within a second; `kenshin survey resume {id}` goes on"));
            Ok(Exit::Done)
        }
        Survey::Reassess { id, since } => reassess(context, &observatory, id, *since).await,
        Survey::List => list(context, &observatory).await,
        Survey::Show { id } => show(context, &observatory, *id).await,
        Survey::Export(export) => super::exchange::export(context, &observatory, export).await,
        Survey::Import(import) => super::exchange::import(context, &observatory, import).await,
    }
}

async fn reassess(
    context: &Context<'_>,
    observatory: &Observatory,
    surveys: &[SurveyId],
    since: Option<TimeUs>,
) -> anyhow::Result<Exit> {
    let request = RetrospectRequest { surveys: surveys.to_vec(), since };
    let done = observatory.reassess(&request).await?;
    let none = done.is_empty();
    Rows {
        columns: &["SURVEY", "OBSERVATIONS", "DEVICES", "FINDINGS", "NEW", "OPENED", "WITHDRAWN", "CLOSED"],
        right: &[1, 2, 3, 4, 5, 6, 7],
        items: done,
        cells: |done: &Reassessed| {
            let summary = &done.summary;
            let counts = [
                done.observations,
                summary.assets,
                summary.findings,
                summary.new,
                summary.opened,
                summary.withdrawn,
                summary.closed,
            ];
            std::iter::once(done.survey_id.to_string()).chain(counts.map(|count| count.to_string())).collect()
        },
    }
    .print(context.format())?;
    Ok(if none { Exit::No } else { Exit::Done })
}

/// A request as the arguments, and the file that they name, state it.
pub(crate) fn request(spec: &SurveySpec) -> Result<SurveyRequest, ActError> {
    let mut manner = match (spec.near, spec.scale) {
        (true, _) => Manner::LOCAL,
        (false, true) => Manner::SCALE,
        (false, false) => Manner::INTERNET,
    };
    if !spec.scale {
        manner.connections_max = spec.concurrency;
    }
    if let Some(attempts) = spec.credential_attempts {
        manner.credential_attempts_max = attempts;
    }
    let (mut targets, mut ports) = (spec.target.clone(), spec.port.clone());
    if let Some(file) = &spec.targets_file {
        let list = TargetList::read(file, spec.targets_format)?;
        targets.extend(list.addresses.prefixes());
        // Ports that are asked for by hand count for all addresses, whatever the list names.
        if ports.is_empty() {
            ports = list.ports;
        }
    }
    Ok(SurveyRequest {
        tlp: spec.tlp,
        mandate: spec.mandate.clone(),
        targets,
        ports,
        checks: spec.check.clone(),
        manner,
        seed: spec.seed,
        udp_ports: spec.udp_port.clone(),
        echo: spec.echo,
        silence: if spec.scale { Silence::Coverage } else { Silence::Rows },
        canaries: spec.canary.iter().map(|canary| Endpoint::tcp(canary.ip(), canary.port())).collect(),
    })
}

/// Hands a survey to the sensors of its mandate, and leaves it to them.
async fn detach(
    context: &Context<'_>,
    observatory: &Observatory,
    id: SurveyId,
    shards: u32,
) -> anyhow::Result<Exit> {
    observatory.enqueue_shards(id, shards).await?;
    context.say(&format!(
        "it waits for the sensors of its mandate; `kenshin survey show {id}` tells how far it is"
    ));
    if context.format() == Format::Json {
        print_json(&observatory.casework().survey(observatory.org(), id).await?)?;
    } else {
        print_text(&format!("survey {id}\n"))?;
    }
    Ok(Exit::Done)
}

/// Hands a survey to the sensors of its mandate and works on it here, until it has ended or the rest
/// is with others. `shards`: in how many parts; as in its last run when not stated.
pub(crate) async fn execute(
    context: &Context<'_>,
    observatory: &Observatory,
    id: SurveyId,
    shards: Option<u32>,
) -> anyhow::Result<Exit> {
    let mut worker = Worker::open(observatory)?.with_sockets(context.sockets.clone());
    let survey = observatory.casework().survey(observatory.org(), id).await?;
    if survey.assessed_at.is_some() {
        context.say(&format!("survey {id} is finished and assessed already"));
        return Ok(Exit::Done);
    }
    if survey.state == kenshin_casework::SurveyState::Finished {
        // A crash between the last slice and the assessment.
        worker.ship().await?;
        let assessment = observatory.assess(id).await?;
        context.say(&format!("survey {id} was finished; assessed now"));
        if context.format() == Format::Json {
            print_json(&assessment)?;
        }
        return Ok(Exit::Done);
    }
    match shards {
        Some(shards) => drop(observatory.enqueue_shards(id, shards).await?),
        None => observatory.resume_survey(id).await?,
    }
    let (report, mut reported) = watch::channel(Progress::default());
    let (stop, stopped) = watch::channel(false);
    let interrupt = stop_token();
    let line = Line::new(context.cli.quiet);
    let end = {
        let work = async {
            // Older jobs of the queue come first, and the last part that is done here is told.
            let mut last = None;
            loop {
                match worker.work_once(&report, &stopped).await? {
                    Some(end) if end.survey_id == id => {
                        let over = end.assessment.is_some() || end.run.ending != Ending::Finished;
                        last = Some(end);
                        if over {
                            break Ok(last);
                        }
                    }
                    Some(_) => {}
                    None => break Ok::<_, kenshin_observatory::ActError>(last),
                }
            }
        };
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                end = &mut work => break end,
                Ok(()) = reported.changed() => line.show(&reported.borrow_and_update()),
                () = interrupt.cancelled(), if !*stop.borrow() => {
                    context.say("stopping; what is done is kept");
                    stop.send_replace(true);
                }
            }
        }
    };
    line.done();
    match end? {
        None => {
            context.say(&format!(
                "survey {id} is with other sensors; `kenshin survey show {id}` tells how far it is"
            ));
            Ok(Exit::No)
        }
        Some(end) => {
            if end.run.ending == Ending::Finished && end.assessment.is_none() {
                context.say(&format!(
                    "the rest is with other sensors; `kenshin survey show {id}` tells how far it is"
                ));
            }
            finish(context, &end)
        }
    }
}

fn finish(context: &Context<'_>, end: &SurveyEnd) -> anyhow::Result<Exit> {
    let progress = &end.run.progress;
    if context.format() == Format::Json {
        print_json(end)?;
    } else {
        let mut text = format!(
            "survey {}\ntargets done  {} of {}\nexchanges     {}\nanswered      {}\n",
            end.survey_id,
            thousands(progress.targets_done),
            thousands(progress.targets_total),
            thousands(progress.sent),
            thousands(progress.answered)
        );
        if let Some(miss) = progress.miss.filter(|miss| miss.asked > 0) {
            text.push_str(&format!("missed        {}\n", missed(&miss)));
        }
        if let Some(assessment) = &end.assessment {
            text.push_str(&format!(
                "findings      {}\ncases opened  {}\ncases judged  {}\nremedied      {}\nexposure over {}\nrelapsed      {}\n",
                assessment.findings,
                assessment.opened,
                assessment.judged,
                assessment.remedied,
                assessment.exposure_ended,
                assessment.relapsed
            ));
        }
        print_text(&text)?;
    }
    Ok(match &end.run.ending {
        Ending::Finished => Exit::Done,
        Ending::Stopped => {
            context.say(&format!("stopped; `kenshin survey resume {}` goes on", end.survey_id));
            Exit::No
        }
        Ending::Paused { code } | Ending::Ended { code } => {
            context.say(&format!("the mandate lets nothing be sent: {code}"));
            Exit::No
        }
    })
}

/// The share of answering targets that a sweep missed, as it is told beside every count.
pub(crate) fn missed(miss: &MissEstimate) -> String {
    let canaries = match miss.canary_asked {
        0 => String::new(),
        asked => format!("; canaries silent {} of {asked}", miss.canary_missed),
    };
    format!(
        "{:.2} % of those who answer (95 %: {:.2} to {:.2} %; {} of {} asked again were silent){canaries}",
        miss.rate * 100.0,
        miss.low * 100.0,
        miss.high * 100.0,
        miss.missed,
        miss.asked
    )
}

pub(crate) fn print_plan(context: &Context<'_>, planned: &Planned) -> anyhow::Result<()> {
    let summary = &planned.summary;
    if context.format() == Format::Json {
        #[derive(Serialize)]
        struct Answer<'a> {
            plan: &'a kenshin_survey::plan::SurveyPlan,
            summary: &'a kenshin_survey::plan::PlanSummary,
        }
        return print_json(&Answer { plan: &planned.plan, summary });
    }
    let messages = kenshin_observation::Messages::builtin();
    let mut text = format!(
        "mandate     {}\naddresses   {}\nports       {}\nexchanges   {} to {}\nduration    about {} (bound by the {} rate)\nslices      {}\nchecks      {}\n",
        planned.plan.mandate_id,
        thousands(summary.addresses),
        thousands(summary.ports),
        thousands(summary.exchanges),
        thousands(summary.exchanges_max),
        duration(summary.duration_s),
        summary.bound_by,
        thousands(summary.slices),
        planned.plan.checks.iter().map(|check| check.as_str()).collect::<Vec<_>>().join(", "),
    );
    for excluded in &summary.excluded {
        text.push_str(&format!("left out    {} ({})\n", excluded.addresses, excluded.reason));
    }
    for code in &summary.lost {
        text.push_str(&format!(
            "note        {}\n",
            messages.render(&context.language(), code, &Default::default())
        ));
    }
    text.push_str("nothing was sent\n");
    print_text(&text)
}

async fn list(context: &Context<'_>, observatory: &Observatory) -> anyhow::Result<Exit> {
    let items = observatory.casework().surveys(observatory.org(), None, &PageRequest::first()).await?.items;
    let none = items.is_empty();
    Rows {
        columns: &[
            "ID",
            "PROGRAMME",
            "ROUND",
            "KIND",
            "STATE",
            "CREATED",
            "TARGETS",
            "RESPONDERS",
            "FINDINGS",
        ],
        right: &[2, 6, 7, 8],
        items,
        cells: |survey: &Stored| {
            vec![
                survey.survey_id.to_string(),
                survey.programme.clone(),
                survey.round.to_string(),
                survey.kind.to_string(),
                survey.state.to_string(),
                survey.created_at.to_string(),
                thousands(survey.totals.targets_covered),
                thousands(survey.totals.responders),
                thousands(survey.totals.findings),
            ]
        },
    }
    .print(context.format())?;
    Ok(if none { Exit::No } else { Exit::Done })
}

async fn show(context: &Context<'_>, observatory: &Observatory, id: SurveyId) -> anyhow::Result<Exit> {
    let survey = observatory.casework().survey(observatory.org(), id).await?;
    if context.format() == Format::Json {
        print_json(&survey)?;
        return Ok(Exit::Done);
    }
    let time =
        |time: Option<kenshin_observation::TimeUs>| time.map_or_else(|| "-".to_owned(), |t| t.to_string());
    print_text(&format!(
        "survey      {}\nprogramme   {}, round {}\nkind        {}\nstate       {}{}\nmandate     {}\nstarted     {}\nended       {}\nassessed    {}\nnotified    {}\n{}",
        survey.survey_id,
        survey.programme,
        survey.round,
        survey.kind,
        survey.state,
        survey.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})")),
        survey.mandate_digest,
        time(survey.started_at),
        time(survey.ended_at),
        time(survey.assessed_at),
        time(survey.notified_at),
        super::report::totals_text(&survey.totals),
    ))?;
    // A progress of another version of this software may lack the figure.
    let miss = serde_json::from_value::<Progress>(survey.progress.clone()).ok().and_then(|p| p.miss);
    if let Some(miss) = miss.filter(|miss| miss.asked > 0) {
        print_text(&format!("missed      {}\n", missed(&miss)))?;
    }
    Ok(Exit::Done)
}

//! `case`: list, show, notify, ack, recheck, close.

use kenshin_casework::{CaseFilter, CaseState, PageRequest, Stage, SurveyKind};
use kenshin_observation::{CaseId, Decision};
use kenshin_observatory::{ActError, Observatory};
use serde::Serialize;

use super::{Context, prose, survey};
use crate::cli::{Case, Format};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text, visible};

pub(crate) async fn run(context: &Context<'_>, command: &Case) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let (casework, viewer, now) = (observatory.casework(), observatory.viewer(), observatory.now());
    let actor = Observatory::rule("command-line");
    match command {
        Case::List { stage, condition, sort, limit } => {
            let stage = stage
                .as_deref()
                .map(str::parse::<Stage>)
                .transpose()
                .map_err(|e| ActError::input(e.to_string()))?;
            let filter = CaseFilter { stage, condition: *condition, order: *sort, ..CaseFilter::default() };
            list(context, &observatory, &filter, *limit).await
        }
        Case::Show { id } => show(context, &observatory, *id).await,
        Case::Notify => {
            let done = observatory.notify(None).await?;
            if context.format() == Format::Json {
                print_json(&done)?;
            } else {
                print_text(&format!(
                    "notices sent      {}\nfailed            {}\nuncertain         {}\ncases told about  {}\nno addressee      {}\nsuppressed        {}\n",
                    done.sent,
                    done.failed,
                    done.uncertain,
                    done.queued.cases,
                    done.queued.no_addressee,
                    done.queued.suppressed
                ))?;
            }
            if done.uncertain > 0 {
                context.say(
                    "hint: an uncertain delivery is never sent again by itself; look at it in the dashboard",
                );
            }
            Ok(if done.failed + done.uncertain > 0 { Exit::Outside } else { Exit::Done })
        }
        Case::Ack { id, note } => {
            let state =
                casework.acknowledge_case(&viewer, *id, &actor, note, now).await.map_err(ActError::from)?;
            context.say(&format!("case {id} is {}", state.stage));
            Ok(Exit::Done)
        }
        Case::Close { id, reason, note } => {
            let reason = reason
                .parse()
                .map_err(|e: kenshin_observation::UnknownWord| ActError::input(e.to_string()))?;
            casework.close_case(&viewer, *id, &actor, reason, note, now).await.map_err(ActError::from)?;
            context.say(&format!("case {id} is closed: {reason}"));
            Ok(Exit::Done)
        }
        Case::Recheck { spec, id } => {
            let planned = observatory.plan_recheck(&survey::request(spec)?, id).await?;
            let stored = observatory.store_plan(&planned, SurveyKind::Recheck).await?;
            context.say(&format!(
                "re-check {}: {} addresses × {} ports",
                stored.survey_id, planned.summary.addresses, planned.summary.ports
            ));
            survey::execute(context, &observatory, stored.survey_id, None).await
        }
    }
}

/// A case and the most urgent of its findings.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    case: CaseState,
    priority: Option<Decision>,
}

async fn list(
    context: &Context<'_>,
    observatory: &Observatory,
    filter: &CaseFilter,
    limit: u32,
) -> anyhow::Result<Exit> {
    let page = PageRequest { after: None, limit };
    let found = observatory.casework().cases(&observatory.viewer(), filter, &page).await?;
    let none = found.items.is_empty();
    if found.next.is_some() {
        context.say(&format!("the first {limit} of more; raise --limit"));
    }
    let ids: Vec<CaseId> = found.items.iter().map(|case| case.case_id).collect();
    let priorities =
        observatory.casework().case_priorities(&observatory.viewer(), &ids).await.map_err(ActError::from)?;
    let listed = |case: CaseState| Listed { priority: priorities.get(&case.case_id).copied(), case };
    Rows {
        columns: &[
            "ID",
            "ENDPOINT",
            "REMEDY",
            "PRODUCT",
            "PRIORITY",
            "SEVERITY",
            "STAGE",
            "CONDITION",
            "REASON",
            "EPISODE",
            "OPENED",
        ],
        right: &[9],
        items: found.items.into_iter().map(listed).collect(),
        cells: |listed: &Listed| {
            let case = &listed.case;
            vec![
                case.case_id.to_string(),
                case.endpoint.to_string(),
                case.remedy.to_string(),
                case.product.clone().unwrap_or_else(|| "unknown".to_owned()),
                listed.priority.map_or_else(|| "-".to_owned(), |decision| decision.to_string()),
                case.severity.to_string(),
                case.stage.to_string(),
                case.condition.to_string(),
                case.close_reason.map_or_else(String::new, |reason| reason.to_string()),
                case.episode.to_string(),
                case.opened_at.to_string(),
            ]
        },
    }
    .print(context.format())?;
    Ok(if none { Exit::No } else { Exit::Done })
}

async fn show(context: &Context<'_>, observatory: &Observatory, id: CaseId) -> anyhow::Result<Exit> {
    let (casework, viewer) = (observatory.casework(), observatory.viewer());
    let state = casework.case(&viewer, id).await.map_err(ActError::from)?;
    let trail = casework.case_trail(&viewer, id).await?;
    if context.format() == Format::Json {
        print_json(&serde_json::json!({ "case": state, "trail": trail }))?;
        return Ok(Exit::Done);
    }
    let mut text = format!(
        "case       {}\nwhere      {} (first seen at {})\nproduct    {}\nremedy     {}\nseverity   {}\nstage      {}{}\ncondition  {}\nepisode    {}\nfindings   {}\n\ntrail\n",
        state.case_id,
        state.endpoint,
        state.subject.endpoint,
        visible(state.product.as_deref().unwrap_or("unknown")),
        state.remedy,
        state.severity,
        state.stage,
        state.close_reason.map_or_else(String::new, |reason| format!(" ({reason})")),
        state.condition,
        state.episode,
        state.findings.len(),
    );
    let language = context.language();
    for event in &trail {
        let change = serde_json::to_value(&event.change)?;
        let kind = change["kind"].as_str().unwrap_or("?").to_owned();
        let note = change["note"].as_str().or_else(|| change["reason"].as_str()).unwrap_or("");
        text.push_str(&format!("  {}  {:<18} {}  {}\n", event.at, kind, event.actor, visible(note)));
        if let kenshin_casework::CaseChange::Judged { judgement } = &event.change {
            text.push_str(&format!("      {}", judgement.condition));
            for reason in &judgement.reasons {
                text.push_str(&format!(": {}", prose(observatory.messages(), &language, reason)));
            }
            text.push('\n');
        }
    }
    print_text(&text)?;
    Ok(Exit::Done)
}

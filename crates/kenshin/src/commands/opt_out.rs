//! `opt-out`: list, accept, decline.

use kenshin_casework::{Actor, OptOutRequest, OptOutState, PageRequest};

use super::Context;
use crate::cli::OptOut;
use crate::exit::Exit;
use crate::output::{Rows, visible};

pub(crate) async fn run(context: &Context<'_>, command: &OptOut) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    let actor = Actor::rule("command-line");
    match command {
        OptOut::List { all } => {
            let state = (!all).then_some(OptOutState::Open);
            let found = observatory
                .casework()
                .opt_out_requests(observatory.org(), state, &PageRequest::first())
                .await?;
            let none = found.items.is_empty();
            Rows {
                columns: &["ID", "PREFIX", "STATE", "FROM", "CONTACT", "CREATED", "WORDS"],
                right: &[],
                items: found.items,
                cells: |request: &OptOutRequest| {
                    vec![
                        request.request_id.clone(),
                        request.asked.prefix.to_string(),
                        request.state.to_string(),
                        visible(&request.asked.from),
                        visible(&request.asked.contact),
                        request.created_at.to_string(),
                        visible(&request.asked.words),
                    ]
                },
            }
            .print(context.format())?;
            Ok(if none { Exit::No } else { Exit::Done })
        }
        OptOut::Accept { id, proof } => {
            let asked = observatory.decide_opt_out(id, Some(proof), &actor).await?;
            context.say(&format!("{} is left alone from now on, by every sensor", asked.prefix));
            Ok(Exit::Done)
        }
        OptOut::Decline { id } => {
            let asked = observatory.decide_opt_out(id, None, &actor).await?;
            context.say(&format!("{} is measured as before", asked.prefix));
            Ok(Exit::Done)
        }
    }
}

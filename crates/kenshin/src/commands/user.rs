//! `user`: who may sign in, and as what.

use kenshin_casework::{Limit, Role, User as Account};
use kenshin_observatory::AccountRequest;
use serde::Serialize;
use serde_json::json;

use super::Context;
use crate::cli::{Format, User};
use crate::exit::Exit;
use crate::output::{Rows, print_json, print_text, visible};

/// An account as it is listed.
#[derive(Serialize)]
struct Listed {
    login: String,
    name: String,
    role: Role,
    language: String,
    /// Names of the providers that its owner acts for.
    providers: Vec<String>,
    /// Ids of the mandates that it is limited to.
    mandates: Vec<String>,
    /// The community outside of the organisation that it is for.
    community: Option<String>,
    locked: bool,
}

pub(crate) async fn run(context: &Context<'_>, command: &User) -> anyhow::Result<Exit> {
    let observatory = context.open().await?;
    match command {
        User::Add(options) => {
            let request = AccountRequest {
                login: options.login.clone(),
                name: options.name.clone(),
                role: options.role,
                language: context.language(),
                providers: options.provider.clone(),
                limit: Limit { mandates: options.mandate.clone(), community: options.community.clone() },
            };
            if !request.limit.mandates.is_empty() {
                context.say("making the view of what these mandates brought, unless there is one");
            }
            let (account, password) = observatory.add_account(&request).await?;
            print_password(context, &account, &password)?;
        }
        User::List => {
            let names = observatory.names_of_providers().await?;
            let listed = |account: Account| Listed {
                providers: account
                    .providers
                    .iter()
                    .map(|id| names.get(id).cloned().unwrap_or_else(|| id.to_string()))
                    .collect(),
                login: account.login,
                name: account.name,
                role: account.role,
                language: account.language,
                mandates: account.mandates,
                community: account.community,
                locked: account.disabled,
            };
            Rows {
                columns: &["LOGIN", "NAME", "ROLE", "COMMUNITY", "LANGUAGE", "LIMITED TO", "STATE"],
                right: &[],
                items: observatory.accounts().await?.into_iter().map(listed).collect(),
                cells: |account: &Listed| {
                    let limits: Vec<&str> =
                        account.providers.iter().chain(&account.mandates).map(String::as_str).collect();
                    vec![
                        account.login.clone(),
                        account.name.clone(),
                        account.role.to_string(),
                        account.community.clone().unwrap_or_default(),
                        account.language.clone(),
                        limits.join(", "),
                        if account.locked { "locked" } else { "open" }.to_owned(),
                    ]
                },
            }
            .print(context.format())?;
        }
        User::Limit { login, mandate, community, all: _ } => {
            let limit = Limit { mandates: mandate.clone(), community: community.clone() };
            let account = observatory.limit_account(login, &limit).await?;
            let login = visible(&account.login);
            context.say(&match account.mandates.is_empty() {
                true => format!("`{login}` sees what every mandate brings"),
                false => format!("`{login}` sees what {} brings", account.mandates.join(", ")),
            });
        }
        User::Password { login } => {
            let (account, password) = observatory.reset_password(login).await?;
            print_password(context, &account, &password)?;
        }
        User::Lock { login } => {
            let account = observatory.lock_account(login, true).await?;
            context.say(&format!("nobody signs in as `{}` any more", visible(&account.login)));
        }
        User::Unlock { login } => {
            let account = observatory.lock_account(login, false).await?;
            context.say(&format!("`{}` may sign in", visible(&account.login)));
        }
    }
    Ok(Exit::Done)
}

fn print_password(context: &Context<'_>, account: &Account, password: &str) -> anyhow::Result<()> {
    match context.format() {
        Format::Json => print_json(&json!({ "account": account, "password": password }))?,
        _ => print_text(&format!(
            "login      {}\npassword   {password}   (shown once, kept nowhere)\n",
            visible(&account.login)
        ))?,
    }
    Ok(())
}

//! Who signs in: accounts are made, limited and locked by whoever runs the observatory.

use kenshin_casework::{ErrorKind, Limit, NewUser, PAGE_MAX, PageRequest, Role, User};
use kenshin_mandate::Mandate;
use kenshin_observation::ProviderId;
use serde_json::json;

use crate::Observatory;
use crate::error::ActError;

/// Most people that are listed.
const PEOPLE_PAGES_MAX: usize = 64;

/// An account to be made.
#[derive(Debug, Clone)]
pub struct AccountRequest {
    /// Name to sign in with.
    pub login: String,
    /// Name to show; that to sign in with when left out.
    pub name: Option<String>,
    /// What its owner may do.
    pub role: Role,
    /// Language of the user interface.
    pub language: String,
    /// Names of the providers that its owner acts for.
    pub providers: Vec<String>,
    /// What it is limited to.
    pub limit: Limit,
}

impl Observatory {
    /// Makes an account; gives it with its first password, which is kept nowhere. Then the view of the mandates
    /// that it is limited to is made, if there is none; where that fails, `serve` or a rebuild makes it.
    pub async fn add_account(&self, request: &AccountRequest) -> Result<(User, String), ActError> {
        let (casework, org) = (self.casework(), self.org());
        if request.role == Role::Provider && request.providers.is_empty() {
            return Err(ActError::input("an account of role `provider` acts for a provider")
                .with_hint("name it by --provider; `kenshin provider list` lists them"));
        }
        self.check_limit(&request.limit).await?;
        let password = casework.generate_password();
        let new = NewUser {
            login: request.login.clone(),
            name: request.name.clone().unwrap_or_else(|| request.login.clone()),
            role: request.role,
            language: request.language.clone(),
            password: password.clone(),
            must_change: true,
            providers: self.providers_named(&request.providers).await?,
            limit: request.limit.clone(),
        };
        let user = casework.add_user(org, &new, self.now()).await?;
        let detail = json!({ "login": user.login, "role": user.role, "providers": request.providers, "mandates": user.mandates, "community": user.community });
        self.account_audit("account.add", &user, &detail).await?;
        if let Err(error) = self.renew_view().await {
            // The account is there, and its password is told this once.
            tracing::warn!(%error, login = %user.login, "what the account may see is not made yet");
        }
        Ok((user, password))
    }

    /// Limits an account, or lets it see everything again.
    pub async fn limit_account(&self, login: &str, limit: &Limit) -> Result<User, ActError> {
        self.check_limit(limit).await?;
        let user = self.casework().user_named(self.org(), login).await?;
        let user = self.casework().limit_user(self.org(), user.user_id, limit).await?;
        self.account_audit(
            "account.limit",
            &user,
            &json!({ "mandates": user.mandates, "community": user.community }),
        )
        .await?;
        self.renew_view().await?;
        Ok(user)
    }

    /// Gives an account a new password, which is kept nowhere, and ends its sessions.
    pub async fn reset_password(&self, login: &str) -> Result<(User, String), ActError> {
        let user = self.casework().user_named(self.org(), login).await?;
        let password = self.casework().generate_password();
        self.casework().set_password(self.org(), user.user_id, &password, true).await?;
        self.account_audit("account.password", &user, &json!({})).await?;
        Ok((user, password))
    }

    /// Locks an account, which ends its sessions, or opens it again.
    pub async fn lock_account(&self, login: &str, locked: bool) -> Result<User, ActError> {
        let user = self.casework().user_named(self.org(), login).await?;
        self.casework().disable_user(self.org(), user.user_id, locked, self.now()).await?;
        let action = if locked { "account.lock" } else { "account.unlock" };
        self.account_audit(action, &user, &json!({})).await?;
        // Locked, it needs no view; opened again, it does.
        self.renew_view().await?;
        Ok(self.casework().user(self.org(), user.user_id).await?)
    }

    /// All accounts, oldest first.
    pub async fn accounts(&self) -> Result<Vec<User>, ActError> {
        let (mut users, mut request) = (Vec::new(), Some(PageRequest { after: None, limit: PAGE_MAX }));
        for _ in 0..PEOPLE_PAGES_MAX {
            let Some(wanted) = request.take() else { break };
            let found = self.casework().users(self.org(), &wanted).await?;
            request = PageRequest::following(&found).map(|next| PageRequest { limit: PAGE_MAX, ..next });
            users.extend(found.items);
        }
        Ok(users)
    }

    async fn account_audit(
        &self,
        action: &str,
        user: &User,
        detail: &serde_json::Value,
    ) -> Result<(), ActError> {
        let actor = Self::rule("command-line");
        let object = user.user_id.to_string();
        Ok(self.casework().audit(self.org(), &actor, action, &object, detail, self.now()).await?)
    }

    /// The first of these mandates that has no legal basis to share with a community, in its newest version.
    pub(crate) async fn cannot_be_shared(&self, ids: &[String]) -> Result<Option<String>, ActError> {
        for id in ids {
            let record = self.casework().newest_mandate(self.org(), id).await?;
            let mandate = Mandate::parse(id, &record.text)
                .map_err(|invalid| ActError::outside("a registered mandate cannot be read", invalid))?;
            if mandate.legal_basis.share.is_none() {
                return Ok(Some(id.clone()));
            }
        }
        Ok(None)
    }

    async fn check_limit(&self, limit: &Limit) -> Result<(), ActError> {
        for id in &limit.mandates {
            if let Err(error) = self.casework().newest_mandate(self.org(), id).await {
                let unknown = error.kind() == ErrorKind::NotFound;
                return Err(match unknown {
                    true => ActError::input(format!("there is no mandate `{id}`"))
                        .with_hint("`kenshin mandate list` lists those that are known"),
                    false => error.into(),
                });
            }
        }
        let unlawful = match &limit.community {
            Some(_) => self.cannot_be_shared(&limit.mandates).await?,
            None => None,
        };
        match unlawful {
            Some(id) => {
                Err(ActError::no(format!("mandate `{id}` has no legal basis to share with a community"))
                    .with_hint("its authority states one as `share` under [legal_basis]"))
            }
            None => Ok(()),
        }
    }

    async fn providers_named(&self, names: &[String]) -> Result<Vec<ProviderId>, ActError> {
        let known = if names.is_empty() { Vec::new() } else { self.all_providers().await? };
        let one = |name: &String| {
            let found = known.iter().find(|provider| provider.name == *name);
            found.map(|provider| provider.provider_id).ok_or_else(|| {
                ActError::input(format!("there is no provider `{name}`"))
                    .with_hint("`kenshin provider list` lists those that are known")
            })
        };
        names.iter().map(one).collect()
    }
}

//! Organisations, people, passwords and sessions.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use kenshin_observation::{OrgId, ProviderId, TimeUs, UserId};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::error::{CaseworkError, Result};
use crate::page::{Page, PageRequest};
use crate::store::{Casework, Columns, Compose, Value, digest, query};
use crate::viewer::{Role, Viewer};

mod limits;

use limits::limit_in;
pub use limits::{Limit, MandateLimit};

/// Shortest password accepted, in characters.
pub const PASSWORD_MIN: usize = 10;
/// Longest password accepted, in bytes: hashing is work that strangers can ask for.
pub const PASSWORD_MAX: usize = 1024;

/// An organisation that runs an observatory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Org {
    /// Its id.
    pub org_id: OrgId,
    /// Its name.
    pub name: String,
    /// Since when.
    pub created_at: TimeUs,
}

/// A person to be added.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Name to sign in with, unique.
    pub login: String,
    /// Name to show.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Language of the user interface, e.g. `ja`.
    pub language: String,
    /// First password.
    pub password: String,
    /// True when somebody else chose the password.
    pub must_change: bool,
    /// For [`Role::Provider`]: the providers they act for.
    pub providers: Vec<ProviderId>,
    /// What an analyst is limited to; nothing limits the others.
    pub limit: Limit,
}

/// A person who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Their id.
    pub user_id: UserId,
    /// Their organisation.
    pub org_id: OrgId,
    /// Name to sign in with.
    pub login: String,
    /// Name to show.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Language of the user interface.
    pub language: String,
    /// True when the password was given by somebody else and not changed yet.
    pub must_change: bool,
    /// True when they cannot sign in any more.
    pub disabled: bool,
    /// Providers they act for.
    pub providers: Vec<ProviderId>,
    /// Mandates whose observations are all that they see, in order; all when there are none.
    pub mandates: Vec<String>,
    /// The community outside of the organisation that they belong to.
    pub community: Option<String>,
}

impl User {
    /// As whom they look at rows.
    pub fn viewer(&self) -> Viewer {
        Viewer {
            org: self.org_id,
            role: self.role,
            providers: self.providers.clone(),
            mandates: self.mandates.clone(),
            community: self.community.clone(),
        }
    }
}

/// A session that has just begun. The token is told once and never stored.
#[derive(Clone)]
pub struct SignedIn {
    /// Goes into the session cookie.
    pub token: String,
    /// Goes into the `X-CSRF-Token` header of every change.
    pub csrf: String,
    /// When it ends.
    pub expires_at: TimeUs,
    /// Who.
    pub user: User,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A session that is valid now.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who.
    pub user: User,
    /// The token changes must carry.
    pub csrf: String,
    /// When it ends.
    pub expires_at: TimeUs,
}

impl Casework {
    /// Adds an organisation.
    pub async fn add_org(&self, name: &str, now: TimeUs) -> Result<Org> {
        if name.trim().is_empty() {
            return Err(CaseworkError::Input("an organisation needs a name".into()));
        }
        let org = Org { org_id: OrgId::new(now, self.random()), name: name.to_owned(), created_at: now };
        let mut tx = self.begin().await?;
        tx.run(
            query("INSERT INTO org (org_id, name, created_us) VALUES ($1, $2, $3)")
                .bind(org.org_id.to_string())
                .bind(org.name.clone())
                .bind(now.micros()),
        )
        .await?;
        tx.run(
            query("INSERT INTO audit_head (org_id, seq, hash) VALUES ($1, 0, '')")
                .bind(org.org_id.to_string()),
        )
        .await?;
        tx.commit().await?;
        Ok(org)
    }

    /// All organisations, oldest first.
    pub async fn orgs(&self) -> Result<Vec<Org>> {
        let rows = self.rows(query("SELECT * FROM org ORDER BY org_id")).await?;
        rows.iter()
            .map(|row| {
                Ok(Org {
                    org_id: row.word("org_id")?,
                    name: row.text("name")?,
                    created_at: row.time("created_us")?,
                })
            })
            .collect()
    }

    /// Adds a person.
    pub async fn add_user(&self, org: OrgId, new: &NewUser, now: TimeUs) -> Result<User> {
        if new.login.is_empty()
            || new.login.len() > 100
            || new.login.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            return Err(CaseworkError::Input(
                "a login has 1 to 100 characters, none of them spaces or control characters".into(),
            ));
        }
        new.limit.check(new.role)?;
        if !new.providers.is_empty() && new.role != Role::Provider {
            return Err(CaseworkError::Input(format!("role `{}` does not act for a provider", new.role)));
        }
        let hash = self.hash_password(&new.password).await?;
        let user_id = UserId::new(now, self.random());
        let mut tx = self.begin().await?;
        let added = tx
            .run(
                query(
                    "INSERT INTO user_account (user_id, org_id, login, name, role, language, password_hash, must_change, disabled_us, created_us, community)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, $9, $10) ON CONFLICT (login) DO NOTHING",
                )
                .bind(user_id.to_string())
                .bind(org.to_string())
                .bind(new.login.clone())
                .bind(new.name.clone())
                .bind(new.role.as_str())
                .bind(new.language.clone())
                .bind(hash)
                .bind(i64::from(new.must_change))
                .bind(now.micros())
                .bind(new.limit.community.clone()),
            )
            .await?;
        if added == 0 {
            return Err(CaseworkError::Conflict(format!("the login `{}` is taken", new.login)));
        }
        for provider in &new.providers {
            tx.run(
                query("INSERT INTO user_provider (org_id, user_id, provider_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
                    .bind(org.to_string())
                    .bind(user_id.to_string())
                    .bind(provider.to_string()),
            )
            .await?;
        }
        limit_in(&mut tx, org, user_id, &new.limit.mandates).await?;
        tx.commit().await?;
        self.user(org, user_id).await
    }

    /// One person.
    pub async fn user(&self, org: OrgId, id: UserId) -> Result<User> {
        let row = self
            .maybe(
                query("SELECT * FROM user_account WHERE org_id = $1 AND user_id = $2")
                    .bind(org.to_string())
                    .bind(id.to_string()),
            )
            .await?
            .ok_or_else(|| CaseworkError::not_found("user", id))?;
        self.user_of(&row).await
    }

    /// The person who signs in by this name.
    pub async fn user_named(&self, org: OrgId, login: &str) -> Result<User> {
        let row = self
            .maybe(
                query("SELECT * FROM user_account WHERE org_id = $1 AND login = $2")
                    .bind(org.to_string())
                    .bind(login.to_owned()),
            )
            .await?
            .ok_or_else(|| CaseworkError::not_found("user", login))?;
        self.user_of(&row).await
    }

    /// The people of an organisation.
    pub async fn users(&self, org: OrgId, page: &PageRequest) -> Result<Page<User>> {
        let mut compose = Compose::new("SELECT * FROM user_account WHERE 1 = 1");
        compose.push(" AND org_id = ?", [org.to_string()]);
        if let Some(after) = &page.after {
            compose.push(" AND user_id > ?", [after.clone()]);
        }
        compose.push(" ORDER BY user_id LIMIT ?", [Value::Int(page.fetch())]);
        let mut users = Vec::new();
        for row in self.rows(compose.finish()).await? {
            users.push(self.user_of(&row).await?);
        }
        Ok(Page::of(users, page, |user| user.user_id.to_string()))
    }

    /// Sets a new password and ends every session of the person.
    pub async fn set_password(
        &self,
        org: OrgId,
        id: UserId,
        password: &str,
        must_change: bool,
    ) -> Result<()> {
        let hash = self.hash_password(password).await?;
        let mut tx = self.begin().await?;
        let changed = tx
            .run(
                query("UPDATE user_account SET password_hash = $1, must_change = $2 WHERE org_id = $3 AND user_id = $4")
                    .bind(hash)
                    .bind(i64::from(must_change))
                    .bind(org.to_string())
                    .bind(id.to_string()),
            )
            .await?;
        if changed == 0 {
            return Err(CaseworkError::not_found("user", id));
        }
        tx.run(query("DELETE FROM session WHERE user_id = $1").bind(id.to_string())).await?;
        tx.commit().await
    }

    /// Forbids or allows a person to sign in; forbidding ends every session.
    pub async fn disable_user(&self, org: OrgId, id: UserId, disabled: bool, now: TimeUs) -> Result<()> {
        let mut tx = self.begin().await?;
        let changed = tx
            .run(
                query("UPDATE user_account SET disabled_us = $1 WHERE org_id = $2 AND user_id = $3")
                    .bind(disabled.then_some(now.micros()))
                    .bind(org.to_string())
                    .bind(id.to_string()),
            )
            .await?;
        if changed == 0 {
            return Err(CaseworkError::not_found("user", id));
        }
        tx.run(query("DELETE FROM session WHERE user_id = $1").bind(id.to_string())).await?;
        tx.commit().await
    }

    /// Sets the language of a person's user interface.
    pub async fn set_language(&self, org: OrgId, id: UserId, language: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.run(
            query("UPDATE user_account SET language = $1 WHERE org_id = $2 AND user_id = $3")
                .bind(language.to_owned())
                .bind(org.to_string())
                .bind(id.to_string()),
        )
        .await?;
        tx.commit().await
    }

    /// Begins a session when login and password fit; `None` when they do not. Takes as long for a
    /// login that does not exist.
    pub async fn sign_in(
        &self,
        login: &str,
        password: &str,
        now: TimeUs,
        for_secs: i64,
    ) -> Result<Option<SignedIn>> {
        // The hash of nothing anyone knows, with today's parameters.
        const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let row =
            self.maybe(query("SELECT * FROM user_account WHERE login = $1").bind(login.to_owned())).await?;
        let hash = match &row {
            Some(row) => row.text("password_hash")?,
            None => NOBODY.to_owned(),
        };
        let fits = verify_password(password.to_owned(), hash).await?;
        let Some(row) = row.filter(|_| fits) else { return Ok(None) };
        let user = self.user_of(&row).await?;
        if user.disabled {
            return Ok(None);
        }
        let signed_in =
            SignedIn { token: self.secret(), csrf: self.secret(), expires_at: now.plus_secs(for_secs), user };
        let mut tx = self.begin().await?;
        tx.run(query("DELETE FROM session WHERE expires_us <= $1").bind(now.micros())).await?;
        tx.run(
            query("INSERT INTO session (token_sha256, org_id, user_id, csrf, created_us, expires_us) VALUES ($1, $2, $3, $4, $5, $6)")
                .bind(digest(&signed_in.token))
                .bind(signed_in.user.org_id.to_string())
                .bind(signed_in.user.user_id.to_string())
                .bind(signed_in.csrf.clone())
                .bind(now.micros())
                .bind(signed_in.expires_at.micros()),
        )
        .await?;
        tx.commit().await?;
        Ok(Some(signed_in))
    }

    /// The session a token belongs to, if it is valid now.
    pub async fn session(&self, token: &str, now: TimeUs) -> Result<Option<Session>> {
        let row = self
            .maybe(
                query(
                    "SELECT u.*, s.csrf AS csrf, s.expires_us AS expires_us FROM session s JOIN user_account u ON u.user_id = s.user_id
                     WHERE s.token_sha256 = $1 AND s.expires_us > $2 AND u.disabled_us IS NULL",
                )
                .bind(digest(token))
                .bind(now.micros()),
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Session {
            user: self.user_of(&row).await?,
            csrf: row.text("csrf")?,
            expires_at: row.time("expires_us")?,
        }))
    }

    /// Ends a session.
    pub async fn sign_out(&self, token: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.run(query("DELETE FROM session WHERE token_sha256 = $1").bind(digest(token))).await?;
        tx.commit().await
    }

    /// A password to print once: 20 characters without look-alikes, about 100 bits.
    pub fn generate_password(&self) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let mut bits = self.random();
        let mut password = String::with_capacity(24);
        for i in 0..20 {
            if i > 0 && i % 5 == 0 {
                password.push('-');
            }
            password.push(char::from(LETTERS[(bits & 31) as usize]));
            bits >>= 5;
        }
        password
    }

    async fn hash_password(&self, password: &str) -> Result<String> {
        if password.chars().count() < PASSWORD_MIN || password.len() > PASSWORD_MAX {
            return Err(CaseworkError::Input(format!(
                "a password has {PASSWORD_MIN} characters at least and {PASSWORD_MAX} bytes at most"
            )));
        }
        let salt = self.random().to_be_bytes();
        let password = password.to_owned();
        blocking(move || {
            argon2::Argon2::default()
                .hash_password_with_salt(password.as_bytes(), &salt)
                .map(|hash: PasswordHash| hash.to_string())
                .map_err(|error| CaseworkError::Corrupt {
                    column: "password_hash".into(),
                    source: Box::new(error),
                })
        })
        .await
    }

    async fn user_of(&self, row: &AnyRow) -> Result<User> {
        let user_id: UserId = row.word("user_id")?;
        let providers = self
            .rows(
                query("SELECT provider_id FROM user_provider WHERE user_id = $1 ORDER BY provider_id")
                    .bind(user_id.to_string()),
            )
            .await?;
        let mandates = self
            .rows(
                query("SELECT mandate_id FROM user_mandate WHERE user_id = $1 ORDER BY mandate_id")
                    .bind(user_id.to_string()),
            )
            .await?;
        Ok(User {
            user_id,
            org_id: row.word("org_id")?,
            login: row.text("login")?,
            name: row.text("name")?,
            role: row.word("role")?,
            language: row.text("language")?,
            must_change: row.int("must_change")? != 0,
            disabled: row.maybe_int("disabled_us")?.is_some(),
            providers: providers.iter().map(|row| row.word("provider_id")).collect::<Result<_>>()?,
            mandates: mandates.iter().map(|row| row.text("mandate_id")).collect::<Result<_>>()?,
            community: row.maybe_text("community")?,
        })
    }
}

async fn verify_password(password: String, hash: String) -> Result<bool> {
    if password.len() > PASSWORD_MAX {
        return Ok(false);
    }
    blocking(move || {
        let hash = PasswordHash::new(&hash).map_err(|error| CaseworkError::Corrupt {
            column: "password_hash".into(),
            source: Box::new(error),
        })?;
        Ok(argon2::Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    })
    .await
}

/// Hashing takes tens of milliseconds on purpose: never on an async worker.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

//! Accounts that see a part of what the organisation knows.

use std::collections::{BTreeMap, BTreeSet};

use kenshin_observation::{OrgId, UserId};

use super::User;
use crate::error::{CaseworkError, Result};
use crate::store::{Casework, Columns, Tx, query};
use crate::viewer::Role;

/// What an account is limited to. Only analysts can be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limit {
    /// Ids of the mandates whose observations are all that is seen; all when there are none.
    pub mandates: Vec<String>,
    /// The community outside of the organisation that the account is for, if it is: then there are mandates,
    /// and of what they brought as much is seen as labels let communities see.
    pub community: Option<String>,
}

/// A part of what mandates bring that accounts are limited to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MandateLimit {
    /// Ids of the mandates, in order; one at least.
    pub mandates: Vec<String>,
    /// Only what communities may see.
    pub shared: bool,
}

impl Limit {
    pub(super) fn check(&self, role: Role) -> Result<()> {
        let name = self.community.as_deref();
        if name.is_some_and(|name| name.trim().is_empty() || name.chars().any(char::is_control)) {
            return Err(CaseworkError::Input("a community has a name".into()));
        }
        if name.is_some() && self.mandates.is_empty() {
            return Err(CaseworkError::Input(
                "what a community sees is shared under mandates: name them".into(),
            ));
        }
        match role {
            _ if self.mandates.is_empty() => Ok(()),
            Role::Analyst => Ok(()),
            _ => Err(CaseworkError::Input(format!(
                "role `{role}` cannot be limited to mandates, only `{}` can: the work of the others is about all of them",
                Role::Analyst
            ))),
        }
    }
}

impl Casework {
    /// Limits an analyst, or lets them see everything again. Sessions go on, as far as they may.
    pub async fn limit_user(&self, org: OrgId, id: UserId, limit: &Limit) -> Result<User> {
        limit.check(self.user(org, id).await?.role)?;
        let mut tx = self.begin().await?;
        tx.run(
            query("UPDATE user_account SET community = $1 WHERE org_id = $2 AND user_id = $3")
                .bind(limit.community.clone())
                .bind(org.to_string())
                .bind(id.to_string()),
        )
        .await?;
        tx.run(
            query("DELETE FROM user_mandate WHERE org_id = $1 AND user_id = $2")
                .bind(org.to_string())
                .bind(id.to_string()),
        )
        .await?;
        limit_in(&mut tx, org, id, &limit.mandates).await?;
        tx.commit().await?;
        self.user(org, id).await
    }

    /// To what accounts that can sign in are limited: each once.
    pub async fn mandate_limits(&self, org: OrgId) -> Result<Vec<MandateLimit>> {
        let rows = self
            .rows(
                query(
                    "SELECT m.user_id AS user_id, m.mandate_id AS mandate_id, u.community AS community FROM user_mandate m
                     JOIN user_account u ON u.user_id = m.user_id
                     WHERE m.org_id = $1 AND u.disabled_us IS NULL ORDER BY m.user_id, m.mandate_id",
                )
                .bind(org.to_string()),
            )
            .await?;
        let mut of_user: BTreeMap<String, MandateLimit> = BTreeMap::new();
        for row in &rows {
            let shared = row.maybe_text("community")?.is_some();
            let limit = of_user.entry(row.text("user_id")?);
            let limit = limit.or_insert(MandateLimit { mandates: Vec::new(), shared });
            limit.mandates.push(row.text("mandate_id")?);
        }
        Ok(of_user.into_values().collect::<BTreeSet<_>>().into_iter().collect())
    }
}

pub(super) async fn limit_in(tx: &mut Tx, org: OrgId, id: UserId, mandates: &[String]) -> Result<()> {
    for mandate in mandates {
        tx.run(
            query("INSERT INTO user_mandate (org_id, user_id, mandate_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
                .bind(org.to_string())
                .bind(id.to_string())
                .bind(mandate.clone()),
        )
        .await?;
    }
    Ok(())
}

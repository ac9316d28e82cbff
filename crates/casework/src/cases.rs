//! Cases: one remedy needed on one asset. The trail of events is the truth; every other table is
//! a projection of it, written by one function and rebuilt by the same.

use std::collections::BTreeMap;

use kenshin_observation::{
    AssetId, CaseId, Condition, Decision, OrgId, Prefix, ProviderId, Remedy, Severity, TimeUs,
};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::audit::audit_in;
use crate::error::{CaseworkError, Result};
use crate::findings::readdress_findings;
use crate::page::{Order, Page, PageRequest, after_urgent, decision, urgent_key};
use crate::providers::ProviderMap;
use crate::state::{Actor, CaseChange, CaseEvent, CaseState, CloseReason, ReopenCause, Stage};
use crate::store::{Casework, Columns, Compose, Tx, Value, addr_text, json, query, storable};
use crate::viewer::Viewer;

/// Which cases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CaseFilter {
    /// At this stage.
    pub stage: Option<Stage>,
    /// True: only those not closed.
    pub not_closed: bool,
    /// In this condition.
    pub condition: Option<Condition>,
    /// Closed for this reason.
    pub close_reason: Option<CloseReason>,
    /// With this remedy.
    pub remedy: Option<Remedy>,
    /// Of this severity.
    pub severity: Option<Severity>,
    /// Of this provider.
    pub provider: Option<ProviderId>,
    /// On this asset.
    pub asset: Option<AssetId>,
    /// Where it is now lies in this prefix.
    pub prefix: Option<Prefix>,
    /// Told about in this notice.
    pub notice: Option<kenshin_observation::NoticeId>,
    /// In which order.
    pub order: Order,
}

/// The most urgent of a case's findings; it is theirs, and no part of the trail.
macro_rules! priority {
    () => {
        "(SELECT MAX(f.priority) FROM case_finding cf JOIN finding f ON f.org_id = cf.org_id AND f.finding_key = cf.finding_key WHERE cf.case_id = c.case_id)"
    };
}

impl Casework {
    /// One case.
    pub async fn case(&self, viewer: &Viewer, id: CaseId) -> Result<CaseState> {
        let mut compose = Compose::new("SELECT c.state FROM case_state c WHERE 1 = 1");
        compose.push(" AND c.org_id = ? AND c.case_id = ?", [viewer.org.to_string(), id.to_string()]);
        viewer.restrict(&mut compose, " AND c.provider_id IN ");
        let row = self.maybe(compose.finish()).await?.ok_or_else(|| CaseworkError::not_found("case", id))?;
        row.json("state")
    }

    /// How urgent each of these cases is: the most urgent of its findings. Cases without a priority,
    /// and those that `viewer` may not see, are left out.
    pub async fn case_priorities(
        &self,
        viewer: &Viewer,
        cases: &[CaseId],
    ) -> Result<BTreeMap<CaseId, Decision>> {
        let mut compose = Compose::new(concat!(
            "SELECT c.case_id, ",
            priority!(),
            " AS priority FROM case_state c WHERE 1 = 1"
        ));
        compose.push(" AND c.org_id = ?", [viewer.org.to_string()]);
        viewer.restrict(&mut compose, " AND c.provider_id IN ");
        compose.push_list(" AND c.case_id IN ", cases.iter().map(ToString::to_string).collect());
        let rows = self.rows(compose.finish()).await?;
        let found = rows.iter().map(|row| Ok((row.word("case_id")?, decision(row.maybe_int("priority")?))));
        let found: Vec<(CaseId, Option<Decision>)> = found.collect::<Result<_>>()?;
        Ok(found.into_iter().filter_map(|(case, decision)| Some((case, decision?))).collect())
    }

    /// Cases, newest first unless the filter says otherwise.
    pub async fn cases(
        &self,
        viewer: &Viewer,
        filter: &CaseFilter,
        page: &PageRequest,
    ) -> Result<Page<CaseState>> {
        let urgent = filter.order == Order::Priority;
        let mut compose = Compose::new(if urgent {
            concat!(
                "SELECT c.state, c.priority FROM (SELECT c.*, COALESCE(",
                priority!(),
                ", -1) AS priority FROM case_state c) c WHERE 1 = 1"
            )
        } else {
            "SELECT c.state FROM case_state c WHERE 1 = 1"
        });
        compose.push(" AND c.org_id = ?", [viewer.org.to_string()]);
        viewer.restrict(&mut compose, " AND c.provider_id IN ");
        let words = [
            (" AND c.stage = ?", filter.stage.map(|v| v.to_string())),
            (" AND c.condition = ?", filter.condition.map(|v| v.to_string())),
            (" AND c.close_reason = ?", filter.close_reason.map(|v| v.to_string())),
            (" AND c.remedy = ?", filter.remedy.map(|v| v.to_string())),
            (" AND c.severity = ?", filter.severity.map(|v| v.to_string())),
            (" AND c.provider_id = ?", filter.provider.map(|v| v.to_string())),
            (" AND c.asset_id = ?", filter.asset.map(|v| v.to_string())),
            (
                " AND c.case_id IN (SELECT case_id FROM notice_case WHERE notice_id = ?)",
                filter.notice.map(|v| v.to_string()),
            ),
            (" AND c.case_id < ?", page.after.clone().filter(|_| !urgent)),
        ];
        for (text, value) in words {
            if let Some(value) = value {
                compose.push(text, [value]);
            }
        }
        if filter.not_closed {
            compose.text(" AND c.stage <> 'closed'");
        }
        if let Some(prefix) = filter.prefix {
            compose.push(
                " AND c.addr >= ? AND c.addr <= ?",
                [addr_text(prefix.base()), addr_text(prefix.last())],
            );
        }
        if urgent {
            let text = " AND (c.priority < ? OR (c.priority = ? AND c.case_id < ?))";
            after_urgent(&mut compose, text, page.after.as_deref());
        }
        compose.text(if urgent {
            " ORDER BY c.priority DESC, c.case_id DESC"
        } else {
            " ORDER BY c.case_id DESC"
        });
        compose.push(" LIMIT ?", [Value::Int(page.fetch())]);
        let rows = self.rows(compose.finish()).await?;
        let listed = rows.iter().map(|row| {
            let rank = if urgent { row.maybe_int("priority")? } else { None };
            Ok((row.json::<CaseState>("state")?, decision(rank)))
        });
        let listed = listed.collect::<Result<Vec<_>>>()?;
        let page = Page::of(listed, page, |(case, decision)| {
            let id = case.case_id.to_string();
            if urgent { urgent_key(*decision, &id) } else { id }
        });
        Ok(Page { items: page.items.into_iter().map(|(case, _)| case).collect(), next: page.next })
    }

    /// The trail of a case, oldest first.
    pub async fn case_trail(&self, viewer: &Viewer, id: CaseId) -> Result<Vec<CaseEvent>> {
        self.case(viewer, id).await?;
        let rows = self
            .rows(
                query("SELECT * FROM case_event WHERE org_id = $1 AND case_id = $2 ORDER BY seq")
                    .bind(viewer.org.to_string())
                    .bind(id.to_string()),
            )
            .await?;
        rows.iter().map(event).collect()
    }

    /// Appends one event that `viewer` may cause, with its trace in the audit trail. Refused when
    /// the state machine refuses.
    pub async fn change_case(
        &self,
        viewer: &Viewer,
        id: CaseId,
        actor: &Actor,
        change: CaseChange,
        now: TimeUs,
    ) -> Result<CaseState> {
        self.case(viewer, id).await?;
        let mut tx = self.begin().await?;
        let detail = serde_json::to_value(&change).unwrap_or_default();
        let state = append(&mut tx, viewer.org, id, actor, change, now).await?;
        let action = format!("case.{}", detail["kind"].as_str().unwrap_or("change"));
        audit_in(&mut tx, viewer.org, actor, &action, &id.to_string(), &detail, now).await?;
        tx.commit().await?;
        Ok(state)
    }

    /// Somebody cares for the case.
    pub async fn acknowledge_case(
        &self,
        viewer: &Viewer,
        id: CaseId,
        actor: &Actor,
        note: &str,
        now: TimeUs,
    ) -> Result<CaseState> {
        self.change_case(viewer, id, actor, CaseChange::Acknowledged { note: note.to_owned() }, now).await
    }

    /// Closes a case by a person's decision.
    pub async fn close_case(
        &self,
        viewer: &Viewer,
        id: CaseId,
        actor: &Actor,
        reason: CloseReason,
        note: &str,
        now: TimeUs,
    ) -> Result<CaseState> {
        self.change_case(viewer, id, actor, CaseChange::Closed { reason, note: note.to_owned() }, now).await
    }

    /// Computes every projection anew from the trail. Gives the number of cases.
    pub async fn rebuild_projections(&self, org: OrgId) -> Result<u64> {
        let mut tx = self.begin().await?;
        for text in [
            "DELETE FROM case_state WHERE org_id = $1",
            "DELETE FROM case_finding WHERE org_id = $1",
            "DELETE FROM case_judgement WHERE org_id = $1",
            "DELETE FROM case_episode WHERE org_id = $1",
        ] {
            tx.run(query(text).bind(org.to_string())).await?;
        }
        let (mut cases, mut after) = (0, String::new());
        loop {
            let row = tx
                .maybe(
                    query(
                        "SELECT MIN(case_id) AS case_id FROM case_event WHERE org_id = $1 AND case_id > $2",
                    )
                    .bind(org.to_string())
                    .bind(after.clone()),
                )
                .await?;
            let Some(id) = row.map(|row| row.maybe_text("case_id")).transpose()?.flatten() else { break };
            let rows = tx
                .rows(query("SELECT * FROM case_event WHERE case_id = $1 ORDER BY seq").bind(id.clone()))
                .await?;
            let mut state: Option<CaseState> = None;
            for row in &rows {
                let event = event(row)?;
                let next = match &state {
                    None => CaseState::open(&event),
                    Some(state) => state.apply(&event),
                };
                let next = next.map_err(|refusal| CaseworkError::Refused { case: id.clone(), refusal })?;
                project(&mut tx, org, state.as_ref(), &event, &next).await?;
                state = Some(next);
            }
            (cases, after) = (cases + 1, id);
        }
        tx.commit().await?;
        Ok(cases)
    }

    /// Gives every case, finding and asset the addressee that `map` states.
    pub(crate) async fn readdress_in(
        &self,
        tx: &mut Tx,
        org: OrgId,
        map: &ProviderMap,
        actor: &Actor,
        now: TimeUs,
    ) -> Result<usize> {
        readdress_findings(tx, org, map).await?;
        let rows = tx
            .rows(
                query("SELECT state FROM case_state WHERE org_id = $1 AND (stage <> 'closed' OR close_reason = 'no-addressee') ORDER BY case_id")
                    .bind(org.to_string()),
            )
            .await?;
        let mut changed = 0;
        for row in rows {
            let state: CaseState = row.json("state")?;
            let provider = map.find(state.endpoint.addr);
            if provider == state.provider {
                continue;
            }
            changed += 1;
            append(tx, org, state.case_id, actor, CaseChange::Addressed { provider }, now).await?;
            if state.close_reason == Some(CloseReason::NoAddressee) && provider.is_some() {
                let change = CaseChange::Reopened { cause: ReopenCause::AddresseeFound, note: String::new() };
                append(tx, org, state.case_id, actor, change, now).await?;
            }
        }
        Ok(changed)
    }
}

/// Opens a case: the first event of a trail.
pub(crate) async fn open(
    tx: &mut Tx,
    org: OrgId,
    id: CaseId,
    actor: &Actor,
    change: CaseChange,
    now: TimeUs,
) -> Result<CaseState> {
    let event = CaseEvent { case_id: id, seq: 1, at: now, actor: actor.clone(), change };
    let state = CaseState::open(&event).map_err(|refusal| refused(id, refusal))?;
    insert(tx, org, &event).await?;
    project(tx, org, None, &event, &state).await?;
    Ok(state)
}

/// Appends one event to a trail and projects it.
pub(crate) async fn append(
    tx: &mut Tx,
    org: OrgId,
    id: CaseId,
    actor: &Actor,
    change: CaseChange,
    now: TimeUs,
) -> Result<CaseState> {
    // The update locks the case: two appends at once get two numbers, the second sees the first.
    let row = tx
        .maybe(
            query("UPDATE case_state SET seq = seq WHERE org_id = $1 AND case_id = $2 RETURNING state")
                .bind(org.to_string())
                .bind(id.to_string()),
        )
        .await?
        .ok_or_else(|| CaseworkError::not_found("case", id))?;
    let state: CaseState = row.json("state")?;
    let event = CaseEvent { case_id: id, seq: state.seq + 1, at: now, actor: actor.clone(), change };
    let next = state.apply(&event).map_err(|refusal| refused(id, refusal))?;
    insert(tx, org, &event).await?;
    project(tx, org, Some(&state), &event, &next).await?;
    Ok(next)
}

fn refused(id: CaseId, refusal: crate::state::Refusal) -> CaseworkError {
    CaseworkError::Refused { case: id.to_string(), refusal }
}

async fn insert(tx: &mut Tx, org: OrgId, event: &CaseEvent) -> Result<()> {
    let body = serde_json::to_value(&event.change).expect("events serialise");
    tx.run(
        query(
            "INSERT INTO case_event (org_id, case_id, seq, at_us, actor, kind, body) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(org.to_string())
        .bind(event.case_id.to_string())
        .bind(event.seq)
        .bind(event.at.micros())
        .bind(event.actor.to_string())
        .bind(body["kind"].as_str().unwrap_or_default().to_owned())
        .bind(body.to_string()),
    )
    .await?;
    Ok(())
}

/// Writes what follows from one event. The only writer of projections.
async fn project(
    tx: &mut Tx,
    org: OrgId,
    before: Option<&CaseState>,
    event: &CaseEvent,
    after: &CaseState,
) -> Result<()> {
    let case_id = event.case_id.to_string();
    tx.run(
        query(
            "INSERT INTO case_state (case_id, org_id, seq, asset_id, remedy, stage, condition, close_reason, episode, severity, arm, provider_id,
               addr, port, transport, product, opened_survey, opened_us, notified_us, judged_us, closed_us, state)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
             ON CONFLICT (case_id) DO UPDATE SET seq = excluded.seq, stage = excluded.stage, condition = excluded.condition,
               close_reason = excluded.close_reason, episode = excluded.episode, severity = excluded.severity, arm = excluded.arm,
               provider_id = excluded.provider_id, addr = excluded.addr, port = excluded.port, transport = excluded.transport,
               product = excluded.product, opened_us = excluded.opened_us, notified_us = excluded.notified_us,
               judged_us = excluded.judged_us, closed_us = excluded.closed_us, state = excluded.state",
        )
        .bind(case_id.clone())
        .bind(org.to_string())
        .bind(after.seq)
        .bind(after.subject.asset_id.to_string())
        .bind(after.remedy.as_str())
        .bind(after.stage.as_str())
        .bind(after.condition.as_str())
        .bind(after.close_reason.map(CloseReason::as_str).map(str::to_owned))
        .bind(after.episode)
        .bind(after.severity.as_str())
        .bind(after.arm.as_ref().map(|arm| arm.name.clone()))
        .bind(after.provider.map(|id| id.to_string()))
        .bind(addr_text(after.endpoint.addr))
        .bind(i64::from(after.endpoint.port))
        .bind(after.endpoint.transport.as_str())
        .bind(after.product.as_deref().map(storable))
        .bind(after.opened_survey.to_string())
        .bind(after.opened_at.micros())
        .bind(after.notified_at.map(TimeUs::micros))
        .bind(after.judged_at.map(TimeUs::micros))
        .bind(after.closed_at.map(TimeUs::micros))
        .bind(json(after)),
    )
    .await?;
    match &event.change {
        CaseChange::Opened { finding, .. } | CaseChange::FindingAttached { finding, .. } => {
            tx.run(
                query("INSERT INTO case_finding (org_id, case_id, finding_key, attached_us) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
                    .bind(org.to_string())
                    .bind(case_id.clone())
                    .bind(finding.clone())
                    .bind(event.at.micros()),
            )
            .await?;
        }
        CaseChange::FindingWithdrawn { finding, .. } => {
            tx.run(
                query("DELETE FROM case_finding WHERE case_id = $1 AND finding_key = $2")
                    .bind(case_id.clone())
                    .bind(finding.clone()),
            )
            .await?;
        }
        CaseChange::Judged { judgement } => {
            tx.run(
                query(
                    "INSERT INTO case_judgement (org_id, case_id, survey_id, condition, stage, at_us) VALUES ($1, $2, $3, $4, $5, $6)
                     ON CONFLICT (case_id, survey_id) DO UPDATE SET condition = excluded.condition, at_us = excluded.at_us",
                )
                .bind(org.to_string())
                .bind(case_id.clone())
                .bind(judgement.survey_id.to_string())
                .bind(judgement.condition.as_str())
                .bind(before.map_or(Stage::Open, |before| before.stage).as_str())
                .bind(event.at.micros()),
            )
            .await?;
        }
        _ => {}
    }
    tx.run(
        query(
            "INSERT INTO case_episode (org_id, case_id, opening, episode, opened_us, notified_us, closed_us, close_reason)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (case_id, opening) DO UPDATE SET episode = excluded.episode, notified_us = excluded.notified_us,
               closed_us = excluded.closed_us, close_reason = excluded.close_reason",
        )
        .bind(org.to_string())
        .bind(case_id)
        .bind(after.openings)
        .bind(after.episode)
        .bind(after.opened_at.micros())
        .bind(after.notified_at.map(TimeUs::micros))
        .bind(after.closed_at.map(TimeUs::micros))
        .bind(after.close_reason.map(CloseReason::as_str).map(str::to_owned)),
    )
    .await?;
    Ok(())
}

/// The case of one remedy on one asset, or on one that was merged into it.
pub(crate) async fn case_of(
    tx: &mut Tx,
    org: OrgId,
    asset: AssetId,
    remedy: Remedy,
) -> Result<Option<CaseState>> {
    let row = tx
        .maybe(
            query(
                "SELECT state FROM case_state WHERE org_id = $1 AND remedy = $2
                   AND (asset_id = $3 OR asset_id IN (SELECT asset_id FROM asset WHERE merged_into = $3)) ORDER BY case_id LIMIT 1",
            )
            .bind(org.to_string())
            .bind(remedy.as_str())
            .bind(asset.to_string()),
        )
        .await?;
    row.map(|row| row.json("state")).transpose()
}

fn event(row: &AnyRow) -> Result<CaseEvent> {
    Ok(CaseEvent {
        case_id: row.word("case_id")?,
        seq: row.int("seq")?,
        at: row.time("at_us")?,
        actor: row.word("actor")?,
        change: row.json("body")?,
    })
}

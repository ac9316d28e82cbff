//! Findings as a table: only the columns that are wanted, page by page, for whoever counts over all of them.
//!
//! A [`FindingRecord`](super::FindingRecord) is two documents and their history; a question over millions of
//! findings wants three columns of them. So the query names these columns and no other, and looks at cases,
//! surveys and providers only when a column is theirs.

use std::net::IpAddr;

use kenshin_observation::{Claim, addr_to_hi_lo, words};
use serde::Deserialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::Result;
use crate::page::decision;
use crate::store::{Casework, Compose, Value, addr_from_text, document};
use crate::viewer::Viewer;

/// Rows on a page of the table at most.
const ROWS_MAX: u32 = 4_096;

words!(
    /// A column of the table of findings.
    FindingColumn, "column of findings" {
        /// Stable key: the same weakness on the same asset has the same key in every round.
        FindingKey = "finding_key",
        /// The asset.
        AssetId = "asset_id",
        /// What is wrong.
        Kind = "kind",
        /// What the owner must do.
        Remedy = "remedy",
        /// How urgent.
        Severity = "severity",
        /// How soon something must be done, a word of SSVC.
        Priority = "priority",
        /// Percent.
        Confidence = "confidence",
        /// A word of [`FindingState`](super::FindingState).
        State = "state",
        /// Where it shows: the address as two order-preserving numbers.
        AddrHi = "addr_hi",
        /// The lower half.
        AddrLo = "addr_lo",
        /// Its port.
        Port = "port",
        /// `tcp` or `udp`.
        Transport = "transport",
        /// Vendor of what the device was taken for.
        Vendor = "vendor",
        /// Its product.
        Product = "product",
        /// Its version.
        Version = "version",
        /// Its type.
        DeviceType = "device_type",
        /// Who can reach its owner.
        ProviderId = "provider_id",
        /// The same by name.
        Provider = "provider",
        /// The mandate of the survey that saw it last.
        MandateId = "mandate_id",
        /// The programme of that survey.
        Programme = "programme",
        /// First survey it held in.
        FirstSurvey = "first_survey",
        /// Its round.
        FirstRound = "first_round",
        /// When it was first seen, µs since 1970.
        FirstUs = "first_us",
        /// Last survey it held in.
        LastSurvey = "last_survey",
        /// Its round.
        LastRound = "last_round",
        /// When it was last seen.
        LastUs = "last_us",
        /// The case it is attached to.
        CaseId = "case_id",
        /// How far that case is with people.
        Stage = "stage",
        /// In what condition it is.
        Condition = "condition",
        /// Why it was closed.
        CloseReason = "close_reason",
        /// 1, and one more for each relapse.
        Episode = "episode",
        /// When its current or last episode was opened.
        OpenedUs = "opened_us",
        /// When that was first told to somebody.
        NotifiedUs = "notified_us",
        /// When it was closed, for whatever reason.
        ClosedUs = "closed_us",
        /// When it was closed as remedied, which alone is recovery.
        MendedUs = "mended_us",
        /// The address as text.
        Addr = "addr",
        /// `first_us` as an instant, and so on.
        FirstAt = "first_at",
        /// Last seen.
        LastAt = "last_at",
        /// Opened.
        OpenedAt = "opened_at",
        /// First told.
        NotifiedAt = "notified_at",
        /// Closed.
        ClosedAt = "closed_at",
        /// Mended.
        MendedAt = "mended_at",
    }
);

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Texts.
    Text,
    /// Numbers.
    Number,
    /// Numbers that are µs since 1970.
    Instant,
}

/// The values of a column, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cells {
    /// Of [`Shape::Text`].
    Texts(Vec<Option<String>>),
    /// Of the others.
    Numbers(Vec<Option<i64>>),
}

/// A page of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingCells {
    /// Rows on it.
    pub rows: usize,
    /// Values of the columns that were wanted, in their order.
    pub columns: Vec<Cells>,
    /// Key to ask for the next page with; `None` on the last.
    pub next: Option<String>,
}

/// What is looked at beside findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Case,
    Survey,
    Provider,
}

/// What a device was taken for, as far as columns tell it.
#[derive(Default, Deserialize)]
struct Claimed {
    vendor: Option<Claim>,
    product: Option<Claim>,
    version: Option<Claim>,
    device_type: Option<Claim>,
}

/// The newest finding, as far as columns tell it.
#[derive(Deserialize)]
struct Sure {
    confidence: i64,
}

impl FindingColumn {
    /// What its values are.
    pub fn shape(self) -> Shape {
        match self {
            Self::Confidence | Self::AddrHi | Self::AddrLo | Self::Port => Shape::Number,
            Self::FirstRound | Self::LastRound | Self::Episode => Shape::Number,
            Self::FirstUs | Self::LastUs => Shape::Number,
            Self::OpenedUs | Self::NotifiedUs | Self::ClosedUs | Self::MendedUs => Shape::Number,
            Self::FirstAt | Self::LastAt => Shape::Instant,
            Self::OpenedAt | Self::NotifiedAt | Self::ClosedAt | Self::MendedAt => Shape::Instant,
            _ => Shape::Text,
        }
    }

    /// What of the database it is made of.
    fn stored(self) -> &'static str {
        match self {
            Self::FindingKey => KEY,
            Self::AssetId => "f.asset_id",
            Self::Kind => "f.kind",
            Self::Remedy => "f.remedy",
            Self::Severity => "f.severity",
            Self::Priority => "f.priority",
            Self::Confidence => "f.body",
            Self::State => "f.state",
            Self::AddrHi | Self::AddrLo | Self::Addr => "f.addr",
            Self::Port => "f.port",
            Self::Transport => "f.transport",
            Self::Vendor | Self::Product | Self::Version | Self::DeviceType => IDENTITY,
            Self::ProviderId => "f.provider_id",
            Self::Provider => "p.name",
            Self::MandateId => "m.mandate_id",
            Self::Programme => "s.programme",
            Self::FirstSurvey => "f.first_survey",
            Self::FirstRound => "f.first_round",
            Self::FirstUs | Self::FirstAt => "f.first_us",
            Self::LastSurvey => "f.last_survey",
            Self::LastRound => "f.last_round",
            Self::LastUs | Self::LastAt => "f.last_us",
            Self::CaseId => "cf.case_id",
            Self::Stage => "c.stage",
            Self::Condition => "c.condition",
            Self::CloseReason => "c.close_reason",
            Self::Episode => "c.episode",
            Self::OpenedUs | Self::OpenedAt => "c.opened_us",
            Self::NotifiedUs | Self::NotifiedAt => "c.notified_us",
            Self::ClosedUs | Self::ClosedAt => "c.closed_us",
            Self::MendedUs | Self::MendedAt => "CASE WHEN c.close_reason = 'remedied' THEN c.closed_us END",
        }
    }

    fn beside(self) -> Option<Beside> {
        match self {
            Self::CaseId | Self::Stage | Self::Condition | Self::CloseReason | Self::Episode => {
                Some(Beside::Case)
            }
            Self::OpenedUs | Self::NotifiedUs | Self::ClosedUs | Self::MendedUs => Some(Beside::Case),
            Self::OpenedAt | Self::NotifiedAt | Self::ClosedAt | Self::MendedAt => Some(Beside::Case),
            Self::MandateId | Self::Programme => Some(Beside::Survey),
            Self::Provider => Some(Beside::Provider),
            _ => None,
        }
    }

    fn text(self, row: &AnyRow, at: usize, claimed: &Claimed) -> Result<Option<String>> {
        let claim = |claim: &Option<Claim>| claim.as_ref().map(|claim| claim.value.clone());
        Ok(match self {
            Self::Priority => decision(row.try_get(at)?).map(|decision| decision.to_string()),
            Self::Addr => Some(addr(row, at)?.to_string()),
            Self::Vendor => claim(&claimed.vendor),
            Self::Product => claim(&claimed.product),
            Self::Version => claim(&claimed.version),
            Self::DeviceType => claim(&claimed.device_type),
            _ => row.try_get(at)?,
        })
    }

    fn number(self, row: &AnyRow, at: usize) -> Result<Option<i64>> {
        Ok(match self {
            Self::AddrHi => Some(addr_to_hi_lo(addr(row, at)?).0),
            Self::AddrLo => Some(addr_to_hi_lo(addr(row, at)?).1),
            Self::Confidence => Some(document::<Sure>("body", &row.try_get::<String, _>(at)?)?.confidence),
            _ => row.try_get(at)?,
        })
    }
}

const KEY: &str = "f.finding_key";
const IDENTITY: &str = "f.identity";

fn addr(row: &AnyRow, at: usize) -> Result<IpAddr> {
    addr_from_text("addr", &row.try_get::<String, _>(at)?)
}

impl Casework {
    /// A page of the table of findings, by key: these columns of the findings that `viewer` may see, as
    /// [`Casework::findings`] lists them. Of a case that is by now somebody else's they see the id alone.
    /// `limit` rows at most, and 4,096.
    pub async fn finding_cells(
        &self,
        viewer: &Viewer,
        columns: &[FindingColumn],
        after: Option<&str>,
        limit: u32,
    ) -> Result<FindingCells> {
        // What several columns are made of is read once.
        let mut stored = vec![KEY];
        for column in columns {
            if !stored.contains(&column.stored()) {
                stored.push(column.stored());
            }
        }
        let mut compose = Compose::new("SELECT ");
        for (place, text) in stored.iter().enumerate() {
            compose.text(if place > 0 { ", " } else { "" });
            compose.text(text);
        }
        compose.text(" FROM finding f");
        let beside = |one: Beside| columns.iter().any(|column| column.beside() == Some(one));
        if beside(Beside::Case) {
            compose.text(
                " LEFT JOIN case_finding cf ON cf.org_id = f.org_id AND cf.finding_key = f.finding_key",
            );
            compose.text(" LEFT JOIN case_state c ON c.case_id = cf.case_id");
            viewer.restrict(&mut compose, " AND c.provider_id IN ");
        }
        if beside(Beside::Survey) {
            compose.text(" LEFT JOIN survey s ON s.survey_id = f.last_survey");
            compose.text(" LEFT JOIN mandate m ON m.org_id = s.org_id AND m.digest = s.mandate_digest");
        }
        if beside(Beside::Provider) {
            compose.text(" LEFT JOIN provider p ON p.provider_id = f.provider_id");
        }
        compose.push(" WHERE f.org_id = ?", [viewer.org.to_string()]);
        viewer.restrict(&mut compose, " AND f.provider_id IN ");
        if let Some(after) = after {
            compose.push(" AND f.finding_key > ?", [after]);
        }
        let limit = limit.clamp(1, ROWS_MAX);
        compose.push(" ORDER BY f.finding_key LIMIT ?", [Value::Int(limit.into())]);
        let rows = self.rows(compose.finish()).await?;

        let place = |text: &str| stored.iter().position(|stored| *stored == text).unwrap_or_default();
        let wants_claims = stored.contains(&IDENTITY);
        let mut cells: Vec<(FindingColumn, usize, Cells)> = Vec::with_capacity(columns.len());
        for column in columns {
            let empty = match column.shape() {
                Shape::Text => Cells::Texts(Vec::with_capacity(rows.len())),
                Shape::Number | Shape::Instant => Cells::Numbers(Vec::with_capacity(rows.len())),
            };
            cells.push((*column, place(column.stored()), empty));
        }
        for row in &rows {
            let claimed = match wants_claims {
                true => document("identity", &row.try_get::<String, _>(place(IDENTITY))?)?,
                false => Claimed::default(),
            };
            for (column, at, cells) in &mut cells {
                match cells {
                    Cells::Texts(texts) => texts.push(column.text(row, *at, &claimed)?),
                    Cells::Numbers(numbers) => numbers.push(column.number(row, *at)?),
                }
            }
        }
        let is_full = rows.len() == limit as usize;
        let next = rows.last().filter(|_| is_full).map(|row| row.try_get(0)).transpose()?;
        Ok(FindingCells {
            rows: rows.len(),
            columns: cells.into_iter().map(|(_, _, cells)| cells).collect(),
            next,
        })
    }
}

//! Pages: every list has a limit and continues after a key.

use kenshin_observation::{Decision, words};
use serde::{Deserialize, Serialize};

use crate::store::{Compose, Value};

/// Rows on a page at most.
pub const PAGE_MAX: u32 = 500;

words!(
    /// In which order rows come.
    Order, "order" {
        /// By their key; cases newest first.
        Key = "key",
        /// The most urgent first, then by key; those without a priority last.
        Priority = "priority",
    }
);

#[expect(clippy::derivable_impls, reason = "words are declared by a macro that derives no default")]
impl Default for Order {
    fn default() -> Self {
        Self::Key
    }
}

/// Which page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRequest {
    /// `next` of the page before; `None` for the first.
    pub after: Option<String>,
    /// Rows wanted: 1 to [`PAGE_MAX`]; 0 means 100.
    pub limit: u32,
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Key to ask for the next page with; `None` on the last.
    pub next: Option<String>,
}

impl PageRequest {
    /// The first page of the largest size.
    pub fn first() -> Self {
        Self { after: None, limit: PAGE_MAX }
    }

    /// The page after `page` of the largest size, if there is one.
    pub fn following<T>(page: &Page<T>) -> Option<Self> {
        Some(Self { after: Some(page.next.clone()?), limit: PAGE_MAX })
    }

    pub(crate) fn limit(&self) -> usize {
        match self.limit {
            0 => 100,
            limit => limit.min(PAGE_MAX) as usize,
        }
    }

    /// One more than the limit is read, to know whether another page follows.
    pub(crate) fn fetch(&self) -> i64 {
        i64::try_from(self.limit() + 1).expect("a page limit is small")
    }
}

impl<T> Page<T> {
    pub(crate) fn of(mut items: Vec<T>, request: &PageRequest, key: impl Fn(&T) -> String) -> Self {
        let more = items.len() > request.limit();
        items.truncate(request.limit());
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }
}

/// The rank of a decision in the column `priority`, and of none.
pub(crate) fn rank(decision: Option<Decision>) -> i64 {
    match decision {
        None => -1,
        Some(Decision::Track) => 0,
        Some(Decision::TrackClosely) => 1,
        Some(Decision::Attend) => 2,
        Some(Decision::Act) => 3,
    }
}

/// The decision of a rank.
pub(crate) fn decision(rank: Option<i64>) -> Option<Decision> {
    Decision::ALL.iter().copied().find(|decision| Some(self::rank(Some(*decision))) == rank)
}

/// `next` of a page in the order of priority: rank and key.
pub(crate) fn urgent_key(decision: Option<Decision>, key: &str) -> String {
    format!("{}/{key}", rank(decision))
}

/// Adds what comes after `after` in the order of priority; `text` has three places: rank, rank, key.
/// A cursor that is none of ours starts at the beginning.
pub(crate) fn after_urgent(compose: &mut Compose, text: &'static str, after: Option<&str>) {
    let parts = after.and_then(|after| after.split_once('/'));
    if let Some((rank, key)) = parts.and_then(|(rank, key)| Some((rank.parse::<i64>().ok()?, key))) {
        compose.push(text, [Value::Int(rank), Value::Int(rank), Value::from(key)]);
    }
}

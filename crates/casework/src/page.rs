//! Pages: every list has a limit and continues after a key.

use serde::{Deserialize, Serialize};

/// Rows on a page at most.
pub const PAGE_MAX: u32 = 500;

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

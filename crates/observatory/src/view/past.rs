//! The past, searched: what the lake knew at an instant, or what was before something changed. It is made
//! from observations each time: places by the tables of then, devices and providers as they are known today.

use std::net::IpAddr;

use kenshin_lake::view::{Search, Sight, View};
use kenshin_lake::{LakeError, Told};
use kenshin_observation::{Prefix, TimeUs};

use super::{PIECE_ROWS, told_of};
use crate::Observatory;
use crate::error::ActError;

/// Most services that are ever found in the past: they lie in memory, about one kilobyte each.
pub const FOUND_MAX: usize = 500_000;

/// Which past is searched, and how much of it may be found.
#[derive(Debug, Clone, Copy)]
pub struct Past {
    /// What the lake knew at this instant; all of it when left out.
    pub known_by: Option<TimeUs>,
    /// Also every row as it was before something changed.
    pub history: bool,
    /// Most services; one more is an error, never a silent cut.
    pub most: usize,
}

/// The instant by which something was known: RFC 3339, or the end of a day, UTC.
pub fn known_by(text: &str) -> Result<TimeUs, ActError> {
    let day = format!("{text}T00:00:00Z").parse::<TimeUs>().map(|day| day.plus_secs(86_400));
    text.parse::<TimeUs>().or(day).map_err(|_| {
        ActError::input(format!("`{text}` is no date"))
            .with_hint("for example 2026-10-01, or 2026-10-01T12:00:00+09:00")
    })
}

impl Observatory {
    /// What `search` finds in the view of the past. Observations of addresses that it cannot find, or
    /// that are out of sight, are not read, as far as files can tell.
    pub async fn search_past(&self, search: &Search, past: Past) -> Result<View, ActError> {
        let told = Told { known_by: past.known_by, ..told(search) };
        let providers = self.provider_names(past.known_by).await?;
        let (mut found, mut piece) = (Vec::new(), Vec::new());
        let mut hosts = self.lake().await?.hosts(&told).await?;
        loop {
            let seen = hosts.next().await?;
            let more = seen.is_some();
            if let Some(mut seen) = seen {
                // What is out of sight has no part in what the rest is made of.
                seen.retain(|one| search.sight.shows(&one.observation));
                let mut before = Vec::new();
                let host = self.fold_host(Vec::new(), seen, &providers, past.history.then_some(&mut before));
                piece.extend(host.await?);
                piece.extend(before);
            }
            if piece.len() >= PIECE_ROWS || !more {
                let view = View::of(std::mem::take(&mut piece))?;
                found.extend(view.find(search).await?.services().await?);
                if found.len() > past.most {
                    return Err(LakeError::Limit { limit: past.most as u64, unit: "services" }.into());
                }
            }
            if !more {
                return Ok(View::of(found)?);
            }
        }
    }
}

/// Which observations are to be read, to find all that a search finds.
fn told(search: &Search) -> Told {
    let networks = search.query.networks();
    if let Some([one]) = networks.as_deref()
        && *one == Prefix::host(one.base())
    {
        return Told { addr: Some(one.base()), ..told_of(&search.sight.extent()) };
    }
    let of = |prefix: &Prefix| -> (IpAddr, IpAddr) { (prefix.base(), prefix.last()) };
    let asked = networks.map(|prefixes| prefixes.iter().map(of).collect());
    let seen = match &search.sight {
        Sight::All | Sight::Mandates(_) => None,
        Sight::Only(ranges) => Some(ranges.clone()),
    };
    Told { within: asked.into_iter().chain(seen).collect(), ..told_of(&search.sight.extent()) }
}

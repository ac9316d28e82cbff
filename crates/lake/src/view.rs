//! The current view: every service as it was when it was last asked.
//!
//! It is a table of sorted runs, `services`. A run is written once; of several rows about one
//! service the one that was asked last holds, in whatever order they came. [`View`] is a snapshot of
//! the runs in memory, column by column as queries need them; [`View::find`] answers a query for
//! somebody with a [`Sight`].

mod column;
mod condition;
mod facet;
mod file;
mod keys;
mod matching;
mod order;
mod segment;
mod table;
mod things;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use datafusion::arrow::buffer::BooleanBuffer;
use kenshin_observation::schema::{ServiceKey, ServiceRow};
use kenshin_observation::{Endpoint, Observation, TimeUs, Tlp, addr_to_hi_lo};
use serde::Serialize;

use crate::LakeError;
use crate::extent::{Extent, Mandates};
use crate::search::{Field, Query};
use condition::Condition;
use keys::{KEYS, Keys};
use matching::Matcher;
use segment::Loaded;

pub use facet::{Counted, Facet, FacetValue, ParseCountedError, is_countable};
pub(crate) use file::StoredFile;
pub use order::{Mark, ParseMarkError, Sort};
pub(crate) use segment::Segment;
pub(crate) use table::Current;

/// Most rows of one page.
pub const PAGE_MAX: usize = 500;
/// Most values of one facet.
pub const FACET_MAX: usize = 1_000;
/// Values of a facet when nobody says how many.
pub const FACET_VALUES: usize = 10;

/// What somebody may see: predicates at the base of every search and every query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// Every row.
    All,
    /// What was observed under these mandates, or as much of it as may be shared. Services are those of a view that is made of it alone
    /// ([`Extent::Mandates`]), so that nothing about them comes from anywhere else.
    Mandates(Mandates),
    /// Those whose addresses lie in these ranges, both ends included, and whose label lets them be shown to the
    /// clients of the organisation ([`Tlp::FOR_CLIENTS`](kenshin_observation::Tlp::FOR_CLIENTS)).
    Only(Vec<(IpAddr, IpAddr)>),
}

impl Sight {
    /// Of which observations the current view is made that is searched.
    pub fn extent(&self) -> Extent {
        match self {
            Self::Mandates(mandates) => Extent::Mandates(mandates.clone()),
            Self::All | Self::Only(_) => Extent::All,
        }
    }

    /// True when an observation may be seen, as far as its mandate and its label tell.
    pub fn shows(&self, observation: &Observation) -> bool {
        match self {
            Self::All => true,
            Self::Mandates(mandates) => mandates.contains(&observation.mandate_id, observation.tlp.as_str()),
            Self::Only(_) => observation.tlp.is_for_clients(),
        }
    }

    /// True when it may be seen what was asked under a mandate, answered or not. That has no label: who sees what labels
    /// let them see does not see it, as the table `coverage` is not there for them.
    pub fn covers(&self, mandate_id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Mandates(mandates) => {
                mandates.labels().is_none() && mandates.ids().iter().any(|id| id == mandate_id)
            }
            Self::Only(_) => false,
        }
    }

    /// True when rows about this address may be seen, as far as the address tells.
    pub fn reaches(&self, addr: IpAddr) -> bool {
        match self {
            Self::All | Self::Mandates(_) => true,
            Self::Only(ranges) => ranges
                .iter()
                .any(|(first, last)| first.is_ipv4() == addr.is_ipv4() && *first <= addr && addr <= *last),
        }
    }
}

/// What is asked, by whom and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// What.
    pub query: Query,
    /// By whom: what they may see.
    pub sight: Sight,
    /// When: ages in the query are measured from here.
    pub now: TimeUs,
}

/// A snapshot of the current view.
pub struct View {
    /// Version of the table it was made from; none when it was made from rows.
    version: Option<u64>,
    segments: Vec<Arc<Segment>>,
    /// Of each segment, which rows hold.
    live: Vec<BooleanBuffer>,
}

/// What a search found.
pub struct Found<'a> {
    view: &'a View,
    rows: Vec<BooleanBuffer>,
}

/// How much was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Services.
    pub services: u64,
    /// Addresses that they are at.
    pub hosts: u64,
}

/// A page of services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The services.
    pub services: Vec<ServiceRow>,
    /// Behind which mark the next page begins; none when this is the last.
    pub next: Option<Mark>,
}

impl View {
    /// A view of rows that are not in the table: of the past, or of one host.
    pub fn of(rows: Vec<ServiceRow>) -> Result<Self, LakeError> {
        let segment = Arc::new(Segment::memory(rows)?);
        let live = vec![BooleanBuffer::new_set(segment.rows())];
        Ok(Self { version: None, segments: vec![segment], live })
    }

    /// A view of runs; which of their rows hold is found out here, as far as the view `before` does
    /// not know it.
    pub(crate) async fn of_segments(
        version: Option<u64>,
        segments: Vec<Arc<Segment>>,
        before: Option<&View>,
    ) -> Result<Self, LakeError> {
        let live = keys::live(&segments, before).await?;
        Ok(Self { version, segments, live })
    }

    /// Version of the table it was made from: another one with every change of the view. None for a
    /// view that was made from rows.
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// When the lake took the latest of the observations that the view stands on.
    pub async fn known_until(&self) -> Result<Option<TimeUs>, LakeError> {
        let mut latest = None;
        for (segment, live) in self.segments.iter().zip(&self.live) {
            let loaded = segment.load(&["known_us"]).await?;
            let known = loaded.column("known_us").longs();
            latest = latest.max(in_place(|| live.set_indices().map(|row| known[row]).max()));
        }
        Ok(latest.map(TimeUs::from_micros))
    }

    /// The run that was read from this file, if it is one of the view.
    pub(crate) fn segment_of(&self, path: &deltalake::Path) -> Option<Arc<Segment>> {
        self.segments.iter().find(|segment| segment.path() == Some(path)).cloned()
    }

    /// Which rows of a segment hold, if it is one of the view.
    fn live_of(&self, segment: &Arc<Segment>) -> Option<BooleanBuffer> {
        let number = self.segments.iter().position(|held| Arc::ptr_eq(held, segment))?;
        Some(self.live[number].clone())
    }

    /// Which rows of a file hold, if it is one of the view.
    pub(crate) fn live_in(&self, path: &deltalake::Path) -> Option<&BooleanBuffer> {
        let number = self.segments.iter().position(|held| held.path() == Some(path))?;
        self.live.get(number)
    }

    /// The runs it is made of.
    pub(crate) fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// Number of runs it is made of.
    pub fn runs(&self) -> usize {
        self.segments.len()
    }

    /// True when all its rows are of the version that is written today; others are to be made anew.
    pub async fn is_current(&self) -> Result<bool, LakeError> {
        for segment in &self.segments {
            if !segment.is_current().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Number of services it knows, in whatever state.
    pub fn services(&self) -> u64 {
        self.live.iter().map(|live| live.count_set_bits() as u64).sum()
    }

    /// Reads the columns of these fields, and what every search takes, before anybody asks for them.
    pub async fn read_ahead(&self, fields: &[Field]) -> Result<(), LakeError> {
        let mut names = KEYS.to_vec();
        names.push("state");
        names.extend(fields.iter().flat_map(|field| matching::columns(*field)));
        names.sort_unstable();
        names.dedup();
        for segment in &self.segments {
            let loaded = segment.load(&names).await?;
            if fields.iter().any(|field| matching::is_of_things(*field)) {
                in_place(|| loaded.things());
            }
        }
        Ok(())
    }

    /// Finds services. Those that did not answer when they were last asked are found only by a
    /// query that names the field `state`.
    pub async fn find(&self, search: &Search) -> Result<Found<'_>, LakeError> {
        let mut names = vec!["addr_hi", "addr_lo"];
        matching::columns_of(&search.query, &mut names);
        if matches!(search.sight, Sight::Only(_)) {
            names.push("tlp");
        }
        let answered_only = !search.query.mentions(Field::State);
        if answered_only {
            names.push("state");
        }
        names.sort_unstable();
        names.dedup();
        let mut loaded = Vec::new();
        for segment in &self.segments {
            loaded.push(segment.load(&names).await?);
        }
        let one = |(loaded, live): (&Loaded<'_>, &BooleanBuffer)| {
            let matcher = Matcher { loaded, now: search.now };
            let seen = match &search.sight {
                // The view itself is made of what these mandates saw.
                Sight::All | Sight::Mandates(_) => Condition::everything(),
                Sight::Only(ranges) => {
                    let ends =
                        |(first, last): &(IpAddr, IpAddr)| (addr_to_hi_lo(*first), addr_to_hi_lo(*last));
                    Condition::all([
                        matching::in_ranges(loaded, ranges.iter().map(ends)),
                        matcher.coded(&["tlp"], |label| label.parse().is_ok_and(Tlp::is_for_clients)),
                    ])
                }
            };
            let answered = match answered_only {
                true => matcher.condition(&answered()),
                false => Condition::everything(),
            };
            Condition::all([seen, matcher.condition(&search.query), answered]).among(live)
        };
        let rows = in_place(|| loaded.iter().zip(&self.live).map(one).collect());
        Ok(Found { view: self, rows })
    }

    /// The rows at endpoints, whatever was spoken there.
    pub async fn known(&self, endpoints: &[Endpoint]) -> Result<Vec<ServiceRow>, LakeError> {
        let place = |at: &Endpoint| (addr_to_hi_lo(at.addr), i32::from(at.port));
        let mut wanted: Vec<_> = endpoints.iter().map(|at| (place(at), at.transport.as_str())).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut known = Vec::new();
        for (number, (segment, live)) in self.segments.iter().zip(&self.live).enumerate() {
            let loaded = segment.load(&KEYS).await?;
            let keys = Keys::of(&loaded);
            let mut begins = 0;
            for (place, transport) in &wanted {
                begins = keys.position(begins, |row| keys.place(row) < *place);
                let there = (begins..keys.rows).take_while(|row| keys.place(*row) == *place);
                let holds = |row: &usize| live.value(*row) && keys.transport(*row) == Some(*transport);
                known.extend(there.filter(holds).map(|row| (number, row)));
            }
        }
        self.rows(&known).await
    }

    /// Where the rows that hold lie in some of the segments, by segment and row, in the order of
    /// their keys.
    pub(crate) async fn places(&self, of: &[usize]) -> Result<Vec<(usize, usize)>, LakeError> {
        let mut loaded = Vec::new();
        for number in of {
            loaded.push(self.segments[*number].load(&KEYS).await?);
        }
        let keys: Vec<Keys<'_>> = loaded.iter().map(Keys::of).collect();
        let mut places: Vec<(usize, usize)> = Vec::new();
        for (nth, number) in of.iter().enumerate() {
            places.extend(self.live[*number].set_indices().map(|row| (nth, row)));
        }
        in_place(|| places.sort_by(|(a, i), (b, j)| keys[*a].compare(*i, &keys[*b], *j)));
        Ok(places.into_iter().map(|(nth, row)| (of[nth], row)).collect())
    }

    /// Whole rows by (segment, row), in the order given.
    pub(crate) async fn rows(&self, wanted: &[(usize, usize)]) -> Result<Vec<ServiceRow>, LakeError> {
        let mut found: HashMap<(usize, usize), ServiceRow> = HashMap::new();
        for (number, segment) in self.segments.iter().enumerate() {
            let mut positions: Vec<u32> = wanted
                .iter()
                .filter(|(of, _)| *of == number)
                .map(|(_, row)| u32::try_from(*row).expect("a segment has fewer than 2^32 rows"))
                .collect();
            positions.sort_unstable();
            positions.dedup();
            if positions.is_empty() {
                continue;
            }
            let rows = segment.rows_at(&positions).await?;
            found.extend(positions.iter().map(|at| (number, *at as usize)).zip(rows));
        }
        Ok(wanted.iter().filter_map(|at| found.get(at).cloned()).collect())
    }
}

fn answered() -> Query {
    let pattern = crate::search::Pattern { text: "answered".to_owned(), wild: false, quoted: false };
    Query::Term(crate::search::Term::Word(Field::State, vec![pattern]))
}

impl Found<'_> {
    /// All of it: for what is known to be little.
    pub async fn services(&self) -> Result<Vec<ServiceRow>, LakeError> {
        let places = self.rows.iter().enumerate();
        let all: Vec<(usize, usize)> =
            places.flat_map(|(number, rows)| rows.set_indices().map(move |row| (number, row))).collect();
        self.view.rows(&all).await
    }

    /// What tells its services apart, in their order, each with when the lake took what is known of it.
    pub async fn keys(&self) -> Result<Vec<(ServiceKey, TimeUs)>, LakeError> {
        let mut keys = Vec::new();
        for (segment, rows) in self.view.segments.iter().zip(&self.rows) {
            let loaded = segment.load(&KEYS).await?;
            let known = loaded.column("known_us").longs();
            let one = |row: usize| (key_at(&loaded, row), TimeUs::from_micros(known[row]));
            keys.extend(rows.set_indices().map(one));
        }
        keys.sort();
        Ok(keys)
    }

    /// How many services it is.
    pub fn count(&self) -> u64 {
        self.rows.iter().map(|rows| rows.count_set_bits() as u64).sum()
    }

    /// How much it is.
    pub async fn total(&self) -> Result<Total, LakeError> {
        let services = self.count();
        let mut loaded = Vec::new();
        for segment in &self.view.segments {
            loaded.push(segment.load(&["addr_hi", "addr_lo"]).await?);
        }
        // The greatest run first: addresses of the smaller ones are looked up in it, not the other way round.
        let mut runs: Vec<_> = loaded.iter().map(Loaded::addresses).zip(&self.rows).collect();
        runs.sort_by_key(|(addresses, _)| std::cmp::Reverse(addresses.len()));
        let mut hosts = 0;
        for (number, (addresses, rows)) in runs.iter().enumerate() {
            let mut last = None;
            for addr in rows.set_indices().map(|row| addresses.at(row)) {
                // Rows are sorted: an address is new unless it was the last, or found in a run before.
                if last.replace(addr) == Some(addr) {
                    continue;
                }
                let counted = runs[..number].iter().any(|(addresses, rows)| {
                    let begins = addresses.position(|other| other < addr);
                    (begins..addresses.len())
                        .take_while(|row| addresses.at(*row) == addr)
                        .any(|row| rows.value(row))
                });
                hosts += u64::from(!counted);
            }
        }
        Ok(Total { services, hosts })
    }

    /// Counts what was found by fields, by each its most frequent values, at most [`FACET_MAX`].
    pub async fn facets(&self, counted: &[Counted]) -> Result<Vec<Facet>, LakeError> {
        let mut loaded = Vec::new();
        for (segment, rows) in self.view.segments.iter().zip(&self.rows) {
            if rows.count_set_bits() > 0 {
                let names: Vec<&str> =
                    counted.iter().flat_map(|one| matching::columns(one.field)).copied().collect();
                loaded.push((segment.load(&names).await?, rows));
            }
        }
        Ok(in_place(|| facet::count(counted, &loaded)))
    }

    /// A page of what was found, at most [`PAGE_MAX`] services.
    pub async fn page(
        &self,
        sort: Option<Sort>,
        after: Option<&Mark>,
        limit: usize,
    ) -> Result<Page, LakeError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut names = KEYS.to_vec();
        names.extend(sort.map_or(&[][..], |sort| matching::columns(sort.field)));
        let mut loaded = Vec::new();
        for segment in &self.view.segments {
            loaded.push(segment.load(&names).await?);
        }
        let mut first = in_place(|| order::first(&loaded, &self.rows, sort, after, limit + 1));
        let more = first.len() > limit;
        first.truncate(limit);
        let next = first.last().filter(|_| more).map(|last| last.mark(sort));
        let wanted: Vec<(usize, usize)> = first.iter().map(|one| (one.segment, one.row)).collect();
        Ok(Page { services: self.view.rows(&wanted).await?, next })
    }
}

/// Runs what takes milliseconds of a processor where it may: on a runtime of several threads the
/// other tasks of this thread go on elsewhere.
pub(crate) fn in_place<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn text_at<'a>(loaded: &'a Loaded<'_>, name: &'static str, row: usize) -> Option<&'a str> {
    loaded.column(name).texts().at(row)
}

fn key_at(loaded: &Loaded<'_>, row: usize) -> ServiceKey {
    ServiceKey {
        addr: loaded.addresses().at(row),
        port: loaded.column("port").ints()[row],
        transport: text_at(loaded, "transport", row).unwrap_or_default().to_owned(),
        protocol: text_at(loaded, "protocol", row).map(str::to_owned),
    }
}

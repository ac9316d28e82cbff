//! The current view: every service as it was when it was last asked.
//!
//! It is a table of sorted runs, `services`. A run is written once; of several rows about one
//! service the one that was asked last holds, in whatever order they came. [`View`] is a snapshot of
//! the runs in memory, column by column as queries need them; [`View::find`] answers a query for
//! somebody with a [`Sight`].

mod column;
mod facet;
mod file;
mod matching;
mod order;
mod segment;
mod things;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;

use datafusion::arrow::buffer::BooleanBuffer;
use kenshin_observation::schema::{ServiceKey, ServiceRow};
use kenshin_observation::{Endpoint, TimeUs, addr_from_hi_lo, addr_to_hi_lo};
use serde::Serialize;

use crate::LakeError;
use crate::search::{Field, Query};
use matching::Matcher;
use segment::Loaded;

pub use facet::{Counted, Facet, FacetValue, ParseCountedError, is_countable};
pub(crate) use file::StoredFile;
pub use order::{Mark, ParseMarkError, Sort};
pub(crate) use segment::Segment;

/// Most rows of one page.
pub const PAGE_MAX: usize = 500;
/// Most values of one facet.
pub const FACET_MAX: usize = 1_000;
/// Values of a facet when nobody says how many.
pub const FACET_VALUES: usize = 10;

/// Columns that tell rows apart and which of them holds.
const KEYS: [&str; 7] = ["addr_hi", "addr_lo", "port", "transport", "protocol", "asked_us", "known_us"];

/// Which services somebody may see: a predicate at the base of every search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// Every service.
    All,
    /// Those whose addresses lie in these ranges, both ends included.
    Only(Vec<(IpAddr, IpAddr)>),
}

/// What is asked, by whom and when.
#[derive(Debug, Clone)]
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

/// What the view knows of a service that is asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What tells it apart.
    pub key: ServiceKey,
    /// How it was when it was last asked.
    pub state: String,
    /// When it was first seen, µs.
    pub first_us: i64,
    /// When it was last asked, µs.
    pub asked_us: i64,
    segment: usize,
    row: usize,
}

impl View {
    /// A view of rows that are not in the table: of the past, or of one host.
    pub fn of(rows: Vec<ServiceRow>) -> Result<Self, LakeError> {
        let segment = Arc::new(Segment::memory(rows)?);
        let live = vec![BooleanBuffer::new_set(segment.rows())];
        Ok(Self { version: None, segments: vec![segment], live })
    }

    /// A view of runs; which of their rows hold is found out here.
    pub(crate) async fn of_segments(
        version: Option<u64>,
        segments: Vec<Arc<Segment>>,
    ) -> Result<Self, LakeError> {
        let live = live(&segments).await?;
        Ok(Self { version, segments, live })
    }

    pub(crate) fn version(&self) -> Option<u64> {
        self.version
    }

    /// The run that was read from this file, if it is one of the view.
    pub(crate) fn segment_of(&self, path: &deltalake::Path) -> Option<Arc<Segment>> {
        self.segments.iter().find(|segment| segment.path() == Some(path)).cloned()
    }

    /// Number of runs it is made of.
    pub fn runs(&self) -> usize {
        self.segments.len()
    }

    /// Number of services it knows, in whatever state.
    pub fn services(&self) -> u64 {
        self.live.iter().map(|live| live.count_set_bits() as u64).sum()
    }

    /// Finds services. Those that did not answer when they were last asked are found only by a
    /// query that names the field `state`.
    pub async fn find(&self, search: &Search) -> Result<Found<'_>, LakeError> {
        let mut names = vec!["addr_hi", "addr_lo"];
        matching::columns_of(&search.query, &mut names);
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
            let mut base = live.clone();
            if let Sight::Only(ranges) = &search.sight {
                let ranges = ranges.iter().map(|(first, last)| (addr_to_hi_lo(*first), addr_to_hi_lo(*last)));
                base = &base & &matching::in_ranges(loaded, ranges);
            }
            let matcher = Matcher { loaded, now: search.now };
            if answered_only {
                base = &base & &matcher.rows(&answered());
            }
            &base & &matcher.rows(&search.query)
        };
        let rows = in_place(|| loaded.iter().zip(&self.live).map(one).collect());
        Ok(Found { view: self, rows })
    }

    /// What the view knows at an endpoint, whatever was spoken there.
    pub async fn known(&self, endpoints: &[Endpoint]) -> Result<Vec<Known>, LakeError> {
        let mut known = Vec::new();
        for (number, (segment, live)) in self.segments.iter().zip(&self.live).enumerate() {
            let loaded = segment.load(&[&KEYS[..], &["state", "first_us"]].concat()).await?;
            for endpoint in endpoints {
                let (addr, port) = (addr_to_hi_lo(endpoint.addr), i32::from(endpoint.port));
                let mut row = position(&loaded, (addr, port));
                while row < loaded.rows
                    && (loaded.addr(row), loaded.column("port").ints()[row]) == (addr, port)
                {
                    let text = |name| text_at(&loaded, name, row);
                    if live.value(row) && text("transport") == Some(endpoint.transport.as_str()) {
                        known.push(Known {
                            key: key_at(&loaded, row),
                            state: text("state").unwrap_or_default().to_owned(),
                            first_us: loaded.column("first_us").longs()[row],
                            asked_us: loaded.column("asked_us").longs()[row],
                            segment: number,
                            row,
                        });
                    }
                    row += 1;
                }
            }
        }
        Ok(known)
    }

    /// The whole rows of what is known, in the same order.
    pub async fn rows_of(&self, known: &[Known]) -> Result<Vec<ServiceRow>, LakeError> {
        self.rows(&known.iter().map(|known| (known.segment, known.row)).collect::<Vec<_>>()).await
    }

    /// Where the rows that hold lie, by segment and row, in the order of their keys.
    pub(crate) async fn places(&self) -> Result<Vec<(usize, usize)>, LakeError> {
        let mut loaded = Vec::new();
        for segment in &self.segments {
            loaded.push(segment.load(&KEYS).await?);
        }
        let of = |(number, live): (usize, &BooleanBuffer)| -> Vec<(usize, usize)> {
            live.set_indices().map(|row| (number, row)).collect()
        };
        let mut places: Vec<(usize, usize)> = self.live.iter().enumerate().flat_map(of).collect();
        places.sort_by(|(a, i), (b, j)| order::compare_keys(&loaded[*a], *i, &loaded[*b], *j));
        Ok(places)
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
    let pattern = crate::search::Pattern { text: "answered".to_owned(), wild: false };
    Query::Term(crate::search::Term::Word(Field::State, vec![pattern]))
}

impl Found<'_> {
    /// How much it is.
    pub async fn total(&self) -> Result<Total, LakeError> {
        let services = self.rows.iter().map(|rows| rows.count_set_bits() as u64).sum();
        let mut loaded = Vec::new();
        for segment in &self.view.segments {
            loaded.push(segment.load(&["addr_hi", "addr_lo"]).await?);
        }
        let mut hosts = 0;
        for (number, (keys, rows)) in loaded.iter().zip(&self.rows).enumerate() {
            let mut last = None;
            for addr in rows.set_indices().map(|row| keys.addr(row)) {
                // Rows are sorted: an address is new unless it was the last, or found in a run before.
                if last.replace(addr) == Some(addr) {
                    continue;
                }
                let counted = loaded[..number].iter().zip(&self.rows).any(|(keys, rows)| {
                    let begins = matching::position(keys, |other| other < addr);
                    (begins..keys.rows).take_while(|row| keys.addr(*row) == addr).any(|row| rows.value(row))
                });
                hosts += u64::from(!counted);
            }
        }
        Ok(Total { services, hosts })
    }

    /// Counts what was found by a field, its `top` most frequent values, at most [`FACET_MAX`].
    pub async fn facet(&self, field: Field, top: usize) -> Result<Facet, LakeError> {
        let mut counts = facet::Counts::default();
        for (segment, rows) in self.view.segments.iter().zip(&self.rows) {
            if rows.count_set_bits() == 0 {
                continue;
            }
            let loaded = segment.load(matching::columns(field)).await?;
            in_place(|| counts.add(field, &loaded, rows));
        }
        Ok(counts.finish(field, top.min(FACET_MAX)))
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
fn in_place<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// The first row whose (address, port) is not before `key`.
fn position(loaded: &Loaded<'_>, key: ((i64, i64), i32)) -> usize {
    let ports = loaded.column("port").ints();
    let (mut low, mut high) = (0, loaded.rows);
    while low < high {
        let middle = low + (high - low) / 2;
        if (loaded.addr(middle), ports[middle]) < key { low = middle + 1 } else { high = middle }
    }
    low
}

fn text_at<'a>(loaded: &'a Loaded<'_>, name: &'static str, row: usize) -> Option<&'a str> {
    let texts = loaded.column(name).texts();
    match texts.codes[row] {
        0 => None,
        code => Some(texts.dictionary.text(code as usize)),
    }
}

fn key_at(loaded: &Loaded<'_>, row: usize) -> ServiceKey {
    ServiceKey {
        addr: loaded.addr(row),
        port: loaded.column("port").ints()[row],
        transport: text_at(loaded, "transport", row).unwrap_or_default().to_owned(),
        protocol: text_at(loaded, "protocol", row).map(str::to_owned),
    }
}

/// Which rows hold: of those with one key the one that was asked last; when they were asked at once,
/// the one that was known last.
async fn live(segments: &[Arc<Segment>]) -> Result<Vec<BooleanBuffer>, LakeError> {
    let all = |segments: &[Arc<Segment>]| -> Vec<BooleanBuffer> {
        segments.iter().map(|segment| BooleanBuffer::new_set(segment.rows())).collect()
    };
    if segments.len() < 2 {
        return Ok(all(segments));
    }
    let mut loaded = Vec::new();
    for segment in segments {
        loaded.push(segment.load(&KEYS).await?);
    }
    let rank = |segment: usize, row: usize| {
        let long = |name| loaded[segment].column(name).longs()[row];
        (long("asked_us"), long("known_us"), segment)
    };
    let Some(largest) = (0..segments.len()).max_by_key(|number| segments[*number].rows()) else {
        return Ok(Vec::new());
    };
    let mut superseded: Vec<Vec<usize>> = vec![Vec::new(); segments.len()];
    let mut newest: HashMap<ServiceKey, (usize, usize)> = HashMap::new();
    for number in (0..segments.len()).filter(|number| *number != largest) {
        for row in 0..loaded[number].rows {
            match newest.entry(key_at(&loaded[number], row)) {
                Entry::Vacant(vacant) => {
                    vacant.insert((number, row));
                }
                Entry::Occupied(mut held) => {
                    let (a, b) = *held.get();
                    if rank(a, b) < rank(number, row) {
                        superseded[a].push(b);
                        held.insert((number, row));
                    } else {
                        superseded[number].push(row);
                    }
                }
            }
        }
    }
    let base = &loaded[largest];
    for (key, (number, row)) in newest {
        let mut at = position(base, (key.addr, key.port));
        while at < base.rows && (base.addr(at), base.column("port").ints()[at]) == (key.addr, key.port) {
            if key_at(base, at) == key {
                if rank(largest, at) < rank(number, row) {
                    superseded[largest].push(at);
                } else {
                    superseded[number].push(row);
                }
            }
            at += 1;
        }
    }
    let without = |(live, gone): (BooleanBuffer, Vec<usize>)| {
        let mut bits = live.iter().collect::<Vec<bool>>();
        gone.into_iter().for_each(|row| bits[row] = false);
        BooleanBuffer::from(bits)
    };
    Ok(all(segments).into_iter().zip(superseded).map(without).collect())
}

/// The address of a key.
pub fn addr_of(key: &ServiceKey) -> IpAddr {
    addr_from_hi_lo(key.addr.0, key.addr.1)
}

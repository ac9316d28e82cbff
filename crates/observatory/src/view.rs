//! The current view, kept up to date: what surveys saw becomes rows of services.
//!
//! [`Fold`] takes what was seen at one host in one survey and says how the rows of its services are
//! afterwards. It is pure; folding the same observations again changes nothing.

mod findings;
mod fold;
mod past;
mod saying;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use kenshin_casework::{ProviderMap, Role, Viewer};
use kenshin_insight::identity::identify;
use kenshin_lake::search::Field;
use kenshin_lake::view::{Sight, View};
use kenshin_lake::{
    Annex, Answer, Compacted, CurrentView, Extent, HostObservation, Limits, Mandates, Places, Progress,
    Question, Rows, Thoroughness, Told,
};
use kenshin_observation::schema::{ServiceKey, ServiceRow};
use kenshin_observation::{Batch, Endpoint, Identity, Observation, ProviderId, SensorId, SurveyId, TimeUs};

use crate::Observatory;
use crate::error::ActError;
use crate::intelligence::Tables;
use findings::Findings;
use fold::{Fold, Services};

pub use past::{FOUND_MAX, Past, known_by};

/// Rows handed to the lake at once while a view is made anew, and observations folded at once while
/// it catches up.
const PIECE_ROWS: usize = 1 << 15;
/// The fields by which the explorer counts before anybody chooses others.
const FIRST_ASKED: [Field; 8] = [
    Field::Protocol,
    Field::Port,
    Field::Product,
    Field::Type,
    Field::Provider,
    Field::Country,
    Field::Tls,
    Field::Label,
];

/// Who answers for which address, by name, and where it is used.
struct Providers {
    map: ProviderMap,
    names: HashMap<ProviderId, String>,
    /// Autonomous systems and countries.
    tables: Option<Arc<Tables>>,
}

/// Everything known of one host.
pub struct HostView {
    /// Its services as they were when they were last asked.
    pub now: Vec<ServiceRow>,
    /// As they were before, oldest first: a row for each time something changed.
    pub before: Vec<ServiceRow>,
    /// What it was taken for in the survey that looked last, with reasons.
    pub identity: Identity,
}

impl Observatory {
    /// The views that are kept: of all observations, and of those under the mandates that accounts are
    /// limited to. That of all comes last: whoever sees it changed finds the others up to date.
    pub(crate) async fn extents(&self) -> Result<Vec<Extent>, ActError> {
        let limits = self.casework().mandate_limits(self.org()).await?;
        let limited = limits.iter().filter_map(|limit| mandates(&limit.mandates, limit.shared));
        let limited = limited.map(Extent::Mandates);
        Ok(limited.chain([Extent::All]).collect())
    }

    /// Of those, the views that can be kept up: who limits an account makes the view of its mandates from all
    /// there is.
    async fn made(&self) -> Result<Vec<Extent>, ActError> {
        let mut made = Vec::new();
        for extent in self.extents().await? {
            if extent == Extent::All || self.lake().await?.view_of(&extent).await?.is_made().await? {
                made.push(extent);
            }
        }
        Ok(made)
    }

    /// Brings the views up to batches of a sensor that the lake took at `taken_at`, when it had come to the
    /// sequence `held` of that sensor; of these batches `completed` are such as it had a part of.
    ///
    /// Every view is told every batch, so that each can be seen to be in step, also that of mandates which
    /// none of them is of.
    pub(crate) async fn bring_up(
        &self,
        sensor: SensorId,
        batches: &[Batch],
        taken_at: TimeUs,
        held: i64,
        completed: usize,
    ) -> Result<(), ActError> {
        for extent in self.made().await? {
            let known = self.lake().await?.view_of(&extent).await?.progress(sensor).await?;
            // What a commit that was broken off had left is known since then: the lake alone says since when.
            match known < held || completed > 0 {
                true => self.catch_up(&extent, sensor).await?,
                false => self.fold_in(&extent, sensor, batches, taken_at).await?,
            }
        }
        Ok(())
    }

    /// Folds batches that the lake took at `taken_at` into a view that knows all before them.
    async fn fold_in(
        &self,
        extent: &Extent,
        sensor: SensorId,
        batches: &[Batch],
        taken_at: TimeUs,
    ) -> Result<(), ActError> {
        let Some(last) = batches.last().map(|batch| batch.header.sequence) else { return Ok(()) };
        let mut by_addr: BTreeMap<IpAddr, Vec<HostObservation>> = BTreeMap::new();
        let observations = batches.iter().flat_map(|batch| &batch.observations);
        for observation in observations.filter(|one| extent.contains(one)) {
            let one = HostObservation { observation: observation.clone(), known_at: taken_at };
            by_addr.entry(observation.subject.addr).or_default().push(one);
        }
        let providers = self.provider_names(None).await?;
        let view = self.lake().await?.view_of(extent).await?;
        let rows = self.changed(&view, by_addr.into_values().collect(), &providers).await?;
        Ok(view.add(rows, &[(sensor, last)].into()).await?)
    }

    /// Folds in what the lake has of a sensor and the views have not.
    pub(crate) async fn catch_up_with(&self, sensor: SensorId) -> Result<(), ActError> {
        for extent in self.made().await? {
            self.catch_up(&extent, sensor).await?;
        }
        Ok(())
    }

    /// Folds in what the lake has of a sensor and a view has not, piece by piece.
    async fn catch_up(&self, extent: &Extent, sensor: SensorId) -> Result<(), ActError> {
        let lake = self.lake().await?;
        let view = lake.view_of(extent).await?;
        let (known, last) =
            (view.progress(sensor).await?, lake.last_sequence(sensor).await?.unwrap_or_default());
        if known >= last {
            return Ok(());
        }
        let providers = self.provider_names(None).await?;
        let told = Told { since: Some((sensor, known)), ..told_of(extent) };
        let mut hosts = lake.hosts(&told).await?;
        let (mut piece, mut size) = (Vec::new(), 0);
        while let Some(seen) = hosts.next().await? {
            size += seen.len();
            piece.push(seen);
            if size >= PIECE_ROWS {
                let rows = self.changed(&view, std::mem::take(&mut piece), &providers).await?;
                // Without progress: it is told with the last piece, and a piece may be folded again.
                view.add(rows, &Progress::new()).await?;
                self.merge_view().await;
                size = 0;
            }
        }
        let rows = self.changed(&view, piece, &providers).await?;
        Ok(view.add(rows, &[(sensor, last)].into()).await?)
    }

    /// Merges runs of the views when they are many. Nothing depends on it but how fast a search is.
    pub(crate) async fn merge_view(&self) {
        let merged = async {
            for extent in self.extents().await? {
                self.lake().await?.view_of(&extent).await?.merge(self.now()).await?;
            }
            Ok::<_, ActError>(())
        };
        if let Err(error) = merged.await {
            tracing::warn!(%error, "the runs of the current view were not merged");
        }
    }

    /// The rows of hosts that are other than the view knows them, after what was seen.
    async fn changed(
        &self,
        view: &CurrentView,
        hosts: Vec<Vec<HostObservation>>,
        providers: &Providers,
    ) -> Result<Vec<ServiceRow>, ActError> {
        let mut endpoints: Vec<Endpoint> =
            hosts.iter().flatten().map(|one| one.observation.subject).collect();
        endpoints.sort_unstable();
        endpoints.dedup();
        let mut known: HashMap<IpAddr, Vec<ServiceRow>> = HashMap::new();
        for row in view.view().await?.known(&endpoints).await? {
            known.entry(row.addr()).or_default().push(row);
        }
        let mut changed = Vec::new();
        for seen in hosts {
            let addr = seen.first().map(|one| one.observation.subject.addr);
            let held = addr.and_then(|addr| known.remove(&addr)).unwrap_or_default();
            let unchanged: HashMap<ServiceKey, ServiceRow> =
                held.iter().map(|row| (row.key(), row.clone())).collect();
            let host = self.fold_host(held, seen, providers, None).await?;
            changed.extend(host.into_iter().filter(|row| unchanged.get(&row.key()) != Some(row)));
        }
        Ok(changed)
    }

    /// Makes every current view anew, each from all observations that it is of; gives the number of services
    /// in that of all. Views that nobody looks at any more are emptied.
    ///
    /// Batches are received meanwhile, and searches answered. What came in between is folded in when
    /// a new view takes the place of the old one.
    pub async fn rebuild_view(&self) -> Result<u64, ActError> {
        let (lake, extents) = (self.lake().await?, self.extents().await?);
        for extent in &extents {
            self.rebuild(extent).await?;
        }
        lake.keep_views(&extents, self.now()).await?;
        Ok(lake.view().await?.services())
    }

    /// Makes one view anew from the observations that it is of.
    async fn rebuild(&self, extent: &Extent) -> Result<(), ActError> {
        let lake = self.lake().await?;
        let view = lake.view_of(extent).await?;
        let mut progress = lake.progress().await?;
        let mut new = view.begin_anew(self.now()).await?;
        let providers = self.provider_names(None).await?;
        let mut rows: Vec<ServiceRow> = Vec::new();
        let mut hosts = lake.hosts(&told_of(extent)).await?;
        while let Some(seen) = hosts.next().await? {
            rows.extend(self.fold_host(Vec::new(), seen, &providers, None).await?);
            if rows.len() >= PIECE_ROWS {
                new.write(std::mem::take(&mut rows)).await?;
            }
        }
        new.write(rows).await?;
        // Nobody folds anything into a view that is being replaced.
        let _turn = self.receiving().await?;
        let sensors: Vec<SensorId> = lake.progress().await?.into_keys().collect();
        for sensor in &sensors {
            progress.entry(*sensor).or_insert(0);
        }
        view.finish(new, &progress, self.now()).await?;
        for sensor in sensors {
            self.catch_up(extent, sensor).await?;
        }
        Ok(())
    }

    /// Makes the views that are missing, and anew those that another version of this program made; those that
    /// nobody needed for a while are brought up to the lake.
    pub async fn renew_view(&self) -> Result<(), ActError> {
        for extent in self.extents().await? {
            let view = self.lake().await?.view_of(&extent).await?;
            let made = extent == Extent::All || view.is_made().await?;
            if !made || !view.view().await?.is_current().await? {
                self.rebuild(&extent).await?;
                let services = view.view().await?.services();
                tracing::info!(
                    services,
                    "a current view was missing or of another version, and was made anew"
                );
                continue;
            }
            let _turn = self.receiving().await?;
            for sensor in self.lake().await?.progress().await?.into_keys() {
                self.catch_up(&extent, sensor).await?;
            }
        }
        Ok(())
    }

    /// The current view in which somebody searches: of all observations, or of those that are all they see.
    pub async fn view_for(&self, sight: &Sight) -> Result<Arc<View>, ActError> {
        Ok(self.lake().await?.view_seen(sight).await?.view().await?)
    }

    /// Reads what the explorer asks first, so that nobody waits for it; nothing when it is read already.
    /// From then on SQL reads the view from memory too, up to `columns_bytes`.
    pub async fn read_ahead(&self, columns_bytes: usize) -> Result<(), ActError> {
        let lake = self.lake().await?;
        lake.hold_columns(columns_bytes);
        Ok(lake.view().await?.read_ahead(&FIRST_ASKED).await?)
    }

    /// Merges the small files of the lake, and the current view into one run; what was merged, and whether
    /// the view was more than one. `progress` is told table, month and number of files.
    pub async fn compact_lake(
        &self,
        progress: impl FnMut(&str, &str, usize),
    ) -> Result<(Compacted, bool), ActError> {
        let (lake, _turn) = (self.lake().await?, self.tending().await?);
        let compacted = lake.compact(self.now(), Thoroughness::All, progress).await?;
        let mut merged = false;
        for extent in self.extents().await? {
            merged |= lake.view_of(&extent).await?.compact(self.now()).await?;
        }
        Ok((compacted, merged))
    }

    /// Merges what is due of the lake's small files; to be called now and then.
    pub async fn tend_lake(&self) -> Result<Compacted, ActError> {
        let _turn = self.tending().await?;
        Ok(self.lake().await?.compact(self.now(), Thoroughness::Due, |_, _, _| {}).await?)
    }

    /// One host through time; nothing when `viewer` may not see it, or when nothing was seen there.
    pub async fn host(
        &self,
        viewer: &Viewer,
        addr: IpAddr,
        known_by: Option<TimeUs>,
    ) -> Result<Option<HostView>, ActError> {
        let sight = self.sight(viewer).await?;
        if !sight.reaches(addr) {
            return Ok(None);
        }
        let told = Told { addr: Some(addr), known_by, ..told_of(&sight.extent()) };
        let providers = self.provider_names(known_by).await?;
        let Some(mut seen) = self.lake().await?.hosts(&told).await?.next().await? else { return Ok(None) };
        seen.retain(|one| sight.shows(&one.observation));
        let last = seen.last().map(|one| one.observation.survey_id);
        let newest: Vec<&Observation> =
            seen.iter().map(|one| &one.observation).filter(|o| Some(o.survey_id) == last).collect();
        let identity = identify(&newest, self.packs().await?);
        let mut before = Vec::new();
        let now = self.fold_host(Vec::new(), seen, &providers, Some(&mut before)).await?;
        Ok(Some(HostView { now, before, identity }).filter(|host| !host.now.is_empty()))
    }

    /// What `viewer` may see: everything, what some mandates brought and their community may see, or the addresses of their own providers
    /// by longest prefix.
    pub async fn sight(&self, viewer: &Viewer) -> Result<Sight, ActError> {
        if viewer.sees_all_providers() {
            return Ok(Sight::All);
        }
        let searches = viewer.role == Role::Analyst;
        let shared = viewer.community.is_some();
        if let Some(mandates) = mandates(&viewer.mandates, shared).filter(|_| searches) {
            // A mandate may come to lack what an account was made by.
            let lawful = !shared || self.cannot_be_shared(&viewer.mandates).await?.is_none();
            return Ok(if lawful { Sight::Mandates(mandates) } else { Sight::Only(Vec::new()) });
        }
        if !viewer.sees_rows() {
            return Ok(Sight::Only(Vec::new()));
        }
        let map = self.casework().provider_map(viewer.org).await?;
        Ok(Sight::Only(map.ranges_of(&viewer.providers)))
    }

    /// Answers a read-only SQL query as far as somebody may see. Functions tell places by the tables in
    /// use.
    pub async fn sql(&self, viewer: &Viewer, sql: &str, limits: Limits) -> Result<Answer, ActError> {
        let question = self.question(viewer, sql, limits).await?;
        Ok(self.lake().await?.ask(&question).await?)
    }

    /// The same, batch by batch as they are found.
    pub async fn sql_rows(&self, viewer: &Viewer, sql: &str, limits: Limits) -> Result<Rows, ActError> {
        let question = self.question(viewer, sql, limits).await?;
        Ok(self.lake().await?.answer(&question).await?)
    }

    /// Columns of the answer to a query, which is not sought.
    pub async fn sql_columns(
        &self,
        viewer: &Viewer,
        sql: &str,
        limits: Limits,
    ) -> Result<SchemaRef, ActError> {
        let question = self.question(viewer, sql, limits).await?;
        Ok(self.lake().await?.columns(&question).await?)
    }

    /// The tables that somebody may ask, with their columns.
    pub async fn sql_tables(&self, viewer: &Viewer) -> Result<Vec<(&'static str, SchemaRef)>, ActError> {
        let mut tables = self.lake().await?.tables(&self.sight(viewer).await?).await?;
        tables.extend(self.annexes(viewer).iter().map(|annex| (annex.name(), annex.schema())));
        tables.sort_unstable_by_key(|(name, _)| *name);
        Ok(tables)
    }

    /// The tables that are not the lake's.
    fn annexes(&self, viewer: &Viewer) -> Vec<Arc<dyn Annex>> {
        Findings::seen_by(viewer, self.casework()).into_iter().collect()
    }

    async fn question(&self, viewer: &Viewer, sql: &str, limits: Limits) -> Result<Question, ActError> {
        let places = self.tables(None).await?.map(|tables| tables as Arc<dyn Places>);
        let (sight, annexes) = (self.sight(viewer).await?, self.annexes(viewer));
        Ok(Question { sql: sql.to_owned(), sight, limits, places, annexes })
    }

    /// The rows of one host, after those that `held` are, by what was seen, survey by survey.
    async fn fold_host(
        &self,
        held: Vec<ServiceRow>,
        seen: Vec<HostObservation>,
        providers: &Providers,
        mut before: Option<&mut Vec<ServiceRow>>,
    ) -> Result<Vec<ServiceRow>, ActError> {
        let packs = self.packs().await?;
        let mut services = Services::of(held);
        for mut survey in by_survey(seen) {
            // In one order, however they came.
            survey.sort_by_key(|one| (one.observation.subject, one.observation.check, one.observation.time));
            let observations: Vec<&Observation> = survey.iter().map(|one| &one.observation).collect();
            let Some(first) = observations.first() else { continue };
            let speaks = observations.iter().any(|o| o.protocol.is_some());
            let identity = if speaks { identify(&observations, packs) } else { Identity::default() };
            let provider = providers.map.find(first.subject.addr).and_then(|id| providers.names.get(&id));
            let known_at = survey.iter().map(|one| one.known_at).max().unwrap_or(first.time);
            let tables = providers.tables.as_deref();
            let fold = Fold::new(&identity, provider.map(String::as_str), tables, known_at);
            fold.host(&mut services, &observations, before.as_deref_mut());
        }
        Ok(services.into_rows())
    }

    /// Providers of today, and the tables of addresses in use, or at an instant.
    async fn provider_names(&self, at: Option<TimeUs>) -> Result<Providers, ActError> {
        let map = self.casework().provider_map(self.org()).await?;
        let names = self.names_of_providers().await?;
        Ok(Providers { map, names, tables: self.tables(at).await? })
    }
}

/// The observations of one host in the order of its surveys, by when each began.
fn by_survey(seen: Vec<HostObservation>) -> Vec<Vec<HostObservation>> {
    let mut surveys: Vec<Vec<HostObservation>> = Vec::new();
    let mut positions: HashMap<SurveyId, usize> = HashMap::new();
    for one in seen {
        let position = *positions.entry(one.observation.survey_id).or_insert(surveys.len());
        match surveys.get_mut(position) {
            Some(survey) => survey.push(one),
            None => surveys.push(vec![one]),
        }
    }
    surveys
}

/// What mandates bring, or as much of it as may be shared; nothing without a mandate.
fn mandates(ids: &[String], shared: bool) -> Option<Mandates> {
    let all = Mandates::new(ids.iter().cloned())?;
    Some(if shared { all.shared() } else { all })
}

/// The observations that a view is made of.
pub(crate) fn told_of(extent: &Extent) -> Told {
    let mandates = match extent {
        Extent::All => None,
        Extent::Mandates(mandates) => Some(mandates.clone()),
    };
    Told { mandates, ..Told::default() }
}

//! The current view, kept up to date: what surveys saw becomes rows of services.
//!
//! [`Fold`] takes what was seen at one host in one survey and says how the rows of its services are
//! afterwards. It is pure; folding the same observations again changes nothing.

mod fold;
mod saying;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use kenshin_casework::{PAGE_MAX, PageRequest, ProviderMap, Viewer};
use kenshin_insight::identity::identify;
use kenshin_lake::view::{Sight, View};
use kenshin_lake::{Answer, HostObservation, Limits, Places, Question, Told};
use kenshin_observation::schema::ServiceRow;
use kenshin_observation::{Batch, Endpoint, Identity, Observation, ProviderId, SensorId, TimeUs};

use crate::Observatory;
use crate::error::ActError;
use crate::intelligence::Tables;
use fold::Fold;

/// Rows handed to the lake at once while a view is made anew.
const PIECE_ROWS: usize = 1 << 15;
/// Most pages of the provider directory.
const DIRECTORY_PAGES_MAX: usize = 4_096;

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
    /// Folds batches that the lake took at `taken_at` into the current view. `before` is how far
    /// view and lake had come before them. What was missed before is made up for.
    pub(crate) async fn fold_in(
        &self,
        sensor: SensorId,
        before: (i64, i64),
        batches: &[Batch],
        taken_at: TimeUs,
    ) -> Result<(), ActError> {
        let Some(last) = batches.last().map(|batch| batch.header.sequence) else { return Ok(()) };
        let lake = self.lake().await?;
        let view = lake.view().await?;
        let providers = self.provider_names().await?;
        let mut rows = Vec::new();
        if before.0 < before.1 {
            let told = Told { since: Some((sensor, before.0)), ..Told::default() };
            let mut hosts = lake.hosts(&told).await?;
            while let Some(seen) = hosts.next().await? {
                rows.extend(self.changed(&view, seen, &providers).await?);
            }
        } else {
            let mut by_addr: BTreeMap<IpAddr, Vec<HostObservation>> = BTreeMap::new();
            for observation in batches.iter().flat_map(|batch| &batch.observations) {
                let one = HostObservation { observation: observation.clone(), known_at: taken_at };
                by_addr.entry(observation.subject.addr).or_default().push(one);
            }
            for seen in by_addr.into_values() {
                rows.extend(self.changed(&view, seen, &providers).await?);
            }
        }
        lake.add_services(rows, &[(sensor, last)].into()).await?;
        lake.merge_services(None).await?;
        Ok(())
    }

    /// The rows of a host that are other than the view knows them, after what was seen.
    async fn changed(
        &self,
        view: &View,
        seen: Vec<HostObservation>,
        providers: &Providers,
    ) -> Result<Vec<ServiceRow>, ActError> {
        let mut endpoints: Vec<Endpoint> = seen.iter().map(|one| one.observation.subject).collect();
        endpoints.sort_unstable();
        endpoints.dedup();
        let known = view.known(&endpoints).await?;
        let unchanged = view.rows_of(&known).await?;
        let mut host = unchanged.clone();
        self.fold_host(&mut host, seen, providers, None).await?;
        host.retain(|row| !unchanged.contains(row));
        Ok(host)
    }

    /// Makes the current view anew from all observations; gives the number of services.
    pub async fn rebuild_view(&self) -> Result<u64, ActError> {
        let lake = self.lake().await?;
        let progress = lake.progress().await?;
        let mut new = lake.new_view().await?;
        let providers = self.provider_names().await?;
        let mut rows: Vec<ServiceRow> = Vec::new();
        let mut hosts = lake.hosts(&Told::default()).await?;
        while let Some(seen) = hosts.next().await? {
            let mut host = Vec::new();
            self.fold_host(&mut host, seen, &providers, None).await?;
            rows.extend(host);
            if rows.len() >= PIECE_ROWS {
                new.write(std::mem::take(&mut rows)).await?;
            }
        }
        new.write(rows).await?;
        Ok(lake.finish_view(new, &progress).await?)
    }

    /// The view of the past: of what the lake knew at `known_by`, and with `history` also every row
    /// as it was before something changed. It is made from observations each time.
    pub async fn view_of_past(&self, known_by: Option<TimeUs>, history: bool) -> Result<View, ActError> {
        let told = Told { known_by, ..Told::default() };
        let providers = self.provider_names().await?;
        let (mut rows, mut before) = (Vec::new(), Vec::new());
        let mut hosts = self.lake().await?.hosts(&told).await?;
        while let Some(seen) = hosts.next().await? {
            let mut host = Vec::new();
            self.fold_host(&mut host, seen, &providers, history.then_some(&mut before)).await?;
            rows.extend(host);
        }
        rows.extend(before);
        Ok(View::of(rows)?)
    }

    /// One host through time; nothing when `viewer` may not see it, or when nothing was seen there.
    pub async fn host(
        &self,
        viewer: &Viewer,
        addr: IpAddr,
        known_by: Option<TimeUs>,
    ) -> Result<Option<HostView>, ActError> {
        if !is_in_sight(&self.sight(viewer).await?, addr) {
            return Ok(None);
        }
        let told = Told { addr: Some(addr), known_by, ..Told::default() };
        let providers = self.provider_names().await?;
        let Some(seen) = self.lake().await?.hosts(&told).await?.next().await? else { return Ok(None) };
        let last = seen.last().map(|one| one.observation.survey_id);
        let newest: Vec<&Observation> =
            seen.iter().map(|one| &one.observation).filter(|o| Some(o.survey_id) == last).collect();
        let identity = identify(&newest, self.packs().await?);
        let (mut now, mut before) = (Vec::new(), Vec::new());
        self.fold_host(&mut now, seen, &providers, Some(&mut before)).await?;
        now.sort_by(ServiceRow::compare_keys);
        Ok(Some(HostView { now, before, identity }).filter(|host| !host.now.is_empty()))
    }

    /// What `viewer` may see: everything, or the addresses of their own providers by longest prefix.
    pub async fn sight(&self, viewer: &Viewer) -> Result<Sight, ActError> {
        if viewer.sees_all_providers() {
            return Ok(Sight::All);
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
        let places = self.tables().await?.map(|tables| tables as Arc<dyn Places>);
        let question = Question { sql: sql.to_owned(), sight: self.sight(viewer).await?, limits, places };
        Ok(self.lake().await?.ask(&question).await?)
    }

    /// Folds what was seen at one host, survey by survey.
    async fn fold_host(
        &self,
        host: &mut Vec<ServiceRow>,
        seen: Vec<HostObservation>,
        providers: &Providers,
        mut before: Option<&mut Vec<ServiceRow>>,
    ) -> Result<(), ActError> {
        let packs = self.packs().await?;
        for mut survey in by_survey(seen) {
            // In one order, however they came.
            survey.sort_by_key(|one| (one.observation.subject, one.observation.check, one.observation.time));
            let observations: Vec<&Observation> = survey.iter().map(|one| &one.observation).collect();
            let Some(first) = observations.first() else { continue };
            let speaks = observations.iter().any(|o| o.protocol.is_some());
            let identity = if speaks { identify(&observations, packs) } else { Identity::default() };
            let provider = providers.map.find(first.subject.addr).and_then(|id| providers.names.get(&id));
            let known_at = survey.iter().map(|one| one.known_at).max().unwrap_or(first.time);
            let fold = Fold {
                identity: &identity,
                provider: provider.map(String::as_str),
                tables: providers.tables.as_deref(),
                known_at,
            };
            fold.host(host, &observations, before.as_deref_mut());
        }
        Ok(())
    }

    async fn provider_names(&self) -> Result<Providers, ActError> {
        let map = self.casework().provider_map(self.org()).await?;
        let mut names = HashMap::new();
        let mut request = Some(PageRequest { after: None, limit: PAGE_MAX });
        for _ in 0..DIRECTORY_PAGES_MAX {
            let Some(wanted) = request.take() else { break };
            let found = self.casework().providers(&self.viewer(), &wanted).await?;
            request = PageRequest::following(&found).map(|next| PageRequest { limit: PAGE_MAX, ..next });
            names.extend(found.items.into_iter().map(|provider| (provider.provider_id, provider.name)));
        }
        Ok(Providers { map, names, tables: self.tables().await? })
    }
}

/// The observations of one host in the order of its surveys, by when each began.
fn by_survey(seen: Vec<HostObservation>) -> Vec<Vec<HostObservation>> {
    let mut surveys: Vec<Vec<HostObservation>> = Vec::new();
    for one in seen {
        let of = |held: &Vec<HostObservation>| held[0].observation.survey_id == one.observation.survey_id;
        match surveys.iter().position(of) {
            Some(position) => surveys[position].push(one),
            None => surveys.push(vec![one]),
        }
    }
    surveys
}

fn is_in_sight(sight: &Sight, addr: IpAddr) -> bool {
    match sight {
        Sight::All => true,
        Sight::Only(ranges) => ranges
            .iter()
            .any(|(first, last)| first.is_ipv4() == addr.is_ipv4() && *first <= addr && addr <= *last),
    }
}

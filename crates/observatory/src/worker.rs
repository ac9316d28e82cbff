//! A sensor at work: holds one part of a survey at a time, runs it, and hands sealed batches over.
//!
//! The same work for a hub in the same process and for one that is reached through HTTPS; what is
//! asked of it is the trait of [`crate::hub`]. While a part is worked on, three things go on side by
//! side, and none waits for another: the engine, the reports that keep the lease, and the batches on
//! their way.
//!
//! A hub that does not answer stops nothing by itself: batches stay in the spool, the reports are
//! tried again. The lease running out does, since another sensor may have the part then; and the
//! revocation list growing stale does, in the gate.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kenshin_casework::AssessmentSummary;
use kenshin_mandate::{Gate, RevocationList, VerifiedMandate};
use kenshin_observation::{SurveyId, TimeUs};
use kenshin_survey::credential::Dictionary;
use kenshin_survey::logbook::LogError;
use kenshin_survey::plan::SurveyPlan;
use kenshin_survey::progress::Progress;
use kenshin_survey::raw::sweep::Sockets;
use kenshin_survey::run::front::miss::MissTerms;
use kenshin_survey::run::{Refresh, Run, RunError, RunSummary, Settings as RunSettings, SharedGate};
use kenshin_survey::spool::{Spool, SpoolError};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::dictionary;
use crate::edge::Edge;
use crate::error::ActError;
use crate::home::Home;
use crate::hub::{Away, Here, Hub, Lease, Pace, ShardEnd};
use crate::settings::Settings;
use crate::{Authority, Observatory};

/// How often the sensor of the hub's own machine reports.
const PULSE_HERE: Duration = Duration::from_millis(500);
/// How often lists are looked at again that could not be read.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Papers are fetched this often even when the hub says that nothing changed.
const PAPERS_EVERY: Duration = Duration::from_secs(60);
/// Most bytes of batches that wait for the lake.
const SPOOL_BYTES_MAX: u64 = 4 << 30;
/// Most batches handed over together, and most bytes of them.
const SHIPMENT_BATCHES_MAX: usize = 16;
const SHIPMENT_BYTES_MAX: u64 = 32 << 20;
/// How long a run waits for a mandate that will stand again: with the hub in the same process, and
/// with one that may be away for a day.
const PATIENCE_HERE: Duration = Duration::from_secs(3_600);
const PATIENCE_AWAY: Duration = Duration::from_secs(7 * 86_400);

/// How the work on a part of a survey ended.
#[derive(Debug, Clone, Serialize)]
pub struct SurveyEnd {
    /// The survey.
    pub survey_id: SurveyId,
    /// What the engine came to.
    pub run: RunSummary,
    /// What the assessment did; `None` unless the survey was finished and assessed with this part.
    pub assessment: Option<AssessmentSummary>,
}

/// Why a run was stopped from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Halt {
    /// The hub said so.
    Asked,
    /// The lease ran out, or somebody else has it.
    Lost,
    /// This process ends.
    Ending,
}

/// What a future comes to; never, when there is none.
async fn going_on<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Says that a run is over, however it ended, to what still reads lists for it.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A sensor at work on one spool.
pub struct Worker {
    home: Home,
    edge: Edge,
    spool: Spool,
    hub: Arc<dyn Hub>,
    manner: Manner,
    /// One gate a mandate, however many surveys run under it: rates are counted there.
    gates: HashMap<String, SharedGate>,
    /// To sweep with, when the mandate names their addresses; else it connects.
    sockets: Option<Sockets>,
}

/// What differs between the two hubs.
struct Manner {
    pulse: Duration,
    pause_max: Duration,
    patience: Duration,
    /// A part whose process ends is taken up by the next one: nobody is told that it was stopped.
    goes_on: bool,
    /// The dictionary of this sensor, whatever path the plan names.
    dictionary: Option<PathBuf>,
    /// Its recipes.
    recipes: Option<PathBuf>,
}

impl Worker {
    /// The sensor of an observatory's own machine. Only one process can hold its spool.
    pub fn open(observatory: &Observatory) -> Result<Self, ActError> {
        let (home, edge) = (observatory.home().clone(), observatory.edge().clone());
        let spool = open_spool(&home, &edge)?;
        let hub = Arc::new(Here::new(observatory, &spool)?);
        let manner = Manner {
            pulse: PULSE_HERE,
            pause_max: PULSE_HERE,
            patience: PATIENCE_HERE,
            goes_on: false,
            dictionary: None,
            recipes: None,
        };
        Ok(Self { home, edge, spool, hub, manner, gates: HashMap::new(), sockets: None })
    }

    /// A sensor apart from the hub that its settings name.
    pub fn apart(home: &Home, settings: &Settings, edge: &Edge) -> Result<Self, ActError> {
        let Some(address) = &settings.hub else {
            return Err(ActError::input("this home names no hub")
                .with_hint("`kenshin sensor enrol` makes a home for a sensor"));
        };
        home.create_for_sensor()?;
        let spool = open_spool(home, edge)?;
        let hub = Away::new(address, home, spool.sensor(), edge)?;
        let manner = Manner {
            pulse: Duration::from_millis(address.pulse_ms.into()),
            pause_max: Duration::from_secs(address.pause_max_s.into()),
            patience: PATIENCE_AWAY,
            goes_on: true,
            dictionary: settings.dictionary.clone(),
            recipes: settings.recipes.clone(),
        };
        Ok(Self {
            home: home.clone(),
            edge: edge.clone(),
            spool,
            hub: Arc::new(hub),
            manner,
            gates: HashMap::new(),
            sockets: None,
        })
    }

    /// Sweeps over raw packets from now on, wherever a mandate names the addresses of these sockets.
    #[must_use]
    pub fn with_sockets(self, sockets: Option<Sockets>) -> Self {
        Self { sockets, ..self }
    }

    /// Runs a survey on whatever this sensor may send with.
    async fn sweep(&self, run: Run) -> Result<RunSummary, RunError> {
        if let Some(sockets) = &self.sockets {
            let sources =
                run.gate.lock().unwrap_or_else(PoisonError::into_inner).sensor().source_addresses.clone();
            if sockets.send_from(&sources) {
                return kenshin_survey::raw::sweep::run(run, sockets).await;
            }
            tracing::warn!(
                ?sources,
                "the raw sockets are of other addresses than the mandate names; connecting"
            );
        }
        kenshin_survey::run::run(run).await
    }

    /// The spool, for those who look at it.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Where it lives.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Its clock and randomness.
    pub(crate) fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Its hub.
    pub(crate) fn hub(&self) -> &dyn Hub {
        self.hub.as_ref()
    }

    /// Pauses for a hub that does not answer.
    pub fn pace(&self) -> Pace {
        Pace::new(self.edge.seed(), self.manner.pause_max)
    }

    /// Hands over what is sealed, takes the part of a survey that waits, and works on it to its end.
    /// `None` when there is none.
    ///
    /// `progress` is told several times a second; `stop` turning true stops the survey resumably.
    pub async fn work_once(
        &mut self,
        progress: &watch::Sender<Progress>,
        stop: &watch::Receiver<bool>,
    ) -> Result<Option<SurveyEnd>, ActError> {
        // What an earlier run sealed and did not hand over comes first.
        self.ship().await?;
        self.pass_on().await?;
        // The lease is counted from before it was asked for: it is never taken for longer than it is.
        let asked = Instant::now();
        let Some(lease) = self.hub.lease().await? else { return Ok(None) };
        match self.work_on(&lease, asked, progress, stop).await {
            Ok(end) => Ok(Some(end)),
            Err(error) if error.is_away() => Err(error),
            Err(error) => {
                let failed = ShardEnd::Failed { error: told(&error) };
                if let Err(also) = self.hub.end(lease.held, &failed).await {
                    tracing::warn!(error = %also, "the hub was not told that the work failed");
                }
                Err(error)
            }
        }
    }

    async fn work_on(
        &mut self,
        lease: &Lease,
        asked: Instant,
        progress: &watch::Sender<Progress>,
        stop: &watch::Receiver<bool>,
    ) -> Result<SurveyEnd, ActError> {
        let survey_id = lease.survey_id;
        let papers = self.fetch_papers(&lease.mandate_id).await?;
        let gate = self.gate(&lease.plan)?;
        let space =
            lease.plan.space().map_err(|error| ActError::no(format!("survey {survey_id}: {error}")))?;
        let (stop_here, stopped) = watch::channel(false);
        let over = Over(Arc::new(AtomicBool::new(false)));
        let (report, reported) = watch::channel(Progress::default());
        let settings = RunSettings {
            seed: self.edge.seed(),
            shard: lease.shard,
            done: lease.done(space.slices()),
            refresh: Some(self.refresh(&lease.plan, &over.0)),
            refresh_every: Duration::from_millis(300),
            patience: self.manner.patience,
            clock_error_us: None,
            dictionary: self.dictionary(&lease.plan)?,
            miss: MissTerms::of(&lease.plan),
        };
        let mut engine = std::pin::pin!(self.sweep(Run {
            plan: lease.plan.clone(),
            gate,
            spool: self.spool.clone(),
            settings,
            clock: self.edge.clock(),
            progress: report,
            stop: stopped,
        }));
        // Both are dropped where they are not polled any more: a transaction that one of them began must
        // not be waited for by whoever writes next.
        let mut keeping = Some(Box::pin(self.keep(lease, asked, papers, &reported, progress)));
        let mut shipping = Some(Box::pin(self.keep_shipping()));
        let mut stop = stop.clone();
        let mut halted: Option<Result<Halt, ActError>> = None;
        let ran = loop {
            let halt = tokio::select! {
                ran = &mut engine => break ran,
                halt = going_on(&mut keeping) => halt,
                error = going_on(&mut shipping) => Err(error),
                () = said(&mut stop), if halted.is_none() => Ok(Halt::Ending),
            };
            (keeping, shipping) = (None, None);
            halted = Some(halt);
            stop_here.send_replace(true);
        };
        drop((keeping, shipping));
        drop(over);
        let summary = ran.map_err(|error| run_error(survey_id, error))?;
        let halt = halted.transpose()?;
        progress.send_replace(summary.progress.clone());
        let unheard = match halt {
            Some(Halt::Lost) => true,
            Some(Halt::Ending) => self.manner.goes_on,
            Some(Halt::Asked) | None => false,
        };
        let assessment = if unheard { None } else { self.tell_end(lease, &summary, &mut stop).await? };
        Ok(SurveyEnd { survey_id, run: summary, assessment })
    }

    /// Keeps the lease by reports, for as long as the hub hears them or the lease holds; takes papers
    /// that changed.
    async fn keep(
        &self,
        lease: &Lease,
        asked: Instant,
        mut papers: String,
        reported: &watch::Receiver<Progress>,
        progress: &watch::Sender<Progress>,
    ) -> Result<Halt, ActError> {
        // A tenth less: what is open is reset before the lease is over.
        let holds = Duration::from_secs(lease.for_s.into()) * 9 / 10;
        let (mut heard, mut fetched) = (asked, asked);
        loop {
            tokio::time::sleep_until((Instant::now() + self.manner.pulse).min(heard + holds)).await;
            let state = reported.borrow().clone();
            progress.send_replace(state.clone());
            let asked = Instant::now();
            let pulse = match tokio::time::timeout_at(heard + holds, self.hub.pulse(lease.held, &state)).await
            {
                Err(_) => return Ok(Halt::Lost),
                Ok(Err(error)) if error.is_away() => {
                    tracing::info!(%error, "reported in vain");
                    continue;
                }
                Ok(pulse) => pulse?,
            };
            heard = asked;
            if !pulse.keep {
                return Ok(Halt::Lost);
            }
            if pulse.stop {
                return Ok(Halt::Asked);
            }
            match self.pass_on().await {
                Err(error) if !error.is_away() => tracing::warn!(%error, "requests were not passed on"),
                _ => {}
            }
            if pulse.papers != papers || fetched.elapsed() > PAPERS_EVERY {
                // What is not taken is asked for again; the list that is known grows stale meanwhile.
                match self.fetch_papers(&lease.mandate_id).await {
                    Ok(tag) => (papers, fetched) = (tag, Instant::now()),
                    Err(error) => tracing::warn!(%error, "papers of the hub were not taken"),
                }
            }
        }
    }

    /// Hands over what is sealed while a survey runs; ends only with an error that waiting does not
    /// mend.
    async fn keep_shipping(&self) -> ActError {
        let mut pace = self.pace();
        loop {
            match self.ship().await {
                Ok(0) => self.spool.arrived(self.manner.pulse).await,
                Ok(_) => pace.reset(),
                Err(error) if error.is_away() => tokio::time::sleep(pace.next_pause()).await,
                Err(error) => return error,
            }
        }
    }

    /// Hands over what is left and tells the end, as often as it takes for the hub to hear it.
    async fn tell_end(
        &self,
        lease: &Lease,
        summary: &RunSummary,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Option<AssessmentSummary>, ActError> {
        let mut pace = self.pace();
        let end = ShardEnd::Ran { summary: Box::new(summary.clone()) };
        loop {
            let told = async {
                self.ship().await?;
                self.hub.end(lease.held, &end).await
            };
            match told.await {
                Err(error) if error.is_away() && !*stop.borrow() => {
                    tracing::info!(%error, "the end of a shard is not told yet");
                    tokio::select! {
                        () = tokio::time::sleep(pace.next_pause()) => {}
                        () = said(stop) => {}
                    }
                }
                told => return told,
            }
        }
    }

    /// Hands what is sealed from the spool to the hub: committed once, acknowledged. Gives how many
    /// batches that were.
    pub async fn ship(&self) -> Result<usize, ActError> {
        let mut moved = 0;
        loop {
            let sequences = self.spool.next_shipment(SHIPMENT_BATCHES_MAX, SHIPMENT_BYTES_MAX);
            if sequences.is_empty() {
                return Ok(moved);
            }
            let (spool, wanted) = (self.spool.clone(), sequences.clone());
            let reading = tokio::task::spawn_blocking(move || {
                wanted.into_iter().map(|sequence| spool.read(sequence)).collect::<Result<Vec<_>, _>>()
            });
            let batches = reading
                .await
                .map_err(|error| ActError::outside("failed to read the spool", error))?
                .map_err(|error| ActError::outside("failed to read the spool", error))?;
            self.hub.ship(batches).await?;
            for sequence in &sequences {
                self.spool
                    .ack(*sequence)
                    .map_err(|e| ActError::outside("failed to acknowledge a batch", e))?;
            }
            moved += sequences.len();
        }
    }

    /// Fetches what authorises from a hub whose files are not this home's, and keeps what may be
    /// believed. Gives its tag.
    async fn fetch_papers(&self, mandate_id: &str) -> Result<String, ActError> {
        let Some(papers) = self.hub.papers(mandate_id).await? else { return Ok(String::new()) };
        self.authority().take_papers(mandate_id, &papers, self.edge.now())?;
        Ok(papers.tag)
    }

    fn authority(&self) -> Authority {
        Authority::of(&self.home)
    }

    /// A sensor apart reads its own dictionary and no file that a hub names; that it is the plan's,
    /// its digest says.
    fn dictionary(&self, plan: &SurveyPlan) -> Result<Option<Arc<Dictionary>>, ActError> {
        if !self.manner.goes_on || plan.dictionary.is_none() {
            return Ok(None);
        }
        let Manner { dictionary, recipes, .. } = &self.manner;
        match dictionary::read(&self.home, dictionary.as_deref(), recipes.as_deref())? {
            Some(dictionary) => Ok(Some(Arc::new(dictionary))),
            None => Err(ActError::no("the plan checks credentials and this sensor has no dictionary")
                .with_hint("name one in kenshin.toml, or leave the check out")),
        }
    }

    fn gate(&mut self, plan: &SurveyPlan) -> Result<SharedGate, ActError> {
        let now = self.edge.now();
        let authority = self.authority();
        let mandate = authority.mandate(&plan.mandate_id, now)?;
        if let Some(gate) = self.gates.get(mandate.digest()) {
            // It knows the lists of its last run; today's are read before it is asked again.
            let list = authority.revocation(&mandate, &authority.roots()?, now)?;
            let mut known = gate.lock().unwrap_or_else(PoisonError::into_inner);
            known.narrow(&authority.narrowing()?);
            if let Some(list) = list {
                known
                    .refresh(list)
                    .map_err(|error| ActError::no(error.to_string()).with_hint(error.hint()))?;
            }
            drop(known);
            return Ok(gate.clone());
        }
        let digest = mandate.digest().to_owned();
        let last_sent = self.spool.last_sent(&digest, now);
        let gate: Gate = authority.gate(mandate, self.spool.sensor().id, last_sent, now)?;
        let shared = Arc::new(Mutex::new(gate));
        self.gates.insert(digest, shared.clone());
        Ok(shared)
    }

    /// Reads the lists again: a revocation acts within a second. A revocation list that cannot be
    /// read or verified does not make the gate forget what it knows, and goes stale by itself. A
    /// narrowing list that cannot be read holds everything up until it can, because nobody may
    /// believe that it applied: while this does not return, the engine uses no permit.
    fn refresh(&self, plan: &SurveyPlan, over: &Arc<AtomicBool>) -> Refresh {
        let authority = self.authority();
        let mandate_id = plan.mandate_id.clone();
        let over = over.clone();
        Arc::new(move |gate: &SharedGate, now: TimeUs| {
            let lists = read_lists(&authority, &mandate_id, now);
            let mut narrowing = loop {
                match authority.narrowing() {
                    Ok(narrowing) => break narrowing,
                    Err(error) => {
                        tracing::warn!(%error, "nothing is sent until the narrowing list can be read")
                    }
                }
                if over.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::park_timeout(LOOK_AGAIN);
            };
            if let Ok((mandate, _)) = &lists {
                // A newer version may have come that takes the place of the one at work.
                narrowing.supersede(mandate);
            }
            let mut gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
            gate.narrow(&narrowing);
            match lists {
                Ok((_, Some(list))) => {
                    if let Err(error) = gate.refresh(list) {
                        tracing::warn!(%error, "the revocation list was not taken");
                    }
                }
                Ok((_, None)) => {}
                Err(error) => tracing::warn!(%error, "the revocation list cannot be read"),
            }
        })
    }
}

fn open_spool(home: &Home, edge: &Edge) -> Result<Spool, ActError> {
    let dir = home.spool();
    Spool::open(&dir, SPOOL_BYTES_MAX, edge.now(), edge.seed()).map_err(|error| match error {
        SpoolError::Log(LogError::Locked { .. }) => ActError::no(error.to_string())
            .with_hint("another kenshin works on this home: let it do the work, or stop it first"),
        other => ActError::outside(format!("failed to open the spool `{}`", dir.display()), other),
    })
}

/// Waits for the word to stop; for ever when nobody can say it any more.
async fn said(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending().await
    }
}

/// An error with its causes, for the hub.
fn told(error: &ActError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn read_lists(
    authority: &Authority,
    mandate_id: &str,
    now: TimeUs,
) -> Result<(Arc<VerifiedMandate>, Option<RevocationList>), ActError> {
    let mandate = authority.mandate(mandate_id, now)?;
    let list = authority.revocation(&mandate, &authority.roots()?, now)?;
    Ok((mandate, list))
}

fn run_error(survey_id: SurveyId, error: RunError) -> ActError {
    let message = format!("survey {survey_id}: {error}");
    match &error {
        RunError::Plan(_) | RunError::Refused(_) | RunError::OtherSensor { .. } | RunError::OtherKey(_) => {
            ActError::no(message)
        }
        _ if error.is_disk_full() => ActError::outside(message, error),
        _ => ActError::outside(message, error),
    }
}

#[cfg(test)]
mod tests;

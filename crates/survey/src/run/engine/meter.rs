//! Counts for the progress of a run.

use super::*;
use crate::progress::SlowedDown;
use crate::run::front::miss::MissEstimate;
use crate::run::sweeper::Figures;
use crate::space::Shard;

/// Span over which rates are told.
const SPAN: Duration = Duration::from_secs(5);

/// Between two samples of a rate, and between two publications.
const EVERY: Duration = Duration::from_millis(100);

pub(super) struct Meter {
    progress: Progress,
    publish: watch::Sender<Progress>,
    published: Option<Instant>,
    /// When, exchanges sent, targets done.
    samples: VecDeque<(Instant, u64, u64)>,
    began: Instant,
    done_before: u64,
    busy: Option<(Instant, &'static str)>,
    /// Packets of the sweeping thread that are counted.
    swept_sent: u64,
}

impl Meter {
    pub(super) fn new(
        publish: watch::Sender<Progress>,
        plan: &SurveyPlan,
        space: &Space,
        shard: Shard,
        sealed: &SliceSet,
    ) -> Self {
        let ours = |slice: &u64| shard.holds(*slice) && *slice < space.slices();
        let (mut slices_done, mut targets_done) = (0, 0);
        for slice in sealed.iter().filter(ours) {
            slices_done += 1;
            targets_done += space.targets_in(slice);
        }
        let slices_total = (space.slices() + shard.count - 1).saturating_sub(shard.index) / shard.count;
        let progress = Progress {
            survey_id: Some(plan.survey_id),
            targets_total: space.targets_of(shard),
            targets_done,
            slices_total,
            slices_done,
            ..Progress::default()
        };
        let began = Instant::now();
        Self {
            progress,
            publish,
            published: None,
            samples: VecDeque::new(),
            began,
            done_before: targets_done,
            busy: None,
            swept_sent: 0,
        }
    }

    pub(super) fn sent(&mut self, exchanges: u64) {
        self.progress.sent += exchanges;
    }

    pub(super) fn swept(&mut self, end: End) {
        match end {
            End::Reply(Reply::Answered) => self.progress.answered += 1,
            End::Reply(Reply::Refused) => self.progress.refused += 1,
            End::Reply(Reply::Silent) => self.progress.silent += 1,
            End::Limited(_) => self.progress.limited += 1,
            End::Reply(_) | End::Error(_) => {}
        }
    }

    /// Targets that said nothing, in one.
    pub(super) fn silent(&mut self, targets: u64) {
        self.progress.silent += targets;
    }

    /// What the sweeping thread counts. Returns how many answered so far.
    pub(super) fn figures(&mut self, figures: &Figures) -> u64 {
        let sent = figures.counts.sent;
        self.progress.sent += sent - std::mem::replace(&mut self.swept_sent, sent);
        self.progress.dropped = figures.counts.dropped;
        self.progress.missed_by_kernel = figures.missed_by_kernel;
        self.progress.late = figures.counts.late;
        self.progress.repeated = figures.counts.repeated;
        self.progress.miss = Some(figures.estimate);
        self.progress.slowed =
            figures.slowed.map(|slowed| SlowedDown { factor: slowed.factor, why: slowed.why.to_owned() });
        self.progress.answered
    }

    /// Targets that answered so far.
    pub(super) fn answered(&self) -> u64 {
        self.progress.answered
    }

    /// What is known of misses.
    pub(super) fn missed(&mut self, estimate: Option<MissEstimate>) {
        self.progress.miss = estimate;
    }

    pub(super) fn done(&mut self, targets: u64) {
        self.progress.targets_done += targets;
    }

    pub(super) fn sealed(&mut self) {
        self.progress.slices_done += 1;
    }

    pub(super) fn hit(&mut self, protocol: Option<&str>) {
        *self.progress.hits.entry(protocol.unwrap_or("silent").to_owned()).or_default() += 1;
    }

    /// This machine had no room: nothing was sent.
    pub(super) fn busy(&mut self, what: &'static str) {
        self.progress.sent = self.progress.sent.saturating_sub(1);
        self.busy = Some((Instant::now(), what));
    }

    pub(super) fn waiting_for_room(&self) -> Option<Waiting> {
        let (at, what) = self.busy?;
        (at.elapsed() < Duration::from_secs(1)).then(|| Waiting::Room { what: what.to_owned() })
    }

    pub(super) fn publish(&mut self, now: TimeUs, waiting: Option<Waiting>, conversations: usize) {
        if self.published.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        let instant = Instant::now();
        self.published = Some(instant);
        let progress = &mut self.progress;
        self.samples.push_back((instant, progress.sent, progress.targets_done));
        while self.samples.front().is_some_and(|(at, ..)| instant - *at > SPAN) {
            self.samples.pop_front();
        }
        if let (Some((from, sent, _)), true) = (self.samples.front(), self.samples.len() > 1) {
            progress.rate_pps =
                (progress.sent - sent.min(&progress.sent)) as f64 / (instant - *from).as_secs_f64();
        }
        // Over the whole run: the pace of the last seconds jumps with every slow conversation.
        let pace = (progress.targets_done - self.done_before) as f64
            / (instant - self.began).as_secs_f64().max(0.001);
        let left = progress.targets_total.saturating_sub(progress.targets_done) as f64;
        progress.eta_s = (pace > 0.0).then(|| (left / pace).ceil() as u64);
        progress.waiting = waiting;
        progress.conversations = conversations as u64;
        progress.now_us = now.micros();
        self.publish.send_replace(progress.clone());
    }

    /// The last word.
    pub(super) fn end(&mut self, now: TimeUs) -> Progress {
        let seconds = self.began.elapsed().as_secs_f64().max(0.001);
        self.progress.rate_pps = self.progress.sent as f64 / seconds;
        (self.progress.conversations, self.progress.waiting, self.progress.ended) = (0, None, true);
        (self.progress.eta_s, self.progress.now_us) = (None, now.micros());
        self.publish.send_replace(self.progress.clone());
        self.progress.clone()
    }
}

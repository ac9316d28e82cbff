//! What is begun next: judged by the gate immediately before.

use super::*;
use crate::sweep::Ask;
use kenshin_mandate::{Exchange, Verdict};

/// After this many verdicts to wait in a row, the loop looks at its other events first.
const WAITS_MAX: u32 = 64;

/// Jobs that may wait before no new targets are taken.
const WAITING_MAX: usize = 8_192;

/// What became of a job.
enum Step {
    /// It was begun, parked or decided.
    Begun,
    /// It has to wait until then.
    Wait(TimeUs),
    /// The mandate no longer stands.
    Lost,
}

impl<S: Sweep> Engine<S> {
    /// Begins what may be begun, and says what keeps the rest.
    pub(super) fn dispatch(&mut self, stale: bool) -> Option<Waiting> {
        if let Some(lost) = &self.lost {
            return Some(Waiting::Mandate { code: lost.refusal.code().to_owned() });
        }
        if stale {
            return Some(Waiting::Refresh);
        }
        let now = (self.clock)();
        self.queue.wake(now);
        while let Some(request) = self.queue.dial() {
            match self.grant(request, now) {
                Step::Begun | Step::Wait(_) => {}
                Step::Lost => return None,
            }
        }
        if !self.ask_again(now) {
            return None;
        }
        let mut waits = 0;
        let mut waiting = None;
        while waits < WAITS_MAX {
            if self.sweep.room(self.talks.len()) == 0 {
                let short = || Waiting::Room { what: "descriptors".to_owned() };
                return self.meter.waiting_for_room().or_else(|| self.short.then(short));
            }
            let Some(job) = self.queue.pop().or_else(|| self.next_target()) else { break };
            match self.begin(job, now) {
                Step::Begun => waits = 0,
                Step::Wait(until) => {
                    waits += 1;
                    waiting = Some(Waiting::Rate { until });
                }
                Step::Lost => return None,
            }
        }
        let idle = self.sweep.in_flight() == 0 && self.talks.is_empty();
        match waiting {
            None if self.spool.is_full() && self.sealing > 0 => Some(Waiting::Spool),
            None if idle => self.queue.next().map(|until| Waiting::Rate { until }),
            waiting => waiting,
        }
    }

    /// The next target in the order of the survey.
    fn next_target(&mut self) -> Option<Job> {
        if self.queue.len() + self.parked >= WAITING_MAX {
            return None;
        }
        for place in &self.order {
            let Some(work) = self.works[*place as usize].as_mut() else { continue };
            if work.cursor < work.targets.len() {
                let target = work.cursor;
                work.cursor += 1;
                return Some(Job::Ask { place: *place, target });
            }
        }
        None
    }

    /// Gives a conversation the permit for one more connection.
    fn grant(&mut self, request: DialRequest, now: TimeUs) -> Step {
        if request.permit.is_closed() {
            return Step::Begun;
        }
        let verdict = self.gate().judge(&request.exchange, now);
        match verdict {
            Verdict::Granted(permit) => {
                self.meter.sent(1);
                // The conversation may have ended meanwhile; then the permit is not used.
                let _ = request.permit.send(Ok(permit));
                Step::Begun
            }
            Verdict::Wait { until } => {
                self.queue.push_at(until, Job::Dial(request));
                Step::Wait(until)
            }
            Verdict::Refused(refusal) if refusal.concerns_target() => {
                let _ = request.permit.send(Err(refusal));
                Step::Begun
            }
            Verdict::Refused(refusal) => {
                self.queue.put_back(Job::Dial(request));
                self.lose(refusal);
                Step::Lost
            }
        }
    }

    fn begin(&mut self, job: Job, now: TimeUs) -> Step {
        match job {
            Job::Ask { place, target } => self.begin_ask(place, target, now),
            Job::Talk { place, target } => self.begin_talk(place, target),
            Job::Check { place, target } => self.begin_check(place, target, now),
            Job::Verify { place, host } => self.begin_verify(place, host, now),
            Job::Dial(request) => self.grant(request, now),
        }
    }

    fn begin_ask(&mut self, place: u32, number: u32, now: TimeUs) -> Step {
        let Some(work) = self.works[place as usize].as_mut() else { return Step::Begun };
        let (host, endpoint) = work.endpoint(number);
        let target = &work.targets[number as usize];
        if target.done {
            return Step::Begun;
        }
        if target.swept.is_some() {
            // It answered before the survey was stopped, and the conversation is still to come.
            return self.begin_talk(place, number);
        }
        if work.hosts[host].broken {
            self.decide(place, number, End::Limited("breaker"));
            return Step::Begun;
        }
        if !work.hosts[host].has_room(self.again.open_at(endpoint.addr)) {
            work.hosts[host].parked.push_back(number);
            self.parked += 1;
            return Step::Begun;
        }
        let verdict = self.gate().judge(&Exchange { endpoint, check: Check::Sweep }, now);
        match verdict {
            Verdict::Granted(permit) => {
                let Some(work) = self.works[place as usize].as_mut() else { return Step::Begun };
                work.hosts[host].open += 1;
                work.sent += 1;
                let target = &mut work.targets[number as usize];
                target.asks += 1;
                target.asking = true;
                self.meter.sent(1);
                let token = u64::from(place) << 32 | u64::from(number);
                self.sweep.ask(Ask { token, target: endpoint, permit });
                Step::Begun
            }
            Verdict::Wait { until } => {
                self.queue.push_at(until, Job::Ask { place, target: number });
                Step::Wait(until)
            }
            Verdict::Refused(refusal) if refusal.concerns_target() => {
                self.decide(place, number, End::Limited(refusal.code()));
                Step::Begun
            }
            Verdict::Refused(refusal) => {
                self.queue.put_back(Job::Ask { place, target: number });
                self.lose(refusal);
                Step::Lost
            }
        }
    }

    /// A conversation without the sweep's connection: it asks for one itself.
    fn begin_talk(&mut self, place: u32, number: u32) -> Step {
        let Some(work) = self.works[place as usize].as_mut() else { return Step::Begun };
        let (host, endpoint) = work.endpoint(number);
        if !work.hosts[host].has_room(self.again.open_at(endpoint.addr)) {
            work.hosts[host].parked.push_back(number);
            self.parked += 1;
            return Step::Begun;
        }
        work.hosts[host].open += 1;
        match (work.hosts[host].broken, self.talk_check(endpoint)) {
            (true, Some(check)) => self.cut_off(place, number, check, Outcome::Limited, "breaker"),
            _ => self.converse(place, number, endpoint, None),
        }
        Step::Begun
    }

    fn begin_check(&mut self, place: u32, number: u32, now: TimeUs) -> Step {
        let Some(work) = self.works[place as usize].as_mut() else { return Step::Begun };
        let (host, endpoint) = work.endpoint(number);
        let state = &mut work.hosts[host];
        if !state.has_room(self.again.open_at(endpoint.addr)) {
            self.queue.push_at(now.plus_micros(BUSY_PAUSE_US), Job::Check { place, target: number });
            return Step::Begun;
        }
        state.open += 1;
        match state.broken.then_some("breaker").or(state.closed) {
            Some(why) => self.cut_off(place, number, Check::CredentialCheck, Outcome::Limited, why),
            None => self.check_credentials(place, number, endpoint),
        }
        Step::Begun
    }

    fn begin_verify(&mut self, place: u32, host: u32, now: TimeUs) -> Step {
        let Some(work) = self.works[place as usize].as_mut() else { return Step::Begun };
        let state = &work.hosts[host as usize];
        let beside = self.again.open_at(work.slice.addresses()[host as usize]);
        if state.open + beside >= crate::plan::CONNECTIONS_PER_ADDRESS_MAX {
            let soon = now.plus_micros(BUSY_PAUSE_US);
            self.queue.push_at(soon, Job::Verify { place, host });
            return Step::Begun;
        }
        let port = state.alive_port.expect("only hosts that had answered are verified");
        let endpoint = Endpoint::tcp(work.slice.addresses()[host as usize], port);
        let verdict = self.gate().judge(&Exchange { endpoint, check: Check::Sweep }, now);
        let Some(work) = self.works[place as usize].as_mut() else { return Step::Begun };
        match verdict {
            Verdict::Granted(permit) => {
                work.hosts[host as usize].open += 1;
                work.sent += 1;
                self.meter.sent(1);
                let token = VERIFY | u64::from(place) << 32 | u64::from(host);
                self.sweep.ask(Ask { token, target: endpoint, permit });
                Step::Begun
            }
            Verdict::Wait { until } => {
                self.queue.push_at(until, Job::Verify { place, host });
                Step::Wait(until)
            }
            Verdict::Refused(refusal) if refusal.concerns_target() => {
                work.hosts[host as usize].unverifiable();
                work.verifying -= 1;
                self.unpark(place, host as usize, crate::plan::CONNECTIONS_PER_ADDRESS_MAX);
                Step::Begun
            }
            Verdict::Refused(refusal) => {
                self.queue.put_back(Job::Verify { place, host });
                self.lose(refusal);
                Step::Lost
            }
        }
    }
}

//! Conversations with those who answered.

use super::*;
use crate::credential::check_credentials;
use crate::probe::probe;
use tokio::net::TcpStream;

/// A conversation is bounded by its own limits; this only catches our mistakes. Waiting for the
/// rate of an address counts, so it is long.
const LONGEST: Duration = Duration::from_secs(1_800);

impl<S: Sweep> Engine<S> {
    /// Talks to a target that answered, on the sweep's connection when there is one. The place at
    /// the host passes on from the sweep.
    pub(super) fn converse(
        &mut self,
        place: u32,
        number: u32,
        endpoint: Endpoint,
        stream: Option<TcpStream>,
    ) {
        let Some(work) = self.works[place as usize].as_ref() else { return };
        let (host, _) = work.endpoint(number);
        let Some(check) = self.talk_check(endpoint.port) else {
            drop(stream);
            self.release(place, host);
            self.done(place, number);
            return;
        };
        let allowed = self.gate().still_allows(endpoint);
        if let Err(refusal) = allowed {
            drop(stream);
            self.cut_off(place, number, check, Outcome::Limited, refusal.code());
            return;
        }
        let made = Arc::new(AtomicU32::new(0));
        let dialer = Dialer {
            requests: self.dial_requests.0.clone(),
            sources: Arc::clone(&self.sources),
            timeout: Duration::from_millis(self.plan.manner.limits.connect_ms),
            clock: Arc::clone(&self.clock),
            made: Arc::clone(&made),
        };
        let settings = ProbeSettings {
            limits: self.plan.manner.limits.probe(),
            introduction: self.introduction.clone(),
            granted: self.plan.checks.clone(),
            listen_only: self.mandate.ports.listen_only(endpoint.port, Transport::Tcp),
            blob_bytes_max: usize::try_from(self.mandate.blob_bytes_max).unwrap_or(512),
        };
        let dictionary = self.dictionary.clone().filter(|_| !settings.listen_only);
        let (clock, spool, plan) = (Arc::clone(&self.clock), self.spool.clone(), Arc::clone(&self.plan));
        let abort = self.talks.spawn(async move {
            let talk = async {
                let mut talked = Vec::new();
                let mut keep = |result: ProbeResult, at: TimeUs| {
                    // One row for a check, whatever the probe says.
                    if talked.iter().all(|t: &Talked| t.result.check != result.check) {
                        talked.push(Talked { target: number, at, result });
                    }
                };
                let results = probe(endpoint, stream, &dialer, &settings).await;
                let handshake = results.iter().find(|result| result.check == Check::Handshake).cloned();
                let at = clock();
                results.into_iter().for_each(|result| keep(result, at));
                if let (Some(dictionary), Some(handshake)) = (dictionary, handshake) {
                    let result = credentials(
                        endpoint,
                        &handshake,
                        &dictionary,
                        &spool,
                        &plan,
                        &clock,
                        &dialer,
                        &settings,
                    );
                    if let Some(result) = result.await {
                        keep(result, clock());
                    }
                }
                talked
            };
            tokio::time::timeout(LONGEST, talk).await.unwrap_or_default()
        });
        self.talking.insert(abort.id(), Talk { place, target: number, endpoint, made, abort });
    }

    pub(super) fn talked(&mut self, talked: Result<(Id, Vec<Talked>), JoinError>) {
        let (id, talked, reason) = match talked {
            Ok((id, talked)) => (id, talked, "time"),
            Err(error) => (error.id(), Vec::new(), "internal"),
        };
        // Those that were cut off have their rows already.
        let Some(talk) = self.talking.remove(&id) else { return };
        let Some(work) = self.works[talk.place as usize].as_mut() else { return };
        work.sent += u64::from(talk.made.load(Ordering::Relaxed));
        for row in &talked {
            if row.result.outcome == Outcome::Answered && row.result.check != Check::CredentialCheck {
                self.meter.hit(row.result.protocol.as_deref());
            }
        }
        if talked.is_empty() {
            if let Some(check) = self.talk_check(talk.endpoint.port) {
                self.cut_off(talk.place, talk.target, check, Outcome::Error, reason);
            }
            return;
        }
        let (host, _) = work.endpoint(talk.target);
        work.talked.extend(talked);
        self.release(talk.place, host);
        self.done(talk.place, talk.target);
    }

    /// A conversation ends without having learned anything.
    pub(super) fn cut_off(&mut self, place: u32, number: u32, check: Check, outcome: Outcome, reason: &str) {
        let at = (self.clock)();
        let Some(work) = self.works[place as usize].as_mut() else { return };
        let (host, _) = work.endpoint(number);
        work.talked.push(Talked {
            target: number,
            at,
            result: ProbeResult::new(check, outcome, Some(reason)),
        });
        self.release(place, host);
        self.done(place, number);
    }
}

#[expect(clippy::too_many_arguments, reason = "everything a credential check touches, named once")]
async fn credentials(
    endpoint: Endpoint,
    handshake: &ProbeResult,
    dictionary: &Dictionary,
    spool: &Spool,
    plan: &SurveyPlan,
    clock: &Clock,
    dialer: &Dialer,
    settings: &ProbeSettings,
) -> Option<ProbeResult> {
    let opening = spool.clone();
    let attempts = match tokio::task::spawn_blocking(move || opening.credential_attempts()).await {
        Ok(Ok(attempts)) => attempts,
        // What cannot be journalled is not tried.
        Ok(Err(error)) => {
            tracing::error!(%error, "credential attempts cannot be journalled");
            return Some(ProbeResult::new(Check::CredentialCheck, Outcome::Error, Some("journal")));
        }
        Err(_) => return Some(ProbeResult::new(Check::CredentialCheck, Outcome::Error, Some("internal"))),
    };
    let journal = SurveyAttempts {
        attempts,
        survey_id: plan.survey_id,
        cap: plan.manner.credential_attempts_max,
        clock: Arc::clone(clock),
    };
    check_credentials(endpoint, handshake, dictionary, &journal, dialer, settings).await
}

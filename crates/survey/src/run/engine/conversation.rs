//! Conversations with those who answered.

use super::*;
use crate::credential::{Method, check_credentials, introduced};
use crate::probe::{datagram, probe};
use kenshin_wire::dns::Name;
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
        let Some(check) = self.talk_check(endpoint) else {
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
        let (dialer, settings) = (self.dialer(), self.probe_settings(endpoint));
        let (clock, made) = (Arc::clone(&self.clock), Arc::clone(&dialer.made));
        let abort = self.talks.spawn(async move {
            let mut talked: Vec<Talked> = Vec::new();
            let probing = async {
                match endpoint.transport {
                    Transport::Udp => datagram::probe(endpoint, &dialer, &dialer, &settings).await,
                    Transport::Tcp | Transport::Icmp => probe(endpoint, stream, &dialer, &settings).await,
                }
            };
            let results = tokio::time::timeout(LONGEST, probing).await.unwrap_or_default();
            let at = clock();
            for result in results {
                // One row for a check, whatever the probe says.
                if talked.iter().all(|t| t.result.check != result.check) {
                    talked.push(Talked { target: number, at, result });
                }
            }
            talked
        });
        let talk = Talk { place, target: number, endpoint, credentials: false, made, abort };
        self.talking.insert(talk.abort.id(), talk);
    }

    /// Checks credentials at a target whose handshake said how.
    pub(super) fn check_credentials(&mut self, place: u32, number: u32, endpoint: Endpoint) {
        let Some(work) = self.works[place as usize].as_ref() else { return };
        let (Some(dictionary), Some(handshake)) =
            (self.dictionary.clone(), work.targets[number as usize].door.as_deref().cloned())
        else {
            self.cut_off(place, number, Check::CredentialCheck, Outcome::Error, "internal");
            return;
        };
        let allowed = self.gate().still_allows(endpoint);
        if let Err(refusal) = allowed {
            self.cut_off(place, number, Check::CredentialCheck, Outcome::Limited, refusal.code());
            return;
        }
        let (dialer, settings) = (self.dialer(), self.probe_settings(endpoint));
        let (clock, made) = (Arc::clone(&self.clock), Arc::clone(&dialer.made));
        let (spool, plan) = (self.spool.clone(), Arc::clone(&self.plan));
        let abort = self.talks.spawn(async move {
            let checking =
                credentials(endpoint, &handshake, &dictionary, &spool, &plan, &clock, &dialer, &settings);
            let late = || Some(ProbeResult::new(Check::CredentialCheck, Outcome::Error, Some("time")));
            let result = tokio::time::timeout(LONGEST, checking).await.unwrap_or_else(|_| late());
            let at = clock();
            result.map(|result| Talked { target: number, at, result }).into_iter().collect()
        });
        let talk = Talk { place, target: number, endpoint, credentials: true, made, abort };
        self.talking.insert(talk.abort.id(), talk);
    }

    pub(super) fn talked(&mut self, talked: Result<(Id, Vec<Talked>), JoinError>) {
        let (id, talked) = match talked {
            Ok((id, talked)) => (id, Ok(talked)),
            Err(error) => (error.id(), Err("internal")),
        };
        // Those that were cut off have their rows already.
        let Some(talk) = self.talking.remove(&id) else { return };
        let Some(work) = self.works[talk.place as usize].as_mut() else { return };
        work.sent += u64::from(talk.made.load(Ordering::Relaxed));
        let talked = match talked {
            // A probe that says nothing at all did not end in time.
            Ok(rows) if rows.is_empty() && !talk.credentials => Err("time"),
            talked => talked,
        };
        let rows = match talked {
            Ok(rows) => rows,
            Err(reason) => {
                if let Some(check) = self.check_of(&talk) {
                    self.cut_off(talk.place, talk.target, check, Outcome::Error, reason);
                }
                return;
            }
        };
        let (host, endpoint) = work.endpoint(talk.target);
        let of = |check| rows.iter().find(|row| row.result.check == check).map(|row| &row.result);
        let handshake = of(Check::Handshake);
        for row in &rows {
            if row.result.outcome == Outcome::Answered && !talk.credentials {
                self.meter.hit(row.result.protocol.as_deref());
            }
        }
        if let Some(why) = rows.iter().find_map(|row| closes(&row.result)) {
            work.hosts[host].closed = Some(why);
        }
        let speaks = !self.mandate.ports.listen_only(endpoint.port, endpoint.transport);
        let opens = |dictionary: &Arc<Dictionary>| {
            handshake.filter(|handshake| speaks && Method::of(handshake, dictionary.recipes()).is_some())
        };
        let login = of(Check::AnonymousLogin);
        let door = self.dictionary.as_ref().and_then(opens);
        let door = door.map(|handshake| Box::new(introduced(handshake, login)));
        work.talked.extend(rows);
        match door {
            Some(door) => {
                work.targets[talk.target as usize].door = Some(door);
                work.hosts[host].doors.insert((endpoint.port, talk.target));
                self.release(talk.place, host);
                self.next_door(talk.place, host);
            }
            None => {
                self.release(talk.place, host);
                self.done(talk.place, talk.target);
            }
        }
    }

    /// The check whose row says how a conversation ended.
    pub(super) fn check_of(&self, talk: &Talk) -> Option<Check> {
        if talk.credentials { Some(Check::CredentialCheck) } else { self.talk_check(talk.endpoint) }
    }

    fn dialer(&self) -> Dialer {
        Dialer {
            requests: self.dial_requests.0.clone(),
            sources: Arc::clone(&self.sources),
            timeout: Duration::from_millis(self.plan.manner.limits.connect_ms),
            clock: Arc::clone(&self.clock),
            made: Arc::new(AtomicU32::new(0)),
            seed: self.settings.seed,
        }
    }

    fn probe_settings(&self, endpoint: Endpoint) -> ProbeSettings {
        ProbeSettings {
            limits: self.plan.manner.limits.probe(),
            introduction: self.introduction.clone(),
            granted: self.plan.checks.clone(),
            listen_only: self.mandate.ports.listen_only(endpoint.port, endpoint.transport),
            blob_bytes_max: usize::try_from(self.mandate.blob_bytes_max).unwrap_or(512),
            orders: Arc::clone(&self.orders),
            recursion_zone: self.plan.recursion_zone.as_deref().and_then(Name::from_text),
        }
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

/// Why no more credentials may be tried at a host after this, if so: it defends itself, or an attempt was
/// begun before the survey was stopped, and nobody knows how that ended.
fn closes(result: &ProbeResult) -> Option<&'static str> {
    let credential = result.records.credential.as_ref()?;
    match (credential.result.as_str(), result.reason.as_deref()) {
        ("locked-out", _) => Some("lockout"),
        (_, Some("already-tried")) => Some("already-tried"),
        _ => None,
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

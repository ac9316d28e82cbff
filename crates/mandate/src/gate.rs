//! The gate: the one place where permits are made.

use std::net::IpAddr;
use std::sync::Arc;

use kenshin_observation::{Check, Endpoint, SensorId, TimeUs, Transport};

use crate::mandate::{Exclusion, Sensor};
use crate::{AddressSet, CompiledSet, Narrowing, RevocationError, RevocationList, VerifiedMandate};

mod bucket;
mod permit;
mod providers;
mod refusal;
mod standing;

use bucket::{Bucket, KeyedBuckets, Limit};
pub use permit::Permit;
use providers::Providers;
pub use refusal::Refusal;
pub use standing::standing;

/// Buckets kept at most for prefixes and for addresses, in each of their two generations
/// ([`KeyedBuckets`]): 140 MB when all are full. New addresses then wait, so that sending goes on at
/// this many addresses within the time that a bucket takes to fill: 46 000 a second when that is 20 s.
const BUCKETS_MAX: usize = (1 << 20) / 8 * 7;

/// A clock may step back this far, as threads and small corrections do, without being refused;
/// time stands still meanwhile.
const CLOCK_BACK_MAX_US: i64 = 1_000_000;

/// One new exchange that somebody would like to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// With whom.
    pub endpoint: Endpoint,
    /// Of which class.
    pub check: Check,
}

/// The judgement of one exchange.
#[derive(Debug)]
pub enum Verdict {
    /// It may begin now.
    Granted(Permit),
    /// It would be allowed, but not before this instant: a rate or the hours of the day. Ask
    /// again then; nothing is reserved.
    Wait {
        /// The earliest instant at which asking again can help.
        until: TimeUs,
    },
    /// It is not allowed.
    Refused(Refusal),
}

/// What a gate needs to know when it begins.
#[derive(Debug, Clone)]
pub struct GateStart {
    /// Who sends.
    pub sensor: SensorId,
    /// Last instant at which this sensor may have sent under this mandate, from its journal;
    /// `None` when it never has. Rates are counted from there, so that a restart is no new burst.
    pub last_sent: Option<TimeUs>,
    /// The newest revocation list at hand. Without one nothing is granted.
    pub revocation: Option<RevocationList>,
    /// Everything that narrows.
    pub narrowing: Narrowing,
    /// Now.
    pub now: TimeUs,
}

/// Why a gate cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The mandate does not name the sensor.
    #[error("mandate `{mandate}` does not name sensor {sensor}")]
    UnknownSensor {
        /// The mandate.
        mandate: String,
        /// The sensor.
        sensor: SensorId,
    },
    /// The revocation list does not count for the mandate.
    #[error(transparent)]
    Revocation(#[from] RevocationError),
}

impl GateError {
    /// The way out.
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownSensor { .. } => {
                "add the sensor to the mandate with [[sensor]] and have it signed again".to_owned()
            }
            Self::Revocation(error) => error.hint(),
        }
    }
}

/// Judges every new exchange of one sensor under one mandate against `now`.
///
/// Pure and deterministic: the same calls give the same verdicts. One sensor keeps one gate for a
/// mandate, however many surveys it runs: rates are counted here. The sensor's share applies to
/// every rate and burst, so that sensors which do not know of each other stay below the mandate's
/// limits together.
///
/// In any span of time at most `burst + rate × span` permits are granted, for the whole, for each
/// prefix, for each provider and for each address. Time never runs backwards in a gate: while the clock is behind
/// what it was, nothing is refilled, and more than a second behind everything is refused.
#[derive(Debug)]
pub struct Gate {
    mandate: Arc<VerifiedMandate>,
    digest: Arc<str>,
    sensor: Sensor,
    allowed: CompiledSet,
    narrowed: Vec<Exclusion>,
    revoked: Option<String>,
    revocation: Option<RevocationList>,
    latest: TimeUs,
    /// The mandate stands in this span, by the last look; asking within it costs two comparisons.
    stands: Option<(TimeUs, TimeUs)>,
    whole: (Limit, Bucket),
    per_prefix: KeyedBuckets,
    per_address: KeyedBuckets,
    providers: Providers,
}

impl Gate {
    /// A gate for one sensor of the mandate.
    pub fn new(mandate: Arc<VerifiedMandate>, start: GateStart) -> Result<Self, GateError> {
        let sensor = mandate
            .sensor(start.sensor)
            .cloned()
            .ok_or_else(|| GateError::UnknownSensor { mandate: mandate.id.clone(), sensor: start.sensor })?;
        let (rate, share) = (mandate.rate, sensor.share_percent);
        let whole = Limit::per_second(rate.whole_pps, rate.whole_burst, share);
        let prefix = Limit::per_second(rate.per_prefix.pps, rate.per_prefix.burst, share);
        let address = Limit::per_minute(rate.per_address.per_minute, rate.per_address.burst, share);
        let origin = |limit: Limit| match start.last_sent {
            Some(at) => Bucket::empty(at),
            None => Bucket::full(limit, start.now),
        };
        let mut gate = Self {
            digest: mandate.digest().into(),
            sensor,
            allowed: CompiledSet::new(mandate.allowed().clone()),
            narrowed: Vec::new(),
            revoked: None,
            revocation: None,
            latest: start.last_sent.unwrap_or(start.now).max(start.now),
            stands: None,
            whole: (whole, origin(whole)),
            per_prefix: KeyedBuckets::new(prefix, origin(prefix), start.now, BUCKETS_MAX),
            per_address: KeyedBuckets::new(address, origin(address), start.now, BUCKETS_MAX),
            providers: Providers::default(),
            mandate,
        };
        gate.narrow(&start.narrowing);
        if let Some(list) = start.revocation {
            gate.refresh(list)?;
        }
        Ok(gate)
    }

    /// Judges one new exchange. A permit that is granted counts against the rates, used or not.
    pub fn judge(&mut self, exchange: &Exchange, now: TimeUs) -> Verdict {
        match self.standing(now) {
            Ok(()) => {}
            Err(Refusal::WindowClosed { opens: Some(until) }) => return Verdict::Wait { until },
            Err(refusal) => return Verdict::Refused(refusal),
        }
        match self.terms_allow(exchange) {
            Ok(listen_only) => self.take(exchange, listen_only),
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    /// True while the mandate stands as a whole: open conversations go on. When it no longer does
    /// they are aborted at once.
    ///
    /// Asks for nothing and grants nothing.
    pub fn standing(&mut self, now: TimeUs) -> Result<(), Refusal> {
        let back = self.latest.micros_since(now);
        if back > CLOCK_BACK_MAX_US {
            return Err(Refusal::ClockBack { latest: self.latest });
        }
        if let Some(reason) = &self.revoked {
            return Err(Refusal::Revoked { reason: reason.clone() });
        }
        // Both instants are looked at, so that a small step back opens nothing that is shut by
        // either.
        self.latest = self.latest.max(now);
        for instant in [now, self.latest] {
            if !self.stands.is_some_and(|(from, until)| from <= instant && instant < until) {
                let until = standing::until(&self.mandate, self.revocation.as_ref(), instant)?;
                self.stands = Some((instant, until));
            }
        }
        Ok(())
    }

    /// The first instant at which the whole rate lets an exchange begin, `now` when it does already.
    /// Whoever has many targets to choose from waits for this one limit instead of asking for each.
    pub fn ready_at(&self, now: TimeUs) -> TimeUs {
        let (limit, bucket) = self.whole;
        now.plus_micros(bucket.wait_us(limit, self.latest.max(now)))
    }

    /// Whether an endpoint is one that an open conversation may still be held with: it may have
    /// been excluded meanwhile.
    pub fn still_allows(&self, endpoint: Endpoint) -> Result<(), Refusal> {
        self.address_allowed(endpoint.addr)
    }

    /// Applies lists that narrow, at once.
    pub fn narrow(&mut self, narrowing: &Narrowing) {
        if let Some(entry) = narrowing.revoked().iter().find(|entry| entry.what.covers(&self.mandate)) {
            self.revoked.get_or_insert_with(|| entry.reason.clone());
        }
        // The same list comes again and again; only what takes something away is kept.
        let taken: AddressSet = narrowing.exclusions().iter().map(|exclusion| &exclusion.addresses).collect();
        let allowed = self.allowed.set();
        if allowed.overlaps(&taken) {
            let effective = narrowing.exclusions().iter().filter(|e| allowed.overlaps(&e.addresses));
            self.narrowed.extend(effective.cloned());
            self.allowed = CompiledSet::new(allowed.minus(&taken));
        }
        self.providers.add(narrowing.providers(), self.sensor.share_percent, self.latest);
    }

    /// Takes a newer revocation list. What was revoked once stays revoked in this gate, whatever
    /// later lists leave out.
    pub fn refresh(&mut self, list: RevocationList) -> Result<(), RevocationError> {
        list.may_follow(self.revocation.as_ref(), &self.mandate.authority)?;
        if let Some(entry) = list.revokes(&self.mandate) {
            self.revoked.get_or_insert_with(|| entry.reason.clone());
        }
        self.revocation = Some(list);
        self.stands = None;
        Ok(())
    }

    /// The mandate.
    pub fn mandate(&self) -> &Arc<VerifiedMandate> {
        &self.mandate
    }

    /// The sensor it judges for; it sends from no other than its source addresses.
    pub fn sensor(&self) -> &Sensor {
        &self.sensor
    }

    /// Where sending is allowed, after everything that narrowed.
    pub fn allowed(&self) -> &AddressSet {
        self.allowed.set()
    }

    /// The newest revocation list.
    pub fn revocation(&self) -> Option<&RevocationList> {
        self.revocation.as_ref()
    }

    /// Scope, exclusions, port and check; returns whether the exchange is listen-only.
    fn terms_allow(&self, exchange: &Exchange) -> Result<bool, Refusal> {
        let Exchange { endpoint, check } = *exchange;
        if !self.mandate.grants(check) {
            return Err(Refusal::CheckNotGranted { check });
        }
        self.address_allowed(endpoint.addr)?;
        let ports = &self.mandate.ports;
        if !ports.contains(endpoint.port, endpoint.transport) {
            return Err(Refusal::PortNotGranted { endpoint });
        }
        match (ports.listen_only(endpoint.port, endpoint.transport), check, endpoint.transport) {
            (false, _, _) => Ok(false),
            (true, Check::Sweep | Check::Banner | Check::Handshake, Transport::Tcp) => Ok(true),
            // These checks speak by their nature, and so does every datagram.
            (true, _, _) => Err(Refusal::ListenOnly { endpoint, check }),
        }
    }

    fn address_allowed(&self, addr: IpAddr) -> Result<(), Refusal> {
        if self.allowed.contains(addr) {
            return Ok(());
        }
        if !self.mandate.scope.contains(addr) {
            return Err(Refusal::OutsideScope { addr });
        }
        let all = self.mandate.exclusions.iter().chain(&self.narrowed);
        let reason = all.into_iter().find(|exclusion| exclusion.addresses.contains(addr));
        Err(Refusal::Excluded { addr, reason: reason.map(|e| e.reason.clone()).unwrap_or_default() })
    }

    /// Takes a token from every bucket, or from none.
    fn take(&mut self, exchange: &Exchange, listen_only: bool) -> Verdict {
        let now = self.latest;
        let addr = exchange.endpoint.addr;
        let per_prefix = self.mandate.rate.per_prefix;
        let (prefix_key, address_key) = (bucket::prefix_key(addr, per_prefix), bucket::address_key(addr));
        let (limit, whole) = self.whole;
        let (prefix, prefix_wait_us) = self.per_prefix.look(prefix_key, now);
        let (address, address_wait_us) = self.per_address.look(address_key, now);
        let wait_us = whole.wait_us(limit, now).max(prefix_wait_us).max(address_wait_us);
        let wait_us = wait_us.max(self.providers.wait_us(addr, now));
        if wait_us > 0 {
            return Verdict::Wait { until: now.plus_micros(wait_us) };
        }
        self.whole.1.take(limit, now);
        self.per_prefix.take(prefix_key, prefix, now);
        self.per_address.take(address_key, address, now);
        self.providers.take(addr, now);
        Verdict::Granted(Permit::new(exchange, listen_only, Arc::clone(&self.digest), self.sensor.id, now))
    }
}

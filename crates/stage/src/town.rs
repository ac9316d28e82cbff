//! The town: who lives where, round by round.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use kenshin_observation::{Prefix, TimeUs};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::device::Device;
use crate::evolution::{self, Event};
use crate::intelligence::TownIntelligence;
use crate::model::{KeyPolicy, Model, ModelError};
use crate::provider::{self, TownProvider};
use crate::truth::Truth;

/// Ports below this one are moved up by [`PORT_SHIFT`], so that nobody needs privilege and the
/// town is the same everywhere.
const FIRST_FREE_PORT: u16 = 1024;
const PORT_SHIFT: u16 = 10_000;

/// Rounds a town lives through.
const ROUNDS: u32 = 8;

/// What a town is made from.
#[derive(Debug, Clone)]
pub struct TownConfig {
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Prefix inside `127.0.0.0/8` that holds the town, at most a /16 is used.
    pub base: Prefix,
    /// Devices at the beginning, nuisances apart.
    pub devices: usize,
    /// When the first round is.
    pub start: TimeUs,
    /// Days from round to round.
    pub round_days: u32,
}

impl Default for TownConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            base: Prefix::containing(Ipv4Addr::new(127, 42, 0, 0).into(), 16),
            devices: 440,
            start: TimeUs::from_secs(1_774_828_800),
            round_days: 14,
        }
    }
}

/// A town that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum TownError {
    /// Not on this machine's own loopback.
    #[error("the town must lie in 127.0.0.0/8, not in {0}")]
    NotLoopback(Prefix),
    /// More devices than the prefix can hold.
    #[error("{base} is too small for {devices} devices")]
    TooSmall {
        /// Prefix given.
        base: Prefix,
        /// Devices asked for.
        devices: usize,
    },
    /// Too few for the rules that the town states about itself.
    #[error("a town needs at least {0} devices")]
    TooFew(usize),
    /// A device model is broken.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Smallest town: shared keys must be seen often enough to be known as shared.
const DEVICES_MIN: usize = 100;

/// Shared keys must show at more addresses than this, so that they are known to be shared.
pub(crate) const SHARED_KEY_MIN: usize = 6;

/// A hostile host, apart from the devices: it costs a survey at most its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nuisance {
    /// Accepts and says nothing.
    Mute,
    /// Sends one byte a minute.
    Drip,
    /// Sends text forever.
    Endless,
    /// Sends random bytes.
    Garbage,
    /// Sends an HTTP header that never ends.
    GiantHeader,
    /// Answers a TLS greeting with nonsense.
    BadTls,
    /// Closes in the middle of its greeting.
    HangUp,
}

impl Nuisance {
    pub(crate) const ALL: [Self; 7] =
        [Self::Mute, Self::Drip, Self::Endless, Self::Garbage, Self::GiantHeader, Self::BadTls, Self::HangUp];

    /// Nominal ports where it waits.
    pub(crate) const fn ports(self) -> &'static [u16] {
        match self {
            Self::Mute => &[22, 80],
            Self::Drip => &[23],
            Self::Endless => &[21, 23],
            Self::Garbage => &[23, 8080],
            Self::GiantHeader | Self::HangUp => &[80],
            Self::BadTls => &[443],
        }
    }
}

/// The town in one round.
#[derive(Debug, Clone)]
pub struct Round {
    /// Number, from 1.
    pub number: u32,
    /// When it is.
    pub time: TimeUs,
    /// Devices, those switched off included.
    pub devices: Vec<Device>,
    /// Addresses left by devices that moved away: nothing answers there.
    pub abandoned: BTreeSet<Ipv4Addr>,
    /// What happened since the round before.
    pub events: Vec<Event>,
}

/// An invented town of providers and their customers' devices.
#[derive(Debug, Clone)]
pub struct Town {
    config: TownConfig,
    models: Vec<Arc<Model>>,
    providers: Vec<TownProvider>,
    undeclared: Vec<Prefix>,
    /// Addresses outside every survey, where devices can move away to.
    beyond: Vec<Ipv4Addr>,
    pub(crate) nuisances: BTreeMap<Ipv4Addr, Nuisance>,
    rounds: Vec<Round>,
}

impl Town {
    /// Builds the town: the same configuration gives the same town.
    pub fn build(config: &TownConfig) -> Result<Self, TownError> {
        let loopback = Prefix::containing(Ipv4Addr::LOCALHOST.into(), 8);
        if !loopback.contains(config.base.base()) || config.base.len() < loopback.len() {
            return Err(TownError::NotLoopback(config.base));
        }
        if config.devices < DEVICES_MIN {
            return Err(TownError::TooFew(DEVICES_MIN));
        }
        let too_small = || TownError::TooSmall { base: config.base, devices: config.devices };
        let wanted = u32::try_from(config.devices).map_err(|_| too_small())?;
        let (providers, undeclared) =
            provider::layout(config.base, wanted.saturating_mul(13) / 10).ok_or_else(too_small)?;
        let last = undeclared.last().expect("layout gives one").last();
        let beyond = addresses_after(last, config.base);
        if beyond.is_empty() {
            return Err(too_small());
        }
        let mut town = Self {
            config: config.clone(),
            models: Model::builtin()?.into_iter().map(Arc::new).collect(),
            providers,
            undeclared,
            beyond,
            nuisances: BTreeMap::new(),
            rounds: Vec::new(),
        };
        town.settle();
        for number in 2..=ROUNDS {
            let next = evolution::next(&town, &town.rounds[number as usize - 2]);
            town.rounds.push(next);
        }
        Ok(town)
    }

    /// The town in a round, counted from 1.
    ///
    /// # Panics
    /// When `number` is 0 or above [`Town::rounds`]: that is a bug of the caller.
    pub fn round(&self, number: u32) -> &Round {
        let index = number.checked_sub(1).expect("rounds count from 1");
        &self.rounds[index as usize]
    }

    /// Rounds that can be played.
    pub fn rounds(&self) -> u32 {
        u32::try_from(self.rounds.len()).expect("bounded by ROUNDS")
    }

    /// What it was made from.
    pub fn config(&self) -> &TownConfig {
        &self.config
    }

    /// Kinds of device that exist.
    pub fn models(&self) -> &[Arc<Model>] {
        &self.models
    }

    /// Invented providers, in the order of [`Town::providers_csv`].
    pub fn providers(&self) -> &[TownProvider] {
        &self.providers
    }

    /// Addresses inside the survey that no provider declares.
    pub fn undeclared(&self) -> &[Prefix] {
        &self.undeclared
    }

    /// The port on which the town plays a service of port `nominal`.
    pub const fn port(nominal: u16) -> u16 {
        if nominal < FIRST_FREE_PORT { nominal + PORT_SHIFT } else { nominal }
    }

    /// Every port on which something may answer, ascending.
    pub fn ports(&self) -> Vec<u16> {
        let ports: BTreeSet<u16> =
            self.models.iter().flat_map(|m| m.service.iter().map(|s| Self::port(s.port))).collect();
        ports.into_iter().collect()
    }

    /// What a survey of the town covers: all pools and the undeclared region, ascending.
    pub fn targets(&self) -> Vec<Prefix> {
        let mut targets: Vec<Prefix> =
            self.providers.iter().flat_map(|p| &p.pools).chain(&self.undeclared).copied().collect();
        targets.sort_unstable();
        targets
    }

    /// The provider directory, as CSV.
    pub fn providers_csv(&self) -> String {
        let mut csv = String::from("prefix_or_asn,name,mail,language,encryption\n");
        for provider in &self.providers {
            for pool in &provider.pools {
                csv.push_str(&format!(
                    "{pool},{},{},{},{}\n",
                    provider.name, provider.mail, provider.language, provider.encryption
                ));
            }
        }
        csv
    }

    /// Invented factory credentials, with decoys that open nothing, as TOML.
    pub fn dictionary(&self) -> String {
        let mut pairs: Vec<(&str, &str)> = self
            .models
            .iter()
            .filter_map(|m| m.factory.as_ref().map(|f| (f.user.as_str(), f.password.as_str())))
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs.push(("towner", "nobody-demo-6"));
        let mut text = String::from("# Invented credentials of the town. None belongs to a real product.\n");
        for (user, password) in pairs {
            text.push_str(&format!("\n[[entries]]\nuser = \"{user}\"\npassword = \"{password}\"\n"));
        }
        text
    }

    /// Invented intelligence in the genuine formats.
    pub fn intelligence(&self) -> TownIntelligence {
        TownIntelligence::shipped()
    }

    /// Who announces the town's addresses and in which prefecture they are, as CSV tables: systems, then
    /// countries. Where no provider declares addresses only the country is known.
    pub fn address_tables(&self) -> (String, String) {
        let (mut systems, mut countries) = (String::new(), String::new());
        for provider in &self.providers {
            for pool in &provider.pools {
                systems.push_str(&format!("{pool},{},\"{}\"\n", provider.asn, provider.name));
                countries.push_str(&format!("{pool},JP,{}\n", provider.region));
            }
        }
        countries.extend(self.undeclared.iter().map(|pool| format!("{pool},JP\n")));
        (systems, countries)
    }

    /// The answer key for the first `rounds` rounds. Nothing but tests and the demo's own score
    /// may read it.
    pub fn truth(&self, rounds: u32) -> Truth {
        Truth::of(self, rounds.min(self.rounds()))
    }

    /// Index of the provider that declares an address.
    pub fn provider_of(&self, address: Ipv4Addr) -> Option<usize> {
        self.providers.iter().position(|p| p.pools.iter().any(|pool| pool.contains(address.into())))
    }

    /// True when a survey of the whole town covers the address.
    pub fn covers(&self, address: Ipv4Addr) -> bool {
        self.provider_of(address).is_some() || self.undeclared.iter().any(|p| p.contains(address.into()))
    }

    /// A generator for one purpose, independent of all others.
    pub(crate) fn rng(&self, purpose: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed);
        rng.set_stream(purpose);
        rng
    }

    pub(crate) fn beyond(&self) -> &[Ipv4Addr] {
        &self.beyond
    }

    /// The first round: devices drawn by quota and spread over the pools.
    fn settle(&mut self) {
        let mut rng = self.rng(1);
        let mut addresses: Vec<Ipv4Addr> = self.targets().into_iter().flat_map(addresses_of).collect();
        addresses.shuffle(&mut rng);
        let mut addresses = addresses.into_iter();
        let mut kinds: Vec<Arc<Model>> = Vec::with_capacity(self.config.devices);
        for (model, count) in self.models.iter().zip(quotas(&self.models, self.config.devices)) {
            kinds.extend(std::iter::repeat_n(Arc::clone(model), count));
        }
        kinds.shuffle(&mut rng);
        let devices = kinds
            .into_iter()
            .zip(&mut addresses)
            .zip(1..)
            .map(|((model, address), id)| Device::new(id, model, address, &mut rng))
            .collect();
        self.nuisances = Nuisance::ALL.into_iter().zip(addresses).map(|(n, a)| (a, n)).collect();
        self.rounds.push(Round {
            number: 1,
            time: self.config.start,
            devices,
            abandoned: BTreeSet::new(),
            events: Vec::new(),
        });
    }
}

/// Devices of each model: in proportion to the weights, with enough of those that share a key.
fn quotas(models: &[Arc<Model>], devices: usize) -> Vec<usize> {
    let total: u64 = models.iter().map(|m| u64::from(m.weight)).sum();
    let share = |weight: u64| usize::try_from(weight * devices as u64 / total).expect("below the devices");
    let mut counts: Vec<usize> = models
        .iter()
        .map(|m| match m.keys {
            KeyPolicy::Shared => share(u64::from(m.weight)).max(SHARED_KEY_MIN + 2),
            _ => share(u64::from(m.weight)).max(1),
        })
        .collect();
    // What rounding left over goes round among the unbranded ones, what it took comes from the
    // most numerous.
    let spare: Vec<usize> = (0..models.len()).filter(|i| !models[*i].in_pack).collect();
    for step in 0.. {
        match counts.iter().sum::<usize>().cmp(&devices) {
            std::cmp::Ordering::Equal => break,
            std::cmp::Ordering::Less => counts[spare[step % spare.len()]] += 1,
            std::cmp::Ordering::Greater => {
                *counts.iter_mut().max().expect("models exist") -= 1;
            }
        }
    }
    counts
}

/// Addresses of a pool block.
fn addresses_of(prefix: Prefix) -> Vec<Ipv4Addr> {
    match (prefix.base(), prefix.last()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            (from.to_bits()..=to.to_bits()).map(Ipv4Addr::from_bits).collect()
        }
        _ => Vec::new(),
    }
}

/// A few addresses of `base` well after `last`.
fn addresses_after(last: IpAddr, base: Prefix) -> Vec<Ipv4Addr> {
    let (IpAddr::V4(last), IpAddr::V4(end)) = (last, base.last()) else { return Vec::new() };
    let from = (last.to_bits() / 256 + 2) * 256;
    (from..from.saturating_add(512)).take_while(|a| *a <= end.to_bits()).map(Ipv4Addr::from_bits).collect()
}

/// Draws `true` with a chance in percent.
pub(crate) fn chance(percent: u32, rng: &mut ChaCha8Rng) -> bool {
    rng.random_ratio(percent.min(100), 100)
}

//! What owners do between two rounds: repair, close, move, go dark, replace, relapse, appear, or
//! nothing. One thing a device and round, so that what a re-check can know is unambiguous.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use kenshin_observation::{FindingKind, Remedy};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::device::{Device, ServiceState, TlsState, remedy_for};
use crate::model::{KeyPolicy, Model, ServiceKind};
use crate::town::{Round, SHARED_KEY_MIN, Town, chance};

/// What an owner did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Set a password of their own.
    PasswordChanged,
    /// Installed the current firmware and renewed the certificate.
    Updated,
    /// Closed the weak services to the outside.
    Closed,
    /// Asks who you are where anyone was let in.
    Secured,
    /// Took the device to another address that a survey covers.
    MovedInside,
    /// Took the device to an address that no survey covers.
    MovedAway,
    /// Switched it off.
    WentDark,
    /// Put another device in its place.
    Replaced,
    /// Undid a repair: factory reset, old firmware, service opened again.
    Relapsed,
    /// Switched it on again.
    Returned,
    /// A device that was not there before.
    Appeared,
}

/// Something that happened before a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Device.
    pub device: u32,
    /// What.
    pub kind: EventKind,
    /// Where the device is afterwards.
    pub address: Ipv4Addr,
}

/// What the next round is made from.
struct Change<'a> {
    town: &'a Town,
    rng: ChaCha8Rng,
    devices: Vec<Device>,
    abandoned: BTreeSet<Ipv4Addr>,
    /// Addresses where nothing has been yet, shuffled.
    vacant: Vec<Ipv4Addr>,
    beyond: Vec<Ipv4Addr>,
    next_id: u32,
    events: Vec<Event>,
}

/// The round after `last`.
pub(crate) fn next(town: &Town, last: &Round) -> Round {
    let mut rng = town.rng(100 + u64::from(last.number));
    let taken: BTreeSet<Ipv4Addr> = last.devices.iter().map(|d| d.address).collect();
    let free =
        |a: &Ipv4Addr| !taken.contains(a) && !last.abandoned.contains(a) && !town.nuisances.contains_key(a);
    let mut vacant: Vec<Ipv4Addr> = town
        .providers()
        .iter()
        .flat_map(|p| &p.pools)
        .filter_map(|pool| match (pool.base(), pool.last()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => Some(from.to_bits()..=to.to_bits()),
            _ => None,
        })
        .flatten()
        .map(Ipv4Addr::from_bits)
        .filter(free)
        .collect();
    vacant.shuffle(&mut rng);
    let beyond = town.beyond().iter().copied().filter(free).collect();
    let next_id = last.devices.iter().map(|d| d.id).max().unwrap_or(0) + 1;
    let mut change = Change {
        town,
        rng,
        devices: last.devices.clone(),
        abandoned: last.abandoned.clone(),
        vacant,
        beyond,
        next_id,
        events: Vec::new(),
    };
    let count = change.devices.len();
    for index in 0..count {
        if let Some(kind) = change.act(index, last.number) {
            let device = &change.devices[index];
            let event = Event { device: device.id, kind, address: device.address };
            change.events.push(event);
        }
    }
    change.newcomers(count);
    Round {
        number: last.number + 1,
        time: last.time.plus_secs(i64::from(town.config().round_days) * 86_400),
        devices: change.devices,
        abandoned: change.abandoned,
        events: change.events,
    }
}

impl Change<'_> {
    /// Lets the owner of one device act.
    fn act(&mut self, index: usize, round: u32) -> Option<EventKind> {
        if self.devices[index].dark {
            return chance(15, &mut self.rng).then(|| {
                self.devices[index].dark = false;
                EventKind::Returned
            });
        }
        let address = self.devices[index].address;
        if !self.town.covers(address) {
            return None;
        }
        let declared = self.town.provider_of(address).is_some();
        let remedies: BTreeSet<Remedy> =
            self.devices[index].weaknesses().iter().map(|w| remedy_for(w.kind)).collect();
        let dice = self.rng.random_range(0..100u32);
        if remedies.is_empty() {
            return match dice {
                0..3 if declared => self.move_inside(index),
                3..7 => self.go_dark(index),
                7..12 if round >= 2 => self.relapse(index),
                _ => None,
            };
        }
        match dice {
            0..45 => {
                let remedies: Vec<Remedy> = remedies.into_iter().collect();
                let remedy = *remedies.choose(&mut self.rng).expect("not empty");
                self.repair(index, remedy)
            }
            45..53 if declared => self.move_inside(index),
            53..57 if declared => self.move_away(index),
            57..63 => self.go_dark(index),
            63..68 if declared => self.replace(index),
            _ => None,
        }
    }

    /// Mends what one remedy is about.
    fn repair(&mut self, index: usize, remedy: Remedy) -> Option<EventKind> {
        let closes_instead = chance(25, &mut self.rng);
        let device = &mut self.devices[index];
        match remedy {
            Remedy::ChangePassword => {
                let opened: Vec<usize> =
                    device.open_services().filter(|(_, s)| s.login_opens).map(|(i, _)| i).collect();
                // Some close the service instead; only where it is the only way in and is not the
                // web page, so that what is seen afterwards has one meaning.
                match opened.as_slice() {
                    [only]
                        if closes_instead
                            && !matches!(device.model.service[*only].kind, ServiceKind::Http { .. })
                            && self.may_close(index, *only) =>
                    {
                        self.close(index, vec![*only])
                    }
                    _ => {
                        self.devices[index].factory_password = false;
                        Some(EventKind::PasswordChanged)
                    }
                }
            }
            Remedy::Update | Remedy::Replace => {
                device.firmware = 0;
                device.tls = TlsState::Modern;
                Some(EventKind::Updated)
            }
            Remedy::CloseService | Remedy::Clean => {
                let weak: BTreeSet<u16> = device
                    .weaknesses()
                    .into_iter()
                    .filter(|w| remedy_for(w.kind) == remedy)
                    .flat_map(|w| w.ports)
                    .collect();
                let mends: bool =
                    device.weaknesses().iter().filter(|w| remedy_for(w.kind) == remedy).all(|w| {
                        matches!(w.kind, FindingKind::AnonymousFtp | FindingKind::AnonymousMqtt)
                            || w.kind == FindingKind::AdminOpen && !device.telnet_is_open()
                    });
                if mends && !closes_instead {
                    device.anonymous.fill(false);
                    device.open_admin = false;
                    return Some(EventKind::Secured);
                }
                let services = (0..device.services.len())
                    .filter(|i| weak.contains(&device.model.service[*i].port))
                    .collect();
                self.close(index, services)
            }
        }
    }

    /// A device known by its key keeps showing it while anything else is wrong with it, and a
    /// shared key stays common enough to be known as shared.
    fn may_close(&self, index: usize, service: usize) -> bool {
        if self.hides_a_shared_key(index) {
            return false;
        }
        let mut after = self.devices[index].clone();
        after.services[service] = ServiceState::Closed;
        after.model.keys != KeyPolicy::Unique || after.shows_own_key() || after.weaknesses().is_empty()
    }

    fn close(&mut self, index: usize, services: Vec<usize>) -> Option<EventKind> {
        let state = if chance(30, &mut self.rng) { ServiceState::Filtered } else { ServiceState::Closed };
        for service in services {
            self.devices[index].services[service] = state;
        }
        Some(EventKind::Closed)
    }

    fn move_inside(&mut self, index: usize) -> Option<EventKind> {
        let old = self.devices[index].address;
        let provider = self.town.provider_of(old);
        let abroad = chance(15, &mut self.rng);
        let place = self.vacant.iter().rposition(|a| (self.town.provider_of(*a) != provider) == abroad)?;
        self.devices[index].address = self.vacant.remove(place);
        self.abandoned.insert(old);
        Some(EventKind::MovedInside)
    }

    fn move_away(&mut self, index: usize) -> Option<EventKind> {
        if self.hides_a_shared_key(index) {
            return None;
        }
        let place = self.beyond.pop()?;
        let old = std::mem::replace(&mut self.devices[index].address, place);
        self.abandoned.insert(old);
        Some(EventKind::MovedAway)
    }

    fn go_dark(&mut self, index: usize) -> Option<EventKind> {
        if self.hides_a_shared_key(index) {
            return None;
        }
        self.devices[index].dark = true;
        Some(EventKind::WentDark)
    }

    /// Puts another device in the place of one that a key identifies alone. A device without such
    /// a key cannot be known to be gone, so its owner keeps it.
    fn replace(&mut self, index: usize) -> Option<EventKind> {
        let old = &self.devices[index];
        if !old.shows_own_key() {
            return None;
        }
        let candidates: Vec<&Arc<Model>> = self
            .town
            .models()
            .iter()
            .filter(|m| m.in_pack && m.keys == KeyPolicy::Unique && m.product != old.model.product)
            .collect();
        let model: Arc<Model> = Arc::clone(candidates.choose(&mut self.rng)?);
        let address = old.address;
        self.devices[index] = Device::healthy(self.next_id, model, address);
        self.next_id += 1;
        Some(EventKind::Replaced)
    }

    /// Undoes what was mended before: a factory reset.
    fn relapse(&mut self, index: usize) -> Option<EventKind> {
        let device = &mut self.devices[index];
        let seen_open = |kind: &dyn Fn(&ServiceKind) -> bool, device: &Device| {
            device.open_services().any(|(_, s)| kind(&s.kind))
        };
        if device.model.factory.is_some() && device.open_services().any(|(_, s)| s.login_opens) {
            device.factory_password = true;
        } else if seen_open(&|k| matches!(k, ServiceKind::Ftp { anonymous, .. } if *anonymous > 0.0), device)
        {
            for (service, anonymous) in device.model.service.iter().zip(&mut device.anonymous) {
                *anonymous |= matches!(service.kind, ServiceKind::Ftp { .. });
            }
        } else {
            return None;
        }
        Some(EventKind::Relapsed)
    }

    /// True when the device is one of the last that show a key to be shared.
    fn hides_a_shared_key(&self, index: usize) -> bool {
        let model = &self.devices[index].model;
        model.keys == KeyPolicy::Shared
            && self
                .devices
                .iter()
                .filter(|d| {
                    d.model.kind == model.kind && !d.dark && self.town.provider_of(d.address).is_some()
                })
                .count()
                <= SHARED_KEY_MIN
    }

    /// About one device in eighty is new.
    fn newcomers(&mut self, count: usize) {
        for _ in 0..count.div_ceil(80) {
            let Some(address) = self.vacant.pop() else { return };
            let models = self.town.models();
            let index = crate::device::pick(models.iter().map(|m| m.weight), &mut self.rng);
            let device = Device::new(self.next_id, Arc::clone(&models[index]), address, &mut self.rng);
            self.next_id += 1;
            self.events.push(Event { device: device.id, kind: EventKind::Appeared, address });
            self.devices.push(device);
        }
    }
}

impl Device {
    fn telnet_is_open(&self) -> bool {
        self.open_services().any(|(_, s)| matches!(s.kind, ServiceKind::Telnet { .. }))
    }
}

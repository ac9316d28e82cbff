//! A town on real sockets: this is the edge of the crate.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::device::{Device, ServiceState};
use crate::key::KeyRing;
use crate::persona::{self, Keys, Part, PortState, Witness};
use crate::silence::SilentPort;
use crate::town::{Nuisance, Town};

/// Connections that may wait at one port.
const BACKLOG: u32 = 16;

/// Conversations at one port at a time; further visitors wait.
const CONVERSATIONS_MAX: usize = 8;

/// Descriptors kept free for conversations, both ends, and for the rest of the process.
const DESCRIPTORS_SPARE: u64 = 1_024;

/// Threads that make keys.
const KEY_MAKERS: usize = 4;

/// How long to wait after the system refused a connection for want of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A town that cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A port of the town is taken.
    #[error("failed to listen on {place}")]
    Bind {
        /// Where.
        place: SocketAddrV4,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// Not enough descriptors.
    #[error("the town needs {needed} file descriptors, the limit is {limit}")]
    Descriptors {
        /// Needed.
        needed: u64,
        /// Allowed.
        limit: u64,
    },
    /// A device's keys could not be made.
    #[error("failed to make the keys of the town's devices")]
    Keys(#[source] io::Error),
    /// No such round.
    #[error("the town lives through {rounds} rounds, not {asked}")]
    NoSuchRound {
        /// Rounds there are.
        rounds: u32,
        /// Round asked for.
        asked: u32,
    },
}

impl ServeError {
    /// The way out, in one line.
    pub fn hint(&self) -> String {
        match self {
            Self::Bind { place, .. } => format!(
                "something else on this machine listens on port {}; stop it or choose another prefix for the town",
                place.port()
            ),
            Self::Descriptors { needed, .. } => {
                format!("raise the limit, for example with `ulimit -n {needed}`")
            }
            Self::Keys(_) => "this build's OpenSSL lacks what old devices speak".to_owned(),
            Self::NoSuchRound { rounds, .. } => format!("choose a round from 1 to {rounds}"),
        }
    }
}

/// What one port of the town does.
#[derive(Debug, Clone, PartialEq)]
enum Role {
    Device(Box<Part>),
    Nuisance(Nuisance),
    Silent,
}

/// What every port of the town does.
type Roles = BTreeMap<(Ipv4Addr, u16), Role>;

/// A role with its place and, for a device's, its keys.
type Prepared = ((Ipv4Addr, u16), Role, Option<Keys>);

/// A role with the sockets that play it.
#[derive(Debug)]
enum Post {
    Playing { role: Role, stop: CancellationToken, task: JoinHandle<()>, state: Arc<PortState> },
    Silent(#[expect(dead_code, reason = "held for its sockets")] SilentPort),
}

/// What the devices of a running town have seen of their visitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TownLog {
    /// Connections accepted.
    pub connections: u64,
    /// Credentials presented to devices, right or wrong.
    pub logins: u64,
    /// Bytes sent to print ports: paper wasted. A careful survey leaves this at 0.
    pub printed_bytes: u64,
}

/// A town being played. Dropping it stops it without waiting; [`RunningTown::stop`] waits.
#[derive(Debug)]
pub struct RunningTown {
    town: Arc<Town>,
    round: u32,
    posts: BTreeMap<(Ipv4Addr, u16), Post>,
    witness: Arc<Witness>,
    ring: Arc<KeyRing>,
}

/// Plays a round of the town until told otherwise. Needs a Tokio runtime.
pub async fn serve(town: &Town, round: u32) -> Result<RunningTown, ServeError> {
    let mut running = RunningTown {
        town: Arc::new(town.clone()),
        round,
        posts: BTreeMap::new(),
        witness: Arc::default(),
        ring: Arc::default(),
    };
    running.advance(round).await?;
    Ok(running)
}

impl RunningTown {
    /// The round being played.
    pub const fn round(&self) -> u32 {
        self.round
    }

    /// The town being played.
    pub fn town(&self) -> &Town {
        &self.town
    }

    /// Ports that are being played, silent ones included.
    pub fn posts(&self) -> usize {
        self.posts.len()
    }

    /// What the devices have seen so far.
    pub fn log(&self) -> TownLog {
        TownLog {
            connections: self.witness.connections.load(Ordering::Relaxed),
            logins: self.witness.logins.load(Ordering::Relaxed),
            printed_bytes: self.witness.printed_bytes.load(Ordering::Relaxed),
        }
    }

    /// Changes to another round: what differs is stopped and started, the rest goes on.
    pub async fn advance(&mut self, round: u32) -> Result<(), ServeError> {
        let rounds = self.town.rounds();
        if round == 0 || round > rounds {
            return Err(ServeError::NoSuchRound { rounds, asked: round });
        }
        let mut wanted = roles(&self.town, round);
        raise_descriptor_limit(&wanted)?;
        let places: Vec<(Ipv4Addr, u16)> = self.posts.keys().copied().collect();
        for place in places {
            let keeps = match (&self.posts[&place], wanted.get(&place)) {
                (Post::Playing { role, .. }, Some(next)) => role == next,
                (Post::Silent(_), Some(Role::Silent)) => true,
                _ => false,
            };
            if keeps {
                wanted.remove(&place);
                if let Post::Playing { state, .. } = &self.posts[&place] {
                    state.failures.store(0, Ordering::Relaxed);
                }
            } else if let Some(post) = self.posts.remove(&place) {
                post.close().await;
            }
        }
        for ((address, port), role, keys) in self.with_keys(wanted).await? {
            let post = self.open(address, port, role, keys)?;
            self.posts.insert((address, port), post);
        }
        self.round = round;
        Ok(())
    }

    /// Closes every port and waits until all conversations have ended.
    pub async fn stop(mut self) {
        for (_, post) in std::mem::take(&mut self.posts) {
            post.close().await;
        }
    }

    /// Makes the keys of parts before anybody visits them: a device that has to search for primes
    /// first would answer too late. Not on the async workers.
    async fn with_keys(&self, roles: Roles) -> Result<Vec<Prepared>, ServeError> {
        let mut work = JoinSet::new();
        let roles: Vec<((Ipv4Addr, u16), Role)> = roles.into_iter().collect();
        let share = roles.len().div_ceil(KEY_MAKERS).max(1);
        for chunk in roles.chunks(share).map(<[_]>::to_vec) {
            let ring = Arc::clone(&self.ring);
            work.spawn_blocking(move || {
                let mut prepared = Vec::with_capacity(chunk.len());
                for (place, role) in chunk {
                    let keys = match &role {
                        Role::Device(part) => Some(Keys::of(part, &ring)?),
                        Role::Nuisance(_) | Role::Silent => None,
                    };
                    prepared.push((place, role, keys));
                }
                io::Result::Ok(prepared)
            });
        }
        let mut prepared = Vec::with_capacity(roles.len());
        while let Some(made) = work.join_next().await {
            prepared.extend(made.map_err(io::Error::other).flatten().map_err(ServeError::Keys)?);
        }
        prepared.sort_by_key(|(place, ..)| *place);
        Ok(prepared)
    }

    fn open(&self, address: Ipv4Addr, port: u16, role: Role, keys: Option<Keys>) -> Result<Post, ServeError> {
        let place = SocketAddrV4::new(address, port);
        let failed = |source| ServeError::Bind { place, source };
        assert!(address.is_loopback(), "the town lies on the loopback: Town::build checked it");
        if role == Role::Silent {
            return SilentPort::open(address, port).map(Post::Silent).map_err(failed);
        }
        let listener = listen(place).map_err(failed)?;
        let stop = CancellationToken::new();
        let state = Arc::new(PortState::default());
        let witness = Arc::clone(&self.witness);
        let task = match (role.clone(), keys) {
            (Role::Device(part), Some(keys)) => {
                let act = Act { part, keys, state: Arc::clone(&state), witness: Arc::clone(&witness) };
                let act = Arc::new(act);
                tokio::spawn(attend(listener, stop.clone(), witness, move |stream| {
                    let act = Arc::clone(&act);
                    async move { act.play(stream).await }
                }))
            }
            (Role::Nuisance(nuisance), _) => {
                tokio::spawn(attend(listener, stop.clone(), witness, move |stream| {
                    persona::play_nuisance(nuisance, address, stream)
                }))
            }
            (Role::Device(_) | Role::Silent, _) => unreachable!("a part has keys; silence returned above"),
        };
        Ok(Post::Playing { role, stop, task, state })
    }
}

impl Drop for RunningTown {
    fn drop(&mut self) {
        for post in self.posts.values() {
            if let Post::Playing { stop, .. } = post {
                stop.cancel();
            }
        }
    }
}

impl Post {
    async fn close(self) {
        if let Self::Playing { stop, task, .. } = self {
            stop.cancel();
            if let Err(error) = task.await {
                tracing::warn!(%error, "a persona ended badly");
            }
        }
    }
}

/// A part with what it needs from visitor to visitor.
struct Act {
    part: Box<Part>,
    keys: Keys,
    state: Arc<PortState>,
    witness: Arc<Witness>,
}

impl Act {
    async fn play(&self, stream: tokio::net::TcpStream) -> io::Result<()> {
        self.part.play(stream, &self.keys, &self.state, &self.witness).await
    }
}

/// Takes visitors until told to stop, then ends their conversations.
async fn attend<P, F>(listener: TcpListener, stop: CancellationToken, witness: Arc<Witness>, play: P)
where
    P: Fn(tokio::net::TcpStream) -> F,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = conversations.join_next() => {}
            visitor = listener.accept(), if conversations.len() < CONVERSATIONS_MAX => match visitor {
                Ok((stream, _)) => {
                    witness.connections.fetch_add(1, Ordering::Relaxed);
                    let conversation = play(stream);
                    conversations.spawn(async move {
                        // Visitors leave in the middle all the time.
                        if let Err(error) = conversation.await {
                            tracing::trace!(%error, "a conversation broke off");
                        }
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "failed to accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    conversations.shutdown().await;
}

fn listen(place: SocketAddrV4) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(place.into())?;
    socket.listen(BACKLOG)
}

fn raise_descriptor_limit(roles: &Roles) -> Result<(), ServeError> {
    let sockets: u64 = roles.values().map(|role| if *role == Role::Silent { 2 } else { 1 }).sum();
    let needed = sockets + DESCRIPTORS_SPARE;
    let limit = rlimit::increase_nofile_limit(
        needed.max(rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(0, |l| l.0)),
    )
    .unwrap_or(0);
    if limit < needed { Err(ServeError::Descriptors { needed, limit }) } else { Ok(()) }
}

/// What every port of the town does in a round.
fn roles(town: &Town, round: u32) -> Roles {
    let state = town.round(round);
    let mut roles = BTreeMap::new();
    let all_ports = town.ports();
    let mut dark: BTreeSet<Ipv4Addr> = state.abandoned.iter().copied().filter(|a| town.covers(*a)).collect();
    for device in &state.devices {
        if device.dark {
            dark.insert(device.address);
            continue;
        }
        for (index, service) in device.model.service.iter().enumerate() {
            let place = (device.address, Town::port(service.port));
            match device.services[index] {
                ServiceState::Open => {
                    roles.insert(place, Role::Device(Box::new(part(town, device, index))));
                }
                ServiceState::Filtered => {
                    roles.insert(place, Role::Silent);
                }
                ServiceState::Closed => {}
            }
        }
    }
    for (address, nuisance) in &town.nuisances {
        for port in nuisance.ports() {
            roles.insert((*address, Town::port(*port)), Role::Nuisance(*nuisance));
        }
    }
    for address in dark {
        for port in &all_ports {
            roles.insert((address, *port), Role::Silent);
        }
    }
    roles
}

fn part(town: &Town, device: &Device, index: usize) -> Part {
    Part {
        device: device.id,
        model: Arc::clone(&device.model),
        service: index,
        firmware: device.firmware,
        factory_password: device.factory_password,
        open: device.admin_is_open(&device.model.service[index]),
        anonymous: device.anonymous[index],
        tls: device.tls,
        rsa: device.rsa,
        town_seed: town.config().seed,
        start: town.config().start,
    }
}

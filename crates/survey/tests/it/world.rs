//! A mandate over loopback, a spool in a temporary directory, and hosts that count who calls.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kenshin_mandate::signature::{MANDATE_NAMESPACE, REVOCATION_NAMESPACE};
use kenshin_mandate::{
    AddressRate, Gate, GateStart, Narrowing, PrefixRate, Rate, Revocation, RevocationDraft, RevocationList,
    Revoked, SignerKey, TemplateOptions, TrustRoots, VerifiedMandate, template, verify,
};
use kenshin_observation::{Batch, Check, Clock, Endpoint, Observation, OrgId, SurveyId, TimeUs, Tlp};
use kenshin_survey::permutation::PermutationKey;
use kenshin_survey::plan::{DictionaryRef, Manner, PlanRequest, Silence, SurveyPlan};
use kenshin_survey::progress::Progress;
use kenshin_survey::run::front::miss::MissTerms;
use kenshin_survey::run::{Ending, Run, RunError, RunSummary, Settings, SharedGate};
use kenshin_survey::slices::SliceSet;
use kenshin_survey::space::Shard;
use kenshin_survey::spool::Spool;
use tokio::sync::watch;

const AUTHORITY: &str = "authority@example.jp";
const SEED: [u8; 32] = [7; 32];
/// When the sensor's identity was made: equal in every process of a test.
const MADE: TimeUs = TimeUs::from_secs(1_775_000_000);

/// A prefix of 127/8 for one test of one process.
pub(crate) fn network() -> (Ipv4Addr, String) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let third = NEXT.fetch_add(1, Ordering::Relaxed) % 250 + 1;
    let second = 64 + std::process::id() % 180;
    let base = Ipv4Addr::from_bits(0x7f00_0000 | second << 16 | third << 8);
    (base, format!("{base}/24"))
}

pub(crate) fn addr(base: Ipv4Addr, host: u32) -> IpAddr {
    Ipv4Addr::from_bits(base.to_bits() + host).into()
}

/// Polls until the condition holds; fails after `limit`.
pub(crate) async fn until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < limit, "waited {limit:?} for: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A real clock moved by an offset that tests set.
#[derive(Clone, Default)]
pub(crate) struct Offset(Arc<AtomicI64>);

impl Offset {
    pub(crate) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let offset = self.0.clone();
        Arc::new(move || now().plus_micros(offset.load(Ordering::SeqCst)))
    }
}

#[expect(clippy::disallowed_methods, reason = "a test of what happens over time needs a clock")]
pub(crate) fn now() -> TimeUs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    TimeUs::from_micros(since.as_micros() as i64)
}

pub(crate) fn roots() -> TrustRoots {
    let line = |seed, principal| {
        SignerKey::from_seed(&[seed; 32], "test")
            .allowed_signers_line(principal, &[MANDATE_NAMESPACE, REVOCATION_NAMESPACE])
    };
    TrustRoots::parse("allowed_signers", &(line(1, AUTHORITY) + &line(2, "second@example.jp"))).unwrap()
}

pub(crate) fn list(number: u64, issued_at: TimeUs, revoked: Vec<Revocation>) -> RevocationList {
    let text = RevocationDraft { authority: AUTHORITY.into(), number, issued_at, revoked }.to_text();
    let signature = SignerKey::from_seed(&[1; 32], "test").sign(&text, REVOCATION_NAMESPACE).unwrap();
    RevocationList::verify("revocation.toml", &text, &[&signature], &roots(), issued_at).unwrap()
}

/// Rates that never make a test wait.
pub(crate) const FAST: Rate = Rate {
    whole_pps: 100_000,
    whole_burst: 10_000,
    per_prefix: PrefixRate { v4_len: 24, v6_len: 48, pps: 100_000, burst: 10_000 },
    per_address: AddressRate { per_minute: 1_000_000, burst: 10_000 },
};

pub(crate) struct World {
    _dir: tempfile::TempDir,
    pub(crate) spool: Spool,
    pub(crate) mandate: Arc<VerifiedMandate>,
    pub(crate) gate: SharedGate,
    pub(crate) offset: Offset,
    pub(crate) plan: SurveyPlan,
}

pub(crate) struct Terms {
    pub(crate) prefix: String,
    pub(crate) ports: Vec<u16>,
    pub(crate) udp_ports: Vec<u16>,
    pub(crate) checks: Vec<Check>,
    pub(crate) rate: Rate,
    pub(crate) exclusions: Vec<(String, String)>,
    pub(crate) manner: Manner,
    pub(crate) survey: u128,
    pub(crate) dictionary: Option<DictionaryRef>,
    pub(crate) spool_bytes: u64,
    pub(crate) valid_until: Option<TimeUs>,
    pub(crate) source: IpAddr,
    pub(crate) silence: Silence,
}

impl Terms {
    pub(crate) fn new(prefix: &str, ports: &[u16]) -> Self {
        let mut manner = Manner::LOCAL;
        manner.slice_addresses = 8;
        manner.slices_max = 8;
        // These hosts answer at once or never.
        (manner.limits.listen_ms, manner.limits.answer_ms, manner.limits.conversation_ms) = (60, 100, 250);
        Self {
            prefix: prefix.to_owned(),
            ports: ports.to_vec(),
            udp_ports: vec![],
            checks: vec![Check::Sweep, Check::Banner, Check::Handshake],
            rate: FAST,
            exclusions: vec![],
            manner,
            survey: 1,
            dictionary: None,
            spool_bytes: 1 << 30,
            valid_until: None,
            source: Ipv4Addr::LOCALHOST.into(),
            silence: Silence::Rows,
        }
    }
}

/// The mandate's validity is in whole hours around now, so that every process of a test writes the
/// same text.
pub(crate) fn mandate(terms: &Terms, spool: &Spool, hour: i64) -> Arc<VerifiedMandate> {
    let mut options = TemplateOptions::example();
    options.prefixes = vec![terms.prefix.parse().unwrap()];
    options.special_reason = "loopback or a namespace of this machine, a test".to_owned();
    options.exclusions = terms.exclusions.iter().map(|(p, r)| (p.parse().unwrap(), r.clone())).collect();
    options.tcp_ports = terms.ports.clone();
    options.checks = terms.checks.clone();
    options.rate = terms.rate;
    options.valid_from = TimeUs::from_secs((hour - 2) * 3600);
    options.valid_until = terms.valid_until.unwrap_or(TimeUs::from_secs((hour + 48) * 3600));
    let mut sensor = options.sensors[0].clone();
    (sensor.id, sensor.public_key) = (spool.sensor().id, spool.sensor().public_key());
    sensor.source_addresses = vec![terms.source];
    options.sensors = vec![sensor];
    let two = [Check::CredentialCheck, Check::IcsIdentity];
    options.signers_required = 1 + u8::from(two.iter().any(|check| terms.checks.contains(check)));
    let text = template(&options).replacen("\nudp = []\n", &format!("\nudp = {:?}\n", terms.udp_ports), 1);
    let sign = |seed| SignerKey::from_seed(&[seed; 32], "test").sign(&text, MANDATE_NAMESPACE).unwrap();
    let checked = verify("test.toml", &text, &[&sign(1), &sign(2)], &roots(), now());
    Arc::new(checked.unwrap_or_else(|error| panic!("{error}\n{text}")))
}

impl World {
    pub(crate) fn new(terms: &Terms) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let hour = now().micros() / 3_600_000_000;
        Self::at(dir, terms, hour)
    }

    pub(crate) fn at(dir: tempfile::TempDir, terms: &Terms, hour: i64) -> Self {
        let (spool, mandate, gate, plan) = parts(dir.path(), terms, hour);
        Self { _dir: dir, spool, mandate, gate, offset: Offset::default(), plan }
    }

    pub(crate) fn run(&self) -> Run {
        make_run(&self.plan, &self.gate, &self.spool, self.offset.clock())
    }

    pub(crate) async fn finish(&self) -> RunSummary {
        let summary = kenshin_survey::run::run(self.run()).await.unwrap();
        assert_eq!(summary.ending, Ending::Finished);
        summary
    }

    pub(crate) fn batches(&self) -> Vec<Batch> {
        self.spool.pending().map(Result::unwrap).collect()
    }
}

pub(crate) fn make_run(plan: &SurveyPlan, gate: &SharedGate, spool: &Spool, clock: Clock) -> Run {
    let (_stopper, stop) = watch::channel(false);
    Run {
        plan: plan.clone(),
        gate: Arc::clone(gate),
        spool: spool.clone(),
        settings: Settings {
            seed: [3; 32],
            shard: Shard::WHOLE,
            done: SliceSet::default(),
            refresh: None,
            refresh_every: Duration::from_millis(200),
            patience: Duration::from_secs(20),
            clock_error_us: None,
            dictionary: None,
            miss: MissTerms::none(),
        },
        clock,
        progress: watch::channel(Progress::default()).0,
        stop,
    }
}

fn gate(mandate: &Arc<VerifiedMandate>, spool: &Spool, at: TimeUs) -> SharedGate {
    let start = GateStart {
        sensor: spool.sensor().id,
        last_sent: None,
        revocation: Some(list(1, at, vec![])),
        narrowing: Narrowing::none(),
        now: at,
    };
    Arc::new(Mutex::new(Gate::new(Arc::clone(mandate), start).unwrap()))
}

/// Everything a process of a test needs, from the directory alone.
pub(crate) fn parts(
    dir: &Path,
    terms: &Terms,
    hour: i64,
) -> (Spool, Arc<VerifiedMandate>, SharedGate, SurveyPlan) {
    let spool = Spool::open(&dir.join("spool"), terms.spool_bytes, MADE, SEED).unwrap();
    let mandate = mandate(terms, &spool, hour);
    let request = PlanRequest {
        survey_id: SurveyId::from_bits(terms.survey),
        org_id: OrgId::from_bits(1),
        tlp: Tlp::Amber,
        sensor_id: None,
        targets: None,
        ports: None,
        udp_ports: terms.udp_ports.clone(),
        echo: false,
        silence: terms.silence,
        canaries: vec![],
        checks: None,
        permutation_key: PermutationKey([9; 16]),
        manner: terms.manner.clone(),
        dictionary: terms.dictionary.clone(),
        recursion_zone: None,
    };
    let made = TimeUs::from_secs(hour * 3600);
    let (plan, _) = SurveyPlan::make(request, &mandate, &Narrowing::none(), made).unwrap();
    let gate = gate(&mandate, &spool, now());
    (spool, mandate, gate, plan)
}

/// Checks what invariant 2 says of a survey's batches, and returns its rows by (target, check).
pub(crate) fn rows(plan: &SurveyPlan, batches: &[Batch]) -> BTreeMap<(Endpoint, Check), Observation> {
    let space = plan.space().unwrap();
    let mut rows = BTreeMap::new();
    let (mut covered, mut previous) = (BTreeMap::new(), None::<&Batch>);
    for batch in batches {
        if let Some(previous) = previous {
            assert_eq!(batch.header.sequence, previous.header.sequence + 1);
            assert_eq!(batch.header.previous, previous.header.digest());
        }
        previous = Some(batch);
        for row in &batch.observations {
            let key = (row.subject, row.check);
            assert!(rows.insert(key, row.clone()).is_none(), "two rows for {key:?}");
        }
        for coverage in &batch.coverage {
            assert!(covered.insert(coverage.index_from, coverage.index_to).is_none());
            assert_eq!(coverage.target_digest, space.digest());
        }
    }
    let mut at = 0;
    for (from, to) in covered {
        assert_eq!(from, at, "coverage has a gap or an overlap");
        at = to;
    }
    assert_eq!(at as u64, space.targets());
    for index in 0..space.targets() {
        assert!(rows.contains_key(&(space.target_at(index), Check::Sweep)), "target {index} has no row");
    }
    rows
}

/// What a host does with those who call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manners {
    /// Says something and closes.
    Banner(&'static str),
    /// Says nothing and holds the line.
    Hold,
    /// Answers these bytes with those, and hangs up on any other.
    Answers(&'static [u8], &'static [u8]),
    /// Asks for a password by HTTP Basic and accepts none; what was tried is noted.
    Basic,
    /// The same, and it locks us out at the first password.
    Locks,
    /// Takes nobody: its queue is full, so that SYNs are dropped.
    Silent,
    /// Takes one call, then nobody.
    Tires,
}

/// Listeners that count who calls.
#[derive(Default)]
pub(crate) struct Town {
    pub(crate) calls: Arc<Mutex<Vec<(SocketAddr, Instant)>>>,
    pub(crate) open: Arc<Mutex<BTreeMap<IpAddr, Open>>>,
    pub(crate) passwords: Arc<Mutex<Vec<(SocketAddr, String)>>>,
    tasks: tokio::task::JoinSet<()>,
    held: Vec<std::net::TcpStream>,
    silent: Vec<socket2::Socket>,
    tired: Arc<Mutex<Vec<Tired>>>,
}

/// Calls taken at one address, and the most that were open there at a time.
#[derive(Default)]
pub(crate) struct Open {
    calls: Vec<Arc<tokio::net::TcpStream>>,
    most: usize,
}

impl Open {
    fn take(&mut self, call: &Arc<tokio::net::TcpStream>) {
        self.calls.push(Arc::clone(call));
        self.most = self.most.max(self.now());
    }

    /// The kernel is asked, not the task that reads: a call may be over long before that task has its
    /// turn.
    fn now(&mut self) -> usize {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        self.calls.retain(|call| match socket2::SockRef::from(&**call).peek(&mut byte) {
            Ok(waiting) => waiting > 0,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        });
        self.calls.len()
    }
}

/// A listener that took one call, the call, and what fills its queue.
type Tired = (socket2::Socket, socket2::Socket, [std::io::Result<std::net::TcpStream>; 2]);

impl Town {
    pub(crate) fn listen(&mut self, addr: IpAddr, port: u16, manners: Manners) {
        let at = SocketAddr::new(addr, port);
        if matches!(manners, Manners::Silent | Manners::Tires) {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.bind(&at.into()).unwrap();
            socket.listen(0).unwrap();
            let fill = move || {
                // One connection fills a queue of length 0; whoever comes later is not answered.
                let connect = || std::net::TcpStream::connect_timeout(&at, Duration::from_millis(50));
                [connect(), connect()]
            };
            if manners == Manners::Tires {
                let (calls, kept) = (self.calls.clone(), self.tired.clone());
                std::thread::spawn(move || {
                    let Ok((call, _)) = socket.accept() else { return };
                    calls.lock().unwrap().push((at, Instant::now()));
                    let filled = fill();
                    kept.lock().unwrap().push((socket, call, filled));
                });
            } else {
                self.held.extend(fill().into_iter().flatten());
                self.silent.push(socket);
            }
            return;
        }
        let listener = std::net::TcpListener::bind(at).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let (calls, open, passwords) = (self.calls.clone(), self.open.clone(), self.passwords.clone());
        self.tasks.spawn(async move {
            let mut guests = tokio::task::JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                calls.lock().unwrap().push((at, Instant::now()));
                let stream = Arc::new(stream);
                open.lock().unwrap().entry(addr).or_default().take(&stream);
                let passwords = passwords.clone();
                guests.spawn(async move {
                    if let Manners::Banner(text) = manners {
                        say(&stream, text.as_bytes()).await;
                    }
                    // Until the other side ends it.
                    let mut bytes = [0; 2048];
                    while let Ok(read @ 1..) = hear(&stream, &mut bytes).await {
                        if let Manners::Answers(question, answer) = manners {
                            if bytes[..read] != *question {
                                return;
                            }
                            say(&stream, answer).await;
                        }
                        if matches!(manners, Manners::Basic | Manners::Locks) {
                            let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                            let tried =
                                text.lines().find(|line| line.to_lowercase().starts_with("authorization:"));
                            let locks = manners == Manners::Locks && tried.is_some();
                            passwords.lock().unwrap().extend(tried.map(|line| (at, line.to_owned())));
                            if locks {
                                let answer = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
                                say(&stream, answer).await;
                                continue;
                            }
                            let answer =
                                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"cam\"\r\n\
                                          Content-Length: 0\r\n\r\n";
                            say(&stream, answer).await;
                        }
                    }
                });
            }
        });
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    pub(crate) fn open_now(&self) -> usize {
        self.open.lock().unwrap().values_mut().map(Open::now).sum()
    }

    pub(crate) fn most_at_one_address(&self) -> usize {
        self.open.lock().unwrap().values().map(|open| open.most).max().unwrap_or(0)
    }
}

/// Says something short: it fits the socket's buffer, or nobody hears it any more.
async fn say(stream: &tokio::net::TcpStream, bytes: &[u8]) {
    if stream.writable().await.is_ok() {
        let _ = stream.try_write(bytes);
    }
}

async fn hear(stream: &tokio::net::TcpStream, bytes: &mut [u8]) -> std::io::Result<usize> {
    loop {
        stream.readable().await?;
        match stream.try_read(bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

pub(crate) fn refused_by_error(result: Result<RunSummary, RunError>) -> String {
    result.expect_err("the run is refused").to_string()
}

/// Revokes a mandate in the gate.
pub(crate) fn revoking(digest: String) -> impl Fn(&SharedGate, TimeUs) + Send + Sync {
    move |gate, _| {
        let mut narrowing = Narrowing::none();
        narrowing.revoke(Revocation { what: Revoked::Digest(digest.clone()), reason: "a test".into() });
        gate.lock().unwrap().narrow(&narrowing);
    }
}

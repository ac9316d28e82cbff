//! A captured hub cannot make a sensor exceed: whatever it sends, what the mandate does not allow is
//! not sent. Counted where it would arrive.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::AtomicUsize;

use async_trait::async_trait;
use kenshin_casework::AssessmentSummary;
use kenshin_mandate::signature::{MANDATE_NAMESPACE, REVOCATION_NAMESPACE};
use kenshin_mandate::{
    Narrowing, Revocation, RevocationDraft, Revoked, SignerKey, TemplateOptions, TemplateSensor, template,
    verify,
};
use kenshin_observation::{Batch, Check, JobId, OrgId, Prefix, Tlp};
use kenshin_survey::permutation::PermutationKey;
use kenshin_survey::plan::{DictionaryRef, FileRef, Manner as PlanManner, PlanRequest, Silence};
use kenshin_survey::run::Ending;
use kenshin_survey::space::Shard;

use super::*;
use crate::hub::{Held, LeaveAlone, Paper, Papers, Pulse};

const AUTHORITY: &str = "authority@example.jp";
const MANDATE: &str = "captured";
const NOW: TimeUs = TimeUs::from_secs(1_790_000_000);

/// A hub that sends what it is told to.
struct Captured {
    lease: Mutex<Option<Lease>>,
    papers: Mutex<Papers>,
    ends: Mutex<Vec<ShardEnd>>,
    shipped: AtomicUsize,
    passed_on: Mutex<Vec<LeaveAlone>>,
}

#[async_trait]
impl Hub for Captured {
    async fn lease(&self) -> Result<Option<Lease>, ActError> {
        Ok(self.lease.lock().unwrap().take())
    }

    async fn pulse(&self, _held: Held, _progress: &Progress) -> Result<Pulse, ActError> {
        Ok(Pulse { keep: true, stop: false, papers: self.papers.lock().unwrap().tag.clone() })
    }

    async fn end(&self, _held: Held, end: &ShardEnd) -> Result<Option<AssessmentSummary>, ActError> {
        self.ends.lock().unwrap().push(end.clone());
        Ok(None)
    }

    async fn ship(&self, batches: Vec<Batch>) -> Result<(), ActError> {
        self.shipped.fetch_add(batches.len(), Ordering::SeqCst);
        Ok(())
    }

    async fn papers(&self, _mandate_id: &str) -> Result<Option<Papers>, ActError> {
        Ok(Some(self.papers.lock().unwrap().clone()))
    }

    async fn leave_alone(&self, request: &LeaveAlone) -> Result<(), ActError> {
        self.passed_on.lock().unwrap().push(request.clone());
        Ok(())
    }
}

/// A sensor with trust roots of its own, a host that counts who calls, and a hub.
struct World {
    folder: tempfile::TempDir,
    worker: Worker,
    hub: Arc<Captured>,
    host: TcpListener,
    text: String,
}

/// Every test has a network of 127/8 of its own.
fn network() -> Ipv4Addr {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = u32::try_from(NEXT.fetch_add(1, Ordering::SeqCst)).unwrap();
    Ipv4Addr::from_bits(0x7f63_0000 | (std::process::id() % 100) << 9 | number << 3)
}

fn key(seed: u8) -> SignerKey {
    SignerKey::from_seed(&[seed; 32], AUTHORITY)
}

fn roots() -> String {
    key(1).allowed_signers_line(AUTHORITY, &[MANDATE_NAMESPACE, REVOCATION_NAMESPACE])
}

fn mandate_paper(text: &str, seed: u8) -> Paper {
    Paper { text: text.to_owned(), signatures: vec![key(seed).sign(text, MANDATE_NAMESPACE).unwrap()] }
}

fn list(number: u64, revoked: &[&str]) -> RevocationDraft {
    let revoked = revoked
        .iter()
        .map(|id| Revocation { what: Revoked::Mandate((*id).to_owned()), reason: "a test".to_owned() });
    RevocationDraft { authority: AUTHORITY.to_owned(), number, issued_at: NOW, revoked: revoked.collect() }
}

fn list_paper(draft: &RevocationDraft) -> Paper {
    let text = draft.to_text();
    let signatures = vec![key(1).sign(&text, REVOCATION_NAMESPACE).unwrap()];
    Paper { text, signatures }
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        home.create_for_sensor().unwrap();
        std::fs::write(home.trust_roots(), roots()).unwrap();
        let base = network();
        let host =
            TcpListener::bind(SocketAddr::new((base | Ipv4Addr::new(0, 0, 0, 1)).into(), PORT)).unwrap();
        host.set_nonblocking(true).unwrap();
        let edge = Edge::simulated(NOW, [7; 32]).0;
        let spool = open_spool(&home, &edge).unwrap();
        let text = text(&spool, base, 1);
        let papers = Papers {
            mandate: mandate_paper(&text, 1),
            revocation: Some(list_paper(&list(1, &[]))),
            narrowing: Narrowing::none().to_text(),
            tag: "1".to_owned(),
        };
        let hub = Arc::new(Captured {
            lease: Mutex::new(Some(lease(&text, &spool))),
            papers: Mutex::new(papers),
            ends: Mutex::default(),
            shipped: AtomicUsize::new(0),
            passed_on: Mutex::default(),
        });
        let worker = worker(&home, edge, spool, &hub);
        Self { folder, worker, hub, host, text }
    }

    fn home(&self) -> Home {
        Home::at(self.folder.path())
    }

    /// What the hub sends as a lease.
    fn lease(&self, change: impl FnOnce(&mut Lease)) {
        change(self.hub.lease.lock().unwrap().as_mut().unwrap());
    }

    /// What the hub sends as papers.
    fn papers(&self, change: impl FnOnce(&mut Papers)) {
        change(&mut self.hub.papers.lock().unwrap());
    }

    async fn work(&mut self) -> Result<Option<SurveyEnd>, ActError> {
        let (progress, _progress) = watch::channel(Progress::default());
        let (_go, stop) = watch::channel(false);
        self.worker.work_once(&progress, &stop).await
    }

    /// Connections that arrived.
    fn calls(&self) -> usize {
        std::iter::from_fn(|| self.host.accept().ok()).count()
    }

    /// Nothing was sent, and the hub was told why.
    async fn refuses(&mut self, why: &str) {
        let error = self.work().await.expect_err("refused").to_string();
        assert!(error.contains(why), "{error}");
        assert_eq!(self.calls(), 0, "{why}");
        let ends = self.hub.ends.lock().unwrap();
        assert!(matches!(&ends[..], [ShardEnd::Failed { error }] if error.contains(why)), "{ends:?}");
    }

    /// The sensor is started anew, on the same disk.
    fn restart(self) -> Self {
        let Self { folder, worker, hub, host, text } = self;
        drop(worker);
        let home = Home::at(folder.path());
        let edge = Edge::simulated(NOW, [8; 32]).0;
        let spool = open_spool(&home, &edge).unwrap();
        *hub.lease.lock().unwrap() = Some(lease(&text, &spool));
        let worker = self::worker(&home, edge, spool, &hub);
        Self { folder, worker, hub, host, text }
    }
}

const PORT: u16 = 2455;

fn worker(home: &Home, edge: Edge, spool: Spool, hub: &Arc<Captured>) -> Worker {
    let manner = Manner {
        pulse: Duration::from_millis(20),
        pause_max: Duration::from_millis(20),
        patience: Duration::from_secs(5),
        goes_on: true,
        dictionary: None,
        recipes: None,
    };
    let hub: Arc<dyn Hub> = hub.clone();
    Worker { home: home.clone(), edge, spool, hub, manner, gates: HashMap::new(), sockets: None }
}

/// A mandate for eight addresses, signed by nobody yet.
fn text(spool: &Spool, base: Ipv4Addr, version: u32) -> String {
    let mut options = TemplateOptions::example();
    options.id = MANDATE.to_owned();
    options.version = version;
    options.authority = AUTHORITY.to_owned();
    options.prefixes = vec![Prefix::containing(base.into(), 29)];
    options.special_reason = "loopback of this machine, a test".to_owned();
    options.exclusions.clear();
    options.tcp_ports = vec![PORT];
    options.checks = vec![Check::Sweep, Check::Banner];
    (options.valid_from, options.valid_until) = (NOW.plus_secs(-3_600), NOW.plus_secs(3_600));
    options.revocation_list = "revocations.toml".to_owned();
    options.sensors = vec![TemplateSensor {
        id: spool.sensor().id,
        name: "s1".to_owned(),
        public_key: spool.sensor().public_key(),
        source_addresses: vec![Ipv4Addr::LOCALHOST.into()],
        share_percent: 100,
    }];
    template(&options)
}

/// A part of a survey as an honest hub plans it.
fn lease(text: &str, spool: &Spool) -> Lease {
    let signature = key(1).sign(text, MANDATE_NAMESPACE).unwrap();
    let roots = kenshin_mandate::TrustRoots::parse("allowed_signers", &roots()).unwrap();
    let mandate =
        verify("test.toml", text, &[&signature], &roots, NOW).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let request = PlanRequest {
        survey_id: SurveyId::from_bits(1),
        org_id: OrgId::from_bits(1),
        tlp: Tlp::Amber,
        sensor_id: Some(spool.sensor().id),
        targets: None,
        ports: None,
        udp_ports: Vec::new(),
        echo: false,
        silence: Silence::Rows,
        canaries: Vec::new(),
        checks: None,
        permutation_key: PermutationKey([9; 16]),
        manner: PlanManner::LOCAL,
        dictionary: None,
        recursion_zone: None,
    };
    let (plan, _) = SurveyPlan::make(request, &mandate, &Narrowing::none(), NOW).unwrap();
    Lease {
        held: Held { job_id: JobId::from_bits(1), lease: 1 },
        for_s: 60,
        survey_id: plan.survey_id,
        shard: Shard::WHOLE,
        mandate_id: MANDATE.to_owned(),
        plan,
        done: Vec::new(),
    }
}

#[tokio::test]
async fn what_an_honest_hub_sends_is_done() {
    let mut world = World::new();
    let end = world.work().await.unwrap().unwrap();
    assert_eq!(end.run.ending, Ending::Finished);
    assert_eq!((world.calls(), world.hub.shipped.load(Ordering::SeqCst)), (1, 1));
    assert!(matches!(&world.hub.ends.lock().unwrap()[..], [ShardEnd::Ran { .. }]));
    assert!(world.worker.spool().pending_sequences().is_empty());
}

#[tokio::test]
async fn a_plan_beyond_the_mandate_is_refused() {
    let mut world = World::new();
    world.lease(|lease| lease.plan.targets.push("127.98.0.0/29".parse().unwrap()));
    world.refuses("outside the scope").await;

    let mut world = World::new();
    world.lease(|lease| lease.plan.ports.push(PORT + 1));
    world.refuses("is not granted").await;

    let mut world = World::new();
    world.lease(|lease| lease.plan.checks.extend([Check::AnonymousLogin]));
    world.refuses("is not granted").await;

    let mut world = World::new();
    world.lease(|lease| lease.plan.mandate_digest = "ab".repeat(32));
    world.refuses("the plan was made for mandate").await;

    let mut world = World::new();
    world.lease(|lease| lease.plan.manner.limits.connections_max = 1_000_000);
    world.refuses("limits.connections_max").await;
}

#[tokio::test]
async fn a_forged_mandate_is_refused_and_not_kept() {
    let mut world = World::new();
    let wider = world.text.replace("/29", "/24");
    assert_ne!(wider, world.text);
    // The signature of the text before, and that of a stranger.
    world.papers(|papers| papers.mandate.text.clone_from(&wider));
    world.refuses("signature").await;
    assert_eq!(world.worker.authority().ids().unwrap(), Vec::<String>::new());

    let mut world = World::new();
    let text = world.text.clone();
    world.papers(|papers| papers.mandate = mandate_paper(&text, 2));
    world.refuses("not among the trust roots").await;

    let mut world = World::new();
    world.papers(|papers| papers.mandate.signatures.clear());
    world.refuses("not signed").await;
    // The trust roots are this machine's, and no paper changes them.
    assert_eq!(std::fs::read_to_string(world.home().trust_roots()).unwrap(), roots());
}

#[tokio::test]
async fn versions_of_a_mandate_never_go_back() {
    let mut world = World::new();
    let base = match world.host.local_addr().unwrap().ip() {
        std::net::IpAddr::V4(host) => Ipv4Addr::from_bits(host.to_bits() & !7),
        std::net::IpAddr::V6(_) => unreachable!(),
    };
    let newer = text(world.worker.spool(), base, 2);
    world.papers(|papers| papers.mandate = mandate_paper(&newer, 1));
    // The plan is of version 1, and version 2 is taken.
    world.refuses("the plan was made for mandate").await;
    let mut world = world.restart();
    world.hub.ends.lock().unwrap().clear();
    let older = world.text.clone();
    world.papers(|papers| papers.mandate = mandate_paper(&older, 1));
    world.refuses("knows the newer version 2").await;
}

#[tokio::test]
async fn a_revocation_is_not_taken_back_by_the_hub() {
    let mut world = World::new();
    world.papers(|papers| papers.revocation = Some(list_paper(&list(5, &[MANDATE]))));
    world.refuses("revoked").await;

    // Restarted, so that nothing is left but what is on the disk.
    let mut world = world.restart();
    world.hub.ends.lock().unwrap().clear();
    world.papers(|papers| papers.revocation = Some(list_paper(&list(4, &[]))));
    world.refuses("older than list 5").await;

    let mut world = world.restart();
    world.hub.ends.lock().unwrap().clear();
    world.papers(|papers| papers.revocation = Some(list_paper(&list(5, &[]))));
    world.refuses("two different revocation lists").await;

    // Without the authority's signature.
    let mut world = world.restart();
    world.hub.ends.lock().unwrap().clear();
    let unsigned = Paper { text: list(6, &[]).to_text(), signatures: Vec::new() };
    world.papers(|papers| papers.revocation = Some(unsigned));
    world.refuses("not signed").await;

    // Without any list, the one on the disk counts.
    let mut world = world.restart();
    world.hub.ends.lock().unwrap().clear();
    world.papers(|papers| papers.revocation = None);
    world.refuses("revoked").await;
}

#[tokio::test]
async fn a_list_that_grows_stale_lets_nothing_be_sent() {
    let mut world = World::new();
    let stale = RevocationDraft { issued_at: NOW.plus_secs(-16 * 60), ..list(1, &[]) };
    world.papers(|papers| papers.revocation = Some(list_paper(&stale)));
    world.refuses("revocation list was issued").await;
}

#[tokio::test]
async fn what_was_left_out_stays_left_out() {
    let mut world = World::new();
    let host = world.host.local_addr().unwrap().ip();
    let mut narrowing = Narrowing::none();
    narrowing.opt_out(host);
    world.papers(|papers| papers.narrowing = narrowing.to_text());
    // Narrowing is kept even where the rest of the papers is refused.
    world.papers(|papers| papers.mandate.signatures.clear());
    assert!(world.work().await.is_err());
    let mut world = world.restart();
    let text = world.text.clone();
    world.papers(|papers| {
        papers.mandate = mandate_paper(&text, 1);
        papers.narrowing = Narrowing::none().to_text();
    });
    let end = world.work().await.unwrap().unwrap();
    assert_eq!((end.run.ending, world.calls()), (Ending::Finished, 0));
}

#[tokio::test]
async fn a_hub_names_no_file_of_the_sensor() {
    let mut world = World::new();
    world.lease(|lease| {
        lease.plan.checks.insert(Check::CredentialCheck);
        let pairs = FileRef { path: "/etc/passwd".into(), sha256: "ab".repeat(32) };
        lease.plan.dictionary = Some(DictionaryRef { pairs, recipes: None });
    });
    world.refuses("no dictionary").await;
}

#[tokio::test]
async fn what_others_have_done_is_passed_over_however_much_that_is() {
    let mut world = World::new();
    world.lease(|lease| lease.done = vec![(0, u64::MAX), (7, 3)]);
    let end = world.work().await.unwrap().unwrap();
    assert_eq!((end.run.ending, world.calls()), (Ending::Finished, 0));
}

#[tokio::test]
async fn what_was_asked_at_the_courtesy_page_is_passed_on_once() {
    let mut world = World::new();
    let courtesy = crate::Courtesy::of(&world.worker, "Example CSIRT");
    let host = world.host.local_addr().unwrap().ip();
    assert!(!courtesy.leaves_out(host).unwrap());
    courtesy.leave_out(host).unwrap();
    courtesy.leave_out(host).unwrap();
    assert!(courtesy.leaves_out(host).unwrap());
    let end = world.work().await.unwrap().unwrap();
    assert_eq!((end.run.ending, world.calls()), (Ending::Finished, 0), "it applies at once");
    assert_eq!(*world.hub.passed_on.lock().unwrap(), [LeaveAlone::Address { addr: host }]);
    assert!(world.work().await.unwrap().is_none());
    assert_eq!(world.hub.passed_on.lock().unwrap().len(), 1);
}

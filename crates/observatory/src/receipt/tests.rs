//! Batches arrive: once, in their chain, of a slice the first; and whatever a crash leaves is completed.

use kenshin_casework::{NewMandate, NewSensor, NewSurvey, SurveyKind};
use kenshin_lake::Mandates;
use kenshin_lake::view::{Search, Sight};
use kenshin_lake::{Progress, Selection};
use kenshin_mandate::{TemplateOptions, TemplateSensor, template};
use kenshin_observation::batch::{GENESIS, Seal};
use kenshin_observation::schema::{SERVICE_VERSION, ServiceRow};
use kenshin_observation::{BatchId, Check, Coverage, Endpoint, TimeUs, Tlp};
use kenshin_survey::permutation::PermutationKey;
use kenshin_survey::plan::{Manner, Silence, VERSION};
use kenshin_survey::sensor::SensorIdentity;
use kenshin_survey::spool::{Draft, Spool};

mod mandates;

use super::*;
use crate::{Edge, FOUND_MAX, Home, Past};

const NOW: TimeUs = TimeUs::from_secs(1_790_000_000);

struct World {
    observatory: Observatory,
    plan: SurveyPlan,
    _folder: tempfile::TempDir,
}

/// A sensor with the spool in which it seals.
struct Sensor {
    spool: Spool,
    _folder: tempfile::TempDir,
}

impl Sensor {
    fn new(seed: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 1 << 30, NOW, [seed; 32]).unwrap();
        Self { spool, _folder: folder }
    }

    fn identity(&self) -> &SensorIdentity {
        self.spool.sensor()
    }

    fn key(&self) -> VerifyingKey {
        self.identity().into()
    }

    /// Seals a slice, with one row for each of its targets, changed by `change`.
    fn seal(&self, plan: &SurveyPlan, slice: u64, change: impl FnOnce(&mut Draft)) -> Batch {
        let mut draft = self.draft(plan, slice);
        change(&mut draft);
        let sequence = self.spool.seal(&draft, BatchId::from_bits(1), NOW, || [7; 16]).unwrap();
        self.spool.read(sequence).unwrap()
    }

    fn draft(&self, plan: &SurveyPlan, slice: u64) -> Draft {
        let part = plan.space().unwrap().slice(slice);
        let rows = (0..part.targets()).map(|index| self.row(plan, part.target_at(index).1)).collect();
        let coverage = Coverage {
            survey_id: plan.survey_id,
            sensor_id: self.identity().id,
            mandate_digest: plan.mandate_digest.clone(),
            target_digest: plan.space().unwrap().digest(),
            permutation_key: plan.permutation_key.to_string(),
            index_from: part.index_from.try_into().unwrap(),
            index_to: part.index_to().try_into().unwrap(),
            time_from: NOW,
            time_to: NOW,
            sent: 1,
            dropped: 0,
        };
        Draft {
            survey_id: plan.survey_id,
            slice,
            mandate_digest: plan.mandate_digest.clone(),
            observations: rows,
            coverage: vec![coverage],
            blobs: Vec::new(),
        }
    }

    /// A row as the sample of version 3 has it.
    fn row(&self, plan: &SurveyPlan, subject: Endpoint) -> Observation {
        let sample = include_str!("../../../../testdata/schema/batch-v3.json");
        let batch: Batch = serde_json::from_str(sample).unwrap();
        let row = batch.observations.into_iter().find(|row| row.check == Check::Sweep).unwrap();
        Observation {
            org_id: plan.org_id,
            mandate_id: plan.mandate_id.clone(),
            survey_id: plan.survey_id,
            sensor_id: self.identity().id,
            subject,
            ..row
        }
    }
}

impl World {
    /// A survey of four slices under a mandate that names these sensors.
    async fn new(sensors: &[&Sensor]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let edge = Edge::fixed(NOW, [7; 32]);
        Observatory::init(&home, "Example CSIRT", "admin", "en", &edge).await.unwrap();
        let observatory = Observatory::open(&home, &edge).await.unwrap();
        let mut options = TemplateOptions::example();
        options.sensors = sensors
            .iter()
            .zip(1..)
            .map(|(sensor, number)| TemplateSensor {
                id: sensor.identity().id,
                name: format!("s{number}"),
                public_key: sensor.identity().public_key(),
                source_addresses: vec![std::net::Ipv4Addr::LOCALHOST.into()],
                share_percent: 50,
            })
            .collect();
        let text = template(&options);
        let mandate = Mandate::parse("test.toml", &text).unwrap();
        let (casework, org) = (observatory.casework(), observatory.org());
        let new = NewMandate {
            mandate_id: mandate.id.clone(),
            version: 1,
            programme: "test".to_owned(),
            text,
            signatures: Vec::new(),
        };
        casework.add_mandate(org, &new, &Observatory::rule("test"), NOW).await.unwrap();
        let plan = SurveyPlan {
            version: VERSION,
            survey_id: casework.new_survey_id(NOW),
            org_id: org,
            tlp: Tlp::Amber,
            created_at: NOW,
            mandate_id: mandate.id.clone(),
            mandate_digest: mandate.digest().to_owned(),
            targets: vec!["198.51.100.0/28".parse().unwrap()],
            ports: vec![22, 23],
            udp_ports: Vec::new(),
            echo: false,
            silence: Silence::Rows,
            canaries: Vec::new(),
            checks: [Check::Sweep].into(),
            permutation_key: PermutationKey([9; 16]),
            manner: Manner { slice_addresses: 4, ..Manner::LOCAL },
            dictionary: None,
            recursion_zone: None,
        };
        let survey = NewSurvey {
            survey_id: plan.survey_id,
            programme: "test".to_owned(),
            kind: SurveyKind::Survey,
            mandate_digest: plan.mandate_digest.clone(),
            plan: serde_json::to_value(&plan).unwrap(),
        };
        casework.plan_survey(org, &survey, NOW).await.unwrap();
        let world = Self { observatory, plan, _folder: folder };
        for sensor in sensors {
            world.know(sensor).await;
        }
        world
    }

    async fn know(&self, sensor: &Sensor) {
        let new = NewSensor {
            sensor_id: sensor.identity().id,
            public_key: sensor.identity().public_key_hex(),
            head_sequence: 0,
            head_digest: GENESIS.to_owned(),
        };
        self.observatory.casework().know_own_sensor(self.observatory.org(), &new, NOW).await.unwrap();
    }

    async fn receive(&self, sensor: &Sensor, batches: &[Batch]) -> Result<(), ActError> {
        self.observatory.receive(sensor.key(), Shipper::Apart, batches.to_vec()).await
    }

    async fn refuses(&self, sensor: &Sensor, batch: &Batch, why: &str) {
        let error = self.receive(sensor, std::slice::from_ref(batch)).await.expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
    }

    /// Rows in the lake, by the sensor that saw them.
    async fn rows(&self, sensor: &Sensor) -> usize {
        let of_survey = Selection { survey: Some(self.plan.survey_id), ..Selection::default() };
        let rows = self.observatory.lake().await.unwrap().observations(&of_survey).await.unwrap();
        rows.iter().filter(|row| row.sensor_id == sensor.identity().id).count()
    }

    /// How far the view has come with a sensor, and the lake.
    async fn progress(&self, sensor: &Sensor) -> (i64, Option<i64>) {
        let (lake, id) = (self.observatory.lake().await.unwrap(), sensor.identity().id);
        (lake.whole().progress(id).await.unwrap(), lake.last_sequence(id).await.unwrap())
    }

    async fn done(&self) -> Vec<i64> {
        self.observatory.casework().slices_committed(self.plan.survey_id).await.unwrap()
    }

    fn lying(&self) -> usize {
        lying(&self.observatory.home().inbox()).unwrap().len()
    }
}

#[tokio::test]
async fn a_batch_counts_once_and_of_a_slice_the_first() {
    let (east, west) = (Sensor::new(1), Sensor::new(2));
    let world = World::new(&[&east, &west]).await;
    let [one, two] = [0, 1].map(|slice| east.seal(&world.plan, slice, |_| {}));
    world.receive(&east, &[one.clone(), two.clone()]).await.unwrap();
    assert_eq!((world.rows(&east).await, world.done().await), (16, vec![0, 1]));
    // The answer was lost on its way.
    world.receive(&east, &[one, two.clone()]).await.unwrap();
    world.receive(&east, &[two]).await.unwrap();
    assert_eq!(world.rows(&east).await, 16);
    // Another sensor did one of them too, and one that nobody did.
    let [late, new] = [1, 2].map(|slice| west.seal(&world.plan, slice, |_| {}));
    world.receive(&west, &[late, new]).await.unwrap();
    assert_eq!((world.rows(&east).await, world.rows(&west).await), (16, 8));
    assert_eq!((world.done().await, world.lying()), (vec![0, 1, 2], 0));
}

#[tokio::test]
async fn a_hub_that_died_completes_what_it_took() {
    let (east, west) = (Sensor::new(1), Sensor::new(2));
    let world = World::new(&[&east, &west]).await;
    let batch = east.seal(&world.plan, 0, |_| {});
    // Killed between the receipt and the lake; the sensor is not heard again.
    std::fs::create_dir_all(world.observatory.home().inbox()).unwrap();
    keep(&world.observatory.home().inbox(), std::slice::from_ref(&batch)).unwrap();
    let (casework, org) = (world.observatory.casework(), world.observatory.org());
    casework.receive_batch(org, &receipt(&batch).unwrap(), NOW).await.unwrap();
    assert_eq!((world.done().await, world.rows(&east).await), (vec![], 0));
    let same = west.seal(&world.plan, 0, |_| {});
    world.receive(&west, &[same]).await.unwrap();
    assert_eq!((world.done().await, world.lying()), (vec![0], 0));
    assert_eq!((world.rows(&east).await, world.rows(&west).await), (8, 0));

    // Killed before the receipt; started again, it needs nobody.
    let batch = east.seal(&world.plan, 1, |_| {});
    keep(&world.observatory.home().inbox(), std::slice::from_ref(&batch)).unwrap();
    world.observatory.complete_received().await.unwrap();
    assert_eq!((world.done().await, world.lying()), (vec![0, 1], 0));
    world.receive(&east, &[batch]).await.unwrap();
    assert_eq!(world.rows(&east).await, 16);

    // What cannot be completed is set aside, and holds nothing up.
    std::fs::write(world.observatory.home().inbox().join("x.shipment"), "damaged").unwrap();
    world.receive(&east, &[east.seal(&world.plan, 2, |_| {})]).await.unwrap();
    assert_eq!((world.done().await, world.lying()), (vec![0, 1, 2], 0));
    assert!(world.observatory.home().inbox().join("x.refused").exists());
}

/// Killed between the lake and its view: whoever starts again, or hears the sensor again, makes up
/// for it.
#[tokio::test]
async fn a_view_that_lags_catches_up() {
    let (east, west) = (Sensor::new(1), Sensor::new(2));
    let world = World::new(&[&east, &west]).await;
    let lake = world.observatory.lake().await.unwrap();
    let commit = async |batch: &Batch| {
        let (casework, org) = (world.observatory.casework(), world.observatory.org());
        casework.receive_batch(org, &receipt(batch).unwrap(), NOW).await.unwrap();
        lake.commit(std::slice::from_ref(batch), NOW).await.unwrap();
        casework.batches_committed(east.identity().id, batch.header.sequence).await.unwrap();
    };
    let open = |draft: &mut Draft| {
        for row in &mut draft.observations {
            row.outcome = kenshin_observation::Outcome::Answered;
        }
    };
    let services = async || lake.view().await.unwrap().services();
    let [one, two, three] = [0, 1, 2].map(|slice| east.seal(&world.plan, slice, open));
    commit(&one).await;
    assert_eq!(services().await, 0);
    world.observatory.complete_received().await.unwrap();
    assert_eq!(services().await, 8);
    commit(&two).await;
    world.receive(&east, &[two]).await.unwrap();
    assert_eq!(services().await, 16, "the batch is not new, and its rows are");
    assert_eq!(world.progress(&east).await, (2, Some(2)));
    // What could not be folded in comes with whatever is received next.
    commit(&three).await;
    world.observatory.lagging(east.identity().id, Err(ActError::no("the disk was full")));
    world.receive(&west, &[west.seal(&world.plan, 3, |_| {})]).await.unwrap();
    assert_eq!(services().await, 24);
}

/// Rows that a commit left when it was broken off are known since then, in the view as in the lake.
#[tokio::test]
async fn what_was_broken_off_is_known_since_then() {
    let east = Sensor::new(1);
    let world = World::new(&[&east]).await;
    let open = |draft: &mut Draft| {
        for row in &mut draft.observations {
            row.outcome = kenshin_observation::Outcome::Answered;
        }
    };
    let [one, two] = [0, 1].map(|slice| east.seal(&world.plan, slice, open));
    world.receive(&east, &[one]).await.unwrap();
    // Another process took the second, and died before its last table.
    let earlier = NOW.plus_secs(-1);
    let dying = kenshin_lake::Lake::open(world.observatory.home().lake().to_str().unwrap()).await.unwrap();
    dying.commit(std::slice::from_ref(&two), earlier).await.unwrap();
    let log = world.observatory.home().lake().join("batches/_delta_log");
    let mut commits: Vec<PathBuf> = std::fs::read_dir(&log).unwrap().map(|e| e.unwrap().path()).collect();
    commits.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    std::fs::remove_file(commits.iter().max().unwrap()).unwrap();

    let lake = world.observatory.lake().await.unwrap();
    let asked: Vec<Endpoint> = two.observations.iter().map(|row| row.subject).collect();
    let known = async || lake.view().await.unwrap().known(&asked).await.unwrap();
    world.receive(&east, &[two]).await.unwrap();
    let kept = known().await;
    assert!(kept.len() == 8 && kept.iter().all(|row| row.known_us == earlier.micros()));
    assert_eq!(lake.view().await.unwrap().services(), 16);
    world.observatory.rebuild_view().await.unwrap();
    assert_eq!(kept, known().await);
}

/// A view that is made anew lacks nothing of what is received meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_loses_nothing() {
    let (east, west) = (Sensor::new(1), Sensor::new(2));
    let world = World::new(&[&east, &west]).await;
    let open = |draft: &mut Draft| {
        for row in &mut draft.observations {
            row.outcome = kenshin_observation::Outcome::Answered;
        }
    };
    let lake = world.observatory.lake().await.unwrap();
    let [one, two] = [0, 1].map(|slice| east.seal(&world.plan, slice, open));
    let three = west.seal(&world.plan, 2, open);
    world.receive(&east, &[one]).await.unwrap();
    let receiving = async {
        world.receive(&west, &[three]).await.unwrap();
        world.receive(&east, &[two]).await.unwrap();
    };
    let (rebuilt, ()) = tokio::join!(world.observatory.rebuild_view(), receiving);
    assert!(rebuilt.unwrap() >= 8);
    assert_eq!(lake.view().await.unwrap().services(), 24);
    assert_eq!(world.progress(&east).await, (2, Some(2)));
    assert_eq!(world.progress(&west).await, (1, Some(1)));
    assert_eq!(world.observatory.rebuild_view().await.unwrap(), 24);
    let (_, view) = world.observatory.compact_lake(|_, _, _| {}).await.unwrap();
    assert!(!view, "it is one run");

    let old = ServiceRow { schema: SERVICE_VERSION - 1, transport: "tcp".into(), ..ServiceRow::default() };
    lake.whole().add(vec![old], &Progress::new()).await.unwrap();
    assert_eq!(lake.view().await.unwrap().services(), 25);
    world.observatory.renew_view().await.unwrap();
    assert_eq!(lake.view().await.unwrap().services(), 24, "rows of another version are made anew");
}

/// The past is searched by when the lake knew.
#[tokio::test]
async fn the_past_is_searched() {
    let east = Sensor::new(1);
    let world = World::new(&[&east]).await;
    let open = |draft: &mut Draft| {
        for row in &mut draft.observations {
            row.outcome = kenshin_observation::Outcome::Answered;
        }
    };
    let batch = east.seal(&world.plan, 0, open);
    let addr = batch.observations[0].subject.addr;
    world.receive(&east, &[batch]).await.unwrap();
    let found = async |query: &str, known_by: TimeUs| {
        let search = Search { query: query.parse().unwrap(), sight: Sight::All, now: NOW };
        let past = Past { known_by: Some(known_by), history: true, most: FOUND_MAX };
        world.observatory.search_past(&search, past).await.unwrap().services()
    };
    assert_eq!(found("", NOW).await, 8);
    let here = found(&addr.to_string(), NOW).await;
    assert!((1..8).contains(&here), "{here}");
    assert_eq!(found("state:dark", NOW).await, 0);
    assert_eq!(found("", NOW.plus_secs(-1)).await, 0);
    // Of a network, of several, of one that was not asked, and as far as one may see.
    assert_eq!(found(&format!("ip:{addr} port:22"), NOW).await, 1);
    assert_eq!(found("ip:198.51.100.0/29 OR ip:198.51.100.8/29", NOW).await, 8);
    assert_eq!(found("ip:203.0.113.0/24 OR ip:2001:db8::/32", NOW).await, 0);
    let sighted = async |sight: Sight, most: usize| {
        let search = Search { query: "ip:0.0.0.0/0".parse().unwrap(), sight, now: NOW };
        let past = Past { known_by: Some(NOW), history: false, most };
        world.observatory.search_past(&search, past).await.map(|view| view.services())
    };
    let own = Sight::Only(vec![(addr, addr)]);
    assert_eq!(sighted(own.clone(), 8).await.unwrap(), found(&addr.to_string(), NOW).await);
    assert_eq!(sighted(Sight::Only(Vec::new()), 8).await.unwrap(), 0);
    let refused = sighted(Sight::All, 7).await.err().unwrap();
    assert_eq!(refused.to_string(), "the query was stopped: more than 7 services");
    assert!(sighted(own, 7).await.is_ok(), "what is out of sight is not counted");
}

/// Whether it answered or not, an address tells when it was asked and by whom.
#[tokio::test]
async fn an_address_tells_when_it_was_asked() {
    let (east, west) = (Sensor::new(1), Sensor::new(2));
    let world = World::new(&[&east, &west]).await;
    let answering = |draft: &mut Draft| {
        draft.observations[0].outcome = kenshin_observation::Outcome::Answered;
        draft.observations.truncate(1);
    };
    let batch = east.seal(&world.plan, 0, answering);
    let (told, asked) = (batch.observations[0].subject, batch.coverage[0].clone());
    // The lake takes what the hub would refuse: that a row for every target is there is checked elsewhere.
    world
        .observatory
        .lake()
        .await
        .unwrap()
        .commit(&[batch, west.seal(&world.plan, 1, |_| {})], NOW)
        .await
        .unwrap();
    let probed = world.observatory.probed(&Sight::All, told.addr, usize::MAX).await.unwrap();
    let one = probed.iter().find(|one| one.endpoint == told).unwrap();
    assert_eq!(one.outcome, Some(kenshin_observation::Outcome::Answered));
    assert_eq!((one.from, one.to, one.round), (asked.time_from, asked.time_to, 1));
    assert_eq!(one.sensor_id, east.identity().id.to_string());
    let other = probed.iter().find(|one| one.endpoint != told).unwrap();
    assert_eq!((other.endpoint.addr, other.outcome), (told.addr, None), "no row, and asked all the same");
    let dark = world.plan.space().unwrap().slice(1).target_at(0).1;
    let probed = world.observatory.probed(&Sight::All, dark.addr, usize::MAX).await.unwrap();
    assert!(
        probed.iter().all(|one| one.outcome.is_some_and(|end| end != kenshin_observation::Outcome::Answered))
    );
    assert!(probed.iter().all(|one| one.sensor_id == west.identity().id.to_string()));
    assert_eq!(
        (probed.len(), world.observatory.probed(&Sight::All, dark.addr, 1).await.unwrap().len()),
        (2, 1)
    );
    let outside = "203.0.113.7".parse().unwrap();
    assert!(world.observatory.probed(&Sight::All, outside, usize::MAX).await.unwrap().is_empty());
    // Who is limited to mandates is told of what was asked under them. It has no label: communities are not.
    let of = |mandate: &str| Mandates::new([mandate.to_owned()]).unwrap();
    let (own, foreign) = (of(&world.plan.mandate_id), of("foreign"));
    for (sight, told) in [
        (Sight::Mandates(own.clone()), 2),
        (Sight::Mandates(foreign), 0),
        (Sight::Mandates(own.shared()), 0),
        (Sight::Only(vec![(dark.addr, dark.addr)]), 0),
    ] {
        let probed = world.observatory.probed(&sight, dark.addr, usize::MAX).await.unwrap();
        assert_eq!(probed.len(), told, "{sight:?}");
    }
}

/// Why a change is refused, and the change.
type Changed = (&'static str, fn(&mut Draft));

#[tokio::test]
async fn a_sensor_speaks_of_its_slice_and_of_nothing_else() {
    let (east, west) = (Sensor::new(1), Sensor::new(2));
    let world = World::new(&[&east]).await;
    world.know(&west).await;
    world.refuses(&west, &west.seal(&world.plan, 0, |_| {}), "does not name sensor").await;

    // Each is signed as it should be, and is the first of a chain of its own.
    let outside: [Changed; 7] = [
        ("is not one of slice 0", |draft| draft.observations[0].subject.port = 80),
        ("is not one of slice 0", |draft| draft.observations[0].survey_id = SurveyId::from_bits(9)),
        ("is not one of slice 0", |draft| draft.observations[0].org_id = OrgId::from_bits(9)),
        ("is not one of slice 0", |draft| draft.observations[0].mandate_id.push('x')),
        ("two outcomes", |draft| draft.observations[1] = draft.observations[0].clone()),
        ("coverage", |draft| draft.coverage[0].index_to += 1),
        ("another mandate", |draft| draft.mandate_digest = "ab".repeat(32)),
    ];
    for (why, change) in outside {
        let sealed_in = Sensor::new(1);
        world.refuses(&east, &sealed_in.seal(&world.plan, 0, change), why).await;
    }
    let beyond = |draft: &mut Draft| draft.slice = 4;
    world.refuses(&east, &Sensor::new(1).seal(&world.plan, 0, beyond), "no slice 4").await;
    let mut unsigned = Sensor::new(1).seal(&world.plan, 0, |_| {});
    unsigned.observations[0].attempt += 1;
    world.refuses(&east, &unsigned, "Merkle root").await;
    let elsewhere = Sensor::new(1).seal(&world.plan, 0, |draft| draft.survey_id = SurveyId::from_bits(9));
    assert!(world.receive(&east, &[elsewhere]).await.is_err(), "no such survey");
    // A gap in the chain, and batches out of their order.
    let [one, two] = [0, 1].map(|slice| east.seal(&world.plan, slice, |_| {}));
    world.refuses(&east, &two, "does not continue the chain").await;
    assert!(world.receive(&east, &[two.clone(), one.clone()]).await.is_err());
    assert_eq!((world.done().await, world.lying()), (vec![], 0));
    world.receive(&east, &[one, two]).await.unwrap();
    assert_eq!(world.done().await, [0, 1]);
    // A seal of another format is nobody's.
    let seal = |key| Seal {
        batch_id: BatchId::from_bits(1),
        sensor_id: east.identity().id,
        survey_id: world.plan.survey_id,
        slice: 3,
        sequence: 3,
        previous: GENESIS.to_owned(),
        mandate_digest: world.plan.mandate_digest.clone(),
        build: "a stranger".to_owned(),
        now: NOW,
        key,
    };
    let stranger = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let draft = east.draft(&world.plan, 3);
    let forged = Batch::seal(seal(&stranger), draft.observations, draft.coverage, draft.blobs, || [7; 16]);
    world.refuses(&east, &forged, "signature").await;
}

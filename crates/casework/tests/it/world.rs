//! A small world for tests: an organisation, providers, a round with findings.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use kenshin_casework::providers::Directory;
use kenshin_casework::{
    Actor, Assessment, AssessmentSummary, AssetSeen, CaseFilter, CaseState, Casework, Experiment, Judgement,
    Letterhead, NewSurvey, Page, PageRequest, Survey, SurveyKind, SurveyTotals, Viewer,
};
use kenshin_observation::{
    AssetId, CaseId, Claim, Clock, Condition, DeviceKey, DeviceKeyKind, Endpoint, Evidence, Explanation,
    Finding, FindingKind, Identity, OrgId, Remedy, Severity, SurveyId, TimeUs,
};

/// When the first round is.
pub(crate) const T0: TimeUs = TimeUs::from_secs(1_800_000_000);
pub(crate) const DAY: i64 = 86_400;

/// A place where the same test runs.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) url: String,
}

impl Place {
    pub(crate) async fn open(&self) -> Casework {
        self.open_at(T0).await
    }

    pub(crate) async fn open_at(&self, now: TimeUs) -> Casework {
        Casework::open(&self.url, [7; 32], now).await.unwrap()
    }
}

/// Runs a test on SQLite and, where it is installed, on PostgreSQL.
pub(crate) fn everywhere<F: Future<Output = ()>>(test: &str, run: impl Fn(Place) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Place { url: format!("sqlite://{}/kenshin.db", folder.path().display()) };
    runtime.block_on(run(sqlite));
    if let Some(url) = runtime.block_on(crate::postgres::database(test)) {
        runtime.block_on(run(Place { url }));
    }
}

pub(crate) fn clock(at: TimeUs) -> Clock {
    Arc::new(move || at)
}

pub(crate) struct World {
    pub(crate) casework: Casework,
    pub(crate) org: OrgId,
    pub(crate) viewer: Viewer,
}

pub(crate) const DIRECTORY: &str = "\
prefix_or_asn,name,mail,language,encryption
192.0.2.0/24,Nishi Net,abuse@nishi.example,ja,link-only
198.51.100.0/24,North ISP,abuse@north.example,en,key.asc
198.51.100.128/25,North Campus,noc@campus.example,en,link-only
";

pub(crate) fn directory(text: &str, key: Option<&str>) -> Directory {
    Directory::parse("providers.csv", text, &["en", "ja"], |_| {
        key.map(str::to_owned).ok_or("no such file".into())
    })
    .unwrap()
}

impl World {
    /// An organisation with the directory imported; North ISP has a key.
    pub(crate) async fn new(place: &Place) -> Self {
        let casework = place.open().await;
        let org = casework.add_org("Example CSIRT", T0).await.unwrap().org_id;
        let world = Self { casework, org, viewer: Viewer::system(org) };
        let (public, _) = key();
        let actor = Actor::rule("test");
        world.casework.import_directory(org, &directory(DIRECTORY, Some(&public)), &actor, T0).await.unwrap();
        world
    }

    pub(crate) async fn survey(&self, kind: SurveyKind, now: TimeUs) -> Survey {
        let new = NewSurvey {
            survey_id: self.casework.new_survey_id(now),
            programme: "national".into(),
            kind,
            mandate_digest: "d".repeat(64),
            plan: serde_json::json!({ "targets": 512 }),
        };
        self.casework.plan_survey(self.org, &new, now).await.unwrap()
    }

    /// A round with these findings.
    pub(crate) async fn round(
        &self,
        findings: Vec<Finding>,
        judgements: Vec<(CaseId, Judgement)>,
        now: TimeUs,
    ) -> (Survey, AssessmentSummary) {
        let kind = if judgements.is_empty() { SurveyKind::Survey } else { SurveyKind::Recheck };
        let survey = self.survey(kind, now).await;
        let judgements = judgements
            .into_iter()
            .map(|(case, judgement)| (case, Judgement { survey_id: survey.survey_id, ..judgement }))
            .collect();
        let assessment = assessment(survey.survey_id, findings, judgements);
        let summary =
            self.casework.record_assessment(self.org, &assessment, &Experiment::none(), now).await.unwrap();
        (survey, summary.unwrap())
    }

    pub(crate) async fn cases(&self) -> Vec<CaseState> {
        self.cases_for(&self.viewer, &CaseFilter::default()).await
    }

    pub(crate) async fn cases_for(&self, viewer: &Viewer, filter: &CaseFilter) -> Vec<CaseState> {
        self.casework.cases(viewer, filter, &PageRequest::first()).await.unwrap().items
    }

    pub(crate) async fn case_at(&self, addr: &str) -> CaseState {
        let addr: IpAddr = addr.parse().unwrap();
        self.cases().await.into_iter().find(|case| case.subject.endpoint.addr == addr).unwrap()
    }
}

pub(crate) fn assessment(
    survey_id: SurveyId,
    findings: Vec<Finding>,
    judgements: Vec<(CaseId, Judgement)>,
) -> Assessment {
    let assets = findings
        .iter()
        .map(|finding| AssetSeen {
            asset_id: finding.asset_id,
            addr: finding.endpoint.addr,
            keys: vec![key_of(finding.asset_id)],
            identity: identity("Example", "Cam <Pro>", "camera"),
            sighting: serde_json::json!({ "ports": [finding.endpoint.port] }),
            time: finding.time,
        })
        .collect();
    let vantages = findings
        .iter()
        .map(|finding| (finding.key.clone(), Endpoint::tcp("203.0.113.5".parse().unwrap(), 40_123)))
        .collect::<BTreeMap<_, _>>();
    Assessment {
        survey_id,
        links: Vec::new(),
        assets,
        totals: SurveyTotals {
            addresses_covered: 512,
            responders: 40,
            findings: findings.len() as i64,
            ..SurveyTotals::default()
        },
        findings,
        vantages,
        judgements,
        covered: vec!["192.0.2.0/24".parse().unwrap(), "198.51.100.0/24".parse().unwrap()],
    }
}

pub(crate) fn asset(n: u128) -> AssetId {
    AssetId::from_bits(n)
}

fn key_of(asset: AssetId) -> DeviceKey {
    DeviceKey { kind: DeviceKeyKind::SshHostKey, value: format!("{:064x}", asset.bits()) }
}

pub(crate) fn identity(vendor: &str, product: &str, device_type: &str) -> Identity {
    let claim = |value: &str| Some(Claim { value: value.into(), confidence: 90, reason: "test".into() });
    Identity {
        vendor: claim(vendor),
        product: claim(product),
        device_type: claim(device_type),
        ..Identity::default()
    }
}

/// A finding on the asset of this number at this address.
pub(crate) fn finding(n: u128, addr: &str, kind: FindingKind, remedy: Remedy, now: TimeUs) -> Finding {
    let endpoint = Endpoint::tcp(addr.parse().unwrap(), 23);
    Finding {
        key: format!("{kind}:{n}"),
        asset_id: asset(n),
        kind,
        endpoint,
        severity: Severity::High,
        remedy,
        time: now,
        confidence: 95,
        explanation: Explanation {
            code: "finding.telnet-open".into(),
            args: BTreeMap::from([("port".into(), "23".into())]),
        },
        evidence: vec![Evidence {
            survey_id: SurveyId::from_bits(1),
            endpoint,
            time: now,
            field: "telnet.text".into(),
            value: "login:".into(),
            blobs: Vec::new(),
        }],
        snapshots: Vec::new(),
        priority: None,
    }
}

pub(crate) fn telnet(n: u128, addr: &str, now: TimeUs) -> Finding {
    finding(n, addr, FindingKind::TelnetOpen, Remedy::CloseService, now)
}

pub(crate) fn judgement(condition: Condition, survey_id: SurveyId, now: TimeUs) -> Judgement {
    Judgement {
        survey_id,
        time: now,
        condition,
        basis: "key".into(),
        seen_at: None,
        still_affected: None,
        reasons: vec![Explanation { code: "judge.test".into(), args: BTreeMap::new() }],
    }
}

pub(crate) fn letterhead() -> Letterhead {
    Letterhead {
        organisation: "Example CSIRT".into(),
        from: "notices@csirt.example".into(),
        reply_to: Some("csirt@csirt.example".into()),
        contact: "Hanako Example, +81-3-0000-0000, csirt@csirt.example".into(),
        mandate_id: "national-2026".into(),
        mandate_digest: "d".repeat(64),
        base_url: "https://kenshin.csirt.example/".into(),
        message_domain: "csirt.example".into(),
    }
}

/// A throw-away OpenPGP key, the same for the whole test process.
pub(crate) fn key() -> (String, String) {
    static KEY: std::sync::OnceLock<(String, String)> = std::sync::OnceLock::new();
    KEY.get_or_init(|| {
        let mut random = kenshin_casework::openpgp::SeededRng::new([3; 32]);
        // Made a year before the rounds, so that every clock of the test finds it valid.
        kenshin_casework::openpgp::generate(
            "North ISP <abuse@north.example>",
            T0.plus_secs(-365 * DAY),
            &mut random,
        )
        .unwrap()
    })
    .clone()
}

/// All pages of a list, one row at a time: what keyset paging must get right.
pub(crate) async fn all_pages<T, F, Fut>(fetch: F) -> Vec<T>
where
    F: Fn(PageRequest) -> Fut,
    Fut: Future<Output = Page<T>>,
{
    let mut all = Vec::new();
    let mut request = PageRequest { after: None, limit: 1 };
    loop {
        let page = fetch(request.clone()).await;
        assert!(page.items.len() <= 1);
        all.extend(page.items);
        match page.next {
            Some(next) => request.after = Some(next),
            None => return all,
        }
    }
}

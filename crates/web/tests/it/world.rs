//! A home with people in every role, two providers and one round, and a client of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode, header};
use kenshin_casework::providers::Directory;
use kenshin_casework::{
    Actor, Assessment, AssetSeen, CaseFilter, CaseState, Experiment, Letterhead, NewSurvey, NewUser,
    PageRequest, SurveyKind, SurveyTotals, Viewer,
};
use kenshin_lake::{Extent, Mandates};
use kenshin_observation::schema::ServiceRow;
use kenshin_observation::{
    AssetId, Claim, Component, Endpoint, Evidence, Explanation, Finding, FindingKind, Identity, Remedy,
    SensorId, Severity, SurveyId, TimeUs,
};
use kenshin_observatory::{Edge, Home, Observatory};
use kenshin_web::{Role, Web};
use serde_json::Value;
use tower::ServiceExt;

pub(crate) const PASSWORD: &str = "correct horse battery";
const T0: TimeUs = TimeUs::from_secs(1_790_000_000);
/// What a hostile device calls itself.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\u{1b}[2J";

pub(crate) struct World {
    pub(crate) observatory: Observatory,
    pub(crate) web: Web,
    pub(crate) survey_id: SurveyId,
    offset: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

/// Who is signed in: their cookie and their token.
#[derive(Debug, Clone, Default)]
pub(crate) struct SignedIn {
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

impl World {
    /// People named after their roles, one round with a finding at each of two providers.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let (edge, offset) = Edge::simulated(T0, [7; 32]);
        Observatory::init(&home, "Example CSIRT", "first", "en", &edge).await.unwrap();
        let observatory = Observatory::open(&home, &edge).await.unwrap();
        let survey_id = round(&observatory).await;
        let first = first_provider(&observatory).await;
        for role in Role::ALL {
            let providers = if *role == Role::Provider { vec![first] } else { Vec::new() };
            let user = NewUser {
                login: role.to_string(),
                name: format!("A {role}"),
                role: *role,
                language: "en".into(),
                password: PASSWORD.into(),
                must_change: false,
                providers,
                limit: kenshin_casework::Limit::default(),
            };
            observatory.casework().add_user(observatory.org(), &user, T0).await.unwrap();
        }
        let web = Web::new(observatory.clone());
        Self { observatory, web, survey_id, offset, _folder: folder }
    }

    /// An analyst who is limited to these mandates, and whose view has these services.
    pub(crate) async fn limited(&self, mandates: &[&str], services: Vec<ServiceRow>) -> SignedIn {
        let of = Mandates::new(mandates.iter().map(|id| (*id).to_owned())).unwrap();
        self.add_limited("limited", &of, None).await;
        let view = self.observatory.lake().await.unwrap().view_of(&Extent::Mandates(of)).await.unwrap();
        let mut made = view.begin_anew(T0).await.unwrap();
        made.write(services).await.unwrap();
        view.finish(made, &[(SensorId::new(T0, 1), 1)].into(), T0).await.unwrap();
        self.sign_in("limited").await
    }

    /// Somebody from outside, who sees of what a mandate brought as much as may be shared.
    pub(crate) async fn community(&self, mandate: &str) -> SignedIn {
        let of = Mandates::new([mandate.to_owned()]).unwrap();
        self.add_limited("community", &of, Some("Energy ISAC")).await;
        self.sign_in("community").await
    }

    async fn add_limited(&self, login: &str, mandates: &Mandates, community: Option<&str>) {
        let user = NewUser {
            login: login.into(),
            name: "A guest".into(),
            role: Role::Analyst,
            language: "en".into(),
            password: PASSWORD.into(),
            must_change: false,
            providers: Vec::new(),
            limit: kenshin_casework::Limit {
                mandates: mandates.ids().to_vec(),
                community: community.map(str::to_owned),
            },
        };
        self.observatory.casework().add_user(self.observatory.org(), &user, T0).await.unwrap();
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, seconds: i64) {
        self.offset.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.web.router().oneshot(request).await.unwrap()
    }

    /// A request by somebody, with the token when it changes something.
    pub(crate) async fn ask(
        &self,
        who: &SignedIn,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Response<Body> {
        let mut request = Request::builder().method(method.clone()).uri(path);
        if !who.cookie.is_empty() {
            request = request.header(header::COOKIE, &who.cookie);
        }
        if !method.is_safe() && !who.csrf.is_empty() {
            request = request.header("x-csrf-token", &who.csrf);
        }
        let body = match body {
            Some(json) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(json.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn get(&self, who: &SignedIn, path: &str) -> (StatusCode, Value) {
        let response = self.ask(who, Method::GET, path, None).await;
        let status = response.status();
        (status, json(response).await)
    }

    pub(crate) async fn sign_in(&self, login: &str) -> SignedIn {
        let response = self.try_sign_in(login, PASSWORD).await;
        assert_eq!(response.status(), StatusCode::OK, "{login} signs in");
        let cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let csrf = json(response).await["me"]["csrf"].as_str().unwrap().to_owned();
        SignedIn { cookie, csrf }
    }

    pub(crate) async fn try_sign_in(&self, login: &str, password: &str) -> Response<Body> {
        let body = serde_json::json!({ "login": login, "password": password });
        self.ask(&SignedIn::default(), Method::POST, "/api/v1/session", Some(body)).await
    }

    pub(crate) async fn cases(&self) -> Vec<CaseState> {
        let everything = Viewer::system(self.observatory.org());
        let casework = self.observatory.casework();
        casework.cases(&everything, &CaseFilter::default(), &PageRequest::first()).await.unwrap().items
    }

    /// The case at the provider that the person in role `provider` acts for, and the other one.
    pub(crate) async fn own_and_other(&self) -> (CaseState, CaseState) {
        let own = first_provider(&self.observatory).await;
        let (mut own_cases, mut others): (Vec<_>, Vec<_>) =
            self.cases().await.into_iter().partition(|case| case.provider == Some(own));
        (own_cases.pop().unwrap(), others.pop().unwrap())
    }
}

pub(crate) async fn text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 1 << 22).await.unwrap().to_vec()).unwrap()
}

pub(crate) async fn json(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response).await).unwrap_or(Value::Null)
}

async fn first_provider(observatory: &Observatory) -> kenshin_observation::ProviderId {
    let all = observatory.casework().providers(&observatory.viewer(), &PageRequest::first()).await.unwrap();
    all.items.iter().find(|provider| provider.name == "Nishi Net").unwrap().provider_id
}

async fn round(observatory: &Observatory) -> SurveyId {
    let casework = observatory.casework();
    let org = observatory.org();
    let actor = Actor::rule("test");
    let directory = "prefix_or_asn,name,mail,language,encryption\n\
                     192.0.2.0/24,Nishi Net,abuse@nishi.example,ja,link-only\n\
                     198.51.100.0/24,North ISP,abuse@north.example,en,link-only\n";
    let directory =
        Directory::parse("providers.csv", directory, &["en", "ja"], |_| Err("no such file".into())).unwrap();
    casework.import_directory(org, &directory, &actor, T0).await.unwrap();
    let new = NewSurvey {
        survey_id: casework.new_survey_id(T0),
        programme: "national".into(),
        kind: SurveyKind::Survey,
        mandate_digest: "d".repeat(64),
        plan: Value::Null,
    };
    let survey = casework.plan_survey(org, &new, T0).await.unwrap();
    let findings =
        vec![finding(1, "192.0.2.7", survey.survey_id), finding(2, "198.51.100.7", survey.survey_id)];
    let claim = |value: &str| Some(Claim { value: value.into(), confidence: 90, reason: "test".into() });
    let component = Component {
        vendor: None,
        product: claim("gSOAP").unwrap(),
        version: Some("2.7".into()),
        cpe: None,
        port: 80,
        shown: Some(format!("gSOAP/2.7 {HOSTILE}")),
    };
    let identity = Identity {
        vendor: claim("Example"),
        product: claim(HOSTILE),
        components: vec![component],
        ..Identity::default()
    };
    let seen = |finding: &Finding| AssetSeen {
        asset_id: finding.asset_id,
        addr: finding.endpoint.addr,
        keys: Vec::new(),
        identity: identity.clone(),
        sighting: Value::Null,
        time: T0,
    };
    let assessment = Assessment {
        survey_id: survey.survey_id,
        links: Vec::new(),
        assets: findings.iter().map(seen).collect(),
        findings,
        vantages: BTreeMap::new(),
        judgements: Vec::new(),
        covered: vec!["192.0.2.0/24".parse().unwrap(), "198.51.100.0/24".parse().unwrap()],
        totals: SurveyTotals {
            addresses_planned: 512,
            addresses_covered: 512,
            targets_planned: 1024,
            targets_covered: 1024,
            responders: 40,
            assets: 38,
            ..SurveyTotals::default()
        },
    };
    casework.record_assessment(org, &assessment, &Experiment::none(), T0).await.unwrap();
    let letterhead = Letterhead {
        organisation: "Example CSIRT".into(),
        from: "notices@csirt.example".into(),
        reply_to: None,
        contact: "Hanako Example, csirt@csirt.example".into(),
        mandate_id: "national-2026".into(),
        mandate_digest: "d".repeat(64),
        base_url: "https://kenshin.csirt.example".into(),
        message_domain: "csirt.example".into(),
    };
    casework.queue_notices(org, survey.survey_id, &letterhead, observatory.messages(), T0).await.unwrap();
    let outbox = kenshin_casework::Transport::Maildir(observatory.home().outbox());
    casework.deliver_notices(org, &outbox, &observatory.edge().clock()).await.unwrap();
    survey.survey_id
}

fn finding(n: u128, addr: &str, survey_id: SurveyId) -> Finding {
    let endpoint = Endpoint::tcp(addr.parse().unwrap(), 23);
    Finding {
        key: format!("telnet-open:{n}"),
        asset_id: AssetId::from_bits(n),
        kind: FindingKind::TelnetOpen,
        endpoint,
        severity: Severity::High,
        remedy: Remedy::CloseService,
        time: T0,
        confidence: 95,
        explanation: Explanation {
            code: "finding.telnet-open".into(),
            args: BTreeMap::from([("port".into(), "23".into())]),
        },
        evidence: vec![Evidence {
            survey_id,
            endpoint,
            time: T0,
            field: "telnet.text".into(),
            value: format!("{HOSTILE} login:"),
            blobs: Vec::new(),
        }],
        snapshots: Vec::new(),
        priority: None,
    }
}

//! Cases over rounds: opened, judged, closed, back again; the trail and its projections.

use kenshin_casework::{
    Actor, CaseChange, CaseFilter, CloseReason, ErrorKind, Experiment, FindingFilter, FindingState,
    PageRequest, Role, Stage, Viewer,
};
use kenshin_observation::{Condition, Endpoint, FindingKind, Remedy, SurveyId, UserId};
use sqlx::Row;

use crate::world::{DAY, T0, World, all_pages, assessment, everywhere, finding, judgement, telnet};

#[test]
fn findings_of_one_remedy_on_one_asset_make_one_case() {
    everywhere("findings_of_one_remedy_on_one_asset_make_one_case", |place| async move {
        let world = World::new(&place).await;
        let findings = vec![
            telnet(1, "192.0.2.1", T0),
            finding(1, "192.0.2.1", FindingKind::AnonymousFtp, Remedy::CloseService, T0),
            finding(1, "192.0.2.1", FindingKind::EndOfLife, Remedy::Replace, T0),
            telnet(2, "198.51.100.200", T0),
            telnet(3, "203.0.113.9", T0),
        ];
        let (_, summary) = world.round(findings, vec![], T0).await;
        assert_eq!((summary.findings, summary.opened, summary.attached), (5, 4, 1));
        let case = world.cases().await.into_iter().find(|case| case.findings.len() == 2).unwrap();
        assert_eq!(
            (case.remedy, case.stage, case.condition, case.episode),
            (Remedy::CloseService, Stage::Open, Condition::Affected, 1)
        );
        assert_eq!(case.product.as_deref(), Some("Example Cam <Pro>"));
        assert_eq!(case.subject.keys.len(), 1, "the subject keeps the keys of its time");
        assert!(case.arm.is_some(), "the arm is drawn before the first notice");
        let trail = world.casework.case_trail(&world.viewer, case.case_id).await.unwrap();
        assert_eq!(trail.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(world.case_at("203.0.113.9").await.provider.is_none());
        // The longest prefix names the addressee.
        let campus = world
            .casework
            .provider(&world.viewer, world.case_at("198.51.100.200").await.provider.unwrap())
            .await
            .unwrap();
        assert_eq!(campus.name, "North Campus");
        let attached = FindingFilter { case: Some(case.case_id), ..FindingFilter::default() };
        let records =
            world.casework.findings(&world.viewer, &attached, &PageRequest::first()).await.unwrap().items;
        assert_eq!(records.len(), 2);
        assert!(
            records.iter().all(|record| record.case_id == Some(case.case_id) && record.vantage.is_some())
        );
    });
}

#[test]
fn an_assessment_counts_once() {
    everywhere("an_assessment_counts_once", |place| async move {
        let world = World::new(&place).await;
        let survey = world.survey(kenshin_casework::SurveyKind::Survey, T0).await;
        let assessment = assessment(survey.survey_id, vec![telnet(1, "192.0.2.1", T0)], vec![]);
        let none = Experiment::none();
        let (one, two) = tokio::join!(
            world.casework.record_assessment(world.org, &assessment, &none, T0),
            world.casework.record_assessment(world.org, &assessment, &none, T0)
        );
        assert_eq!([one.unwrap(), two.unwrap()].iter().flatten().count(), 1);
        assert_eq!(world.cases().await.len(), 1);
        let again =
            world.casework.record_assessment(world.org, &assessment, &Experiment::none(), T0).await.unwrap();
        assert_eq!(again, None);
        let trail = world.casework.case_trail(&world.viewer, world.cases().await[0].case_id).await.unwrap();
        assert_eq!(trail.len(), 2);
    });
}

/// Two rounds in which every condition occurs.
pub(crate) async fn two_rounds(world: &World) -> SurveyId {
    let addr = |n: u128| format!("192.0.2.{n}");
    let round1 = (1..=8).map(|n| telnet(n, &addr(n), T0)).collect();
    world.round(round1, vec![], T0).await;
    let later = T0.plus_secs(14 * DAY);
    let survey = SurveyId::from_bits(0);
    let case = |n: u128| {
        let addr = addr(n);
        async move { world.case_at(&addr).await.case_id }
    };
    let mut moved = judgement(Condition::Elsewhere, survey, later);
    moved.seen_at = Some(Endpoint::tcp("198.51.100.7".parse().unwrap(), 23));
    moved.still_affected = Some(true);
    let mut moved_clean = moved.clone();
    moved_clean.seen_at = Some(Endpoint::tcp("198.51.100.8".parse().unwrap(), 23));
    moved_clean.still_affected = Some(false);
    let judgements = vec![
        (case(1).await, judgement(Condition::Affected, survey, later)),
        (case(2).await, judgement(Condition::Clean, survey, later)),
        (case(3).await, judgement(Condition::ServiceGone, survey, later)),
        (case(4).await, judgement(Condition::Unobservable, survey, later)),
        (case(5).await, moved),
        (case(6).await, moved_clean),
        (case(7).await, judgement(Condition::Replaced, survey, later)),
    ];
    let round2 = vec![telnet(1, "192.0.2.1", later), telnet(5, "198.51.100.7", later)];
    let (survey, summary) = world.round(round2, judgements, later).await;
    assert_eq!(
        (summary.judged, summary.remedied, summary.exposure_ended, summary.opened, summary.relapsed),
        (7, 2, 1, 0, 0)
    );
    survey.survey_id
}

#[test]
fn every_condition_leads_where_it_should() {
    everywhere("every_condition_leads_where_it_should", |place| async move {
        let world = World::new(&place).await;
        two_rounds(&world).await;
        let axes = |addr: &'static str| {
            let world = &world;
            async move {
                let case = world.case_at(addr).await;
                (case.stage, case.condition, case.close_reason, case.episode)
            }
        };
        use Condition::{Affected, Clean, Elsewhere, Replaced, ServiceGone, Unobservable};
        assert_eq!(axes("192.0.2.1").await, (Stage::Open, Affected, None, 1));
        assert_eq!(axes("192.0.2.2").await, (Stage::Closed, Clean, Some(CloseReason::Remedied), 1));
        assert_eq!(
            axes("192.0.2.3").await,
            (Stage::Closed, ServiceGone, Some(CloseReason::ExposureEnded), 1)
        );
        assert_eq!(axes("192.0.2.4").await, (Stage::Open, Unobservable, None, 1));
        assert_eq!(axes("192.0.2.5").await, (Stage::Open, Elsewhere, None, 1));
        assert_eq!(axes("192.0.2.6").await, (Stage::Closed, Elsewhere, Some(CloseReason::Remedied), 1));
        assert_eq!(axes("192.0.2.7").await, (Stage::Open, Replaced, None, 1), "replaced is not remedied");
        // The mover has a new place and a new addressee, and the subject stays what it was.
        let mover = world.case_at("192.0.2.5").await;
        assert_eq!(mover.endpoint.addr.to_string(), "198.51.100.7");
        let provider = world.casework.provider(&world.viewer, mover.provider.unwrap()).await.unwrap();
        assert_eq!(provider.name, "North ISP");
        let present = FindingFilter { state: Some(FindingState::Present), ..FindingFilter::default() };
        assert_eq!(
            world
                .casework
                .findings(&world.viewer, &present, &PageRequest::first())
                .await
                .unwrap()
                .items
                .len(),
            2
        );
        let absent = FindingFilter { state: Some(FindingState::Absent), ..FindingFilter::default() };
        assert_eq!(
            world.casework.findings(&world.viewer, &absent, &PageRequest::first()).await.unwrap().items.len(),
            6
        );
    });
}

#[test]
fn what_comes_back_is_a_relapse() {
    everywhere("what_comes_back_is_a_relapse", |place| async move {
        let world = World::new(&place).await;
        two_rounds(&world).await;
        let third = T0.plus_secs(28 * DAY);
        // Both had ended; one is seen by its finding alone, the other is judged as well.
        let judged = judgement(Condition::Affected, SurveyId::from_bits(0), third);
        let judgements = vec![(world.case_at("192.0.2.3").await.case_id, judged)];
        let (_, summary) = world
            .round(vec![telnet(2, "192.0.2.2", third), telnet(3, "192.0.2.3", third)], judgements, third)
            .await;
        assert_eq!((summary.relapsed, summary.opened), (2, 0));
        for addr in ["192.0.2.2", "192.0.2.3"] {
            let case = world.case_at(addr).await;
            assert_eq!(
                (case.stage, case.condition, case.episode, case.notified_at),
                (Stage::Open, Condition::Affected, 2, None),
                "{addr}"
            );
        }
    });
}

#[test]
fn what_still_holds_on_the_device_keeps_its_case_open() {
    everywhere("what_still_holds_on_the_device_keeps_its_case_open", |place| async move {
        let world = World::new(&place).await;
        let ftp = |now| finding(1, "192.0.2.1", FindingKind::AnonymousFtp, Remedy::CloseService, now);
        world.round(vec![telnet(1, "192.0.2.1", T0), ftp(T0)], vec![], T0).await;
        let later = T0.plus_secs(DAY);
        // The endpoint that was judged is closed; the other service of the same case is not.
        let gone = judgement(Condition::ServiceGone, SurveyId::from_bits(0), later);
        let case = world.case_at("192.0.2.1").await.case_id;
        let (_, summary) = world.round(vec![ftp(later)], vec![(case, gone)], later).await;
        assert_eq!((summary.exposure_ended, summary.relapsed), (0, 0));
        let case = world.case_at("192.0.2.1").await;
        assert_eq!((case.stage, case.condition, case.episode), (Stage::Open, Condition::ServiceGone, 1));
    });
}

#[test]
fn a_persons_decision_holds_and_withdrawn_is_not_recovery() {
    everywhere("a_persons_decision_holds_and_withdrawn_is_not_recovery", |place| async move {
        let world = World::new(&place).await;
        world.round(vec![telnet(1, "192.0.2.1", T0), telnet(2, "192.0.2.2", T0)], vec![], T0).await;
        let (actor, case) = (Actor::User(UserId::from_bits(5)), world.case_at("192.0.2.1").await.case_id);
        let refused = world
            .casework
            .close_case(&world.viewer, case, &actor, CloseReason::Remedied, "looks fine", T0)
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert!(refused.to_string().contains("re-check it first"));
        world
            .casework
            .close_case(&world.viewer, case, &actor, CloseReason::AcceptedRisk, "museum", T0)
            .await
            .unwrap();
        let withdrawn = world
            .casework
            .withdraw_findings(world.org, &["telnet-open:2".into()], "the rule was wrong", &actor, T0)
            .await
            .unwrap();
        assert_eq!(withdrawn, 1);
        let later = T0.plus_secs(DAY);
        let (_, summary) = world.round(vec![telnet(1, "192.0.2.1", later)], vec![], later).await;
        assert_eq!((summary.opened, summary.relapsed), (0, 0));
        assert_eq!(world.case_at("192.0.2.1").await.close_reason, Some(CloseReason::AcceptedRisk));
        let case = world.case_at("192.0.2.2").await;
        assert_eq!(case.close_reason, Some(CloseReason::Withdrawn));
        assert!(!case.close_reason.unwrap().is_recovery());
        let figures = world.casework.figures(&world.viewer).await.unwrap();
        assert_eq!(figures.remedied_after_notice, 0);
        assert_eq!(
            figures.close_reasons.iter().map(|c| (c.name.as_str(), c.count)).collect::<Vec<_>>(),
            [("accepted-risk", 1), ("withdrawn", 1)]
        );
        // By today's knowledge it holds again: opened again, the episode is the same.
        world.round(vec![telnet(2, "192.0.2.2", later)], vec![], later).await;
        let case = world.case_at("192.0.2.2").await;
        assert_eq!((case.stage, case.episode, case.openings), (Stage::Open, 1, 2));
    });
}

#[test]
fn projections_are_what_the_trail_says() {
    everywhere("projections_are_what_the_trail_says", |place| async move {
        let world = World::new(&place).await;
        two_rounds(&world).await;
        let third = T0.plus_secs(28 * DAY);
        world.round(vec![telnet(2, "192.0.2.2", third)], vec![], third).await;
        let before = dump(&place.url).await;
        assert!(before.len() > 20);
        assert_eq!(world.casework.rebuild_projections(world.org).await.unwrap(), 8);
        assert_eq!(dump(&place.url).await, before);
    });
}

/// Every row of every projection as text, sorted.
async fn dump(url: &str) -> Vec<String> {
    let pool = sqlx::AnyPool::connect(url).await.unwrap();
    let mut lines = Vec::new();
    for (table, columns) in [
        (
            "case_state",
            "case_id || '|' || state || '|' || stage || condition || COALESCE(close_reason, '-') || addr || seq",
        ),
        ("case_finding", "case_id || '|' || finding_key || '|' || attached_us"),
        ("case_judgement", "case_id || '|' || survey_id || '|' || condition || '|' || stage || '|' || at_us"),
        (
            "case_episode",
            "case_id || '|' || opening || '|' || episode || '|' || opened_us || '|' || COALESCE(closed_us, 0) || '|' || COALESCE(close_reason, '-')",
        ),
    ] {
        let text = format!("SELECT {columns} AS line FROM {table}");
        for row in sqlx::query(sqlx::AssertSqlSafe(text)).fetch_all(&pool).await.unwrap() {
            lines.push(format!("{table}: {}", row.get::<String, _>("line")));
        }
    }
    pool.close().await;
    lines.sort();
    lines
}

#[test]
fn appends_at_once_keep_one_trail() {
    everywhere("appends_at_once_keep_one_trail", |place| async move {
        let world = World::new(&place).await;
        world.round(vec![telnet(1, "192.0.2.1", T0)], vec![], T0).await;
        let case = world.cases().await[0].case_id;
        let second = place.open().await;
        let mut writers = Vec::new();
        for n in 0..20 {
            let hub = if n % 2 == 0 { world.casework.clone() } else { second.clone() };
            let viewer = world.viewer.clone();
            writers.push(tokio::spawn(async move {
                let change = CaseChange::Noted { note: format!("remark {n}") };
                hub.change_case(&viewer, case, &Actor::rule("test"), change, T0).await.unwrap();
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let trail = world.casework.case_trail(&world.viewer, case).await.unwrap();
        assert_eq!(trail.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=22).collect::<Vec<_>>());
    });
}

#[test]
fn what_a_viewer_may_not_see_is_not_read() {
    everywhere("what_a_viewer_may_not_see_is_not_read", |place| async move {
        let world = World::new(&place).await;
        world
            .round(
                vec![telnet(1, "192.0.2.1", T0), telnet(2, "198.51.100.1", T0), telnet(3, "203.0.113.1", T0)],
                vec![],
                T0,
            )
            .await;
        let (mine, other) = (world.case_at("192.0.2.1").await, world.case_at("198.51.100.1").await);
        let provider = Viewer {
            org: world.org,
            role: Role::Provider,
            providers: vec![mine.provider.unwrap()],
            mandates: Vec::new(),
            community: None,
        };
        let nobody = Viewer { providers: Vec::new(), ..provider.clone() };
        let researcher = Viewer { role: Role::Researcher, ..provider.clone() };
        let stranger = Viewer { org: kenshin_observation::OrgId::from_bits(7), ..world.viewer.clone() };
        let casework = &world.casework;
        for (viewer, expected) in
            [(&world.viewer, 3), (&provider, 1), (&nobody, 0), (&researcher, 0), (&stranger, 0)]
        {
            let all = PageRequest::first();
            assert_eq!(world.cases_for(viewer, &CaseFilter::default()).await.len(), expected, "{viewer:?}");
            assert_eq!(
                casework.findings(viewer, &FindingFilter::default(), &all).await.unwrap().items.len(),
                expected,
                "{viewer:?}"
            );
            let everywhere = casework.assets(viewer, None, &all).await.unwrap().items;
            assert_eq!(everywhere.len(), expected, "{viewer:?}");
            // One at a time, by address, are the same; each is found where it is and nowhere else.
            let mut one = Some(PageRequest { after: None, limit: 1 });
            let mut singly = Vec::new();
            while let Some(request) = one {
                let page = casework.assets(viewer, None, &request).await.unwrap();
                one = PageRequest::following(&page).map(|next| PageRequest { limit: 1, ..next });
                singly.extend(page.items);
            }
            assert_eq!(singly, everywhere);
            assert!(everywhere.is_sorted_by_key(|asset| asset.addr));
            for asset in &everywhere {
                let here = casework
                    .assets(viewer, Some(kenshin_observation::Prefix::host(asset.addr)), &all)
                    .await
                    .unwrap()
                    .items;
                assert_eq!(
                    here,
                    everywhere.iter().filter(|a| a.addr == asset.addr).cloned().collect::<Vec<_>>()
                );
            }
        }
        assert_eq!(casework.case(&provider, mine.case_id).await.unwrap().case_id, mine.case_id);
        let actor = Actor::User(UserId::from_bits(5));
        for viewer in [&provider, &researcher, &stranger] {
            assert_eq!(casework.case(viewer, other.case_id).await.unwrap_err().kind(), ErrorKind::NotFound);
            assert_eq!(
                casework.case_trail(viewer, other.case_id).await.unwrap_err().kind(),
                ErrorKind::NotFound
            );
            assert_eq!(
                casework.finding(viewer, "telnet-open:2").await.unwrap_err().kind(),
                ErrorKind::NotFound
            );
            let change = casework.acknowledge_case(viewer, other.case_id, &actor, "mine?", T0).await;
            assert_eq!(change.unwrap_err().kind(), ErrorKind::NotFound);
        }
        assert_eq!(casework.providers(&provider, &PageRequest::first()).await.unwrap().items.len(), 1);
        casework.acknowledge_case(&provider, mine.case_id, &actor, "on it", T0).await.unwrap();
        let trail = casework.case_trail(&provider, mine.case_id).await.unwrap();
        assert_eq!(trail.last().unwrap().actor, actor);
        // A credential check's evidence is for few.
        world
            .round(
                vec![finding(4, "192.0.2.4", FindingKind::DefaultCredentials, Remedy::ChangePassword, T0)],
                vec![],
                T0,
            )
            .await;
        let analyst = Viewer { role: Role::Analyst, ..world.viewer.clone() };
        let seen = casework.finding(&analyst, "default-credentials:4").await.unwrap();
        assert!(seen.finding.evidence.iter().all(|evidence| evidence.value.is_empty()));
        let seen = casework.finding(&provider, "default-credentials:4").await.unwrap();
        assert!(seen.finding.evidence.iter().all(|evidence| !evidence.value.is_empty()));
    });
}

#[test]
fn lists_are_paged_and_filtered() {
    everywhere("lists_are_paged_and_filtered", |place| async move {
        let world = World::new(&place).await;
        let findings = (1..=7).map(|n| telnet(n, &format!("192.0.2.{n}"), T0)).collect();
        world.round(findings, vec![], T0).await;
        let cases = all_pages(|page| {
            let (casework, viewer) = (world.casework.clone(), world.viewer.clone());
            async move { casework.cases(&viewer, &CaseFilter::default(), &page).await.unwrap() }
        })
        .await;
        assert_eq!(cases, world.cases().await);
        let findings = all_pages(|page| {
            let (casework, viewer) = (world.casework.clone(), world.viewer.clone());
            async move { casework.findings(&viewer, &FindingFilter::default(), &page).await.unwrap() }
        })
        .await;
        assert_eq!(findings.len(), 7);
        let filter =
            |prefix: &str| CaseFilter { prefix: Some(prefix.parse().unwrap()), ..CaseFilter::default() };
        assert_eq!(world.cases_for(&world.viewer, &filter("192.0.2.0/30")).await.len(), 3);
        assert_eq!(world.cases_for(&world.viewer, &filter("192.0.2.7/32")).await.len(), 1);
        let remedy = CaseFilter { remedy: Some(Remedy::Update), ..CaseFilter::default() };
        assert!(world.cases_for(&world.viewer, &remedy).await.is_empty());
        let huge = PageRequest { after: None, limit: 1_000_000 };
        assert!(
            world.casework.cases(&world.viewer, &CaseFilter::default(), &huge).await.unwrap().next.is_none()
        );
    });
}

//! Yesterday's sights by today's knowledge, and the order of urgency.

use kenshin_casework::{
    CaseFilter, CloseReason, Experiment, FindingFilter, FindingState, Order, PageRequest, Retrospect,
    RetrospectSummary, Stage, Survey,
};
use kenshin_observation::{
    Automatable, Condition, Decision, Exploitation, Exposure, Finding, FindingKind, Impact, Priority, Remedy,
};
use sqlx::Row;

use crate::world::{DAY, T0, World, assessment, everywhere, finding, judgement, telnet};

/// A CVE of a device: all of them are mended by one update.
fn cve(device: u128, addr: &str, number: u32) -> Finding {
    let mut made = finding(device, addr, FindingKind::KnownExploited, Remedy::Update, T0);
    made.key = format!("{device} CVE-2099-{number:04}");
    made
}

async fn retrospect(
    world: &World,
    survey: &Survey,
    findings: Vec<Finding>,
    seen: &[Finding],
) -> RetrospectSummary {
    let of_assets = assessment(survey.survey_id, seen.to_vec(), vec![]);
    let today = Retrospect {
        survey_id: survey.survey_id,
        assets: of_assets.assets,
        findings,
        vantages: of_assets.vantages,
        snapshots: vec!["kev@tomorrow#sha256:00".into()],
    };
    world.casework.record_retrospect(world.org, &today, &Experiment::none(), T0.plus_secs(DAY)).await.unwrap()
}

#[test]
fn forty_vulnerabilities_of_a_router_are_one_case_through_two_snapshots() {
    everywhere("forty_vulnerabilities_of_a_router_are_one_case_through_two_snapshots", |place| async move {
        let world = World::new(&place).await;
        let of = |numbers: std::ops::Range<u32>| -> Vec<Finding> {
            numbers.map(|number| cve(1, "192.0.2.1", number)).collect()
        };
        let (survey, summary) =
            world.round([of(1..41), vec![telnet(2, "192.0.2.2", T0)]].concat(), vec![], T0).await;
        assert_eq!((summary.findings, summary.opened, summary.attached), (41, 2, 39));
        let case = world.case_at("192.0.2.1").await;
        assert_eq!((case.remedy, case.findings.len()), (Remedy::Update, 40));

        // The next snapshot knows ten more, and five were a mistake.
        let seen = [cve(1, "192.0.2.1", 0), telnet(2, "192.0.2.2", T0)];
        let today = [of(6..51), vec![telnet(2, "192.0.2.2", T0)]].concat();
        let changed = retrospect(&world, &survey, today.clone(), &seen).await;
        assert_eq!((changed.assets, changed.findings, changed.new), (2, 46, 10));
        assert_eq!((changed.opened, changed.attached), (0, 10));
        assert_eq!((changed.withdrawn, changed.closed), (5, 0));
        let case = world.case_at("192.0.2.1").await;
        assert_eq!((case.stage, case.findings.len()), (Stage::Open, 45));
        let again = retrospect(&world, &survey, today, &seen).await;
        assert_eq!((again.new, again.withdrawn), (0, 0), "the same knowledge changes nothing");

        // The last one withdraws them all: no recovery.
        let changed = retrospect(&world, &survey, vec![telnet(2, "192.0.2.2", T0)], &seen).await;
        assert_eq!((changed.withdrawn, changed.closed), (45, 1));
        let case = world.case_at("192.0.2.1").await;
        assert_eq!((case.stage, case.close_reason), (Stage::Closed, Some(CloseReason::Withdrawn)));
        assert!(!CloseReason::Withdrawn.is_recovery());
        let figures = world.casework.figures(&world.viewer).await.unwrap();
        assert_eq!(figures.remedied_after_notice, 0);
        let withdrawn = FindingFilter { state: Some(FindingState::Withdrawn), ..FindingFilter::default() };
        let page = PageRequest::first();
        assert_eq!(world.casework.findings(&world.viewer, &withdrawn, &page).await.unwrap().items.len(), 50);
        assert_eq!(world.case_at("192.0.2.2").await.stage, Stage::Open, "what nobody doubts stays");

        // And back again.
        let changed = retrospect(&world, &survey, vec![cve(1, "192.0.2.1", 7)], &seen[..1]).await;
        assert_eq!((changed.new, changed.attached, changed.opened), (1, 1, 0));
        let case = world.case_at("192.0.2.1").await;
        assert_eq!((case.stage, case.episode, case.openings), (Stage::Open, 1, 2));
    });
}

#[test]
fn what_was_remedied_and_is_known_worse_is_no_relapse() {
    everywhere("what_was_remedied_and_is_known_worse_is_no_relapse", |place| async move {
        let world = World::new(&place).await;
        world.round(vec![cve(1, "192.0.2.1", 1)], vec![], T0).await;
        let case = world.case_at("192.0.2.1").await.case_id;
        let clean = assessment(
            world.survey(kenshin_casework::SurveyKind::Recheck, T0).await.survey_id,
            vec![],
            vec![],
        );
        let judged = kenshin_casework::Judgement {
            survey_id: clean.survey_id,
            ..judgement(Condition::Clean, clean.survey_id, T0)
        };
        let seen = [cve(1, "192.0.2.1", 1)];
        let clean = kenshin_casework::Assessment {
            assets: assessment(clean.survey_id, seen.to_vec(), vec![]).assets,
            judgements: vec![(case, judged)],
            ..clean
        };
        world.casework.record_assessment(world.org, &clean, &Experiment::none(), T0).await.unwrap().unwrap();
        let state = world.case_at("192.0.2.1").await;
        assert_eq!(state.close_reason, Some(CloseReason::Remedied));
        let survey = world.casework.survey(world.org, clean.survey_id).await.unwrap();
        assert_eq!(world.casework.surveys_seen_last(world.org).await.unwrap(), [survey.survey_id]);
        let changed = retrospect(&world, &survey, vec![cve(1, "192.0.2.1", 2)], &seen).await;
        assert_eq!((changed.new, changed.attached, changed.withdrawn), (1, 1, 0));
        let state = world.case_at("192.0.2.1").await;
        assert_eq!((state.stage, state.condition, state.episode), (Stage::Open, Condition::Affected, 1));
    });
}

#[test]
fn an_older_sight_does_not_speak_for_what_was_seen_since() {
    everywhere("an_older_sight_does_not_speak_for_what_was_seen_since", |place| async move {
        let world = World::new(&place).await;
        let (older, _) =
            world.round(vec![cve(1, "192.0.2.1", 1), telnet(2, "192.0.2.2", T0)], vec![], T0).await;
        world.round(vec![cve(1, "192.0.2.1", 1)], vec![], T0.plus_secs(60)).await;
        let seen = [cve(1, "192.0.2.1", 1), telnet(2, "192.0.2.2", T0)];
        let changed = retrospect(&world, &older, vec![telnet(2, "192.0.2.2", T0)], &seen).await;
        assert_eq!((changed.assets, changed.withdrawn), (1, 0));
        assert_eq!(world.case_at("192.0.2.1").await.stage, Stage::Open);
    });
}

fn urgent(mut finding: Finding, decision: Decision) -> Finding {
    finding.priority = Some(Priority {
        decision,
        exploitation: Exploitation::None,
        exposure: Exposure::Open,
        automatable: Automatable::No,
        impact: Impact::Low,
        reasons: Vec::new(),
    });
    finding
}

/// The order of priority is read from an index, not sorted: SQLite says how it goes about it.
#[test]
fn the_order_of_priority_has_its_index() {
    everywhere("the_order_of_priority_has_its_index", |place| async move {
        if !place.url.starts_with("sqlite") {
            return;
        }
        let _world = World::new(&place).await;
        let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
        let order = "EXPLAIN QUERY PLAN SELECT * FROM finding f WHERE f.org_id = 'x' ORDER BY COALESCE(f.priority, -1) DESC, f.finding_key LIMIT 50";
        let steps = sqlx::query(order).fetch_all(&pool).await.unwrap();
        let said: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
        pool.close().await;
        assert!(said.len() == 1 && said[0].contains("finding_urgency"), "{said:?}");
    });
}

#[test]
fn the_most_urgent_come_first_page_by_page() {
    everywhere("the_most_urgent_come_first_page_by_page", |place| async move {
        let world = World::new(&place).await;
        let findings = vec![
            urgent(cve(1, "192.0.2.1", 1), Decision::Track),
            urgent(cve(1, "192.0.2.1", 2), Decision::Attend),
            urgent(telnet(2, "192.0.2.2", T0), Decision::Act),
            telnet(3, "192.0.2.3", T0),
            urgent(telnet(4, "192.0.2.4", T0), Decision::Attend),
        ];
        world.round(findings, vec![], T0).await;
        let mut keys = Vec::new();
        let filter = FindingFilter { order: Order::Priority, ..FindingFilter::default() };
        let mut page = Some(PageRequest { after: None, limit: 2 });
        while let Some(request) = page {
            let found = world.casework.findings(&world.viewer, &filter, &request).await.unwrap();
            page = found.next.clone().map(|after| PageRequest { after: Some(after), limit: 2 });
            keys.extend(found.items.into_iter().map(|record| record.finding.key));
        }
        assert_eq!(
            keys,
            ["telnet-open:2", "1 CVE-2099-0002", "telnet-open:4", "1 CVE-2099-0001", "telnet-open:3"]
        );

        let mut cases = Vec::new();
        let filter = CaseFilter { order: Order::Priority, ..CaseFilter::default() };
        let mut page = Some(PageRequest { after: None, limit: 1 });
        while let Some(request) = page {
            let found = world.casework.cases(&world.viewer, &filter, &request).await.unwrap();
            page = found.next.clone().map(|after| PageRequest { after: Some(after), limit: 1 });
            cases.extend(found.items);
        }
        let ids: Vec<_> = cases.iter().map(|case| case.case_id).collect();
        let priorities = world.casework.case_priorities(&world.viewer, &ids).await.unwrap();
        let told: Vec<_> = ids.iter().map(|id| priorities.get(id).copied()).collect();
        assert_eq!(told, [Some(Decision::Act), Some(Decision::Attend), Some(Decision::Attend), None]);
        assert_eq!(
            world
                .casework
                .cases(&world.viewer, &CaseFilter::default(), &PageRequest::first())
                .await
                .unwrap()
                .items
                .len(),
            4
        );
    });
}

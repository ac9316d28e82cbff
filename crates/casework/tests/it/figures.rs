//! Figures with their denominators.

use kenshin_casework::{Role, Transport, Viewer};
use kenshin_observation::{Condition, Messages, SurveyId};

use crate::world::{DAY, T0, World, clock, everywhere, judgement, letterhead, telnet};

#[test]
fn the_curve_over_rounds_counts_what_happened() {
    everywhere("the_curve_over_rounds_counts_what_happened", |place| async move {
        let world = World::new(&place).await;
        let folder = tempfile::tempdir().unwrap();
        let outbox = Transport::Maildir(folder.path().join("outbox"));
        let findings = (1..=6).map(|n| telnet(n, &format!("192.0.2.{n}"), T0)).collect();
        let (survey, _) = world.round(findings, vec![], T0).await;
        let told = T0.plus_secs(3600);
        world
            .casework
            .queue_notices(world.org, survey.survey_id, &letterhead(), &Messages::builtin(), told)
            .await
            .unwrap();
        world.casework.deliver_notices(world.org, &outbox, &clock(told)).await.unwrap();
        let later = T0.plus_secs(14 * DAY);
        let mut judgements = Vec::new();
        for (n, condition) in [
            (1, Condition::Clean),
            (2, Condition::Clean),
            (3, Condition::ServiceGone),
            (4, Condition::Unobservable),
            (5, Condition::Affected),
            (6, Condition::Affected),
        ] {
            let case = world.case_at(&format!("192.0.2.{n}")).await.case_id;
            judgements.push((case, judgement(condition, SurveyId::from_bits(0), later)));
        }
        world
            .round(vec![telnet(5, "192.0.2.5", later), telnet(6, "192.0.2.6", later)], judgements, later)
            .await;
        let figures = world.casework.figures(&world.viewer).await.unwrap();
        let curve: Vec<_> = figures
            .rounds
            .iter()
            .map(|r| (r.round, r.findings, r.open_cases, r.notified, r.judged))
            .collect();
        assert_eq!(curve, [(1, 6, 6, 0, 0), (2, 2, 3, 6, 6)]);
        assert_eq!(figures.rounds[0].totals.responders, 40, "every round states its denominators");
        assert_eq!(
            (figures.cases, figures.notified_cases, figures.remedied_after_notice, figures.relapsed_cases),
            (6, 6, 2, 0)
        );
        let week = figures.notice_to_remedy;
        assert_eq!((week.median_s, week.of, week.out_of), (Some(14 * DAY - 3600), 2, 6));
        assert_eq!((figures.opening_to_notice.median_s, figures.opening_to_notice.of), (Some(3600), 6));
        let words = |counts: &[kenshin_casework::Count]| {
            counts.iter().map(|c| format!("{} {}", c.name, c.count)).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(words(&figures.findings_by_kind), "telnet-open 2");
        assert_eq!(words(&figures.close_reasons), "exposure-ended 1, remedied 2");
        assert_eq!(words(&figures.stages), "closed 3, notified 3");
        assert_eq!(words(&figures.notices), "sent 1");
        assert_eq!(figures.by_provider.len(), 1);
        assert_eq!(
            (
                figures.by_provider[0].findings,
                figures.by_provider[0].open_cases,
                figures.by_provider[0].remedied
            ),
            (2, 3, 2)
        );

        let breakdown = world.casework.breakdown(&world.viewer).await.unwrap();
        assert_eq!((breakdown.kinds[0].findings, breakdown.kinds[0].assets), (2, 2));
        assert_eq!(breakdown.provider_kinds.len(), 1);
        let cases = &breakdown.provider_cases[0];
        let counts = (
            cases.cases,
            cases.open,
            cases.notified,
            cases.remedied,
            cases.exposure_ended,
            cases.unobservable,
        );
        assert_eq!((cases.name.as_deref(), counts), (Some("Nishi Net"), (6, 3, 6, 2, 1, 1)));
        assert_eq!(words(&breakdown.outcome), "affected 2, exposure-ended 1, remedied 2, unobservable 1");
        let assets: Vec<i64> = breakdown.round_assets.iter().map(|round| round.assets).collect();
        assert_eq!(assets, [2, 6]);

        let researcher = Viewer {
            org: world.org,
            role: Role::Researcher,
            providers: Vec::new(),
            mandates: Vec::new(),
            community: None,
        };
        let seen = world.casework.figures(&researcher).await.unwrap();
        assert_eq!((seen.cases, seen.by_provider.len()), (6, 0));
        let seen = world.casework.breakdown(&researcher).await.unwrap();
        assert!(seen.provider_cases.is_empty() && seen.provider_kinds.is_empty() && seen.kinds.len() == 1);
        let other = Viewer { role: Role::Provider, ..researcher };
        assert_eq!(world.casework.figures(&other).await.unwrap().cases, 0);
    });
}

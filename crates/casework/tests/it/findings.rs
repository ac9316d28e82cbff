//! The table of findings says what their list and their cases say, and nothing to whom these say nothing.

use std::collections::HashMap;

use kenshin_casework::{
    Actor, Cells, CloseReason, Experiment, FindingColumn, FindingFilter, FindingRecord, NewMandate,
    NewSurvey, PageRequest, Role, Shape, SurveyKind, Viewer,
};
use kenshin_observation::{
    Automatable, CaseId, Decision, Exploitation, Exposure, Impact, Priority, ProviderId, TimeUs,
    addr_to_hi_lo,
};

use sqlx::Row as _;

use crate::cases::two_rounds;
use crate::world::{DAY, T0, World, all_pages, assessment, everywhere, telnet};

/// A row of the table, a text for each column.
type Row = Vec<Option<String>>;

/// The whole table, `limit` rows at a time.
async fn table(world: &World, viewer: &Viewer, columns: &[FindingColumn], limit: u32) -> Vec<Row> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = world.casework.finding_cells(viewer, columns, after.as_deref(), limit).await.unwrap();
        assert!(page.rows <= limit as usize && page.columns.len() == columns.len());
        for at in 0..page.rows {
            let cell = |(cells, column): (&Cells, &FindingColumn)| match cells {
                Cells::Texts(texts) => {
                    assert_eq!((column.shape(), texts.len()), (Shape::Text, page.rows));
                    texts[at].clone()
                }
                Cells::Numbers(numbers) => {
                    assert!(column.shape() != Shape::Text && numbers.len() == page.rows);
                    numbers[at].map(|number| number.to_string())
                }
            };
            rows.push(page.columns.iter().zip(columns).map(cell).collect());
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return rows,
        }
    }
}

/// What is known beside the list of findings.
struct Known {
    /// Mandate and programme of the round of each survey.
    mandate: String,
    /// The round that was made under it.
    round: i64,
    providers: HashMap<ProviderId, String>,
}

/// What a column has to say of a finding, by its record and by its case as `viewer` sees it.
async fn said(
    world: &World,
    viewer: &Viewer,
    record: &FindingRecord,
    column: FindingColumn,
    known: &Known,
) -> Option<String> {
    let FindingRecord { finding, identity, .. } = record;
    let case = match record.case_id {
        Some(id) => world.casework.case(viewer, id).await.ok(),
        None => None,
    };
    let case = case.as_ref();
    let (hi, lo) = addr_to_hi_lo(finding.endpoint.addr);
    let claim = |claim: &Option<kenshin_observation::Claim>| claim.as_ref().map(|claim| claim.value.clone());
    let us = |time: Option<TimeUs>| time.map(|time| time.micros().to_string());
    let mended = case.filter(|case| case.close_reason == Some(CloseReason::Remedied));
    use FindingColumn as C;
    match column {
        C::FindingKey => Some(finding.key.clone()),
        C::AssetId => Some(finding.asset_id.to_string()),
        C::Kind => Some(finding.kind.to_string()),
        C::Remedy => Some(finding.remedy.to_string()),
        C::Severity => Some(finding.severity.to_string()),
        C::Priority => finding.priority.as_ref().map(|priority| priority.decision.to_string()),
        C::Confidence => Some(finding.confidence.to_string()),
        C::State => Some(record.state.to_string()),
        C::AddrHi => Some(hi.to_string()),
        C::AddrLo => Some(lo.to_string()),
        C::Addr => Some(finding.endpoint.addr.to_string()),
        C::Port => Some(finding.endpoint.port.to_string()),
        C::Transport => Some(finding.endpoint.transport.to_string()),
        C::Vendor => claim(&identity.vendor),
        C::Product => claim(&identity.product),
        C::Version => claim(&identity.version),
        C::DeviceType => claim(&identity.device_type),
        C::ProviderId => record.provider.map(|id| id.to_string()),
        C::Provider => record.provider.map(|id| known.providers[&id].clone()),
        C::MandateId => (record.last_round == known.round).then(|| known.mandate.clone()),
        C::Programme => Some("national".to_owned()),
        C::FirstSurvey => Some(record.first_survey.to_string()),
        C::FirstRound => Some(record.first_round.to_string()),
        C::FirstUs | C::FirstAt => us(Some(record.first_seen)),
        C::LastSurvey => Some(record.last_survey.to_string()),
        C::LastRound => Some(record.last_round.to_string()),
        C::LastUs | C::LastAt => us(Some(record.last_seen)),
        C::CaseId => record.case_id.map(|id| id.to_string()),
        C::Stage => case.map(|case| case.stage.to_string()),
        C::Condition => case.map(|case| case.condition.to_string()),
        C::CloseReason => case.and_then(|case| case.close_reason).map(|reason| reason.to_string()),
        C::Episode => case.map(|case| case.episode.to_string()),
        C::OpenedUs | C::OpenedAt => us(case.map(|case| case.opened_at)),
        C::NotifiedUs | C::NotifiedAt => us(case.and_then(|case| case.notified_at)),
        C::ClosedUs | C::ClosedAt => us(case.and_then(|case| case.closed_at)),
        C::MendedUs | C::MendedAt => us(mended.and_then(|case| case.closed_at)),
    }
}

#[test]
fn the_table_of_findings_says_what_their_list_says() {
    everywhere("the_table_of_findings_says_what_their_list_says", |place| async move {
        let world = World::new(&place).await;
        two_rounds(&world).await;
        // A third one under a mandate that is registered: with a priority, IPv6, and nobody to tell.
        let (third, actor) = (T0.plus_secs(40 * DAY), Actor::rule("test"));
        let mandate = NewMandate {
            mandate_id: "national-2026".into(),
            version: 1,
            programme: "national".into(),
            text: "schema_version = 1\n".into(),
            signatures: Vec::new(),
        };
        let mandate = world.casework.add_mandate(world.org, &mandate, &actor, third).await.unwrap();
        let new = NewSurvey {
            survey_id: world.casework.new_survey_id(third),
            programme: "national".into(),
            kind: SurveyKind::Survey,
            mandate_digest: mandate.digest,
            plan: serde_json::Value::Null,
        };
        let survey = world.casework.plan_survey(world.org, &new, third).await.unwrap();
        let mut urgent = telnet(10, "2001:db8::7", third);
        urgent.priority = Some(Priority {
            decision: Decision::Act,
            exploitation: Exploitation::Active,
            exposure: Exposure::Open,
            automatable: Automatable::Yes,
            impact: Impact::High,
            reasons: Vec::new(),
        });
        let findings = vec![telnet(4, "192.0.2.4", third), urgent, telnet(11, "198.51.100.200", third)];
        let assessment = assessment(survey.survey_id, findings, vec![]);
        world.casework.record_assessment(world.org, &assessment, &Experiment::none(), third).await.unwrap();
        let withdrawn = ["telnet-open:7".to_owned()];
        world.casework.withdraw_findings(world.org, &withdrawn, "a rule", &actor, third).await.unwrap();

        let everybody = world.casework.providers(&world.viewer, &PageRequest::first()).await.unwrap().items;
        let providers: HashMap<_, _> =
            everybody.iter().map(|provider| (provider.provider_id, provider.name.clone())).collect();
        let id = |name: &str| everybody.iter().find(|provider| provider.name == name).unwrap().provider_id;
        let of = |role, providers| Viewer {
            org: world.org,
            role,
            providers,
            mandates: Vec::new(),
            community: None,
        };
        let known = Known { mandate: "national-2026".into(), round: survey.round, providers };
        for (viewer, count) in [
            (world.viewer.clone(), 10),
            (of(Role::Analyst, vec![]), 10),
            (of(Role::Provider, vec![id("Nishi Net")]), 7),
            (of(Role::Provider, vec![id("North ISP")]), 1),
            (of(Role::Provider, vec![id("Nishi Net"), id("North Campus")]), 8),
            (of(Role::Provider, vec![]), 0),
            (of(Role::Researcher, vec![]), 0),
        ] {
            let (casework, filter) = (&world.casework, FindingFilter::default());
            let listed = all_pages(|page| {
                let (viewer, filter) = (&viewer, &filter);
                async move { casework.findings(viewer, filter, &page).await.unwrap() }
            });
            let listed = listed.await;
            assert_eq!(listed.len(), count, "{viewer:?}");
            let mut expected: Vec<Row> = Vec::new();
            for record in &listed {
                let mut row = Row::new();
                for column in FindingColumn::ALL {
                    row.push(said(&world, &viewer, record, *column, &known).await);
                }
                expected.push(row);
            }
            for limit in [1, 3, 10, u32::MAX] {
                assert_eq!(table(&world, &viewer, FindingColumn::ALL, limit).await, expected, "{viewer:?}");
            }
            // Whatever is wanted, in whatever order, twice too; nothing at all is as many rows.
            for columns in [
                vec![FindingColumn::MendedAt, FindingColumn::Provider, FindingColumn::MendedUs],
                vec![FindingColumn::Product, FindingColumn::AddrLo, FindingColumn::Product],
                vec![FindingColumn::Programme],
                vec![],
            ] {
                let place = |column: &FindingColumn| FindingColumn::ALL.iter().position(|one| one == column);
                let cut =
                    |row: &Row| columns.iter().map(|column| row[place(column).unwrap()].clone()).collect();
                let expected: Vec<Row> = expected.iter().map(cut).collect();
                assert_eq!(table(&world, &viewer, &columns, 4).await, expected, "{columns:?}");
            }
        }
        // One that was mended is told from one whose service is gone, and what became of it at another's is theirs.
        let columns = [FindingColumn::CaseId, FindingColumn::CloseReason, FindingColumn::MendedUs];
        let all = table(&world, &world.viewer, &columns, 500).await;
        let reasons = |rows: &[Row]| rows.iter().filter_map(|row| row[1].clone()).collect::<Vec<_>>();
        assert_eq!(reasons(&all), ["remedied", "exposure-ended", "remedied"]);
        assert_eq!(all.iter().filter(|row| row[2].is_some()).count(), 2);
        let nishi = table(&world, &of(Role::Provider, vec![id("Nishi Net")]), &columns, 500).await;
        assert_eq!(reasons(&nishi), ["remedied", "exposure-ended"]);
        let moved: CaseId = world.case_at("192.0.2.6").await.case_id;
        let theirs = nishi.iter().find(|row| row[0] == Some(moved.to_string())).unwrap();
        assert_eq!(theirs[1..], [None, None]);
    });
}

/// What is counted over all findings is read from an index, without their documents: SQLite says how it goes
/// about it.
#[test]
fn the_table_of_findings_has_its_index() {
    everywhere("the_table_of_findings_has_its_index", |place| async move {
        if !place.url.starts_with("sqlite") {
            return;
        }
        let _world = World::new(&place).await;
        let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
        let page = "EXPLAIN QUERY PLAN SELECT f.finding_key, f.provider_id, f.first_us, c.closed_us FROM finding f \
             LEFT JOIN case_finding cf ON cf.org_id = f.org_id AND cf.finding_key = f.finding_key \
             LEFT JOIN case_state c ON c.case_id = cf.case_id \
             WHERE f.org_id = 'x' AND f.finding_key > 'k' ORDER BY f.finding_key LIMIT 4096";
        let steps = sqlx::query(page).fetch_all(&pool).await.unwrap();
        let said: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
        pool.close().await;
        let covered = [
            "f USING COVERING INDEX finding_table",
            "cf USING COVERING INDEX case_finding_key",
            "c USING INDEX",
        ];
        assert_eq!(said.len(), covered.len(), "{said:?}");
        assert!(said.iter().zip(covered).all(|(step, index)| step.contains(index)), "{said:?}");
    });
}

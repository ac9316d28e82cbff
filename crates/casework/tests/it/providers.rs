//! The directory in the store: imports, AS numbers, new addressees.

use kenshin_casework::{Actor, CloseReason, PageRequest, Protection, Stage};
use kenshin_observation::Messages;

use crate::world::{DAY, DIRECTORY, T0, World, directory, everywhere, key, letterhead, telnet};

#[test]
fn an_import_replaces_the_directory_and_keeps_ids() {
    everywhere("an_import_replaces_the_directory_and_keeps_ids", |place| async move {
        let world = World::new(&place).await;
        let actor = Actor::rule("test");
        let before = world.casework.providers(&world.viewer, &PageRequest::first()).await.unwrap().items;
        let north = before.iter().find(|provider| provider.name == "North ISP").unwrap();
        assert_eq!(
            (north.protection, north.claims.as_slice()),
            (Protection::OpenPgp, ["198.51.100.0/24".to_owned()].as_slice())
        );
        let same = directory(DIRECTORY, Some(&key().0));
        let summary = world.casework.import_directory(world.org, &same, &actor, T0).await.unwrap();
        assert_eq!((summary.added, summary.changed, summary.retired, summary.prefixes), (0, 0, 0, 3));

        let next = directory(
            "prefix_or_asn,name,mail,language,encryption\n198.51.100.0/24,North ISP,abuse@north.example,ja,link-only\nAS64500,New Net,a@new.example,en,link-only\n",
            None,
        );
        let summary =
            world.casework.import_directory(world.org, &next, &actor, T0.plus_secs(DAY)).await.unwrap();
        assert_eq!((summary.added, summary.changed, summary.retired), (1, 1, 2));
        assert_eq!(summary.unresolved_asns, [64500]);
        let after = world.casework.provider(&world.viewer, north.provider_id).await.unwrap();
        assert_eq!((after.language.as_str(), after.protection), ("ja", Protection::LinkOnly));
        let of = |addr: &'static str| {
            let world = &world;
            async move { world.casework.provider_of(world.org, addr.parse().unwrap()).await.unwrap() }
        };
        assert_eq!(
            of("198.51.100.200").await,
            Some(north.provider_id),
            "the campus is gone from the directory"
        );
        assert_eq!(of("192.0.2.1").await, None);
        assert_eq!(of("2001:db8::1").await, None);
        let table = [
            (64500, "2001:db8::/32".parse().unwrap()),
            (64500, "203.0.113.0/24".parse().unwrap()),
            (64501, "192.0.2.0/24".parse().unwrap()),
        ];
        let summary = world.casework.import_as_table(world.org, &table, &actor, T0).await.unwrap();
        assert_eq!((summary.prefixes, summary.unresolved_asns.len()), (3, 0));
        let new = of("2001:db8::1").await.unwrap();
        assert_eq!(world.casework.provider_prefixes(world.org, new).await.unwrap().len(), 2);
        assert_eq!(of("192.0.2.1").await, None, "an AS number nobody claims leads nowhere");
        let map = world.casework.provider_map(world.org).await.unwrap();
        for addr in ["198.51.100.200", "192.0.2.1", "2001:db8::1", "203.0.113.77", "10.0.0.1"] {
            assert_eq!(map.find(addr.parse().unwrap()), of(addr).await, "{addr}: memory and SQL agree");
        }
    });
}

#[test]
fn a_case_without_addressee_is_counted_and_reopens_when_one_is_found() {
    everywhere("a_case_without_addressee_is_counted_and_reopens_when_one_is_found", |place| async move {
        let world = World::new(&place).await;
        let (survey, _) =
            world.round(vec![telnet(1, "203.0.113.9", T0), telnet(2, "192.0.2.2", T0)], vec![], T0).await;
        let queued = world
            .casework
            .queue_notices(world.org, survey.survey_id, &letterhead(), &Messages::builtin(), T0)
            .await
            .unwrap();
        assert_eq!((queued.notices, queued.cases, queued.no_addressee), (1, 1, 1));
        let case = world.case_at("203.0.113.9").await;
        assert_eq!((case.stage, case.close_reason), (Stage::Closed, Some(CloseReason::NoAddressee)));
        let figures = world.casework.figures(&world.viewer).await.unwrap();
        assert_eq!(
            (figures.rounds[0].open_cases, figures.rounds[0].no_addressee),
            (2, 1),
            "closed so, it still counts as open harm"
        );

        let more = format!("{DIRECTORY}203.0.113.0/24,Found,a@found.example,en,link-only\n");
        let summary = world
            .casework
            .import_directory(
                world.org,
                &directory(&more, Some(&key().0)),
                &Actor::rule("test"),
                T0.plus_secs(DAY),
            )
            .await
            .unwrap();
        assert_eq!(summary.readdressed_cases, 1);
        let case = world.case_at("203.0.113.9").await;
        assert_eq!((case.stage, case.close_reason, case.episode, case.openings), (Stage::Open, None, 1, 2));
        let figures = world.casework.figures(&world.viewer).await.unwrap();
        assert_eq!(figures.rounds[0].open_cases, 2, "a case opened twice is one case");
        let finding = world.casework.finding(&world.viewer, "telnet-open:1").await.unwrap();
        assert_eq!(finding.provider, case.provider);
    });
}

//! Opening, migrating, refusing.

use kenshin_casework::{Casework, ErrorKind};
use sqlx::Executor;

use crate::world::{T0, everywhere};

#[test]
fn a_database_opens_again_and_by_two_at_once() {
    everywhere("a_database_opens_again_and_by_two_at_once", |place| async move {
        let (one, two) = tokio::join!(place.open(), place.open());
        let org = one.add_org("Example", T0).await.unwrap();
        assert_eq!(two.orgs().await.unwrap(), std::slice::from_ref(&org));
        one.close().await;
        assert_eq!(place.open().await.orgs().await.unwrap(), [org]);
    });
}

#[test]
fn a_newer_database_is_refused_clearly() {
    everywhere("a_newer_database_is_refused_clearly", |place| async move {
        let casework = place.open().await;
        casework.close().await;
        let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
        pool.execute("INSERT INTO schema_version (version, sha256, applied_us) VALUES (999, 'x', 0)")
            .await
            .unwrap();
        let error = Casework::open(&place.url, [0; 32], T0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        let text = error.to_string();
        assert!(text.contains("version 999") && text.contains("hint:"), "{text}");
        pool.execute("DELETE FROM schema_version WHERE version = 999").await.unwrap();
        pool.execute("UPDATE schema_version SET sha256 = 'changed' WHERE version = 1").await.unwrap();
        let text = Casework::open(&place.url, [0; 32], T0).await.unwrap_err().to_string();
        assert!(text.contains("migration 1 in the database is not the one"), "{text}");
        pool.close().await;
    });
}

#[test]
fn only_known_urls_open_and_no_password_is_shown() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (url, why) in
        [("mysql://kenshin:secret@db/x", "unknown scheme"), ("sqlite::memory:", "a database in memory")]
    {
        let error = runtime.block_on(Casework::open(url, [0; 32], T0)).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("hint:") && !error.contains("secret"), "{error}");
    }
}

#[test]
fn every_table_carries_the_organisation() {
    let text = concat!(
        include_str!("../../migrations/0001_ground.sql"),
        include_str!("../../migrations/0002_sensors.sql"),
        include_str!("../../migrations/0003_priority.sql"),
        include_str!("../../migrations/0004_urgency.sql"),
        include_str!("../../migrations/0005_searches.sql"),
        include_str!("../../migrations/0006_retention.sql"),
        include_str!("../../migrations/0007_finding_table.sql")
    );
    let mut tables = 0;
    for statement in text.split("CREATE TABLE ").skip(1) {
        let name = statement.split_whitespace().next().unwrap();
        let body = &statement[..statement.find(");").unwrap()];
        assert!(body.contains("org_id"), "{name} has no org_id");
        tables += 1;
    }
    assert!(tables > 25, "{tables}");
}

//! The audit trail.

use kenshin_casework::{Actor, PageRequest, Role, Viewer};
use serde_json::json;

use crate::world::{T0, everywhere};

#[test]
fn a_changed_or_missing_entry_shows() {
    everywhere("a_changed_or_missing_entry_shows", |place| async move {
        let casework = place.open().await;
        let org = casework.add_org("Example", T0).await.unwrap().org_id;
        assert_eq!(casework.verify_audit(org).await.unwrap(), Ok(0));
        for n in 0..5 {
            casework
                .audit(org, &Actor::rule("test"), "thing.do", "x", &json!({ "n": n, "text": "a\u{0}b" }), T0)
                .await
                .unwrap();
        }
        assert_eq!(casework.verify_audit(org).await.unwrap(), Ok(5));
        let viewer =
            Viewer { org, role: Role::Auditor, providers: Vec::new(), mandates: Vec::new(), community: None };
        let page = casework.audit_trail(&viewer, &PageRequest { after: None, limit: 2 }).await.unwrap();
        assert_eq!(page.items.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [5, 4]);
        let next = casework.audit_trail(&viewer, &PageRequest { after: page.next, limit: 2 }).await.unwrap();
        assert_eq!(next.items[0].seq, 3);
        for role in [Role::Analyst, Role::Provider, Role::Researcher] {
            let viewer = Viewer { role, ..viewer.clone() };
            assert!(
                casework.audit_trail(&viewer, &PageRequest::first()).await.unwrap().items.is_empty(),
                "{role}"
            );
        }

        let pool = sqlx::AnyPool::connect(&place.url).await.unwrap();
        sqlx::query("UPDATE audit SET object = 'y' WHERE seq = 3").execute(&pool).await.unwrap();
        assert_eq!(casework.verify_audit(org).await.unwrap(), Err(3));
        sqlx::query("UPDATE audit SET object = 'x' WHERE seq = 3").execute(&pool).await.unwrap();
        assert_eq!(casework.verify_audit(org).await.unwrap(), Ok(5));
        sqlx::query("DELETE FROM audit WHERE seq = 5").execute(&pool).await.unwrap();
        assert_eq!(casework.verify_audit(org).await.unwrap(), Err(5), "the end may not be cut off either");
        pool.close().await;
    });
}

#[test]
fn entries_written_at_once_make_one_chain() {
    everywhere("entries_written_at_once_make_one_chain", |place| async move {
        let hubs = [place.open().await, place.open().await];
        let org = hubs[0].add_org("Example", T0).await.unwrap().org_id;
        let mut writers = Vec::new();
        for n in 0..20 {
            let hub = hubs[n % 2].clone();
            writers.push(tokio::spawn(async move {
                hub.audit(org, &Actor::rule("test"), "thing.do", &n.to_string(), &json!(null), T0)
                    .await
                    .unwrap();
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(hubs[0].verify_audit(org).await.unwrap(), Ok(20));
    });
}

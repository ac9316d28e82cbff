//! What a person may not see, nothing shows; what devices said stays text.

use axum::http::{Method, StatusCode};

use crate::world::{HOSTILE, SignedIn, World, text};

#[tokio::test]
async fn a_provider_sees_its_own_rows_and_no_others() {
    let world = World::new().await;
    let provider = world.sign_in("provider").await;
    let (own, other) = world.own_and_other().await;
    for list in ["findings", "cases", "notices", "providers"] {
        let (status, page) = world.get(&provider, &format!("/api/v1/{list}")).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(page["items"].as_array().unwrap().len(), 1, "{list}: {page}");
        assert!(
            !page.to_string().contains("North ISP") && !page.to_string().contains("198.51.100"),
            "{page}"
        );
    }
    assert_eq!(world.get(&provider, &format!("/api/v1/cases/{}", own.case_id)).await.0, StatusCode::OK);
    let (status, hidden) = world.get(&provider, &format!("/api/v1/cases/{}", other.case_id)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, absent) = world.get(&provider, "/api/v1/cases/01J00000000000000000000000").await;
    assert_eq!(hidden["code"], absent["code"], "what may not be seen is as if it were not there");
    assert_eq!(world.get(&provider, "/api/v1/findings/telnet-open:2").await.0, StatusCode::NOT_FOUND);
    let note = Some(serde_json::json!({ "note": "mine now" }));
    let path = format!("/api/v1/cases/{}/ack", other.case_id);
    assert_eq!(world.ask(&provider, Method::POST, &path, note.clone()).await.status(), StatusCode::NOT_FOUND);
    let (_, overview) = world.get(&provider, "/api/v1/overview").await;
    assert_eq!(overview["cases"]["total"], 1);
    assert!(!overview.to_string().contains("North ISP"));
}

#[tokio::test]
async fn carriers_of_a_component_are_counted_among_what_one_may_see() {
    let world = World::new().await;
    let (admin, provider) = (world.sign_in("admin").await, world.sign_in("provider").await);
    let (_, all) = world.get(&admin, "/api/v1/components").await;
    assert_eq!((&all["assets"], &all["items"][0]["visible"]), (&2.into(), &2.into()), "{all}");
    let (_, own) = world.get(&provider, "/api/v1/components").await;
    assert_eq!((&own["assets"], &own["items"][0]["visible"]), (&1.into(), &1.into()), "{own}");
    let (status, carriers) = world.get(&provider, "/api/v1/components/gsoap:%3C2.8.48?limit=10").await;
    assert_eq!((status, &carriers["gaps"]["assets"]), (StatusCode::OK, &1.into()), "{carriers}");
    assert_eq!(carriers["items"][0]["version_sure"], true);
    assert_eq!(carriers["items"][0]["evidence"][0]["text"], format!("gSOAP/2.7 {HOSTILE}"));
    assert!(!carriers.to_string().contains("198.51.100"), "{carriers}");
    let (status, none) = world.get(&admin, "/api/v1/components/boa").await;
    assert_eq!(
        (status, &none["gaps"]["unlearned"]),
        (StatusCode::OK, &2.into()),
        "nothing found says what is not known"
    );
    assert_eq!(world.get(&admin, "/api/v1/components/n%2Fa").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_researcher_sees_figures_and_no_rows() {
    let world = World::new().await;
    let researcher = world.sign_in("researcher").await;
    let (status, overview) = world.get(&researcher, "/api/v1/overview").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(overview["cases"]["total"], 2);
    assert_eq!(overview["providers"], serde_json::json!([]));
    for list in ["findings", "cases", "notices", "providers", "audit"] {
        assert_eq!(
            world.get(&researcher, &format!("/api/v1/{list}")).await.0,
            StatusCode::FORBIDDEN,
            "{list}"
        );
    }
}

#[tokio::test]
async fn the_public_page_withholds_small_counts() {
    let world = World::new().await;
    let (status, health) = world.get(&SignedIn::default(), "/api/v1/health").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(health["rounds"][0]["responders"]["count"], 40);
    assert!(health["rounds"][0]["affected"]["count"].is_null(), "2 devices: {health}");
    assert!(health["kinds"][0]["assets"]["count"].is_null());
    for secret in ["192.0.2", "198.51.100", "Nishi", "North", "script"] {
        assert!(!health.to_string().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_finding_leads_to_its_case_and_its_notice() {
    let world = World::new().await;
    let analyst = world.sign_in("analyst").await;
    let (_, page) = world.get(&analyst, "/api/v1/findings?kind=telnet-open&net=192.0.2.0/24").await;
    let key = page["items"][0]["key"].as_str().unwrap();
    let (_, finding) = world.get(&analyst, &format!("/api/v1/findings/{key}?lang=ja")).await;
    assert!(finding["explanation"].as_str().unwrap().contains("ポート 23"), "{finding}");
    let (_, case) = world
        .get(&analyst, &format!("/api/v1/cases/{}", finding["finding"]["case_id"].as_str().unwrap()))
        .await;
    let changes: Vec<_> =
        case["trail"].as_array().unwrap().iter().map(|event| event["change"].as_str().unwrap()).collect();
    assert_eq!((changes.first(), changes.last()), (Some(&"opened"), Some(&"notified")), "{changes:?}");
    let notice = case["notices"][0]["notice_id"].as_str().unwrap();
    let (_, notice) = world.get(&analyst, &format!("/api/v1/notices/{notice}")).await;
    assert_eq!(notice["notice"]["provider"]["name"], "Nishi Net");
    assert!(notice["text"].as_str().unwrap().len() > 100);
    let digest = notice["digest"].as_str().unwrap();
    let id = notice["notice"]["notice_id"].as_str().unwrap();
    let anybody = SignedIn::default();
    let genuine = world.get(&anybody, &format!("/api/v1/notices/{id}/genuine?digest={digest}")).await.1;
    assert_eq!(genuine["genuine"], true);
    let forged = world.get(&anybody, &format!("/api/v1/notices/{id}/genuine?digest=0")).await.1;
    assert_eq!(forged["genuine"], false);
}

#[tokio::test]
async fn what_a_device_said_is_json_text_and_nothing_else() {
    let world = World::new().await;
    let admin = world.sign_in("admin").await;
    let response = world.ask(&admin, Method::GET, "/api/v1/findings/telnet-open:1", None).await;
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let body = text(response).await;
    assert!(!body.contains('\u{1b}'), "control characters travel escaped");
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(value["evidence"][0]["value"], format!("{HOSTILE} login:"));
}

#[tokio::test]
async fn acts_follow_the_state_machine_and_say_why_not() {
    let world = World::new().await;
    let operator = world.sign_in("operator").await;
    let (case, _) = world.own_and_other().await;
    let close = |reason: &str, note: &str| Some(serde_json::json!({ "reason": reason, "note": note }));
    let path = format!("/api/v1/cases/{}/close", case.case_id);
    let refused = world.ask(&operator, Method::POST, &path, close("remedied", "looks fine")).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let problem: serde_json::Value = serde_json::from_str(&text(refused).await).unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("re-check"), "{problem}");
    let unknown = world.ask(&operator, Method::POST, &path, close("bored", "")).await;
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST);
    let closed = world.ask(&operator, Method::POST, &path, close("accepted-risk", "the owner knows")).await;
    assert_eq!(closed.status(), StatusCode::OK);
    let (_, detail) = world.get(&operator, &format!("/api/v1/cases/{}", case.case_id)).await;
    assert_eq!(detail["case"]["close_reason"], "accepted-risk");
    let last = detail["trail"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["actor"], &last["person"]), (&"A operator".into(), &true.into()));
    let recheck = format!("/api/v1/cases/{}/recheck", case.case_id);
    let answer = world.ask(&operator, Method::POST, &recheck, None).await;
    assert_eq!(answer.status(), StatusCode::CONFLICT, "closed cases are not measured again");
}

#[tokio::test]
async fn lists_have_limits_and_continue() {
    let world = World::new().await;
    let admin = world.sign_in("admin").await;
    let (_, first) = world.get(&admin, "/api/v1/cases?limit=1").await;
    let next = first["next"].as_str().unwrap();
    let (_, second) = world.get(&admin, &format!("/api/v1/cases?limit=1&after={next}")).await;
    assert_ne!(first["items"][0]["case_id"], second["items"][0]["case_id"]);
    assert!(second["next"].is_null());
    for wrong in ["stage=closd", "net=192.0.2.1/24", "limit=many", "provider=x"] {
        let (status, problem) = world.get(&admin, &format!("/api/v1/cases?{wrong}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
        assert_eq!(problem["code"], "bad-request");
    }
}

#[tokio::test]
async fn a_finished_survey_tells_its_progress_once() {
    let world = World::new().await;
    let admin = world.sign_in("admin").await;
    let casework = world.observatory.casework();
    let finished = kenshin_casework::SurveyState::Finished;
    let now = world.observatory.now();
    casework.set_survey_state(world.observatory.org(), world.survey_id, finished, None, now).await.unwrap();
    let path = format!("/api/v1/surveys/{}/events", world.survey_id);
    let response = world.ask(&admin, Method::GET, &path, None).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let body = text(response).await;
    assert_eq!(body.matches("event: progress").count(), 1, "{body}");
    assert!(body.contains("\"total\":1024"), "{body}");
}

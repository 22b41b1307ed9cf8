//! Each route over a real socket, with good input.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::{bench, owned_by, text};
use volery_kernel::chat::Recipient;
use volery_kernel::event::Event;
use volery_kernel::id::UserId;
use volery_kernel::slot::Partitions;
use volery_kernel::time::Timestamp;
use volery_ports::history::Anchor;
use volery_testkit::sql::id;

#[actix_web::test]
async fn from_registration_to_log_out() {
    let bench = bench().await;
    let body = json!({"user_name": "ada", "display_name": "Ada L", "password": "correct horse", "more": 1});
    let made = bench.post("/v1/register", body).await;
    assert_eq!(made.status, 201);
    let user = made.json();
    assert_eq!((text(&user, "user_name"), text(&user, "display_name")), ("ada", "Ada L"));
    assert_eq!(made.header("location"), Some(format!("/v1/users/{}", text(&user, "id")).as_str()));
    assert_eq!(made.header("cache-control"), Some("no-store"));

    let login = json!({"user_name": "ada", "password": "correct horse", "device_name": "laptop"});
    let grant = bench.post("/v1/login", login).await.json();
    assert_eq!(text(&grant, "user"), text(&user, "id"));
    assert_eq!(text(&grant, "node"), "ws://one:8401/v1/ws");
    let token = text(&grant, "access_token");
    assert_eq!(bench.get("/v1/me", token).await.json(), user);
    assert_eq!(text(&bench.get("/v1/node", token).await.json(), "address"), text(&grant, "node"));
    let sessions = bench.get("/v1/me/sessions", token).await.json();
    let session = &sessions["sessions"][0];
    assert_eq!((text(session, "name"), &session["current"]), ("laptop", &Value::Bool(true)));
    assert_eq!(text(session, "device"), text(&grant, "device"));

    let out = bench.send(bench.request(Method::POST, "/v1/logout").bearer_auth(token)).await;
    assert_eq!((out.status.as_u16(), out.text.as_str()), (204, ""));
    assert_eq!(bench.get("/v1/me", token).await.problem().0, "revoked");
    let events = bench.log.events.lock().clone();
    assert!(matches!(events[..], [Event::DeviceRevoked { user: whose, .. }] if whose.to_string() == text(&user, "id")));
}

#[actix_web::test]
async fn everybody_is_told_the_node_of_their_partition() {
    let bench = bench().await;
    let ada = bench.person("ada").await;
    let token = text(&ada, "access_token");
    let user: UserId = text(&ada, "user").parse().expect("an id");
    let partition = usize::from(Partitions::new(4).expect("some").of(Recipient::User(user)).0);
    let mut owners = [Some(0); 4];
    owners[partition] = Some(1);
    bench.map.send_replace(owned_by(&owners));
    assert_eq!(text(&bench.get("/v1/node", token).await.json(), "address"), "ws://two:8401/v1/ws");

    owners[partition] = None;
    bench.map.send_replace(owned_by(&owners));
    let nowhere = bench.get("/v1/node", token).await;
    assert_eq!((nowhere.problem().0.as_str(), nowhere.header("retry-after")), ("no_node", Some("1")));
    let again = json!({"refresh_token": ada["refresh_token"]});
    for grant in [bench.log_in("ada").await.json(), bench.post("/v1/refresh", again).await.json()] {
        assert!(text(&grant, "node").starts_with("ws://"), "any node: it knows more soon: {grant}");
    }
}

#[actix_web::test]
async fn who_cannot_reach_their_node_is_told_the_next_one_as_soon_as_there_is_one() {
    let bench = bench().await;
    let token = text(&bench.person("ada").await, "access_token").to_owned();
    bench.map.send_replace(owned_by(&[Some(0); 4]));
    let asks = async |not: &str| bench.get(&format!("/v1/node?not=ws://{not}:8401/v1/ws"), &token).await;
    let address = |answer: Value| text(&answer, "address").to_owned();
    assert_eq!(address(asks("two").await.json()), "ws://one:8401/v1/ws", "another than two serves them already");
    let moves = async {
        // The request is on its way by then; if not, it finds the new map, and the answer is the same.
        tokio::task::yield_now().await;
        bench.map.send_replace(owned_by(&[Some(1); 4]));
    };
    let (told, ()) = tokio::join!(asks("one"), moves);
    assert_eq!(address(told.json()), "ws://two:8401/v1/ws");
    assert_eq!(address(asks("two").await.json()), "ws://two:8401/v1/ws", "it may be there again");
}

#[actix_web::test]
async fn refresh_exchanges_once() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    let first = json!({"refresh_token": grant["refresh_token"]});
    bench.clock.advance(60_000);
    let next = bench.post("/v1/refresh", first.clone()).await.json();
    assert_eq!(text(&next, "device"), text(&grant, "device"));
    assert_eq!(bench.get("/v1/me", text(&next, "access_token")).await.status, 200);
    assert_eq!(bench.post("/v1/refresh", first).await.problem().0, "invalid_refresh_token");
    assert_eq!(bench.get("/v1/me", text(&next, "access_token")).await.problem().0, "revoked", "reuse logs it out");
    let never = json!({"refresh_token": "made up"});
    assert_eq!(bench.post("/v1/refresh", never).await.problem().0, "invalid_refresh_token");
}

#[actix_web::test]
async fn one_device_logs_another_out() {
    let bench = bench().await;
    let (first, other) = (bench.person("ada").await, bench.log_in("ada").await.json());
    let stranger = bench.person("bob").await;
    let path = format!("/v1/me/sessions/{}", text(&other, "device"));
    let delete = |grant: &Value| bench.request(Method::DELETE, &path).bearer_auth(text(grant, "access_token"));
    assert_eq!(bench.send(delete(&stranger)).await.problem().0, "not_found", "not theirs");
    assert_eq!(bench.send(delete(&first)).await.status, 204);
    assert_eq!(bench.get("/v1/me", text(&other, "access_token")).await.problem().0, "revoked");
    assert_eq!(bench.send(delete(&first)).await.problem().0, "not_found", "already");
    let sessions = bench.get("/v1/me/sessions", text(&first, "access_token")).await.json();
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1));
}

#[actix_web::test]
async fn a_log_out_while_the_log_is_away_is_accepted() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    *bench.log.away.lock() = true;
    let out = bench.request(Method::POST, "/v1/logout").bearer_auth(text(&grant, "access_token"));
    assert_eq!(bench.send(out).await.status, 202);
    assert_eq!(bench.get("/v1/me", text(&grant, "access_token")).await.problem().0, "revoked");
}

#[actix_web::test]
async fn people_are_found() {
    let bench = bench().await;
    let ada = bench.person("ada").await;
    bench.person("lovelace_ada").await;
    let token = text(&ada, "access_token");
    let names = |answer: Value| {
        let users = answer["users"].as_array().expect("users").clone();
        users.iter().map(|user| text(user, "user_name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(bench.get("/v1/users?q=ADA", token).await.json()), ["ada", "lovelace_ada"]);
    assert_eq!(names(bench.get("/v1/users?q=lace%5Fa&limit=1", token).await.json()), ["lovelace_ada"]);
    let by_name = bench.get("/v1/users/by-name/ada", token).await.json();
    assert_eq!(bench.get(&format!("/v1/users/{}", text(&ada, "user")), token).await.json(), by_name);
    assert_eq!(bench.get("/v1/users/by-name/nobody1", token).await.problem().0, "unknown_recipient");
    assert_eq!(bench.get("/v1/users/999999", token).await.problem().0, "unknown_recipient");
}

#[actix_web::test]
async fn pages_are_asked_for_as_the_query_says() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    let user: UserId = text(&grant, "user").parse().expect("an id");
    let chat = format!("direct:{user}:{user}");
    for (query, anchor, limit) in [
        ("", Anchor::Newest, 50),
        ("?limit=100", Anchor::Newest, 100),
        ("?before=9&limit=1", Anchor::Before(id(9)), 1),
        ("?after=0", Anchor::After(id(0)), 50),
        ("?around=9223372036854775807", Anchor::Around(id(u64::MAX >> 1)), 50),
        ("?around_time=1970-01-01T00:00:01Z", Anchor::AroundTime(Timestamp(1_000)), 50),
        ("?around_time=5", Anchor::AroundTime(Timestamp(5)), 50),
        ("?cursor=AQL_", Anchor::Cursor(vec![1, 2, 255]), 50),
    ] {
        let page = bench.get(&format!("/v1/chats/{chat}/messages{query}"), text(&grant, "access_token")).await;
        assert_eq!(page.status, 200, "{query}: {page:?}");
        let asked = bench.history.pages.lock().pop();
        assert_eq!(asked, Some((user, chat.parse().expect("a chat"), anchor, limit)), "{query}");
        assert_eq!(text(&page.json(), "older"), "AQL_");
        assert_eq!(text(&page.json()["messages"][0], "text"), "hello");
    }
}

#[actix_web::test]
async fn chats_are_listed() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    let user: UserId = text(&grant, "user").parse().expect("an id");
    let token = text(&grant, "access_token");
    let list = bench.get("/v1/chats", token).await.json();
    assert_eq!(list["chats"][0]["unread"], 3);
    assert_eq!(bench.get("/v1/chats?cursor=AQ&limit=7", token).await.status, 200);
    assert_eq!(*bench.history.lists.lock(), [(user, None, 50), (user, Some(vec![1]), 7)]);
}

#[actix_web::test]
async fn health_and_metrics_tell_people_probes_and_prometheus() {
    let bench = bench().await;
    let status = async |path: &str| bench.get(path, "").await.status.as_u16();
    let probes = async || [status("/startupz").await, status("/livez").await, status("/readyz").await];
    assert_eq!(probes().await, [503, 200, 503]);
    let log = bench.health.part("log");
    log.ready();
    assert_eq!((probes().await, status("/healthz").await), ([200, 200, 200], 200));
    log.down("no leader");
    assert_eq!(probes().await, [200, 200, 503]);
    let report = bench.get("/healthz", "").await;
    assert_eq!((report.status.as_u16(), text(&report.json()["parts"]["log"], "reason")), (503, "no leader"));
    log.failed("damaged");
    assert_eq!(probes().await, [200, 503, 503]);

    bench.get("/nowhere/at/all", "").await;
    bench.get("/v1/users/7", "").await;
    let metrics = bench.get("/metrics", "").await.text;
    for line in [
        r#"volery_http_requests_total{method="GET",route="/livez",status="200"} 3"#,
        r#"volery_http_requests_total{method="GET",route="other",status="404"} 1"#,
        r#"volery_http_requests_total{method="GET",route="/v1/users/{id}",status="401"} 1"#,
        r#"volery_errors_total{code="not_found"} 1"#,
        r#"volery_http_request_seconds_count{route="/livez"} 4"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[actix_web::test]
async fn the_description_is_served_and_can_be_browsed() {
    let bench = bench().await;
    let served = bench.get("/v1/openapi.json", "").await;
    let made: Value = serde_json::from_str(&volery_gateway::openapi()).expect("JSON");
    assert_eq!((served.status.as_u16(), served.json()), (200, made));
    assert!(text(&served.json(), "openapi").starts_with("3.1"));
    let page = bench.get("/docs", "").await;
    assert!(page.status == 200 && page.text.contains("swagger-ui"), "{page:?}");
    assert!(bench.get("/docs/swagger-initializer.js", "").await.text.contains("/v1/openapi.json"));
    let keys = bench.get("/.well-known/jwks.json", "").await;
    assert_eq!(keys.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(text(&keys.json()["keys"][0], "crv"), "Ed25519");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_and_stops_on_a_plain_runtime() {
    let bench = bench().await;
    bench.person("ada").await;
    let address = bench.gateway.address();
    bench.gateway.stop(true).await.expect("stopped");
    assert!(std::net::TcpStream::connect(address).is_err());
}

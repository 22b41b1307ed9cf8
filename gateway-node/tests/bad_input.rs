//! What bad input gets: a coded problem, and nobody else disturbed (G8, G9).

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use support::{bench, bench_with, options, text};
use tokio::sync::watch;
use volery_gateway::{GatewayOptions, Rates};
use volery_ports::history::HistoryError;

fn problem(code: &str, field: Option<&str>) -> (String, Option<String>) {
    (code.into(), field.map(Into::into))
}

#[actix_web::test]
async fn every_operation_that_wants_a_token_refuses_whoever_has_none() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    let forged = format!("{}x", text(&grant, "access_token"));
    let api: Value = serde_json::from_str(&volery_gateway::openapi()).expect("JSON");
    let mut closed = 0;
    for (path, item) in api["paths"].as_object().expect("paths") {
        for (method, operation) in
            item.as_object().expect("methods").iter().filter(|(_, o)| o.get("security").is_some())
        {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let path = path.replace("{id}", "1").replace("{device}", "1").replace("{chat}", "direct:1:1");
            for header in [None, Some("Bearer "), Some("Basic YTpi"), Some(forged.as_str())] {
                let mut request = bench.request(method.clone(), &path);
                if let Some(header) = header {
                    request = request.header("authorization", header);
                }
                let answer = bench.send(request).await;
                assert_eq!(answer.problem(), problem("invalid_token", None), "{method} {path} {operation}");
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            }
            closed += 1;
        }
    }
    assert_eq!(closed, 10, "me, node, chats, messages, users (3), sessions, one session, logout");
}

#[actix_web::test]
async fn tokens_run_out() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    bench.clock.advance(900_000);
    let answer = bench.get("/v1/me", text(&grant, "access_token")).await;
    assert_eq!(answer.problem(), problem("invalid_token", None));
}

#[actix_web::test]
async fn what_is_not_there_and_what_is_not_taken() {
    let bench = bench().await;
    for path in ["/", "/v1", "/v1/nothing", "/v1/users/1/2", "/v1/chats/direct:1:1", "/v1/register/"] {
        assert_eq!(bench.get(path, "").await.problem().0, "not_found", "{path}");
    }
    for (method, path, allow) in [
        (Method::GET, "/v1/register", "POST"),
        (Method::PUT, "/v1/me", "GET"),
        (Method::POST, "/v1/users/7", "GET"),
        (Method::PATCH, "/v1/me/sessions/7", "DELETE"),
        (Method::DELETE, "/v1/openapi.json", "GET"),
        (Method::POST, "/healthz", "GET"),
    ] {
        let answer = bench.send(bench.request(method.clone(), path)).await;
        assert_eq!(answer.problem().0, "method_not_allowed", "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
}

#[actix_web::test]
async fn bodies_that_are_none() {
    let bench = bench().await;
    let send = async |media: &str, body: Vec<u8>| {
        bench.send(bench.request(Method::POST, "/v1/login").header("content-type", media).body(body)).await.problem()
    };
    let json = "application/json";
    assert_eq!(send("text/plain", b"{}".into()).await, problem("unsupported_media_type", None));
    assert_eq!(send("", b"{}".into()).await, problem("unsupported_media_type", None));
    assert_eq!(send(json, vec![b' '; 65_537]).await, problem("too_large", None));
    assert_eq!(send(json, b"\xff\xfe".into()).await, problem("invalid_utf8", None));
    for broken in ["", "{", "nonsense", "[]", "7", "{\"user_name\":}", &"[".repeat(60_000)] {
        assert_eq!(send(json, broken.into()).await, problem("bad_request", None), "{broken:.9}");
    }
    assert_eq!(send("Application/JSON; charset=utf-8", b"{}".into()).await, problem("bad_request", Some("user_name")));
}

#[actix_web::test]
async fn fields_that_are_wrong() {
    let bench = bench().await;
    bench.person("ada").await;
    let good = json!({"user_name": "bob", "display_name": "Bob", "password": "long enough"});
    for (field, value, code) in [
        ("user_name", json!(null), "bad_request"),
        ("user_name", json!(5), "bad_request"),
        ("user_name", json!({}), "bad_request"),
        ("user_name", json!("ada"), "user_name_taken"),
        ("user_name", json!("admin"), "user_name_reserved"),
        ("user_name", json!("Bob"), "invalid_user_name"),
        ("user_name", json!("b".repeat(33)), "invalid_user_name"),
        ("display_name", json!([]), "bad_request"),
        ("display_name", json!("a\u{202e}b"), "invalid_display_name"),
        ("display_name", json!("b".repeat(65)), "invalid_display_name"),
        ("password", json!(null), "bad_request"),
        ("password", json!("short"), "invalid_password"),
        ("password", json!("x".repeat(1_025)), "invalid_password"),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let answer = bench.post("/v1/register", body).await;
        assert_eq!(answer.problem(), problem(code, Some(field)), "{value}");
    }
    for body in [json!({"user_name": "ada", "password": "wrong"}), json!({"user_name": "nobody1", "password": "x"})] {
        assert_eq!(bench.post("/v1/login", body).await.problem(), problem("wrong_credentials", None));
    }
    let named = json!({"user_name": "ada", "password": "ada password", "device_name": "\u{7}"});
    assert_eq!(bench.post("/v1/login", named).await.problem(), problem("bad_request", Some("device_name")));
    assert_eq!(bench.post("/v1/refresh", json!({})).await.problem(), problem("bad_request", Some("refresh_token")));
    assert_eq!(bench.post("/v1/register", good).await.status, 201, "nothing of it was kept");
}

#[actix_web::test]
async fn parameters_and_segments_that_are_wrong() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    let token = text(&grant, "access_token");
    let mine = format!("/v1/chats/direct:{0}:{0}/messages", text(&grant, "user"));
    for (path, expected) in [
        ("/v1/users".to_owned(), problem("bad_request", Some("q"))),
        ("/v1/users?q=ad".into(), problem("bad_request", Some("q"))),
        ("/v1/users?q=a%00da".into(), problem("bad_request", Some("q"))),
        ("/v1/users?q=ada&limit=0".into(), problem("bad_request", Some("limit"))),
        ("/v1/users?q=ada&limit=21".into(), problem("bad_request", Some("limit"))),
        ("/v1/users?q=ada&limit=many".into(), problem("bad_request", Some("limit"))),
        ("/v1/users/me".into(), problem("bad_request", Some("id"))),
        ("/v1/users/9223372036854775808".into(), problem("bad_request", Some("id"))),
        ("/v1/users/-1".into(), problem("bad_request", Some("id"))),
        ("/v1/chats?limit=101".into(), problem("bad_request", Some("limit"))),
        ("/v1/chats?cursor=***".into(), problem("invalid_cursor", Some("cursor"))),
        (format!("/v1/chats?cursor={}", "A".repeat(120)), problem("invalid_cursor", Some("cursor"))),
        (format!("{mine}?before=x"), problem("bad_request", Some("before"))),
        (format!("{mine}?around_time=noon"), problem("bad_request", Some("around_time"))),
        (format!("{mine}?before=1&after=2"), problem("bad_request", None)),
        (format!("{mine}?limit=101"), problem("bad_request", Some("limit"))),
        ("/v1/chats/direct:2:1/messages".into(), problem("unknown_chat", Some("chat"))),
        ("/v1/chats/nonsense/messages".into(), problem("unknown_chat", Some("chat"))),
        ("/v1/chats/direct:900:901/messages".into(), problem("unknown_chat", Some("chat"))),
    ] {
        assert_eq!(bench.get(&path, token).await.problem(), expected, "{path}");
    }
    assert!(bench.history.pages.lock().is_empty(), "nobody else's chat was read");
}

#[actix_web::test]
async fn outages_are_said_and_end() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    let token = text(&grant, "access_token");
    for (error, code) in [
        (HistoryError::Unavailable("the store".into()), "history_unavailable"),
        (HistoryError::UnknownChat, "unknown_chat"),
        (HistoryError::InvalidCursor, "invalid_cursor"),
    ] {
        *bench.history.fails.lock() = Some(error);
        let answer = bench.get("/v1/chats", token).await;
        assert_eq!(answer.problem().0, code);
        assert!(!answer.text.contains("the store"), "what is wrong inside is not shown");
    }
    *bench.history.fails.lock() = None;
    bench.store.set_away(true);
    assert_eq!(bench.log_in("ada").await.problem().0, "accounts_unavailable");
    assert_eq!(bench.get("/v1/chats", token).await.status, 200, "a device that is known goes on");
    bench.store.set_away(false);
    assert_eq!(bench.log_in("ada").await.status, 200);
}

fn few(logins: u32, logins_address: u32, registrations_address: u32) -> Rates {
    let number = |number| NonZeroU32::new(number).expect("not zero");
    Rates {
        logins_per_minute: number(logins),
        logins_per_minute_address: number(logins_address),
        registrations_per_hour_address: number(registrations_address),
        ..Rates::default()
    }
}

fn told(rates: Rates) -> watch::Receiver<Rates> {
    watch::channel(rates).1
}

#[actix_web::test]
async fn another_rate_holds_from_the_next_try_on_and_for_nothing_else() {
    let (tell, rates) = watch::channel(few(3, 1_000, 1_000));
    let bench = bench_with(GatewayOptions { rates, ..options() }).await;
    bench.person("ada").await;
    let tries = async |count| {
        let mut answered = Vec::new();
        for _ in 0..count {
            answered.push(bench.log_in("ada").await.status.as_u16());
        }
        answered
    };
    assert_eq!(tries(3).await, [200, 200, 429]);
    tell.send_replace(few(3, 1_000, 999));
    assert_eq!(tries(1).await, [429], "what was not changed goes on");
    tell.send_replace(few(4, 1_000, 999));
    assert_eq!(tries(5).await, [200, 200, 200, 200, 429]);
    tell.send_replace(few(1, 1_000, 999));
    assert_eq!(tries(2).await, [200, 429]);
    drop(tell);
    assert_eq!(tries(1).await, [429], "the last one stays");
}

#[actix_web::test]
async fn log_ins_are_limited_by_name() {
    let bench = bench_with(GatewayOptions { rates: told(few(3, 1_000, 1_000)), ..options() }).await;
    bench.person("ada").await;
    assert_eq!([bench.log_in("ada").await.status, bench.log_in("ada").await.status], [200, 200]);
    let refused = bench.log_in("ada").await;
    assert_eq!(refused.problem(), problem("too_many_requests", None));
    let wait: u64 = refused.header("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
    assert!((1..=20).contains(&wait), "a third of a minute at most: {wait}");
    assert_eq!(bench.log_in("bob").await.problem().0, "wrong_credentials", "another name may try");
}

#[actix_web::test]
async fn log_ins_and_registrations_are_limited_by_address() {
    let proxied =
        GatewayOptions { rates: told(few(1_000, 2, 1)), trusted_proxies: vec![[127, 0, 0, 1].into()], ..options() };
    for (options, believed) in [(GatewayOptions { rates: told(few(1_000, 2, 1)), ..options() }, false), (proxied, true)]
    {
        let bench = bench_with(options).await;
        let post = async |path: &str, from: &str| {
            let body = json!({"user_name": "nobody1", "password": "x"});
            bench.send(bench.request(Method::POST, path).header("x-forwarded-for", from).json(&body)).await.problem().0
        };
        assert_eq!(post("/v1/login", "192.0.2.1").await, "wrong_credentials");
        assert_eq!(post("/v1/login", "192.0.2.1").await, "wrong_credentials");
        assert_eq!(post("/v1/login", "192.0.2.1").await, "too_many_requests");
        let other = if believed { "wrong_credentials" } else { "too_many_requests" };
        assert_eq!(post("/v1/login", "192.0.2.2").await, other);
        assert_eq!(post("/v1/register", "192.0.2.1").await, "invalid_password");
        assert_eq!(post("/v1/register", "192.0.2.1").await, "too_many_requests");
    }
}

#[actix_web::test]
async fn refreshes_are_limited_by_address() {
    let rates = Rates { refreshes_per_minute_address: NonZeroU32::MIN.saturating_add(1), ..few(1_000, 1_000, 1_000) };
    let bench = bench_with(GatewayOptions { rates: told(rates), ..options() }).await;
    let grant = bench.person("ada").await;
    let refresh = async |token: &Value| bench.post("/v1/refresh", json!({"refresh_token": token})).await;
    assert_eq!(refresh(&json!("made up")).await.problem().0, "invalid_refresh_token");
    let next = refresh(&grant["refresh_token"]).await.json();
    let refused = refresh(&next["refresh_token"]).await;
    assert_eq!(refused.problem(), problem("too_many_requests", None));
    let wait: u64 = refused.header("retry-after").and_then(|wait| wait.parse().ok()).expect("seconds");
    assert!((1..=30).contains(&wait), "half a minute at most: {wait}");
    assert_eq!(bench.get("/v1/me", text(&next, "access_token")).await.status, 200, "nobody was logged out");
}

#[actix_web::test]
async fn a_body_that_never_ends_is_answered() {
    let bench = bench_with(GatewayOptions { body_within: Duration::from_millis(50), ..options() }).await;
    let address = bench.gateway.address();
    let answer = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).expect("connected");
        let head = "POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
        socket.write_all(head.as_bytes()).expect("written");
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    });
    assert_eq!(answer.await.expect("ran"), "HTTP/1.1 400");
    assert_eq!(bench.get("/livez", "").await.status, 200);
}

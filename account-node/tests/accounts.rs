//! Registration, log-in, tokens and log-out, as sessions and the gateway meet them.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod support;

use support::{Takes, bench, bench_with, claims, options, start};
use volery_account::{AccountOptions, VerifierOptions};
use volery_kernel::code::Code;
use volery_kernel::event::Event;
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_ports::account_service::{AccountError, AccountService as _, LogIn, Registration, Told};
use volery_ports::accounts::{Accounts as _, TokenError, Unavailable};

fn code<T>(outcome: Result<T, AccountError>) -> Option<Code> {
    outcome.err().map(|error| error.code())
}

#[tokio::test]
async fn register_log_in_authenticate() {
    let bench = bench().await;
    let user = bench.register("ada").await.expect("registered");
    assert_eq!((user.user_name.as_str(), user.display_name.as_str()), ("ada", "ada"));
    let grant = bench.log_in("ada").await.expect("logged in");
    assert_eq!(grant.user, user.id);
    let said = bench.node.authenticate(&grant.access_token, bench.now()).await;
    assert_eq!(said, Ok(claims(&grant)));
    assert_eq!(bench.node.user_exists(user.id).await, Ok(true));
    assert_eq!(bench.node.user_exists(UserId(Id::MAX)).await, Ok(false));
}

#[tokio::test]
async fn registrations_are_judged_field_by_field() {
    let bench = bench().await;
    bench.register("ada").await.expect("registered");
    let refused = async |user_name: &str, display_name: &str, password: &str| {
        let registration =
            Registration { user_name: user_name.into(), display_name: display_name.into(), password: password.into() };
        match bench.node.register(registration).await {
            Err(AccountError::Refused { code, field }) => (code, field),
            other => panic!("{other:?}"),
        }
    };
    let good = "long enough";
    assert_eq!(refused("ada", "", good).await, (Code::UserNameTaken, Some("user_name")));
    assert_eq!(refused("Ada", "", good).await, (Code::InvalidUserName, Some("user_name")));
    assert_eq!(refused("root", "", good).await, (Code::UserNameReserved, Some("user_name")));
    assert_eq!(refused("bob", "\u{202e}", good).await, (Code::InvalidDisplayName, Some("display_name")));
    assert_eq!(refused("bob", "", "short").await, (Code::InvalidPassword, Some("password")));
}

#[tokio::test]
async fn of_two_who_want_a_name_at_once_one_gets_it() {
    let bench = bench().await;
    let (one, two) = tokio::join!(bench.register("ada"), bench.register("ada"));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|got| **got).count(), 1);
    assert_eq!(code(one).or(code(two)), Some(Code::UserNameTaken));
}

#[tokio::test]
async fn wrong_credentials_say_nothing_more() {
    let bench = bench().await;
    bench.register("ada").await.expect("registered");
    let long = "x".repeat(1025);
    for (name, password) in [("ada", "wrong"), ("ada", ""), ("nobody1", "ada password"), ("!", "x"), ("ada", &long)] {
        let log_in = LogIn { user_name: name.into(), password: password.into(), device_name: String::new() };
        assert_eq!(code(bench.node.log_in(log_in).await), Some(Code::WrongCredentials), "{name} {password}");
    }
}

#[tokio::test]
async fn tokens_run_out_at_their_last_moment() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    let expires = grant.access_expires;
    assert_eq!(expires.since(bench.now()), 900_000);
    assert!(bench.node.authenticate(&grant.access_token, expires.minus(1)).await.is_ok());
    assert_eq!(bench.node.authenticate(&grant.access_token, expires).await, Err(TokenError::Invalid));
    for made_up in ["", "a.b.c", &grant.refresh_token, &format!("{}x", grant.access_token)] {
        assert_eq!(bench.node.authenticate(made_up, bench.now()).await, Err(TokenError::Invalid), "{made_up}");
    }
}

#[tokio::test]
async fn a_token_of_another_cluster_is_nothing() {
    let foreign = VerifierOptions { issuer: "other".into(), ..VerifierOptions::default() };
    let (ours, theirs) = (bench().await, bench_with(AccountOptions { tokens: foreign, ..options() }).await);
    let grant = theirs.person("ada").await;
    assert_eq!(ours.node.authenticate(&grant.access_token, ours.now()).await, Err(TokenError::Invalid));
}

#[tokio::test]
async fn refresh_rotates_and_reuse_logs_the_device_out() {
    let bench = bench().await;
    let first = bench.person("ada").await;
    bench.clock.advance(1_000);
    let second = bench.node.refresh(&first.refresh_token).await.expect("refreshed");
    assert_eq!((second.user, second.device), (first.user, first.device));
    assert_ne!(second.refresh_token, first.refresh_token);
    assert!(bench.node.authenticate(&second.access_token, bench.now()).await.is_ok());

    assert_eq!(code(bench.node.refresh(&first.refresh_token).await), Some(Code::InvalidRefreshToken));
    for token in [&first.access_token, &second.access_token] {
        assert_eq!(bench.node.authenticate(token, bench.now()).await, Err(TokenError::Revoked));
    }
    assert_eq!(code(bench.node.refresh(&second.refresh_token).await), Some(Code::InvalidRefreshToken));
    let events = bench.log.events.lock().clone();
    assert!(matches!(events[..], [Event::DeviceRevoked { device, .. }] if device == first.device), "{events:?}");
}

#[tokio::test]
async fn refresh_tokens_run_out_and_are_not_made_up() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    bench.clock.advance(options().refresh_ms);
    for token in [grant.refresh_token.as_str(), "made up", ""] {
        assert_eq!(code(bench.node.refresh(token).await), Some(Code::InvalidRefreshToken));
    }
    assert!(bench.log.events.lock().is_empty());
}

#[tokio::test]
async fn log_out_is_answered_when_the_log_has_it() {
    let bench = bench().await;
    let grant = bench.person("ada").await;
    let other = bench.log_in("ada").await.expect("a second device");
    assert_eq!(bench.node.devices(claims(&grant)).await.expect("listed").len(), 2);
    assert_eq!(bench.node.revoke(claims(&grant), grant.device).await, Ok(Told::OnTheLog));
    let events = bench.log.events.lock().clone();
    let Some(Event::DeviceRevoked { user, device, .. }) = events.first() else { panic!("{events:?}") };
    assert_eq!((*user, *device), (grant.user, grant.device));
    assert_eq!(bench.node.authenticate(&grant.access_token, bench.now()).await, Err(TokenError::Revoked));
    assert!(bench.node.authenticate(&other.access_token, bench.now()).await.is_ok());
    assert_eq!(code(bench.node.revoke(claims(&other), grant.device).await), Some(Code::NotFound), "again");
    assert_eq!(code(bench.node.revoke(claims(&other), DeviceId(Id::MAX)).await), Some(Code::NotFound));
}

#[tokio::test]
async fn nobody_logs_out_or_sees_anothers_devices() {
    let bench = bench().await;
    let (ada, bob) = (bench.person("ada").await, bench.person("bob").await);
    assert_eq!(code(bench.node.revoke(claims(&bob), ada.device).await), Some(Code::NotFound));
    assert!(bench.node.authenticate(&ada.access_token, bench.now()).await.is_ok());
    let seen = bench.node.devices(claims(&bob)).await.expect("listed");
    assert!(seen.iter().all(|device| device.user == bob.user));
}

#[tokio::test]
async fn a_log_out_elsewhere_takes_effect_within_five_seconds() {
    let bench = bench().await;
    let elsewhere = start(options(), &bench.store, &bench.clock, &bench.log).await;
    let grant = bench.person("ada").await;
    assert_eq!(elsewhere.authenticate(&grant.access_token, bench.now()).await, Ok(claims(&grant)));
    bench.node.revoke(claims(&grant), grant.device).await.expect("logged out");
    bench.clock.advance(5_000);
    assert_eq!(elsewhere.authenticate(&grant.access_token, bench.now()).await, Err(TokenError::Revoked));
}

#[tokio::test]
async fn what_is_known_of_many_devices_is_renewed_by_one_question() {
    let bench = bench().await;
    let elsewhere = start(options(), &bench.store, &bench.clock, &bench.log).await;
    let mut grants = Vec::new();
    for name in ["ada", "bob", "cleo"] {
        grants.push(bench.person(name).await);
    }
    for grant in &grants {
        assert_eq!(elsewhere.authenticate(&grant.access_token, bench.now()).await, Ok(claims(grant)));
    }
    let asked = bench.store.devices_asked();
    for _ in 0..3 {
        bench.clock.advance(5_000);
        for grant in &grants {
            assert_eq!(elsewhere.authenticate(&grant.access_token, bench.now()).await, Ok(claims(grant)));
        }
    }
    assert_eq!(bench.store.devices_asked(), asked);
    bench.node.revoke(claims(&grants[1]), grants[1].device).await.expect("logged out");
    bench.clock.advance(5_000);
    assert!(elsewhere.authenticate(&grants[0].access_token, bench.now()).await.is_ok());
    assert_eq!(elsewhere.authenticate(&grants[1].access_token, bench.now()).await, Err(TokenError::Revoked));
    assert!(elsewhere.authenticate(&grants[2].access_token, bench.now()).await.is_ok());
    assert_eq!(bench.store.devices_asked(), asked);
}

#[tokio::test]
async fn while_sql_is_away_known_devices_go_on() {
    let bench = bench().await;
    let restarted = start(options(), &bench.store, &bench.clock, &bench.log).await;
    let grant = bench.person("ada").await;
    bench.store.set_away(true);
    bench.clock.advance(60_000);
    assert_eq!(bench.node.authenticate(&grant.access_token, bench.now()).await, Ok(claims(&grant)));
    let unknown = restarted.authenticate(&grant.access_token, bench.now()).await;
    assert!(matches!(unknown, Err(TokenError::Unavailable(_))), "{unknown:?}");
    assert_eq!(code(bench.log_in("ada").await), Some(Code::AccountsUnavailable));
    assert_eq!(code(bench.register("bob").await), Some(Code::AccountsUnavailable));
    assert_eq!(code(bench.node.refresh(&grant.refresh_token).await), Some(Code::AccountsUnavailable));
    assert!(matches!(bench.node.user_exists(UserId(Id::MAX)).await, Err(Unavailable(_))));

    bench.store.set_away(false);
    assert_eq!(restarted.authenticate(&grant.access_token, bench.now()).await, Ok(claims(&grant)));
    assert!(bench.node.refresh(&grant.refresh_token).await.is_ok(), "nothing was used up meanwhile");
}

#[tokio::test]
async fn people_are_found_by_parts_of_their_names() {
    let bench = bench().await;
    for name in ["lovelace_ada", "ada", "adam", "bob"] {
        bench.register(name).await.expect("registered");
    }
    let found = async |part: &str, limit| {
        let users = bench.node.find_users(part, limit).await.expect("found");
        users.into_iter().map(|user| user.user_name).collect::<Vec<_>>()
    };
    assert_eq!(found("ADA", 20).await, ["ada", "lovelace_ada", "adam"], "the exact name first");
    assert_eq!(found(" ada ", 2).await, ["ada", "lovelace_ada"]);
    assert_eq!(found("nobody", 20).await, [""; 0]);
    for bad in ["", "ad", "  ad  ", "ad\u{0}a", &"x".repeat(65)] {
        assert_eq!(code(bench.node.find_users(bad, 20).await), Some(Code::BadRequest), "{bad:?}");
    }
}

#[tokio::test]
async fn the_log_being_away_delays_the_telling_and_nothing_else() {
    let bench = bench_with(AccountOptions { tell_within: std::time::Duration::from_millis(20), ..options() }).await;
    let grant = bench.person("ada").await;
    *bench.log.takes.lock() = Takes::Nothing;
    assert_eq!(bench.node.revoke(claims(&grant), grant.device).await, Ok(Told::Later));
    assert_eq!(bench.node.authenticate(&grant.access_token, bench.now()).await, Err(TokenError::Revoked));
    *bench.log.takes.lock() = Takes::Everything;
    bench.log.tried(1).await;
    assert_eq!(bench.log.events.lock().len(), 1);
}

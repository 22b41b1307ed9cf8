//! Redis against the contract, and while it is gone, stands still or comes late. It is started by
//! `engines/engines`.

#![expect(clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

use std::time::Duration;

use tokio::time::{sleep, timeout};
use volery_kernel::id::{Id, UserId};
use volery_kernel::slot::Partition;
use volery_ports::bus::{Bus, News, Presence, Said, Topic};
use volery_redis::{OpenError, Options, RedisBus};
use volery_testkit::bus::{Listener, conformance};
use volery_testkit::engine::Engine;

const P: Partition = Partition(1);

fn options(engine: &Engine) -> Options {
    let url = engine.address("REDIS_URL");
    Options { url, password: None }
}

fn user(n: u64) -> UserId {
    UserId(Id::new(n).expect("an id"))
}

fn typing() -> (Said, News) {
    let (to, from) = (user(1), user(2));
    (Said::Typing { partition: P, to, from }, News::Typing { to, from })
}

/// Longer than a busy machine takes for what is answered at once.
const AT_ONCE: Duration = Duration::from_secs(20);

/// Answered, whatever the server does.
async fn until_away(bus: &RedisBus) {
    let away = async {
        while timeout(AT_ONCE, bus.say(vec![typing().0])).await.expect("an answer").is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
        bus.presence(&[user(1)]).await.expect_err("nobody answers");
    };
    timeout(3 * AT_ONCE, away).await.expect("it is noticed");
}

#[tokio::test]
async fn keeps_the_contract_and_heals() {
    let Some(engine) = Engine::start("keeps_the_contract_and_heals", "redis") else { return };
    let options = options(&engine);
    let open = async || RedisBus::open(&options).await.expect("it opens");
    conformance(async || (open().await, open().await)).await;

    let (one, other) = (open().await, open().await);
    let ear = Listener::new(&other, &[Topic::Typing(P), Topic::Presence(user(7))]);
    ear.catch_up(&one, P).await;
    let online = Said::Changed { user: user(7), presence: Presence::Online, keep_ms: 60_000 };
    for stands_still in [true, false] {
        one.say(vec![online.clone()]).await.expect("it is there");
        ear.hears(&[News::Presence { user: user(7), presence: Presence::Online }]).await;
        if stands_still {
            engine.pause();
        } else {
            engine.kill();
        }
        until_away(&one).await;
        until_away(&other).await;
        ear.anew().await;
        ear.forget_anew();
        if stands_still {
            engine.proceed();
        } else {
            engine.restart();
        }
        ear.anew().await;
        ear.catch_up(&one, P).await;
        let (said, news) = typing();
        let _ = ear.take();
        one.say(vec![said]).await.expect("it is back");
        ear.hears(&[news]).await;
    }
    let gone = Presence::Unknown;
    assert_eq!(one.presence(&[user(7)]).await, Ok(vec![gone]), "what it held may be lost, and is said again");
}

#[tokio::test]
async fn who_comes_before_redis_waits_for_nothing() {
    let Some(engine) = Engine::start("who_comes_before_redis_waits_for_nothing", "redis") else { return };
    engine.kill();
    let bus = timeout(AT_ONCE, RedisBus::open(&options(&engine))).await.expect("at once");
    let bus = bus.expect("it opens");
    let ear = Listener::new(&bus, &[Topic::Typing(P)]);
    bus.say(vec![]).await.expect_err("nobody is there");
    engine.restart();
    ear.catch_up(&bus, P).await;
    assert_eq!(bus.say(vec![]).await, Ok(()));
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    for url in ["127.0.0.1:6379", "redis://", "http://host", "redis://host:port", "redis://host/first"] {
        let refused = RedisBus::open(&Options { url: url.to_owned(), password: None }).await.map(drop);
        assert!(matches!(refused, Err(OpenError::Url { .. })), "{url}: {refused:?}");
    }
}

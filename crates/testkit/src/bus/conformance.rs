//! The contract of the bus, case by case. Each case has two nodes on one engine; users and partitions of the
//! cases differ, so that they may share it.

use std::future::Future;

use volery_kernel::id::{Id, UserId};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::bus::{Away, Bus, News, Presence, Said, Topic};

use super::Listener;
use super::listener::until_presence;

type Outcome = Result<(), Away>;

const LONG_MS: u64 = 60_000;

fn user(n: u64) -> UserId {
    UserId(Id::new(n).unwrap_or(Id::MAX))
}

fn typing(partition: u16, to: u64, from: u64) -> Said {
    Said::Typing { partition: Partition(partition), to: user(to), from: user(from) }
}

fn types(to: u64, from: u64) -> News {
    News::Typing { to: user(to), from: user(from) }
}

fn changed(who: u64, presence: Presence, keep_ms: u64) -> Said {
    Said::Changed { user: user(who), presence, keep_ms }
}

/// Runs every case against two nodes that `fresh` opens.
///
/// # Panics
/// If the engine breaks the contract, or is away.
pub async fn conformance<B, F, Fut>(fresh: F)
where
    B: Bus,
    F: Fn() -> Fut,
    Fut: Future<Output = (B, B)>,
{
    let (one, other) = fresh().await;
    let outcomes: [(&str, Outcome); 6] = [
        ("nodes hear each other and themselves", nodes_hear_each_other(&one, &other).await),
        ("who comes later hears nothing", who_comes_later_hears_nothing(&one, &other).await),
        ("who leaves hears no more", who_leaves_hears_no_more(&one, &other).await),
        ("presence is what was said last", presence_is_what_was_said_last(&one, &other).await),
        ("changes are told, renewals are not", changes_are_told(&one, &other).await),
        ("presence expires", presence_expires(&one, &other).await),
    ];
    for (case, outcome) in outcomes {
        assert_eq!(outcome, Ok(()), "{case}");
    }
}

async fn nodes_hear_each_other(one: &dyn Bus, other: &dyn Bus) -> Outcome {
    let (p, q) = (Partition(11), Partition(12));
    let ears = [Listener::new(one, &[Topic::Typing(p)]), Listener::new(other, &[Topic::Typing(p), Topic::Typing(q)])];
    for (ear, by) in ears.iter().zip([other, one]) {
        ear.catch_up(by, p).await;
    }
    ears[1].catch_up(one, q).await;
    let _ = ears.each_ref().map(Listener::take);
    one.say(vec![typing(11, 1, 2), typing(12, 3, 4), typing(11, 5, 6)]).await?;
    ears[0].hears(&[types(1, 2), types(5, 6)]).await;
    ears[1].hears(&[types(1, 2), types(3, 4), types(5, 6)]).await;
    one.say(Vec::new()).await
}

async fn who_comes_later_hears_nothing(one: &dyn Bus, other: &dyn Bus) -> Outcome {
    let p = Partition(21);
    one.say(vec![typing(21, 1, 2)]).await?;
    let late = Listener::new(other, &[Topic::Typing(p)]);
    // Whatever it heard until here is what it was caught up with.
    late.catch_up(one, p).await;
    one.say(vec![typing(21, 3, 4)]).await?;
    late.hears(&[types(3, 4)]).await;
    Ok(())
}

async fn who_leaves_hears_no_more(one: &dyn Bus, other: &dyn Bus) -> Outcome {
    let (p, q) = (Partition(31), Partition(32));
    let both = [Topic::Typing(p), Topic::Typing(q)];
    let (stays, leaves, ends) = (Listener::new(other, &both), Listener::new(other, &both), Listener::new(other, &both));
    for ear in [&stays, &leaves, &ends] {
        ear.catch_up(one, p).await;
        ear.catch_up(one, q).await;
    }
    leaves.ear().leave(&[Topic::Typing(p)]);
    drop(ends);
    let _ = (stays.take(), leaves.take());
    one.say(vec![typing(31, 1, 2), typing(32, 3, 4)]).await?;
    stays.hears(&[types(1, 2), types(3, 4)]).await;
    leaves.hears(&[types(3, 4)]).await;
    stays.ear().leave(&both);
    leaves.ear().leave(&both);
    leaves.ear().follow(&[Topic::Typing(p)]);
    leaves.catch_up(one, p).await;
    one.say(vec![typing(31, 5, 6)]).await?;
    leaves.hears(&[types(5, 6)]).await;
    assert_eq!(stays.take(), []);
    Ok(())
}

async fn presence_is_what_was_said_last(one: &dyn Bus, other: &dyn Bus) -> Outcome {
    let seen = Presence::Seen(Timestamp(1_800_000_000_123));
    one.say(vec![changed(41, Presence::Online, LONG_MS), changed(42, Presence::Online, LONG_MS)]).await?;
    one.say(vec![changed(42, seen, LONG_MS)]).await?;
    let users = [user(42), user(43), user(41), user(42)];
    assert_eq!(other.presence(&users).await?, [seen, Presence::Unknown, Presence::Online, seen]);
    other.say(vec![changed(42, Presence::Online, LONG_MS), changed(41, Presence::Unknown, LONG_MS)]).await?;
    let expected = [Presence::Online, Presence::Unknown, Presence::Unknown, Presence::Online];
    assert_eq!(one.presence(&users).await?, expected);
    assert_eq!(one.presence(&[]).await?, []);
    Ok(())
}

async fn changes_are_told(one: &dyn Bus, other: &dyn Bus) -> Outcome {
    let p = Partition(51);
    let ear = Listener::new(other, &[Topic::Presence(user(51)), Topic::Typing(p)]);
    // Followed at once are heard at once.
    ear.catch_up(one, p).await;
    let seen = Presence::Seen(Timestamp(7));
    one.say(vec![
        changed(51, Presence::Online, LONG_MS),
        changed(52, Presence::Online, LONG_MS),
        Said::Renewed { users: vec![user(51), user(53)], keep_ms: LONG_MS },
        changed(51, seen, LONG_MS),
        typing(51, 1, 2),
    ])
    .await?;
    let presence = |presence| News::Presence { user: user(51), presence };
    ear.hears(&[presence(Presence::Online), presence(seen), types(1, 2)]).await;
    assert_eq!(other.presence(&[user(53)]).await?, [Presence::Online], "a renewal is as good as a change");
    Ok(())
}

async fn presence_expires(one: &dyn Bus, other: &dyn Bus) -> Outcome {
    let short = 300;
    one.say(vec![changed(61, Presence::Online, short), changed(62, Presence::Online, short)]).await?;
    one.say(vec![Said::Renewed { users: vec![user(62)], keep_ms: LONG_MS }]).await?;
    one.say(vec![changed(63, Presence::Seen(Timestamp(7)), short)]).await?;
    until_presence(other, user(63), Presence::Unknown).await;
    let users = [user(61), user(62), user(63)];
    assert_eq!(other.presence(&users).await?, [Presence::Unknown, Presence::Online, Presence::Unknown]);
    Ok(())
}

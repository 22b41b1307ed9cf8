//! The contract of the account store, case by case. Each case gets a store of its own.

#![expect(clippy::panic, reason = "a suite fails by panicking")]

use std::future::Future;

use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_ports::sql::{AccountStore, Created, Credentials, Reservation, Rotation, SigningKey, Unavailable, User};

use super::{device, id, token, told, user};

type Outcome = Result<(), Unavailable>;

/// Runs every case against stores that `fresh` makes, all empty.
///
/// # Panics
/// If the engine breaks the contract, or is away.
pub async fn conformance<S, F, Fut>(fresh: F)
where
    S: AccountStore,
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
{
    let outcomes: [(&str, Outcome); 10] = [
        ("names and ids are unique", names_and_ids_are_unique(&fresh().await).await),
        ("people are found", people_are_found(&fresh().await).await),
        ("devices come and go", devices_come_and_go(&fresh().await).await),
        ("tokens rotate", tokens_rotate(&fresh().await).await),
        ("reuse revokes", reuse_revokes(&fresh().await).await),
        ("revocations are numbered", revocations_are_numbered(&fresh().await).await),
        ("the outbox keeps order", the_outbox_keeps_order(&fresh().await).await),
        ("one leads the outbox", one_leads_the_outbox(&fresh().await).await),
        ("numbers are reserved", numbers_are_reserved(&fresh().await).await),
        ("the first key stays", the_first_key_stays(&fresh().await).await),
    ];
    for (case, outcome) in outcomes {
        assert_eq!(outcome, Ok(()), "{case}");
    }
}

async fn names_and_ids_are_unique(store: &dyn AccountStore) -> Outcome {
    let named = |number: u64, name: &str| {
        let Credentials { user: base, password_hash } = user(number);
        Credentials { user: User { user_name: name.into(), ..base }, password_hash }
    };
    let later = Credentials { user: User { created: Timestamp(99), ..user(1).user }, ..user(1) };
    let batch = vec![user(1), user(2), named(3, "user1"), named(2, "other"), later, user(4)];
    let created = store.create_users(batch).await?;
    use Created::{Done, IdTaken, NameTaken};
    assert_eq!(created, [Done, Done, NameTaken, IdTaken, Done, Done]);
    assert_eq!(store.credentials("user1").await?, Some(user(1)));
    assert_eq!(store.credentials("other").await?, None);
    assert_eq!(store.create_users(Vec::new()).await?, []);
    Ok(())
}

async fn people_are_found(store: &dyn AccountStore) -> Outcome {
    let Credentials { user: base, password_hash } = user(7);
    let quoted = User { display_name: "Zoë \"Zed\" Ångström".into(), ..base };
    store.create_users(vec![user(3), user(1), user(2), Credentials { user: quoted.clone(), password_hash }]).await?;
    let ids = [9, 2, 1, 2].map(|number| UserId(id(number)));
    assert_eq!(store.users(&ids).await?, [user(1).user, user(2).user]);
    assert_eq!(store.users(&[]).await?, []);
    assert_eq!(store.find_users("SER", 2).await?, [user(1).user, user(2).user]);
    assert_eq!(store.find_users("ame 3", 9).await?, [user(3).user]);
    for part in ["ångs", "ZOË \"zed\"", "\"Z", " \"ZED"].iter().filter(|part| part.chars().count() > 2) {
        assert_eq!(store.find_users(part, 9).await?, std::slice::from_ref(&quoted), "{part}");
    }
    for part in ["", "us", "us*", "name OR user", "a\0b", "%%%", "___", "user7name"] {
        assert_eq!(store.find_users(part, 9).await?, [], "{part}");
    }
    Ok(())
}

async fn devices_come_and_go(store: &dyn AccountStore) -> Outcome {
    store.create_users(vec![user(1), user(2)]).await?;
    for number in 1..=4 {
        store.log_in(device(number, 1 + number % 2), token(number as u8, 100)).await?;
    }
    let (one, two) = (UserId(id(1)), UserId(id(2)));
    assert_eq!(store.devices(one, 9).await?, [device(4, 1), device(2, 1)]);
    assert_eq!(store.devices(one, 1).await?, [device(4, 1)]);
    let fourth = DeviceId(id(4));
    assert_eq!(store.revoke(two, fourth, Timestamp(50), told(two, fourth)).await?, None, "another user's");
    assert_eq!(store.revoke(one, DeviceId(id(9)), Timestamp(50), told(one, fourth)).await?, None, "no device");
    let number = store.revoke(one, fourth, Timestamp(50), told(one, fourth)).await?;
    assert!(number.is_some());
    assert_eq!(store.revoke(one, fourth, Timestamp(60), told(one, fourth)).await?, None, "revoked before");
    let revoked = store.device(fourth).await?.and_then(|device| device.revoked);
    assert_eq!(revoked, Some(Timestamp(50)));
    assert_eq!(store.devices(one, 9).await?, [device(2, 1)]);
    assert_eq!(store.outbox_take(0, 9).await?.len(), 1);
    let void = store.rotate(token(4, 0).hash, token(9, 100), Timestamp(60), &told).await?;
    assert_eq!(void, Rotation::Void, "a revoked device's token");
    Ok(())
}

async fn tokens_rotate(store: &dyn AccountStore) -> Outcome {
    store.create_users(vec![user(1)]).await?;
    store.log_in(device(1, 1), token(1, 100)).await?;
    let rotate = async |from: u8, to: u8, at: u64| {
        store.rotate(token(from, 0).hash, token(to, at + 100), Timestamp(at), &told).await
    };
    let Rotation::Done(seen) = rotate(1, 2, 50).await? else { panic!("the first token is good") };
    assert_eq!(seen.last_seen, Timestamp(50));
    assert_eq!(store.device(seen.id).await?, Some(seen));
    assert!(matches!(rotate(2, 3, 100).await?, Rotation::Done(_)));
    assert_eq!(rotate(1, 9, 100).await?, Rotation::Unknown, "forgotten when it had expired");
    assert!(matches!(rotate(3, 4, 199).await?, Rotation::Done(_)), "good until it expires");
    assert_eq!(rotate(4, 5, 299).await?, Rotation::Void, "expired at that moment");
    assert_eq!(rotate(5, 6, 60).await?, Rotation::Unknown, "never given out");
    assert_eq!(store.outbox_take(0, 9).await?, []);
    Ok(())
}

async fn reuse_revokes(store: &dyn AccountStore) -> Outcome {
    store.create_users(vec![user(1)]).await?;
    store.log_in(device(1, 1), token(1, 100)).await?;
    let (user, device) = (UserId(id(1)), DeviceId(id(1)));
    let done = store.rotate(token(1, 0).hash, token(2, 100), Timestamp(10), &told).await?;
    assert!(matches!(done, Rotation::Done(_)));
    let reused = store.rotate(token(1, 0).hash, token(3, 100), Timestamp(20), &told).await?;
    let Rotation::Reused { entry: Some(number), .. } = reused else { panic!("noticed: {reused:?}") };
    let waiting = store.outbox_take(0, 9).await?;
    assert_eq!(waiting.iter().map(|entry| entry.number).collect::<Vec<_>>(), [number]);
    assert_eq!(waiting[0].entry, told(user, device));
    assert_eq!(store.device(device).await?.and_then(|device| device.revoked), Some(Timestamp(20)));
    let successor = store.rotate(token(2, 0).hash, token(3, 100), Timestamp(21), &told).await?;
    assert_eq!(successor, Rotation::Void, "the thief's or the owner's: neither goes on");
    let again = store.rotate(token(1, 0).hash, token(3, 100), Timestamp(22), &told).await?;
    assert_eq!(again, Rotation::Reused { user, device, entry: None }, "told once");
    Ok(())
}

async fn revocations_are_numbered(store: &dyn AccountStore) -> Outcome {
    store.create_users(vec![user(1)]).await?;
    assert_eq!((store.newest_revocation().await?, store.revoked_after(0, 9).await?), (0, Vec::new()));
    let whose = UserId(id(1));
    let mut numbered = Vec::new();
    for (number, of) in [(3, 0), (1, 1), (2, 2)] {
        store.log_in(device(number, 1), token(number as u8, 100)).await?;
        let device = DeviceId(id(number));
        // The clock says nothing here.
        let entry = store.revoke(whose, device, Timestamp(50 - of), told(whose, device)).await?;
        let Some(entry) = entry else { panic!("device {number} is there") };
        numbered.push((entry, device));
    }
    // Told or not, a device stays revoked.
    store.outbox_done(&[numbered[0].0]).await?;
    assert_eq!(store.revoked_after(0, 9).await?, numbered);
    assert_eq!(store.revoked_after(numbered[0].0, 1).await?, [numbered[1]]);
    assert_eq!(store.revoked_after(numbered[2].0, 9).await?, []);
    assert_eq!(store.newest_revocation().await?, numbered[2].0);
    store.log_in(device(4, 1), token(4, 100)).await?;
    store.rotate(token(4, 0).hash, token(5, 100), Timestamp(10), &told).await?;
    let reused = store.rotate(token(4, 0).hash, token(6, 100), Timestamp(20), &told).await?;
    let Rotation::Reused { entry: Some(number), .. } = reused else { panic!("noticed: {reused:?}") };
    assert_eq!(store.revoked_after(numbered[2].0, 9).await?, [(number, DeviceId(id(4)))]);
    Ok(())
}

async fn the_outbox_keeps_order(store: &dyn AccountStore) -> Outcome {
    store.create_users(vec![user(1)]).await?;
    let whose = UserId(id(1));
    let mut numbers = Vec::new();
    for number in 1..=5 {
        store.log_in(device(number, 1), token(number as u8, 100)).await?;
        let device = DeviceId(id(number));
        numbers.extend(store.revoke(whose, device, Timestamp(9), told(whose, device)).await?);
    }
    assert!(numbers.len() == 5 && numbers.is_sorted_by(|a, b| a < b) && numbers[0] > 0);
    let taken = async |after: u64, limit: usize| -> Result<Vec<u64>, Unavailable> {
        Ok(store.outbox_take(after, limit).await?.into_iter().map(|entry| entry.number).collect())
    };
    assert_eq!(taken(0, 2).await?, numbers[..2]);
    assert_eq!(taken(numbers[1], 9).await?, numbers[2..]);
    store.outbox_done(&[numbers[0], numbers[3], 999]).await?;
    assert_eq!(taken(0, 9).await?, [numbers[1], numbers[2], numbers[4]]);
    store.outbox_done(&numbers).await?;
    assert_eq!(taken(0, 9).await?, [0; 0]);
    store.log_in(device(6, 1), token(6, 100)).await?;
    let next = store.revoke(whose, DeviceId(id(6)), Timestamp(9), told(whose, DeviceId(id(6)))).await?;
    assert!(next > numbers.last().copied(), "a number is never used again");
    Ok(())
}

async fn one_leads_the_outbox(store: &dyn AccountStore) -> Outcome {
    // A store may take a moment to notice that who led is gone.
    const TRIES: usize = 10_000;
    let Some(mut first) = store.outbox_lead().await? else { panic!("nobody leads") };
    for _ in 0..3 {
        assert!(store.outbox_lead().await?.is_none(), "one leads at a time");
        assert!(first.holds().await);
    }
    drop(first);
    for _ in 0..TRIES {
        if let Some(mut second) = store.outbox_lead().await? {
            assert!(second.holds().await);
            return Ok(());
        }
    }
    panic!("the lead is free again")
}

async fn numbers_are_reserved(store: &dyn AccountStore) -> Outcome {
    let reserve =
        async |holder: &str, until: u64, now: u64| store.reserve(7, holder, Timestamp(until), Timestamp(now)).await;
    let held = |from, until| Reservation::Held { from: Timestamp(from), until: Timestamp(until) };
    assert_eq!(reserve("a", 100, 0).await?, held(0, 100));
    assert_eq!(reserve("b", 200, 99).await?, Reservation::Taken { until: Timestamp(100) });
    assert_eq!(reserve("a", 160, 60).await?, held(0, 160), "renewed");
    assert_eq!(reserve("a", 120, 61).await?, held(0, 160), "never shortened");
    assert_eq!(reserve("b", 300, 160).await?, held(160, 300), "a successor begins where the other ended");
    assert_eq!(reserve("a", 400, 170).await?, Reservation::Taken { until: Timestamp(300) }, "lost is lost");
    assert_eq!(reserve("b", 400, 170).await?, held(160, 400));
    let other = store.reserve(8, "a", Timestamp(9), Timestamp(0)).await?;
    assert_eq!(other, held(0, 9), "each number by itself");
    Ok(())
}

async fn the_first_key_stays(store: &dyn AccountStore) -> Outcome {
    let key = |number: u8| SigningKey { kid: format!("k{number}"), secret: [number; 32], created: Timestamp(1) };
    assert_eq!(store.signing_keys(key(1)).await?, [key(1)]);
    assert_eq!(store.signing_keys(key(2)).await?, [key(1)]);
    Ok(())
}

//! The contract of the cluster store, case by case. Each case gets a store of its own.

use std::future::Future;

use volery_kernel::map::{Member, MemberState, NodeKind, Weight};
use volery_kernel::time::Timestamp;
use volery_ports::cluster::Setting;
use volery_ports::cluster_store::{ClusterStore, Facts, Known, Lease, Set, Unavailable};

use super::{change, drained, map, member};

type Outcome = Result<(), Unavailable>;

/// Where any would do.
const KIND: NodeKind = NodeKind::Messaging;

/// Runs every case against stores that `fresh` makes, all empty.
///
/// # Panics
/// If the engine breaks the contract, or is away.
pub async fn conformance<S, F, Fut>(fresh: F)
where
    S: ClusterStore,
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
{
    let outcomes: [(&str, Outcome); 8] = [
        ("the first facts stay", the_first_facts_stay(&fresh().await).await),
        ("the first log stays", the_first_log_stays_until_another_is_put(&fresh().await).await),
        ("a name has one holder", a_name_has_one_holder(&fresh().await).await),
        ("a lease ends as it was read", a_lease_ends_as_it_was_read(&fresh().await).await),
        ("maps follow one another", maps_follow_one_another(&fresh().await).await),
        ("drains change with maps", drains_change_with_maps(&fresh().await).await),
        ("kinds have nothing in common", kinds_have_nothing_in_common(&fresh().await).await),
        ("settings are compared and set", settings_are_compared_and_set(&fresh().await).await),
    ];
    for (case, outcome) in outcomes {
        assert_eq!(outcome, Ok(()), "{case}");
    }
}

async fn the_first_facts_stay(store: &dyn ClusterStore) -> Outcome {
    let facts = |partitions, hash: &str, level| Facts { partitions, hash: hash.into(), level };
    assert_eq!(store.known().await?, Known::default());
    assert_eq!(store.known().await?, Known::default(), "to look makes nothing");
    assert_eq!(store.facts(facts(16_384, "one", 7)).await?, facts(16_384, "one", 7));
    assert_eq!(store.facts(facts(48, "other", 8)).await?, facts(16_384, "one", 7));
    assert_eq!(store.known().await?, Known { facts: Some(facts(16_384, "one", 7)), log: None });
    Ok(())
}

async fn the_first_log_stays_until_another_is_put(store: &dyn ClusterStore) -> Outcome {
    assert_eq!(store.log("one").await?, "one");
    assert_eq!(store.log("other").await?, "one");
    for log in ["other", "third"] {
        store.put_log(log).await?;
        assert_eq!(store.log("one").await?, log);
        assert_eq!(store.known().await?, Known { facts: None, log: Some(log.to_owned()) });
    }
    Ok(())
}

async fn a_name_has_one_holder(store: &dyn ClusterStore) -> Outcome {
    assert_eq!(store.leases(KIND).await?, []);
    for name in ["é", "b", "Z"] {
        assert!(store.hold(KIND, &member(name), "p1", Timestamp(10)).await?, "{name}");
    }
    assert!(!store.hold(KIND, &member("b"), "p2", Timestamp(99)).await?, "another process");
    let moved = Member {
        name: "b".into(),
        url: "wss://elsewhere".into(),
        weight: Weight::new(100).unwrap_or(Weight::ONE),
        state: MemberState::Draining,
    };
    assert!(store.hold(KIND, &moved, "p1", Timestamp(20)).await?);
    assert!(store.hold(KIND, &member("Z"), "p1", Timestamp(10)).await?, "by a clock that stands");
    assert!(store.hold(KIND, &member("é"), "p1", Timestamp(3)).await?, "by a clock that stepped back");
    let lease = |member, renewed| Lease { member, process: "p1".into(), renewed: Timestamp(renewed) };
    let expected = [lease(member("Z"), 11), lease(moved, 20), lease(member("é"), 11)];
    assert_eq!(store.leases(KIND).await?, expected, "by the bytes of their names");
    Ok(())
}

async fn a_lease_ends_as_it_was_read(store: &dyn ClusterStore) -> Outcome {
    for name in ["a", "b"] {
        store.hold(KIND, &member(name), "p1", Timestamp(10)).await?;
    }
    let read = store.leases(KIND).await?;
    store.hold(KIND, &member("a"), "p1", Timestamp(10)).await?;
    assert!(!store.end(KIND, &read[0]).await?, "renewed since");
    assert!(store.end(KIND, &read[1]).await?);
    assert!(!store.end(KIND, &read[1]).await?, "nothing is left to end");
    assert!(store.hold(KIND, &member("b"), "p2", Timestamp(10)).await?, "the name is free");
    assert!(!store.end(KIND, &read[1]).await?, "another's");
    store.leave(KIND, "b", "p1").await?;
    assert_eq!(store.leases(KIND).await?.len(), 2, "only a holder leaves");
    store.leave(KIND, "b", "p2").await?;
    store.leave(KIND, "b", "p2").await?;
    store.leave(KIND, "nobody", "p2").await?;
    assert_eq!(store.leases(KIND).await?.iter().map(|lease| lease.member.name.as_str()).collect::<Vec<_>>(), ["a"]);
    Ok(())
}

async fn maps_follow_one_another(store: &dyn ClusterStore) -> Outcome {
    assert_eq!(store.map(KIND, 0).await?, None);
    let nobody = map(1, &[], &[None, None, None]);
    assert!(!store.put_map(KIND, &map(0, &[], &[None]), None).await?, "no map has version 0");
    assert!(!store.put_map(KIND, &map(2, &[], &[None]), None).await?, "there is no first");
    assert!(store.put_map(KIND, &nobody, None).await?);
    assert!(!store.put_map(KIND, &nobody, None).await?, "it is there");
    assert_eq!((store.map(KIND, 0).await?, store.map(KIND, 1).await?), (Some(nobody), None));
    let names = ["a \"quoted\"", "b\nc", "é"];
    let second = map(2, &names, &[Some(2), None, Some(0)]);
    assert!(store.put_map(KIND, &second, None).await?);
    assert!(!store.put_map(KIND, &map(4, &[], &[None]), None).await?, "one is left out");
    assert_eq!(store.map(KIND, 1).await?, Some(second));
    let large: Vec<_> = (0..16_384).map(|partition| Some(partition % 3)).collect();
    let third = map(3, &names, &large);
    assert!(store.put_map(KIND, &third, None).await?);
    assert_eq!((store.map(KIND, 2).await?, store.map(KIND, 3).await?), (Some(third), None));
    Ok(())
}

async fn drains_change_with_maps(store: &dyn ClusterStore) -> Outcome {
    let put = async |kind, version, node: &str, begins| {
        let change = drained(node, version, begins);
        store.put_map(kind, &map(version, &[], &[None]), Some(&change)).await
    };
    let drains = async |kind| {
        let drains = store.drains(kind).await;
        drains.map(|drains| drains.into_iter().map(|drain| (drain.node, drain.at.0)).collect::<Vec<_>>())
    };
    let nobody = Vec::new();
    assert_eq!(drains(KIND).await, Ok(nobody.clone()));
    assert!(!put(KIND, 2, "b", true).await?);
    assert_eq!(drains(KIND).await, Ok(nobody.clone()), "no map, no change");
    assert!(put(KIND, 1, "é", true).await? && put(KIND, 2, "b", true).await? && put(KIND, 3, "é", true).await?);
    assert_eq!(store.map(KIND, 0).await?.map(|map| map.version()), Some(3));
    assert_eq!(drains(KIND).await, Ok(vec![("b".to_owned(), 2), ("é".to_owned(), 1)]), "who said so first");
    assert!(store.drains(KIND).await?.iter().all(|drain| drain.by == format!("who drains {}", drain.node)));
    assert!(put(NodeKind::History, 1, "b", false).await? && put(KIND, 4, "nobody", false).await?);
    assert!(!put(KIND, 4, "b", false).await? && put(KIND, 5, "é", false).await?);
    assert_eq!(drains(KIND).await, Ok(vec![("b".to_owned(), 2)]));
    assert_eq!(drains(NodeKind::History).await, Ok(nobody));
    Ok(())
}

async fn kinds_have_nothing_in_common(store: &dyn ClusterStore) -> Outcome {
    let [one, other] = NodeKind::ALL;
    assert!(store.hold(one, &member("a"), "p1", Timestamp(10)).await?);
    assert!(store.hold(other, &member("a"), "p2", Timestamp(20)).await?);
    let read = store.leases(one).await?;
    assert_eq!(read.iter().map(|lease| lease.process.as_str()).collect::<Vec<_>>(), ["p1"]);
    assert!(!store.end(other, &read[0]).await?);
    store.leave(other, "a", "p1").await?;
    assert!(store.end(one, &read[0]).await?);
    assert_eq!((store.leases(one).await?.len(), store.leases(other).await?.len()), (0, 1));
    let (first, second) = (map(1, &["a"], &[Some(0)]), map(2, &[], &[None]));
    assert!(store.put_map(one, &first, None).await?);
    assert!(!store.put_map(other, &second, None).await?, "the other kind has no first");
    assert!(store.put_map(other, &first, None).await? && store.put_map(other, &second, None).await?);
    assert_eq!((store.map(one, 0).await?, store.map(other, 0).await?), (Some(first), Some(second)));
    Ok(())
}

async fn settings_are_compared_and_set(store: &dyn ClusterStore) -> Outcome {
    assert_eq!(store.settings().await?, []);
    assert_eq!(store.set(&change("b.two", Some("2"), 1), Timestamp(5)).await?, Set::Stale { version: 0 });
    let set = |name: &str, value: Option<&str>, version: u64| Setting {
        name: name.into(),
        value: value.map(str::to_owned),
        version,
        by: format!("who has seen {}", version - 1),
        at: Timestamp(4 + version),
    };
    let first = store.set(&change("b.two", Some("2"), 0), Timestamp(5)).await?;
    assert_eq!(first, Set::Done(set("b.two", Some("2"), 1)));
    assert_eq!(store.set(&change("b.two", Some("3"), 0), Timestamp(6)).await?, Set::Stale { version: 1 });
    let back = store.set(&change("b.two", None, 1), Timestamp(6)).await?;
    assert_eq!(back, Set::Done(set("b.two", None, 2)));
    store.set(&change("a.one", Some(""), 0), Timestamp(5)).await?;
    assert_eq!(store.settings().await?, [set("a.one", Some(""), 1), set("b.two", None, 2)]);
    Ok(())
}

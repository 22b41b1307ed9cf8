//! Leases, maps, settings and refusals come back the same, and nonsense names its field.

use proptest::prelude::*;
use volery_kernel::map::{MapDelta, Member, MemberState, NodeKind, PartitionMap, Weight};
use volery_kernel::slot::Partition;
use volery_kernel::time::Timestamp;
use volery_ports::cluster::{
    Action, Change, ChangeError, Drain, Hold, HoldError, Order, OrderError, Setting, Settings, Terms, Unavailable,
};

use super::recent::Answer;
use super::{convert, failure, maps};
use crate::limits::{VALUE_BYTES, WORD_BYTES};
use crate::refusal::{of_unavailable, to_unavailable};
use crate::wire::config::v1 as wire;
use crate::wire::config::v1::failure::Kind;
use crate::wire::config::v1::order_request::Action as WireAction;

fn member(name: &str) -> Member {
    Member::new(name.into(), format!("ws://{name}/v1/ws"))
}

proptest! {
    #[test]
    fn maps_come_back(version in any::<u64>(), owners in prop::collection::vec(prop::option::of(0..3_u16), 1..50)) {
        let map = PartitionMap::new(version, ["a", "b", "é"].map(member).into(), &owners).expect("a map");
        prop_assert_eq!(maps::to_map(maps::map(&map)), Ok(map.clone()));
        let other = PartitionMap::new(!version, ["a", "c", "d"].map(member).into(), &owners).expect("a map");
        let changes = || Answer::Changes(MapDelta::between(&other, &map));
        prop_assert_eq!(maps::to_answer(maps::answer(changes())), Ok(changes()));
        let whole = || Answer::Whole(map.clone());
        prop_assert_eq!(maps::to_answer(maps::answer(whole())), Ok(whole()));
    }

    #[test]
    fn orders_come_back(name in "\\PC{1,20}", partition in any::<u16>(), seen in prop::option::of(any::<u64>())) {
        let moves = Action::Move(Partition(partition), name.clone());
        let actions = [Action::Drain(name.clone()), Action::Undrain(name.clone()), moves];
        for (action, kind) in actions.into_iter().zip(NodeKind::ALL.into_iter().cycle()) {
            let order = Order { kind, action, seen, by: name.clone() };
            prop_assert_eq!(convert::to_order(convert::order(order.clone())), Ok(order));
        }
        let drains = vec![Drain { node: name.clone(), by: name, at: Timestamp(partition.into()) }];
        prop_assert_eq!(convert::to_drains(convert::drains(drains.clone())), drains);
    }

    #[test]
    fn leases_and_changes_come_back(
        name in "\\PC{1,20}", partitions in 1..=16_384_u16,
        value in prop::option::of("\\PC{0,20}"), seen in any::<u64>(),
    ) {
        let terms = Terms { partitions, hash: name.clone(), log: name.clone(), level: partitions };
        prop_assert_eq!(convert::to_admit(convert::admit(terms.clone(), true)), Ok((terms.clone(), true)));
        let weight = Weight::new(1 + partitions % 100).expect("a weight");
        for (kind, state) in NodeKind::ALL.into_iter().zip([MemberState::Serving, MemberState::Draining]) {
            let member = Member { weight, state, ..member(&name) };
            let hold = Hold { kind, member, process: name.clone(), terms: terms.clone() };
            prop_assert_eq!(convert::to_hold(convert::hold(hold.clone())), Ok(hold));
        }
        let change = Change { name: name.clone(), value, seen, by: name };
        prop_assert_eq!(convert::to_change(convert::change(change.clone())), Ok(change));
    }

    #[test]
    fn settings_come_back(name in "\\PC{0,9}", value in prop::option::of("\\PC{0,9}"), version in any::<u64>()) {
        let setting = Setting { by: name.clone(), name, value, version, at: Timestamp(version) };
        let settings = Settings { version, settings: vec![setting.clone(), setting] };
        prop_assert_eq!(convert::to_settings(convert::settings(settings.clone())), settings);
    }

    #[test]
    fn refusals_come_back(text in "\\PC{0,20}", count in any::<u16>(), version in any::<u64>()) {
        let away = Unavailable(text.clone());
        prop_assert!(to_unavailable::<Kind>(&of_unavailable::<Kind>(away.clone())) == away);
        let partitions = HoldError::Partitions { cluster: count, node: !count };
        let level = HoldError::Level { cluster: count, node: !count };
        let hash = HoldError::Hash { cluster: text.clone(), node: text.clone() };
        let log = HoldError::Log { cluster: text.clone(), node: text.clone() };
        let address = HoldError::AddressTaken { node: text.clone(), url: text.clone() };
        for error in [away.clone().into(), HoldError::NameTaken(text.clone()), partitions, level, hash, log, address] {
            prop_assert_eq!(failure::to_hold(&failure::of_hold(error.clone())), error);
        }
        let invalid = ChangeError::Invalid { name: text.clone(), reason: text.clone() };
        let stale = ChangeError::Stale { name: text.clone(), version, seen: !version };
        for error in [away.clone().into(), ChangeError::Unknown(text.clone()), invalid, stale] {
            prop_assert_eq!(failure::to_change(&failure::of_change(error.clone())), error);
        }
        let named = [OrderError::NoNode, OrderError::LastNode, OrderError::Draining, OrderError::Leaving];
        let others = [
            away.into(),
            OrderError::Stale { version, seen: !version },
            OrderError::NoPartition { partition: count, partitions: !count },
            OrderError::Busy(count.into()),
        ];
        for error in named.map(|error| error(text.clone())).into_iter().chain(others) {
            prop_assert_eq!(failure::to_order(&failure::of_order(error.clone())), error);
        }
    }
}

#[test]
fn nonsense_is_refused_by_its_field() {
    let word = |name: String| convert::word("name", name).err().map(|wrong| wrong.field);
    assert_eq!(word("a".repeat(WORD_BYTES)), None);
    for bad in [String::new(), "a".repeat(WORD_BYTES + 1), "a\0".into(), "a\nb".into()] {
        assert_eq!(word(bad), Some("name"));
    }
    let terms = wire::Terms { partitions: Some(8), log: "the log".into(), level: 1, hash: "the hash".into() };
    let member = wire::Member { name: "a".into(), url: "ws://a".into(), weight: 1, draining: false };
    let hold = wire::HoldRequest {
        kind: wire::NodeKind::Messaging.into(),
        member: Some(member.clone()),
        process: "p".into(),
        terms: Some(terms.clone()),
    };
    let field = |hold: wire::HoldRequest| convert::to_hold(hold).err().map(|wrong| wrong.field);
    assert_eq!(field(hold.clone()), None);
    assert_eq!(field(wire::HoldRequest { member: None, ..hold.clone() }), Some("member"));
    for kind in [0, 3, -1] {
        assert_eq!(field(wire::HoldRequest { kind, ..hold.clone() }), Some("kind"));
    }
    for weight in [0, 101, 65_537] {
        let member = Some(wire::Member { weight, ..member.clone() });
        assert_eq!(field(wire::HoldRequest { member, ..hold.clone() }), Some("member.weight"));
    }
    for (url, wrong) in [(String::new(), None), ("a\nb".into(), Some("member.url"))] {
        let member = Some(wire::Member { url, ..member.clone() });
        assert_eq!(field(wire::HoldRequest { member, ..hold.clone() }), wrong);
    }
    assert_eq!(field(wire::HoldRequest { process: String::new(), ..hold.clone() }), Some("process"));
    let of_terms = |terms: Option<wire::Terms>| {
        let asked = wire::AdmitRequest { terms: terms.clone(), opened: false };
        let admitted = convert::to_admit(asked).err().map(|wrong| wrong.field);
        assert_eq!(admitted, field(wire::HoldRequest { terms, ..hold.clone() }));
        admitted
    };
    assert_eq!(of_terms(None), Some("terms"));
    assert_eq!(of_terms(Some(wire::Terms { log: String::new(), ..terms.clone() })), Some("log"));
    assert_eq!(of_terms(Some(wire::Terms { hash: String::new(), ..terms.clone() })), Some("hash"));
    assert_eq!(of_terms(Some(wire::Terms { level: 65_536, ..terms.clone() })), Some("level"));
    for partitions in [None, Some(0), Some(16_385), Some(65_544)] {
        assert_eq!(of_terms(Some(wire::Terms { partitions, ..terms.clone() })), Some("partitions"));
    }
    let order = |action: Option<WireAction>| {
        let order = wire::OrderRequest { kind: wire::NodeKind::History.into(), action, seen: None, by: "ada".into() };
        convert::to_order(order).err().map(|wrong| wrong.field)
    };
    let to = |partition| Some(WireAction::Move(wire::MovePartition { partition, node: "a".into() }));
    assert_eq!(
        [to(None), to(Some(65_536)), to(Some(65_535)), None].map(order),
        [Some("partition"), Some("partition"), None, Some("action")]
    );
    assert_eq!(order(Some(WireAction::Drain(String::new()))), Some("drain"));
    let change = |value: String| {
        let change = wire::ChangeRequest { name: String::new(), value: Some(value), seen: 0, by: "ada".into() };
        convert::to_change(change).err().map(|wrong| wrong.field)
    };
    assert_eq!(change("a".repeat(VALUE_BYTES)), None);
    assert_eq!((change("a".repeat(VALUE_BYTES + 1)), change("\0".into())), (Some("value"), Some("value")));
}

#[test]
fn a_map_that_contradicts_itself_means_nothing() {
    let map = |owners: Vec<u32>| maps::to_map(wire::PartitionMap { version: 1, members: Vec::new(), owners });
    assert!(map(vec![0, 0]).is_ok());
    for bad in [vec![], vec![1], vec![u32::MAX], vec![0; 16_385], vec![65_536]] {
        assert_eq!(map(bad).err().map(|wrong| wrong.field), Some("owners"));
    }
}

//! Typing and presence, as clients see them: told to those alone whom it concerns, and never stored.

use serde_json::{Value, json};
use volery_wire::op::ServerOp;

use super::kit::device::Heard;
use super::kit::{Device, Server};

/// Nobody has this id.
const NOBODY: u64 = 1;
/// More than one session may watch.
const TOO_MANY: u64 = 257;

fn watch(device: &mut Device, users: &[u64]) -> Heard {
    let users: Vec<_> = users.iter().map(u64::to_string).collect();
    device.call("presence", json!({"users": users}))
}

/// Whether somebody is said to be online in this frame; `None` if nothing is said of them.
fn online(heard: &Heard, user: u64) -> Option<bool> {
    let users = heard.body["users"].as_array().filter(|_| heard.op == ServerOp::Presence)?;
    users.iter().find(|present| present["user"].as_str() == Some(&user.to_string()))?["online"].as_bool()
}

fn types(device: &mut Device, to: u64) -> u64 {
    device.ask("typing", json!({"to": to.to_string()}))
}

fn typing(device: &Device) -> Vec<&Value> {
    device.heard.iter().filter(|heard| heard.op == ServerOp::Typing).map(|heard| &heard.body).collect()
}

#[test]
fn people_see_each_other_type_come_and_go() {
    let server = Server::start(&["ada", "bob", "carol"]);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob").in_json());
    let (mut tablet, mut carol) = (server.synced("ada").in_json(), server.device("carol"));
    let answer = watch(&mut ada, &[NOBODY, bob.user, carol.user]);
    assert_eq!(
        [NOBODY, bob.user, carol.user].map(|user| online(&answer, user)),
        [Some(false), Some(true), Some(false)]
    );
    assert_eq!(answer.body["users"][0], json!({"user": "1", "online": false}), "nothing else is known");

    types(&mut bob, ada.user);
    let chat = ada.chat_with(bob.user);
    let expected = json!({"chat": chat, "user": bob.user.to_string()});
    for device in [&mut ada, &mut tablet] {
        device.wait("typing", |heard| heard.op == ServerOp::Typing && heard.n == 0 && heard.body == expected);
    }
    bob.settle();
    assert_eq!(typing(&bob), [&Value::Null; 0], "not to who types");

    carol.connect();
    ada.wait("that carol comes", |heard| heard.n == 0 && online(heard, carol.user) == Some(true));
    bob.connect();
    carol.drop_socket();
    let left = ada.wait("that carol goes", |heard| heard.n == 0 && online(heard, carol.user) == Some(false));
    assert!(left.body["users"][0]["last_seen"].as_u64().is_some_and(|at| at > 1_700_000_000_000), "{left:?}");
    let of_bob = ada.heard.iter().filter_map(|heard| online(heard, bob.user));
    assert_eq!(of_bob.collect::<Vec<_>>(), [true], "who comes back in time was never away");
    assert_eq!(tablet.heard.iter().filter(|heard| heard.op == ServerOp::Presence).count(), 0, "it watches nobody");
    let positions = |device: &Device| device.heard.iter().any(|heard| heard.op == ServerOp::Message);
    assert!(!positions(&ada) && !positions(&bob), "nothing of it is a message");
}

#[test]
fn who_watches_no_more_is_told_nothing_and_mistakes_have_codes() {
    let server = Server::start(&["ada", "bob", "carol"]);
    let (mut ada, mut bob, mut carol) = (server.synced("ada"), server.device("bob"), server.synced("carol"));
    let request = types(&mut ada, NOBODY);
    let refused = ada.answer(request);
    assert_eq!((refused.code(), &refused.body["field"]), ("unknown_recipient", &json!("to")));
    let refused = watch(&mut ada, &(1..=TOO_MANY).collect::<Vec<_>>());
    assert_eq!((refused.code(), &refused.body["field"]), ("bad_request", &json!("users")));
    let oneself = ada.user;
    types(&mut ada, oneself);
    assert_eq!(watch(&mut ada, &[]).body, json!({"users": []}));

    assert_eq!(online(&watch(&mut ada, &[bob.user, bob.user]), bob.user), Some(false));
    assert_eq!(online(&watch(&mut carol, &[bob.user]), bob.user), Some(false));
    assert_eq!(online(&watch(&mut ada, &[carol.user]), bob.user), None, "a list replaces the one before");
    bob.connect();
    carol.wait("that bob comes", |heard| online(heard, bob.user) == Some(true));
    ada.settle();
    assert_eq!(ada.heard.iter().filter_map(|heard| online(heard, bob.user)).collect::<Vec<_>>(), [false]);
    assert_eq!(typing(&ada), [&Value::Null; 0], "nor of one's own");
    assert!(server.metric("volery_bus_published_total") > 0 && server.metric("volery_bus_heard_total") > 0);
    assert_eq!(server.metric("volery_bus_dropped_total"), 0);
}

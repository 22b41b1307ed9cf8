//! Typing and presence between two nodes that have Redis in common and nothing else of it: across nodes, over a
//! move from one to the other, and after a node was lost.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use volery_kernel::chat::Recipient;
use volery_kernel::id::{Id, UserId};
use volery_kernel::slot::Partitions;
use volery_testkit::engine::Engine;
use volery_wire::op::ServerOp;

use super::cluster::{Cluster, PARTITIONS};
use super::kit::server::Addresses;
use super::kit::{Device, http, wait_for};
use loadtest::server::Server;

const PEOPLE: usize = 8;

fn partition(device: &Device) -> u16 {
    let user = UserId(Id::new(device.user).expect("an id"));
    Partitions::new(PARTITIONS).expect("some").of(Recipient::User(user)).0
}

/// A person's device, which connects where the gateway says.
fn log_in(gateway: &str, number: usize) -> (Device, Arc<Mutex<Addresses>>) {
    let body = Server::people(number..number + 1)
        .pop()
        .map(|person| json!({"user_name": person.user_name, "password": person.password}));
    let tokens = http::request(gateway, "POST", "/v1/login", None, body.as_ref()).expect("an answer").good();
    let addresses = Arc::new(Mutex::new(Addresses { gateway: gateway.to_owned(), door: String::new() }));
    (Device::new(Arc::clone(&addresses), &tokens), addresses)
}

/// Connects it to the node that has its user, as soon as that is known everywhere.
fn connect(device: &mut Device, addresses: &Mutex<Addresses>) {
    let gateway = device.addresses().gateway;
    wait_for("a node that serves the user", || {
        let answer = http::request(&gateway, "GET", "/v1/node", Some(&device.token), None).ok()?;
        let address = answer.json()["address"].as_str()?.trim_start_matches("ws://").to_owned();
        addresses.lock().expect("unpoisoned").door = address.trim_end_matches("/v1/ws").to_owned();
        device.try_connect().then_some(())
    });
    device.sync();
}

fn hears_typing(ada: &mut Device, bob: &mut Device) {
    ada.heard.clear();
    let to = json!({"to": ada.user.to_string()});
    // What was said less than two seconds ago is not said again.
    wait_for("typing is seen", || {
        bob.ask("typing", to.clone());
        bob.settle();
        ada.settle();
        ada.heard.iter().any(|heard| heard.op == ServerOp::Typing).then_some(())
    });
}

fn says(users: &Value, user: u64, online: bool) -> bool {
    let present = users["users"].as_array().into_iter().flatten();
    let user = user.to_string();
    present.into_iter().any(|present| present["user"].as_str() == Some(&user) && present["online"] == online)
}

#[test]
fn people_on_two_nodes_see_each_other() {
    let Some(redis) = Engine::start("people_on_two_nodes_see_each_other", "redis") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start_on(folder.path(), 2, PEOPLE, Some(redis.address("REDIS_URL")));
    let gateway = cluster.gateway().trim_start_matches("http://");
    let mut people = (0..PEOPLE).map(|number| log_in(gateway, number)).collect::<Vec<_>>();
    let (mut ada, at_ada) = people.remove(0);
    let other = people.iter().position(|(device, _)| partition(device) != partition(&ada)).expect("all alike");
    let (mut bob, at_bob) = people.remove(other);
    let of_bob = partition(&bob);
    cluster.give(|partition| Some(u16::from(partition == of_bob)));
    connect(&mut ada, &at_ada);
    connect(&mut bob, &at_bob);
    assert_ne!(ada.addresses().door, bob.addresses().door, "they are on two nodes");

    let watched = json!({"users": [bob.user.to_string()]});
    wait_for("bob is seen", || says(&ada.call("presence", watched.clone()).body, bob.user, true).then_some(()));
    hears_typing(&mut ada, &mut bob);

    ada.heard.clear();
    cluster.give(|_| Some(0));
    bob.wait("moved", |heard| heard.op == ServerOp::Moved);
    connect(&mut bob, &at_bob);
    hears_typing(&mut ada, &mut bob);
    assert!(!ada.heard.iter().any(|heard| says(&heard.body, bob.user, false)), "who moves is not away");
    bob.drop_socket();
    ada.wait("that bob goes", |heard| heard.op == ServerOp::Presence && says(&heard.body, bob.user, false));
}

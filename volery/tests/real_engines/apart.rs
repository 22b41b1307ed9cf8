//! Every role in processes of its own: people chat across them while one of the two of each is killed, then both,
//! and the engines below them. Of what is missing meanwhile it is looked at who says so: which code, which part of health,
//! which metric.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use volery_testkit::engine::Engine;

use super::cluster::{Cluster, PARTITIONS};
use super::ground::Ground;
use super::kit::wait_for;
use super::probes::{self, MESSAGING, Probes, has_everything, share};
use super::role::Role;
use super::visitor::{ACCOUNTS, HISTORY, Visitor};
use super::{GONE_FOR, RATE, alone, chat_at, chat_at_while};

/// How long people chat where nothing is broken.
const SECONDS: u64 = 4;

/// Both processes of a role.
fn both(cluster: &Cluster, role: &str) -> [Probes; 2] {
    [1, 2].map(|number| cluster.probes(role, number))
}

fn an_engine_is_killed(name: &str, engine: &Engine, visitor: &Visitor) {
    println!("killed: {name}");
    engine.kill();
    std::thread::sleep(GONE_FOR);
    engine.restart();
    visitor.is_served();
}

/// Without one of a role nothing is missing; without both it is looked at what is.
fn are_killed(role: &str, cluster: &Cluster, visitor: &Visitor, meanwhile: impl FnOnce()) {
    println!("killed: one {role}, then both");
    cluster.does(&["kill", role, "1"]);
    visitor.is_served();
    cluster.does(&["kill", role, "2"]);
    meanwhile();
    cluster.does(&["start", role]);
    visitor.is_served();
}

/// Who asks a role that is away says so, in a part of health and in a metric.
fn is_said_by(those: &[Probes], part: &str, role: &str) {
    for probes in those {
        probes.until(part, "degraded");
        assert!(probes.unanswered(role) > 0.0, "calls that nobody answered are counted");
    }
}

/// Kills one of two for longer than its lease: the other one has everything, until it is back.
fn one_is_killed(role: &str, series: &str, cluster: &Cluster, visitor: &Visitor) {
    println!("killed: one {role}");
    let nodes = both(cluster, role);
    cluster.does(&["kill", role, "1"]);
    has_everything(&nodes[1], series, PARTITIONS);
    visitor.is_served();
    cluster.does(&["start", role]);
    share(&nodes, series, PARTITIONS);
}

fn roles_are_killed(cluster: &Cluster, visitor: &Visitor) {
    let (gateways, nodes) = (both(cluster, "gateway"), both(cluster, "messaging"));
    are_killed("history", cluster, visitor, || {
        visitor.finds("", HISTORY);
        is_said_by(&gateways[1..], "history_nodes", "history");
    });
    gateways[1].until("history_nodes", "ready");
    for history in both(cluster, "history") {
        for part in ["archive", "fanout", "timeline", "log", "log_generation"] {
            history.until(part, "ready");
        }
    }

    are_killed("account", cluster, visitor, || {
        visitor.finds(ACCOUNTS, "");
        is_said_by(&gateways[1..], "accounts_nodes", "account");
    });
    gateways[1].until("accounts_nodes", "ready");
    one_is_killed("messaging", MESSAGING, cluster, visitor);
    one_is_killed("history", probes::HISTORY, cluster, visitor);

    are_killed("config", cluster, visitor, || {
        for part in ["lease", "config_nodes"] {
            is_said_by(&nodes, part, "config");
        }
        is_said_by(&gateways, "config_nodes", "config");
        assert_eq!(nodes[0].lease(), 0.0);
        visitor.is_served();
    });
    nodes.iter().for_each(Probes::has_its_lease);
    nodes.iter().chain(&gateways).for_each(|probes| probes.until("config_nodes", "ready"));

    are_killed("idgen", cluster, visitor, || visitor.is_served());
    are_killed("gateway", cluster, visitor, || assert!(visitor.logs_in().is_err(), "nobody answers"));
}

#[test]
fn promises_hold_while_engines_one_of_each_role_and_both_are_killed() {
    let _alone = alone();
    let Some(ground) = Ground::new("promises_hold_while_engines_one_of_each_role_and_both_are_killed") else { return };
    let cluster = Cluster::up(&ground.kafka);
    let nodes = both(&cluster, "messaging");
    share(&nodes, MESSAGING, PARTITIONS);
    // The load's own gateway is one of those that are killed; the visitor comes to the other.
    let visitor = Visitor::new(&cluster.gateway(2));
    chat_at_while(&cluster.gateway(1), &ground.users(), RATE, || {
        // The second node's partitions came from the first a few at a time, and their people follow.
        let all = || nodes.iter().all(|node| node.metric("volery_sessions") > 0.0).then_some(());
        wait_for("they chat across nodes", all);
        an_engine_is_killed("Cassandra", &ground.cassandra, &visitor);
        an_engine_is_killed("Kafka", &ground.kafka, &visitor);
        an_engine_is_killed("PostgreSQL", &ground.postgres, &visitor);
        an_engine_is_killed("Redis", &ground.redis, &visitor);
        roles_are_killed(&cluster, &visitor);
    });
}

/// One certificate for all processes of this machine, and what configuration says of it.
fn certificates(folder: &Path) -> Vec<String> {
    let authority = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&authority).expect("signed").pem();
    let issuer = Issuer::new(params, authority);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
    let cert = leaf.signed_by(&key, &issuer).expect("signed").pem();
    let files = [("rpc.tls_ca", ca), ("rpc.tls_cert", cert), ("rpc.tls_key", key.serialize_pem())];
    let written = files.into_iter().map(|(name, pem)| {
        let file = folder.join(name);
        fs::write(&file, pem).expect("written");
        format!("{name}={}", file.display())
    });
    written.collect()
}

#[test]
fn several_roles_share_a_process_and_ask_others_by_tls() {
    let _alone = alone();
    let Some(ground) = Ground::new("several_roles_share_a_process_and_ask_others_by_tls") else { return };
    let tls = ground.with(&certificates(ground.folder()));
    let behind = Role::start(&["idgen", "history", "account", "config"], &tls);
    let asked =
        ["history", "accounts", "idgen", "config"].map(|section| format!("{section}.nodes={}", behind.url("history")));
    let front = Role::start(&["gateway", "messaging"], &[tls.as_slice(), &asked].concat());
    chat_at(front.url("gateway"), &ground.users(), SECONDS);
}

//! Dynamic settings: an operator changes them beside a server that runs, and whoever is connected follows.

use std::time::Duration;

use serde_json::{Value, json};

use super::kit::operator::Operator;
use super::kit::server::PASSWORD;
use super::kit::{Device, Server, now, wait_for};

const RATE: &str = "messaging.sends_per_second";
const BURST: &str = "messaging.sends_burst";
const LOGINS: &str = "accounts.logins_per_minute";

fn set(operator: &Operator, name: &str, value: &str) {
    operator.told(&["settings", "set", name, value]);
}

/// How long a text takes to be acknowledged.
fn says(from: &mut Device, to: u64) -> Duration {
    let begun = now();
    from.say(to, "hi");
    begun.elapsed()
}

/// So many in a row within a time that they do not have at a send a second.
fn talks_freely(from: &mut Device, to: u64) -> bool {
    let begun = now();
    for _ in 0..20 {
        from.say(to, "hi");
    }
    begun.elapsed() < Duration::from_secs(15)
}

fn status_of_log_in(server: &Server, name: &str) -> u16 {
    let body = json!({"user_name": name, "password": PASSWORD, "device_name": "test"});
    server.http("POST", "/v1/login", None, Some(&body)).status
}

/// An open session and a limit of log-ins follow what the operator says, there and back.
fn everybody_follows(server: &Server, operator: &Operator) {
    let (mut ada, bob) = (server.synced("ada"), server.synced("bob"));
    assert!(talks_freely(&mut ada, bob.user));
    set(operator, RATE, "1");
    set(operator, BURST, "1");
    wait_for("her session is slowed down", || (says(&mut ada, bob.user) > Duration::from_millis(500)).then_some(()));
    set(operator, LOGINS, "1");
    wait_for("log-ins are refused", || (status_of_log_in(server, "ada") == 429).then_some(()));
    for name in [BURST, RATE, LOGINS] {
        operator.told(&["settings", "unset", name]);
    }
    wait_for("her session is as before", || talks_freely(&mut ada, bob.user).then_some(()));
    wait_for("log-ins are taken", || (status_of_log_in(server, "ada") == 200).then_some(()));
    assert_eq!(server.metric("volery_handshakes_total"), 2, "nobody had to connect again");
}

#[test]
fn who_is_connected_follows_what_is_set_beside_the_server() {
    let server = Server::start(&["ada", "bob"]);
    everybody_follows(&server, &beside(&server));
}

#[test]
fn who_is_connected_follows_what_is_set_at_a_config_node() {
    let server = Server::start_roles(&["ada", "bob"]);
    wait_for("its node has all partitions", || (server.metric("volery_partitions") == 16).then_some(()));
    let operator = Operator { reaches: vec!["--config-nodes".to_owned(), server.place("config")] };
    everybody_follows(&server, &operator);
    let nodes = operator.told(&["nodes"]);
    assert_eq!(nodes["nodes"].as_array().map(|nodes| nodes.iter().filter(of_messaging).count()), Some(1));
    assert_eq!(
        (&nodes["maps"][0]["kind"], &nodes["maps"][0]["partitions_of_nobody"]),
        (&json!("messaging"), &json!(0))
    );
    let stale = operator.refused(&["settings", "set", RATE, "7", "--seen", "1"]);
    assert!(stale.contains("it is at version 2, and you have seen 1"), "{stale}");
    assert!(operator.refused(&["settings", "set", RATE, "0"]).contains("give 1 to 1000000"));
}

fn of_messaging(node: &&Value) -> bool {
    node["kind"] == "messaging"
}

/// On the data folder, as the server has it.
fn beside(server: &Server) -> Operator {
    Operator { reaches: vec!["--data".to_owned(), server.data().display().to_string()] }
}

#[test]
fn what_is_refused_says_what_to_do_and_changes_nothing() {
    let server = Server::start(&[]);
    let operator = beside(&server);
    let first = operator.told(&["settings", "set", RATE, "100", "--by", "ada"]);
    assert_eq!((&first["before"]["value"], &first["now"]["value"]), (&Value::Null, &json!("100")));
    assert_eq!((&first["now"]["by"], &first["now"]["version"]), (&json!("ada"), &json!(1)));
    let before = operator.told(&["settings"]);
    let cases: [(&[&str], &str); 9] = [
        (&["settings", "set", RATE, "0"], "0 is out of range: give 1 to 1000000"),
        (&["settings", "set", RATE, "-1"], "`-1` is not a whole number"),
        (&["settings", "set", RATE, "many"], "`many` is not a whole number"),
        (&["settings", "set", BURST, "99"], "is below messaging.sends_per_second, 100"),
        (&["settings", "set", "messaging.sends_per_secnd", "7"], "did you mean `messaging.sends_per_second`?"),
        (&["settings", "set", "log.partitions", "7"], "Set it in each node's configuration"),
        (&["settings", "set", RATE, "7", "--seen", "0"], "it is at version 1, and you have seen 0"),
        (&["settings", "unset", RATE, "--seen", "9"], "it is at version 1, and you have seen 9"),
        (&["settings", "set", RATE, "7", "--by", ""], "a name has 1 to 256 bytes"),
    ];
    for (words, why) in cases {
        let complaint = operator.refused(words);
        assert!(complaint.contains(why), "{words:?}: {complaint}");
    }
    assert_eq!(operator.told(&["settings"]), before, "nothing has changed");
    let back = operator.told(&["settings", "unset", RATE, "--seen", "1"]);
    assert_eq!((&back["now"]["value"], &back["now"]["by"]), (&Value::Null, &json!("olga")), "who is logged in");
}

#[test]
fn what_cannot_be_reached_is_said_and_nothing_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = Operator { reaches: vec!["--data".to_owned(), folder.path().display().to_string()] };
    for words in [&["settings"][..], &["settings", "set", RATE, "7"], &["nodes"], &["users", "show", "ada"]] {
        let complaint = nowhere.refused(words);
        assert!(complaint.contains("there is no") && complaint.contains("--data"), "{complaint}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 0, "nothing was made");
    let silent = Operator { reaches: vec!["--config-nodes".to_owned(), "http://127.0.0.1:1".to_owned()] };
    for words in [&["settings"][..], &["settings", "set", RATE, "7"], &["partitions"]] {
        let complaint = silent.refused(words);
        assert!(complaint.contains("no config-node at http://127.0.0.1:1 answers"), "{complaint}");
    }
    let probes = ["lag", "--seconds", "1", "--admin-probes", "http://127.0.0.1:1"];
    let output = nowhere.said(&probes);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && complaint.contains("1 of 1 did not answer"), "{output:?}");
}

#[test]
fn nodes_lag_and_users_are_shown() {
    let server = Server::start_with(&["ada", "bob"], &["--messaging-name", "solo", "--log-partitions", "4"]);
    let mut operator = beside(&server);
    operator.reaches.extend(["--messaging-name", "solo", "--log-partitions", "4"].map(str::to_owned));
    let nodes = operator.told(&["nodes"]);
    assert_eq!((&nodes["nodes"][0]["name"], &nodes["nodes"][0]["partitions"]), (&json!("solo"), &json!(4)));
    assert!(operator.refused(&["drain", "solo"]).contains("is the last node that serves"));
    assert!(operator.refused(&["move", "0", "other"]).contains("no node \"other\" is up"));
    let partitions = operator.told(&["partitions"]);
    assert_eq!(partitions["partitions"].as_array().map(Vec::len), Some(4));
    assert_eq!(partitions["partitions"][3], json!({"partition": 3, "messaging": "solo", "history": "solo"}));

    let (mut ada, bob) = (server.synced("ada"), server.synced("bob"));
    let user = operator.told(&["users", "show", "ada"]);
    assert_eq!((&user["user_name"], user["devices"].as_array().map(Vec::len)), (&json!("ada"), Some(1)));
    let found = operator.told(&["users", "find", "bob"]);
    assert_eq!(found["users"][0]["id"], json!(bob.user.to_string()));
    assert!(operator.refused(&["users", "show", "eve"]).contains("there is no user eve"));

    ada.say(bob.user, "hi");
    let gateway = format!("http://{}", server.addresses().gateway);
    let lag = ["lag", "--seconds", "1", "--admin-probes", &gateway];
    let archived = || {
        let told = operator.told(&lag);
        let process = &told["processes"][0];
        assert_eq!((&process["address"], &process["ready"]), (&json!(gateway), &json!(true)));
        let readers: Vec<_> = process["readers"].as_array().expect("readers").iter().map(|of| &of["reader"]).collect();
        readers.contains(&&json!("archive")).then_some(())
    };
    wait_for("archive has measured its lag", archived);
    let table = String::from_utf8(operator.said(&lag).stdout).expect("a text");
    assert!(table.starts_with("PROCESS ") && table.contains("archive"), "{table}");
}

//! Every role in a process of its own: people chat across them while one after the other is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use loadtest::account::log_in;
use loadtest::server::Person;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use volery_testkit::engine::Engine;

use super::kit::wait_for;
use super::paused::{PARTITIONS, is_back, partitions_of};
use super::role::Role;
use super::{
    BINARY, GONE_FOR, OPEN, RATE, SECONDS, alone, chat_at, chat_at_while, on_cassandra, on_kafka, on_postgres,
};

pub(super) const PASSWORD: &str = "a password";
/// Two for each pair of the load, and one who logs in meanwhile.
const PEOPLE: usize = 9;
/// A role that is back is found again within this time.
const BACK_WITHIN: Duration = Duration::from_secs(20);
/// Engines, and what every process is told.
pub(super) struct Ground {
    pub(super) kafka: Engine,
    pub(super) cassandra: Engine,
    pub(super) postgres: Engine,
    pub(super) settings: Vec<String>,
    folder: tempfile::TempDir,
}

impl Ground {
    pub(super) fn new(test: &str) -> Option<Self> {
        let kafka = Engine::start(test, "kafka")?;
        let cassandra = Engine::start(test, "cassandra")?;
        let postgres = Engine::start(test, "postgres")?;
        let mut settings = [on_kafka(&kafka), on_cassandra(&cassandra), on_postgres(&postgres)].concat();
        settings.extend(OPEN.map(str::to_owned));
        let folder = tempfile::tempdir().expect("a folder");
        let ground = Self { kafka, cassandra, postgres, settings, folder };
        ground.import();
        Some(ground)
    }

    fn import(&self) {
        let params = Params::new(8, 1, 1, None).expect("what argon2 takes at least");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16]).expect("a hash").to_string();
        let line = |person: Person| format!(r#"{{"user_name":"{}","password_hash":"{hash}"}}"#, person.user_name);
        let file = self.folder.path().join("import.jsonl");
        fs::write(&file, people().map(line).collect::<Vec<_>>().join("\n")).expect("written");
        let mut command = Command::new(BINARY);
        command.args(["admin", "users", "import"]).arg(file).arg("--data").arg(self.folder.path());
        command.args(self.settings.iter().flat_map(|setting| ["--set", setting]));
        assert!(command.status().expect("it runs").success());
    }

    /// Those who chat, as the load wants them.
    pub(super) fn users(&self) -> PathBuf {
        let line = |person: Person| serde_json::to_string(&person).expect("plain data");
        let file = self.folder.path().join("users.jsonl");
        fs::write(&file, people().take(PEOPLE - 1).map(line).collect::<Vec<_>>().join("\n")).expect("written");
        file
    }

    pub(super) fn with(&self, more: &[String]) -> Vec<String> {
        [self.settings.as_slice(), more].concat()
    }
}

pub(super) fn people() -> impl Iterator<Item = Person> {
    (0..PEOPLE).map(|number| Person { user_name: format!("person_{number}"), password: PASSWORD.to_owned() })
}

/// Whether somebody can log in now.
fn logs_in(gateway: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let late: Vec<_> = people().skip(PEOPLE - 1).collect();
    runtime.block_on(log_in(gateway, &late)).is_ok()
}

pub(super) fn log_ins_come_back(gateway: &str) {
    let mut waited = Duration::ZERO;
    while !logs_in(gateway) {
        assert!(waited < BACK_WITHIN, "log-ins work again");
        std::thread::sleep(Duration::from_millis(250));
        waited += Duration::from_millis(250);
    }
}

/// Kills a role for a moment; `meanwhile` says whether people can log in then.
fn killed_for_a_moment(role: &mut Role, gateway: &str, meanwhile: bool) {
    role.kill();
    assert_eq!(logs_in(gateway), meanwhile);
    std::thread::sleep(GONE_FOR);
    role.restart();
    log_ins_come_back(gateway);
}

/// Kills one of two for longer than its lease: the other one has everything, until it is back.
fn one_of_two_is_killed(left: &mut Role, right: &Role, gateway: &str) {
    left.kill();
    wait_for("the other has everything", || (partitions_of(right) == PARTITIONS).then_some(()));
    assert!(logs_in(gateway), "people are told the other one");
    left.restart();
    is_back(left, right);
}

#[test]
fn promises_hold_while_roles_are_killed_one_after_the_other() {
    let _alone = alone();
    let Some(ground) = Ground::new("promises_hold_while_roles_are_killed_one_after_the_other") else { return };
    let mut idgen = Role::start(&["idgen"], &ground.settings);
    let numbers = format!("idgen.nodes={}", idgen.url("idgen"));
    let mut account = Role::start(&["account"], &ground.with(std::slice::from_ref(&numbers)));
    let mut config = Role::start(&["config"], &ground.settings);
    let maps = format!("config.nodes={}", config.url("config"));
    let [mut first, second] = ["first", "second"]
        .map(|name| Role::start(&["history"], &ground.with(&[maps.clone(), format!("history.name={name}")])));
    let asked = [
        numbers,
        format!("accounts.nodes={}", account.url("account")),
        format!("history.nodes={},{}", first.url("history"), second.url("history")),
        maps,
    ];
    let named = |name: &str| ground.with(&[asked.as_slice(), &[format!("messaging.name={name}")]].concat());
    let [mut left, right] = ["left", "right"].map(|name| Role::start(&["messaging"], &named(name)));
    let mut gateway = Role::start(&["gateway"], &ground.with(&asked));
    let url = gateway.url("gateway").to_owned();
    let users = ground.users();
    let kept = chat_at_while(&url, &users, RATE, || {
        is_back(&first, &second);
        one_of_two_is_killed(&mut first, &second, &url);
        killed_for_a_moment(&mut account, &url, false);
        one_of_two_is_killed(&mut left, &right, &url);
        killed_for_a_moment(&mut config, &url, true);
        killed_for_a_moment(&mut idgen, &url, true);
        killed_for_a_moment(&mut gateway, &url, false);
    });
    assert!(kept);
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
    let tls = ground.with(&certificates(ground.folder.path()));
    let behind = Role::start(&["idgen", "history", "account", "config"], &tls);
    let asked =
        ["history", "accounts", "idgen", "config"].map(|section| format!("{section}.nodes={}", behind.url("history")));
    let front = Role::start(&["gateway", "messaging"], &[tls.as_slice(), &asked].concat());
    assert!(chat_at(front.url("gateway"), &ground.users(), SECONDS));
}

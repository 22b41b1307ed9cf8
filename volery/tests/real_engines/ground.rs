//! Engines of all kinds, users, and what every process is told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use loadtest::server::Person;
use volery_testkit::engine::Engine;

use super::{BINARY, OPEN, on_cassandra, on_kafka, on_postgres, on_redis, person, users_of_load};

pub(super) const PASSWORD: &str = "a password";
/// Two for each pair of the load, and one who logs in meanwhile.
const PEOPLE: usize = 9;

/// See the module.
pub(super) struct Ground {
    pub(super) kafka: Engine,
    pub(super) cassandra: Engine,
    pub(super) redis: Engine,
    pub(super) postgres: Engine,
    pub(super) settings: Vec<String>,
    folder: tempfile::TempDir,
}

impl Ground {
    pub(super) fn new(test: &str) -> Option<Self> {
        let engines = Engine::start_all(test, ["kafka", "cassandra", "redis", "postgres"])?;
        let [kafka, cassandra, redis, postgres] = engines;
        let below = [on_kafka(&kafka), on_cassandra(&cassandra), on_redis(&redis), on_postgres(&postgres)];
        let settings = [below.concat(), OPEN.map(str::to_owned).to_vec()].concat();
        let folder = tempfile::tempdir().expect("a folder");
        let ground = Self { kafka, cassandra, redis, postgres, settings, folder };
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
        users_of_load(self.folder.path(), people().take(PEOPLE - 1))
    }

    pub(super) fn with(&self, more: &[String]) -> Vec<String> {
        [self.settings.as_slice(), more].concat()
    }

    /// For files.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

pub(super) fn people() -> impl Iterator<Item = Person> {
    (0..PEOPLE).map(|number| person(number, PASSWORD))
}

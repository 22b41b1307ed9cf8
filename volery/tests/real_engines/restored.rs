//! All engines out of backups, while people chat, and every promise holds. Each is copied while it is stopped.

use std::path::{Path, PathBuf};

use loadtest::failure::Failure;
use volery_testkit::engine::Engine;

use super::kit::backups::{Stored, all_comes_back, cp};
use super::{alone, on_cassandra, on_kafka, on_postgres};

/// By what they keep.
struct Engines {
    engines: [(&'static str, Engine); 3],
    copies: PathBuf,
}

impl Stored for Engines {
    fn copy(&self, name: &str, _: &Path) -> Result<(), Failure> {
        let engine = self.engines.iter().find_map(|(keeps, engine)| (*keeps == name).then_some(engine));
        let engine = engine.ok_or_else(|| Failure(format!("nothing keeps the {name}")))?;
        engine.stop();
        cp(&engine.folder().join("data"), &self.copies.join(name))?;
        engine.restart();
        Ok(())
    }

    fn put_back(&self, _: &Path) -> Result<(), Failure> {
        for (name, engine) in &self.engines {
            engine.kill();
            let data = engine.folder().join("data");
            std::fs::remove_dir_all(&data)?;
            cp(&self.copies.join(name), &data)?;
        }
        std::thread::scope(|scope| {
            self.engines.iter().for_each(|(_, engine)| drop(scope.spawn(move || engine.restart())));
        });
        Ok(())
    }
}

#[test]
fn all_engines_out_of_backups_in_their_order_keep_what_was_said() {
    let _alone = alone();
    let name = "all_engines_out_of_backups_in_their_order_keep_what_was_said";
    let engines = Engine::start_all(name, ["cassandra", "kafka", "postgres"]);
    let Some([cassandra, kafka, postgres]) = engines else { return };
    let settings = [on_cassandra(&cassandra), on_kafka(&kafka), on_postgres(&postgres)].concat();
    let copies = tempfile::tempdir().expect("a folder");
    let engines = [("timeline", cassandra), ("log", kafka), ("accounts", postgres)];
    all_comes_back(settings, Engines { engines, copies: copies.path().to_owned() });
}

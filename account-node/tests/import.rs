//! Import: what is wrong is reported by its line, and everything else is there.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod support;

use std::io::Cursor;

use support::bench;
use volery_account::{ImportError, Imported, Progress, import_users};
use volery_kernel::time::Timestamp;
use volery_ports::account_service::{AccountService as _, LogIn};
use volery_ports::sql::AccountStore as _;
use volery_testkit::sql::{CountedIds, Model};

async fn import(store: &Model, lines: &str) -> (Result<Imported, ImportError>, Vec<(u64, String)>) {
    let mut failed = Vec::new();
    let mut report = |progress: Progress<'_>| {
        if let Progress::Failed { line, reason } = progress {
            failed.push((line, reason.to_owned()));
        }
    };
    let input = Cursor::new(lines.to_owned());
    let outcome = import_users(store, &CountedIds::default(), Timestamp(7), input, &mut report).await;
    (outcome, failed)
}

/// A hash that this node made, as another installation would have.
async fn hash_of(name: &str) -> String {
    let bench = bench().await;
    bench.register(name).await.expect("registered");
    bench.store.credentials(name).await.expect("there").expect("there").password_hash
}

#[tokio::test]
async fn imported_people_log_in_with_the_password_that_they_had() {
    let hash = hash_of("ada").await;
    let bench = bench().await;
    let line = format!(r#"{{"user_name":"ada","display_name":"Ada","password_hash":"{hash}","id":"123"}}"#);
    let (outcome, failed) = import(&bench.store, &line).await;
    assert_eq!((outcome.expect("imported").written, failed), (1, vec![]));
    let user = bench.node.user_by_name("ada").await.expect("there").expect("there");
    assert_eq!((user.id.get(), user.display_name.as_str(), user.created), (123, "Ada", Timestamp(7)));
    assert_eq!(bench.log_in("ada").await.expect("the old password").user, user.id);
    let wrong = LogIn { user_name: "ada".into(), password: "another".into(), device_name: String::new() };
    assert!(bench.node.log_in(wrong).await.is_err());
}

#[tokio::test]
async fn wrong_lines_are_named_and_the_others_are_there() {
    let hash = hash_of("ada").await;
    let store = Model::default();
    let good = |name: &str| format!(r#"{{"user_name":"{name}","password_hash":"{hash}"}}"#);
    let lines = [
        good("one"),
        String::new(),
        "{".into(),
        good("Two"),
        good("one").replace("}", r#","id":"999"}"#),
        good("root"),
        format!(r#"{{"user_name":"long","password_hash":"{}"}}"#, "x".repeat(10_000)),
        good("three").replace(&hash, "plain"),
        good("four").replace("}", r#","display_name":"a\u202eb"}"#),
        good("five").replace("}", r#","id":5}"#),
        good("six").replace("}", r#","id":"0"}"#),
        good("seven").replace("}", r#","admin":true}"#),
        good("eight"),
    ];
    let (outcome, failed) = import(&store, &lines.join("\n")).await;
    assert_eq!(outcome.expect("imported"), Imported { lines: 13, written: 2, failed: 10 });
    assert_eq!(failed.iter().map(|(line, _)| *line).collect::<std::collections::BTreeSet<_>>(), (3..=12).collect());
    for (line, reason) in
        [(4, "user_name"), (5, "somebody has this user_name"), (7, "longer"), (8, "PHC"), (12, "admin")]
    {
        let said = failed.iter().find(|(number, _)| *number == line).map(|(_, said)| said.as_str());
        assert!(said.is_some_and(|said| said.contains(reason)), "line {line}: {said:?}");
    }
    assert!(store.credentials("eight").await.expect("there").is_some());
    assert!(store.credentials("five").await.expect("there").is_none());
}

#[tokio::test]
async fn a_file_with_ids_may_be_imported_again() {
    let hash = hash_of("ada").await;
    let store = Model::default();
    let line = |number: u64| format!(r#"{{"user_name":"user{number}","password_hash":"{hash}","id":"{number}"}}"#);
    let lines: Vec<_> = (1..=2_500).map(line).collect();
    for _ in 0..2 {
        let (outcome, failed) = import(&store, &lines.join("\r\n")).await;
        assert_eq!((outcome.expect("imported").written, failed), (2_500, vec![]));
    }
}

#[tokio::test]
async fn an_outage_ends_it_and_says_how_far_it_came() {
    let hash = hash_of("ada").await;
    let store = Model::default();
    let lines: Vec<_> =
        (1..=1_500).map(|number| format!(r#"{{"user_name":"user{number}","password_hash":"{hash}"}}"#)).collect();
    let mut report = |progress: Progress<'_>| {
        if matches!(progress, Progress::Written(_)) {
            store.set_away(true);
        }
    };
    let input = Cursor::new(lines.join("\n"));
    let outcome = import_users(&store, &CountedIds::default(), Timestamp(7), input, &mut report).await;
    let Err(ImportError::Unavailable { so_far, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(so_far.written, 1_000);
    store.set_away(false);
    assert!(store.credentials("user1000").await.expect("there").is_some());
}

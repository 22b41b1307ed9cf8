//! What was kept is there after a crash at any byte; what was damaged is not skipped in silence.

#![allow(clippy::unwrap_used, reason = "a test's own failures")]

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use volery_client::intent::{Act, Intent};
use volery_client::state::{Change, Held, State};
use volery_client::store::{FileStore, Folder, Store, StoreError};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{Id, SessionNumber, UserId};
use volery_kernel::position::Source;
use volery_kernel::time::Timestamp;
use volery_wire::client::Shown;
use volery_wire::field::Blob;

fn folder(home: &tempfile::TempDir) -> Arc<Folder> {
    Arc::new(Folder::open(home.path(), "http://localhost:8400", "ada").unwrap())
}

fn id(raw: u64) -> Id {
    Id::new(raw).unwrap()
}

fn held() -> Held {
    let chat = ChatId::direct(UserId(id(1)), UserId(id(2)));
    Held { chat, shown: Shown { source: Source(7), id: id(70) } }
}

fn changes() -> Vec<Change> {
    let wanted = |local| {
        let act = Act::Say { text: format!("line\n{local}"), reply_to: Some(id(3)) };
        Change::Wanted(Intent { local, to: UserId(id(2)), act, at: Timestamp(5), shown: None })
    };
    vec![
        Change::Session(SessionNumber(id(10))),
        wanted(0),
        Change::Keyed { local: 0, session: SessionNumber(id(10)), number: 1 },
        Change::Progress { position: Some(Blob(vec![1, 2, 3])), largest_id: id(99), undelivered: vec![held()] },
        wanted(1),
        Change::Failed { local: 1, code: "too_large".into() },
        Change::Gone(0),
    ]
}

fn states() -> Vec<State> {
    let mut state = State::default();
    let mut states = vec![state.clone()];
    for change in changes() {
        state.apply(change);
        states.push(state.clone());
    }
    states
}

#[test]
fn a_file_cut_at_any_byte_holds_a_state_that_was_kept() {
    let home = tempfile::tempdir().unwrap();
    let folder = folder(&home);
    let mut store = FileStore::open(Arc::clone(&folder)).unwrap();
    let snapshot = std::fs::metadata(folder.file("state.jsonl")).unwrap().len() as usize;
    for change in changes() {
        store.keep(vec![change]).unwrap();
    }
    drop(store);
    let bytes = std::fs::read(folder.file("state.jsonl")).unwrap();
    let (states, mut held) = (states(), 0);
    for end in snapshot..=bytes.len() {
        std::fs::write(folder.file("state.jsonl"), &bytes[..end]).unwrap();
        let state = FileStore::open(Arc::clone(&folder)).unwrap().state();
        let now = states.iter().position(|known| *known == state).unwrap();
        assert!(now == held || now == held + 1, "from state {held} to {now} at byte {end}");
        held = now;
    }
    assert_eq!(held, states.len() - 1);
}

#[test]
fn damage_in_the_middle_is_reported() {
    let home = tempfile::tempdir().unwrap();
    let folder = folder(&home);
    FileStore::open(Arc::clone(&folder)).unwrap().keep(changes()).unwrap();
    let mut bytes = std::fs::read(folder.file("state.jsonl")).unwrap();
    let second = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 3;
    bytes[second] = b'\0';
    std::fs::write(folder.file("state.jsonl"), &bytes).unwrap();
    assert!(matches!(FileStore::open(folder), Err(StoreError::Damaged { line: 2, .. })));
}

#[test]
fn intents_that_do_not_stand_under_their_own_numbers_are_damage() {
    let kept = |local: u64| {
        let intent = format!(r#"{{"local":{local},"to":"2","act":{{"say":{{"text":"hi"}}}},"at":1}}"#);
        format!(r#"{{"intent":{intent},"key":{{"session":"4","number":{local}}}}}"#)
    };
    let read = |outbox: String| FileStore::decode(format!("{{\"snapshot\":{{\"outbox\":{{{outbox}}}}}}}\n").as_bytes());
    assert!(read(format!(r#""5":{},"7":{}"#, kept(5), kept(7))).is_ok());
    // The first would be retried under the second's number, for ever.
    assert!(matches!(read(format!(r#""5":{},"7":{}"#, kept(7), kept(7))), Err(StoreError::Damaged { line: 1, .. })));
    // And no number comes after the largest.
    assert!(matches!(read(format!(r#""{0}":{1}"#, u64::MAX, kept(u64::MAX))), Err(StoreError::Damaged { .. })));
}

#[test]
fn it_stays_small_and_private_and_one_process_uses_it() {
    let home = tempfile::tempdir().unwrap();
    let folder = folder(&home);
    assert!(matches!(Folder::open(home.path(), "localhost:8400/", "ada"), Err(StoreError::InUse)));
    let mut store = FileStore::open(Arc::clone(&folder)).unwrap();
    for n in 0..10_000 {
        store
            .keep(vec![Change::Progress {
                position: Some(Blob(vec![7; 19])),
                largest_id: id(n),
                undelivered: Vec::new(),
            }])
            .unwrap();
    }
    let file = std::fs::metadata(folder.file("state.jsonl")).unwrap();
    assert!(file.len() < 300_000);
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let path = home.path().join("localhost_8400").join("ada");
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(store.state().largest_id, id(9_999));
    drop((store, folder));
    assert!(Folder::open(home.path(), "localhost:8400", "ada").is_ok());
}

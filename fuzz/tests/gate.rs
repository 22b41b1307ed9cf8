//! Each decoder under what was found before, a fixed seed's inputs, and those of a seed that is new in
//! every run. `VOLERY_FUZZ_SEED` sets the latter, `VOLERY_FUZZ_INPUTS` how many a seed makes.

#![expect(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test's own failures")]

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use volery_fuzz::drive::{Finding, Tally, once, round};
use volery_fuzz::{TARGETS, Verdict, kept, target};

/// Inputs a seed, of two seeds.
const INPUTS: usize = 5_500;
const FIXED: u64 = 0x0f0e_1e57;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

fn gate(name: &str) {
    let target = target(name).unwrap();
    let mut valid = (target.seeds)();
    assert!(!valid.is_empty());
    for seed in &valid {
        assert_eq!(once(target, seed), Ok(Verdict::Taken), "a valid input is not taken: {seed:02x?}");
    }
    for (path, input) in kept::load(name).unwrap() {
        once(target, &input).unwrap_or_else(|what| panic!("{}: {what}", path.display()));
        valid.push(input);
    }
    let fresh = number("VOLERY_FUZZ_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let inputs = number("VOLERY_FUZZ_INPUTS").map_or(INPUTS, |inputs| usize::try_from(inputs).unwrap());
    let run = |seed| -> Tally {
        round(target, &valid, seed, inputs).unwrap_or_else(|finding: Box<Finding>| panic!("{finding}"))
    };
    let (fixed, fresh) = (run(FIXED), run(fresh));
    assert!(fixed.mutated + fresh.mutated >= inputs && fixed.made_up + fresh.made_up >= inputs);
    assert!(fixed.taken > 0 && fixed.taken < inputs, "{} of {inputs} were taken: one side was not seen", fixed.taken);
}

macro_rules! gates {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                gate(stringify!($name));
            }
        )*

        #[test]
        fn no_target_is_left_out() {
            let tested = [$(stringify!($name)),*];
            let there: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(tested[..], there[..]);
        }
    };
}

gates! {
    frame_header messages text_pieces close_payload
    upgrade_request upgrade_answer door_address certificate
    request_message_pack request_json reply_message_pack reply_json
    log_event position name page_cursor
    segment sealed_segment log_folder timeline_row
    timeline_cell partition_map rpc_message
    http_body http_query http_time forwarded_for
    access_token import_lines configuration
    bus_message
    client_session client_state client_answer
}

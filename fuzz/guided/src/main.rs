//! The targets of `volery-fuzz` under libFuzzer. Owns nothing but the choice of one: `FUZZ_TARGET`
//! names it, so that one program serves all. A finding is a panic; libFuzzer writes its input to a file.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use volery_fuzz::{Target, drive, target};

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target: see `make fuzz`");
        let target = target(&name).unwrap_or_else(|| panic!("there is no target {name}"));
        assert!(TARGET.set(target).is_ok());
    },
    |input: &[u8]| {
        let target = TARGET.get().expect("set at the beginning");
        if let Err(what) = drive::once(target, input) {
            panic!("{what}");
        }
    }
);

//! Numbers and refusals come back the same, and nonsense names its field.

use proptest::prelude::*;
use volery_kernel::id::GENERATOR_MAX;
use volery_kernel::time::Timestamp;
use volery_ports::accounts::Unavailable;
use volery_ports::ids::{Held, ReserveError};

use super::convert;
use crate::limits::HOLDER_BYTES;

proptest! {
    #[test]
    fn numbers_come_back(number in 0..=GENERATOR_MAX, from in any::<u64>(), until in any::<u64>()) {
        let held = Held { number, from: Timestamp(from), until: Timestamp(until) };
        prop_assert_eq!(convert::to_held(convert::held(held)), Ok(held));
    }

    #[test]
    fn refusals_come_back(reason in "\\PC{0,20}", until in any::<u64>()) {
        let lost = ReserveError::Lost { until: Timestamp(until) };
        for error in [Unavailable(reason).into(), ReserveError::NoneFree, lost] {
            prop_assert_eq!(convert::from_status(&convert::to_status(error.clone())), error);
        }
    }
}

#[test]
fn nonsense_is_refused_by_its_field() {
    let number = |raw| convert::to_number(raw).err().map(|wrong| wrong.field);
    assert_eq!((number(Some(2_047)), number(Some(2_048)), number(None)), (None, Some("number"), Some("number")));
    let holder = |name: String| convert::to_holder(name).err().map(|wrong| wrong.field);
    assert_eq!(holder("a".into()), None);
    assert_eq!(holder(String::new()), Some("holder"));
    assert_eq!(holder("a".repeat(HOLDER_BYTES + 1)), Some("holder"));
}

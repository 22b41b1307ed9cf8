//! What holds of every event and of any bytes.

mod common;

use bytes::Bytes;
use proptest::prelude::*;
use volery_kernel::event::{Content, Event};
use volery_proto::{decode, encode, encode_record};

/// Where a change strikes (taken modulo the length), and what it does there.
fn changes() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    prop::collection::vec((any::<usize>(), 0u8..3, any::<u8>()), 1..6)
}

fn changed(mut bytes: Vec<u8>, changes: &[(usize, u8, u8)]) -> Bytes {
    for &(at, what, byte) in changes {
        let at = at % (bytes.len() + 1);
        match what {
            0 => bytes.truncate(at.max(8)),
            1 => bytes.insert(at, byte),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
        }
    }
    bytes.into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn events_come_back(event in common::events()) {
        let (key, bytes) = encode_record(&event);
        prop_assert_eq!(key, event.stream().to_key());
        prop_assert_eq!(decode(bytes), Ok(event));
    }

    #[test]
    fn bodies_are_slices_of_the_input(event in common::events()) {
        let bytes = encode(&event);
        if let Ok(Event::Send(send)) = decode(bytes.clone())
            && let Content::Message { body, .. } | Content::Edit { body, .. } = &send.content
            && !body.bytes.is_empty()
        {
            prop_assert!(bytes.as_ptr_range().contains(&body.bytes.as_ptr()));
        }
    }

    #[test]
    fn changed_bytes_are_refused_or_mean_one_thing(event in common::events(), changes in changes()) {
        if let Ok(event) = decode(changed(encode(&event).to_vec(), &changes)) {
            prop_assert_eq!(decode(encode(&event)), Ok(event));
        }
    }

    #[test]
    fn made_up_bytes_are_refused_or_mean_one_thing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(event) = decode(bytes.into()) {
            prop_assert_eq!(decode(encode(&event)), Ok(event));
        }
    }
}

//! Our records as Kafka's messages and back.
//!
//! Trap avoided: whoever may write to the topic may write what is none of ours. It must not stop the partition: it
//! is passed on as a record that nobody understands, and so it is set aside. Damage is what Kafka itself breaks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders, Timestamp as Stamped};
use volery_kernel::time::Timestamp;
use volery_ports::log::{AppendError, NewRecord, StoredRecord};

use crate::options::RECORD_MOST;

/// Refuses a batch before any of it is sent.
pub(crate) fn refuse_too_large(batch: &[NewRecord]) -> Result<(), AppendError> {
    match batch.iter().map(size).find(|size| *size > RECORD_MOST) {
        Some(size) => Err(AppendError::TooLarge(size)),
        None => Ok(()),
    }
}

/// Bytes of value and headers.
pub(crate) fn size(record: &NewRecord) -> usize {
    record.value.len() + record.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
}

pub(crate) fn headers(record: &NewRecord) -> OwnedHeaders {
    let none = OwnedHeaders::new_with_capacity(record.headers.len());
    let add = |all: OwnedHeaders, (key, value): &(String, Bytes)| all.insert(Header { key, value: Some(&value[..]) });
    record.headers.iter().fold(none, add)
}

/// The broker's clock; nothing if the time is the producer's own, which a topic of ours never keeps.
pub(crate) fn stamp(timestamp: Stamped) -> Option<Timestamp> {
    match timestamp {
        Stamped::LogAppendTime(millis) => u64::try_from(millis).ok().map(Timestamp),
        Stamped::CreateTime(_) | Stamped::NotAvailable => None,
    }
}

/// What was stored, or what is wrong with it. A key that is not one of ours is nobody's, a value that is not there is
/// empty.
pub(crate) fn stored(message: &BorrowedMessage<'_>) -> Result<StoredRecord, &'static str> {
    let key = message.key().and_then(|key| key.try_into().ok()).unwrap_or_default();
    let value = message.payload().map(Bytes::copy_from_slice).unwrap_or_default();
    let stamp = stamp(message.timestamp()).ok_or("the stamp is not the log's")?;
    let offset = u64::try_from(message.offset()).map_err(|_| "the offset is below 0")?;
    Ok(StoredRecord { offset, stamp, record: NewRecord { key, headers: stored_headers(message), value } })
}

/// None, if the name of one is no text: rdkafka 0.39 panics over it, and has no way around it.
fn stored_headers(message: &impl Message) -> Vec<(String, Bytes)> {
    let copy = |value: Option<&[u8]>| value.map(Bytes::copy_from_slice).unwrap_or_default();
    let read = || {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        headers.map(|header| (header.key.to_owned(), copy(header.value))).collect()
    };
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rdkafka::message::OwnedMessage;

    use super::*;

    fn with_header(name: &str) -> OwnedMessage {
        let headers = OwnedHeaders::new().insert(Header { key: name, value: Some(&b"1"[..]) });
        OwnedMessage::new(None, None, String::new(), Stamped::NotAvailable, 0, 0, Some(headers))
    }

    #[test]
    fn a_header_whose_name_is_no_text_stops_nobody() {
        assert_eq!(stored_headers(&with_header("kind")), [("kind".to_owned(), Bytes::from_static(b"1"))]);
        // SAFETY: librdkafka copies the bytes; Rust reads them as a text nowhere but in what is tested.
        let name = unsafe { String::from_utf8_unchecked(vec![b'k', 0xff]) };
        assert_eq!(stored_headers(&with_header(&name)), []);
    }
}

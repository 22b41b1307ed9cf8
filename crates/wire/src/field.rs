//! Ids, bytes and chats as fields of both encodings: integers and binary in MessagePack, strings
//! (decimal, base64) in JSON. Integers are read in any width, and from strings in JSON.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use volery_kernel::chat::ChatId;
use volery_kernel::id::{DeviceId, Id, SessionNumber, UserId};
use volery_kernel::position::Source;

/// A 64-bit number that JSON carries as a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(pub u64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(&self.0) } else { serializer.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyWidth;
        impl Visitor<'_> for AnyWidth {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer from 0 to 2^64 - 1, or its decimal digits")
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                u64::try_from(value).map(Number).map_err(|_| E::custom("negative"))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Number, E> {
                value.parse().map(Number).map_err(|_| E::custom("not decimal digits"))
            }
        }
        deserializer.deserialize_any(AnyWidth)
    }
}

macro_rules! number_field {
    ($($(#[$doc:meta])* $module:ident, $kind:ty, $get:expr, $new:expr;)*) => {$(
        $(#[$doc])*
        pub mod $module {
            use super::*;

            /// Writes the number.
            pub fn serialize<S: Serializer>(value: &$kind, serializer: S) -> Result<S::Ok, S::Error> {
                let get: fn(&$kind) -> u64 = $get;
                Number(get(value)).serialize(serializer)
            }

            /// Reads the number and checks its range.
            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$kind, D::Error> {
                let new: fn(u64) -> Result<$kind, volery_kernel::id::NotAnId> = $new;
                new(Number::deserialize(deserializer)?.0).map_err(D::Error::custom)
            }
        }
    )*};
}

number_field! {
    /// A message or change id.
    id, Id, |id| id.get(), Id::new;
    /// A user's id.
    user, UserId, |user| user.get(), UserId::new;
    /// A device's id.
    device, DeviceId, |device| device.get(), DeviceId::new;
    /// A session's number.
    session, SessionNumber, |session| session.get(), SessionNumber::new;
    /// A source position.
    source, Source, |source| source.0, |raw| Ok(Source(raw));
}

macro_rules! optional_field {
    ($($(#[$doc:meta])* $module:ident, $kind:ty, $inner:literal;)*) => {$(
        $(#[$doc])*
        pub mod $module {
            use super::*;

            #[derive(Serialize, Deserialize)]
            #[serde(transparent)]
            struct Inner(#[serde(with = $inner)] $kind);

            /// Writes the number, or nothing.
            pub fn serialize<S: Serializer>(value: &Option<$kind>, serializer: S) -> Result<S::Ok, S::Error> {
                value.map(Inner).serialize(serializer)
            }

            /// Reads the number, or nothing.
            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<$kind>, D::Error> {
                Ok(Option::<Inner>::deserialize(deserializer)?.map(|inner| inner.0))
            }
        }
    )*};
}

optional_field! {
    /// A message or change id, or nothing.
    id_or_none, Id, "super::id";
    /// A session's number, or nothing.
    session_or_none, SessionNumber, "super::session";
    /// A source position, or nothing.
    source_or_none, Source, "super::source";
}

/// Several users.
pub mod users {
    use super::{Deserialize, Deserializer, Serialize, Serializer, UserId};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct One(#[serde(with = "super::user")] UserId);

    /// Writes the numbers.
    pub fn serialize<S: Serializer>(value: &[UserId], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value.iter().map(|user| One(*user)))
    }

    /// Reads the numbers.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<UserId>, D::Error> {
        Ok(Vec::<One>::deserialize(deserializer)?.into_iter().map(|one| one.0).collect())
    }
}

/// A chat, written `direct:<user>:<user>` or `group:<id>` in both encodings.
pub mod chat {
    use super::{ChatId, Cow, Deserialize, Deserializer, Error, Serializer};

    /// Writes the text.
    pub fn serialize<S: Serializer>(value: &ChatId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads the text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ChatId, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Opaque bytes: binary in MessagePack, base64 (URL-safe, no padding) in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("binary, or base64 without padding")
            }

            fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<Blob, E> {
                Ok(Blob(value.to_vec()))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Blob, E> {
                URL_SAFE_NO_PAD.decode(value).map(Blob).map_err(|_| E::custom("not base64"))
            }
        }
        deserializer.deserialize_any(Bytes)
    }
}

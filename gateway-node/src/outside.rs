//! The readers of what comes from outside, without HTTP around them, for whoever checks them all at
//! once: fuzzing does, nothing else. Owns nothing: they are `input`'s, `when`'s and `caller`'s.

use std::net::IpAddr;

use volery_kernel::id::Id;
use volery_kernel::limits;
use volery_kernel::time::Timestamp;

use crate::input::{Fields, Params};
use crate::{caller, when};

/// The parameters that routes ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// From 1 to 100.
    pub limit: usize,
    /// At most 64 bytes.
    pub cursor: Option<Vec<u8>>,
    /// An id.
    pub before: Option<Id>,
    /// A point in time.
    pub around_time: Option<Timestamp>,
}

/// Two text fields of a JSON body, the first of which must be there; `None` if it is refused.
#[must_use]
pub fn body(bytes: &[u8]) -> Option<(String, Option<String>)> {
    let mut fields = Fields::parse(bytes).ok()?;
    Some((fields.required("user_name").ok()?, fields.optional("display_name").ok()?))
}

/// What a query asks for; `None` if it is refused.
#[must_use]
pub fn query(text: &str) -> Option<Asked> {
    let params = Params::parse(text).ok()?;
    Some(Asked {
        limit: params.limit(limits::PAGE_DEFAULT.value, limits::PAGE_MOST.value).ok()?,
        cursor: params.cursor().ok()?,
        before: params.parsed("before").ok()?,
        around_time: params.text("around_time").map(|text| when::parse(text).ok_or(())).transpose().ok()?,
    })
}

/// A point in time.
#[must_use]
pub fn time(text: &str) -> Option<Timestamp> {
    when::parse(text)
}

/// Who asks, by lines of `X-Forwarded-For` that come from `peer`, a proxy that is trusted.
#[must_use]
pub fn forwarded(peer: IpAddr, lines: &str) -> IpAddr {
    caller::client(peer, lines.lines(), &[peer.to_canonical()])
}

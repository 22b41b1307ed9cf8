//! What comes from outside, checked: JSON bodies, query parameters, path segments.
//!
//! Bodies are objects whose fields are texts; whatever else comes is told by the name of the field.
//! Unknown fields and parameters are ignored, so that newer clients can talk to older gateways. Traps
//! avoided: a body without end (64 KiB), and one that comes a byte a second.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::{Bytes, Query};
use actix_web::{FromRequest, HttpRequest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use volery_kernel::code::Code;

use crate::caller::shared;
use crate::problem::Problem;

/// Largest body in bytes.
pub(crate) const BODY_BYTES: usize = 65_536;
/// Longest page cursor in bytes.
const CURSOR_BYTES: usize = 64;

/// The fields of a JSON body.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// A text that must be there.
    pub(crate) fn required(&mut self, name: &'static str) -> Result<String, Problem> {
        self.optional(name)?.ok_or_else(|| Problem::bad(name, "this field is missing"))
    }

    /// A text that may be missing or null.
    pub(crate) fn optional(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        match self.0.remove(name) {
            Some(Value::String(text)) => Ok(Some(text)),
            None | Some(Value::Null) => Ok(None),
            Some(_) => Err(Problem::bad(name, "this field must be a string")),
        }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let text = std::str::from_utf8(bytes).map_err(|_| Problem::new(Code::InvalidUtf8))?;
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Problem::new(Code::BadRequest).because("the body must be a JSON object")),
            Err(error) => Err(Problem::new(Code::BadRequest).because(format!("the body is not JSON: {error}"))),
        }
    }
}

impl FromRequest for Fields {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media = is_json(request);
        let shared = shared(request);
        let bytes = Bytes::from_request(request, payload);
        Box::pin(async move {
            media?;
            let late = |_| Problem::new(Code::BadRequest).because("the body did not arrive in time");
            let bytes = tokio::time::timeout(shared?.body_within, bytes).await.map_err(late)?;
            Self::parse(&bytes.map_err(|error| unreadable(&error))?)
        })
    }
}

fn is_json(request: &HttpRequest) -> Result<(), Problem> {
    let named = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = named.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(Problem::new(Code::UnsupportedMedia)) }
}

fn unreadable(error: &actix_web::Error) -> Problem {
    match error.as_error::<PayloadError>() {
        Some(PayloadError::Overflow) => {
            Problem::new(Code::TooLarge).because(format!("a body has at most {BODY_BYTES} bytes"))
        }
        _ => Problem::new(Code::BadRequest).because("the body could not be read"),
    }
}

/// The parameters behind the question mark.
pub(crate) struct Params(HashMap<String, String>);

impl Params {
    pub(crate) fn parse(query: &str) -> Result<Self, Problem> {
        let query = Query::<HashMap<String, String>>::from_query(query);
        let bad = |_| Problem::new(Code::BadRequest).because("the query cannot be read");
        query.map(|query| Self(query.into_inner())).map_err(bad)
    }

    /// A parameter as it is written.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A number or an id.
    pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(&self, name: &'static str) -> Result<Option<T>, Problem> {
        self.text(name).map(|text| parsed(name, text)).transpose()
    }

    /// `limit`: from 1 to `most`.
    pub(crate) fn limit(&self, default: usize, most: usize) -> Result<usize, Problem> {
        match self.parsed("limit")? {
            None => Ok(default),
            Some(limit) if (1..=most).contains(&limit) => Ok(limit),
            Some(_) => Err(Problem::bad("limit", format!("it is from 1 to {most}"))),
        }
    }

    /// `cursor`: the opaque bytes that an earlier page gave.
    pub(crate) fn cursor(&self) -> Result<Option<Vec<u8>>, Problem> {
        let Some(text) = self.text("cursor") else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() <= CURSOR_BYTES);
        bytes.map(Some).ok_or_else(|| Problem::new(Code::InvalidCursor).in_field("cursor"))
    }
}

impl FromRequest for Params {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Self::parse(request.query_string()))
    }
}

/// Reads an id or number from a parameter or a path segment.
pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(name: &'static str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::bad(name, error.to_string()))
}

//! How refusals travel: a gRPC status whose details are a `google.rpc.Status`, as every gRPC tool
//! reads it, around the message of ours that says the rest.
//!
//! A status with details is the role's own answer. One without comes from whatever lies between, and
//! says nothing about the role but that it cannot be reached.

use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};

use crate::check::Nonsense;

const BAD_REQUEST: &str = "google.rpc.BadRequest";

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Details {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

/// `google.rpc.BadRequest.FieldViolation`.
#[derive(Clone, PartialEq, Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

/// A status that carries `detail`, a message of the type named.
pub(crate) fn with_detail(code: Code, message: String, name: &str, detail: &impl Message) -> Status {
    let any = Any { type_url: format!("type.googleapis.com/{name}"), value: detail.encode_to_vec().into() };
    let details = Details { code: code.into(), message: message.clone(), details: vec![any] };
    Status::with_details(code, message, details.encode_to_vec().into())
}

/// The detail of this type, if the status has one.
pub(crate) fn detail<M: Message + Default>(status: &Status, name: &str) -> Option<M> {
    let details = Details::decode(status.details()).ok()?;
    let is_it = |any: &Any| any.type_url.rsplit('/').next() == Some(name);
    let any = details.details.into_iter().find(is_it)?;
    M::decode(any.value).ok()
}

/// A request means nothing.
impl From<Nonsense> for Status {
    fn from(nonsense: Nonsense) -> Self {
        let violation = FieldViolation { field: nonsense.field.into(), description: nonsense.what.into() };
        let detail = BadRequest { field_violations: vec![violation] };
        with_detail(Code::InvalidArgument, nonsense.to_string(), BAD_REQUEST, &detail)
    }
}

/// In words, for whoever reads the log.
pub(crate) fn told(status: &Status) -> String {
    match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_names_its_field() {
        let status = Status::from(Nonsense { field: "chat", what: "is not a chat" });
        assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "`chat` is not a chat"));
        let detail: BadRequest = detail(&status, BAD_REQUEST).expect("there");
        assert_eq!(detail.field_violations[0].field, "chat");
    }

    #[test]
    fn details_of_others_are_not_ours() {
        let status = Status::from(Nonsense { field: "chat", what: "is not a chat" });
        assert_eq!(detail::<BadRequest>(&status, "volery.history.v1.Failure"), None);
        let broken = Status::with_details(Code::Internal, "", Bytes::from_static(b"\xff\xff"));
        assert_eq!(detail::<BadRequest>(&broken, BAD_REQUEST), None);
    }
}

//! Errors as answers: RFC 9457 with the codes of the kernel.
//!
//! Trap avoided: what went wrong inside is logged under the request's id and never shown.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;
use volery_kernel::code::Code;
use volery_ports::account_service::AccountError;
use volery_ports::accounts::TokenError;
use volery_ports::history::HistoryError;

/// Media type of every error.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// What handlers answer when they do not do it.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// One sentence about this very request.
    detail: Option<String>,
    /// Which field, parameter or path segment is wrong.
    field: Option<&'static str>,
    /// Seconds to wait.
    retry_after: Option<u64>,
    /// For the log alone.
    pub(crate) cause: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: Code) -> Self {
        Self { code, detail: None, field: None, retry_after: None, cause: None }
    }

    pub(crate) fn because(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    pub(crate) fn in_field(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }

    /// A field, parameter or segment that cannot be what it is.
    pub(crate) fn bad(field: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Code::BadRequest).in_field(field).because(detail)
    }

    pub(crate) fn after_seconds(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    fn caused_by(self, cause: &impl fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..self }
    }

    /// The problem that a status of the framework's own stands for.
    pub(crate) fn of_status(status: StatusCode, cause: Option<&actix_web::Error>) -> Self {
        let code = match status {
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMedia,
            StatusCode::TOO_MANY_REQUESTS => Code::TooManyRequests,
            StatusCode::SERVICE_UNAVAILABLE => Code::Busy,
            status if status.is_client_error() => Code::BadRequest,
            _ => Code::Internal,
        };
        let problem = Self::new(code);
        cause.map_or_else(|| problem.clone(), |cause| problem.clone().caused_by(cause))
    }

    /// The body, with the request's id.
    pub(crate) fn body(&self, request_id: &str) -> ProblemBody {
        let code = self.code.text();
        ProblemBody {
            kind: format!("urn:volery:error:{code}"),
            code: code.into(),
            title: self.code.meaning().into(),
            status: self.code.http(),
            detail: self.detail.clone(),
            field: self.field.map(Into::into),
            retryable: self.code.retryable(),
            request_id: request_id.into(),
        }
    }
}

/// Why a request was not done (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// `urn:volery:error:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// One of the documented codes; it never changes its meaning.
    code: String,
    /// What the code means, for people.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this very request.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The field, parameter or path segment that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// Under this the service has logged the request.
    request_id: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.text())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Status and headers; the edge writes the body, because it knows the request's id.
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status_code());
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if matches!(self.code, Code::InvalidToken | Code::Revoked) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let problem = Self::new(error.code());
        match error {
            AccountError::Refused { field: Some(field), .. } => problem.in_field(field),
            AccountError::Refused { field: None, .. } => problem,
            AccountError::Busy => problem.after_seconds(1),
            AccountError::NoIds(_) | AccountError::Unavailable(_) | AccountError::Fault(_) => problem.caused_by(&error),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match &error {
            TokenError::Invalid => Self::new(Code::InvalidToken),
            TokenError::Revoked => Self::new(Code::Revoked),
            TokenError::Unavailable(reason) => Self::new(Code::AccountsUnavailable).caused_by(reason),
        }
    }
}

impl From<HistoryError> for Problem {
    fn from(error: HistoryError) -> Self {
        match &error {
            HistoryError::Unavailable(reason) => Self::new(Code::HistoryUnavailable).caused_by(reason),
            HistoryError::UnknownChat => Self::new(Code::UnknownChat).in_field("chat"),
            HistoryError::InvalidCursor => Self::new(Code::InvalidCursor).in_field("cursor"),
            HistoryError::TooOld => Self::new(Code::Internal).caused_by(&error),
        }
    }
}

//! The gateway's HTTP interface, as far as a chat client needs it.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{ClientBuilder, Method, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use volery_kernel::code::Close;
use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_tls::{TlsError, Trust};
use volery_wire::field;

use crate::core::Loss;

/// A request is given up after this long: password hashing may queue for a while.
const WITHIN: Duration = Duration::from_secs(20);

/// Why the gateway did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// It said no, with a documented code.
    #[error("{title}")]
    Refused {
        /// The code.
        code: String,
        /// A sentence for people.
        title: String,
        /// Whether the same may succeed later.
        retryable: bool,
        /// When, if it said so.
        after: Option<Duration>,
    },
    /// It could not be reached, or did not answer as a gateway does.
    #[error("the gateway cannot be reached: {0}")]
    Unreachable(String),
}

impl ApiError {
    /// What becomes of a device that wanted to be told its node. A token that the gateway refuses is refused by the
    /// node as well.
    #[must_use]
    pub fn loss(&self) -> Loss {
        match self {
            Self::Refused { retryable: false, .. } => Loss::Closed(Close::InvalidToken.number()),
            Self::Refused { after: Some(after), .. } => Loss::ComeAgain(after.as_millis() as u64),
            Self::Refused { .. } | Self::Unreachable(_) => Loss::Broken,
        }
    }

    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Refused { retryable: true, .. })
    }
}

impl From<reqwest::Error> for ApiError {
    fn from(error: reqwest::Error) -> Self {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            text = inner.to_string();
            cause = inner.source();
        }
        Self::Unreachable(text)
    }
}

impl From<TlsError> for ApiError {
    fn from(error: TlsError) -> Self {
        Self::Unreachable(error.to_string())
    }
}

/// What a log-in or a refresh gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Whose.
    #[serde(with = "field::user")]
    pub user: UserId,
    /// The device.
    #[serde(with = "field::device")]
    pub device: DeviceId,
    /// For `hello` and requests.
    pub access_token: String,
    /// First moment at which that is void.
    pub access_expires: Timestamp,
    /// Good for one use.
    pub refresh_token: String,
    /// First moment at which that is void.
    pub refresh_expires: Timestamp,
    /// Where to connect.
    pub node: String,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Never changes.
    #[serde(with = "field::user")]
    pub id: UserId,
    /// Unique.
    pub user_name: String,
    /// As others see it.
    pub display_name: String,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    #[serde(default)]
    title: String,
    detail: Option<String>,
    #[serde(default)]
    retryable: bool,
}

#[derive(Deserialize)]
struct Found {
    users: Vec<Person>,
}

#[derive(Deserialize)]
struct Node {
    address: String,
}

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    trust: Trust,
}

/// The beginnings of an HTTP client for the gateway at `base`. The trust that it is given is the only one it has:
/// the library names none by itself.
///
/// # Errors
/// [`TlsError`], for an `https://` gateway and a machine that names no authorities.
pub fn http_client(base: &str, trust: &Trust) -> Result<ClientBuilder, TlsError> {
    let config = if base.starts_with("https://") { trust.config()? } else { Trust::nobody()? };
    Ok(reqwest::Client::builder().tls_backend_preconfigured((*config).clone()))
}

impl Api {
    /// Talks to the gateway at `base`, like `http://127.0.0.1:8400`, or `https://…` to one whom `trust` believes.
    ///
    /// # Errors
    /// [`ApiError::Unreachable`] if no HTTP client can be made.
    pub fn new(base: &str, trust: Trust) -> Result<Self, ApiError> {
        Self::through(http_client(base, &trust)?, base, trust)
    }

    /// The same through an HTTP client of the caller's, made by [`http_client`]: from an address of its own, say.
    ///
    /// # Errors
    /// As [`Api::new`].
    pub fn through(http: ClientBuilder, base: &str, trust: Trust) -> Result<Self, ApiError> {
        let http = http.timeout(WITHIN).build()?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), trust })
    }

    /// Whom it believes, for the sockets that it names.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn register(&self, user_name: &str, password: &str) -> Result<Person, ApiError> {
        self.post("/v1/register", json!({ "user_name": user_name, "password": password })).await
    }

    /// Makes a device.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn log_in(&self, user_name: &str, password: &str, device_name: &str) -> Result<Grant, ApiError> {
        let body = json!({ "user_name": user_name, "password": password, "device_name": device_name });
        self.post("/v1/login", body).await
    }

    /// Exchanges a refresh token.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn refresh(&self, refresh_token: &str) -> Result<Grant, ApiError> {
        self.post("/v1/refresh", json!({ "refresh_token": refresh_token })).await
    }

    /// Logs the token's device out.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn log_out(&self, token: &str) -> Result<(), ApiError> {
        let request = self.http.request(Method::POST, format!("{}/v1/logout", self.base)).bearer_auth(token);
        checked(request.send().await?).await.map(|_| ())
    }

    /// The address of the token's messaging node. Where no socket can be opened at `not`, the answer waits for
    /// another one for a while.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn node(&self, token: &str, not: Option<&str>) -> Result<String, ApiError> {
        let not = not.map_or(String::new(), |not| format!("?not={}", encoded(not)));
        self.get::<Node>(&format!("/v1/node{not}"), token).await.map(|node| node.address)
    }

    /// People whose name contains `part`, an exact user name first.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn find(&self, part: &str, token: &str) -> Result<Vec<Person>, ApiError> {
        self.get::<Found>(&format!("/v1/users?q={}", encoded(part)), token).await.map(|found| found.users)
    }

    /// A person by user name.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn by_name(&self, user_name: &str, token: &str) -> Result<Person, ApiError> {
        self.get(&format!("/v1/users/by-name/{}", encoded(user_name)), token).await
    }

    /// A person by id.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn person(&self, id: UserId, token: &str) -> Result<Person, ApiError> {
        self.get(&format!("/v1/users/{id}"), token).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, ApiError> {
        let response = self.http.request(Method::POST, format!("{}{path}", self.base)).json(&body).send().await?;
        Ok(checked(response).await?.json().await?)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, token: &str) -> Result<T, ApiError> {
        let request = self.http.request(Method::GET, format!("{}{path}", self.base)).bearer_auth(token);
        Ok(checked(request.send().await?).await?.json().await?)
    }
}

async fn checked(response: Response) -> Result<Response, ApiError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let after = response.headers().get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.parse().ok());
    let problem = response.json::<Problem>().await;
    let problem = problem.map_err(|_| ApiError::Unreachable(format!("it answered {status}, as no gateway does")))?;
    let title = problem.detail.unwrap_or(problem.title);
    let after = after.map(Duration::from_secs);
    Err(ApiError::Refused { code: problem.code, title, retryable: problem.retryable, after })
}

fn encoded(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    part.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

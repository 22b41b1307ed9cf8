//! The gateways of a cluster, as many devices ask them: each has its own, and takes the next one when that does
//! not answer.
//!
//! Where they are on this machine, devices come from forty of its addresses, as people come from many: neither
//! ports nor what is limited by address run out.

use std::net::{IpAddr, Ipv4Addr};

use reqwest::Url;
use volery_client::shell::{Api, ApiError, http_client};
use volery_tls::Trust;

use crate::failure::Failure;

/// Source addresses: 127.0.0.2 and on.
const ADDRESSES: usize = 40;

/// See the module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateways {
    trust: Trust,
    /// By source address, then by gateway.
    apis: Vec<Vec<Api>>,
}

impl Gateways {
    /// Those at `http://…` or `https://…`, several by commas, as those see them who `trust` somebody.
    ///
    /// # Errors
    /// None is named, or one is no address.
    pub fn at(urls: &str, trust: &Trust) -> Result<Self, Failure> {
        let urls = urls.split(',').map(|url| parsed(url.trim())).collect::<Result<Vec<_>, _>>()?;
        let from = |number: usize| urls.iter().map(|url| api(url, trust, source_of(number))).collect();
        let apis = (0..ADDRESSES).map(from).collect::<Result<_, Failure>>()?;
        Ok(Self { trust: trust.clone(), apis })
    }

    /// Whom devices believe.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Asks for a device: its own gateway, and as long as one cannot be reached, the next.
    ///
    /// # Errors
    /// What the first says that answers, or the last.
    pub async fn ask<T>(&self, device: usize, ask: impl AsyncFn(&Api) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let apis = &self.apis[device % ADDRESSES];
        let mut answer = Err(ApiError::Unreachable("there is none".to_owned()));
        for api in apis.iter().cycle().skip(device % apis.len()).take(apis.len()) {
            answer = ask(api).await;
            if !matches!(answer, Err(ApiError::Unreachable(_))) {
                break;
            }
        }
        answer
    }
}

/// The address from which a device comes, if that is to go to a loopback address.
#[must_use]
pub fn source_of(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + (number % ADDRESSES) as u8))
}

fn parsed(url: &str) -> Result<Url, Failure> {
    let known = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let url_of = |text| Url::parse(text).ok().filter(known);
    url_of(url).ok_or_else(|| Failure(format!("{url:?} is no gateway: it is written http://host:8400 or https://host")))
}

fn api(url: &Url, trust: &Trust, source: IpAddr) -> Result<Api, Failure> {
    let base = url.as_str();
    let mut http = http_client(base, trust)?;
    let host = url.host_str().and_then(|host| host.parse::<Ipv4Addr>().ok());
    if host.is_some_and(|host| host.is_loopback()) {
        http = http.local_address(source);
    }
    Ok(Api::through(http, base, trust.clone())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_gateway_is_said() {
        for url in ["", "127.0.0.1:8400", "ftp://a", "http://a,"] {
            assert!(Gateways::at(url, &Trust::machine()).is_err_and(|failure| failure.0.contains("http://")), "{url}");
        }
    }
}

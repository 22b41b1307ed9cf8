//! Who asks, and from where.
//!
//! Trap avoided: `X-Forwarded-For` is whatever a client writes; it counts only when the connection
//! itself comes from a proxy that is trusted, and then its last entry that is not such a proxy.

use std::future::{Future, Ready, ready};
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use volery_kernel::code::Code;
use volery_ports::accounts::Claims;

use crate::problem::Problem;
use crate::server::Shared;

/// The user and device of a valid access token. A handler that takes one is closed to everybody else.
pub(crate) struct Caller(pub(crate) Claims);

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let shared = shared(request);
        let token = bearer(request);
        Box::pin(async move {
            let (shared, token) = (shared?, token?);
            Ok(Self(shared.tokens.authenticate(&token, shared.clock.now()).await?))
        })
    }
}

fn bearer(request: &HttpRequest) -> Result<String, Problem> {
    let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        value.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.map(|(_, token)| token.trim().to_owned()).ok_or_else(|| Problem::new(Code::InvalidToken))
}

/// What all workers share.
pub(crate) fn shared(request: &HttpRequest) -> Result<Data<Shared>, Problem> {
    request.app_data::<Data<Shared>>().cloned().ok_or_else(|| Problem::new(Code::Internal))
}

/// The client's address, as far as it can be believed; of IPv6 the /64, which is one customer's.
pub(crate) struct Address(pub(crate) IpAddr);

impl FromRequest for Address {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(shared(request).map(|shared| {
            let peer = request.peer_addr().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip());
            let forwarded = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
            Self(network(client(peer, forwarded, &shared.trusted_proxies)))
        }))
    }
}

pub(crate) fn client<'a>(peer: IpAddr, forwarded: impl Iterator<Item = &'a str>, trusted: &[IpAddr]) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted.contains(&peer) {
        return peer;
    }
    let hops: Vec<_> = forwarded.flat_map(|line| line.split(',')).map(|hop| hop.trim().parse::<IpAddr>()).collect();
    let believed = hops.into_iter().rev().map_while(Result::ok).map(|hop| hop.to_canonical());
    believed.into_iter().find(|hop| !trusted.contains(hop)).unwrap_or(peer)
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !0xffff_ffff_ffff_ffff)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn forwarded_addresses_count_only_from_proxies_that_are_trusted() {
        let trusted = [ip("10.0.0.1"), ip("10.0.0.2")];
        let seen = |peer: &str, lines: &[&str]| client(ip(peer), lines.iter().copied(), &trusted).to_string();
        assert_eq!(seen("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 198.51.100.7", "10.0.0.2"]), "198.51.100.7", "made up before ours");
        assert_eq!(seen("::ffff:10.0.0.1", &["198.51.100.7, junk"]), "10.0.0.1", "nothing behind junk is believed");
    }

    #[test]
    fn one_customer_of_ipv6_is_one_address() {
        assert_eq!(network(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1:2::"));
        assert_eq!(network(ip("192.0.2.1")), ip("192.0.2.1"));
    }
}

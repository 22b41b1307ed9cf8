//! Where a door is, as people and nodes write it: `ws://host:port/v1/ws`, or `wss://…` where it speaks TLS.

use std::str::FromStr;

use rustls::pki_types::ServerName;

/// Where `ws://` goes that names no port, and where `wss://` does.
const PORTS: [u16; 2] = [80, 443];

/// See the module. The path is not kept: a door has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether TLS is spoken there.
    pub secured: bool,
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Host and port as they were written: what a request names.
    pub authority: String,
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address of a door: it is written ws://host:port/v1/ws, or wss://host:port/v1/ws")]
pub struct BadAddress(pub String);

impl Address {
    /// The name that the door's certificate must have.
    ///
    /// # Errors
    /// [`BadAddress`] if the host is neither a name nor an IP address.
    pub fn name(&self) -> Result<ServerName<'static>, BadAddress> {
        ServerName::try_from(self.host.clone()).map_err(|_| BadAddress(self.authority.clone()))
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        parse(text).ok_or_else(|| BadAddress(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Address> {
    let (scheme, rest) = text.split_once("://")?;
    let secured = match scheme {
        "ws" => false,
        "wss" => true,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.contains(['@', ' ']))?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => match inner.split_once(']')? {
            (host, "") => (host, None),
            (host, port) => (host, Some(port.strip_prefix(':')?)),
        },
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(PORTS[usize::from(secured)]), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| Address { secured, host: host.to_owned(), port, authority: authority.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(bool, String, u16, String)> {
        let Address { secured, host, port, authority } = text.parse().ok()?;
        Some((secured, host, port, authority))
    }

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let of = |secured, host: &str, port, authority: &str| Some((secured, host.into(), port, authority.into()));
        assert_eq!(parts("ws://127.0.0.1:8401/v1/ws"), of(false, "127.0.0.1", 8401, "127.0.0.1:8401"));
        assert_eq!(parts("wss://chat.example.org/v1/ws"), of(true, "chat.example.org", 443, "chat.example.org"));
        assert_eq!(parts("ws://host"), of(false, "host", 80, "host"));
        assert_eq!(parts("wss://[::1]:8401/v1/ws"), of(true, "::1", 8401, "[::1]:8401"));
        assert_eq!(parts("wss://[::1]"), of(true, "::1", 443, "[::1]"));
        for bad in [
            "",
            "host:1",
            "http://host:1",
            "ws://",
            "ws://:1",
            "ws://host:x",
            "ws://host:70000",
            "ws://[::1]x",
            "ws://a@b:1",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_certificate_names_a_host_or_an_ip_address() {
        let name = |text: &str| text.parse::<Address>().and_then(|address| address.name());
        assert!(name("wss://chat.example.org:1").is_ok_and(|name| matches!(name, ServerName::DnsName(_))));
        assert!(name("wss://[::1]:1").is_ok_and(|name| matches!(name, ServerName::IpAddress(_))));
        assert!(name("wss://not_a..name:1").is_err());
    }
}

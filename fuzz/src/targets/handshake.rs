//! The HTTP upgrade, both sides.

use volery_door::handshake::client::Offer;
use volery_door::handshake::server::Upgrade;
use volery_kernel::limits;
use volery_wire::codec::Encoding;

use crate::Verdict;

const NONCE: [u8; 16] = [7; 16];

/// A request ends where it ends; its answer satisfies whoever asked; a refusal is an HTTP answer.
pub(crate) fn request(bytes: &[u8]) -> Verdict {
    match Upgrade::parse(bytes) {
        Ok(None) => {
            assert!(bytes.len() < limits::HANDSHAKE_BYTES.value, "more is waited for than is read");
            Verdict::Refused
        }
        Ok(Some(upgrade)) => {
            assert!(upgrade.consumed <= bytes.len().min(limits::HANDSHAKE_BYTES.value));
            assert_eq!(Upgrade::parse(&bytes[..upgrade.consumed - 1]), Ok(None), "complete before its end");
            well_formed(&upgrade.response(), "101");
            assert_eq!(
                Upgrade::parse(&bytes[..upgrade.consumed]),
                Ok(Some(upgrade)),
                "what follows it does not matter"
            );
            Verdict::Taken
        }
        Err(refusal) => {
            well_formed(&refusal.response(), &refusal.status().to_string());
            Verdict::Refused
        }
    }
}

/// A status line, headers without line breaks of somebody else's, and a body of the length it says.
fn well_formed(response: &[u8], status: &str) {
    let text = std::str::from_utf8(response).unwrap_or_default();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    let lines = head.split("\r\n").skip(1);
    let named = |line: &str, name: &str| line.strip_prefix(name).map(str::to_owned);
    let length = lines.clone().find_map(|line| named(line, "Content-Length: ")).unwrap_or_else(|| "0".to_owned());
    assert_eq!(length, body.len().to_string());
    assert!(lines.clone().all(|line| line.contains(": ") && !line.contains(['\r', '\n'])), "{head}");
    assert!(body.is_empty() || serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
}

/// An answer is taken only if it is one to this very request, and ends where it ends.
pub(crate) fn answer(bytes: &[u8]) -> Verdict {
    let offer = Offer::new(Encoding::MessagePack, NONCE);
    match offer.check(bytes) {
        Ok(Some(consumed)) => {
            assert!(consumed <= bytes.len().min(limits::HANDSHAKE_BYTES.value));
            assert_eq!(offer.check(&bytes[..consumed - 1]), Ok(None), "complete before its end");
            assert_eq!(offer.check(&bytes[..consumed]), Ok(Some(consumed)));
            let other = Offer::new(Encoding::MessagePack, [8; 16]);
            assert!(other.check(bytes).is_err(), "it answers another request as well");
            Verdict::Taken
        }
        Ok(None) => {
            assert!(bytes.len() < limits::HANDSHAKE_BYTES.value, "more is waited for than is read");
            Verdict::Refused
        }
        Err(_) => Verdict::Refused,
    }
}

pub(crate) fn request_seeds() -> Vec<Vec<u8>> {
    let ours = [Encoding::MessagePack, Encoding::Json].map(|encoding| Offer::new(encoding, NONCE).request("a:1"));
    let browser = "GET /v1/ws?x=1 HTTP/1.1\r\nHost: chat.example\r\nConnection: keep-alive, Upgrade\r\nPragma: no-cache\r\n\
                   Upgrade: websocket\r\nOrigin: https://chat.example\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
                   Sec-WebSocket-Protocol: chat, volery.v1.json\r\nContent-Length: 0\r\n\r\na";
    ours.into_iter().chain([browser.into()]).collect()
}

pub(crate) fn answer_seeds() -> Vec<Vec<u8>> {
    let request = Offer::new(Encoding::MessagePack, NONCE).request("a:1");
    let upgrade = Upgrade::parse(&request).ok().flatten();
    let answer = upgrade.map(|upgrade| upgrade.response()).unwrap_or_default();
    vec![[&answer[..], b"\x82\x00"].concat(), answer]
}

pub(crate) const WORDS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"GET /v1/ws HTTP/1.1\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n",
    b"HTTP/1.0",
    b"Host: a\r\n",
    b"Upgrade: websocket\r\n",
    b"Connection: Upgrade\r\n",
    b"Sec-WebSocket-Version: 13\r\n",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    b"Sec-WebSocket-Protocol: volery.v1.json\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: ",
    b": ",
    b",",
    b"\t",
    b"\0",
    b"\x80",
];

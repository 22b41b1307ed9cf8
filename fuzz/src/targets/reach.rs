//! Where a door is, as a gateway or a node says it, and until when the certificate there is good.

use volery_door::address::Address;
use volery_kernel::time::Timestamp;
use volery_tls::ends;

use crate::Verdict;

pub(crate) const ADDRESS: &[&[u8]] =
    &[b"ws://", b"wss://", b":", b"/v1/ws", b"[", b"]", b"::1", b"@", b"443", b"localhost"];
pub(crate) const DER: &[&[u8]] =
    &[b"\x30\x03", b"\x30\x81", b"\x02\x01", b"\xa0\x03", b"\x17\x0d", b"\x18\x0f", b"Z", b"0000000000"];

/// What is taken can be written, and is the same when it is read again.
pub(crate) fn address(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    let read = text.parse::<Address>().ok();
    if let Some(address) = &read {
        let Address { secured, host, port, authority } = address;
        assert!(text.contains(&format!("://{authority}")), "somewhere else");
        let (scheme, bracketed) = (if *secured { "wss" } else { "ws" }, authority.starts_with('['));
        let written =
            if bracketed { format!("{scheme}://[{host}]:{port}") } else { format!("{scheme}://{host}:{port}") };
        let again = written.parse::<Address>();
        assert!(again.is_ok_and(|again| (again.secured, &again.host, again.port) == (*secured, host, *port)));
        // A host may be neither a name nor an address: that is said, no more.
        let _ = address.name();
    }
    Verdict::of(read)
}

pub(crate) fn addresses() -> Vec<Vec<u8>> {
    ["ws://127.0.0.1:8401/v1/ws", "wss://chat.example.org/v1/ws", "wss://[::1]:8401", "ws://[fe80::1]"]
        .map(Into::into)
        .into()
}

/// Nothing behind the certificate matters, and no time is later than the year 9999.
pub(crate) fn certificate(bytes: &[u8]) -> Verdict {
    let read = ends(bytes);
    if let Some(Timestamp(millis)) = read {
        assert!(millis <= 253_402_300_800_000 + 86_400_000, "after the year 9999");
        assert_eq!(ends(&[bytes, b"more"].concat()), read);
    }
    Verdict::of(read)
}

/// As much of a certificate as it takes to come to its end, in both forms of a time.
pub(crate) fn certificates() -> Vec<Vec<u8>> {
    let one = |version: &[u8], tag: u8, end: &str| {
        let validity = [der(0x17, b"260101000000Z"), der(tag, end.as_bytes())].concat();
        let issuer = der(0x30, &[b'x'; 200]);
        let head = [version.to_vec(), der(2, &[1]), der(0x30, b"algorithm"), issuer].concat();
        let signed = [head, der(0x30, &validity), der(0x30, b"subject")].concat();
        der(0x30, &[der(0x30, &signed), der(3, b"signature")].concat())
    };
    vec![one(b"\xa0\x03\x02\x01\x02", 0x17, "490101000000Z"), one(b"", 0x18, "99991231235959Z")]
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ 0..=0x7f => vec![short as u8],
        long => vec![0x82, (long >> 8) as u8, long as u8],
    };
    [vec![tag], length, content.to_vec()].concat()
}

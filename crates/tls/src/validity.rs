//! Until when a certificate is good (RFC 5280, §4.1): as much DER as it takes to come to that field. Everything
//! else about a certificate is left to rustls.

use volery_kernel::time::Timestamp;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The last moment at which a DER certificate is good; `None` if it is none, or ends before 1970.
#[must_use]
pub fn ends(certificate: &[u8]) -> Option<Timestamp> {
    let mut der = Der(certificate);
    let mut certificate = Der(der.expect(SEQUENCE)?);
    let mut signed = Der(certificate.expect(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.element()?;
    }
    // The serial number, the algorithm, the issuer.
    signed.expect(INTEGER)?;
    signed.expect(SEQUENCE)?;
    signed.expect(SEQUENCE)?;
    let mut validity = Der(signed.expect(SEQUENCE)?);
    validity.element()?;
    time(validity.element()?)
}

/// What is left of a sequence.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element: its tag and its content.
    fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, expected: u8) -> Option<&'a [u8]> {
        self.element().filter(|(tag, _)| *tag == expected).map(|(_, content)| content)
    }
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, as a certificate must have them.
fn time((tag, text): (u8, &[u8])) -> Option<Timestamp> {
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits(text, 2)?;
            (if year < 50 { 2_000 + year } else { 1_900 + year }, rest)
        }
        GENERALIZED_TIME => digits(text, 4)?,
        _ => return None,
    };
    let (month, rest) = digits(rest, 2)?;
    let (day, rest) = digits(rest, 2)?;
    let (hour, rest) = digits(rest, 2)?;
    let (minute, rest) = digits(rest, 2)?;
    let (second, rest) = digits(rest, 2)?;
    let right = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    let days = days_since_1970(year, month, day).filter(|_| right && rest == b"Z")?;
    Some(Timestamp((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000))
}

fn digits(text: &[u8], count: usize) -> Option<(u64, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    Some((std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit))?.parse().ok()?, rest))
}

/// Years begin in March, so that the day that some years have more is their last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    const BEFORE_1970: u64 = 719_468;
    let year = if month < 3 { year.checked_sub(1)? } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    (365 * year + year / 4 - year / 100 + year / 400 + day_of_year).checked_sub(BEFORE_1970)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(tag: u8, text: &str) -> Option<u64> {
        time((tag, text.as_bytes())).map(|at| at.0 / 1_000)
    }

    #[test]
    fn both_forms_of_a_time_are_read() {
        assert_eq!(at(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(at(UTC_TIME, "260228235959Z"), Some(1_772_323_199));
        assert_eq!(at(GENERALIZED_TIME, "20240229120000Z"), Some(1_709_208_000));
        assert_eq!(at(GENERALIZED_TIME, "20500101000000Z"), Some(2_524_608_000));
        assert_eq!(at(GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799), "for ever");
        for bad in ["", "Z", "260228235959", "261328235959Z", "260200235959Z", "+60228235959Z", "2602282359590Z"] {
            assert_eq!(at(UTC_TIME, bad), None, "{bad}");
        }
        assert_eq!(at(UTC_TIME, "690101000000Z"), None, "before everything");
        assert_eq!(at(SEQUENCE, "700101000000Z"), None);
    }

    #[test]
    fn a_certificate_says_when_it_ends() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        params.not_after = rcgen::date_time_ymd(2031, 5, 17);
        let certificate = params.self_signed(&key).expect("signed");
        let der = certificate.der();
        assert_eq!(ends(der), Some(Timestamp(1_936_742_400_000)));
        for end in 0..60 {
            assert_eq!(ends(&der[..end]), None, "cut off after {end} bytes");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_certificate_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let nested = [&[SEQUENCE, 0x81, 200, SEQUENCE, 0x81, 197, INTEGER, 0], bytes.as_slice()].concat();
            prop_assert!(ends(&bytes).is_none_or(|at| at.0 < u64::MAX));
            prop_assert!(ends(&nested).is_none_or(|at| at.0 < u64::MAX));
        }
    }
}

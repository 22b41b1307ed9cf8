//! Headers of a message as httparse leaves them. Trap avoided: a header that stands twice, of
//! which two programs each read another.

use httparse::Header;

/// The header stands more than once, or is no text.
pub(super) struct Ambiguous;

/// The one value of a header.
pub(super) fn single<'a>(headers: &[Header<'a>], name: &str) -> Result<Option<&'a str>, Ambiguous> {
    let mut values = all(headers, name);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => std::str::from_utf8(value).map(|value| Some(value.trim())).map_err(|_| Ambiguous),
        (Some(_), Some(_)) => Err(Ambiguous),
    }
}

/// The entries of a header that is a list, over all its lines.
pub(super) fn list<'a>(headers: &[Header<'a>], name: &str) -> impl Iterator<Item = &'a str> {
    all(headers, name)
        .filter_map(|value| std::str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

/// Whether a header that is a list has this entry, in any case.
pub(super) fn lists(headers: &[Header<'_>], name: &str, entry: &str) -> bool {
    list(headers, name).any(|found| found.eq_ignore_ascii_case(entry))
}

fn all<'a>(headers: &[Header<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

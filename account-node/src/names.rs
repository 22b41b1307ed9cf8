//! What a user name, a display name and a password may be. Pure.
//!
//! Trap avoided: a display name with control or bidirectional characters can make one person's line
//! on a screen look like another's, so none is taken.

use unicode_normalization::UnicodeNormalization as _;
use volery_kernel::code::Code;
use volery_kernel::limits;

/// Names that would speak for the service.
const RESERVED: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "all",
    "anonymous",
    "api",
    "everyone",
    "guest",
    "help",
    "here",
    "moderator",
    "nobody",
    "null",
    "official",
    "postmaster",
    "root",
    "security",
    "service",
    "staff",
    "support",
    "system",
    "undefined",
    "volery",
    "webmaster",
];

/// Checks a user name: `[a-z][a-z0-9_]{2,31}` and not reserved.
pub(crate) fn user_name(name: &str) -> Result<(), Code> {
    if !is_user_name(name) {
        return Err(Code::InvalidUserName);
    }
    if RESERVED.contains(&name) { Err(Code::UserNameReserved) } else { Ok(()) }
}

/// Whether it could be anybody's name.
pub(crate) fn is_user_name(name: &str) -> bool {
    let rest = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    (3..=limits::USER_NAME_CHARS.value).contains(&name.len())
        && name.as_bytes()[0].is_ascii_lowercase()
        && name.as_bytes().iter().all(rest)
}

/// The display name as it is kept: composed (NFC), without space around it, 1 to 64 characters, none of
/// them a control or bidirectional one.
pub(crate) fn display_name(name: &str) -> Result<String, Code> {
    let name: String = name.trim().nfc().collect();
    let length = name.chars().count();
    let fits = (1..=limits::DISPLAY_NAME_CHARS.value).contains(&length) && !name.chars().any(is_unfit);
    if fits { Ok(name) } else { Err(Code::InvalidDisplayName) }
}

/// Control characters, line separators, and those that turn the direction of what follows.
pub(crate) fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Checks a new password: at least 8 characters, at most 1,024 bytes.
pub(crate) fn password(password: &str) -> Result<(), Code> {
    let long_enough = password.chars().count() >= limits::PASSWORD_CHARS_LEAST.value;
    if long_enough && may_be_password(password) { Ok(()) } else { Err(Code::InvalidPassword) }
}

/// Whether it is worth hashing at all.
pub(crate) fn may_be_password(password: &str) -> bool {
    password.len() <= limits::PASSWORD_BYTES.value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_edges_of_user_names() {
        let longest = "a".repeat(32);
        for good in ["abc", "a_1", "z__", longest.as_str()] {
            assert_eq!(user_name(good), Ok(()), "{good}");
        }
        let too_long = "a".repeat(33);
        for bad in ["", "ab", "1ab", "_ab", "Abc", "abC", "ab c", "äbc", "ab-c", "abc\n", "abc\0", too_long.as_str()] {
            assert_eq!(user_name(bad), Err(Code::InvalidUserName), "{bad:?}");
        }
        assert_eq!(user_name("admin"), Err(Code::UserNameReserved));
        assert!(RESERVED.iter().all(|name| is_user_name(name)), "a name that nobody can have needs no reserving");
    }

    #[test]
    fn the_edges_of_display_names() {
        assert_eq!(display_name("  Zoe\u{308} "), Ok("Zo\u{eb}".into()));
        assert_eq!(display_name(&"é".repeat(64)), Ok("é".repeat(64)));
        assert_eq!(display_name(&"e\u{301}".repeat(64)), Ok("é".repeat(64)), "counted as it is kept");
        for bad in ["", "  ", "a\u{202e}b", "a\u{0}b", "a\nb", "\u{2066}a", "a\u{feff}b", &"é".repeat(65)] {
            assert_eq!(display_name(bad), Err(Code::InvalidDisplayName), "{bad:?}");
        }
    }

    #[test]
    fn the_edges_of_passwords() {
        assert_eq!(password("éééééééé"), Ok(()));
        assert_eq!(password("1234567"), Err(Code::InvalidPassword));
        assert_eq!(password(&"x".repeat(1024)), Ok(()));
        assert_eq!(password(&"x".repeat(1025)), Err(Code::InvalidPassword));
    }

    proptest! {
        #[test]
        fn a_user_name_is_what_the_rule_says(name in "[a-zA-Z0-9_é -]{0,34}") {
            let mut chars = name.chars();
            let expected = chars.next().is_some_and(|c| c.is_ascii_lowercase())
                && chars.clone().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'))
                && (2..=31).contains(&chars.count());
            prop_assert_eq!(is_user_name(&name), expected);
        }

        #[test]
        fn a_display_name_once_taken_stays_as_it_is(name in any::<String>()) {
            if let Ok(kept) = display_name(&name) {
                prop_assert_eq!(display_name(&kept), Ok(kept.clone()));
                prop_assert!(!kept.chars().any(char::is_control) && kept.chars().count() <= 64);
            }
        }
    }
}

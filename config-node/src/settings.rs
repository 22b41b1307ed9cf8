//! Dynamic settings: keys of the configuration that a running node takes another value of.
//!
//! A value is read by the very reader and bounds of its key's line in the table of configuration. A key
//! gets a line in [`DYNAMIC`] once nodes apply it while they run, and not before: a setting that is taken
//! and does nothing would be a lie.
//!
//! Trap avoided: config-nodes of two versions know different keys. What the store holds is listed, known
//! or not, so that settings do not come and go with who is asked.

use volery_kernel::time::Timestamp;
use volery_node::config::{Config, Key, Value as _, keys};
use volery_ports::cluster::{Change, ChangeError, Setting, Settings};

/// A key, and where its value goes.
struct Dynamic {
    name: &'static str,
    field: fn(&mut Config) -> &mut u32,
}

const RATE: &str = "messaging.sends_per_second";
const BURST: &str = "messaging.sends_burst";

const DYNAMIC: &[Dynamic] = &[
    Dynamic { name: RATE, field: |config| &mut config.messaging_sends_per_second },
    Dynamic { name: BURST, field: |config| &mut config.messaging_sends_burst },
    Dynamic { name: "accounts.logins_per_minute", field: |config| &mut config.accounts_logins_per_minute },
    Dynamic {
        name: "accounts.logins_per_minute_address",
        field: |config| &mut config.accounts_logins_per_minute_address,
    },
    Dynamic {
        name: "accounts.registrations_per_hour_address",
        field: |config| &mut config.accounts_registrations_per_hour_address,
    },
    Dynamic {
        name: "accounts.refreshes_per_minute_address",
        field: |config| &mut config.accounts_refreshes_per_minute_address,
    },
];

/// The names of all dynamic settings.
pub fn names() -> impl Iterator<Item = &'static str> {
    DYNAMIC.iter().map(|dynamic| dynamic.name)
}

/// What is set, with those that never were. Its version is the sum of all: it rises with each change of
/// any of them, because none is ever removed.
#[must_use]
pub fn listed(mut set: Vec<Setting>) -> Settings {
    let version = set.iter().map(|setting| setting.version).sum();
    for name in names() {
        if !set.iter().any(|setting| setting.name == name) {
            let (name, by) = (name.to_owned(), String::new());
            set.push(Setting { name, value: None, version: 0, by, at: Timestamp::default() });
        }
    }
    set.sort_by(|one, other| one.name.cmp(&other.name));
    Settings { version, settings: set }
}

/// Whether a change may be made, while the others are `now`.
///
/// What two keys say together is judged where both are set here; where one is a node's own, the node
/// makes sense of them: see [`applied`].
///
/// # Errors
/// [`ChangeError::Unknown`], [`ChangeError::Invalid`].
pub fn check(change: &Change, now: &Settings) -> Result<(), ChangeError> {
    let key = key(&change.name).ok_or_else(|| ChangeError::Unknown(change.name.clone()))?;
    let Some(value) = &change.value else { return Ok(()) };
    let reason = match u32::read(value, &key.bounds) {
        Ok(number) => contradiction(&change.name, number, now),
        Err(reason) => Some(reason),
    };
    reason.map_or(Ok(()), |reason| Err(ChangeError::Invalid { name: change.name.clone(), reason }))
}

/// In the words of the configuration's own check at the start.
fn contradiction(name: &str, number: u32, now: &Settings) -> Option<String> {
    let set = |name: &str| now.settings.iter().find(|setting| setting.name == name).and_then(read);
    match name {
        BURST => {
            let rate = set(RATE).filter(|rate| *rate > number)?;
            Some(format!("is below {RATE}, {rate}: give at least as many"))
        }
        RATE => {
            let burst = set(BURST).filter(|burst| *burst < number)?;
            Some(format!("is above {BURST}, {burst}: give at most as many"))
        }
        _ => None,
    }
}

/// A node's configuration with the settings on top. What this version does not know or would not take
/// stays as the configuration has it; a burst is never below its rate.
#[must_use]
pub fn applied(config: &Config, settings: &Settings) -> Config {
    let mut applied = config.clone();
    for setting in &settings.settings {
        let dynamic = DYNAMIC.iter().find(|dynamic| dynamic.name == setting.name);
        if let Some((dynamic, number)) = dynamic.zip(read(setting)) {
            *(dynamic.field)(&mut applied) = number;
        }
    }
    applied.messaging_sends_burst = applied.messaging_sends_burst.max(applied.messaging_sends_per_second);
    applied
}

fn read(setting: &Setting) -> Option<u32> {
    u32::read(setting.value.as_ref()?, &key(&setting.name)?.bounds).ok()
}

/// The line of a dynamic setting in the table of configuration.
fn key(name: &str) -> Option<&'static Key> {
    let name = names().find(|known| *known == name)?;
    keys().iter().find(|key| key.name == name)
}

#[cfg(test)]
mod tests {
    use volery_node::config::{Sources, load};

    use super::*;

    fn setting(name: &str, value: Option<&str>, version: u64) -> Setting {
        let value = value.map(str::to_owned);
        Setting { name: name.into(), value, version, by: "ada".into(), at: Timestamp(5) }
    }

    fn change(name: &str, value: &str) -> Change {
        Change { name: name.into(), value: Some(value.into()), seen: 0, by: "ada".into() }
    }

    fn started(flags: &[(&str, &str)]) -> Config {
        let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(&Sources { flags, ..Sources::default() }).expect("a configuration").config
    }

    #[test]
    fn each_is_a_key_and_changes_what_the_key_changes() {
        let default = started(&[]);
        for name in names() {
            let applied = applied(&default, &listed(vec![setting(name, Some("123"), 1)]));
            assert_eq!(applied, started(&[(name, "123")]), "{name}");
            assert_ne!(applied, default, "{name}");
        }
    }

    #[test]
    fn values_are_refused_in_the_words_of_the_start() {
        let none = listed(Vec::new());
        for name in names() {
            assert_eq!(check(&change(name, "1_000"), &none), Ok(()), "{name}");
            for bad in ["", "0", "1000001", "4294967296", "-1", "many", "1.5"] {
                let flags = vec![(name.to_owned(), bad.to_owned())];
                let at_start = load(&Sources { flags, ..Sources::default() }).expect_err("refused").0;
                let refused = check(&change(name, bad), &none).expect_err("refused");
                assert_eq!(refused.to_string(), at_start[0].text, "{name} = {bad}");
            }
        }
        for unknown in ["", "data.dir", "messaging.sends", "MESSAGING.SENDS_BURST"] {
            assert_eq!(check(&change(unknown, "1"), &none), Err(ChangeError::Unknown(unknown.into())));
        }
        assert_eq!(check(&Change { value: None, ..change(RATE, "") }, &none), Ok(()), "the nodes' own again");
    }

    #[test]
    fn two_that_contradict_each_other_are_not_both_set() {
        let set = |name, value| listed(vec![setting(name, Some(value), 1)]);
        assert_eq!(check(&change(BURST, "99"), &set(RATE, "99")), Ok(()));
        let low = check(&change(BURST, "98"), &set(RATE, "99")).expect_err("refused");
        assert_eq!(low.to_string(), format!("{BURST}: is below {RATE}, 99: give at least as many"));
        assert_eq!(check(&change(RATE, "99"), &set(BURST, "99")), Ok(()));
        let high = check(&change(RATE, "100"), &set(BURST, "99")).expect_err("refused");
        assert_eq!(high.to_string(), format!("{RATE}: is above {BURST}, 99: give at most as many"));
        assert_eq!(check(&change(BURST, "1"), &listed(vec![setting(RATE, None, 2)])), Ok(()), "the nodes' own");
        let raised = applied(&started(&[]), &set(RATE, "5000"));
        assert_eq!((raised.messaging_sends_per_second, raised.messaging_sends_burst), (5_000, 5_000));
    }

    #[test]
    fn what_is_set_is_listed_with_what_never_was() {
        let unknown = setting("of.a_later_version", Some("x"), 3);
        let back = setting(BURST, None, 2);
        let now = listed(vec![unknown.clone(), back.clone()]);
        assert_eq!((now.version, now.settings.len()), (5, names().count() + 1));
        assert!(now.settings.is_sorted_by(|one, other| one.name < other.name), "{now:?}");
        assert!(now.settings.contains(&unknown) && now.settings.contains(&back));
        let never = now.settings.iter().find(|setting| setting.name == RATE).expect("listed");
        assert_eq!((never.version, &never.value, never.at), (0, &None, Timestamp(0)));
        assert_eq!(applied(&started(&[]), &now), started(&[]), "nothing that this version knows is set");
        assert_eq!(listed(Vec::new()).version, 0);
    }
}

//! Dynamic settings: listed, set, and given back to each node's own configuration.
//!
//! A change is made upon the version that was looked at just before, or upon the one that its operator names: of
//! two who change one setting at once, one is told.

use serde_json::{Value, json};
use volery_node::config::{keys, nearest};
use volery_ports::cluster::{Change, Setting, Settings};

use super::desk::Desk;
use super::show::{Answer, moment, table};
use crate::Failure;

/// What stands where a setting has no value.
const OWN: &str = "(each node's own)";
const HEADS: [&str; 5] = ["SETTING", "VALUE", "VERSION", "CHANGED BY", "AT"];

/// What an operator wants changed.
pub(super) struct Wish {
    pub(super) name: String,
    /// `None` gives it back.
    pub(super) value: Option<String>,
    /// Upon this version; without it, upon the newest.
    pub(super) seen: Option<u64>,
    pub(super) by: String,
}

/// All of them.
pub(super) fn list(settings: &Settings) -> Answer {
    let rows: Vec<_> = settings.settings.iter().map(row).collect();
    let all: Vec<_> = settings.settings.iter().map(as_json).collect();
    Answer::whole(table(HEADS, &rows), json!({"version": settings.version, "settings": all}))
}

/// Changes one, and shows it before and after.
pub(super) async fn change(desk: &Desk, wish: Wish) -> Result<Answer, Failure> {
    let settings = desk.settings().await?;
    let Wish { name, value, seen, by } = wish;
    let before =
        settings.settings.iter().find(|setting| setting.name == name).ok_or_else(|| unknown(&name, &settings))?;
    let seen = seen.unwrap_or(before.version);
    let now = desk.change(Change { name, value, seen, by }).await?;
    Ok(changed(before, &now))
}

fn changed(before: &Setting, now: &Setting) -> Answer {
    let said = |when: &str, setting: &Setting| {
        let [_, value, version, by, at] = row(setting);
        [when.to_owned(), value, version, by, at]
    };
    let text = table(["", "VALUE", "VERSION", "CHANGED BY", "AT"], &[said("before", before), said("now", now)]);
    let json = json!({"name": now.name, "before": as_json(before), "now": as_json(now)});
    Answer::whole(format!("{}\n{text}", now.name), json)
}

/// What to do instead: another name, or another place.
fn unknown(name: &str, settings: &Settings) -> Failure {
    if keys().iter().any(|key| key.name == name) {
        return Failure(format!(
            "{name} is no dynamic setting: a node reads it when it starts. Set it in each node's configuration"
        ));
    }
    let near = nearest(name, settings.settings.iter().map(|setting| setting.name.clone()));
    let near = near.map_or_else(String::new, |near| format!(": did you mean `{near}`?"));
    Failure(format!("there is no dynamic setting `{name}`{near}\n`volery admin settings` lists them"))
}

fn row(setting: &Setting) -> [String; 5] {
    let Setting { name, value, version, by, at } = setting;
    let value = value.clone().unwrap_or_else(|| OWN.to_owned());
    let at = if *version == 0 { String::new() } else { moment(*at) };
    [name.clone(), value, version.to_string(), by.clone(), at]
}

fn as_json(setting: &Setting) -> Value {
    let Setting { name, value, version, by, at } = setting;
    let (by, at) = if *version == 0 { (None, None) } else { (Some(by), Some(moment(*at))) };
    json!({"name": name, "value": value, "version": version, "by": by, "at": at})
}

#[cfg(test)]
mod tests {
    use volery_config::settings::listed;
    use volery_kernel::time::Timestamp;

    use super::*;

    fn set(value: Option<&str>, version: u64) -> Setting {
        let (name, value) = ("messaging.sends_burst".to_owned(), value.map(str::to_owned));
        Setting { name, value, version, by: "ada".to_owned(), at: Timestamp(1_795_339_800_000) }
    }

    #[test]
    fn what_was_never_set_is_listed_as_the_nodes_own() {
        let answer = list(&listed(vec![set(Some("300"), 2)]));
        let line = |name: &str| answer.text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        let burst = line("messaging.sends_burst").expect("listed");
        assert!(
            burst.split_whitespace().eq(["messaging.sends_burst", "300", "2", "ada", "2026-11-22T09:30:00Z"]),
            "{burst}"
        );
        let rate = line("messaging.sends_per_second").expect("listed");
        assert!(rate.ends_with("(each node's own)  0"), "{rate}");
        let of =
            |name: &str| answer.json["settings"].as_array()?.iter().find(|setting| setting["name"] == name).cloned();
        let never = json!({"name": "messaging.sends_per_second", "value": null, "version": 0, "by": null, "at": null});
        assert_eq!((of("messaging.sends_per_second"), &answer.json["version"]), (Some(never), &json!(2)));
    }

    #[test]
    fn a_change_shows_both_sides() {
        let answer = changed(&set(Some("300"), 2), &set(None, 3));
        let text = "messaging.sends_burst\n        VALUE              VERSION  CHANGED BY  AT\n\
            before  300                2        ada         2026-11-22T09:30:00Z\n\
            now     (each node's own)  3        ada         2026-11-22T09:30:00Z\n";
        assert_eq!(answer.text, text);
        assert_eq!((&answer.json["before"]["value"], &answer.json["now"]["version"]), (&json!("300"), &json!(3)));
    }

    #[test]
    fn an_unknown_name_is_told_what_to_do() {
        let told = |name: &str| unknown(name, &listed(Vec::new())).0;
        assert!(told("messaging.sends_bursts").contains("did you mean `messaging.sends_burst`?"));
        assert!(told("data.dir").contains("Set it in each node's configuration"));
        assert_eq!(told("x"), "there is no dynamic setting `x`\n`volery admin settings` lists them");
    }
}

//! Users as the account store has them: one by name with their devices, or all that a text occurs in.

use serde_json::{Value, json};
use volery_ports::sql::{AccountStore, Device, User};

use super::show::{Answer, moment, table};
use crate::Failure;

/// Most devices shown.
const DEVICES_MOST: usize = 100;
/// Most users found: what one call of the store takes.
const FOUND_MOST: usize = 1_000;
/// Shorter texts are not looked for: they occur in nearly everybody.
const TEXT_LEAST: usize = 3;

const HEADS: [&str; 4] = ["USER", "ID", "DISPLAY NAME", "SINCE"];

/// The user of this name.
pub(super) async fn show(store: &dyn AccountStore, name: &str) -> Result<Answer, Failure> {
    let found = store.credentials(name).await?;
    let user = found.ok_or_else(|| {
        Failure(format!("there is no user {name}: `volery admin users find` looks for parts of names"))
    })?;
    Ok(shown(&user.user, &store.devices(user.user.id, DEVICES_MOST).await?))
}

fn shown(user: &User, devices: &[Device]) -> Answer {
    let device = |device: &Device| {
        [device.id.to_string(), device.name.clone(), moment(device.created), moment(device.last_seen)]
    };
    let rows: Vec<_> = devices.iter().map(device).collect();
    let devices_text = table(["DEVICE", "NAME", "LOGGED IN", "LAST SEEN"], &rows);
    let mut json = as_json(user);
    json["devices"] = devices.iter().map(device_json).collect();
    Answer::whole(format!("{}\n{devices_text}", table(HEADS, &[row(user)])), json)
}

/// Everybody in whose name or display name a text occurs.
pub(super) async fn find(store: &dyn AccountStore, text: &str) -> Result<Answer, Failure> {
    if text.chars().count() < TEXT_LEAST {
        return Err(Failure(format!("give {TEXT_LEAST} characters or more of a name")));
    }
    let users = store.find_users(text, FOUND_MOST).await?;
    let rows: Vec<_> = users.iter().map(row).collect();
    let mut text = table(HEADS, &rows);
    if users.len() == FOUND_MOST {
        text.push_str(&format!("These are the first {FOUND_MOST}: give more of the name\n"));
    }
    Ok(Answer::whole(text, json!({"users": users.iter().map(as_json).collect::<Vec<_>>()})))
}

fn row(user: &User) -> [String; 4] {
    [user.user_name.clone(), user.id.to_string(), user.display_name.clone(), moment(user.created)]
}

/// Ids are texts, as everywhere in JSON.
fn as_json(user: &User) -> Value {
    let User { id, user_name, display_name, created } = user;
    json!({"id": id.to_string(), "user_name": user_name, "display_name": display_name, "created": moment(*created)})
}

fn device_json(device: &Device) -> Value {
    let (created, last_seen) = (moment(device.created), moment(device.last_seen));
    json!({"id": device.id.to_string(), "name": device.name, "created": created, "last_seen": last_seen})
}

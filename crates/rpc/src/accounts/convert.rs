//! What account-node is asked and answers, in both directions.

use volery_kernel::id::{DeviceId, UserId};
use volery_kernel::time::Timestamp;
use volery_ports::account_service::{Grant, LogIn, Registration, Told};
use volery_ports::accounts::{Claims, Standing};
use volery_ports::sql::{Device, User};

use crate::check::{self, Checked};
use crate::limits::LIMIT_MOST;
use crate::wire::account::v1 as wire;

pub(crate) fn claims(from: Claims) -> wire::Claims {
    wire::Claims { user: Some(from.user.get()), device: Some(from.device.get()), expires: Some(from.expires.0) }
}

pub(crate) fn to_claims(from: wire::Claims) -> Checked<Claims> {
    Ok(Claims {
        user: check::user("user", from.user)?,
        device: check::device("device", from.device)?,
        expires: check::time("expires", from.expires)?,
    })
}

pub(crate) fn standing(from: Option<Standing>) -> wire::StandingAnswer {
    wire::StandingAnswer {
        user: from.map(|standing| standing.user.get()),
        revoked: from.is_some_and(|standing| standing.revoked),
    }
}

pub(crate) fn to_standing(from: wire::StandingAnswer) -> Checked<Option<Standing>> {
    let user = check::id_if_any("user", from.user)?;
    Ok(user.map(|user| Standing { user: UserId(user), revoked: from.revoked }))
}

pub(crate) fn revoked(from: Vec<(u64, DeviceId)>) -> wire::RevokedAfterAnswer {
    let numbered =
        |(number, device): (u64, DeviceId)| wire::Revocation { number: Some(number), device: Some(device.get()) };
    wire::RevokedAfterAnswer { revoked: from.into_iter().map(numbered).collect() }
}

pub(crate) fn to_revoked(from: wire::RevokedAfterAnswer) -> Checked<Vec<(u64, DeviceId)>> {
    let numbered = |from: wire::Revocation| {
        Ok((check::there("revoked.number", from.number)?, check::device("revoked.device", from.device)?))
    };
    from.revoked.into_iter().map(numbered).collect()
}

pub(super) fn to_caller(from: Option<wire::Claims>) -> Checked<Claims> {
    to_claims(check::there("caller", from)?)
}

pub(super) fn user(from: User) -> wire::User {
    let User { id, user_name, display_name, created } = from;
    wire::User { id: Some(id.get()), user_name, display_name, created: Some(created.0) }
}

pub(super) fn to_user(from: wire::User) -> Checked<User> {
    let wire::User { id, user_name, display_name, created } = from;
    Ok(User { id: check::user("id", id)?, user_name, display_name, created: check::time("created", created)? })
}

pub(crate) fn users(from: Vec<User>) -> wire::UsersAnswer {
    wire::UsersAnswer { users: from.into_iter().map(user).collect() }
}

pub(crate) fn to_users(from: wire::UsersAnswer) -> Checked<Vec<User>> {
    from.users.into_iter().map(to_user).collect()
}

pub(super) fn to_user_if_any(from: wire::UserByNameAnswer) -> Checked<Option<User>> {
    from.user.map(to_user).transpose()
}

pub(crate) fn to_ids(from: &wire::UsersRequest) -> Checked<Vec<UserId>> {
    if from.ids.len() > LIMIT_MOST {
        return check::wrong("ids", "are more than 1,000");
    }
    from.ids.iter().map(|raw| check::user("ids", Some(*raw))).collect()
}

pub(super) fn registration(from: Registration) -> wire::RegisterRequest {
    let Registration { user_name, display_name, password } = from;
    wire::RegisterRequest { user_name, display_name, password }
}

pub(super) fn to_registration(from: wire::RegisterRequest) -> Registration {
    let wire::RegisterRequest { user_name, display_name, password } = from;
    Registration { user_name, display_name, password }
}

pub(super) fn log_in(from: LogIn) -> wire::LogInRequest {
    let LogIn { user_name, password, device_name } = from;
    wire::LogInRequest { user_name, password, device_name }
}

pub(super) fn to_log_in(from: wire::LogInRequest) -> LogIn {
    let wire::LogInRequest { user_name, password, device_name } = from;
    LogIn { user_name, password, device_name }
}

pub(super) fn grant(from: Grant) -> wire::Grant {
    wire::Grant {
        user: Some(from.user.get()),
        device: Some(from.device.get()),
        access_token: from.access_token,
        access_expires: Some(from.access_expires.0),
        refresh_token: from.refresh_token,
        refresh_expires: Some(from.refresh_expires.0),
    }
}

pub(super) fn to_grant(from: wire::Grant) -> Checked<Grant> {
    Ok(Grant {
        user: check::user("user", from.user)?,
        device: check::device("device", from.device)?,
        access_token: from.access_token,
        access_expires: check::time("access_expires", from.access_expires)?,
        refresh_token: from.refresh_token,
        refresh_expires: check::time("refresh_expires", from.refresh_expires)?,
    })
}

pub(super) fn told(from: Told) -> wire::RevokeAnswer {
    wire::RevokeAnswer { on_the_log: from == Told::OnTheLog }
}

pub(super) fn to_told(from: wire::RevokeAnswer) -> Told {
    if from.on_the_log { Told::OnTheLog } else { Told::Later }
}

pub(crate) fn device(from: Device) -> wire::Device {
    wire::Device {
        id: Some(from.id.get()),
        user: Some(from.user.get()),
        name: from.name,
        created: Some(from.created.0),
        last_seen: Some(from.last_seen.0),
        revoked: from.revoked.map(|at| at.0),
    }
}

pub(super) fn to_device(from: wire::Device) -> Checked<Device> {
    Ok(Device {
        id: check::device("id", from.id)?,
        user: check::user("user", from.user)?,
        name: from.name,
        created: check::time("created", from.created)?,
        last_seen: check::time("last_seen", from.last_seen)?,
        revoked: from.revoked.map(Timestamp),
    })
}

pub(crate) fn to_devices(from: wire::DevicesAnswer) -> Checked<Vec<Device>> {
    from.devices.into_iter().map(to_device).collect()
}

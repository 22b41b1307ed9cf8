//! Whatever can be asked, answered and refused comes back the same, and nonsense names its field.

use proptest::prelude::*;
use volery_kernel::code::Code;
use volery_kernel::generator::Refused;
use volery_kernel::id::{DeviceId, Id, UserId};
use volery_kernel::time::Timestamp;
use volery_ports::account_service::{AccountError, Grant, Told};
use volery_ports::accounts::{Claims, Standing, Unavailable};
use volery_ports::sql::{Device, User};

use super::{convert, failure};
use crate::refusal::{of_unavailable, to_unavailable};
use crate::wire::account::v1 as wire;
use crate::wire::account::v1::failure::Kind;

fn ids() -> impl Strategy<Value = Id> {
    let raw = prop_oneof![Just(0), Just(u64::MAX >> 1), 0..=u64::MAX >> 1];
    raw.prop_filter_map("an id", |raw| Id::new(raw).ok())
}

fn times() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp)
}

fn refused() -> impl Strategy<Value = Refused> {
    prop_oneof![
        times().prop_map(|until| Refused::Reservation { until }),
        any::<u64>().prop_map(|behind_ms| Refused::ClockBehind { behind_ms }),
        any::<u64>().prop_map(|ahead_ms| Refused::FloorAhead { ahead_ms }),
    ]
}

fn errors() -> impl Strategy<Value = AccountError> {
    let field = prop::option::of(prop::sample::select(
        ["user_name", "display_name", "password", "device_name", "q"].as_slice(),
    ));
    prop_oneof![
        (prop::sample::select(Code::ALL), field).prop_map(|(code, field)| AccountError::Refused { code, field }),
        Just(AccountError::Busy),
        refused().prop_map(AccountError::NoIds),
        "\\PC{0,20}".prop_map(|reason| AccountError::Unavailable(Unavailable(reason))),
        "\\PC{0,20}".prop_map(AccountError::Fault),
    ]
}

proptest! {
    #[test]
    fn people_and_devices_come_back(
        id in ids(), user in ids(), name in "\\PC{0,20}", at in (times(), times(), prop::option::of(times())),
    ) {
        let (created, last_seen, revoked) = at;
        let person = User { id: UserId(user), user_name: name.clone(), display_name: name.clone(), created };
        prop_assert_eq!(convert::to_user(convert::user(person.clone())), Ok(person));
        let device = Device { id: DeviceId(id), user: UserId(user), name, created, last_seen, revoked };
        prop_assert_eq!(convert::to_device(convert::device(device.clone())), Ok(device));
        let claims = Claims { user: UserId(user), device: DeviceId(id), expires: created };
        prop_assert_eq!(convert::to_claims(convert::claims(claims)), Ok(claims));
        for standing in [None, Some(false), Some(true)] {
            let standing = standing.map(|revoked| Standing { user: UserId(user), revoked });
            prop_assert_eq!(convert::to_standing(convert::standing(standing)), Ok(standing));
        }
        let revoked = vec![(created.0, DeviceId(id)), (last_seen.0, DeviceId(user))];
        prop_assert_eq!(convert::to_revoked(convert::revoked(revoked.clone())), Ok(revoked));
        for told in [Told::OnTheLog, Told::Later] {
            prop_assert_eq!(convert::to_told(convert::told(told)), told);
        }
    }

    #[test]
    fn grants_come_back(ids in (ids(), ids()), tokens in ("[a-z.]{0,20}", "[a-z.]{0,20}"), ends in (times(), times())) {
        let grant = Grant {
            user: UserId(ids.0),
            device: DeviceId(ids.1),
            access_token: tokens.0,
            access_expires: ends.0,
            refresh_token: tokens.1,
            refresh_expires: ends.1,
        };
        prop_assert!(convert::to_grant(convert::grant(grant.clone())) == Ok(grant));
    }

    #[test]
    fn refusals_come_back(error in errors(), reason in "\\PC{0,20}") {
        prop_assert_eq!(failure::to_account(&failure::of_account(error.clone())), error);
        let unavailable = Unavailable(reason);
        prop_assert_eq!(to_unavailable::<Kind>(&of_unavailable::<Kind>(unavailable.clone())), unavailable);
    }
}

#[test]
fn nonsense_is_refused_by_its_field() {
    let claims = wire::Claims { user: Some(1), device: Some(2), expires: Some(3) };
    let field = |from| convert::to_caller(from).err().map(|wrong| wrong.field);
    assert_eq!(field(Some(claims)), None);
    assert_eq!(field(None), Some("caller"));
    assert_eq!(field(Some(wire::Claims { user: None, ..claims })), Some("user"));
    assert_eq!(field(Some(wire::Claims { device: Some(u64::MAX), ..claims })), Some("device"));
    assert_eq!(field(Some(wire::Claims { expires: None, ..claims })), Some("expires"));
    let many = wire::UsersRequest { ids: vec![1; 1_001] };
    assert_eq!(convert::to_ids(&many).err().map(|wrong| wrong.field), Some("ids"));
}

#[test]
fn what_a_later_version_refuses_is_a_fault() {
    let kind = Kind::Refused(wire::Refused { code: "of_tomorrow".into(), field: String::new() });
    let failure = wire::Failure { kind: Some(kind) };
    let status = crate::status::with_detail(tonic::Code::NotFound, "no".into(), "volery.account.v1.Failure", &failure);
    assert!(matches!(failure::to_account(&status), AccountError::Fault(_)));
}

//! Logging out while connected.

use serde_json::json;
use volery_wire::op::ServerOp;

use super::kit::{Server, wait_for};

#[test]
fn a_device_that_logs_out_is_out_and_no_other() {
    let server = Server::start(&["ada", "bob"]);
    let (mut phone, mut laptop) = (server.synced("ada"), server.synced("ada"));
    let mut bob = server.synced("bob");
    let status = phone.http("POST", "/v1/logout").status;
    assert!(matches!(status, 202 | 204), "{status}");
    assert_eq!(phone.closed(), (4002, "revoked".to_owned()));
    assert_eq!(server.metric("volery_closes_total{reason=\"revoked\"}"), 1);
    let answer = phone.greet();
    assert_eq!(answer.code(), "revoked");
    assert_eq!(phone.closed(), (4002, "revoked".to_owned()));
    wait_for("the gateway refuses its token", || (phone.http("GET", "/v1/me").status == 401).then_some(()));
    let refresh = server.http("POST", "/v1/refresh", None, Some(&json!({"refresh_token": phone.refresh_token})));
    assert_eq!(refresh.json()["code"], "invalid_refresh_token");
    laptop.say(bob.user, "still here");
    bob.wait("it", |heard| heard.op == ServerOp::Message);
    assert_eq!(laptop.http("GET", "/v1/me").status, 200);
}

#[test]
fn another_device_can_be_logged_out() {
    let server = Server::start(&["ada"]);
    let (mut phone, mut lost) = (server.synced("ada"), server.synced("ada"));
    let status = phone.http("DELETE", &format!("/v1/me/sessions/{}", lost.device)).status;
    assert!(matches!(status, 202 | 204), "{status}");
    assert_eq!(lost.closed(), (4002, "revoked".to_owned()));
    phone.settle();
    let left = phone.http("GET", "/v1/me/sessions").good();
    assert_eq!(left["sessions"].as_array().expect("sessions").len(), 1);
}

//! A send that cannot be dated: refused before anything is written, and taken when it is retried.

use serde_json::json;
use volery_wire::op::ServerOp;

use super::kit::Server;

#[test]
fn a_stale_send_closes_its_session_and_its_retry_is_taken_once() {
    let server = Server::start(&["ada", "bob"]);
    let (mut ada, mut bob) = (server.synced("ada"), server.synced("bob"));
    let (chat, first) = (ada.chat_with(bob.user), ada.session);
    let (to, in_an_hour) = (bob.user.to_string(), 3_600_000);
    let refused = ada.call("send", json!({"to": to, "number": 1, "since_welcome": in_an_hour, "text": "hi"}));
    assert_eq!(refused.code(), "stale");
    assert_eq!((&refused.body["retryable"], &refused.body["number"]), (&json!(true), &json!(1)));
    assert_eq!(ada.closed(), (4004, "retry".to_owned()));
    ada.connect();
    ada.ask("send", json!({"to": to, "number": 1, "retry_of": first.to_string(), "text": "hi"}));
    let answer = ada.wait("the answer", |heard| heard.op == ServerOp::Answer);
    assert!(answer.number("id") > ada.session, "nothing was written before: {answer:?}");
    bob.until("it", |bob| bob.texts(&chat) == ["hi"]);
    bob.settle();
    assert_eq!(bob.texts(&chat), ["hi"]);
}

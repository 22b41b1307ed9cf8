//! Another rate takes hold of a session that is open: of one that sends, and of one that waits for its turn.

use volery_wire::client::{Request, Send};
use volery_wire::server::Reply;

use crate::kit::{Node, in_partition};

/// At a send a second, the last of them would have to wait for longer than a send may be on its way.
const SENDS: u32 = 60;

fn send(number: u32, to: &Node) -> Request<'static> {
    let (to, text) = (in_partition(to.partition()), "x".into());
    Request::Send(Send { to, number, since_welcome: 0, retry_of: None, shown: None, text, reply_to: None })
}

#[test]
fn a_rate_takes_hold_of_open_sessions_and_lets_those_go_on_that_wait() {
    Node::run(async |node| {
        let mut device = node.device(None).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        node.all_send_at(1, 1);
        node.goes_on().await;
        let mut all: Vec<_> = (1..=SENDS).map(|number| send(number, &node)).collect();
        all.push(Request::Ping);
        device.ask(&all);
        device.until("the first", |reply| matches!(reply, Reply::Ack(_))).await;
        node.goes_on().await;
        let appended = node.appended().await;
        assert!(appended < u64::from(SENDS) / 2, "{appended} at once, at a send a second");
        node.all_send_at(1_000, 1_000);
        device.until("the pong", |reply| matches!(reply, Reply::Pong(_))).await;
        node.has_appended(u64::from(SENDS)).await;
    });
}

//! A node whose clock is not the log's: it takes no sends, says so, and goes on by itself once the clock is right.

use std::cell::Cell;
use std::time::Duration;

use volery_kernel::chat::ChatId;
use volery_kernel::code::Code;
use volery_kernel::id::Id;
use volery_kernel::limits;
use volery_kernel::position::{Position, Source};
use volery_node::health::State;
use volery_wire::client::{Mark, Request, Send};
use volery_wire::field::Blob;
use volery_wire::server::{MarkKind, Reply};

use crate::kit::{Device, ME, Node, in_partition};

/// Beyond the bound, and less than what makes an id impossible by itself.
const OFF: i64 = limits::CLOCK_BOUND_MS.value as i64 + 150;

/// Whether a send is acknowledged; else it must be refused for want of ids.
async fn is_taken(device: &mut Device, number: u32, node: &Node) -> bool {
    let (to, text) = (in_partition(node.partition()), "x".into());
    let send = Send { to, number, since_welcome: 0, retry_of: None, shown: None, text, reply_to: None };
    device.ask(&[Request::Send(send)]);
    let acked = Cell::new(false);
    device
        .until("an answer", |reply| match reply {
            Reply::Ack(ack) if ack.number == number => {
                acked.set(true);
                true
            }
            Reply::Error(error) => {
                assert_eq!((error.code.as_ref(), error.retryable), (Code::NoIds.text(), true));
                true
            }
            _ => false,
        })
        .await;
    acked.get()
}

async fn until_clock_is(node: &Node, right: bool) {
    while node.health.report().ready != right {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let state = node.health.report().parts["clock"].clone();
    assert!(if right { state == State::Ready } else { matches!(state, State::Down(_)) }, "{state:?}");
}

#[test]
fn a_clock_that_is_not_the_logs_takes_no_sends_until_it_is() {
    for off in [OFF, -OFF] {
        Node::run(async |node| {
            let mut device = node.device(None).await;
            device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
            assert!(is_taken(&mut device, 1, &node).await);
            node.clock.step(off);
            let few = limits::CLOCK_READINGS.value as u32;
            let mut number = 2;
            while is_taken(&mut device, number, &node).await {
                number += 1;
                assert!(number < 3 * few, "sends are taken under a clock that is {off} ms off");
            }
            until_clock_is(&node, false).await;
            let mut other = node.device(None).await;
            other.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
            assert!(!is_taken(&mut other, 1, &node).await, "nobody's are");

            node.clock.step(-off);
            until_clock_is(&node, true).await;
            let mut back = node.device(None).await;
            back.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
            assert!(is_taken(&mut back, 1, &node).await);
        });
    }
}

#[test]
fn marks_alone_find_it_out() {
    Node::run(async |node| {
        let beginning = Position::beginning(node.partition(), 1);
        node.history.fail.notify_one();
        let mut device = node.device(Some(Blob(beginning.to_bytes().to_vec()))).await;
        device.until("synced", |reply| matches!(reply, Reply::Synced(_))).await;
        node.clock.step(OFF);
        let chat = ChatId::direct(ME, in_partition(node.held()));
        for marks in 1..=limits::CLOCK_READINGS.value as u64 {
            device.ask(&[Request::Mark(Mark { chat, kind: MarkKind::Read, source: Source::new(1, 1), id: Id::ZERO })]);
            node.has_appended(marks).await;
        }
        until_clock_is(&node, false).await;
    });
}

//! What a session does after an answer of the outside: everything that follows from it, though its device
//! says nothing more.
//!
//! Trap avoided: a device that pings would hide a session that sleeps; these say their last word before
//! the answer comes.

use volery_kernel::chat::ChatId;
use volery_kernel::limits;
use volery_kernel::position::Position;
use volery_wire::client::{History, Request, Send};
use volery_wire::field::Blob;
use volery_wire::server::Reply;

use crate::kit::{ME, Node, in_partition};

#[test]
fn a_page_larger_than_the_kernels_buffer_arrives_to_its_end() {
    Node::run(async |node| {
        let mut device = node.device(None).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        device.ask(&[newest_page()]);
        device.until("the page", |reply| matches!(reply, Reply::Page(_))).await;
    });
}

#[test]
fn what_was_not_read_while_a_page_waited_is_read_after_it() {
    Node::run(async |node| {
        let mut device = node.device(None).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        device.ask(&[newest_page()]);
        node.history.paged.notified().await;
        device.ask(&[Request::Ping]);
        device.until("the pong", |reply| matches!(reply, Reply::Pong(_))).await;
    });
}

fn newest_page() -> Request<'static> {
    let (before, after, around, around_time, cursor, limit) = (None, None, None, None, None, None);
    Request::History(History { chat: ChatId::direct(ME, ME), before, after, around, around_time, cursor, limit })
}

#[test]
fn history_that_could_not_be_read_is_read_later() {
    Node::run(async |node| {
        let beginning = Position::beginning(node.partition(), 1);
        let mut device = node.device(Some(Blob(beginning.to_bytes().to_vec()))).await;
        // After its answer nothing of the connection itself wakes the session any more.
        device.ask(&[Request::Ping]);
        device.until("the pong", |reply| matches!(reply, Reply::Pong(_))).await;
        node.history.fail.notify_one();
        device.until("synced", |reply| matches!(reply, Reply::Synced(_))).await;
    });
}

#[test]
fn requests_are_read_again_once_the_log_has_answered() {
    Node::run(async |node| {
        let mut device = node.device(None).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        node.hold_appends(true);
        let (held, free) = (in_partition(node.held()), in_partition(node.partition()));
        let to = |number| if number == 1 { held } else { free };
        let send = |number| {
            Request::Send(Send {
                to: to(number),
                number,
                since_welcome: 0,
                retry_of: None,
                shown: None,
                text: "x".into(),
                reply_to: None,
            })
        };
        let most = u32::try_from(limits::UNACKNOWLEDGED_SENDS.value).expect("a number");
        // The last of them waits for the first alone; the ping is not read before it is acknowledged.
        let mut all: Vec<_> = (1..=most).map(send).collect();
        all.push(Request::Ping);
        device.ask(&all);
        node.has_appended(u64::from(most) - 1).await;
        node.hold_appends(false);
        device.until("the pong", |reply| matches!(reply, Reply::Pong(_))).await;
    });
}

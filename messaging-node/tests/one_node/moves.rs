//! What a node says to devices whose partition is another's, nobody's, or not read yet, and what becomes of
//! it when partitions go and come back.

use volery_kernel::code::{Close, Code};
use volery_kernel::map::MemberState;
use volery_node::metrics::Queue;
use volery_wire::client::Request;
use volery_wire::server::Reply;

use crate::kit::{Device, ELSEWHERE, Node};

fn names_the_other(reply: &Reply<'_>) -> bool {
    matches!(reply, Reply::Moved(moved) if moved.address == ELSEWHERE)
}

fn is_welcome(reply: &Reply<'_>) -> bool {
    matches!(reply, Reply::Welcome(_))
}

async fn is_served(device: &mut Device) {
    device.ask(&[Request::Ping]);
    device.until("the pong", |reply| matches!(reply, Reply::Pong(_))).await;
}

#[test]
fn a_hello_at_the_wrong_node_is_told_the_right_one() {
    Node::run(async |node| {
        node.all_belong_to(2, Some(1));
        node.reads_partitions(0).await;
        let mut device = node.device(None).await;
        device.until("another node's address", names_the_other).await;
        assert_eq!(device.closed().await, Close::Moved);
    });
}

#[test]
fn a_session_whose_partition_went_to_another_node_is_told_where() {
    Node::run(async |node| {
        let mut device = node.device(None).await;
        device.until("a welcome", is_welcome).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        node.all_belong_to(2, Some(1));
        device.until("another node's address", names_the_other).await;
        assert_eq!(device.closed().await, Close::Moved);
        node.reads_partitions(0).await;
        assert_eq!(node.metrics.queue_bytes.of(Queue::Tail).get(), 0, "the tails are gone");
    });
}

#[test]
fn a_partition_that_nobody_owns_stays_until_somebody_does() {
    Node::run(async |node| {
        let mut device = node.device(None).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        node.all_belong_to(2, None);
        node.all_belong_to(1, Some(1));
        is_served(&mut device).await;
        let mut second = node.device(None).await;
        second.until("a welcome", is_welcome).await;
        assert_eq!(device.closed().await, Close::Replaced);
        node.all_belong_to(3, Some(1));
        second.until("another node's address", names_the_other).await;
        assert_eq!(second.closed().await, Close::Moved);
    });
}

fn is_no_node(reply: &Reply<'_>) -> bool {
    matches!(reply, Reply::Error(error) if error.code == Code::NoNode.text())
}

#[test]
fn a_hello_that_nobody_serves_is_told_to_come_again() {
    Node::run_owned_by(None, async |node| {
        let mut device = node.device(None).await;
        device.until("an error", is_no_node).await;
        assert_eq!(device.closed().await, Close::Fault);
        node.all_belong_to(2, Some(0));
        node.reads_partitions(2).await;
        node.device(None).await.until("a welcome", is_welcome).await;
    });
}

#[test]
fn whoever_comes_before_a_partition_is_read_waits_for_it() {
    Node::run_owned_by(None, async |node| {
        node.hold_reads(true);
        node.all_belong_to(2, Some(0));
        node.reads_partitions(2).await;
        let mut early = node.device(None).await;
        node.goes_on().await;
        assert_eq!(node.metrics.sessions.get(), 0, "no session on a tail that has not begun");
        node.hold_reads(false);
        early.until("a welcome", is_welcome).await;
        early.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
    });
}

#[test]
fn whoever_waits_is_told_where_if_the_partition_goes_on() {
    Node::run_owned_by(None, async |node| {
        node.hold_reads(true);
        node.all_belong_to(2, Some(0));
        node.reads_partitions(2).await;
        let mut early = node.device(None).await;
        node.goes_on().await;
        node.all_belong_to(3, Some(1));
        early.until("another node's address", names_the_other).await;
        assert_eq!(early.closed().await, Close::Moved);
        node.reads_partitions(0).await;
    });
}

#[test]
fn a_node_that_leaves_waits_until_its_sessions_know_where_to_go() {
    Node::run(async |node| {
        let mut device = node.device(None).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        let moves = async {
            node.goes_on().await;
            node.all_belong_to(2, Some(1));
            device.until("another node's address", names_the_other).await;
            assert_eq!(device.closed().await, Close::Moved);
        };
        tokio::join!(node.hands_over(), moves);
        assert_eq!(node.metrics.sessions.get(), 0);
    });
}

#[test]
fn a_node_that_nobody_follows_does_not_wait() {
    Node::run(async |node| {
        let mut device = node.device(None).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        node.nobody_is_up(2);
        node.hands_over().await;
        is_served(&mut device).await;
    });
}

#[test]
fn a_node_that_drains_waits_for_those_who_serve_and_for_nobody_else() {
    Node::run(async |node| {
        let mut device = node.device(None).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        node.drains_beside(2, MemberState::Draining);
        node.hands_over().await;
        is_served(&mut device).await;
        node.drains_beside(4, MemberState::Serving);
        let moves = async {
            is_served(&mut device).await;
            node.all_belong_to(5, Some(1));
            device.until("another node's address", names_the_other).await;
            assert_eq!(device.closed().await, Close::Moved);
        };
        tokio::join!(node.hands_over(), moves);
        assert_eq!(node.metrics.sessions.get(), 0);
    });
}

#[test]
fn a_node_that_is_refused_serves_nobody_until_it_is_taken_again() {
    Node::run(async |node| {
        let mut device = node.device(None).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        node.is_refused(true);
        assert_eq!(device.closed().await, Close::GoingAway, "it looks elsewhere");
        let mut device = node.device(None).await;
        device.until("an error", is_no_node).await;
        assert_eq!(device.closed().await, Close::Fault);
        node.is_refused(false);
        node.goes_on().await;
        let mut device = node.device(None).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        is_served(&mut device).await;
    });
}

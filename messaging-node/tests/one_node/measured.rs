//! What a node measures: what sessions are synced from, and how far it is behind its log.

use std::cell::Cell;
use std::time::Duration;

use volery_kernel::position::{Position, Source};
use volery_node::metrics::{Reader, SyncBy};
use volery_wire::client::{Request, Resume, Send};
use volery_wire::field::Blob;
use volery_wire::server::Reply;

use crate::kit::{Node, in_partition};

fn counted(node: &Node) -> [u64; 4] {
    [SyncBy::Tail, SyncBy::Log, SyncBy::Index, SyncBy::Reset].map(|by| node.metrics.syncs.of(by).get())
}

fn blob(position: Position) -> Blob {
    Blob(position.to_bytes().to_vec())
}

/// A device that comes back from there, until it is synced; where that is.
async fn comes_back(node: &Node, from: Blob) -> Blob {
    let (mut device, position) = (node.device(Some(from)).await, Cell::new(None));
    device
        .until("synced", |reply| {
            if let Reply::Synced(at) = reply {
                position.set(at.position.clone());
            }
            matches!(reply, Reply::Synced(_))
        })
        .await;
    position.into_inner().expect("a position that may be stored")
}

#[test]
fn a_sync_is_counted_by_what_it_is_made_from() {
    Node::run_with(Some(0), 1 << 20, async |node| {
        let beginning = Position::beginning(node.partition(), 1);
        comes_back(&node, blob(beginning)).await;
        assert_eq!(counted(&node), [0, 1, 0, 0], "the log was read for it");
        let end = comes_back(&node, blob(beginning)).await;
        assert_eq!(counted(&node), [1, 1, 0, 0], "what was read stays in memory");

        let newest = Position::from_bytes(&end.0).expect("a position of ours");
        assert_eq!(newest.source, Source::new(1, 2), "three records are there");
        *node.history.archived.lock() = Some(newest);
        let mut device = node.device(None).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        device.ask(&[Request::Resume(Resume { position: end })]);
        device.until("synced", |reply| matches!(reply, Reply::Synced(_))).await;
        assert_eq!(counted(&node), [1, 1, 0, 1]);
    });
    // The tails hold next to nothing.
    Node::run(async |node| {
        node.history.fail.notify_one();
        comes_back(&node, blob(Position::beginning(node.partition(), 1))).await;
        assert_eq!(counted(&node), [0, 0, 1, 0]);
    });
}

/// Milliseconds that the machine's clock is ahead of the log's: what is read late by it.
const AHEAD: i64 = 200;

#[test]
fn how_far_the_owner_is_behind_its_log_is_measured() {
    Node::run(async |node| {
        let lag = node.metrics.reader_lag_seconds.of(Reader::Owner);
        let mut device = node.device(None).await;
        device.until("a beginning", |reply| matches!(reply, Reply::Reset(_))).await;
        let (read, late) = (lag.get_sample_count(), lag.get_sample_sum());
        node.clock.step(AHEAD);
        let (to, text) = (in_partition(node.partition()), "x".into());
        let send = Send { to, number: 1, since_welcome: 0, retry_of: None, shown: None, text, reply_to: None };
        device.ask(&[Request::Send(send)]);
        device.until("the ack", |reply| matches!(reply, Reply::Ack(_))).await;
        while lag.get_sample_count() == read {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(lag.get_sample_sum() - late >= 0.001 * AHEAD as f64, "{} s", lag.get_sample_sum() - late);
    });
}

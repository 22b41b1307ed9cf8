//! What clients have seen, counted on their one thread. Send times travel in the messages' texts:
//! label, time in ns of the monotonic clock, filling.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::failure::Failure;
use crate::latency::{Latency, micros, times};
use crate::moves::{Loss, Moves};

/// Digits of the time stamp.
const DIGITS: usize = 20;
/// What happened at one messaging node, since [`Tally::begin`].
#[derive(Clone, Debug)]
pub struct Node {
    /// `ws://…` or `wss://…`.
    pub address: String,
    /// Messages whose acknowledgement came from there.
    pub accepted: u64,
    /// Messages that came from there to the one to whom they go.
    pub delivered: u64,
    /// As [`Tally::ack`], in µs.
    pub ack: Histogram<u64>,
    /// As [`Tally::delivery`], in µs.
    pub delivery: Histogram<u64>,
}

impl Node {
    fn new(address: &str, blank: &Histogram<u64>) -> Self {
        let (address, ack, delivery) = (address.to_owned(), blank.clone(), blank.clone());
        Self { address, accepted: 0, delivered: 0, ack, delivery }
    }

    fn reset(&mut self) {
        (self.accepted, self.delivered) = (0, 0);
        self.ack.reset();
        self.delivery.reset();
    }
}

/// All counts of a run.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Messages that users wanted sent.
    pub wanted: u64,
    /// Messages that came to a good end.
    pub acked: u64,
    /// Edits, deletions and reactions that came to a good end.
    pub changes: u64,
    /// Of both, those whose first attempt was not acknowledged.
    pub retried: u64,
    /// Sends, changes among them, that came to a bad end.
    pub failed: u64,
    /// Messages that the stream brought to the one to whom they go.
    pub delivered: u64,
    /// Sockets opened.
    pub connects: u64,
    /// Pages of messages that came.
    pub pages: u64,
    /// Read marks said.
    pub marks: u64,
    /// From sending, or the time at which it was meant, to the acknowledgement.
    pub ack: Latency,
    /// From sending, or the time at which it was meant, to the delivery at an app that was there, however
    /// its connection was.
    pub delivery: Latency,
    /// From losing the connection, or wanting the first one, to `synced`.
    pub synced: Latency,
    /// From the loss of a session to `synced`.
    pub back: Latency,
    /// Deliveries among those who stand by while others are disturbed.
    pub bystanders: Latency,
    /// From asking for a page to its coming.
    pub page: Latency,
    /// Messaging nodes, in the order in which they were met; a number here is what names them elsewhere.
    pub nodes: Vec<Node>,
    /// Sessions that were lost, and their devices caught up.
    pub moves: Moves,
    /// What went wrong, by code: of `error` frames, of closes, of connections.
    pub errors: BTreeMap<String, u64>,
    /// Of a node that is met.
    blank: Histogram<u64>,
}

impl Tally {
    /// Nothing seen yet.
    ///
    /// # Errors
    /// Never with the bounds of latencies.
    pub fn new() -> Result<Self, Failure> {
        let (latency, blank) = (Latency::new, times()?);
        Ok(Self {
            wanted: 0,
            acked: 0,
            changes: 0,
            retried: 0,
            failed: 0,
            delivered: 0,
            connects: 0,
            pages: 0,
            marks: 0,
            ack: latency()?,
            delivery: latency()?,
            synced: latency()?,
            back: latency()?,
            bystanders: latency()?,
            page: latency()?,
            nodes: Vec::new(),
            moves: Moves::new(blank.clone()),
            errors: BTreeMap::new(),
            blank,
        })
    }

    /// Forgets latencies, moves and what nodes did, not the other counts: what came before was the way there.
    pub fn begin(&mut self) {
        let all = [&mut self.ack, &mut self.delivery, &mut self.synced, &mut self.page];
        all.into_iter().chain([&mut self.back, &mut self.bystanders]).for_each(Latency::reset);
        self.nodes.iter_mut().for_each(Node::reset);
        self.moves = Moves::new(self.blank.clone());
    }

    /// The number of a node.
    pub(crate) fn node(&mut self, address: &str) -> usize {
        self.nodes.iter().position(|node| node.address == address).unwrap_or_else(|| {
            self.nodes.push(Node::new(address, &self.blank));
            self.nodes.len() - 1
        })
    }

    /// A message that was meant to go at `meant` is acknowledged, at this node.
    pub(crate) fn took_ack(&mut self, node: Option<usize>, meant: Option<u64>, now: u64) {
        self.acked += 1;
        let node = node.and_then(|node| self.nodes.get_mut(node));
        if let Some(meant) = meant {
            self.ack.took(meant, now);
        }
        if let Some(node) = node {
            node.accepted += 1;
            meant.into_iter().for_each(|meant| node.ack.saturating_record(micros(meant, now)));
        }
    }

    /// The same delivered, to somebody who perhaps stands by.
    pub(crate) fn took_delivery(&mut self, node: Option<usize>, meant: Option<u64>, now: u64, stands_by: bool) {
        self.delivered += 1;
        let node = node.and_then(|node| self.nodes.get_mut(node));
        if let Some(meant) = meant {
            self.delivery.took(meant, now);
            if stands_by {
                self.bystanders.took(meant, now);
            }
        }
        if let Some(node) = node {
            node.delivered += 1;
            meant.into_iter().for_each(|meant| node.delivery.saturating_record(micros(meant, now)));
        }
    }

    /// A device is caught up again, at this node.
    pub(crate) fn took_back(&mut self, loss: Loss, node: usize, now: u64) {
        self.back.took(loss.at, now);
        self.moves.took(loss, node, micros(loss.at, now));
    }

    /// Counts since `before`, and the latencies since [`Tally::begin`].
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let errors = self
            .errors
            .iter()
            .map(|(code, count)| (code.clone(), count - before.errors.get(code).copied().unwrap_or_default()));
        Self {
            wanted: self.wanted - before.wanted,
            acked: self.acked - before.acked,
            changes: self.changes - before.changes,
            retried: self.retried - before.retried,
            failed: self.failed - before.failed,
            delivered: self.delivered - before.delivered,
            connects: self.connects - before.connects,
            pages: self.pages - before.pages,
            marks: self.marks - before.marks,
            errors: errors.filter(|(_, count)| *count > 0).collect(),
            ..self.clone()
        }
    }

    /// Something went wrong.
    pub fn error(&mut self, code: &str) {
        match self.errors.get_mut(code) {
            Some(count) => *count += 1,
            None => drop(self.errors.insert(code.to_owned(), 1)),
        }
    }
}

/// A text of at least so many bytes, named by its first word, that says when it was meant to be sent.
#[must_use]
pub fn text(label: &str, meant: u64, bytes: usize) -> String {
    let filling = bytes.saturating_sub(label.len() + DIGITS + 2);
    format!("{label} {meant:0DIGITS$} {:.<filling$}", "")
}

/// When a text was meant to be sent.
#[must_use]
pub fn meant(text: &str) -> Option<u64> {
    text.split(' ').nth(1).filter(|digits| digits.len() == DIGITS)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_brings_its_time_along_and_has_its_length() {
        let sent = text("d1.2", 77, 256);
        assert_eq!((sent.len(), meant(&sent)), (256, Some(77)));
        assert_eq!((meant("d1.2 hello"), meant("hello")), (None, None));
    }
}

//! Where the cluster is and what a request may take. Defaults stand here, each with its reason.

use std::time::Duration;

/// How to use a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Nodes to begin with, `host:port` each; the others are learned from them.
    pub nodes: Vec<String>,
    /// Made if there is none. Lowercase letters, digits and underscores, at most 48, a letter first.
    pub keyspace: String,
    /// Copies of each row in a new keyspace; one that is there must have as many or more.
    pub copies: u16,
    /// A request that is not answered by then has failed. At least the servers' own patience with a
    /// write, 2 s, lest they do what was given up.
    pub request_timeout: Duration,
    /// Requests of one apply that are under way at once, from 1. With 64 a batch of archive is eight
    /// round trips at most, and one partition cannot fill a node's queue (1,024 by default).
    pub in_flight: usize,
}

impl Options {
    /// Three copies in the keyspace `volery`.
    #[must_use]
    pub fn new(nodes: Vec<String>) -> Self {
        let (keyspace, copies) = ("volery".to_owned(), 3);
        Self { nodes, keyspace, copies, request_timeout: Duration::from_secs(3), in_flight: 64 }
    }

    /// Whether the keyspace's name may stand in a statement as it is.
    pub(crate) fn is_named_well(&self) -> bool {
        let mut letters = self.keyspace.bytes();
        letters.next().is_some_and(|first| first.is_ascii_lowercase())
            && letters.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && self.keyspace.len() <= 48
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_say_more_than_a_name_is_none() {
        let named = |name: &str| Options { keyspace: name.to_owned(), ..Options::new(Vec::new()) }.is_named_well();
        assert!(named("volery") && named("v_2") && named(&"v".repeat(48)));
        let bad = ["", "2v", "_v", "Volery", "a b", "a;", "a\"", "ä"].map(named);
        assert_eq!(bad, [false; 8]);
        assert!(!named(&"v".repeat(49)));
    }
}

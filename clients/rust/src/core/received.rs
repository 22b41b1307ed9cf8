//! Which event frames are to be confirmed, and when: each 16 frames, 16 KiB or 1 s.

use volery_kernel::limits;
use volery_kernel::time::Timestamp;

/// Event frames of one session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    newest: u64,
    frames: u64,
    bytes: usize,
    since: Option<Timestamp>,
}

impl Received {
    /// Counts a frame; false if it was counted before. Numbers may leave some out: events of a newer
    /// node that are not understood here.
    pub(super) fn take(&mut self, n: u64, bytes: usize, now: Timestamp) -> bool {
        let new = n > self.newest;
        if new {
            self.newest = n;
            self.frames += 1;
            self.bytes += bytes;
            self.since.get_or_insert(now);
        }
        new
    }

    /// From when on a confirmation is due; `None` if there is nothing to confirm.
    #[must_use]
    pub(super) fn due(&self) -> Option<Timestamp> {
        let full =
            self.frames >= limits::RECEIVED_EVERY_FRAMES.value || self.bytes >= limits::RECEIVED_EVERY_BYTES.value;
        self.since.map(|since| if full { since } else { since.plus(limits::RECEIVED_EVERY_MS.value) })
    }

    /// Confirms everything so far.
    pub(super) fn confirm(&mut self) -> u64 {
        *self = Self { newest: self.newest, ..Self::default() };
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_after_frames_bytes_or_time() {
        let at = Timestamp;
        let mut received = Received::default();
        assert_eq!(received.due(), None);
        assert!(received.take(1, 10, at(5)));
        assert!(!received.take(1, 10, at(6)));
        assert_eq!(received.due(), Some(at(1_005)));
        assert!(received.take(2, limits::RECEIVED_EVERY_BYTES.value, at(7)));
        assert_eq!(received.due(), Some(at(5)));
        assert_eq!((received.confirm(), received.due()), (2, None));
        for n in 3..3 + limits::RECEIVED_EVERY_FRAMES.value {
            assert!(received.take(n, 1, at(9)));
        }
        assert_eq!(received.due(), Some(at(9)));
        assert_eq!((received.take(100, 1, at(9)), received.confirm()), (true, 100));
    }
}

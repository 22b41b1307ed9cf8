//! Ends a round in which an input does not end, and says which: nobody else can stop it.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::drive::Finding;

/// An input that runs this long does not end; far more than its processor time may be.
const PATIENCE: Duration = Duration::from_secs(60);

/// Watches one round; dropped at its end.
pub(crate) struct Watch {
    current: Arc<Mutex<Finding>>,
    _end: Sender<()>,
}

impl Watch {
    pub(crate) fn over(target: &'static str, seed: u64) -> Self {
        let what = "does not end".to_owned();
        let first = Finding { target, made_by: Some((seed, 0)), what, input: Vec::new() };
        let current = Arc::new(Mutex::new(first));
        let (end, ended) = channel();
        let watched = Arc::clone(&current);
        thread::spawn(move || {
            let now = || watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut before = now();
            while ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let current = now();
                if current.made_by == before.made_by {
                    eprintln!("{current}");
                    std::process::abort();
                }
                before = current;
            }
        });
        Self { current, _end: end }
    }

    /// This input is next.
    pub(crate) fn begins(&self, number: usize, input: &[u8]) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.made_by = current.made_by.map(|(seed, _)| (seed, number));
        current.input.clear();
        current.input.extend_from_slice(input);
    }
}

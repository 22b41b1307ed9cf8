//! Wakes devices at their times, exact to tens of microseconds: one timer of the kernel for all of
//! them. The runtime's own timers are exact to a millisecond, which is as long as a delivery takes.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::task::Waker;

use tokio::io::unix::AsyncFd;

use crate::clock;

/// See the module. Used from one thread.
#[derive(Debug)]
pub(super) struct Clockwork {
    timer: AsyncFd<OwnedFd>,
    /// What the timer is set to; `u64::MAX` if to nothing.
    set_to: Cell<u64>,
    due: RefCell<BinaryHeap<Reverse<(u64, usize)>>>,
    wakers: RefCell<Vec<Option<Waker>>>,
}

impl Clockwork {
    pub(super) fn new() -> io::Result<Self> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: takes and gives plain integers.
        let timer = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
        if timer < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was made just now and is nobody else's; what owns it is not replaced.
        let timer = unsafe { AsyncFd::register(OwnedFd::from_raw_fd(timer)) }?;
        let (due, wakers) = (RefCell::new(BinaryHeap::new()), RefCell::new(Vec::new()));
        Ok(Self { timer, set_to: Cell::new(u64::MAX), due, wakers })
    }

    /// Who is woken for `device` from now on.
    pub(super) fn register(&self, device: usize, waker: &Waker) {
        let mut wakers = self.wakers.borrow_mut();
        if wakers.len() <= device {
            wakers.resize(device + 1, None);
        }
        if !wakers[device].as_ref().is_some_and(|known| known.will_wake(waker)) {
            wakers[device] = Some(waker.clone());
        }
    }

    /// Wakes `device` at `at`, a time of [`clock::nanos`].
    pub(super) fn wake_at(&self, at: u64, device: usize) {
        self.due.borrow_mut().push(Reverse((at, device)));
        if at < self.set_to.get() {
            self.set(at);
        }
    }

    /// Wakes `device` now.
    pub(super) fn wake(&self, device: usize) {
        if let Some(waker) = self.wakers.borrow().get(device).and_then(Option::as_ref) {
            waker.wake_by_ref();
        }
    }

    /// Runs for ever.
    pub(super) async fn run(&self) -> io::Result<()> {
        loop {
            let mut ready = self.timer.readable().await?;
            let read = ready.try_io(|timer| expirations(timer.get_ref()));
            if let Ok(Err(error)) = read {
                return Err(error);
            }
            self.wake_due(clock::nanos());
        }
    }

    fn wake_due(&self, now: u64) {
        let mut due = self.due.borrow_mut();
        while due.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            if let Some(Reverse((_, device))) = due.pop() {
                self.wake(device);
            }
        }
        self.set(due.peek().map_or(u64::MAX, |Reverse((at, _))| *at));
    }

    fn set(&self, at: u64) {
        self.set_to.set(at);
        if at == u64::MAX {
            return;
        }
        let spec = |nanos: u64| libc::timespec {
            tv_sec: (nanos / 1_000_000_000) as libc::time_t,
            tv_nsec: (nanos % 1_000_000_000) as libc::c_long,
        };
        let value = libc::itimerspec { it_interval: spec(0), it_value: spec(at.max(1)) };
        // SAFETY: the descriptor is open, and the structure lives through the call; nothing comes back.
        unsafe {
            libc::timerfd_settime(
                self.timer.as_raw_fd(),
                libc::TFD_TIMER_ABSTIME,
                &raw const value,
                std::ptr::null_mut(),
            )
        };
    }
}

fn expirations(timer: &OwnedFd) -> io::Result<u64> {
    let mut count = 0_u64;
    // SAFETY: eight bytes are read into eight bytes.
    let read = unsafe { libc::read(timer.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    if read < 0 { Err(io::Error::last_os_error()) } else { Ok(count) }
}

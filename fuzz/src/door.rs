//! Where the venue can be reached at the moment: what traders wait for when they have lost it.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One life of the venue, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Life(pub u64);

/// What a trader finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The venue listens.
    Open(Life, SocketAddr),
    /// Nobody will open any more.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open(SocketAddr),
    Over,
}

#[derive(Debug)]
struct Inner {
    /// The present life, or the last.
    life: Life,
    state: State,
    /// Traders that have recovered in it.
    recovered: usize,
    /// The last life whose traders were compared with the venue.
    compared: Life,
}

/// The door, as whoever starts and kills the venue knows it.
#[derive(Debug)]
pub struct Door {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Door {
    /// A venue that was never there.
    pub fn new() -> Self {
        let inner = Inner { life: Life(0), state: State::Closed, recovered: 0, compared: Life(0) };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    /// The venue begins another life at `address`.
    pub fn open(&self, address: SocketAddr) -> Life {
        let mut inner = self.lock();
        let life = Life(inner.life.0 + 1);
        *inner = Inner { life, state: State::Open(address), recovered: 0, compared: inner.compared };
        drop(inner);
        self.changed.notify_all();
        life
    }

    /// It is gone.
    pub fn close(&self) {
        self.lock().state = State::Closed;
        self.changed.notify_all();
    }

    /// The last life.
    pub fn life(&self) -> Life {
        self.lock().life
    }

    /// A trader has recovered in this life, and waits until it may trade; whether it may.
    ///
    /// It may not if the venue is gone meanwhile.
    pub fn wait_until_compared(&self, life: Life) -> bool {
        let mut inner = self.lock();
        if inner.life == life {
            inner.recovered += 1;
            self.changed.notify_all();
        }
        while inner.life == life && matches!(inner.state, State::Open(_)) && inner.compared < life {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.compared >= life
    }

    /// A trader has recovered in this life.
    pub fn recovered(&self, life: Life) {
        let mut inner = self.lock();
        if inner.life == life {
            inner.recovered += 1;
            self.changed.notify_all();
        }
    }

    /// Whether the venue still listens in this life.
    pub fn is_open(&self, life: Life) -> bool {
        let inner = self.lock();
        inner.life == life && matches!(inner.state, State::Open(_))
    }

    /// Waits until so many traders have recovered; whether they have, within `limit`.
    pub fn wait_for_recovered(&self, count: usize, limit: Duration) -> bool {
        let inner = self.lock();
        let waited = self.changed.wait_timeout_while(inner, limit, |inner| inner.recovered < count);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Lets them trade.
    pub fn compared(&self) {
        let mut inner = self.lock();
        inner.compared = inner.life;
        self.changed.notify_all();
    }

    /// It will not come back.
    pub fn end(&self) {
        self.lock().state = State::Over;
        self.changed.notify_all();
    }

    /// Waits for a life of the venue behind `before`.
    pub fn next(&self, before: Life) -> Found {
        let mut inner = self.lock();
        loop {
            match inner.state {
                State::Open(address) if inner.life > before => return Found::Open(inner.life, address),
                State::Over => return Found::Over,
                State::Open(_) | State::Closed => {
                    inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Nothing that is guarded here can be left half done.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Door {
    fn default() -> Self {
        Self::new()
    }
}

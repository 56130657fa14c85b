//! How many are there, from where and with which key; and who was sent away, and why.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::KeyId;
use wire::FeedLevel;

use crate::channel::LEVELS;
use crate::outbox::CloseReason;
use crate::quic::Limits;

/// Connections of all threads, counted.
#[derive(Debug)]
pub struct Crowd {
    subscribers_max: usize,
    per_address: usize,
    per_key: usize,
    present: Mutex<Present>,
    refused: AtomicU64,
    closed: [AtomicU64; CloseReason::ALL.len()],
    subscriptions: [AtomicU64; LEVELS.len()],
    backlog_bytes: AtomicU64,
    gaps: AtomicU64,
    conflated: AtomicU64,
    repeated: AtomicU64,
}

/// What a room adds to the numbers of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Channels that are taken, by level, in the order of [`LEVELS`].
    pub(crate) subscriptions: [u64; LEVELS.len()],
    /// Bytes of packets that wait for subscribers.
    pub(crate) backlog_bytes: u64,
    /// Gap notices so far.
    pub(crate) gaps: u64,
    /// Packets that went into a newer state so far.
    pub(crate) conflated: u64,
    /// Packets that were sent again so far.
    pub(crate) repeated: u64,
}

#[derive(Debug, Default)]
struct Present {
    count: usize,
    addresses: BTreeMap<IpAddr, usize>,
    keys: BTreeMap<KeyId, usize>,
}

/// One connection's place, until it is dropped.
#[derive(Debug)]
pub struct Presence {
    crowd: Arc<Crowd>,
    address: IpAddr,
    key: Option<KeyId>,
}

impl Crowd {
    /// Nobody yet, with such bounds.
    pub fn new(limits: &Limits) -> Self {
        Self {
            subscribers_max: limits.subscribers_max,
            per_address: limits.connections_per_address,
            per_key: limits.connections_per_key,
            present: Mutex::default(),
            refused: AtomicU64::new(0),
            closed: Default::default(),
            subscriptions: Default::default(),
            backlog_bytes: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            conflated: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
        }
    }

    /// A newcomer's place; nothing: there are too many, in all or from its address.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Presence> {
        let address = origin(address);
        let mut present = self.present();
        let here = present.addresses.get(&address).copied().unwrap_or(0);
        if present.count >= self.subscribers_max || here >= self.per_address {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        present.count += 1;
        present.addresses.insert(address, here + 1);
        drop(present);
        Some(Presence { crowd: Arc::clone(self), address, key: None })
    }

    /// How many are there.
    pub fn count(&self) -> usize {
        self.present().count
    }

    /// How many were refused before they were heard.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// How many the venue closed, by reason.
    pub fn closed_by_reason(&self) -> impl Iterator<Item = (CloseReason, u64)> + '_ {
        CloseReason::ALL.into_iter().zip(self.closed.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// How many channels are taken, by level: one for each subscriber and instrument. Of those of the feed alone; who
    /// makes channels of its own has none of these.
    pub fn subscriptions(&self) -> impl Iterator<Item = (FeedLevel, u64)> + '_ {
        LEVELS.into_iter().zip(self.subscriptions.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Bytes of packets that wait for subscribers.
    pub fn backlog_bytes(&self) -> u64 {
        self.backlog_bytes.load(Ordering::Relaxed)
    }

    /// How often a subscriber was told that messages were left out.
    pub fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::Relaxed)
    }

    /// Packets that went into a newer state instead of being sent, for who takes the latest state.
    pub fn conflated(&self) -> u64 {
        self.conflated.load(Ordering::Relaxed)
    }

    /// Packets that were sent again because a subscriber asked for them.
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// A room has come from one tally to another.
    pub(crate) fn tally(&self, before: &Tally, now: &Tally) {
        // What is less than before wraps around, and so does the sum.
        let add = |count: &AtomicU64, before: u64, now: u64| {
            count.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        };
        let levels = before.subscriptions.iter().zip(&now.subscriptions);
        self.subscriptions.iter().zip(levels).for_each(|(count, (&before, &now))| add(count, before, now));
        add(&self.backlog_bytes, before.backlog_bytes, now.backlog_bytes);
        add(&self.gaps, before.gaps, now.gaps);
        add(&self.conflated, before.conflated, now.conflated);
        add(&self.repeated, before.repeated, now.repeated);
    }

    /// Counts one that was closed.
    pub fn close(&self, reason: CloseReason) {
        self.closed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence {
    /// With whom it is counted.
    pub(crate) fn crowd(&self) -> &Arc<Crowd> {
        &self.crowd
    }

    /// It is known whose key its holder has; `false`: that key has as many connections as it may.
    pub fn identify(&mut self, key: KeyId) -> bool {
        if self.key == Some(key) {
            return true;
        }
        let mut present = self.crowd.present();
        let count = present.keys.entry(key).or_default();
        if *count >= self.crowd.per_key {
            return false;
        }
        *count += 1;
        if let Some(former) = self.key.replace(key) {
            leave(&mut present.keys, former);
        }
        true
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut present = self.crowd.present();
        present.count -= 1;
        leave(&mut present.addresses, self.address);
        if let Some(key) = self.key {
            leave(&mut present.keys, key);
        }
    }
}

/// Whoever has one address of 64 bits of IPv6 has all.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

fn leave<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

//! Who has guessed too often: failed logins by address, and by address and key.
//!
//! A login that proves nothing is a guess: of a key that there is not, or with a signature that is not the key's. Five a
//! minute are put up with, from an address or for one key from there; the next locks it out, for a minute at first, and
//! twice as long each time that it goes on so, up to an hour. Whoever is locked out is refused before any signature is
//! looked at. A session that opens ends all that for its address and key.
//!
//! What is remembered is bounded: the address that has been quiet for longest is forgotten first. Addresses of IPv6 count
//! by their first 64 bits, as whoever has one of them has all.

use core::num::NonZeroU32;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use engine::{KeyId, Nanoseconds, Timestamp};

use crate::rights::in_ipv6;
use crate::throttle::Bucket;

const SECOND: u64 = 1_000_000_000;
/// Guesses that are put up with at once.
const GUESSES: NonZeroU32 = NonZeroU32::new(5).expect("some are");
/// How long it takes until one more is.
const GUESS_INTERVAL: Nanoseconds = Nanoseconds(12 * SECOND);
/// How long the first lockout lasts.
const LOCKOUT_MIN: Nanoseconds = Nanoseconds(60 * SECOND);
/// How long any lasts at most.
const LOCKOUT_MAX: Nanoseconds = Nanoseconds(3_600 * SECOND);
/// Addresses, and keys at addresses, that are remembered.
const CAPACITY: usize = 8_192;

/// Where a peer is, as far as it counts as one: an address of IPv4, or the first 64 bits of one of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(u128);

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Self {
        let mapped = in_ipv6(address);
        match mapped.to_ipv4_mapped() {
            Some(_) => Self(mapped.to_bits()),
            None => Self(mapped.to_bits() >> 64 << 64),
        }
    }
}

/// What guesses are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Suspect {
    Origin(Origin),
    KeyAt(KeyId, Origin),
}

/// Who has guessed how often.
#[derive(Debug, Default)]
pub struct Lockouts {
    records: HashMap<Suspect, Record>,
    /// Suspects in the order in which they guessed last.
    order: BTreeMap<u64, Suspect>,
    /// Guesses in all.
    count: u64,
}

/// What one suspect has done.
#[derive(Debug, Clone, Copy)]
struct Record {
    /// Its place in the order of forgetting.
    place: u64,
    guesses: Bucket,
    locked_until: Timestamp,
    /// How long the next lockout lasts.
    next_lockout: Nanoseconds,
}

impl Lockouts {
    /// Whether a login is not even looked at.
    pub fn bars(&self, key: Option<KeyId>, origin: Origin, now: Timestamp) -> bool {
        suspects(key, origin).any(|suspect| self.records.get(&suspect).is_some_and(|record| record.is_locked(now)))
    }

    /// A guess was made.
    pub fn guessed(&mut self, key: Option<KeyId>, origin: Origin, now: Timestamp) {
        suspects(key, origin).for_each(|suspect| self.note(suspect, now));
    }

    /// A session was opened: what was counted for its key and address was no guessing.
    pub fn opened(&mut self, key: KeyId, origin: Origin) {
        for suspect in suspects(Some(key), origin) {
            if let Some(record) = self.records.remove(&suspect) {
                self.order.remove(&record.place);
            }
        }
    }

    fn note(&mut self, suspect: Suspect, now: Timestamp) {
        self.count += 1;
        let record = self.records.entry(suspect).or_insert(Record::NEW);
        self.order.remove(&record.place);
        record.place = self.count;
        record.guess(now);
        self.order.insert(self.count, suspect);
        if self.records.len() > CAPACITY
            && let Some((_, forgotten)) = self.order.pop_first()
        {
            self.records.remove(&forgotten);
        }
    }
}

fn suspects(key: Option<KeyId>, origin: Origin) -> impl Iterator<Item = Suspect> {
    let key_there = key.map(|key| Suspect::KeyAt(key, origin));
    [Some(Suspect::Origin(origin)), key_there].into_iter().flatten()
}

impl Record {
    const NEW: Self =
        Self { place: 0, guesses: Bucket::FULL, locked_until: Timestamp::NONE, next_lockout: LOCKOUT_MIN };

    /// A lockout that would last longer than any does is of a clock that was set back since.
    fn is_locked(&self, now: Timestamp) -> bool {
        now < self.locked_until && self.locked_until <= now.after(LOCKOUT_MAX)
    }

    fn guess(&mut self, now: Timestamp) {
        if now >= self.locked_until.after(LOCKOUT_MAX) {
            self.next_lockout = LOCKOUT_MIN;
        }
        if !self.guesses.take(GUESS_INTERVAL, GUESSES, now) {
            self.locked_until = now.after(self.next_lockout);
            self.next_lockout = Nanoseconds(self.next_lockout.0 * 2).min(LOCKOUT_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_790_000_000_000_000_000);
    const KEY: KeyId = KeyId(5);
    const OTHER: KeyId = KeyId(6);

    fn origin(address: &str) -> Origin {
        address.parse::<IpAddr>().unwrap().into()
    }

    fn at(seconds: u64) -> Timestamp {
        START.after(Nanoseconds(seconds * SECOND))
    }

    /// Guesses with a key as long as it may, at `seconds`; how many it made, and for how many seconds it is barred then.
    fn guess(lockouts: &mut Lockouts, key: KeyId, from: Origin, seconds: u64) -> (usize, usize) {
        let mut guesses = 0;
        while !lockouts.bars(Some(key), from, at(seconds)) {
            lockouts.guessed(Some(key), from, at(seconds));
            guesses += 1;
        }
        let barred = (seconds..).take_while(|&seconds| lockouts.bars(Some(key), from, at(seconds)));
        (guesses, barred.count())
    }

    #[test]
    fn five_guesses_are_put_up_with_and_further_ones_lock_out_for_ever_longer() {
        let (mut lockouts, from) = (Lockouts::default(), origin("192.0.2.7"));
        let mut seconds = 0;
        for expected in [60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
            assert_eq!(guess(&mut lockouts, KEY, from, seconds), (6, expected));
            seconds += expected as u64;
        }
        // An hour of quiet behind the last.
        assert_eq!(guess(&mut lockouts, KEY, from, seconds + 3_600), (6, 60));
    }

    #[test]
    fn five_guesses_a_minute_lock_nobody_out() {
        let (mut lockouts, from) = (Lockouts::default(), origin("192.0.2.7"));
        for guess in 0..100 {
            lockouts.guessed(Some(KEY), from, at(guess * 12));
            assert!(!lockouts.bars(Some(KEY), from, at(guess * 12)), "{guess}");
        }
    }

    #[test]
    fn an_address_is_locked_out_with_every_key_and_no_other_address_is() {
        let (mut lockouts, from) = (Lockouts::default(), origin("192.0.2.7"));
        guess(&mut lockouts, KEY, from, 0);
        assert!(lockouts.bars(Some(OTHER), from, at(0)) && lockouts.bars(None, from, at(0)));
        assert!(!lockouts.bars(Some(KEY), origin("192.0.2.8"), at(0)));
        // Of IPv6, 64 bits are one address.
        let from = origin("2001:db8::1");
        guess(&mut lockouts, KEY, from, 0);
        assert!(lockouts.bars(None, origin("2001:db8::ffff:2"), at(0)));
        assert!(!lockouts.bars(None, origin("2001:db8:0:1::1"), at(0)));
        // However it is written.
        assert_eq!(origin("::ffff:192.0.2.7"), origin("192.0.2.7"));
    }

    #[test]
    fn a_session_that_opens_forgives_its_own_key_and_address_and_no_other_key() {
        let (mut lockouts, from) = (Lockouts::default(), origin("192.0.2.7"));
        guess(&mut lockouts, KEY, from, 0);
        lockouts.opened(OTHER, from);
        assert!(!lockouts.bars(Some(OTHER), from, at(0)));
        assert!(lockouts.bars(Some(KEY), from, at(0)));
        lockouts.opened(KEY, from);
        assert!(!lockouts.bars(Some(KEY), from, at(0)));
        assert_eq!((lockouts.records.len(), lockouts.order.len()), (0, 0));
    }

    #[test]
    fn an_attacker_with_many_addresses_makes_nothing_grow() {
        let mut lockouts = Lockouts::default();
        let last = origin("192.0.2.7");
        for number in 0..100_000_u128 {
            lockouts.guessed(Some(KEY), Origin(number << 64), at(0));
        }
        guess(&mut lockouts, KEY, last, 0);
        assert_eq!((lockouts.records.len(), lockouts.order.len()), (CAPACITY, CAPACITY));
        assert!(lockouts.bars(Some(KEY), last, at(0)));
    }

    #[test]
    fn a_clock_that_was_set_back_far_ends_lockouts() {
        let (mut lockouts, from) = (Lockouts::default(), origin("192.0.2.7"));
        guess(&mut lockouts, KEY, from, 100_000);
        assert!(!lockouts.bars(Some(KEY), from, at(0)));
    }
}

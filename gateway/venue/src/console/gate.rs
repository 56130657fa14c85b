//! Who is in: tickets, sessions and what both may cost. No I/O, no clock, no chance: time and random bytes come in.
//!
//! Of a ticket and of a session's id only the BLAKE3 hash is kept: who reads the venue's memory or a dump of it gets in
//! nowhere, and looking one up tells nothing by how long it takes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use engine::{IdempotencyKey, KeyId};

/// How long a ticket lets in.
pub(super) const TICKET_LIFE: Duration = Duration::from_secs(60);
/// How long nobody may do anything.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// How long a session lives, whatever is done in it.
pub(super) const LIFE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// Tickets that nobody has used yet: of all keys, and of one.
const TICKETS_MAX: usize = 64;
const TICKETS_OF_KEY: usize = 4;
/// Sessions: of all keys, and of one.
const SESSIONS_MAX: usize = 64;
const SESSIONS_OF_KEY: usize = 8;
/// How long a request for a ticket is remembered; older ones are refused for their time.
const REQUEST_LIFE: Duration = Duration::from_secs(15);
const REQUESTS_MAX: usize = 256;
/// Logins that may fail at once, and how long it takes to earn another.
const FAILURES_MAX: u32 = 20;
const FAILURE_EVERY: Duration = Duration::from_secs(1);

/// 256 random bits.
pub(super) type Secret = [u8; 32];

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// No ticket that holds: unknown, used, or too old. Which is not said.
    NoTicket,
    /// This request was made before.
    Repeated,
    /// There is no room for another.
    Full,
}

/// What is known of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hash([u8; 32]);

impl Hash {
    pub(super) fn of(secret: &Secret) -> Self {
        Self(*blake3::hash(secret).as_bytes())
    }
}

#[derive(Debug, Clone, Copy)]
struct Ticket {
    key: KeyId,
    issued: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    key: KeyId,
    began: Duration,
    used: Duration,
}

impl Ticket {
    fn holds(&self, now: Duration) -> bool {
        now.saturating_sub(self.issued) < TICKET_LIFE
    }
}

impl Session {
    fn holds(&self, now: Duration) -> bool {
        now.saturating_sub(self.used) < IDLE_MAX && now.saturating_sub(self.began) < LIFE_MAX
    }
}

/// Who is in, and who may come in.
#[derive(Debug, Default)]
pub(super) struct Gate {
    tickets: BTreeMap<Hash, Ticket>,
    sessions: BTreeMap<Hash, Session>,
    requests: VecDeque<(Duration, KeyId, IdempotencyKey)>,
    failures: u32,
    forgiven: Duration,
}

impl Gate {
    /// From now on the ticket lets the key's holder in, once.
    pub(super) fn issue(
        &mut self,
        key: KeyId,
        request: IdempotencyKey,
        ticket: &Secret,
        now: Duration,
    ) -> Result<(), Denied> {
        self.forget_what_is_over(now);
        if self.requests.iter().any(|(_, by, known)| (*by, *known) == (key, request)) {
            return Err(Denied::Repeated);
        }
        if self.requests.len() >= REQUESTS_MAX {
            return Err(Denied::Full);
        }
        let of_key = self.tickets.iter().filter(|(_, ticket)| ticket.key == key);
        if of_key.clone().count() >= TICKETS_OF_KEY
            && let Some((&oldest, _)) = of_key.min_by_key(|(_, ticket)| ticket.issued)
        {
            self.tickets.remove(&oldest);
        }
        if self.tickets.len() >= TICKETS_MAX {
            return Err(Denied::Full);
        }
        self.requests.push_back((now, key, request));
        self.tickets.insert(Hash::of(ticket), Ticket { key, issued: now });
        Ok(())
    }

    /// Lets the holder of a ticket in, under a new id; whose it is.
    pub(super) fn redeem(&mut self, ticket: &Secret, id: &Secret, now: Duration) -> Result<KeyId, Denied> {
        self.forget_what_is_over(now);
        let Ticket { key, .. } =
            self.tickets.remove(&Hash::of(ticket)).filter(|ticket| ticket.holds(now)).ok_or(Denied::NoTicket)?;
        let of_key = self.sessions.iter().filter(|(_, session)| session.key == key);
        if of_key.clone().count() >= SESSIONS_OF_KEY
            && let Some((&idlest, _)) = of_key.min_by_key(|(_, session)| session.used)
        {
            self.sessions.remove(&idlest);
        }
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(Denied::Full);
        }
        self.sessions.insert(Hash::of(id), Session { key, began: now, used: now });
        Ok(key)
    }

    /// Whose session has this id.
    pub(super) fn session(&self, id: Hash, now: Duration) -> Option<KeyId> {
        self.sessions.get(&id).filter(|session| session.holds(now)).map(|session| session.key)
    }

    /// Its holder has done something.
    pub(super) fn used(&mut self, id: Hash, now: Duration) {
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| session.holds(now)) {
            session.used = now;
        }
    }

    /// Its holder has left.
    pub(super) fn leave(&mut self, id: Hash) {
        self.sessions.remove(&id);
    }

    /// The key is no good any more: nobody is in with it.
    pub(super) fn expel(&mut self, key: KeyId) {
        self.sessions.retain(|_, session| session.key != key);
        self.tickets.retain(|_, ticket| ticket.key != key);
    }

    /// Whether anybody is in with the key.
    pub(super) fn has_session(&self, key: KeyId, now: Duration) -> bool {
        self.sessions.values().any(|session| session.key == key && session.holds(now))
    }

    pub(super) fn forget_what_is_over(&mut self, now: Duration) {
        self.tickets.retain(|_, ticket| ticket.holds(now));
        self.sessions.retain(|_, session| session.holds(now));
        while self.requests.pop_front_if(|(at, ..)| now.saturating_sub(*at) > REQUEST_LIFE).is_some() {}
    }

    /// Whether another login may be tried.
    pub(super) fn may_try(&mut self, now: Duration) -> bool {
        let earned = now.saturating_sub(self.forgiven).as_secs() / FAILURE_EVERY.as_secs();
        self.failures = self.failures.saturating_sub(u32::try_from(earned).unwrap_or(u32::MAX));
        self.forgiven = if self.failures == 0 { now } else { self.forgiven + Duration::from_secs(earned) };
        self.failures < FAILURES_MAX
    }

    /// One has failed.
    pub(super) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: KeyId = KeyId(2);
    const BOB: KeyId = KeyId(3);
    const START: Duration = Duration::from_secs(1_000);

    fn secret(number: u8) -> Secret {
        [number; 32]
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// A gate with Alice in it, under the id 100.
    fn with_alice() -> (Gate, Hash) {
        let mut gate = Gate::default();
        gate.issue(ALICE, IdempotencyKey(1), &secret(1), START).unwrap();
        assert_eq!(gate.redeem(&secret(1), &secret(100), START), Ok(ALICE));
        (gate, Hash::of(&secret(100)))
    }

    #[test]
    fn a_ticket_lets_in_once() {
        let (mut gate, id) = with_alice();
        assert_eq!(gate.session(id, START), Some(ALICE));
        assert_eq!(gate.redeem(&secret(1), &secret(101), START), Err(Denied::NoTicket));
        assert_eq!(gate.session(Hash::of(&secret(101)), START), None);
    }

    #[test]
    fn a_ticket_is_over_after_a_minute() {
        for (later, outcome) in [(59, Ok(ALICE)), (60, Err(Denied::NoTicket))] {
            let mut gate = Gate::default();
            gate.issue(ALICE, IdempotencyKey(1), &secret(1), START).unwrap();
            assert_eq!(gate.redeem(&secret(1), &secret(100), START + seconds(later)), outcome, "{later} s");
        }
    }

    #[test]
    fn a_request_for_a_ticket_counts_once() {
        let (mut gate, _) = with_alice();
        assert_eq!(gate.issue(ALICE, IdempotencyKey(1), &secret(2), START + seconds(14)), Err(Denied::Repeated));
        assert_eq!(gate.issue(BOB, IdempotencyKey(1), &secret(3), START), Ok(()));
    }

    #[test]
    fn a_session_ends_when_nothing_is_done_for_half_an_hour() {
        let (mut gate, id) = with_alice();
        let almost = IDLE_MAX - seconds(1);
        assert_eq!(gate.session(id, START + almost), Some(ALICE));
        gate.used(id, START + almost);
        assert_eq!(gate.session(id, START + almost * 2), Some(ALICE));
        assert_eq!(gate.session(id, START + almost + IDLE_MAX), None);
        assert!(!gate.has_session(ALICE, START + almost + IDLE_MAX));
    }

    #[test]
    fn a_session_ends_after_twelve_hours_whatever_is_done() {
        let (mut gate, id) = with_alice();
        let mut now = START;
        while now < START + LIFE_MAX {
            assert_eq!(gate.session(id, now), Some(ALICE), "{now:?}");
            gate.used(id, now);
            now += seconds(20 * 60);
        }
        assert_eq!(gate.session(id, now), None);
    }

    #[test]
    fn a_key_that_is_revoked_lets_nobody_in_and_keeps_nobody_in() {
        let (mut gate, id) = with_alice();
        gate.issue(ALICE, IdempotencyKey(2), &secret(2), START).unwrap();
        gate.issue(BOB, IdempotencyKey(1), &secret(3), START).unwrap();
        gate.expel(ALICE);
        assert_eq!(gate.session(id, START), None);
        assert_eq!(gate.redeem(&secret(2), &secret(101), START), Err(Denied::NoTicket));
        assert_eq!(gate.redeem(&secret(3), &secret(102), START), Ok(BOB));
    }

    #[test]
    fn who_leaves_is_out() {
        let (mut gate, id) = with_alice();
        gate.leave(id);
        assert_eq!(gate.session(id, START), None);
    }

    #[test]
    fn a_key_has_a_few_sessions_and_the_idlest_makes_room() {
        let mut gate = Gate::default();
        for number in 0..=SESSIONS_OF_KEY as u8 {
            let now = START + seconds(number.into());
            gate.issue(ALICE, IdempotencyKey(number.into()), &secret(number), now).unwrap();
            gate.redeem(&secret(number), &secret(100 + number), now).unwrap();
        }
        let now = START + seconds(60);
        assert_eq!(gate.session(Hash::of(&secret(100)), now), None);
        for number in 1..=SESSIONS_OF_KEY as u8 {
            assert_eq!(gate.session(Hash::of(&secret(100 + number)), now), Some(ALICE), "{number}");
        }
    }

    #[test]
    fn tickets_and_sessions_are_bounded() {
        let mut gate = Gate::default();
        for number in 0..TICKETS_MAX as u8 {
            gate.issue(KeyId(number.into()), IdempotencyKey(1), &secret(number), START).unwrap();
        }
        assert_eq!(gate.issue(KeyId(99), IdempotencyKey(1), &secret(99), START), Err(Denied::Full));
        for number in 0..SESSIONS_MAX as u8 {
            gate.redeem(&secret(number), &secret(100 + number), START).unwrap();
        }
        gate.issue(KeyId(99), IdempotencyKey(1), &secret(99), START).unwrap();
        assert_eq!(gate.redeem(&secret(99), &secret(200), START), Err(Denied::Full));
        let later = START + IDLE_MAX;
        gate.issue(KeyId(99), IdempotencyKey(2), &secret(98), later).unwrap();
        assert_eq!(gate.redeem(&secret(98), &secret(200), later), Ok(KeyId(99)));
    }

    #[test]
    fn failures_are_forgiven_one_a_second() {
        let mut gate = Gate::default();
        for _ in 0..FAILURES_MAX {
            assert!(gate.may_try(START));
            gate.failed();
        }
        assert!(!gate.may_try(START));
        assert!(gate.may_try(START + seconds(1)));
        gate.failed();
        assert!(!gate.may_try(START + seconds(1)));
        assert!(gate.may_try(START + seconds(2)));
    }
}

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
const TICKETS: Places = Places { all: 64, kept: 16 };
const TICKETS_OF_KEY: usize = 4;
/// Sessions: of all keys, and of one.
const SESSIONS: Places = Places { all: 64, kept: 16 };
const SESSIONS_OF_KEY: usize = 8;
/// How long a request for a ticket is remembered; older ones are refused for their time.
const REQUEST_LIFE: Duration = Duration::from_secs(15);
/// Requests that are remembered: of all keys, and of one.
const REQUESTS: Places = Places { all: 256, kept: 64 };
const REQUESTS_OF_KEY: usize = 8;

/// 256 random bits. Nobody guesses them, however often: what does not hold is refused, and costs nobody else anything.
pub(super) type Secret = [u8; 32];

/// How many there may be, of which some are kept for keys that run the venue: traders cannot keep those out.
#[derive(Debug, Clone, Copy)]
struct Places {
    all: usize,
    kept: usize,
}

impl Places {
    /// Whether somebody has a place beside those who are there, of whom each runs the venue or does not.
    fn has_room(self, operates: bool, there: impl Iterator<Item = bool>) -> bool {
        let (operators, others) = there.fold((0, 0), |(operators, others), operates| match operates {
            true => (operators + 1, others),
            false => (operators, others + 1),
        });
        operators + others < self.all && (operates || others < self.all - self.kept)
    }
}

/// Who asks for a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) key: KeyId,
    /// It runs the venue, or a part of it.
    pub(super) operates: bool,
}

/// Why nobody is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// No ticket that holds: unknown, used, or too old. Which is not said.
    NoTicket,
    /// This request was made before.
    Repeated,
    /// There is no room for another.
    Full,
    /// The browser is in with another key, and did not say that this one comes instead.
    OtherKey(KeyId),
}

/// What is known of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hash([u8; 32]);

impl Hash {
    pub(super) fn of(secret: &Secret) -> Self {
        Self(*blake3::hash(secret).as_bytes())
    }

    /// Of a session's id, as its cookie is named: what began over TLS is not found by what came without.
    pub(super) fn of_session(secret: &Secret, is_secure: bool) -> Self {
        Self(*blake3::Hasher::new().update(secret).update(&[is_secure.into()]).finalize().as_bytes())
    }
}

#[derive(Debug, Clone, Copy)]
struct Ticket {
    holder: Holder,
    issued: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    holder: Holder,
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

#[derive(Debug, Clone, Copy)]
struct Request {
    at: Duration,
    holder: Holder,
    number: IdempotencyKey,
}

/// A browser that comes in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// The id that its session will have.
    pub(super) id: Hash,
    /// The session that it had.
    pub(super) before: Option<Hash>,
    /// Whoever sits there knows that a session of another key ends.
    pub(super) replaces: bool,
}

/// Who is in, and who may come in.
#[derive(Debug, Default)]
pub(super) struct Gate {
    tickets: BTreeMap<Hash, Ticket>,
    sessions: BTreeMap<Hash, Session>,
    requests: VecDeque<Request>,
}

impl Gate {
    /// From now on the ticket lets its holder in, once.
    pub(super) fn issue(
        &mut self,
        holder: Holder,
        number: IdempotencyKey,
        ticket: &Secret,
        now: Duration,
    ) -> Result<(), Denied> {
        self.forget_what_is_over(now);
        let requests = self.requests.iter().filter(|request| request.holder.key == holder.key);
        if requests.clone().any(|request| request.number == number) {
            return Err(Denied::Repeated);
        }
        let all = self.requests.iter().map(|request| request.holder.operates);
        if requests.count() >= REQUESTS_OF_KEY || !REQUESTS.has_room(holder.operates, all) {
            return Err(Denied::Full);
        }
        let of_key = self.tickets.iter().filter(|(_, ticket)| ticket.holder.key == holder.key);
        let oldest = (of_key.clone().count() >= TICKETS_OF_KEY)
            .then(|| of_key.min_by_key(|(_, ticket)| ticket.issued).map(|(hash, _)| *hash))
            .flatten();
        let others = self.tickets.iter().filter(|(hash, _)| Some(**hash) != oldest);
        if !TICKETS.has_room(holder.operates, others.map(|(_, ticket)| ticket.holder.operates)) {
            return Err(Denied::Full);
        }
        if let Some(oldest) = oldest {
            self.tickets.remove(&oldest);
        }
        self.requests.push_back(Request { at: now, holder, number });
        self.tickets.insert(Hash::of(ticket), Ticket { holder, issued: now });
        Ok(())
    }

    /// Lets the holder of a ticket in; whose it is. The session that the browser had is over. Who is refused for anything
    /// but the ticket itself has it still.
    pub(super) fn redeem(&mut self, ticket: &Secret, entry: Entry, now: Duration) -> Result<KeyId, Denied> {
        self.forget_what_is_over(now);
        let ticket = Hash::of(ticket);
        let holder = self.tickets.get(&ticket).ok_or(Denied::NoTicket)?.holder;
        let Entry { id, before, replaces } = entry;
        match before.and_then(|before| self.session(before, now)) {
            Some(key) if key != holder.key && !replaces => return Err(Denied::OtherKey(key)),
            _ => {}
        }
        let others = self.sessions.iter().filter(|(id, _)| Some(**id) != before);
        let of_key = others.clone().filter(|(_, session)| session.holder.key == holder.key);
        let idlest = (of_key.clone().count() >= SESSIONS_OF_KEY)
            .then(|| of_key.min_by_key(|(_, session)| session.used).map(|(id, _)| *id))
            .flatten();
        let staying = others.filter(|(id, _)| Some(**id) != idlest).map(|(_, session)| session.holder.operates);
        if !SESSIONS.has_room(holder.operates, staying) {
            return Err(Denied::Full);
        }
        self.tickets.remove(&ticket);
        self.sessions.retain(|id, _| Some(*id) != before && Some(*id) != idlest);
        self.sessions.insert(id, Session { holder, began: now, used: now });
        Ok(holder.key)
    }

    /// Whose session has this id.
    pub(super) fn session(&self, id: Hash, now: Duration) -> Option<KeyId> {
        self.sessions.get(&id).filter(|session| session.holds(now)).map(|session| session.holder.key)
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
        self.sessions.retain(|_, session| session.holder.key != key);
        self.tickets.retain(|_, ticket| ticket.holder.key != key);
    }

    /// Whether anybody is in with the key.
    pub(super) fn has_session(&self, key: KeyId, now: Duration) -> bool {
        self.sessions.values().any(|session| session.holder.key == key && session.holds(now))
    }

    pub(super) fn forget_what_is_over(&mut self, now: Duration) {
        self.tickets.retain(|_, ticket| ticket.holds(now));
        self.sessions.retain(|_, session| session.holds(now));
        while self.requests.pop_front_if(|request| now.saturating_sub(request.at) > REQUEST_LIFE).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Holder = Holder { key: KeyId(2), operates: false };
    const BOB: Holder = Holder { key: KeyId(3), operates: false };
    const START: Duration = Duration::from_secs(1_000);

    fn secret(number: u8) -> Secret {
        [number; 32]
    }

    /// A browser that had no session.
    fn entry(number: u8) -> Entry {
        Entry { id: Hash::of_session(&secret(number), false), before: None, replaces: false }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// A gate with Alice in it, under the id 100.
    fn with_alice() -> (Gate, Hash) {
        let mut gate = Gate::default();
        gate.issue(ALICE, IdempotencyKey(1), &secret(1), START).unwrap();
        assert_eq!(gate.redeem(&secret(1), entry(100), START), Ok(ALICE.key));
        (gate, entry(100).id)
    }

    #[test]
    fn a_ticket_lets_in_once() {
        let (mut gate, id) = with_alice();
        assert_eq!(gate.session(id, START), Some(ALICE.key));
        assert_eq!(gate.redeem(&secret(1), entry(101), START), Err(Denied::NoTicket));
        assert_eq!(gate.session(entry(101).id, START), None);
    }

    #[test]
    fn a_ticket_is_over_after_a_minute() {
        for (later, outcome) in [(59, Ok(ALICE.key)), (60, Err(Denied::NoTicket))] {
            let mut gate = Gate::default();
            gate.issue(ALICE, IdempotencyKey(1), &secret(1), START).unwrap();
            assert_eq!(gate.redeem(&secret(1), entry(100), START + seconds(later)), outcome, "{later} s");
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
        assert_eq!(gate.session(id, START + almost), Some(ALICE.key));
        gate.used(id, START + almost);
        assert_eq!(gate.session(id, START + almost * 2), Some(ALICE.key));
        assert_eq!(gate.session(id, START + almost + IDLE_MAX), None);
        assert!(!gate.has_session(ALICE.key, START + almost + IDLE_MAX));
    }

    #[test]
    fn a_session_ends_after_twelve_hours_whatever_is_done() {
        let (mut gate, id) = with_alice();
        let mut now = START;
        while now < START + LIFE_MAX {
            assert_eq!(gate.session(id, now), Some(ALICE.key), "{now:?}");
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
        gate.expel(ALICE.key);
        assert_eq!(gate.session(id, START), None);
        assert_eq!(gate.redeem(&secret(2), entry(101), START), Err(Denied::NoTicket));
        assert_eq!(gate.redeem(&secret(3), entry(102), START), Ok(BOB.key));
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
            let now = START + seconds(number.into()) * 2;
            gate.issue(ALICE, IdempotencyKey(number.into()), &secret(number), now).unwrap();
            gate.redeem(&secret(number), entry(100 + number), now).unwrap();
        }
        let now = START + seconds(60);
        assert_eq!(gate.session(entry(100).id, now), None);
        for number in 1..=SESSIONS_OF_KEY as u8 {
            assert_eq!(gate.session(entry(100 + number).id, now), Some(ALICE.key), "{number}");
        }
    }

    /// A gate in which traders have everything that they can have, each a session under 100 and its key's number.
    fn with_traders(count: u8) -> Gate {
        let mut gate = Gate::default();
        for number in 1..=count {
            gate.issue(trader(number), IdempotencyKey(1), &secret(number), START).unwrap();
            gate.redeem(&secret(number), entry(100 + number), START).unwrap();
        }
        gate
    }

    fn trader(number: u8) -> Holder {
        Holder { key: KeyId(number.into()), operates: false }
    }

    #[test]
    fn traders_do_not_take_the_places_of_who_runs_the_venue() {
        let mut gate = with_traders(48);
        gate.issue(trader(49), IdempotencyKey(1), &secret(49), START).unwrap();
        assert_eq!(gate.redeem(&secret(49), entry(200), START), Err(Denied::Full));
        for number in 50..66 {
            let holder = Holder { operates: true, ..trader(number) };
            gate.issue(holder, IdempotencyKey(1), &secret(number), START).unwrap();
            assert_eq!(gate.redeem(&secret(number), entry(100 + number), START), Ok(holder.key), "{number}");
        }
        let one_more = Holder { operates: true, ..trader(66) };
        gate.issue(one_more, IdempotencyKey(1), &secret(66), START).unwrap();
        assert_eq!(gate.redeem(&secret(66), entry(200), START), Err(Denied::Full));
    }

    #[test]
    fn a_ticket_for_which_there_is_no_place_is_not_spent() {
        let mut gate = with_traders(48);
        gate.issue(trader(49), IdempotencyKey(1), &secret(49), START).unwrap();
        assert_eq!(gate.redeem(&secret(49), entry(200), START), Err(Denied::Full));
        gate.leave(entry(101).id);
        assert_eq!(gate.redeem(&secret(49), entry(200), START), Ok(KeyId(49)));
    }

    #[test]
    fn tickets_that_wait_leave_places_for_who_runs_the_venue() {
        let mut gate = Gate::default();
        for number in 0..48 {
            gate.issue(trader(number), IdempotencyKey(1), &secret(number), START).unwrap();
        }
        assert_eq!(gate.issue(trader(48), IdempotencyKey(1), &secret(48), START), Err(Denied::Full));
        for number in 49..65 {
            let holder = Holder { operates: true, ..trader(number) };
            assert_eq!(gate.issue(holder, IdempotencyKey(1), &secret(number), START), Ok(()), "{number}");
        }
    }

    #[test]
    fn a_key_asks_for_a_few_tickets_and_others_go_on_asking() {
        let mut gate = Gate::default();
        let mut ask = |key: u8, number: usize, operates: bool, now: Duration| {
            let (holder, ticket) = (Holder { operates, ..trader(key) }, [key, number as u8].repeat(16));
            gate.issue(holder, IdempotencyKey(number as u64), &ticket.try_into().unwrap(), now)
        };
        for key in 1..=10 {
            for number in 1..=REQUESTS_OF_KEY {
                assert_eq!(ask(key, number, false, START), Ok(()), "{key} {number}");
            }
            assert_eq!(ask(key, 100, false, START), Err(Denied::Full));
        }
        assert_eq!(ask(200, 1, true, START), Ok(()));
        assert_eq!(ask(1, 101, false, START + REQUEST_LIFE + seconds(1)), Ok(()));
    }

    #[test]
    fn many_keys_that_ask_leave_room_for_who_runs_the_venue() {
        let mut gate = Gate::default();
        let holders = (0..REQUESTS.all).map(|number| Request {
            at: START,
            holder: trader((number % 24) as u8),
            number: IdempotencyKey(number as u64),
        });
        gate.requests = holders.take(REQUESTS.all - REQUESTS.kept).collect();
        assert_eq!(gate.issue(trader(100), IdempotencyKey(1), &secret(1), START), Err(Denied::Full));
        let operator = Holder { operates: true, ..trader(100) };
        assert_eq!(gate.issue(operator, IdempotencyKey(1), &secret(1), START), Ok(()));
    }

    #[test]
    fn who_comes_in_again_is_not_in_twice() {
        let (mut gate, before) = with_alice();
        gate.issue(ALICE, IdempotencyKey(2), &secret(2), START).unwrap();
        let again = Entry { before: Some(before), ..entry(101) };
        assert_eq!(gate.redeem(&secret(2), again, START), Ok(ALICE.key));
        assert_eq!((gate.session(before, START), gate.session(again.id, START)), (None, Some(ALICE.key)));
    }

    #[test]
    fn another_key_comes_instead_only_if_that_is_said() {
        let (mut gate, before) = with_alice();
        gate.issue(BOB, IdempotencyKey(1), &secret(2), START).unwrap();
        let unaware = Entry { before: Some(before), ..entry(101) };
        assert_eq!(gate.redeem(&secret(2), unaware, START), Err(Denied::OtherKey(ALICE.key)));
        assert_eq!((gate.session(before, START), gate.session(unaware.id, START)), (Some(ALICE.key), None));
        assert_eq!(gate.redeem(&secret(2), Entry { replaces: true, ..unaware }, START), Ok(BOB.key));
        assert_eq!((gate.session(before, START), gate.session(unaware.id, START)), (None, Some(BOB.key)));
    }

    #[test]
    fn a_session_that_began_over_tls_is_not_found_without() {
        assert_ne!(Hash::of_session(&secret(1), true), Hash::of_session(&secret(1), false));
    }
}

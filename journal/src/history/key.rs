//! Which orders, sessions, accounts and instruments an event belongs to, and how a page lists them.

use engine::event::{OrderState, Report, Requester, TradeSide};
use engine::{AccountId, Event, InstrumentId, OrderId, SessionId};

/// What events can be looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An order, by the venue's name for it.
    Order(OrderId),
    /// A session: what it was told, what it asked for, and its own comings and goings.
    Session(SessionId),
    /// An account: its orders, trades, balances, bounds and rights.
    Account(AccountId),
    /// An instrument: its orders, trades, auctions, phases and settings.
    Instrument(InstrumentId),
}

impl Key {
    /// How many kinds of keys there are.
    pub(super) const KINDS: u8 = 4;

    /// Which kind, from 0, in the order of keys.
    pub(super) fn kind(self) -> u8 {
        match self {
            Self::Order(_) => 0,
            Self::Session(_) => 1,
            Self::Account(_) => 2,
            Self::Instrument(_) => 3,
        }
    }

    /// Which of its kind.
    pub(super) fn id(self) -> u64 {
        match self {
            Self::Order(OrderId(id)) => id,
            Self::Session(SessionId(id)) | Self::Account(AccountId(id)) | Self::Instrument(InstrumentId(id)) => {
                u64::from(id)
            }
        }
    }

    /// The key of a kind and an identity, if there is one.
    pub(super) fn from_parts(kind: u8, id: u64) -> Option<Self> {
        let narrow = || u32::try_from(id).ok();
        match kind {
            0 => Some(Self::Order(OrderId(id))),
            1 => narrow().map(|id| Self::Session(SessionId(id))),
            2 => narrow().map(|id| Self::Account(AccountId(id))),
            3 => narrow().map(|id| Self::Instrument(InstrumentId(id))),
            _ => None,
        }
    }

    /// Whether an event belongs to this key.
    pub fn concerns(self, event: &Event) -> bool {
        let mut found = false;
        keys(event, |key| found |= key == self);
        found
    }
}

/// Hands over every key that an event belongs to; some of them more than once.
pub fn keys(event: &Event, each: impl FnMut(Key)) {
    let mut to = Keys(each);
    match event {
        Event::OrderAccepted(event) => to.order_report(&event.report, &event.order),
        Event::OrderRejected(event) => {
            to.report(&event.report);
            to.instrument(event.instrument);
            to.order(event.original_order_id);
        }
        Event::OrderReplaced(event) => {
            to.order_report(&event.report, &event.order);
            to.requester(&event.requester);
        }
        Event::OrderCancelled(event) => {
            to.order_report(&event.report, &event.order);
            to.requester(&event.requester);
        }
        Event::CancelRejected(event) => {
            to.report(&event.report);
            to.order(event.order_id);
            to.order(event.duplicate_of);
        }
        Event::Trade(event) => {
            to.instrument(event.instrument);
            to.side(&event.maker);
            to.side(&event.taker);
        }
        Event::OrderTriggered(event) => to.order_report(&event.report, &event.order),
        Event::OrderRestated(event) => to.order_report(&event.report, &event.order),
        Event::MatchPrevented(event) => {
            to.instrument(event.instrument);
            to.order(event.resting);
            to.account(event.resting_account);
            to.order(event.incoming);
            to.account(event.incoming_account);
        }
        Event::MassCancelled(event) => {
            to.report(&event.report);
            to.instrument(event.instrument);
            to.session(event.entered_by);
        }
        Event::MassCancelRejected(event) => {
            to.report(&event.report);
            to.instrument(event.instrument);
            to.session(event.entered_by);
        }
        Event::SessionNegotiated(event) => to.session(event.session),
        Event::SessionEstablished(event) => to.session(event.session),
        Event::SessionRejected(event) => to.session(event.session),
        Event::SessionDisconnected(event) => to.session(event.session),
        Event::NotApplied(event) => to.session(event.session),
        Event::CommandRejected(event) => to.report(&event.report),
        Event::InstrumentListed(event) => to.instrument(event.command.instrument),
        Event::InstrumentDelisted(event) => to.instrument(event.instrument),
        Event::InstrumentLimitsSet(event) => to.instrument(event.command.instrument),
        Event::PriceProtectionSet(event) => to.instrument(event.command.instrument),
        Event::FeesSet(event) => to.instrument(event.command.instrument),
        Event::PhaseChanged(event) => to.instrument(event.instrument),
        Event::CalendarEntrySet(event) => to.instrument(event.command.instrument),
        Event::CalendarEntryRemoved(event) => to.instrument(event.command.instrument),
        Event::IndicativeChanged(event) => to.instrument(event.instrument),
        Event::Uncrossed(event) => to.instrument(event.instrument),
        Event::PriceBoundReached(event) => {
            to.instrument(event.instrument);
            to.order(event.order_id);
        }
        Event::AccountOpened(event) => to.account(event.command.account),
        Event::AccountModified(event) => to.account(event.command.account),
        Event::AccountLimitsSet(event) => {
            to.account(event.command.account);
            to.instrument(event.command.instrument);
        }
        Event::BalanceChanged(event) => to.account(event.account),
        Event::KillSwitchSet(event) => {
            to.report(&event.report);
            to.account(event.command.account);
        }
        Event::TradeBusted(event) => {
            to.instrument(event.instrument);
            to.side(&event.buyer);
            to.side(&event.seller);
        }
        Event::RoleGranted(event) => to.account(event.command.account),
        Event::RoleRevoked(event) => to.account(event.command.account),
        Event::RandomSeedSet(_)
        | Event::BehaviourSet(_)
        | Event::AssetAdded(_)
        | Event::KeyAdded(_)
        | Event::KeyRevoked(_)
        | Event::AddressAllowed(_) => {}
    }
}

/// Passes on what names something.
struct Keys<F>(F);

impl<F: FnMut(Key)> Keys<F> {
    fn order(&mut self, order: OrderId) {
        if !order.is_none() {
            (self.0)(Key::Order(order));
        }
    }

    fn session(&mut self, session: SessionId) {
        if !session.is_none() {
            (self.0)(Key::Session(session));
        }
    }

    fn account(&mut self, account: AccountId) {
        if !account.is_none() {
            (self.0)(Key::Account(account));
        }
    }

    fn instrument(&mut self, instrument: InstrumentId) {
        if !instrument.is_none() {
            (self.0)(Key::Instrument(instrument));
        }
    }

    fn report(&mut self, report: &Report) {
        self.account(report.account);
        self.session(report.session);
    }

    fn requester(&mut self, requester: &Requester) {
        self.session(requester.session);
    }

    fn order_report(&mut self, report: &Report, order: &OrderState) {
        self.report(report);
        self.order(order.order_id);
        self.instrument(order.instrument);
    }

    fn side(&mut self, side: &TradeSide) {
        self.report(&side.report);
        self.order(side.order_id);
    }
}

/// Appends a page's keys, which ascend: for each kind how many, and each identity's distance from the one before.
pub(super) fn encode(keys: &[Key], out: &mut Vec<u8>) {
    let mut rest = keys;
    for kind in 0..Key::KINDS {
        let (of_kind, behind) = rest.split_at(rest.partition_point(|key| key.kind() <= kind));
        put_number(of_kind.len() as u64, out);
        let mut before = 0;
        for key in of_kind {
            put_number(key.id() - before, out);
            before = key.id();
        }
        rest = behind;
    }
}

/// A page's keys, if that is what the bytes are.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Box<[Key]>> {
    let mut keys = Vec::new();
    for kind in 0..Key::KINDS {
        let mut id = 0_u64;
        for index in 0..number(&mut bytes)? {
            let distance = number(&mut bytes)?;
            if index > 0 && distance == 0 {
                return None;
            }
            id = id.checked_add(distance)?;
            keys.push(Key::from_parts(kind, id)?);
        }
    }
    bytes.is_empty().then(|| keys.into_boxed_slice())
}

/// Bytes of the longest number.
pub(super) const NUMBER_BYTES_MAX: usize = 10;

/// Appends a number, seven bits a byte, the lowest first; all bytes but the last have the highest bit set.
pub(super) fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number from the front.
pub(super) fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..NUMBER_BYTES_MAX {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7F);
        let shift = 7 * u32::try_from(place).ok()?;
        if bits.checked_shl(shift)? >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_come_back() {
        for number_ in (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) - 1, u64::MAX >> bit]) {
            let mut bytes = Vec::new();
            put_number(number_, &mut bytes);
            let mut rest = bytes.as_slice();
            assert_eq!((number(&mut rest), rest.len()), (Some(number_), 0));
        }
        assert_eq!(number(&mut [0x80; 10].as_slice()), None);
        assert_eq!(number(&mut [0xFF; 10].as_slice()), None);
        assert_eq!(number(&mut [].as_slice()), None);
    }

    #[test]
    fn keys_come_back_in_their_order() {
        let keys = [
            Key::Order(OrderId(3)),
            Key::Order(OrderId(u64::MAX)),
            Key::Account(AccountId(1)),
            Key::Account(AccountId(u32::MAX)),
            Key::Instrument(InstrumentId(7)),
        ];
        let mut bytes = Vec::new();
        encode(&keys, &mut bytes);
        assert_eq!(decode(&bytes).as_deref(), Some(keys.as_slice()));
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), None, "cut at {cut}");
        }
        // Two accounts, the second of which does not fit its 32 bits; the same account twice.
        assert_eq!(decode(&[0, 0, 2, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0]), None);
        assert_eq!(decode(&[0, 0, 2, 1, 0, 0]), None);
    }
}

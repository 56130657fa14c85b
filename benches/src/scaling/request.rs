//! An operation as it is kept until it is due: small, and complete, so that reading it costs one look.

use engine::command::*;
use engine::*;

use super::shape::{Place, Shape, stamp};

/// What is asked, in 32 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    order_id: OrderId,
    account: AccountId,
    /// The session and its key, which has the same number; zero: the venue itself.
    session: u32,
    client_sequence: u32,
    name: u32,
    price: u32,
    instrument: u16,
    quantity: u8,
    action: Action,
}

const _: () = assert!(size_of::<Request>() == 32, "two requests are a cache line");

#[derive(Debug, Clone, Copy)]
enum Action {
    Buy,
    Sell,
    Cancel,
}

impl Request {
    /// Writes the command in its place. What is built elsewhere would have to be copied.
    #[inline(always)]
    pub fn write(&self, sequence: Sequence, place: &mut Sequenced<Command>) {
        let stamp = stamp(sequence);
        match self.action {
            Action::Buy => {
                let (header, body) = (self.header(stamp.time), CommandBody::NewOrder(self.new_order(Side::Buy)));
                *place = Sequenced { stamp, value: Command { header, body } };
            }
            Action::Sell => {
                let (header, body) = (self.header(stamp.time), CommandBody::NewOrder(self.new_order(Side::Sell)));
                *place = Sequenced { stamp, value: Command { header, body } };
            }
            Action::Cancel => {
                let (header, body) = (self.header(stamp.time), CommandBody::CancelOrder(self.cancel()));
                *place = Sequenced { stamp, value: Command { header, body } };
            }
        }
    }

    #[inline(always)]
    fn header(&self, received_at: Timestamp) -> CommandHeader {
        CommandHeader {
            author: KeyId(self.session),
            session: SessionId(self.session),
            client_sequence: SessionSequence(self.client_sequence.into()),
            received_at,
        }
    }

    #[inline(always)]
    fn new_order(&self, side: Side) -> NewOrder {
        NewOrder {
            account: self.account,
            instrument: InstrumentId(self.instrument.into()),
            client_order_id: ClientOrderId(self.name.into()),
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::AsSession,
            price: Price(self.price.into()),
            quantity: Quantity(self.quantity.into()),
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        }
    }

    #[inline(always)]
    fn cancel(&self) -> CancelOrder {
        CancelOrder {
            account: self.account,
            order_id: self.order_id,
            original_client_order_id: ClientOrderId::NONE,
            client_order_id: ClientOrderId(self.name.into()),
        }
    }
}

/// A command that asks for nothing, for places that are written later.
pub const NOTHING: Sequenced<Command> = Sequenced {
    stamp: Stamp { sequence: Sequence::NONE, time: Timestamp::NONE },
    value: Command { header: CommandHeader::VENUE, body: CommandBody::AdvanceTime(AdvanceTime {}) },
};

/// Those who ask: they number their commands and name their orders and requests, in a whole venue.
#[derive(Debug)]
pub struct Clients {
    shape: Shape,
    /// The last number, by session.
    sent: Vec<u32>,
    names: u32,
}

impl Clients {
    /// Of a venue in which none of them has asked for anything.
    pub fn new(shape: Shape) -> Self {
        Self { shape, sent: vec![0; shape.sessions() as usize + 1], names: 0 }
    }

    /// An account's next command: its session, its number there, and a name for it; all zero without a whole venue.
    pub fn next(&mut self, account: AccountId) -> (SessionId, u32, u32) {
        let session = self.shape.session_of(account);
        if session.is_none() {
            return (session, 0, 0);
        }
        let sent = &mut self.sent[session.0 as usize];
        *sent += 1;
        self.names += 1;
        (session, *sent, self.names)
    }

    /// A limit order that takes a place.
    pub fn limit(&mut self, place: &Place, quantity: u8) -> Request {
        let action = match place.side {
            Side::Buy => Action::Buy,
            Side::Sell => Action::Sell,
        };
        let (session, client_sequence, name) = self.next(place.account);
        Request {
            order_id: OrderId::NONE,
            account: place.account,
            session: session.0,
            client_sequence,
            name,
            price: place.price,
            instrument: place.instrument.0 as u16,
            quantity,
            action,
        }
    }

    /// A cancel by the venue's name of the order.
    pub fn cancel(&mut self, account: AccountId, order_id: OrderId) -> Request {
        let (session, client_sequence, name) = self.next(account);
        Request {
            order_id,
            account,
            session: session.0,
            client_sequence,
            name,
            price: 0,
            instrument: 0,
            quantity: 0,
            action: Action::Cancel,
        }
    }
}

//! A trader's frames to commands, and events to the frames of reports.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use ed25519_dalek::{Signer, SigningKey};
use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::*;
use gateway::egress::{self, Outlet, Recipient, Sending};
use gateway::session::{Action, Input, Session, SessionLimits, State};
use gateway::view::View;
use wire::order_entry::NewOrderSingle;
use wire::{Block, Durability, Flat, Frame, Indicator, Signature64};

use super::counted;
use super::flow::Kept;
use crate::failure::Failure;

const NOW: Timestamp = Timestamp(1_790_000_000_000_000_000);
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const TRADER: SessionId = SessionId(7);
const KEY: KeyId = KeyId(5);
const ACCOUNT: AccountId = AccountId(2);
const INSTRUMENT: InstrumentId = InstrumentId(1);
const VERSION: SessionVersion = SessionVersion(1);
const SENDING: Sending = Sending { durability: Durability::Synced, possible_duplicate: Indicator::No };

/// A venue with one trader, whose session is open, seen from the gateway.
struct Edge {
    engine: Engine,
    view: View,
    session: Session,
    actions: Vec<Action>,
}

impl Edge {
    /// With room for so many orders.
    fn open(orders: u32) -> Self {
        let signing_key = SigningKey::from_bytes(&[1; 32]);
        let capacity = Capacity { orders: orders + 64, ..Capacity::SMALL };
        let session = Session::new(SessionLimits::UNTHROTTLED, ADDRESS, NOW);
        let mut edge =
            Self { engine: Engine::new(capacity), view: View::default(), session, actions: Vec::with_capacity(4) };
        for body in set_up(&signing_key) {
            edge.apply(Command::from_venue(body));
        }
        let header = CommandHeader { author: KEY, session: TRADER, ..CommandHeader::VENUE };
        edge.apply(Command { header, body: Negotiate { version: VERSION }.into() });
        edge.hear(&frame(&establish(&signing_key)));
        let opening = edge.submitted();
        let events = edge.apply(opening);
        for (_, event) in events.iter().filter(|(_, event)| matches!(event, Event::SessionEstablished(_))) {
            edge.session.handle(Input::Core(event), NOW, &mut edge.view, &mut edge.actions);
        }
        edge.actions.clear();
        assert_eq!(edge.session.state(), State::Established, "the session is open");
        edge
    }

    /// The engine's next command; the view follows.
    fn apply(&mut self, value: Command) -> Vec<(EventHeader, Event)> {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: NOW };
        let mut kept = Kept::default();
        self.engine.apply(&Sequenced { stamp, value }, &mut kept);
        kept.0.iter().for_each(|(header, event)| self.view.apply(header, event));
        kept.0
    }

    /// The trader sends a frame.
    fn hear(&mut self, bytes: &[u8]) {
        let (frame, _) = Frame::split(bytes).expect("a frame");
        self.session.handle(Input::Frame(frame), NOW, &mut self.view, &mut self.actions);
    }

    /// The command that the session wants to be submitted, alone.
    fn submitted(&mut self) -> Command {
        let command = match self.actions.as_slice() {
            [Action::Submit(command)] => *command,
            others => panic!("{others:?} instead of a command"),
        };
        self.actions.clear();
        command
    }

    /// The events of so many orders, every second of which trades with the one before.
    fn traded(&mut self, orders: u32) -> Vec<(EventHeader, Event)> {
        let mut events = Vec::new();
        for number in 1..=orders {
            self.hear(&frame(&order(number.into())));
            let command = self.submitted();
            events.extend(self.apply(command));
        }
        events
    }
}

fn set_up(signing_key: &SigningKey) -> [CommandBody; 4] {
    let note = AdminNote::NONE;
    let public_key = signing_key.verifying_key().to_bytes();
    [
        ListInstrument {
            instrument: INSTRUMENT,
            name: Text::new("X").expect("a name"),
            base: AssetId::NONE,
            quote: AssetId::NONE,
            tick: 1,
            tick_decimals: 2,
            lot: 1,
            lot_decimals: 3,
            reference: engine::Price(10_000),
            holds: Holds::Off,
            self_trade_prevention: SelfTradePrevention::Allow,
            phase: Phase::Continuous,
            note,
        }
        .into(),
        OpenAccount { account: ACCOUNT, stp_group: StpGroup::NONE, self_trade_prevention: None, fee_tier: 0, note }
            .into(),
        AddKey { key: KEY, kind: KeyKind::Ed25519, public_key, note }.into(),
        GrantRole { key: KEY, role: Role::Trader, account: ACCOUNT, note }.into(),
    ]
}

fn establish(signing_key: &SigningKey) -> wire::session::Establish {
    let mut request = wire::session::Establish {
        session_id: TRADER.into(),
        session_version: VERSION.into(),
        key_id: KEY.into(),
        nonce: wire::Nonce(1),
        timestamp: NOW.into(),
        next_sequence: wire::SessionSequence(1),
        keep_alive: wire::Milliseconds(1_000),
        order_entry_schema_id: wire::order_entry::SCHEMA.id,
        cancel_on_disconnect: wire::CancelOnDisconnect::Keep,
        ..wire::session::Establish::BLANK
    };
    let signature = signing_key.sign(request.signed_text().as_bytes());
    request.signature = Signature64(signature.to_bytes());
    request
}

/// The trader's order of this number: odd ones bid, even ones offer as much at the same price.
fn order(number: u64) -> NewOrderSingle {
    NewOrderSingle {
        account: ACCOUNT.into(),
        security_id: INSTRUMENT.into(),
        client_order_id: Some(wire::ClientOrderId(number)),
        price: Some(wire::Price(10_000)),
        order_quantity: Some(wire::Quantity(5)),
        side: if number % 2 == 1 { wire::Side::Buy } else { wire::Side::Sell },
        order_type: wire::OrderType::Limit,
        time_in_force: wire::TimeInForce::GoodTillCancel,
        on_disconnect: wire::OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    }
}

fn frame<M: Flat>(message: &M) -> Vec<u8> {
    let mut bytes = vec![0; M::FRAME_LENGTH];
    wire::encode(message, &mut bytes).expect("the buffer is as long as the frame");
    bytes
}

pub(super) fn frame_to_command(operations: u32) -> Result<(), Failure> {
    let mut edge = Edge::open(operations);
    for number in 1..=u64::from(operations) {
        let bytes = frame(&order(number));
        counted(|| edge.hear(&bytes));
        let command = edge.submitted();
        assert_eq!(command.header.client_sequence, SessionSequence(number));
        edge.apply(command);
    }
    Ok(())
}

pub(super) fn acceptance_to_frame(operations: u32) -> Result<(), Failure> {
    let mut edge = Edge::open(operations);
    let events = edge.traded(operations);
    to_frames(&edge.view, &events, |event| matches!(event, Event::OrderAccepted(_)), operations.into())
}

pub(super) fn trade_to_frames(operations: u32) -> Result<(), Failure> {
    let mut edge = Edge::open(2 * operations);
    let events = edge.traded(2 * operations);
    to_frames(&edge.view, &events, |event| matches!(event, Event::Trade(_)), 2 * u64::from(operations))
}

/// Makes the frames of the wanted events, which have to be so many.
fn to_frames(
    view: &View,
    events: &[(EventHeader, Event)],
    is_wanted: impl Fn(&Event) -> bool,
    expected: u64,
) -> Result<(), Failure> {
    let wanted: Vec<&(EventHeader, Event)> = events.iter().filter(|(_, event)| is_wanted(event)).collect();
    let mut buffer = Buffer { bytes: vec![0; 1 << 10], frames: 0 };
    counted(|| {
        for (header, event) in wanted {
            egress::messages(header, event, view, SENDING, &mut buffer);
        }
    });
    assert_eq!(buffer.frames, expected, "every report has its frame");
    Ok(())
}

/// Writes each frame over the one before.
struct Buffer {
    bytes: Vec<u8>,
    frames: u64,
}

impl Outlet for Buffer {
    fn message<M: Flat>(&mut self, recipient: Recipient, number: Option<SessionSequence>, message: &M) {
        wire::encode(message, &mut self.bytes).expect("the buffer is longer than any frame");
        black_box((recipient, number, &self.bytes));
        self.frames += 1;
    }

    fn is_copied(&self, account: AccountId) -> bool {
        black_box(account).is_none()
    }
}

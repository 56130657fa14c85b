//! A stream's operations as a venue's clients would send them, and the venue that they are sent to.

use std::hint::black_box;

use clap::ValueEnum;
use engine::command::*;
use engine::instrument::*;
use engine::order::*;
use engine::*;

use super::workload::{Action, Operation, PRICES, Side as StreamSide, Stream};

/// How much of a venue there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Matching only: no holds, no names, no sessions, no limits.
    Matching,
    /// Everything: keys, sessions, names of orders and requests, limits, price protection, holds, settlement, fees.
    Venue,
}

const INSTRUMENT: InstrumentId = InstrumentId(1);
const BASE: AssetId = AssetId(1);
const QUOTE: AssetId = AssetId(2);
/// The first account of a trader.
const FIRST_ACCOUNT: u32 = AccountId::FEES.0 + 1;
/// More than all orders of an account can hold at once.
const ENDOWMENT: Amount = Amount(10_u128.pow(18));
/// Wider than all prices of a stream.
const WIDE: Distance = Distance::ticks(PRICES);

/// An operation that names its order as a client does: by the venue's name, which the acceptance told.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// Of the order; none for a new one.
    pub order_id: OrderId,
    price: u32,
    quantity: u32,
    id: u32,
    account: u16,
    /// What to do.
    pub action: Action,
    side: Side,
}

const _: () = assert!(size_of::<Record>() == 24, "reading records is cheap");

impl Record {
    /// Of an operation, for the account that the order's number falls to.
    pub fn new(operation: &Operation, order_id: OrderId, accounts: u16) -> Self {
        let Operation { id, price, quantity, action, side } = *operation;
        let side = match side {
            StreamSide::Buy => Side::Buy,
            StreamSide::Sell => Side::Sell,
        };
        let account = (u64::from(id.wrapping_mul(0x9E37_79B1)) * u64::from(accounts)) >> 32;
        Self { order_id, price, quantity, id, account: account as u16, action, side }
    }

    fn account(&self) -> AccountId {
        AccountId(FIRST_ACCOUNT + u32::from(self.account))
    }

    /// The command, in its place. Time passes with the sequence.
    #[inline(always)]
    pub fn command(&self, sequence: Sequence, clients: &mut impl Clients) -> Sequenced<Command> {
        let time = Timestamp(sequence.0);
        let header = clients.header(self.account, time);
        Sequenced { stamp: Stamp { sequence, time }, value: Command { header, body: self.body(clients) } }
    }

    #[inline(always)]
    fn body(&self, clients: &mut impl Clients) -> CommandBody {
        match self.action {
            Action::New => self.new_order(TimeInForce::GoodTillCancel, clients).into(),
            Action::ImmediateOrCancel => self.new_order(TimeInForce::ImmediateOrCancel, clients).into(),
            Action::Cancel => CancelOrder {
                account: self.account(),
                order_id: self.order_id,
                original_client_order_id: ClientOrderId::NONE,
                client_order_id: clients.request_name(),
            }
            .into(),
            Action::Move => ReplaceOrder {
                account: self.account(),
                order_id: self.order_id,
                original_client_order_id: ClientOrderId::NONE,
                client_order_id: clients.request_name(),
                order_type: None,
                time_in_force: None,
                price: Price(self.price.into()),
                quantity: Quantity::ABSENT,
                stop_price: Price::ABSENT,
                display_quantity: Quantity::ABSENT,
                expire_at: Timestamp::NONE,
            }
            .into(),
        }
    }

    #[inline(always)]
    fn new_order(&self, time_in_force: TimeInForce, clients: &impl Clients) -> NewOrder {
        NewOrder {
            account: self.account(),
            instrument: INSTRUMENT,
            client_order_id: clients.order_name(self.id),
            side: self.side,
            order_type: OrderType::Limit,
            time_in_force,
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
}

/// Who sends commands, and what they call their orders and requests.
pub trait Clients {
    /// The header of an account's next command.
    fn header(&mut self, account: u16, time: Timestamp) -> CommandHeader;
    /// The name of a new order.
    fn order_name(&self, id: u32) -> ClientOrderId;
    /// The name of the next cancel or amend.
    fn request_name(&mut self) -> ClientOrderId;
}

/// The venue itself sends everything, and names nothing.
#[derive(Debug, Default)]
pub struct Nobody;

impl Clients for Nobody {
    #[inline(always)]
    fn header(&mut self, _: u16, _: Timestamp) -> CommandHeader {
        CommandHeader::VENUE
    }

    #[inline(always)]
    fn order_name(&self, _: u32) -> ClientOrderId {
        ClientOrderId::NONE
    }

    #[inline(always)]
    fn request_name(&mut self) -> ClientOrderId {
        ClientOrderId::NONE
    }
}

/// A session for each account, its commands numbered.
#[derive(Debug, Clone)]
pub struct Traders {
    sent: Vec<SessionSequence>,
    requests: u64,
}

impl Traders {
    /// Of so many accounts.
    pub fn new(accounts: u16) -> Self {
        Self { sent: vec![SessionSequence::NONE; accounts.into()], requests: 1 << 32 }
    }
}

impl Clients for Traders {
    #[inline(always)]
    fn header(&mut self, account: u16, time: Timestamp) -> CommandHeader {
        let sent = &mut self.sent[usize::from(account)];
        *sent = sent.next();
        CommandHeader { client_sequence: *sent, received_at: time, ..header_of(account) }
    }

    #[inline(always)]
    fn order_name(&self, id: u32) -> ClientOrderId {
        ClientOrderId(id.into())
    }

    /// Above all names of orders.
    #[inline(always)]
    fn request_name(&mut self) -> ClientOrderId {
        self.requests += 1;
        ClientOrderId(self.requests)
    }
}

#[inline(always)]
fn header_of(account: u16) -> CommandHeader {
    let number = u32::from(account) + 1;
    CommandHeader { author: KeyId(number), session: SessionId(number), ..CommandHeader::VENUE }
}

/// An engine for this stream, its instrument listed and its accounts open.
pub fn open(stream: &Stream, mode: Mode, accounts: u16, sink: &mut impl EventSink) -> Engine {
    let mut engine = Engine::new(capacity(stream, accounts));
    for value in set_up(mode, accounts) {
        let sequence = engine.last().sequence.next();
        let stamp = Stamp { sequence, time: Timestamp(sequence.0) };
        engine.apply(&Sequenced { stamp, value }, sink);
    }
    black_box(engine)
}

/// What an engine has to carry for this stream.
pub fn capacity(stream: &Stream, accounts: u16) -> Capacity {
    let traders = u32::from(accounts);
    Capacity {
        orders: stream.most_live() as u32 + 64,
        accounts: FIRST_ACCOUNT + traders,
        assets: 2,
        instruments: 1,
        sessions: traders,
        keys: traders,
        grants: traders,
        price_blocks: 4 * PRICES / 64,
    }
}

/// What lists the instrument and opens the accounts.
pub fn set_up(mode: Mode, accounts: u16) -> Vec<Command> {
    match mode {
        Mode::Matching => matching_only(accounts),
        Mode::Venue => whole_venue(accounts),
    }
}

fn matching_only(accounts: u16) -> Vec<Command> {
    let mut commands = vec![Command::from_venue(listing(AssetId::NONE, AssetId::NONE, Holds::Off))];
    commands.extend((0..accounts).map(|account| Command::from_venue(open_account(account))));
    commands
}

fn whole_venue(accounts: u16) -> Vec<Command> {
    let note = AdminNote::NONE;
    let asset = |asset, name| AddAsset { asset, name: text(name), decimals: 0, note };
    let limits = InstrumentLimits {
        quantity_min: Quantity(1),
        quantity_max: Quantity(1_000_000),
        price_max: Price(u64::from(PRICES) * 2),
        notional_min: Amount(1),
        notional_max: Amount(10_u128.pow(12)),
    };
    let protection = PriceProtection { entry_band: WIDE, collar: WIDE, ..PriceProtection::DEFAULT };
    // Ten and twenty-five basis points.
    let rates = FeeRates { maker: 1_000, taker: 2_500 };
    let mut commands = vec![
        Command::from_venue(asset(BASE, "BASE")),
        Command::from_venue(asset(QUOTE, "QUOTE")),
        Command::from_venue(listing(BASE, QUOTE, Holds::On)),
        Command::from_venue(SetInstrumentLimits { instrument: INSTRUMENT, limits, note }),
        Command::from_venue(SetPriceProtection { instrument: INSTRUMENT, protection, note }),
        Command::from_venue(SetFees { instrument: INSTRUMENT, tier: 0, rates, note }),
    ];
    commands.extend((0..accounts).flat_map(trader));
    commands
}

/// An account with money and limits, its key, and a session of that key which is open.
fn trader(number: u16) -> Vec<Command> {
    let note = AdminNote::NONE;
    let CommandHeader { author: key, .. } = header_of(number);
    let OpenAccount { account, .. } = open_account(number);
    let mut public_key = [0; 32];
    public_key[..4].copy_from_slice(&key.0.to_le_bytes());
    let limits = AccountLimits {
        quantity_max: Quantity(100_000),
        notional_max: Amount(10_u128.pow(11)),
        open_orders_max: 10_000_000,
        price_deviation: WIDE,
    };
    let version = SessionVersion(1);
    let login = |body| Command { header: header_of(number), body };
    vec![
        Command::from_venue(open_account(number)),
        Command::from_venue(Deposit { account, asset: BASE, amount: ENDOWMENT, note }),
        Command::from_venue(Deposit { account, asset: QUOTE, amount: ENDOWMENT, note }),
        Command::from_venue(SetAccountLimits { account, instrument: InstrumentId::NONE, limits, note }),
        Command::from_venue(AddKey { key, kind: KeyKind::Ed25519, public_key, note }),
        Command::from_venue(GrantRole { key, role: Role::Trader, account, note }),
        login(Negotiate { version }.into()),
        login(
            Establish {
                version,
                nonce: LoginNonce(1),
                cancel_on_disconnect: CancelOnDisconnect::Cancel,
                cancel_grace: Nanoseconds(1_000_000_000),
                keep_alive: Nanoseconds(1_000_000_000),
            }
            .into(),
        ),
    ]
}

fn open_account(number: u16) -> OpenAccount {
    OpenAccount {
        account: AccountId(FIRST_ACCOUNT + u32::from(number)),
        stp_group: StpGroup::NONE,
        self_trade_prevention: None,
        fee_tier: 0,
        note: AdminNote::NONE,
    }
}

fn listing(base: AssetId, quote: AssetId, holds: Holds) -> ListInstrument {
    ListInstrument {
        instrument: INSTRUMENT,
        name: text("BASE-QUOTE"),
        base,
        quote,
        tick: 1,
        tick_decimals: 0,
        lot: 1,
        lot_decimals: 0,
        reference: Price(u64::from(PRICES / 2)),
        holds,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: AdminNote::NONE,
    }
}

fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(text).expect("short ASCII")
}

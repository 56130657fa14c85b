//! The venue's whole state as canonical bytes, and back.
//!
//! A snapshot holds everything that a later command can depend on, and nothing that depends on memory layout: orders
//! by instrument, side and priority; free slots in the order in which they will be reused; counters. Restoring one and
//! applying the same commands gives the same events, ids and numbers. What is derived (ladders, links, open-order
//! counts, deadlines, holds by order) is built anew.
//!
//! ```text
//! header │ assets │ accounts, each with balances, limits in single instruments and closed names
//!        │ instruments, each with bids, asks, waiting buy stops and sell stops, a call's market buys and sells,
//!        │ and what waits for the close │ generations │ free slots │ calendar │ ends of calls │ tape │ sessions │ keys │ grants │ networks │ requests
//! ```
//! Each list is a u32 count and so many records.

use alloc::vec::Vec;

use crate::accounts::{Account, Asset, Balance, LimitsInInstrument};
use crate::book::arena::{Arena, Details, Extras, Order, Place, Slot};
use crate::bust::{Print, Tape};
use crate::calendar::Entry;
use crate::call::{Call, CallEnd, CallKind, Prolonged};
use crate::canonical::{ByteSink, Canonical, DecodeError, Reader, record};
use crate::command::{AccountLimits, CancelOnDisconnect, KeyKind, ListInstrument, Role, Switch};
use crate::directory::{Grant, Key, KeyState, Network};
use crate::engine::Engine;
use crate::identity::{
    AccountId, AssetId, ClientOrderId, ExecId, IdempotencyKey, InstrumentId, KeyId, LoginNonce, OrderId, Sequence,
    SessionId, SessionSequence, SessionVersion, StpGroup, Text, TradeId,
};
use crate::instrument::{FeeRates, InstrumentLimits, Phase, PriceProtection};
use crate::limits::{Capacity, FEE_TIERS, IDEMPOTENCY_KEYS, TRADES_REMEMBERED, carries_behaviour};
use crate::market::{ListingStatus, Market, units};
use crate::order::{OnDisconnect, OrderFlags, OrderStatus, OrderType, SelfTradePrevention, Side, TimeInForce};
use crate::sessions::{Session, SessionState};
use crate::{Amount, Nanoseconds, Price, Quantity, Stamp, Timestamp};

/// The first bytes of every snapshot; the last digit is the format's version.
const MAGIC: [u8; 8] = *b"RLTSNAP2";

/// More than any order trades in its life: each of its fills is paid for out of an asset's supply. A third of this, times
/// three, still fits 128 bits.
const TRADED_MAX: u128 = u128::MAX / 3;

/// Why bytes are not a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotError {
    /// They do not decode.
    Decode(DecodeError),
    /// They decode, but contradict themselves or the engine's bounds.
    Inconsistent(&'static str),
}

impl core::fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Decode(error) => write!(f, "the snapshot does not decode: {error}"),
            Self::Inconsistent(what) => write!(f, "the snapshot contradicts itself: {what}"),
        }
    }
}

impl core::error::Error for SnapshotError {}

impl From<DecodeError> for SnapshotError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

record! {
    struct HeaderRecord {
        pub magic: [u8; 8],
        pub capacity: Capacity,
        pub last: Stamp,
        pub behaviour: u32,
        pub random_seed: [u8; 32],
        pub last_trade: TradeId,
    }
    struct AssetRecord {
        pub asset: AssetId,
        pub name: Text<16>,
        pub decimals: u8,
        pub supply: Amount,
    }
    struct AccountRecord {
        pub account: AccountId,
        pub stp_group: StpGroup,
        pub self_trade_prevention: Option<SelfTradePrevention>,
        pub fee_tier: u8,
        pub limits: AccountLimits,
        pub kill_switch: Switch,
        pub last_exec: ExecId,
    }
    struct BalanceRecord {
        pub asset: AssetId,
        pub available: Amount,
        pub held: Amount,
    }
    struct LimitsRecord {
        pub instrument: InstrumentId,
        pub limits: AccountLimits,
    }
    struct ClosedRecord {
        pub client_order_id: ClientOrderId,
        pub order_id: OrderId,
        pub status: OrderStatus,
    }
    struct MarketRecord {
        pub listing: ListInstrument,
        pub status: ListingStatus,
        pub phase: Phase,
        pub limits: InstrumentLimits,
        pub protection: PriceProtection,
        pub reference: Price,
        pub call: Option<CallKind>,
        pub prolonged: Prolonged,
    }
    struct FeesRecord {
        pub tier: u8,
        pub rates: FeeRates,
    }
    struct OrderRecord {
        pub order_id: OrderId,
        pub account: AccountId,
        pub session: SessionId,
        pub client_order_id: ClientOrderId,
        pub side: Side,
        pub order_type: OrderType,
        pub time_in_force: TimeInForce,
        pub flags: OrderFlags,
        pub on_disconnect: OnDisconnect,
        pub self_trade_prevention: SelfTradePrevention,
        pub limit: Price,
        pub stop_price: Price,
        pub quantity: Quantity,
        pub display: Quantity,
        pub shown: Quantity,
        pub leaves: Quantity,
        pub cumulative: Quantity,
        pub prevented: Quantity,
        pub expire_at: Timestamp,
        pub accepted: Sequence,
        pub rates: FeeRates,
        pub maker_notional: Amount,
        pub taker_notional: Amount,
    }
    struct BookRecord {
        pub account: AccountId,
        pub client_order_id: ClientOrderId,
        pub limit: Price,
        pub stop_price: Price,
        pub leaves: Quantity,
    }
    struct SessionRecord {
        pub session: SessionId,
        pub key: KeyId,
        pub version: SessionVersion,
        pub nonce: LoginNonce,
        pub state: SessionState,
        pub last_applied: SessionSequence,
        pub last_report: SessionSequence,
        pub cancel_on_disconnect: CancelOnDisconnect,
        pub cancel_grace: Nanoseconds,
        pub keep_alive: Nanoseconds,
        pub cancel_at: Timestamp,
    }
    struct KeyRecord {
        pub key: KeyId,
        pub kind: KeyKind,
        pub public_key: [u8; 32],
        pub state: KeyState,
    }
    struct GrantRecord {
        pub key: KeyId,
        pub account: AccountId,
        pub role: Role,
    }
    struct NetworkRecord {
        pub key: KeyId,
        pub address: [u8; 16],
        pub prefix_bits: u8,
    }
    struct RequestRecord {
        pub author: KeyId,
        pub key: IdempotencyKey,
    }
}

impl Engine {
    /// Streams the canonical snapshot: what the state digest is taken over.
    pub fn write_snapshot(&self, out: &mut impl ByteSink) {
        HeaderRecord {
            magic: MAGIC,
            capacity: self.capacity,
            last: self.last,
            behaviour: self.behaviour,
            random_seed: self.random_seed,
            last_trade: self.last_trade,
        }
        .encode(out);
        self.write_assets(out);
        self.write_accounts(out);
        self.write_markets(out);
        self.write_slots(out);
        write_list(out, || self.calendar.entries().iter(), |entry, out| entry.encode(out));
        write_list(out, || self.call_ends.ends().iter(), |end, out| end.encode(out));
        write_list(out, || self.tape.prints(), |print, out| print.encode(out));
        self.write_sessions(out);
        self.write_directory(out);
    }

    /// Streams what the book digest is taken over: client order ids, prices, leaves and queue order of every book, of the
    /// stops and orders for the close that wait, and of a call's market orders, and every balance; no times, sequences, order ids or counters, so that different runs can be compared.
    pub fn write_book(&self, out: &mut impl ByteSink) {
        for (id, market) in self.markets.iter() {
            InstrumentId(id).encode(out);
            self.write_ladders(out, market, |slot, out| {
                let arena = &self.orders.arena;
                let Order { account, limit, leaves, .. } = arena[slot];
                let client_order_id = arena.details(slot).client_order_id;
                let stop_price = arena.extras(slot).stop_price;
                BookRecord { account, client_order_id, limit, stop_price, leaves }.encode(out);
            });
        }
        for (id, _) in self.accounts.iter() {
            AccountId(id).encode(out);
            self.write_balances(out, AccountId(id));
        }
    }

    /// Lists an instrument's bids, asks, waiting buy stops and sell stops, market buys and sells, and what waits for the
    /// close.
    fn write_ladders<O: ByteSink>(&self, out: &mut O, market: &Market, write: impl Fn(Slot, &mut O)) {
        for side in Side::BOTH {
            write_list(out, || market.book.orders(&self.orders, side), &write);
        }
        for side in Side::BOTH {
            write_list(out, || market.book.stops(&self.orders, side), &write);
        }
        for side in Side::BOTH {
            write_list(out, || market.book.market_orders(&self.orders, side), &write);
        }
        write_list(out, || market.book.waiting(&self.orders), &write);
    }

    fn write_balances(&self, out: &mut impl ByteSink, account: AccountId) {
        write_list(
            out,
            || self.ledger.assets.iter(),
            |(asset, _), out| {
                let asset = AssetId(asset);
                let Balance { available, held } = self.ledger.balance(account, asset);
                BalanceRecord { asset, available, held }.encode(out);
            },
        );
    }

    fn write_assets(&self, out: &mut impl ByteSink) {
        write_list(
            out,
            || self.ledger.assets.iter(),
            |(id, asset), out| {
                let Asset { name, decimals, supply } = *asset;
                AssetRecord { asset: AssetId(id), name, decimals, supply: Amount(supply) }.encode(out);
            },
        );
    }

    fn write_accounts(&self, out: &mut impl ByteSink) {
        write_list(
            out,
            || self.accounts.iter(),
            |(id, account), out| {
                let id = AccountId(id);
                AccountRecord {
                    account: id,
                    stp_group: account.stp_group,
                    self_trade_prevention: account.self_trade_prevention,
                    fee_tier: account.fee_tier,
                    limits: account.limits,
                    kill_switch: account.kill_switch,
                    last_exec: account.last_exec,
                }
                .encode(out);
                self.write_balances(out, id);
                write_list(
                    out,
                    || self.instrument_limits.of(id).iter(),
                    |entry, out| {
                        LimitsRecord { instrument: entry.instrument, limits: entry.limits }.encode(out);
                    },
                );
                write_list(
                    out,
                    || self.names.closed(id),
                    |(client_order_id, order_id, status), out| {
                        ClosedRecord { client_order_id, order_id, status }.encode(out);
                    },
                );
            },
        );
    }

    fn write_markets(&self, out: &mut impl ByteSink) {
        write_list(
            out,
            || self.markets.iter(),
            |(_, market), out| {
                MarketRecord {
                    listing: market.listing,
                    status: market.status,
                    phase: market.phase,
                    limits: market.limits,
                    protection: market.protection,
                    reference: market.reference,
                    call: market.call.map(|call| call.kind),
                    prolonged: market.call.map_or(Prolonged::No, |call| call.prolonged),
                }
                .encode(out);
                let fees = || (0..).zip(&market.fees).filter_map(|(tier, rates)| Some((tier, (*rates)?)));
                write_list(out, fees, |(tier, rates), out| FeesRecord { tier, rates }.encode(out));
                self.write_ladders(out, market, |slot, out| order_record(&self.orders.arena, slot).encode(out));
            },
        );
    }

    fn write_slots(&self, out: &mut impl ByteSink) {
        let arena = &self.orders.arena;
        write_list(out, || 0..arena.used(), |slot, out| arena.generation(slot).encode(out));
        write_list(out, || arena.free().iter(), |slot, out| slot.encode(out));
    }

    fn write_sessions(&self, out: &mut impl ByteSink) {
        write_list(
            out,
            || self.sessions.table.iter(),
            |(id, session), out| {
                SessionRecord {
                    session: SessionId(id),
                    key: session.key,
                    version: session.version,
                    nonce: session.nonce,
                    state: session.state,
                    last_applied: session.last_applied,
                    last_report: session.last_report,
                    cancel_on_disconnect: session.cancel_on_disconnect,
                    cancel_grace: session.cancel_grace,
                    keep_alive: session.keep_alive,
                    cancel_at: session.cancel_at,
                }
                .encode(out);
            },
        );
    }

    fn write_directory(&self, out: &mut impl ByteSink) {
        let directory = &self.directory;
        write_list(
            out,
            || directory.keys.iter(),
            |(id, key), out| {
                KeyRecord { key: KeyId(id), kind: key.kind, public_key: key.public_key, state: key.state }.encode(out);
            },
        );
        write_list(
            out,
            || directory.grants().iter(),
            |&Grant { key, account, role }, out| {
                GrantRecord { key, account, role }.encode(out);
            },
        );
        write_list(
            out,
            || directory.networks().iter(),
            |&Network { key, address, prefix_bits }, out| {
                NetworkRecord { key, address, prefix_bits }.encode(out);
            },
        );
        write_list(out, || directory.requests(), |(author, key), out| RequestRecord { author, key }.encode(out));
    }

    /// The venue that a snapshot describes.
    ///
    /// # Errors
    /// For bytes that do not decode, for a state that no history of commands leads to as far as [`Engine::audit`] can
    /// tell, and for bytes that are not the canonical snapshot of the state that they describe. Never panics, whatever
    /// the bytes, and reserves no more than [`Capacity::RESERVED_BYTES_MAX`].
    pub fn read_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let input = &mut Reader::new(bytes);
        let header: HeaderRecord = input.read()?;
        if header.magic != MAGIC {
            return Err(SnapshotError::Inconsistent("it does not begin as a snapshot of this version does"));
        }
        if !header.capacity.is_sane() {
            return Err(SnapshotError::Inconsistent("its capacities are beyond what a venue can have"));
        }
        if !carries_behaviour(header.behaviour) {
            return Err(SnapshotError::Inconsistent(
                "its matching rules have a version that this build does not carry",
            ));
        }
        let mut engine = Self::with_behaviour(header.capacity, header.behaviour);
        engine.last = header.last;
        engine.random_seed = header.random_seed;
        engine.names.rekey(&header.random_seed, &engine.orders.arena);
        engine.last_trade = header.last_trade;
        read_list(input, |record| engine.read_asset(&record))?;
        engine.read_accounts(input)?;
        let books = engine.read_markets(input)?;
        engine.read_slots(input, &books)?;
        engine.read_calendar(input)?;
        engine.read_call_ends(input)?;
        engine.read_tape(input)?;
        read_list(input, |record| engine.read_session(&record))?;
        engine.read_directory(input)?;
        input.clone().finish()?;
        engine.restore_orders(&books)?;
        engine.note_indicatives(|_, _| {});
        engine.audit().map_err(SnapshotError::Inconsistent)?;
        let mut comparison = Comparison { expected: bytes, equal: true };
        engine.write_snapshot(&mut comparison);
        ensure(comparison.is_complete(), "its state is written otherwise")?;
        Ok(engine)
    }

    fn read_asset(&mut self, record: &AssetRecord) -> Result<(), SnapshotError> {
        let AssetRecord { asset, name, decimals, supply } = *record;
        let assets = &mut self.ledger.assets;
        ensure(assets.covers(asset.0) && assets.get(asset.0).is_none(), "an asset's identity")?;
        ensure(supply <= Amount::MAX, "an asset's supply")?;
        assets.insert(asset.0, Asset { name, decimals, supply: supply.0 });
        Ok(())
    }

    fn read_accounts(&mut self, input: &mut Reader<'_>) -> Result<(), SnapshotError> {
        let mut previous = AccountId::NONE;
        for _ in 0..input.read::<u32>()? {
            let record: AccountRecord = input.read()?;
            let id = record.account;
            ensure(id > previous && self.accounts.covers(id.0), "an account's identity")?;
            ensure(record.fee_tier < FEE_TIERS && record.limits.is_valid(), "an account's settings")?;
            previous = id;
            let mut account = Account::new(record.stp_group, record.self_trade_prevention, record.fee_tier);
            account.limits = record.limits;
            account.kill_switch = record.kill_switch;
            account.last_exec = record.last_exec;
            self.add_account(id, account);
            read_list(input, |balance: BalanceRecord| {
                ensure(self.ledger.assets.get(balance.asset.0).is_some(), "a balance's asset")?;
                let BalanceRecord { asset, available, held } = balance;
                ensure(available <= Amount::MAX && held <= Amount::MAX, "a balance")?;
                self.ledger.restore(id, asset, Balance { available, held });
                Ok(())
            })?;
            read_list(input, |LimitsRecord { instrument, limits }| {
                ensure(limits.is_valid() && limits != AccountLimits::DEFAULT, "an account's limits in an instrument")?;
                let entry = LimitsInInstrument { account: id, instrument, limits, open_orders: 0 };
                let full = |_| SnapshotError::Inconsistent("more limits than an account has");
                self.instrument_limits.set(entry).map_err(full)
            })?;
            let limited = self.instrument_limits.of(id).len() as u32;
            if let Some(account) = self.accounts.get_mut(id.0) {
                account.limited_instruments = limited;
            }
            read_list(input, |closed: ClosedRecord| {
                ensure(!closed.client_order_id.is_none(), "a closed order's name")?;
                ensure(self.names.is_free(&self.orders.arena, id, closed.client_order_id), "a closed order's name")?;
                self.names.remember(id, closed.client_order_id, closed.order_id, closed.status);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn read_markets(&mut self, input: &mut Reader<'_>) -> Result<Vec<Restored>, SnapshotError> {
        let mut books = Vec::new();
        for _ in 0..input.read::<u32>()? {
            let record: MarketRecord = input.read()?;
            let id = record.listing.instrument;
            ensure(self.markets.covers(id.0) && self.markets.get(id.0).is_none(), "an instrument's identity")?;
            let units = units(&record.listing, &self.ledger)
                .map_err(|_| SnapshotError::Inconsistent("an instrument's tick and lot"))?;
            ensure(record.limits.is_valid(), "an instrument's limits")?;
            let mut market = Market::new(record.listing, units);
            market.status = record.status;
            market.phase = record.phase;
            market.limits = record.limits;
            market.protection = record.protection;
            market.reference = record.reference;
            market.next_reference = record.reference;
            ensure(record.call.is_some() || record.prolonged == Prolonged::No, "a call that is not pending")?;
            market.call = record.call.map(|kind| Call { prolonged: record.prolonged, ..Call::new(kind) });
            if market.call.is_some() {
                market.book.begin_call(&mut self.orders, id);
            }
            read_list(input, |FeesRecord { tier, rates }| {
                ensure(tier < FEE_TIERS && rates.is_valid(), "a fee tier's rates")?;
                market.fees[tier as usize] = Some(rates);
                Ok(())
            })?;
            let sided = [Place::Book, Place::Stops, Place::Market].into_iter();
            let lists =
                sided.flat_map(|place| Side::BOTH.map(|side| (place, Some(side)))).chain([(Place::Close, None)]);
            for (place, side) in lists {
                read_list(input, |order: OrderRecord| {
                    ensure(side.is_none_or(|side| order.side == side), "an order's side")?;
                    self.check_order(&market, &order, place)?;
                    books.push(Restored { place, instrument: id, record: order });
                    Ok(())
                })?;
            }
            self.markets.insert(id.0, market);
        }
        Ok(books)
    }

    fn check_order(&self, market: &Market, order: &OrderRecord, place: Place) -> Result<(), SnapshotError> {
        let waits_for_close = market.waits_for_close(order.time_in_force);
        let belongs = match place {
            Place::Book => order.order_type.has_price(),
            Place::Stops | Place::Nowhere | Place::Vacant => order.order_type.is_stop(),
            Place::Market => order.order_type == OrderType::Market && market.call.is_some(),
            Place::Close => matches!(order.order_type, OrderType::Limit | OrderType::Market) && waits_for_close,
        };
        let for_auction = order.time_in_force.is_for_auction();
        let attends = !for_auction || place == Place::Close || place != Place::Stops && market.call.is_some();
        ensure(attends, "an order for an auction")?;
        let dated = order.time_in_force == TimeInForce::GoodTillDate;
        ensure(belongs && order.time_in_force.rests() && dated != order.expire_at.is_none(), "an order's terms")?;
        let triggered = !order.order_type.is_stop() || (Price(1)..=Price::MAX).contains(&order.stop_price);
        ensure(triggered, "an order's stop price")?;
        ensure(self.accounts.get(order.account.0).is_some(), "an order's account")?;
        ensure((Price(1)..=Price::MAX).contains(&order.limit), "an order's price")?;
        ensure(!order.leaves.is_zero() && order.quantity <= Quantity::MAX, "an order's quantity")?;
        let parts = u128::from(order.leaves.0) + u128::from(order.cumulative.0) + u128::from(order.prevented.0);
        ensure(parts == u128::from(order.quantity.0), "an order's quantities")?;
        let bounded = market.notional(order.limit, order.quantity).is_some_and(|notional| notional <= Amount::MAX.0)
            && order.maker_notional.0 <= TRADED_MAX
            && order.taker_notional.0 <= TRADED_MAX;
        ensure(bounded, "an order's notional")?;
        ensure(order.rates.is_valid(), "an order's rates")
    }

    fn read_slots(&mut self, input: &mut Reader<'_>, books: &[Restored]) -> Result<(), SnapshotError> {
        let mut generations = Vec::new();
        read_list(input, |generation: u64| {
            ensure((1..=OrderId::GENERATION_MAX).contains(&generation), "a generation")?;
            generations.push(generation);
            Ok(())
        })?;
        let arena = Arena::restore(self.capacity.orders, &generations);
        self.orders.arena = arena.ok_or(SnapshotError::Inconsistent("more slots than the capacity"))?;
        for restored in books {
            let slot = restored.open(&mut self.orders.arena);
            slot.ok_or(SnapshotError::Inconsistent("an order's id"))?;
        }
        let mut listed = alloc::vec![false; generations.len()];
        read_list(input, |slot: Slot| {
            let seen = listed.get_mut(slot as usize).map(|seen| core::mem::replace(seen, true));
            ensure(seen == Some(false), "a free slot")?;
            self.orders.arena.restore_free(slot).ok_or(SnapshotError::Inconsistent("a free slot"))
        })?;
        let lost = |(slot, &generation): (usize, &u64)| {
            let open = self.orders.arena.is_open(slot as Slot);
            !open && !listed[slot] && generation != OrderId::GENERATION_MAX
        };
        ensure(!generations.iter().enumerate().any(lost), "a slot that is neither open nor free")
    }

    fn read_calendar(&mut self, input: &mut Reader<'_>) -> Result<(), SnapshotError> {
        read_list(input, |entry: Entry| {
            ensure(self.listed(entry.instrument).is_ok(), "a calendar entry's instrument")?;
            ensure(
                entry.is_valid() && (entry.at..=entry.at.after(entry.random_end)).contains(&entry.due),
                "a calendar entry",
            )?;
            self.calendar.set(entry).map_err(|_| SnapshotError::Inconsistent("more calendar entries than a venue has"))
        })
    }

    fn read_call_ends(&mut self, input: &mut Reader<'_>) -> Result<(), SnapshotError> {
        read_list(input, |end: CallEnd| {
            let pending = self.listed(end.instrument).is_ok_and(|market| market.call.is_some());
            ensure(pending && end.at != Timestamp::NEVER, "the end of a call")?;
            self.call_ends.set(end);
            Ok(())
        })
    }

    fn read_tape(&mut self, input: &mut Reader<'_>) -> Result<(), SnapshotError> {
        let count: u32 = input.read()?;
        let first = self.last_trade.0.checked_sub(count.into()).filter(|_| count <= TRADES_REMEMBERED);
        let first = first.ok_or(SnapshotError::Inconsistent("more trades than there were"))?;
        ensure(count == TRADES_REMEMBERED || first == 0, "trades are missing")?;
        self.tape = Tape::new(TradeId(first));
        for _ in 0..count {
            let print: Print = input.read()?;
            self.check_print(&print)?;
            self.tape.push(print);
        }
        Ok(())
    }

    fn check_print(&self, print: &Print) -> Result<(), SnapshotError> {
        let market = self.markets.get(print.instrument.0);
        let market = market.ok_or(SnapshotError::Inconsistent("a trade's instrument"))?;
        let known = [&print.buyer, &print.seller].into_iter().all(|party| {
            let bounded = party.fee.0.unsigned_abs() <= Amount::MAX.0;
            bounded && party.account != AccountId::FEES && self.accounts.get(party.account.0).is_some()
        });
        ensure(known, "a trade's parties")?;
        let valid = print.quantity <= Quantity::MAX && print.price <= Price::MAX;
        let bounded = market.notional(print.price, print.quantity).is_some_and(|notional| notional <= Amount::MAX.0);
        ensure(valid && bounded, "a trade's notional")
    }

    fn read_session(&mut self, record: &SessionRecord) -> Result<(), SnapshotError> {
        let id = record.session;
        let table = &mut self.sessions.table;
        ensure(table.covers(id.0) && table.get(id.0).is_none(), "a session's identity")?;
        let mut session = Session::new(record.key, record.version);
        session.nonce = record.nonce;
        session.state = record.state;
        session.last_applied = record.last_applied;
        session.last_report = record.last_report;
        session.cancel_on_disconnect = record.cancel_on_disconnect;
        session.cancel_grace = record.cancel_grace;
        session.keep_alive = record.keep_alive;
        table.insert(id.0, session);
        self.sessions.set_cancel_at(id, record.cancel_at);
        Ok(())
    }

    fn read_directory(&mut self, input: &mut Reader<'_>) -> Result<(), SnapshotError> {
        let directory = &mut self.directory;
        let full = |_| SnapshotError::Inconsistent("more grants or networks than the capacity");
        read_list(input, |KeyRecord { key, kind, public_key, state }| {
            ensure(directory.keys.covers(key.0) && directory.keys.get(key.0).is_none(), "a key's identity")?;
            directory.keys.insert(key.0, Key::new(kind, public_key, state));
            Ok(())
        })?;
        read_list(input, |GrantRecord { key, account, role }| {
            directory.grant(Grant { key, account, role }).map_err(full)
        })?;
        read_list(input, |NetworkRecord { key, address, prefix_bits }| {
            directory.allow(Network { key, address, prefix_bits }).map_err(full)
        })?;
        let mut count = 0;
        read_list(input, |RequestRecord { author, key }| {
            count += 1;
            ensure(!key.is_none() && count <= IDEMPOTENCY_KEYS, "a request")?;
            directory.remember(author, key);
            Ok(())
        })
    }

    /// Rests the orders in the given order, and links them to their accounts and sessions, oldest first.
    fn restore_orders(&mut self, books: &[Restored]) -> Result<(), SnapshotError> {
        for &Restored { place, instrument, ref record } in books {
            let slot = record.order_id.slot();
            let market = self.markets.get_mut(instrument.0).expect("read with its orders");
            let has_room = match place {
                Place::Book => market.book.has_room(&self.orders, place, record.side, record.limit),
                Place::Stops => market.book.has_room(&self.orders, place, record.side, record.stop_price),
                Place::Vacant | Place::Nowhere | Place::Market | Place::Close => true,
            };
            ensure(has_room, "more prices than the capacity")?;
            market.book.insert(&mut self.orders, place, slot);
        }
        let mut by_age: Vec<&OrderRecord> = books.iter().map(|restored| &restored.record).collect();
        by_age.sort_unstable_by_key(|order| order.accepted);
        ensure(by_age.windows(2).all(|pair| pair[0].accepted < pair[1].accepted), "two orders of one command")?;
        for order in by_age {
            let taken = !self.names.is_free(&self.orders.arena, order.account, order.client_order_id);
            ensure(!taken || order.client_order_id.is_none(), "an order's name")?;
            let lost = !order.session.is_none() && self.sessions.get(order.session).is_none();
            ensure(!lost, "an order's session")?;
            self.link(order.order_id.slot());
        }
        Ok(())
    }
}

/// Compares what is written with what is expected, without keeping it.
struct Comparison<'a> {
    expected: &'a [u8],
    equal: bool,
}

impl Comparison<'_> {
    fn is_complete(&self) -> bool {
        self.equal && self.expected.is_empty()
    }
}

impl ByteSink for Comparison<'_> {
    fn write(&mut self, bytes: &[u8]) {
        match self.expected.strip_prefix(bytes) {
            Some(rest) => self.expected = rest,
            None => self.equal = false,
        }
    }
}

fn order_record(arena: &Arena, slot: Slot) -> OrderRecord {
    let (order, details, extras) = (&arena[slot], arena.details(slot), arena.extras(slot));
    OrderRecord {
        order_id: order.id,
        account: order.account,
        session: order.session,
        client_order_id: details.client_order_id,
        side: order.side,
        order_type: order.order_type,
        time_in_force: order.time_in_force,
        flags: order.flags,
        on_disconnect: order.on_disconnect,
        self_trade_prevention: order.self_trade_prevention,
        limit: order.limit,
        stop_price: extras.stop_price,
        quantity: arena.quantity(slot),
        display: extras.display,
        shown: arena.shown(slot),
        leaves: order.leaves,
        cumulative: details.cumulative,
        prevented: extras.prevented,
        expire_at: extras.expire_at,
        accepted: details.accepted,
        rates: details.rates,
        maker_notional: Amount(extras.maker_notional),
        taker_notional: Amount(extras.taker_notional),
    }
}

/// An open order as it is read, and where it stood.
struct Restored {
    place: Place,
    instrument: InstrumentId,
    record: OrderRecord,
}

impl Restored {
    /// Opens it in its slot, so far nowhere; `None` if the slot is not for it.
    fn open(&self, arena: &mut Arena) -> Option<Slot> {
        let Self { place, instrument, ref record } = *self;
        let order = Order {
            id: record.order_id,
            limit: record.limit,
            leaves: record.leaves,
            instrument,
            account: record.account,
            session: record.session,
            side: record.side,
            order_type: record.order_type,
            time_in_force: record.time_in_force,
            flags: record.flags,
            on_disconnect: record.on_disconnect,
            self_trade_prevention: record.self_trade_prevention,
            ..Order::BLANK
        };
        let details = Details {
            client_order_id: record.client_order_id,
            cumulative: record.cumulative,
            accepted: record.accepted,
            rates: record.rates,
            ..Details::BLANK
        };
        let extras = Extras {
            prevented: record.prevented,
            stop_price: record.stop_price,
            expire_at: record.expire_at,
            maker_notional: record.maker_notional.0,
            taker_notional: record.taker_notional.0,
            ..Extras::NONE
        };
        let slot = arena.restore_order(order, details, extras)?;
        arena.set_display(slot, record.display);
        arena.show_at_most(slot, record.shown);
        if place != Place::Book {
            arena.hide(slot);
        }
        Some(slot)
    }
}

/// Writes how many there are, then each.
fn write_list<I: Iterator, O: ByteSink>(out: &mut O, list: impl Fn() -> I, mut write: impl FnMut(I::Item, &mut O)) {
    let count = u32::try_from(list().count()).expect("capacities are below 2^32");
    count.encode(out);
    list().for_each(|item| write(item, out));
}

/// Reads how many there are, then each.
fn read_list<T: Canonical>(
    input: &mut Reader<'_>,
    mut read: impl FnMut(T) -> Result<(), SnapshotError>,
) -> Result<(), SnapshotError> {
    for _ in 0..input.read::<u32>()? {
        read(input.read()?)?;
    }
    Ok(())
}

fn ensure(holds: bool, what: &'static str) -> Result<(), SnapshotError> {
    if holds { Ok(()) } else { Err(SnapshotError::Inconsistent(what)) }
}

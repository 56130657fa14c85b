//! The venue's threads together: commands in, released events out, and the same again from the journal.

use std::path::Path;
use std::time::Duration;

use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::*;
use journal::{Durability, replay, state_digest};
use ring::{CommandRing, EventReader, Idle, Polled};
use venue::topology::{Topology, Venue};

const BOOK: InstrumentId = InstrumentId(1);
const ACCOUNTS: [AccountId; 3] = [AccountId(2), AccountId(3), AccountId(4)];

fn topology() -> Topology {
    Topology {
        capacity: Capacity::SMALL,
        reader_count: 1,
        command_slots: 64,
        event_slots: 64,
        segment_bytes: 1 << 20,
        ..Topology::default()
    }
}

fn submit(ring: &CommandRing, command: Command) {
    while ring.submit(command).is_err() {
        std::thread::yield_now();
    }
}

/// The next event; the reader waits for it.
fn next(reader: &mut EventReader) -> Option<Event> {
    loop {
        match reader.poll() {
            Polled::Event(_, event) => return Some(event),
            Polled::Empty => reader.wait(Duration::from_secs(60)),
            Polled::Lapped(count) => panic!("a gating reader was lapped by {count}"),
            Polled::Closed => return None,
        }
    }
}

fn set_up() -> Vec<CommandBody> {
    let note = AdminNote::NONE;
    let listing = ListInstrument {
        instrument: BOOK,
        name: Text::new("X").unwrap(),
        base: AssetId::NONE,
        quote: AssetId::NONE,
        tick: 1,
        tick_decimals: 0,
        lot: 1,
        lot_decimals: 0,
        reference: Price::ABSENT,
        holds: Holds::Off,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note,
    };
    let open = |account| {
        let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
        OpenAccount { account, stp_group, self_trade_prevention, fee_tier, note }
    };
    let accounts = ACCOUNTS.map(|account| CommandBody::from(open(account)));
    [listing.into()].into_iter().chain(accounts).collect()
}

fn order(account: AccountId, side: Side, price: u64, quantity: u64) -> NewOrder {
    NewOrder {
        account,
        instrument: BOOK,
        client_order_id: ClientOrderId::NONE,
        side,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        flags: OrderFlags::NONE,
        self_trade_prevention: None,
        on_disconnect: OnDisconnect::AsSession,
        price: Price(price),
        quantity: Quantity(quantity),
        funds: Amount::ABSENT,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        minimum_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

/// Starts the venue, hands `bodies` to it, and reads as many events as there are bodies.
fn run(directory: &Path, topology: &Topology, bodies: Vec<CommandBody>) -> (Vec<Event>, Engine, journal::Digest) {
    let mut venue = Venue::start(directory, topology, |_| {}).unwrap();
    let mut reader = venue.take_readers().pop().unwrap();
    let mut events = Vec::new();
    for body in bodies {
        submit(venue.commands(), Command::from_venue(body));
        events.push(next(&mut reader).unwrap());
    }
    let rest = std::thread::spawn(move || std::iter::from_fn(|| next(&mut reader)).collect::<Vec<_>>());
    let ended = venue.stop().unwrap();
    assert_eq!(rest.join().unwrap(), []);
    (events, ended.engine, ended.event_digest)
}

#[test]
fn what_went_in_comes_out_and_replays_to_the_same() {
    for durability in [Durability::Synced, Durability::Buffered] {
        let folder = tempfile::tempdir().unwrap();
        let topology = Topology { durability, ..topology() };
        let (events, engine, event_digest) = run(folder.path(), &topology, set_up());
        assert!(matches!(events[..], [Event::InstrumentListed(_), Event::AccountOpened(_), ..]), "{events:?}");
        let replayed = replay(folder.path(), &mut (), |_| {}).unwrap();
        assert!(replayed.verified.seal.is_some());
        assert_eq!(replayed.last, engine.last().sequence);
        assert_eq!(replayed.event_digest, event_digest);
        assert_eq!(replayed.state_digest, state_digest(&engine));
    }
}

#[test]
fn a_venue_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &topology(), set_up());
    let bid = order(ACCOUNTS[0], Side::Buy, 100, 5);
    let (_, engine, _) = run(folder.path(), &topology(), vec![bid.into()]);
    assert_eq!(engine.best_price(BOOK, Side::Buy), Some(Price(100)));

    let mut seen = None;
    let venue = Venue::start(folder.path(), &topology(), |engine| seen = engine.best_price(BOOK, Side::Buy)).unwrap();
    assert_eq!(seen, Some(Price(100)));
    assert_eq!(venue.recovery().last, Sequence(5));
    let ended = venue.stop().unwrap();
    let replayed = replay(folder.path(), &mut (), |_| {}).unwrap();
    assert_eq!((replayed.event_digest, replayed.commands), (ended.event_digest, 5));
}

#[test]
fn many_producers_and_a_small_ring_lose_nothing() {
    const EACH: u64 = 2_000;
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &topology(), set_up());
    let mut venue = Venue::start(folder.path(), &topology(), |_| {}).unwrap();
    let mut reader = venue.take_readers().pop().unwrap();
    let counts = std::thread::scope(|scope| {
        for account in ACCOUNTS {
            let commands = venue.commands();
            scope.spawn(move || {
                for number in 0..EACH {
                    let side = if number % 2 == 0 { Side::Buy } else { Side::Sell };
                    submit(commands, Command::from_venue(order(account, side, 100, 1)));
                }
            });
        }
        let (mut accepted, mut traded) = (0, 0);
        while accepted < 3 * EACH || traded < 3 * EACH {
            match next(&mut reader).unwrap() {
                Event::OrderAccepted(order) => accepted += order.order.quantity.0,
                Event::Trade(trade) => traded += 2 * trade.quantity.0,
                other => panic!("{other:?}"),
            }
        }
        (accepted, traded)
    });
    drop(reader);
    // As many lots were bought as sold, one at a time: every order has traded.
    assert_eq!(counts, (3 * EACH, 3 * EACH));
    let ended = venue.stop().unwrap();
    assert_eq!(ended.engine.orders(BOOK, Side::Buy).count() + ended.engine.orders(BOOK, Side::Sell).count(), 0);
    let replayed = replay(folder.path(), &mut (), |_| {}).unwrap();
    assert_eq!(replayed.event_digest, ended.event_digest);
    assert_eq!(replayed.state_digest, state_digest(&ended.engine));
}

#[test]
fn an_idle_venue_acts_when_a_deadline_passes() {
    for idle in [Idle::Park, Idle::Poll] {
        let folder = tempfile::tempdir().unwrap();
        let topology = Topology { idle, durability: Durability::Buffered, ..topology() };
        let mut venue = Venue::start(folder.path(), &topology, |_| {}).unwrap();
        let mut reader = venue.take_readers().pop().unwrap();
        let (key, note, session) = (KeyId(1), AdminNote::NONE, SessionId(1));
        let grant = GrantRole { key, role: Role::Trader, account: ACCOUNTS[0], note };
        let header = CommandHeader { author: key, session, ..CommandHeader::VENUE };
        let establish = Establish {
            version: SessionVersion(1),
            nonce: LoginNonce(1),
            cancel_on_disconnect: CancelOnDisconnect::Cancel,
            cancel_grace: Nanoseconds(1_000_000),
            keep_alive: Nanoseconds::NONE,
        };
        let ours = set_up()
            .into_iter()
            .chain([AddKey { key, kind: KeyKind::Ed25519, public_key: [0; 32], note }.into(), grant.into()]);
        let theirs = [
            Negotiate { version: SessionVersion(1) }.into(),
            establish.into(),
            order(ACCOUNTS[0], Side::Buy, 100, 1).into(),
            Disconnect { version: SessionVersion(1), reason: DisconnectReason::ConnectionLost }.into(),
        ];
        let commands: Vec<_> =
            ours.map(Command::from_venue).chain(theirs.map(|body| Command { header, body })).collect();
        for command in commands {
            submit(venue.commands(), command);
            next(&mut reader).unwrap();
        }
        // Nobody submits anything more: the core itself notices that the grace has ended.
        let Some(Event::OrderCancelled(cancelled)) = next(&mut reader) else { panic!("no cancel") };
        assert_eq!(cancelled.reason, CancelReason::Disconnected);
        drop(reader);
        venue.stop().unwrap();
    }
}

#[test]
fn what_was_submitted_before_the_stop_is_applied_and_reported() {
    const ORDERS: u64 = 3_000;
    for (idle, durability) in [
        (Idle::Park, Durability::Synced),
        (Idle::Park, Durability::Buffered),
        (Idle::Poll, Durability::Synced),
        (Idle::Spin, Durability::Synced),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let topology = Topology { idle, durability, command_slots: 4_096, ..topology() };
        let mut venue = Venue::start(folder.path(), &topology, |_| {}).unwrap();
        let mut reader = venue.take_readers().pop().unwrap();
        let commands = venue.commands();
        set_up().into_iter().for_each(|body| submit(commands, Command::from_venue(body)));
        // Side by side at prices that never cross: one event each, and far more of them than the ring of events holds.
        for number in 0..ORDERS {
            let (side, price) = if number % 2 == 0 { (Side::Buy, 100) } else { (Side::Sell, 200) };
            submit(commands, Command::from_venue(order(ACCOUNTS[0], side, price, 1)));
            if number % 1_000 == 999 {
                submit(commands, Command::from_venue(mass_cancel()));
            }
        }
        // Nobody has read anything yet, so the core waits for room, and most of it is still in the ring.
        let reading = std::thread::spawn(move || {
            let mut seen = (0, 0, 0);
            while let Some(event) = next(&mut reader) {
                match event {
                    Event::OrderAccepted(_) => seen.0 += 1,
                    Event::OrderCancelled(_) => seen.1 += 1,
                    Event::MassCancelled(_) => seen.2 += 1,
                    _ => {}
                }
            }
            seen
        });
        let ended = venue.stop().unwrap();
        assert_eq!(reading.join().unwrap(), (ORDERS, ORDERS, 3), "{idle:?} {durability:?}");
        assert_eq!(ended.engine.last().sequence, Sequence(4 + ORDERS + 3));
        let replayed = replay(folder.path(), &mut (), |_| {}).unwrap();
        assert_eq!((replayed.last, replayed.event_digest), (ended.engine.last().sequence, ended.event_digest));
    }
}

fn mass_cancel() -> MassCancel {
    MassCancel {
        account: ACCOUNTS[0],
        instrument: InstrumentId::NONE,
        side: None,
        entered_by: SessionId::NONE,
        client_order_id: ClientOrderId::NONE,
        note: AdminNote::NONE,
    }
}

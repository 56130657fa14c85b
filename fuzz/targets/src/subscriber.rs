//! A subscriber and what reaches it: the packets and snapshots of a feed in any order, again, cut, changed; and any bytes.
//!
//! An input is a line of moves of four bytes: what, which piece of the feed, and where to change it to what. Nothing
//! makes a subscriber panic or keep more than it may; and as long as nothing was changed, its book is the feed's at the
//! number that it has come to, and no checksum differs.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use engine::command::AdvanceTime;
use engine::{Capacity, Command, Engine, Sequenced, Side, Stamp, Timestamp};
use marketdata::{Book, Feed, Patience, Subscription, channel_of, channel_parts};
use testkit::stream::References;
use testkit::workload::{Workload, profile};
use wire::market_data::GapNotice;
use wire::message::Message;
use wire::{ChannelId, FeedLevel, FeedSequence, Frame, GapCause, MessageCount};

const PATIENCE: Patience = Patience { packets: 4, waiting_max: 16 };
const COMMANDS: usize = 400;
const LEVELS: [FeedLevel; 3] = [FeedLevel::MarketByOrder, FeedLevel::MarketByPrice10, FeedLevel::BestBidOffer];

type Line = (Side, u64, i64, i64);

/// What a feed sent, and what its books were.
struct Sent {
    packets: Vec<bytes::Bytes>,
    snapshots: Vec<bytes::Bytes>,
    books: BTreeMap<(ChannelId, FeedSequence), Vec<Line>>,
}

fn sent() -> &'static Sent {
    static SENT: OnceLock<Sent> = OnceLock::new();
    SENT.get_or_init(|| {
        let mut engine = Engine::new(Capacity { orders: 1 << 12, ..Capacity::SMALL });
        let mut feed = Feed::of(&engine);
        feed.hear_all();
        let mut workload = Workload::new(profile("icebergs").expect("a profile"), 7);
        let mut names = References::default();
        let mut sent = Sent { packets: Vec::new(), snapshots: Vec::new(), books: BTreeMap::new() };
        for number in 0..COMMANDS {
            let step = workload.next_step();
            let mut told = Vec::new();
            let due = engine.next_deadline();
            let time = engine.last().time.max(step.at);
            let mut commands = vec![names.resolve(&step.command)];
            if due <= time && due != Timestamp::NEVER {
                commands.insert(0, Command::from_venue(AdvanceTime {}));
            }
            for value in commands {
                told.clear();
                let stamp = Stamp { sequence: engine.last().sequence.next(), time };
                engine.apply(&Sequenced { stamp, value }, &mut told);
                told.iter().for_each(|(header, event)| feed.event(header, event));
                feed.end_of_command();
            }
            let events: Vec<_> = told.iter().map(|(_, event)| *event).collect();
            names.learn(step.name, &events);
            workload.observe(&step, &events);
            let packets = feed.packets(wire::Timestamp(number as u64));
            let ours = |id: ChannelId| channel_parts(id).is_some_and(|(_, level)| LEVELS.contains(&level));
            sent.packets.extend(packets.into_iter().filter(|it| ours(it.channel_id)).map(|it| it.bytes));
            for (book, level) in feed.instruments().flat_map(|book| LEVELS.map(|level| (book, level))) {
                let snapshot = feed.snapshot(book, level, None).expect("a listed book");
                let last = FeedSequence(snapshot.next_sequence.0 - 1);
                let mut whole = Subscription::default();
                whole.snapshot(&snapshot.bytes()).expect("the feed's own");
                let lines = lines(whole.book_at(book.into(), level).expect("it was taken"));
                sent.books.insert((snapshot.channel_id, last), lines);
                if number % 40 == 39 {
                    sent.snapshots.push(snapshot.bytes());
                }
            }
        }
        sent
    })
}

fn lines(book: &Book) -> Vec<Line> {
    let sides = [(Side::Buy, wire::Side::Buy), (Side::Sell, wire::Side::Sell)];
    let levels = sides.into_iter().flat_map(|(side, wire)| {
        book.levels(wire).map(move |level| (side, u64::from(level.order_count.0), level.price.0, level.quantity.0))
    });
    let orders = sides.into_iter().flat_map(|(side, wire)| {
        book.orders(wire).map(move |order| (side, order.order_id.0, order.price.0, order.quantity.0))
    });
    levels.chain(orders).collect()
}

/// A subscriber that joins first or late, with packets in order, backwards, or with some left out.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let packet = |number: u16| [0, (number >> 8) as u8, number as u8, 0];
    let snapshot = |number: u8| [4, 0, number, 0];
    let ordered: Vec<u8> = (0..3).flat_map(snapshot).chain((0..400).flat_map(packet)).collect();
    let late: Vec<u8> = (0..200).flat_map(packet).chain((30..36).flat_map(snapshot)).collect();
    let backwards: Vec<u8> = (0..3).flat_map(snapshot).chain((0..200).rev().flat_map(packet)).collect();
    let losses: Vec<u8> =
        (0..3).flat_map(snapshot).chain((0..400).filter(|number| number % 9 != 0).flat_map(packet)).collect();
    let changed: Vec<u8> = (0..200_u8).flat_map(|number| [5 + number % 3, number, number, number]).collect();
    [("ordered", ordered), ("late", late), ("backwards", backwards), ("losses", losses), ("changed", changed)]
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .into()
}

/// Makes the moves of an input.
///
/// # Panics
/// If a promise does not hold.
pub fn check(input: &[u8]) {
    let sent = sent();
    let mut subscription = Subscription::new(PATIENCE);
    let mut is_genuine = true;
    let mut moves = input.chunks_exact(4);
    for one in &mut moves {
        let [what, index, at, value] = [one[0], one[1], one[2], one[3]];
        let pick = |of: &'static [bytes::Bytes]| of[(usize::from(index) << 8 | usize::from(at)) % of.len()].clone();
        // A refusal is an answer; what is asked here is what becomes of the books.
        let _ = match what % 8 {
            0..=3 => subscription.packet(pick(&sent.packets)),
            4 => subscription.snapshot(&pick(&sent.snapshots)),
            5 | 6 => {
                is_genuine = false;
                let of = if what % 8 == 5 { &sent.packets } else { &sent.snapshots };
                let mut bytes = of[usize::from(index) % of.len()].to_vec();
                let place = usize::from(at) * 7 % bytes.len();
                bytes[place] ^= value;
                if value % 16 == 0 {
                    bytes.truncate(place);
                }
                if what % 8 == 5 { subscription.packet(bytes.into()) } else { subscription.snapshot(&bytes) }
            }
            _ => {
                notice(&mut subscription, index, at);
                Ok(())
            }
        };
        while subscription.next_update().is_some() {}
        let mut requests = 0;
        while subscription.next_request().is_some() {
            requests += 1;
        }
        assert!(requests <= 2, "one input causes a request or two");
        if is_genuine {
            compare(&subscription, sent);
        }
    }
    // What is left is a packet of any bytes, and a snapshot.
    let rest = input.to_vec();
    let _ = subscription.packet(rest.clone().into());
    let _ = subscription.snapshot(&rest);
    if let Ok((frame, _)) = Frame::split(&rest)
        && let Ok(message) = frame.try_into()
    {
        subscription.control(&message);
    }
}

/// The venue says that it left something out.
fn notice(subscription: &mut Subscription, index: u8, count: u8) {
    let book = engine::InstrumentId(1 + u32::from(index % 2));
    let level = LEVELS[usize::from(index) / 2 % LEVELS.len()];
    let Some(channel_id) = channel_of(book, level) else { return };
    let notice = GapNotice {
        channel_id,
        from_sequence: FeedSequence(u64::from(index)),
        count: MessageCount(u64::from(count)),
        security_id: None,
        cause: GapCause::SlowReader,
    };
    let mut frame = vec![0; GapNotice::FRAME_LENGTH];
    wire::encode(&notice, &mut frame).expect("there is room");
    let message = Frame::split(&frame).expect("a frame").0.try_into().expect("a message");
    subscription.control(&message);
}

fn compare(subscription: &Subscription, sent: &Sent) {
    assert_eq!(subscription.gaps().differing, 0, "checksums of what was sent are equal");
    for &(channel_id, sequence) in sent.books.keys() {
        let Some((book, level)) = channel_parts(channel_id) else { continue };
        let Some(own) = subscription.book_at(book.into(), level).filter(|own| own.last_sequence() == sequence) else {
            continue;
        };
        assert_eq!(lines(own), sent.books[&(channel_id, sequence)], "{book:?} {level:?} at {sequence:?}");
    }
}

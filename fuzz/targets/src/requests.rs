//! What subscribers ask for on the control lane, as bytes: two of them in one room, one of whom has to log on.
//!
//! The first byte of an input is the length of the pieces that the rest arrives in, by turns for one and the other; a
//! byte of 255 at a piece's front lets the market move on. No bytes make the room panic; what one causes is bounded; who
//! did not log on is told nothing of the market.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use engine::{Capacity, Command, Engine, EventSink, Sequenced, Stamp};
use marketdata::{
    CloseReason, Crowd, Datagrams, Desk, Door, Effect, Entitlement, Feed, Limits, Newcomer, OpenDoor, Room, Seat,
    SubscriberId, Want,
};
use ring::{EventReader, EventRing, Idle, Publisher, Release};
use testkit::stream::References;
use testkit::workload::{Workload, profile};
use wire::FrameDecoder;
use wire::market_data::MarketDataMessage;

/// As the venue's.
const REQUEST_BYTES_MAX: usize = 16_384;
/// Effects that one piece of bytes may have: as many requests as fit it, and a want for every channel.
const EFFECTS_MAX: usize = 4_096;
const STRANGER: SubscriberId = SubscriberId(2);

struct World {
    engine: Engine,
    workload: Workload,
    names: References,
    publisher: Publisher,
    events: EventReader,
    desk: Arc<Desk>,
    seat: Seat,
    room: Room,
    closed: BTreeMap<SubscriberId, CloseReason>,
}

impl World {
    fn new() -> Self {
        let (publisher, mut readers) = EventRing::open(4_096, 1, Idle::Park, Release::AsPublished);
        let engine = Engine::new(Capacity { orders: 1 << 12, ..Capacity::SMALL });
        let desk = Desk::new(Feed::of(&engine), 1, Arc::new(OpenDoor));
        let seat = desk.seats().remove(0);
        let limits = Limits { channels_max: 6, backlog_bytes_max: 4_000, ..Limits::default() };
        let crowd = Arc::new(Crowd::new(&limits));
        let mut room = Room::new(limits);
        for (id, entitlement) in [(SubscriberId(1), Some(Entitlement::everything())), (STRANGER, None)] {
            let newcomer = Newcomer {
                address: Ipv4Addr::LOCALHOST.into(),
                entitlement,
                key: None,
                datagrams: Datagrams::Taken,
                presence: crowd.enter(Ipv4Addr::LOCALHOST.into()).expect("there is room"),
            };
            room.enter(id, newcomer).expect("the books are valid");
        }
        let workload = Workload::new(profile("plain").expect("a profile"), 3);
        let events = readers.pop().expect("one was asked for");
        let (names, closed) = (References::default(), BTreeMap::new());
        let mut world = Self { engine, workload, names, publisher, events, desk, seat, room, closed };
        (0..60).for_each(|_| world.move_on());
        world
    }

    fn move_on(&mut self) {
        let step = self.workload.next_step();
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: self.engine.last().time.max(step.at) };
        let value: Command = self.names.resolve(&step.command);
        let mut told = Vec::new();
        self.engine.apply(&Sequenced { stamp, value }, &mut told);
        told.iter().for_each(|(header, event)| self.publisher.event(header, event));
        self.publisher.complete(stamp.sequence);
        let events: Vec<_> = told.into_iter().map(|(_, event)| event).collect();
        self.names.learn(step.name, &events);
        self.workload.observe(&step, &events);
        let clock: marketdata::Clock = Arc::new(|| wire::Timestamp(1));
        self.desk.turn(&mut self.events, &clock);
        self.follow_up();
    }

    /// Does what the room wants done, and reads what it has for both.
    fn follow_up(&mut self) {
        let mut done = 0;
        loop {
            self.room.route_all(self.seat.take(), &OpenDoor);
            let effects = self.room.take_effects();
            if effects.is_empty() {
                break;
            }
            done += effects.len();
            assert!(done <= EFFECTS_MAX, "what one piece causes is bounded");
            for effect in effects {
                match effect {
                    Effect::Want(id, channel_id, request_id) => self.seat.want(Want::of(id, channel_id, request_id)),
                    Effect::Unheard(channel_id) => self.seat.leave(channel_id),
                    Effect::Again(id, packets) => {
                        assert!(id != STRANGER && packets.len() <= 512);
                        self.room.repeated(id);
                    }
                    Effect::Close(id, reason) => self.close(id, reason),
                    Effect::Datagram(id, _) => assert_ne!(id, STRANGER),
                    Effect::Wake(_) | Effect::WakeLive(_) => {}
                }
            }
        }
        for id in [SubscriberId(1), STRANGER] {
            while let Some(snapshot) = self.room.outbox(id).and_then(|outbox| outbox.next_snapshot()) {
                assert_ne!(id, STRANGER);
                self.room.written(id, snapshot.channel_id, snapshot.length());
            }
            let Some(outbox) = self.room.outbox(id) else { continue };
            let group = outbox.next_group(16_384);
            assert!(group.is_empty() || id != STRANGER);
            let mut answers = 0;
            while outbox.next_control().is_some() {
                answers += 1;
            }
            assert!(answers <= 8_193, "answers are bounded");
        }
    }

    fn close(&mut self, id: SubscriberId, reason: CloseReason) {
        self.closed.entry(id).or_insert(reason);
        self.room.leave(id);
    }
}

/// Requests of each kind, in each order of the two.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let golden = |name: &str| crate::frames::golden(&format!("{name}.hex"));
    let names = [
        "subscribe",
        "subscribe.v1",
        "subscribe_datagrams.v1",
        "snapshot_request",
        "packet_retransmit_request",
        "logon.v1",
        "logon_signature.v1",
        "trade.v1",
    ];
    let mut seeds: Vec<(String, Vec<u8>)> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let mut bytes = vec![200];
        for name in names.iter().cycle().skip(index).take(5) {
            let mut piece = golden(name);
            // The other one's turn.
            piece.resize(200, 0);
            bytes.extend(&piece[..golden(name).len()]);
        }
        seeds.push((format!("from_{name}"), bytes));
    }
    seeds
}

/// Lets both ask.
///
/// # Panics
/// If a promise does not hold.
pub fn check(input: &[u8]) {
    let Some((&length, rest)) = input.split_first() else { return };
    let mut world = World::new();
    let mut decoders = [(); 2].map(|()| Box::new(FrameDecoder::<REQUEST_BYTES_MAX>::new()));
    for (turn, piece) in rest.chunks(usize::from(length).max(8)).enumerate() {
        if piece[0] == 255 {
            world.move_on();
        }
        let index = turn % 2;
        let id = SubscriberId(index as u64 + 1);
        let decoder = &mut decoders[index];
        let mut left = piece;
        while !left.is_empty() && !world.closed.contains_key(&id) {
            let taken = decoder.push(left);
            left = &left[taken..];
            loop {
                let message = match decoder.next_frame() {
                    Ok(None) => break,
                    Ok(Some(frame)) => MarketDataMessage::try_from(frame).map_err(|_| CloseReason::Malformed),
                    Err(_) => Err(CloseReason::Malformed),
                };
                let door: &dyn Door = &OpenDoor;
                let listed = || world.seat.instruments();
                let done = message.and_then(|message| world.room.request(id, message, door, listed));
                if let Err(reason) = done {
                    world.close(id, reason);
                    break;
                }
            }
        }
        world.follow_up();
    }
}

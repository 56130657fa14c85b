//! Those who take market data, and the venue's side of it: desk, room, outboxes, and a witness who sees everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{Engine, Event};
use marketdata::{Clock, CloseReason, Desk, Effect, Feed, Limits, OpenDoor, Room, Seat, SubscriberId, Turn, Want};
use ring::EventReader;
use testkit::random::Random;

use super::reader::Reader;
use super::witness::Witness;
use super::{Fault, Tally};

/// Readers of a venue's market data, over the lives of that venue.
pub struct Audience {
    random: Random,
    readers: Vec<Reader>,
    by_id: BTreeMap<SubscriberId, usize>,
    /// None: there is no venue.
    hall: Option<Hall>,
    /// Whether anything goes wrong.
    has_faults: bool,
    /// What came to pass.
    pub tally: Tally,
}

/// One life's side of the venue.
struct Hall {
    clock: Clock,
    desk: Arc<Desk>,
    seats: [Seat; 2],
    room: Room,
    witness: Witness,
    /// The last time that it was looked who waits for too long.
    looked_ns: u64,
}

/// How often it is looked who waits for too long.
const LOOK_NS: u64 = 25_000_000;

impl Audience {
    /// So many readers.
    pub fn new(count: u64, mut random: Random, fault: Fault) -> Self {
        let readers = (0..count).map(|index| Reader::new(index, &mut random, fault)).collect();
        Self { random, readers, by_id: BTreeMap::new(), hall: None, has_faults: true, tally: Tally::default() }
    }

    /// A venue opens: its feed as it is, and what each reader may have it remember.
    ///
    /// # Panics
    /// If the desk has not the seats that it was asked for.
    pub fn open(&mut self, feed: Feed, limits: Limits, clock: Clock) {
        self.shut();
        let desk = Desk::new(feed, 2, Arc::new(OpenDoor));
        let seats: [Seat; 2] = desk.seats().try_into().unwrap_or_else(|_| unreachable!("two were asked for"));
        let mut witness = Witness::default();
        witness.begin(&seats[1]);
        self.hall = Some(Hall { clock, desk, seats, room: Room::new(limits), witness, looked_ns: 0 });
    }

    /// The venue is gone, and all connections with it.
    pub fn shut(&mut self) {
        if self.hall.take().is_some() {
            for (id, index) in core::mem::take(&mut self.by_id) {
                self.readers[index].closed(id);
            }
        }
    }

    /// Trades are counted, for who compares what readers are told of them: to be told of every event of a venue that begins.
    pub fn event(&mut self, event: &Event) {
        if let Some(hall) = &mut self.hall {
            hall.witness.event(event);
        }
    }

    /// The desk takes what there is of `events`; all that is released has happened to `engine`.
    pub fn take(&mut self, events: &mut EventReader, engine: &Engine) {
        let Some(Hall { clock, desk, seats, room, witness, .. }) = &mut self.hall else { return };
        while desk.turn(events, clock) == Turn::More {}
        witness.take(&seats[1], engine);
        room.route_all(seats[0].take(), &OpenDoor);
    }

    /// Everybody moves on by a step.
    ///
    /// # Errors
    /// What was not as promised.
    pub fn step(&mut self) -> Result<(), String> {
        if let Some(hall) = &mut self.hall {
            let now = (hall.clock)();
            if now.0 >= hall.looked_ns + LOOK_NS {
                hall.looked_ns = now.0;
                hall.room.look_after(now, !self.has_faults);
            }
        }
        self.follow_up();
        for index in 0..self.readers.len() {
            self.move_on(index)?;
        }
        self.follow_up();
        Ok(())
    }

    fn move_on(&mut self, index: usize) -> Result<(), String> {
        let Self { random, readers, by_id, hall: Some(hall), has_faults, tally } = self else { return Ok(()) };
        let (reader, Hall { seats, room, witness, .. }) = (&mut readers[index], hall);
        if let Some(id) = reader.connect(random, *has_faults, room) {
            by_id.insert(id, index);
            tally.connections += 1;
        }
        if *has_faults {
            reader.stall(random);
        }
        reader.send_requests(room, || seats[0].instruments())?;
        reader.fetch(random, *has_faults, room);
        reader.read(witness, tally)?;
        if let Some(id) = reader.leave(random, *has_faults) {
            room.leave(id);
        }
        Ok(())
    }

    /// Does what the room wants done.
    fn follow_up(&mut self) {
        while let Some(hall) = &mut self.hall {
            let effects = hall.room.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.effect(effect);
            }
            if let Some(Hall { seats, room, .. }) = &mut self.hall {
                room.route_all(seats[0].take(), &OpenDoor);
            }
        }
    }

    fn effect(&mut self, effect: Effect) {
        let Self { random, readers, by_id, hall: Some(Hall { seats, room, .. }), has_faults, tally } = self else {
            return;
        };
        let of = |id| by_id.get(&id).copied();
        match effect {
            // Whoever has something to write looks at every step.
            Effect::Wake(_) | Effect::WakeLive(_) => {}
            Effect::Datagram(id, bytes) => {
                if let Some(index) = of(id) {
                    readers[index].datagram(id, bytes, random, *has_faults, tally);
                }
            }
            Effect::Again(id, packets) => {
                if let Some(index) = of(id) {
                    readers[index].again(id, packets, random);
                }
                room.repeated(id);
            }
            Effect::Close(id, reason) => {
                tally.closed += u64::from(reason == CloseReason::TooSlow);
                if let Some(index) = of(id) {
                    readers[index].closed(id);
                }
                room.leave(id);
            }
            Effect::Want(id, channel_id, request_id) => seats[0].want(Want::of(id, channel_id, request_id)),
            Effect::Unheard(channel_id) => seats[0].leave(channel_id),
        }
    }

    /// Nothing goes wrong any more.
    pub fn be_good(&mut self) {
        self.has_faults = false;
        self.readers.iter_mut().for_each(Reader::come_back);
    }

    /// Whether everybody has everything.
    pub fn has_arrived(&self) -> bool {
        self.hall.as_ref().is_some_and(|hall| self.readers.iter().all(|reader| reader.has_arrived(&hall.witness)))
    }

    /// What everybody ends with is what the engine has.
    ///
    /// # Errors
    /// What was not as promised.
    pub fn end(&mut self, engine: &Engine) -> Result<(), String> {
        let Some(hall) = &self.hall else { return Ok(()) };
        for reader in &self.readers {
            self.tally = self.tally.and(reader.end(&hall.witness, engine)?);
        }
        Ok(())
    }
}

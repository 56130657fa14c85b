//! Where the thread that follows the venue and those that serve subscribers meet.
//!
//! ```text
//!   EventReader ──► Feed: encodes once ──► desk ──► seat ──► a fan-out thread of QUIC
//!                                             ├───► seat ──► another
//!                                             └───► seat ──► whoever serves the same feed otherwise
//! ```
//!
//! The first never waits for the others: what is put out for a seat is bounded, and above the bound it is thrown away,
//! and said so, and everybody there gets a new snapshot. A seat gets the packets of the channels that it hears.
//! Snapshots are taken here, between two commands, so that each has its exact place among the packets.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{Event, EventHeader, InstrumentId, Sequence};
use ring::{EventReader, Polled};
use tokio::sync::Notify;
use wire::market_data::SecurityDefinition;
use wire::{ChannelId, FeedLevel, RequestId, Timestamp};

use crate::channel::{channel_of, channel_parts};
use crate::door::Door;
use crate::feed::Feed;
use crate::packet::Packet;
use crate::snapshot::Snapshot;

/// Events that are taken before the seats get a turn at the desk.
const EVENTS_PER_TURN: usize = 256;
/// Bytes of packets that may lie here for one seat; so much is behind by a second or more.
const PACKET_BYTES_MAX: usize = 64 << 20;
/// How long the follower sleeps at most before it looks whether it shall stop.
const IDLE: Duration = Duration::from_millis(50);

/// Gives the time that packets are stamped with.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A subscriber's number, at its seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubscriberId(pub u64);

/// A subscriber wants a book, and its channel's packets from there on.
#[derive(Debug, Clone, Copy)]
pub struct Want {
    /// Which.
    pub subscriber: SubscriberId,
    /// Which instrument.
    pub book: InstrumentId,
    /// At which level of detail.
    pub level: FeedLevel,
    /// None: nobody asked, it was lost on the way.
    pub request_id: Option<RequestId>,
}

impl Want {
    /// A feed's channel; none: no feed has it.
    pub fn of(subscriber: SubscriberId, channel_id: ChannelId, request_id: Option<RequestId>) -> Option<Self> {
        let (book, level) = channel_parts(channel_id)?;
        Some(Self { subscriber, book, level, request_id })
    }
}

/// What a seat takes from the desk, in this order.
#[derive(Debug)]
pub enum Output {
    /// Of a channel that the seat hears.
    Packet(Packet),
    /// `None`: there is no such book.
    Answer(Want, Option<Snapshot>),
    /// An instrument was listed.
    Listed(InstrumentId),
    /// Somebody's rights changed.
    Rights,
    /// Packets were thrown away here.
    Lost,
    /// The reader was lapped: the books are void, and nothing more comes.
    Void,
}

/// The meeting place.
pub struct Desk {
    state: Mutex<State>,
    door: Arc<dyn Door>,
    /// One for each seat.
    bells: Vec<Notify>,
    stop: AtomicBool,
    /// Channels that seats hear. Without any, no packets are made, and the follower is in no hurry.
    heard: AtomicUsize,
}

struct State {
    feed: Feed,
    wants: Vec<(usize, Want)>,
    places: Vec<Place>,
    has_new_rights: bool,
    /// The first event of a command behind which a book is wanted.
    held: Option<(EventHeader, Event)>,
}

/// What lies at the desk for a seat.
#[derive(Default)]
struct Place {
    outputs: Vec<Output>,
    packet_bytes: usize,
    hears: BTreeSet<ChannelId>,
}

/// What a turn has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There may be more at once.
    More,
    /// The command has not ended.
    Midway(Sequence),
    /// There is nothing more for now.
    Quiet,
    /// Nothing more will come.
    Ended,
}

/// The place of one who serves subscribers, on a thread of its own.
pub struct Seat {
    desk: Arc<Desk>,
    index: usize,
}

impl Seat {
    /// What lies there, without waiting.
    pub fn take(&self) -> Vec<Output> {
        self.desk.take(self.index)
    }

    /// Waits until something lies there; nothing: the desk has stopped.
    pub async fn outputs(&self) -> Option<Vec<Output>> {
        loop {
            if self.desk.is_stopped() {
                return None;
            }
            let outputs = self.take();
            if !outputs.is_empty() {
                return Some(outputs);
            }
            self.desk.bells[self.index].notified().await;
        }
    }

    /// Asks for books. The answers come as soon as no command is under way; from each on, the seat hears its channel.
    pub fn want(&self, wants: impl IntoIterator<Item = Want>) {
        self.desk.want(self.index, wants);
    }

    /// Nobody at this seat listens to a channel any more.
    pub fn leave(&self, channel_id: ChannelId) {
        self.desk.leave(self.index, channel_id);
    }

    /// The instruments of the feed.
    pub fn instruments(&self) -> Vec<InstrumentId> {
        self.desk.instruments()
    }

    /// What the instruments of the feed are, and which phase each is in.
    pub fn definitions(&self) -> Vec<SecurityDefinition> {
        self.desk.state().feed.definitions().collect()
    }

    /// Who decides what is shown to whom.
    pub fn door(&self) -> &Arc<dyn Door> {
        &self.desk.door
    }
}

impl Desk {
    /// With the feed as it is, and so many seats.
    pub fn new(feed: Feed, seat_count: usize, door: Arc<dyn Door>) -> Arc<Self> {
        let places = core::iter::repeat_with(Place::default).take(seat_count).collect();
        let state = State { feed, wants: Vec::new(), places, has_new_rights: false, held: None };
        Arc::new(Self {
            state: Mutex::new(state),
            door,
            bells: core::iter::repeat_with(Notify::new).take(seat_count).collect(),
            stop: AtomicBool::new(false),
            heard: AtomicUsize::new(0),
        })
    }

    /// The seats, as many as there are places.
    pub fn seats(self: &Arc<Self>) -> Vec<Seat> {
        (0..self.bells.len()).map(|index| Seat { desk: Arc::clone(self), index }).collect()
    }

    /// Follows the venue until it ends or [`stop`](Self::stop) is called.
    pub fn follow(&self, mut events: EventReader, clock: &Clock) {
        while !self.is_stopped() {
            match self.turn(&mut events, clock) {
                Turn::More => {}
                Turn::Midway(_) if self.is_unheard() => events.rest(),
                Turn::Midway(sequence) => events.wait_for_end(sequence, IDLE),
                Turn::Quiet if self.is_unheard() => events.wait_at_leisure(IDLE),
                Turn::Quiet => events.wait(IDLE),
                Turn::Ended => return,
            }
        }
    }

    /// Takes some events, and puts out what comes of them: one round of [`follow`](Self::follow).
    pub fn turn(&self, events: &mut EventReader, clock: &Clock) -> Turn {
        let mut state = self.state();
        let turn = state.read(events, &*self.door);
        state.put_out(clock());
        let has_answered = state.answer();
        self.ring(&state);
        // One book a turn: between two, others get at the desk.
        if has_answered && turn == Turn::Quiet { Turn::More } else { turn }
    }

    fn ring(&self, state: &State) {
        self.heard.store(state.places.iter().map(|place| place.hears.len()).sum(), Ordering::Relaxed);
        for (place, bell) in state.places.iter().zip(&self.bells) {
            if !place.outputs.is_empty() {
                bell.notify_one();
            }
        }
    }

    fn is_unheard(&self) -> bool {
        self.heard.load(Ordering::Relaxed) == 0
    }

    /// Asks all threads to end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.bells.iter().for_each(Notify::notify_one);
    }

    /// Whether they were asked to.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn want(&self, seat: usize, wants: impl IntoIterator<Item = Want>) {
        let mut state = self.state();
        state.wants.extend(wants.into_iter().map(|want| (seat, want)));
        // A book may take a while, and the follower must not wait for several.
        while state.answer() {
            self.ring(&state);
            drop(state);
            std::thread::yield_now();
            state = self.state();
        }
    }

    fn leave(&self, seat: usize, channel_id: ChannelId) {
        let mut state = self.state();
        if state.places[seat].hears.remove(&channel_id) {
            state.feed.leave(channel_id);
        }
    }

    fn take(&self, seat: usize) -> Vec<Output> {
        let place = &mut self.state().places[seat];
        place.packet_bytes = 0;
        core::mem::take(&mut place.outputs)
    }

    fn instruments(&self) -> Vec<InstrumentId> {
        self.state().feed.instruments().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn read(&mut self, events: &mut EventReader, door: &dyn Door) -> Turn {
        if let Some((header, event)) = self.held.take() {
            self.event(&header, &event, door);
        }
        for _ in 0..EVENTS_PER_TURN {
            // Before the poll: what is completed by then has no event that the poll does not find.
            let completed = events.completed();
            match events.poll() {
                Polled::Event(header, event) => {
                    let is_next = self.feed.command().is_some_and(|command| command != header.id.sequence);
                    if is_next && !self.wants.is_empty() {
                        // Between two commands is the place for a book, and there may be no other for long.
                        self.feed.end_of_command();
                        self.held = Some((header, event));
                        return Turn::More;
                    }
                    self.event(&header, &event, door);
                }
                Polled::Empty => match self.feed.command() {
                    Some(sequence) if sequence > completed => return Turn::Midway(sequence),
                    Some(_) | None => {
                        self.feed.end_of_command();
                        return Turn::Quiet;
                    }
                },
                Polled::Lapped(_) => {
                    self.places.iter_mut().for_each(|place| place.outputs.push(Output::Void));
                    return Turn::Ended;
                }
                Polled::Closed => {
                    self.feed.end_of_command();
                    return Turn::Ended;
                }
            }
        }
        Turn::More
    }

    fn event(&mut self, header: &EventHeader, event: &Event, door: &dyn Door) {
        self.has_new_rights |= door.event(event);
        self.feed.event(header, event);
    }

    fn put_out(&mut self, now: Timestamp) {
        for packet in self.feed.packets(now) {
            for place in self.places.iter_mut().filter(|place| place.hears.contains(&packet.channel_id)) {
                place.packet_bytes += packet.bytes.len();
                place.outputs.push(Output::Packet(packet.clone()));
            }
        }
        let listed = self.feed.take_listed();
        for place in &mut self.places {
            if place.packet_bytes > PACKET_BYTES_MAX {
                place.outputs.retain(|output| !matches!(output, Output::Packet(_)));
                place.outputs.push(Output::Lost);
                place.packet_bytes = 0;
            }
            place.outputs.extend(listed.iter().copied().map(Output::Listed));
            place.outputs.extend(self.has_new_rights.then_some(Output::Rights));
        }
        self.has_new_rights = false;
    }

    /// Answers all who want the book that is wanted longest; whether there was any. Packets of all that the feed has seen
    /// have been put out before: the follower leaves none behind.
    fn answer(&mut self) -> bool {
        let Some(&(_, Want { book, level, .. })) = self.wants.first() else { return false };
        if !self.feed.is_between_commands() {
            return false;
        }
        let is_same = |&mut (_, want): &mut (usize, Want)| (want.book, want.level) == (book, level);
        let wants: Vec<(usize, Want)> = self.wants.extract_if(.., is_same).collect();
        let Some(channel_id) = channel_of(book, level) else { return true };
        for &(seat, _) in &wants {
            let place = &mut self.places[seat];
            if !place.hears.contains(&channel_id) && self.feed.hear(channel_id) {
                place.hears.insert(channel_id);
            }
        }
        let shared = self.feed.shared_snapshot(book, level);
        for (seat, want) in wants {
            let snapshot = shared.as_ref().map(|shared| shared.answer(want.request_id));
            self.places[seat].outputs.push(Output::Answer(want, snapshot));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::OpenDoor;
    use engine::event::NotApplied;
    use engine::{Event, EventHeader, EventId, EventSink, Sequence, SessionId, SessionSequence};
    use ring::{EventRing, Idle, Publisher, Release};

    fn publish(publisher: &mut Publisher, numbers: core::ops::Range<u64>) {
        for number in numbers {
            let id = EventId { sequence: Sequence(number), index: 0 };
            let (time, received_at) = (engine::Timestamp(number), engine::Timestamp(number));
            let not_applied = NotApplied { session: SessionId(1), from: SessionSequence(1), count: 1 };
            publisher.event(&EventHeader { id, time, received_at }, &Event::NotApplied(not_applied));
        }
    }

    fn want() -> Want {
        Want { subscriber: SubscriberId(1), book: InstrumentId(1), level: FeedLevel::Trades, request_id: None }
    }

    #[test]
    fn a_reader_that_is_lapped_makes_the_books_void_and_ends() {
        let (mut publisher, _) = EventRing::open(8, 0, Idle::Park, Release::AsPublished);
        let events = publisher.reader();
        publish(&mut publisher, 1..100);
        let desk = Desk::new(Feed::default(), 2, Arc::new(OpenDoor));
        let clock: Clock = Arc::new(|| Timestamp(7));
        desk.follow(events, &clock);
        assert!((0..2).all(|seat| matches!(desk.take(seat)[..], [Output::Void])));
    }

    #[test]
    fn a_book_is_answered_behind_the_command_that_is_under_way() {
        let (mut publisher, mut readers) = EventRing::open(8, 1, Idle::Park, Release::AsPublished);
        let mut events = readers.pop().unwrap();
        let desk = Desk::new(Feed::default(), 1, Arc::new(OpenDoor));
        let clock: Clock = Arc::new(|| Timestamp(7));
        desk.want(0, [want()]);
        assert!(matches!(desk.take(0)[..], [Output::Answer(_, None)]));

        publish(&mut publisher, 1..2);
        assert!(matches!(desk.turn(&mut events, &clock), Turn::Midway(Sequence(1))));
        desk.want(0, [want()]);
        assert!(desk.take(0).is_empty());
        publisher.complete(Sequence(1));
        // A book a turn, so that there may be more.
        assert_eq!(desk.turn(&mut events, &clock), Turn::More);
        assert!(matches!(desk.take(0)[..], [Output::Answer(_, None)]));
        assert_eq!(desk.turn(&mut events, &clock), Turn::Quiet);
    }
}

//! Where the thread that follows the venue and the thread that serves the network meet.
//!
//! The first never waits for the second: what is put out for the network is bounded, and above the bound it is thrown
//! away, and said so, and everybody gets a new snapshot. Snapshots are taken here, between two commands, so that each
//! has its exact place among the packets.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::{InstrumentId, Sequence};
use ring::{EventReader, Polled};
use tokio::sync::Notify;
use wire::{FeedLevel, RequestId, Timestamp};

use crate::feed::{Feed, Snapshot};
use crate::packet::Packet;

/// Events that are taken before the network gets a turn at the desk.
const EVENTS_PER_TURN: usize = 256;
/// Bytes of packets that may lie here; so much is behind by a second or more.
const PACKET_BYTES_MAX: usize = 64 << 20;
/// How long the follower sleeps at most before it looks whether it shall stop.
const IDLE: Duration = Duration::from_millis(50);

/// Gives the time that packets are stamped with.
pub type Clock = Box<dyn Fn() -> Timestamp + Send>;

/// A subscriber's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SubscriberId(pub(crate) u64);

/// A subscriber wants a book.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want {
    pub(crate) subscriber: SubscriberId,
    pub(crate) book: InstrumentId,
    pub(crate) level: FeedLevel,
    /// None: nobody asked, it was lost on the way.
    pub(crate) request_id: Option<RequestId>,
}

/// What the network takes from the desk, in this order.
#[derive(Debug)]
pub(crate) enum Output {
    Packet(Packet),
    /// `None`: there is no such book.
    Answer(Want, Option<Snapshot>),
    Listed(InstrumentId),
    /// Packets were thrown away here.
    Lost,
    /// The reader was lapped: the books are void, and nothing more comes.
    Void,
}

/// The meeting place.
pub(crate) struct Desk {
    state: Mutex<State>,
    pub(crate) bell: Notify,
    stop: AtomicBool,
    /// Subscribers. Without any, packets are made and thrown away, and the follower is in no hurry.
    audience: AtomicUsize,
}

struct State {
    feed: Feed,
    wants: Vec<Want>,
    outputs: Vec<Output>,
    packet_bytes: usize,
}

enum Turn {
    More,
    /// The command has not ended.
    Midway(Sequence),
    Quiet,
    Ended,
}

impl Desk {
    pub(crate) fn new(feed: Feed) -> Self {
        let state = State { feed, wants: Vec::new(), outputs: Vec::new(), packet_bytes: 0 };
        Self {
            state: Mutex::new(state),
            bell: Notify::new(),
            stop: AtomicBool::new(false),
            audience: AtomicUsize::new(0),
        }
    }

    /// Follows the venue until it ends or [`stop`](Self::stop) is called.
    pub(crate) fn follow(&self, mut events: EventReader, clock: &Clock) {
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

    fn turn(&self, events: &mut EventReader, clock: &Clock) -> Turn {
        let mut state = self.state();
        let turn = state.read(events);
        state.put_out(clock(), self.is_unheard());
        if !state.outputs.is_empty() {
            self.bell.notify_one();
        }
        turn
    }

    /// A subscriber has come. To be called before it wants anything: a snapshot is behind all that it has not heard.
    pub(crate) fn join(&self) {
        self.audience.fetch_add(1, Ordering::Relaxed);
    }

    /// One has gone.
    pub(crate) fn leave(&self) {
        self.audience.fetch_sub(1, Ordering::Relaxed);
    }

    fn is_unheard(&self) -> bool {
        self.audience.load(Ordering::Relaxed) == 0
    }

    /// Asks both threads to end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.bell.notify_one();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Answers as soon as no command is under way.
    pub(crate) fn want(&self, wants: impl IntoIterator<Item = Want>) {
        let mut state = self.state();
        state.wants.extend(wants);
        state.answer();
        self.bell.notify_one();
    }

    pub(crate) fn take(&self) -> Vec<Output> {
        let mut state = self.state();
        state.packet_bytes = 0;
        core::mem::take(&mut state.outputs)
    }

    pub(crate) fn instruments(&self) -> Vec<InstrumentId> {
        self.state().feed.instruments().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn read(&mut self, events: &mut EventReader) -> Turn {
        for _ in 0..EVENTS_PER_TURN {
            // Before the poll: what is completed by then has no event that the poll does not find.
            let completed = events.completed();
            match events.poll() {
                Polled::Event(header, event) => self.feed.event(&header, &event),
                Polled::Empty => match self.feed.command() {
                    Some(sequence) if sequence > completed => return Turn::Midway(sequence),
                    Some(_) | None => {
                        self.feed.end_of_command();
                        return Turn::Quiet;
                    }
                },
                Polled::Lapped(_) => {
                    self.outputs.push(Output::Void);
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

    fn put_out(&mut self, now: Timestamp, unheard: bool) {
        for packet in self.feed.packets(now).into_iter().filter(|_| !unheard) {
            self.packet_bytes += packet.bytes.len();
            self.outputs.push(Output::Packet(packet));
        }
        if self.packet_bytes > PACKET_BYTES_MAX {
            self.outputs.retain(|output| !matches!(output, Output::Packet(_)));
            self.outputs.push(Output::Lost);
            self.packet_bytes = 0;
        }
        self.outputs.extend(self.feed.take_listed().into_iter().map(Output::Listed));
        self.answer();
    }

    /// Packets of all that the feed has seen have been put out before: the follower leaves none behind.
    fn answer(&mut self) {
        if self.feed.is_between_commands() {
            for want in core::mem::take(&mut self.wants) {
                let snapshot = self.feed.snapshot(want.book, want.level, want.request_id);
                self.outputs.push(Output::Answer(want, snapshot));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let desk = Desk::new(Feed::default());
        let clock: Clock = Box::new(|| Timestamp(7));
        desk.follow(events, &clock);
        assert!(matches!(desk.take()[..], [Output::Void]));
    }

    #[test]
    fn a_book_is_answered_behind_the_command_that_is_under_way() {
        let (mut publisher, mut readers) = EventRing::open(8, 1, Idle::Park, Release::AsPublished);
        let mut events = readers.pop().unwrap();
        let desk = Desk::new(Feed::default());
        let clock: Clock = Box::new(|| Timestamp(7));
        desk.want([want()]);
        assert!(matches!(desk.take()[..], [Output::Answer(_, None)]));

        publish(&mut publisher, 1..2);
        assert!(matches!(desk.turn(&mut events, &clock), Turn::Midway(Sequence(1))));
        desk.want([want()]);
        assert!(desk.take().is_empty());
        publisher.complete(Sequence(1));
        assert!(matches!(desk.turn(&mut events, &clock), Turn::Quiet));
        assert!(matches!(desk.take()[..], [Output::Answer(_, None)]));
    }
}

use core::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use engine::canonical::{ByteSink, Canonical, Reader as Decoder};
use engine::{Event, EventHeader, EventSink, Sequence};

use crate::bell::{Bell, Idle, REST, Wake, look_a_little};
use crate::sync::{AtomicBool, AtomicU64, fence, sleep};
use crate::watermark::Watermark;

/// Bytes of the longest event with its header, in canonical form; of the one that the models publish, where they run.
const EVENT_BYTES: usize = EventHeader::LENGTH + if cfg!(loom) { 22 } else { Event::LENGTH };
const WORDS: usize = EVENT_BYTES.div_ceil(8);

/// Events on their way out of the core: one publisher, many readers, each of which sees every event.
///
/// There are two cursors. *Published* is a place in the ring: what the core has done. *Released* is a sequence: what
/// may be seen, because it is as durable as the venue promises. A reader takes what is published and released.
///
/// There are two kinds of readers. A *gating* reader misses nothing: the core waits for it when the ring is full. Any
/// other reader may be lapped; it is told so, and recovers by other means.
///
/// # Memory ordering
///
/// A slot holds the canonical bytes of one event as words, and a version: its place and how many bytes there are. All are
/// atomics, so that a reader that is being lapped reads words of two events at worst, never undefined ones, and the version
/// tells:
///
/// ```text
///   publisher, event of n bytes at place p     reader of place p
///   ──────────────────────────────────────     ─────────────────
///   version.store((p + 1, 0), Relaxed)         published.load(Acquire) > p
///   fence(Release)                             v1 = version.load(Acquire)
///   words.store(…, Relaxed)                    words.load(Relaxed)
///   version.store((p + 1, n), Release)         fence(Acquire)
///   published.store(p + 1, Release)            v2 = version.load(Relaxed)
///                                              whole if v1 = v2 = (p + 1, n) with n > 0, else lapped
/// ```
///
/// If the reader saw any word of a later event, its fence pairs with the publisher's, and v2 is at least the unfinished
/// version before that word. If it saw all words of its own event, v1 ordered them behind their stores.
///
/// A gating reader stores its place with Release behind its last look at a slot; the publisher loads it with Acquire
/// before it overwrites the slot.
///
/// # Examples
///
/// ```
/// use engine::canonical::Canonical;
/// use ring::{EventRing, Idle, Polled, Release};
///
/// let (mut publisher, mut readers) = EventRing::open(64, 1, Idle::Park, Release::AsPublished);
/// let mut reader = readers.pop().expect("one gating reader");
/// assert!(matches!(reader.poll(), Polled::Empty));
/// drop(publisher);
/// assert!(matches!(reader.poll(), Polled::Closed));
/// ```
#[derive(Debug)]
pub struct EventRing {
    slots: Box<[Slot]>,
    published: CachePadded<AtomicU64>,
    /// The last command all of whose events are published.
    completed: CachePadded<AtomicU64>,
    /// The publisher is gone; what it published stays readable.
    closed: AtomicBool,
    release: Release,
    /// Places of the gating readers.
    gates: Box<[CachePadded<AtomicU64>]>,
    /// For readers.
    bell: Arc<Bell>,
    /// For the publisher, when it waits for room.
    room: Bell,
    idle: Idle,
}

/// How many events there were up to a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventCount(u64);

/// When an event may be seen.
#[derive(Debug, Clone)]
pub enum Release {
    /// At once: it survives the process, or nobody cares.
    AsPublished,
    /// When the watermark reaches its sequence; never, if the watermark is poisoned before.
    After(Arc<Watermark>),
}

#[derive(Debug)]
struct Slot {
    version: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// The core's end of an [`EventRing`].
#[derive(Debug)]
pub struct Publisher {
    ring: Arc<EventRing>,
    place: u64,
    /// Slots up to here are free for sure.
    room_until: u64,
    /// The last command whose end was told.
    told: Sequence,
    state: PublisherState,
    /// The event that is being published; kept, so that nothing is cleared for the next.
    bytes: Bytes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PublisherState {
    Open,
    /// What was waited for will never be released: events are discarded, and the engine behind them is void.
    Void,
}

/// A reader's end of an [`EventRing`].
#[derive(Debug)]
pub struct EventReader {
    ring: Arc<EventRing>,
    place: u64,
    /// The gate's number, if this reader is never lapped.
    gate: Option<usize>,
    /// The gate's place as the publisher knows it.
    freed: u64,
    /// Where it rested last.
    rested: u64,
    /// The event that was read last.
    bytes: Bytes,
}

/// Looks at a gating reader from outside, for whoever counts: it costs the ring nothing until it is asked.
#[derive(Debug, Clone)]
pub struct ReaderGauge {
    ring: Arc<EventRing>,
    gate: usize,
}

impl ReaderGauge {
    /// Published events that the reader still keeps: those that it has not read, and up to an eighth of the ring that it
    /// has read and not yet let go. None once the reader is gone.
    pub fn kept(&self) -> u64 {
        let place = self.ring.gates[self.gate].load(Ordering::Acquire);
        self.ring.published.load(Ordering::Acquire).saturating_sub(place)
    }

    /// Events that the ring holds: with so many kept, the core waits for the reader.
    pub fn capacity(&self) -> u64 {
        self.ring.capacity()
    }

    /// Events that were published so far.
    pub fn published(&self) -> u64 {
        self.ring.published.load(Ordering::Acquire)
    }

    /// The last command all of whose events are published; none before the first.
    pub fn completed(&self) -> Sequence {
        Sequence(self.ring.completed.load(Ordering::Acquire))
    }
}

/// What a reader found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled<H = EventHeader, E = Event> {
    /// The next event, or what was asked for of it.
    Event(H, E),
    /// Nothing is published and released.
    Empty,
    /// So many events were overwritten before they were read; the next poll goes on behind them.
    Lapped(u64),
    /// Nothing more will come.
    Closed,
}

impl EventRing {
    /// A ring of `capacity` slots (rounded up to a power of two) with so many gating readers.
    pub fn open(
        capacity: usize,
        gating_reader_count: usize,
        idle: Idle,
        release: Release,
    ) -> (Publisher, Vec<EventReader>) {
        let capacity = capacity.next_power_of_two();
        let bell = match &release {
            Release::AsPublished => Arc::default(),
            Release::After(watermark) => Arc::clone(watermark.bell()),
        };
        let ring = Arc::new(Self {
            slots: (0..capacity).map(|_| Slot::new()).collect(),
            published: CachePadded::default(),
            completed: CachePadded::default(),
            closed: AtomicBool::new(false),
            release,
            gates: (0..gating_reader_count).map(|_| CachePadded::default()).collect(),
            bell,
            room: Bell::new(),
            idle,
        });
        let reader = |gate| EventReader {
            ring: Arc::clone(&ring),
            place: 0,
            gate: Some(gate),
            freed: 0,
            rested: 0,
            bytes: Bytes::default(),
        };
        let readers = (0..gating_reader_count).map(reader).collect();
        let room_until = capacity as u64;
        let (told, state, bytes) = (Sequence::NONE, PublisherState::Open, Bytes::default());
        (Publisher { ring, place: 0, room_until, told, state, bytes }, readers)
    }

    fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    fn slot(&self, place: u64) -> &Slot {
        &self.slots[place as usize & (self.slots.len() - 1)]
    }

    /// The slots before this place may be overwritten once more.
    fn room_until(&self) -> u64 {
        let slowest = self.gates.iter().map(|gate| gate.load(Ordering::Acquire)).min();
        slowest.map_or(u64::MAX, |place| place + self.capacity())
    }

    fn may_see(&self, event: &Bytes) -> bool {
        match &self.release {
            Release::AsPublished => true,
            Release::After(watermark) => event.header().id.sequence.0 <= watermark.get(),
        }
    }

    /// Whether events behind the command `told` may be seen by now; the publisher has stored them.
    ///
    /// The fence stands between that store and the load, as the bell's fence stands between the watermark's store and
    /// the look at who waits: if this does not see the watermark, whoever the watermark wakes sees the events.
    fn may_be_seen(&self, told: Sequence) -> bool {
        match &self.release {
            Release::AsPublished => true,
            Release::After(watermark) => {
                fence(Ordering::SeqCst);
                watermark.get() > told.0
            }
        }
    }

    /// Whether a reader at `place` finds something, or nothing more will come.
    fn has_news(&self, place: u64) -> bool {
        if self.published.load(Ordering::Acquire) == place {
            return self.closed.load(Ordering::Acquire);
        }
        let mut header = Bytes::default();
        let is_whole = self.slot(place).copy_front(place, EventHeader::LENGTH, &mut header);
        !is_whole || self.may_see(&header) || self.will_never_release()
    }

    fn will_never_release(&self) -> bool {
        matches!(&self.release, Release::After(watermark) if watermark.is_poisoned())
    }
}

impl Publisher {
    /// A reader that sees every event from now on, and may be lapped.
    pub fn reader(&self) -> EventReader {
        let (ring, place) = (Arc::clone(&self.ring), self.place);
        EventReader { ring, place, gate: None, freed: place, rested: place, bytes: Bytes::default() }
    }

    /// Says that all events of the commands up to `sequence` are published, and wakes the readers. For the end of a
    /// batch.
    pub fn complete(&mut self, sequence: Sequence) {
        self.ring.completed.store(sequence.0, Ordering::Release);
        self.flush();
        self.told = sequence;
    }

    /// Wakes the readers if there is something that they may see. What is not released yet, they are woken for by the
    /// watermark, which rings the same bell: waking them here as well would be in vain.
    fn flush(&self) {
        if self.ring.idle == Idle::Park && self.ring.may_be_seen(self.told) {
            self.ring.bell.ring();
        }
    }

    /// How many events were published.
    pub fn published(&self) -> EventCount {
        EventCount(self.place)
    }

    /// How many more events can be published without waiting for a gating reader.
    pub fn room(&self) -> u64 {
        self.ring.room_until().saturating_sub(self.place)
    }

    /// Makes the readers look: there is something to see beside events. Unless the core parks, they look by themselves.
    pub fn wake_readers(&self) {
        if self.ring.idle == Idle::Park {
            self.ring.bell.ring();
        }
    }

    /// Whether events were discarded, because what had to be durable before them never will be.
    pub fn is_void(&self) -> bool {
        self.state == PublisherState::Void
    }

    fn wait_for_room(&mut self) {
        self.flush();
        let Self { ring, place, .. } = &*self;
        let found = ring.room.wait(ring.idle, || {
            let room_until = ring.room_until();
            match (*place < room_until, ring.will_never_release()) {
                (true, _) => Some(Ok(room_until)),
                (false, true) => Some(Err(())),
                (false, false) => None,
            }
        });
        match found {
            Ok(room_until) => self.room_until = room_until,
            Err(()) => self.state = PublisherState::Void,
        }
    }
}

impl EventSink for Publisher {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        if self.place >= self.room_until {
            self.wait_for_room();
        }
        if self.state == PublisherState::Void {
            return;
        }
        self.bytes.length = 0;
        header.encode(&mut self.bytes);
        event.encode(&mut self.bytes);
        self.ring.slot(self.place).write(self.place, &self.bytes);
        self.place += 1;
        self.ring.published.store(self.place, Ordering::Release);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.ring.closed.store(true, Ordering::Release);
        self.ring.bell.ring();
    }
}

impl EventReader {
    /// The next event, if one is published and released.
    pub fn poll(&mut self) -> Polled {
        match self.advance() {
            Polled::Event((), ()) => {
                let (header, event) = self.bytes.decode();
                Polled::Event(header, event)
            }
            Polled::Empty => Polled::Empty,
            Polled::Lapped(count) => Polled::Lapped(count),
            Polled::Closed => Polled::Closed,
        }
    }

    /// The same for who needs no more of an event than its header and the canonical bytes of both.
    pub fn poll_bytes(&mut self) -> Polled<EventHeader, &[u8]> {
        match self.advance() {
            Polled::Event((), ()) => Polled::Event(self.bytes.header(), self.bytes.as_slice()),
            Polled::Empty => Polled::Empty,
            Polled::Lapped(count) => Polled::Lapped(count),
            Polled::Closed => Polled::Closed,
        }
    }

    /// Goes behind the next event, whose bytes are kept then.
    fn advance(&mut self) -> Polled<(), ()> {
        // Closed is read first: what was published before it is then seen as well.
        let closed = self.ring.closed.load(Ordering::Acquire);
        let published = self.ring.published.load(Ordering::Acquire);
        if self.place == published {
            self.free();
            return if closed { Polled::Closed } else { Polled::Empty };
        }
        if published - self.place > self.ring.capacity() {
            return self.lapped(published);
        }
        if !self.ring.slot(self.place).copy(self.place, &mut self.bytes) {
            return self.lapped(self.ring.published.load(Ordering::Acquire));
        }
        if self.ring.may_see(&self.bytes) {
            self.place += 1;
            if self.place - self.freed >= self.ring.capacity() / 8 {
                self.free();
            }
            return Polled::Event((), ());
        }
        self.free();
        if self.ring.will_never_release() {
            // The watermark's bell woke the readers alone; the publisher may be waiting for room.
            self.ring.room.ring();
            return if closed { Polled::Closed } else { Polled::Empty };
        }
        Polled::Empty
    }

    /// How many events were read. Of a gating reader: as many are published and released.
    pub fn read(&self) -> EventCount {
        EventCount(self.place)
    }

    /// The last command all of whose events are published.
    ///
    /// Asked for before a poll that finds nothing, it says whether the command of the last event seen has ended: events
    /// of one command are released together.
    pub fn completed(&self) -> Sequence {
        Sequence(self.ring.completed.load(Ordering::Acquire))
    }

    /// Waits until more is published, or the command `sequence` has ended, or nothing more will come, at most about
    /// `limit`.
    pub fn wait_for_end(&mut self, sequence: Sequence, limit: Duration) {
        self.free();
        let (ring, place) = (&self.ring, self.place);
        ring.bell.wait_at_most(ring.idle.beside_the_core(), limit, || {
            let more = ring.published.load(Ordering::Acquire) != place || ring.closed.load(Ordering::Acquire);
            (more || ring.completed.load(Ordering::Acquire) >= sequence.0).then_some(())
        });
    }

    /// Waits until something is published and released, or nothing more will come, at most about `limit`.
    pub fn wait(&mut self, limit: Duration) {
        self.free();
        let (ring, place) = (&self.ring, self.place);
        ring.bell.wait_at_most(ring.idle.beside_the_core(), limit, || ring.has_news(place).then_some(()));
    }

    /// The same for a reader that nobody waits for. While events come, it rests a millisecond between two looks, and nobody
    /// has to wake it.
    pub fn wait_at_leisure(&mut self, limit: Duration) {
        if self.ring.idle == Idle::Park && self.rested == self.place {
            return self.wait(limit);
        }
        self.rest();
    }

    /// Lets a millisecond pass, in which nobody has to wake this reader.
    pub fn rest(&mut self) {
        self.free();
        self.rested = self.place;
        sleep(REST);
    }

    /// Whether something is published and released, or nothing more will come.
    pub fn has_news(&self) -> bool {
        self.ring.has_news(self.place)
    }

    /// Looks for news for some microseconds, as every wait does before it sleeps; whether there is any.
    pub fn look_a_little(&self) -> bool {
        look_a_little(self.ring.idle.beside_the_core(), &mut || self.has_news().then_some(())).is_some()
    }

    /// Before the thread sleeps elsewhere: has `waker` woken as soon as there is news. False: there is, and nothing is
    /// armed. Unless the core parks, it wakes nobody, and the thread has to look again by itself.
    pub fn arm(&mut self, waker: &Arc<dyn Wake>) -> bool {
        self.free();
        self.ring.bell.arm(waker);
        let armed = !self.has_news();
        if !armed {
            self.ring.bell.disarm(waker);
        }
        armed
    }

    /// Behind such a sleep.
    pub fn disarm(&self, waker: &Arc<dyn Wake>) {
        self.ring.bell.disarm(waker);
    }

    /// What shows how far this reader is behind, if it is a gating one.
    pub fn gauge(&self) -> Option<ReaderGauge> {
        self.gate.map(|gate| ReaderGauge { ring: Arc::clone(&self.ring), gate })
    }

    /// How the core waits.
    pub fn idle(&self) -> Idle {
        self.ring.idle
    }

    /// Skips what cannot be read any more, and half a ring beyond it, so that the publisher does not lap it at once.
    fn lapped(&mut self, published: u64) -> Polled<(), ()> {
        let next = published - self.ring.capacity() / 2;
        let missed = next - self.place;
        self.place = next;
        Polled::Lapped(missed)
    }

    /// Tells the publisher what may be overwritten.
    fn free(&mut self) {
        if let Some(gate) = self.gate
            && self.freed != self.place
        {
            self.ring.gates[gate].store(self.place, Ordering::Release);
            self.freed = self.place;
            if self.ring.idle == Idle::Park {
                self.ring.room.ring();
            }
        }
    }
}

impl Drop for EventReader {
    /// A gating reader that is gone holds nobody back.
    fn drop(&mut self) {
        if let Some(gate) = self.gate {
            self.ring.gates[gate].store(u64::MAX / 2, Ordering::Release);
            self.ring.room.ring();
        }
    }
}

impl Slot {
    fn new() -> Self {
        Self { version: AtomicU64::new(0), words: core::array::from_fn(|_| AtomicU64::new(0)) }
    }

    fn write(&self, place: u64, bytes: &Bytes) {
        self.version.store(version(place, 0), Ordering::Relaxed);
        fence(Ordering::Release);
        let used = bytes.length.div_ceil(8);
        for (word, chunk) in self.words[..used].iter().zip(bytes.buffer.as_chunks::<8>().0) {
            word.store(u64::from_le_bytes(*chunk), Ordering::Relaxed);
        }
        self.version.store(version(place, bytes.length), Ordering::Release);
    }

    /// The event at `place`; `None` if it was overwritten.
    #[cfg(all(test, loom))]
    fn read(&self, place: u64) -> Option<(EventHeader, Event)> {
        let mut bytes = Bytes::default();
        self.copy(place, &mut bytes).then(|| bytes.decode())
    }

    /// Whether the event at `place` is in `bytes` now, and was not overwritten.
    fn copy(&self, place: u64, bytes: &mut Bytes) -> bool {
        self.copy_front(place, EVENT_BYTES, bytes)
    }

    /// The same of as many of its bytes at most.
    fn copy_front(&self, place: u64, bytes_max: usize, bytes: &mut Bytes) -> bool {
        let found = self.version.load(Ordering::Acquire);
        let length = (found & (LENGTHS - 1)) as usize;
        if found / LENGTHS != place + 1 || length == 0 {
            return false;
        }
        bytes.length = length.min(bytes_max);
        let used = bytes.length.div_ceil(8);
        for (chunk, word) in bytes.buffer.as_chunks_mut::<8>().0.iter_mut().zip(&self.words[..used]) {
            *chunk = word.load(Ordering::Relaxed).to_le_bytes();
        }
        fence(Ordering::Acquire);
        self.version.load(Ordering::Relaxed) == found
    }
}

/// More than any event has bytes.
const LENGTHS: u64 = 1 << 10;
const _: () = assert!(EVENT_BYTES < LENGTHS as usize);

/// What a slot says while it holds the event at `place`; without a length: while that is being written.
fn version(place: u64, length: usize) -> u64 {
    (place + 1) * LENGTHS + length as u64
}

/// One event's canonical bytes.
#[derive(Debug)]
struct Bytes {
    buffer: [u8; 8 * WORDS],
    length: usize,
}

impl Default for Bytes {
    fn default() -> Self {
        Self { buffer: [0; 8 * WORDS], length: 0 }
    }
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    fn header(&self) -> EventHeader {
        Decoder::new(self.as_slice()).read().expect("the publisher wrote canonical bytes")
    }

    fn decode(&self) -> (EventHeader, Event) {
        let mut decoder = Decoder::new(self.as_slice());
        let decoded = decoder.read().and_then(|header| Ok((header, decoder.read()?)));
        decoded.expect("the publisher wrote canonical bytes")
    }
}

impl ByteSink for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.buffer[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use loom::thread;

    use super::*;
    use crate::loom_models::{check, event};

    fn bytes(number: u64) -> Bytes {
        let (header, event) = event(number);
        let mut bytes = Bytes::default();
        header.encode(&mut bytes);
        event.encode(&mut bytes);
        bytes
    }

    /// Without the ring's own cursor, which orders the same once more.
    #[test]
    fn a_slot_is_read_whole_or_not_at_all() {
        check(2, || {
            let slot = Arc::new(Slot::new());
            let reading = Arc::clone(&slot);
            let reader = thread::spawn(move || {
                if let Some(found) = reading.read(0) {
                    assert_eq!(found, event(1), "a torn event");
                }
            });
            slot.write(0, &bytes(1));
            slot.write(1, &bytes(2));
            reader.join().unwrap();
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use engine::event::NotApplied;
    use engine::{EventId, SessionId, SessionSequence, Timestamp};

    /// The event number `number`: everything in it follows from the number, so that a torn one shows.
    fn event(number: u64) -> (EventHeader, Event) {
        let id = EventId { sequence: Sequence(number), index: 0 };
        let header = EventHeader { id, time: Timestamp(number * 7), received_at: Timestamp(number * 11) };
        let session = SessionId(u32::try_from(number % 1_000).unwrap());
        (header, Event::NotApplied(NotApplied { session, from: SessionSequence(number * 3), count: number * 5 }))
    }

    fn publish(publisher: &mut Publisher, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            let (header, event) = event(number);
            publisher.event(&header, &event);
        }
        publisher.flush();
    }

    #[test]
    fn a_command_has_ended_when_it_is_completed() {
        let (mut publisher, mut readers) = EventRing::open(8, 1, Idle::Park, Release::AsPublished);
        let reader = &mut readers[0];
        publish(&mut publisher, [1]);
        assert_eq!((polled(reader), reader.completed()), (Some(1), Sequence::NONE));
        std::thread::scope(|scope| {
            scope.spawn(move || {
                reader.wait_for_end(Sequence(1), Duration::from_secs(60));
                assert_eq!((reader.completed(), polled(reader)), (Sequence(1), None));
            });
            publisher.complete(Sequence(1));
        });
    }

    fn polled(reader: &mut EventReader) -> Option<u64> {
        match reader.poll() {
            Polled::Event(header, found) => {
                assert_eq!((header, found), event(header.id.sequence.0));
                Some(header.id.sequence.0)
            }
            Polled::Empty | Polled::Closed => None,
            Polled::Lapped(count) => panic!("lapped by {count}"),
        }
    }

    #[test]
    fn every_gating_reader_sees_every_event_in_order() {
        const EVENTS: u64 = if cfg!(miri) { 60 } else { 50_000 };
        for idle in [Idle::Park, Idle::Poll] {
            let (mut publisher, readers) = EventRing::open(16, 2, idle, Release::AsPublished);
            std::thread::scope(|scope| {
                for mut reader in readers {
                    scope.spawn(move || {
                        let mut next = 1;
                        while next <= EVENTS {
                            match polled(&mut reader) {
                                Some(number) => {
                                    assert_eq!(number, next);
                                    next += 1;
                                }
                                None => reader.wait(Duration::from_secs(60)),
                            }
                        }
                        reader.wait(Duration::from_secs(60));
                        assert_eq!(reader.poll(), Polled::Closed);
                    });
                }
                for number in 1..=EVENTS {
                    publish(&mut publisher, [number]);
                }
                drop(publisher);
            });
        }
    }

    #[test]
    fn a_gating_reader_s_gauge_shows_what_it_keeps_and_nothing_once_it_is_gone() {
        let (mut publisher, mut readers) = EventRing::open(16, 2, Idle::Poll, Release::AsPublished);
        let (mut quick, slow) = (readers.pop().unwrap(), readers.pop().unwrap());
        let [of_quick, of_slow] = [&quick, &slow].map(|reader| reader.gauge().unwrap());
        assert_eq!(publisher.reader().gauge().map(drop), None);
        publish(&mut publisher, 1..=5);
        publisher.complete(Sequence(5));
        assert_eq!((of_quick.kept(), of_slow.kept(), of_slow.capacity()), (5, 5, 16));
        assert_eq!((of_slow.published(), of_slow.completed()), (5, Sequence(5)));
        while polled(&mut quick).is_some() {}
        assert_eq!((of_quick.kept(), of_slow.kept()), (0, 5));
        drop(slow);
        assert_eq!(of_slow.kept(), 0);
    }

    #[test]
    fn a_lapped_reader_is_told_how_much_it_missed_and_never_sees_a_torn_event() {
        const EVENTS: u64 = if cfg!(miri) { 200 } else { 300_000 };
        let (mut publisher, _) = EventRing::open(16, 0, Idle::Poll, Release::AsPublished);
        let mut reader = publisher.reader();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let (mut next, mut seen) = (1, 0_u64);
                loop {
                    match reader.poll() {
                        Polled::Event(header, found) => {
                            assert_eq!(header.id.sequence.0, next);
                            assert_eq!((header, found), event(next));
                            (next, seen) = (next + 1, seen + 1);
                        }
                        Polled::Lapped(missed) => next += missed,
                        Polled::Empty => std::thread::yield_now(),
                        Polled::Closed => break,
                    }
                }
                assert_eq!(next, EVENTS + 1);
                println!("{seen} of {EVENTS} events seen");
            });
            publish(&mut publisher, 1..=EVENTS);
            drop(publisher);
        });
    }

    #[test]
    fn a_reader_that_sleeps_is_lapped_by_exactly_what_it_missed() {
        let (mut publisher, _) = EventRing::open(8, 0, Idle::Park, Release::AsPublished);
        let mut reader = publisher.reader();
        publish(&mut publisher, 1..=8);
        assert_eq!(polled(&mut reader), Some(1));
        publish(&mut publisher, 9..=12);
        // Eleven are unread, eight fit; it goes on half a ring behind the newest.
        assert_eq!(reader.poll(), Polled::Lapped(7));
        let seen: Vec<_> = core::iter::from_fn(|| polled(&mut reader)).collect();
        assert_eq!(seen, [9, 10, 11, 12]);
    }

    #[test]
    fn nothing_is_seen_before_it_is_released() {
        let durable = Arc::new(Watermark::new(0, Idle::Park));
        let (mut publisher, mut readers) = EventRing::open(8, 1, Idle::Park, Release::After(Arc::clone(&durable)));
        let reader = &mut readers[0];
        publish(&mut publisher, 1..=3);
        assert_eq!(reader.poll(), Polled::Empty);
        durable.advance(2);
        assert_eq!((polled(reader), polled(reader)), (Some(1), Some(2)));
        assert_eq!(reader.poll(), Polled::Empty);
        durable.poison();
        assert_eq!(reader.poll(), Polled::Empty);
        drop(publisher);
        assert_eq!(reader.poll(), Polled::Closed);
    }

    #[test]
    fn a_waiting_reader_wakes_when_its_event_is_released() {
        let durable = Arc::new(Watermark::new(0, Idle::Park));
        let (mut publisher, mut readers) = EventRing::open(8, 1, Idle::Park, Release::After(Arc::clone(&durable)));
        publish(&mut publisher, [1]);
        std::thread::scope(|scope| {
            let reader = &mut readers[0];
            scope.spawn(move || {
                reader.wait(Duration::from_secs(60));
                assert_eq!(polled(reader), Some(1));
            });
            durable.advance(1);
        });
    }

    /// The publisher wakes nobody for what is not released, and the watermark may come before or behind the event. A
    /// missed wake-up would be a minute's sleep.
    #[test]
    fn a_release_at_any_moment_wakes_the_readers() {
        const EVENTS: u64 = if cfg!(miri) { 60 } else { 20_000 };
        for idle in [Idle::Park, Idle::Poll, Idle::Spin] {
            let durable = Arc::new(Watermark::new(0, idle.beside_the_core()));
            let (mut publisher, readers) = EventRing::open(16, 2, idle, Release::After(Arc::clone(&durable)));
            let seen = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for mut reader in readers {
                    let seen = &seen;
                    scope.spawn(move || {
                        for number in 1..=EVENTS {
                            let found = loop {
                                match polled(&mut reader) {
                                    Some(found) => break found,
                                    None => reader.wait(Duration::from_secs(60)),
                                }
                            };
                            assert_eq!(found, number);
                            seen.fetch_add(1, Ordering::Release);
                        }
                    });
                }
                scope.spawn(|| (1..=EVENTS).for_each(|number| durable.advance(number)));
                for number in 1..=EVENTS {
                    let (header, event) = event(number);
                    publisher.event(&header, &event);
                    publisher.complete(Sequence(number));
                    // Now and then everybody sleeps, so that each wake-up counts.
                    while number % 100 == 0 && seen.load(Ordering::Acquire) < 2 * number {
                        std::thread::yield_now();
                    }
                }
            });
        }
    }

    #[test]
    fn a_full_ring_whose_events_are_never_released_voids_its_publisher() {
        let durable = Arc::new(Watermark::new(0, Idle::Park));
        let (mut publisher, _readers) = EventRing::open(4, 1, Idle::Park, Release::After(Arc::clone(&durable)));
        publish(&mut publisher, 1..=4);
        assert!(!publisher.is_void());
        durable.poison();
        publish(&mut publisher, 5..=9);
        assert!(publisher.is_void());
    }

    /// The publisher sleeps over a full ring when the watermark is poisoned. The poison woke the readers alone, which had
    /// nothing to free, so that the core slept for ever.
    #[test]
    fn poison_reaches_a_publisher_that_waits_for_room() {
        for _ in 0..if cfg!(miri) { 2 } else { 50 } {
            let durable = Arc::new(Watermark::new(0, Idle::Park));
            let (mut publisher, mut readers) = EventRing::open(4, 1, Idle::Park, Release::After(Arc::clone(&durable)));
            let mut reader = readers.pop().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    publish(&mut publisher, 1..=5);
                    assert!(publisher.is_void());
                });
                scope.spawn(move || {
                    reader.wait(Duration::from_secs(60));
                    while reader.poll() != Polled::Closed {
                        std::thread::yield_now();
                    }
                });
                std::thread::yield_now();
                durable.poison();
            });
        }
    }

    #[test]
    fn a_gating_reader_that_is_gone_holds_nobody_back() {
        let (mut publisher, mut readers) = EventRing::open(4, 2, Idle::Park, Release::AsPublished);
        drop(readers.pop());
        drop(readers.pop());
        publish(&mut publisher, 1..=100);
        assert!(!publisher.is_void());
    }
}

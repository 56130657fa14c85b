//! Pages: events on their way into one, and out of one again.

use engine::canonical::{Canonical, Reader};
use engine::{Event, EventHeader, EventSink, Sequence, Timestamp};

use super::error::HistoryFault;
use super::key::{self, Key};
use super::layout::{PAGE_BYTES, PageHeader};
use crate::checksum::crc32c;
use crate::digest::EncodedEvents;

/// The page that is being filled. Used over and over.
#[derive(Debug, Default)]
pub(super) struct Filling {
    pub(super) events: EncodedEvents,
    keys: Vec<Key>,
    /// Of the first event and the last.
    ends: Option<(EventHeader, EventHeader)>,
    count: u32,
}

/// A page that is full.
pub(super) struct Filled {
    pub(super) header: PageHeader,
    /// Header, keys and packed events.
    pub(super) bytes: Vec<u8>,
    pub(super) keys: Box<[Key]>,
}

impl Filling {
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_none()
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.as_slice().len() >= PAGE_BYTES
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn clear(&mut self) {
        self.events.clear();
        self.keys.clear();
        self.ends = None;
        self.count = 0;
    }

    /// The page of this number, made of the events taken.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub(super) fn fill(&mut self, number: u32) -> Filled {
        let (first, last) = self.ends.expect("events to fill a page with");
        self.keys.sort_unstable();
        self.keys.dedup();
        let mut keys = Vec::new();
        key::encode(&self.keys, &mut keys);
        let events = self.events.as_slice();
        let packed = lz4_flex::block::compress(events);
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a page is small");
        let header = PageHeader {
            number,
            first: first.id.sequence,
            last: last.id.sequence,
            first_index: first.id.index,
            event_count: self.count,
            first_time: first.time,
            last_time: last.time,
            key_bytes: length(&keys),
            event_bytes: length(events),
            packed_bytes: length(&packed),
            key_checksum: crc32c(&[&keys]),
            packed_checksum: crc32c(&[&packed]),
        };
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes.extend_from_slice(&keys);
        bytes.extend_from_slice(&packed);
        Filled { header, bytes, keys: self.keys.as_slice().into() }
    }
}

impl EventSink for Filling {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        self.events.event(header, event);
        key::keys(event, |key| self.keys.push(key));
        let first = self.ends.map_or(*header, |(first, _)| first);
        self.ends = Some((first, *header));
        self.count += 1;
    }
}

/// The keys in a page's body, if they are whole.
pub(super) fn keys(header: &PageHeader, bytes: &[u8]) -> Result<Box<[Key]>, HistoryFault> {
    if crc32c(&[bytes]) != header.key_checksum {
        return Err(HistoryFault::Checksum);
    }
    key::decode(bytes).ok_or(HistoryFault::Fields)
}

/// The events in a page's body, if they are whole and what its header says.
pub(super) fn unpack(header: &PageHeader, packed: &[u8]) -> Result<Vec<(EventHeader, Event)>, HistoryFault> {
    if crc32c(&[packed]) != header.packed_checksum {
        return Err(HistoryFault::Checksum);
    }
    let length = header.event_bytes as usize;
    let bytes = lz4_flex::block::decompress(packed, length).map_err(|_| HistoryFault::Events)?;
    if bytes.len() != length {
        return Err(HistoryFault::Events);
    }
    let events = decode(&bytes)?;
    if describes(header, &events) { Ok(events) } else { Err(HistoryFault::Order) }
}

/// The events of which `bytes` are made, canonical.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<(EventHeader, Event)>, HistoryFault> {
    let mut reader = Reader::new(bytes);
    let mut events = Vec::new();
    while reader.remaining() > 0 {
        let header = EventHeader::decode(&mut reader).map_err(|_| HistoryFault::Events)?;
        events.push((header, Event::decode(&mut reader).map_err(|_| HistoryFault::Events)?));
    }
    Ok(events)
}

/// Whether these are the events that the header is of, in order.
fn describes(page: &PageHeader, events: &[(EventHeader, Event)]) -> bool {
    let end = |header: &EventHeader| (header.id.sequence, header.time);
    let (Some((first, _)), Some((last, _))) = (events.first(), events.last()) else { return false };
    events.len() == page.event_count as usize
        && end(first) == (page.first, page.first_time)
        && first.id.index == page.first_index
        && end(last) == (page.last, page.last_time)
        && events.is_sorted_by(|(one, _), (next, _)| one.id < next.id && one.time <= next.time)
}

/// Which events of a page are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) key: Option<Key>,
    pub(super) sequences: (Sequence, Sequence),
    pub(super) times: (Timestamp, Timestamp),
}

impl Wanted {
    /// Whether an event is.
    pub(super) fn includes(&self, header: &EventHeader, event: &Event) -> bool {
        let sequence = header.id.sequence;
        self.sequences.0 <= sequence
            && sequence <= self.sequences.1
            && self.times.0 <= header.time
            && header.time <= self.times.1
            && self.key.is_none_or(|key| key.concerns(event))
    }

    /// Whether events between these ends could be, whatever their keys.
    pub(super) fn meets(&self, sequences: (Sequence, Sequence), times: (Timestamp, Timestamp)) -> bool {
        self.sequences.0 <= sequences.1
            && sequences.0 <= self.sequences.1
            && self.times.0 <= times.1
            && times.0 <= self.times.1
    }
}

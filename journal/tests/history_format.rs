//! The bytes of an event history, field by field as docs/JOURNAL_FORMAT.md draws them, and as they were when the version was
//! given its number: other bytes need another version, because a history is derived again byte for byte.

mod common;

use std::fs;

use common::{Folder, crc32c};
use engine::event::{BalanceCause, BalanceChanged, NotApplied, PhaseChanged};
use engine::instrument::{Phase, PhaseCause};
use engine::{
    AccountId, Amount, AssetId, Event, EventHeader, EventId, EventSink, InstrumentId, KeyId, Sequence, SessionId,
    SessionSequence, SignedAmount, Stamp, Timestamp,
};
use journal::{HistoryOptions, HistoryWriter, JournalId};

fn header(sequence: u64, index: u32) -> EventHeader {
    let id = EventId { sequence: Sequence(sequence), index };
    EventHeader { id, time: Timestamp(1_000 + sequence), received_at: Timestamp(900 + sequence) }
}

/// Two events of command 3, one of command 700, and two blocks without any behind them.
fn events() -> [(EventHeader, Event); 3] {
    let note = engine::command::AdminNote::NONE;
    let (session, from, count) = (SessionId(7), SessionSequence(4), 2);
    let (author, instrument, cause) = (KeyId::VENUE, InstrumentId(300), PhaseCause::Administrator);
    let changed = BalanceChanged {
        author,
        account: AccountId(2),
        asset: AssetId(1),
        cause: BalanceCause::Deposit,
        change: SignedAmount(50),
        available: Amount(50),
        held: Amount(0),
        note,
    };
    let (before, after) = (Phase::Closed, Phase::Continuous);
    [
        (header(3, 0), NotApplied { session, from, count }.into()),
        (header(3, 1), PhaseChanged { instrument, from: before, to: after, cause, author, note }.into()),
        (header(700, 0), changed.into()),
    ]
}

/// Enough events to fill a page and begin another, alike and different as events are.
fn many_events() -> Vec<(EventHeader, Event)> {
    let mut random = common::SplitMix64(1);
    let mut event = |sequence: u64| {
        let (session, from) = (SessionId(2 + random.below(9) as u32), SessionSequence(random.next()));
        let not_applied: Event = NotApplied { session, from, count: random.below(100) }.into();
        let changed = match events()[2].1 {
            Event::BalanceChanged(changed) => {
                let available = Amount(u128::from(random.next()));
                BalanceChanged { account: AccountId(2 + random.below(50) as u32), available, ..changed }
            }
            _ => unreachable!("a balance"),
        };
        [
            (header(sequence, 0), not_applied),
            (header(sequence, 1), changed.into()),
            (header(sequence, 2), changed.into()),
        ]
    };
    (1..=1_024).flat_map(&mut event).collect()
}

/// The file of events and its index.
fn written() -> [Vec<u8>; 2] {
    write(&events())
}

fn write(events: &[(EventHeader, Event)]) -> [Vec<u8>; 2] {
    let folder = Folder::new();
    let options = HistoryOptions { file_sequences: 3_072, reserve_bytes: 0, ..HistoryOptions::default() };
    let journal = JournalId(*b"a journal's name");
    let mut writer = HistoryWriter::open(&folder.data(), journal, &options).unwrap();
    events.iter().for_each(|(header, event)| writer.event(header, event));
    writer.applied(Stamp { sequence: Sequence(3_072), time: Timestamp(9_000) }).unwrap();
    let history = folder.data().join("history");
    ["00000001.events", "00000001.index"].map(|name| fs::read(history.join(name)).unwrap())
}

fn canonical(events: &[(EventHeader, Event)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (header, event) in events {
        engine::canonical::Canonical::encode(header, &mut bytes);
        engine::canonical::Canonical::encode(event, &mut bytes);
    }
    bytes
}

/// Takes little-endian fields from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes(4).try_into().unwrap())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes(8).try_into().unwrap())
    }

    fn u64s<const N: usize>(&mut self) -> [u64; N] {
        std::array::from_fn(|_| self.u64())
    }
}

#[test]
fn a_file_of_events_is_as_it_is_drawn() {
    let [file, _] = written();
    let mut fields = Fields(&file);
    assert_eq!(fields.bytes(16), b"RIALTOEV\x01\0\0\0\0\0\0\0");
    assert_eq!(fields.bytes(16), b"a journal's name");
    assert_eq!((fields.u64s(), fields.bytes(32), fields.u32()), ([1, 1], [0; 32].as_slice(), 0));
    assert_eq!(fields.u32(), crc32c(&file[..84]));

    let page = fields.0;
    assert_eq!((fields.bytes(4), fields.u32()), (b"RPAG".as_slice(), 0));
    assert_eq!((fields.u64s(), fields.u32(), fields.u32()), ([3, 700], 0, 3));
    assert_eq!(fields.u64s(), [1_003, 1_700]);
    let events = canonical(&events());
    let (keys, raw, packed) = (fields.u32() as usize, fields.u32() as usize, fields.u32() as usize);
    assert_eq!((keys, raw), (8, events.len()));
    assert_eq!(fields.u32(), crc32c(&page[72..80]));
    assert_eq!(fields.u32(), crc32c(&page[80..80 + packed]));
    assert_eq!(fields.u32(), crc32c(&page[..68]));
    // No order; session 7; account 2; instrument 300, which is 0b10_0101100.
    assert_eq!(fields.bytes(keys), [0, 1, 7, 1, 2, 1, 0b1010_1100, 0b10]);
    assert_eq!(lz4_flex::block::decompress(fields.bytes(packed), raw).unwrap(), events);

    let mut digest = [0; 32];
    for (block, of_block, count) in [(0, events.as_slice(), 3), (1, &[], 0), (2, &[], 0)] {
        let end = fields.0;
        digest = *blake3::hash(&[digest.as_slice(), of_block].concat()).as_bytes();
        assert_eq!((fields.bytes(4), fields.u32(), fields.u64s()), (b"RBLK".as_slice(), 0, [block, count]));
        assert_eq!(fields.bytes(32), digest);
        assert_eq!(fields.u32(), crc32c(&end[..56]));
    }
    assert!(fields.0.is_empty());
}

#[test]
fn an_index_is_as_it_is_drawn() {
    let [file, index] = written();
    let sheets: Vec<_> = index.chunks(4_096).collect();
    // The header, one sheet of pages, one of the directory, and a leaf for each kind of key.
    assert_eq!(sheets.len(), 6);
    for (number, sheet) in (0_u64..).zip(&sheets) {
        let covered = [&number.to_le_bytes(), &sheet[..4_092]].concat();
        assert_eq!(sheet[4_092..], crc32c(&covered).to_le_bytes(), "sheet {number}");
    }
    let mut fields = Fields(sheets[0]);
    assert_eq!(fields.bytes(16), b"RIALTOIX\x01\0\0\0\0\0\0\0");
    assert_eq!(fields.bytes(16), b"a journal's name");
    // Number, first and last sequence, first and last time, bytes of events.
    assert_eq!(fields.u64s(), [1, 1, 3_072, 1_003, 1_700, file.len() as u64]);
    assert_eq!((fields.bytes(32), fields.bytes(32)), ([0; 32].as_slice(), &file[file.len() - 36..file.len() - 4]));
    assert_eq!((fields.u32(), fields.u32()), (1, 3));
    assert!(fields.bytes(4_092 - 152).iter().all(|&byte| byte == 0));

    let mut page = Fields(sheets[1]);
    assert_eq!(page.u64s(), [88, 3, 700, 1_003]);
    let mut directory = Fields(sheets[2]);
    for (kind, id) in [(1, 7), (2, 2), (3, 300)] {
        assert_eq!((directory.bytes(1), directory.u64()), ([kind].as_slice(), id));
    }
    // Three bytes of keys: the first, less itself; on one page; page 0.
    for leaf in &sheets[3..] {
        assert_eq!(leaf[..5], [3, 0, 0, 1, 0]);
    }
}

#[test]
fn the_bytes_of_version_1_have_not_changed() {
    let many = write(&many_events());
    assert_eq!(many[0].windows(4).filter(|window| *window == b"RPAG").count(), 2, "a full page and another one");
    let hashes = [written(), many].map(|files| files.map(|bytes| blake3::hash(&bytes).to_hex().to_string()));
    assert_eq!(
        hashes,
        [
            [
                "21bae61122d0fd24e0ea4d59a43ae31c20c1a4e363586429a02b5efd04e41547",
                "ea15342409d8ae2b7b113019e1159bf4aa1a1f921e4c26c9714f1068000899db",
            ],
            [
                "1770a9060b43526b16bac296d3cc0ff9381ff38d10292378cd243d813cfb7134",
                "2685075d7af375687cd02b28c5414d232f90b274470872b3e1bf398dafab2711",
            ],
        ]
    );
}

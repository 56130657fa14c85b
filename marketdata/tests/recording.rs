//! Recordings: what a subscriber made of what it received is made again; torn and garbled files are told apart.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use common::*;
use engine::command::*;
use engine::instrument::Phase;
use engine::*;
use marketdata::quic::{Clock, loopback};
use marketdata::recording::Fault;
use marketdata::{
    BlockingSubscriber, Config, Content, Contents, Credentials, Feed, GapCounters, Identity, Limits, OpenDoor,
    Patience, Player, Publisher, Received, Recorder, RecordingError, Records, Request, Stamps, Subscription, Torn,
    Trust, Update, channel_of,
};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use venue::topology::{Topology, Venue};
use wire::market_data::{MarketDataMessage, SubscribeReject};
use wire::{Block, DeliveryMode, FeedLevel, SubscribeRejectReason};

const HEADER: usize = 32;
const HEAD: usize = 24;
/// When the venues of these tests send.
const SENT_AT: wire::Timestamp = wire::Timestamp(7);

fn file_in(folder: &TempDir) -> PathBuf {
    folder.path().join("feed.rec")
}

/// Everything that a recording says, played to its end.
struct Played {
    updates: Vec<(Update, Stamps)>,
    player: Player<std::io::BufReader<std::fs::File>>,
}

fn play(file: &Path) -> Played {
    let mut player = Player::open(file).unwrap();
    let mut updates = Vec::new();
    while let Some(update) = player.next().unwrap() {
        updates.push((update, player.stamps()));
    }
    Played { updates, player }
}

// Round trips.

#[test]
fn a_recording_of_a_venue_plays_as_it_was_seen() {
    let seed = 11;
    println!("seed {seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let file = file_in(&folder);
    let (venue, publisher, trust) = start(folder.path());
    for number in 1..=400 {
        submit(&venue, command(&mut random, number));
    }
    let (credentials, patience) = (Credentials::Anonymous, Patience::default());
    let mut live = BlockingSubscriber::open(publisher.local_addr(), &trust, &credentials, patience).unwrap();
    let ticks = AtomicU64::new(100);
    live.stamp_with(Arc::new(move || wire::Timestamp(ticks.fetch_add(1, Ordering::Relaxed))));
    live.record(&file).unwrap();
    live.subscribe(&[], FeedLevel::MarketByOrder, DeliveryMode::Live).unwrap();
    live.subscribe(&[], FeedLevel::Reference, DeliveryMode::Live).unwrap();
    let mut seen = Vec::new();
    let mut next = |live: &mut BlockingSubscriber| {
        let update = live.next().unwrap();
        seen.push((update.clone(), live.stamps()));
        update
    };
    // Two levels of two books.
    for _ in 0..4 {
        while !matches!(next(&mut live), Update::Book { .. }) {}
    }
    for number in 401..=2_500 {
        submit(&venue, command(&mut random, number));
    }
    for instrument in BOOKS {
        submit(&venue, SetPhase { instrument, phase: Phase::Halted, note: AdminNote::NONE });
    }
    let mut halted = 0;
    while halted < 4 {
        let is_halt = matches!(next(&mut live), Update::Status(status) if status.phase == wire::Phase::Halted);
        halted += usize::from(is_halt);
    }
    let contents = live.end_recording().unwrap().unwrap();
    let engine = venue.stop().unwrap().engine;
    publisher.stop();

    let Played { updates, player } = play(&file);
    assert_eq!(updates[..seen.len()], seen, "seed {seed}");
    assert_eq!((player.gaps(), player.contents(), player.torn()), (live.gaps(), contents, None));
    assert_eq!(player.offset(), file.metadata().unwrap().len());
    for instrument in BOOKS {
        let book = player.book(instrument.into()).unwrap();
        assert_eq!(Some(book), live.book(instrument.into()));
        assert!(is_engines(book, &engine, instrument), "seed {seed}, {instrument:?}");
    }
    assert!(contents.packets > 0 && contents.messages >= contents.packets && contents.snapshots == 4, "{contents:?}");
    assert!(live.gaps().proven > 2 && live.gaps().differing == 0, "{:?}", live.gaps());
    // Each says where it came from, when it was sent if a packet had it, and when it was received.
    for (update, stamps) in &updates {
        let level = stamps.channel_id.map(|channel_id| (channel_id.0 & 0xFF) as u8);
        assert!(
            level == Some(FeedLevel::MarketByOrder as u8) || level == Some(FeedLevel::Reference as u8),
            "{update:?}"
        );
        assert!(stamps.received_at.is_some_and(|at| at.0 >= 100), "{update:?}");
        match update {
            Update::Trade(trade) => {
                assert_eq!((stamps.transact_time, stamps.sent_at), (Some(trade.transact_time), Some(SENT_AT)));
            }
            Update::Definition(_) | Update::Book { .. } => {
                assert_eq!((stamps.transact_time, stamps.sent_at), (None, None));
            }
            _ => {}
        }
    }
}

fn start(folder: &Path) -> (Venue, Publisher, Trust) {
    let topology =
        Topology { capacity: Capacity::SMALL, reader_count: 1, segment_bytes: 1 << 20, ..Topology::default() };
    let mut feed = None;
    let mut venue = Venue::start(&folder.join("venue"), &topology, |engine| feed = Some(Feed::of(engine))).unwrap();
    let events = venue.take_readers().pop().unwrap();
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(signed.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let clock: Clock = Arc::new(|| SENT_AT);
    let config = Config {
        listen: loopback(),
        identity: Identity { certificates: vec![signed.cert.der().clone()], key },
        client_verifier: None,
        clock,
        door: Arc::new(OpenDoor),
        limits: Limits::default(),
        threads: 1,
        seats: 0,
    };
    let publisher = Publisher::start(config, events, feed.unwrap()).unwrap();
    for book in BOOKS {
        submit(&venue, listing(book));
    }
    submit(&venue, account());
    (venue, publisher, Trust { server_name: "localhost".to_owned(), roots: Arc::new(roots) })
}

fn submit(venue: &Venue, body: impl Into<CommandBody>) {
    let command = Command::from_venue(body);
    while venue.commands().submit(command).is_err() {
        std::thread::yield_now();
    }
}

/// A subscriber over a link that loses and reorders, of a venue that keeps nothing, and its recording.
struct Lossy {
    engine: Engine,
    feed: Feed,
    subscription: Subscription,
    recorder: Recorder,
    updates: Vec<(Update, Stamps)>,
    clock: u64,
}

impl Lossy {
    fn open(file: &Path) -> Self {
        let patience = Patience { packets: 3, waiting_max: 20 };
        let mut lossy = Self {
            engine: Engine::new(Capacity::SMALL),
            feed: heard(),
            subscription: Subscription::new(patience),
            recorder: Recorder::create(file, patience).unwrap(),
            updates: Vec::new(),
            clock: 0,
        };
        for book in BOOKS {
            lossy.apply(listing(book));
        }
        lossy.apply(account());
        lossy
    }

    /// Applies a command; gives the packets of its price levels.
    fn apply(&mut self, body: impl Into<CommandBody>) -> Vec<Content> {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: Timestamp(1) };
        let mut events = Vec::new();
        self.engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
        events.iter().for_each(|(header, event)| self.feed.event(header, event));
        self.feed.end_of_command();
        let ours = BOOKS.map(|book| channel_of(book, FeedLevel::MarketByPrice).unwrap());
        let packets = self.feed.packets(SENT_AT).into_iter();
        packets.filter(|packet| ours.contains(&packet.channel_id)).map(|packet| Content::Packet(packet.bytes)).collect()
    }

    fn snapshot(&mut self, book: InstrumentId) {
        let snapshot = self.feed.snapshot(book, FeedLevel::MarketByPrice, None).unwrap();
        self.receive(Content::Snapshot(snapshot.bytes()));
    }

    fn receive(&mut self, content: Content) {
        self.clock += 1;
        let received = Received { at: Some(wire::Timestamp(self.clock)), content };
        self.recorder.write(&received).unwrap();
        self.subscription.take(received).unwrap();
        while let Some(request) = self.subscription.next_request() {
            match request {
                Request::Snapshot(request) => self.snapshot(request.security_id.try_into().unwrap()),
                Request::Again(request) => self.receive(too_old(request.request_id)),
            }
        }
        while let Some(update) = self.subscription.next_update() {
            self.updates.push((update, self.subscription.stamps()));
        }
    }
}

fn too_old(request_id: wire::RequestId) -> Content {
    let reject = SubscribeReject { request_id, reason: SubscribeRejectReason::TooOld, ..SubscribeReject::BLANK };
    let mut frame = vec![0; <SubscribeReject as wire::message::Message>::FRAME_LENGTH];
    wire::encode(&reject, &mut frame).unwrap();
    let (split, _) = wire::Frame::split(&frame).unwrap();
    assert!(matches!(MarketDataMessage::try_from(split), Ok(MarketDataMessage::SubscribeReject(_))));
    Content::Control(frame.into())
}

#[test]
fn losses_refusals_and_gaps_are_played_as_they_were() {
    for seed in 1..=4 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let folder = tempfile::tempdir().unwrap();
        let file = file_in(&folder);
        let mut lossy = Lossy::open(&file);
        for book in BOOKS {
            lossy.snapshot(book);
        }
        let mut late = Vec::new();
        for number in 1..=1_500 {
            for packet in lossy.apply(command(&mut random, number)) {
                match random.below(20) {
                    0 if number < 1_400 => {}
                    1 if number < 1_400 => late.push(packet),
                    _ => lossy.receive(packet),
                }
            }
            if random.below(8) == 0 {
                std::mem::take(&mut late).into_iter().for_each(|packet| lossy.receive(packet));
            }
        }
        let contents = lossy.recorder.finish().unwrap();
        let Played { updates, player } = play(&file);
        assert_eq!(updates, lossy.updates, "seed {seed}");
        assert_eq!((player.gaps(), player.contents()), (lossy.subscription.gaps(), contents), "seed {seed}");
        let gaps = player.gaps();
        assert!(gaps.gaps > 0 && gaps.messages > 0 && gaps.repeated > 0 && contents.controls > 0, "{gaps:?}");
        assert_eq!(
            (contents.first_at, contents.last_at),
            (Some(wire::Timestamp(1)), Some(wire::Timestamp(lossy.clock)))
        );
        for instrument in BOOKS {
            assert!(is_engines(player.book(instrument.into()).unwrap(), &lossy.engine, instrument), "seed {seed}");
        }
        // What waited behind a loss has the time at which it came, and not that at which it was taken.
        let waited = |pair: &[(Update, Stamps)]| pair[0].1.received_at > pair[1].1.received_at;
        assert!(updates.windows(2).any(waited), "seed {seed}");
    }
}

// The file.

/// CRC-32C bit by bit, as its definition has it.
fn crc32c(bytes: &[u8]) -> [u8; 4] {
    let bit = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc));
    (!bytes.iter().fold(!0, byte)).to_le_bytes()
}

fn sealed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = parts.concat();
    bytes.extend(crc32c(&bytes));
    bytes
}

fn file_header(version: u16) -> Vec<u8> {
    let packets = 1_024_u32.to_le_bytes();
    let waiting = 16_384_u32.to_le_bytes();
    sealed(&[b"RIALTOMD", &version.to_le_bytes(), &[0; 2], &packets, &waiting, &[0; 8]])
}

fn record(kind: u8, length: u32, time: u64, content: &[u8]) -> Vec<u8> {
    let head = sealed(&[&length.to_le_bytes(), &[kind, 0, 0, 0], &time.to_le_bytes(), &crc32c(content), &[]]);
    [&head, content].concat()
}

/// Three records of contents that are none of the feed's, and where each begins.
fn three() -> (Vec<u8>, [usize; 4]) {
    let records = [record(1, 9, 77, b"123456789"), record(2, 0, u64::MAX, b""), record(3, 3, 79, b"abc")];
    let mut file = file_header(1);
    let mut begins = [HEADER; 4];
    for (index, record) in records.iter().enumerate() {
        file.extend(record);
        begins[index + 1] = file.len();
    }
    (file, begins)
}

/// The records that are read, and how it ends.
fn read(file: &[u8]) -> (Vec<Received>, Result<Option<Torn>, RecordingError>) {
    let mut records = match Records::new(file) {
        Ok(records) => records,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut found = Vec::new();
    while let Some(record) = records.next() {
        match record {
            Ok(record) => found.push(record),
            Err(error) => {
                assert!(records.next().is_none(), "it goes on behind an error");
                return (found, Err(error));
            }
        }
    }
    (found, Ok(records.torn()))
}

#[test]
fn the_file_is_as_it_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let file = file_in(&folder);
    let contents = [
        Received { at: Some(wire::Timestamp(77)), content: Content::Packet(Bytes::from_static(b"123456789")) },
        Received { at: None, content: Content::Snapshot(Bytes::new()) },
        Received { at: Some(wire::Timestamp(79)), content: Content::Control(Bytes::from_static(b"abc")) },
    ];
    let mut recorder = Recorder::create(&file, Patience::default()).unwrap();
    contents.iter().for_each(|received| recorder.write(received).unwrap());
    let counted = Contents {
        packets: 1,
        messages: 0,
        snapshots: 1,
        controls: 1,
        bytes: 12,
        first_at: Some(wire::Timestamp(77)),
        last_at: Some(wire::Timestamp(79)),
    };
    assert_eq!(recorder.finish().unwrap(), counted);
    let bytes = std::fs::read(&file).unwrap();
    // The check value of CRC-32C in the catalogue of parametrised CRC algorithms.
    assert_eq!(bytes[HEADER + 16..HEADER + 20], 0xE306_9283_u32.to_le_bytes());
    assert_eq!(bytes, three().0);
    let (found, end) = read(&bytes);
    assert_eq!((found.as_slice(), end.unwrap()), (contents.as_slice(), None));
    // What is there already is not written over.
    let error = Recorder::create(&file, Patience::default()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
}

#[test]
fn a_torn_tail_is_left_out_and_said() {
    let (file, begins) = three();
    for length in 0..file.len() {
        let (found, end) = read(&file[..length]);
        if length < HEADER {
            assert!(matches!(end, Err(RecordingError::NotARecording)), "{length}");
            continue;
        }
        let whole = begins.iter().rposition(|&begin| begin <= length).unwrap();
        let rest = length - begins[whole];
        let torn = (rest > 0).then_some(Torn { offset: begins[whole] as u64, bytes: rest as u64 });
        assert_eq!((found.len(), end.unwrap()), (whole, torn), "{length}");
    }
}

#[test]
fn a_garbled_byte_is_found_where_it_is() {
    let (file, begins) = three();
    for at in 0..file.len() {
        let mut garbled = file.clone();
        garbled[at] ^= 0x10;
        let (found, end) = read(&garbled);
        let error = end.unwrap_err();
        match at {
            0..8 => assert!(matches!(error, RecordingError::NotARecording), "{at}: {error}"),
            8..10 => assert!(matches!(error, RecordingError::Version { .. }), "{at}: {error}"),
            10..HEADER => assert_eq!(error.to_string(), "damaged at offset 0: the checksum of its head differs"),
            _ => {
                let index = begins.iter().rposition(|&begin| begin <= at).unwrap();
                let part = if at - begins[index] < HEAD { "head" } else { "content" };
                let expected = format!("damaged at offset {}: the checksum of its {part} differs", begins[index]);
                assert_eq!((error.to_string(), error.offset()), (expected, Some(begins[index] as u64)), "{at}");
                assert_eq!(found.len(), index, "{at}");
            }
        }
    }
}

#[test]
fn other_versions_kinds_and_lengths_are_refused_by_name() {
    let fault = |record: &[u8]| match read(&[&file_header(1), record].concat()).1 {
        Err(RecordingError::Damaged { offset: 32, fault }) => Err(fault),
        Ok(torn) => Ok(torn),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(fault(&record(4, 3, 0, b"abc")), Err(Fault::Kind(4)));
    let most = 64_u32 << 20;
    assert_eq!(fault(&record(1, most + 1, 0, b"abc")), Err(Fault::Length(most + 1)));
    assert_eq!(fault(&record(1, u32::MAX, 0, b"abc")), Err(Fault::Length(u32::MAX)));
    // A length that may be is taken for a record that was torn.
    assert_eq!(fault(&record(1, most, 0, b"abc")), Ok(Some(Torn { offset: 32, bytes: 27 })));
    let (_, end) = read(&file_header(2));
    assert_eq!(end.unwrap_err().to_string(), "a recording of version 2, and this program reads version 1");
    assert_eq!(read(b"BTC-USD,64000").1.unwrap_err().to_string(), "no recording of market data");
}

#[test]
fn what_the_subscriber_refused_is_refused_again() {
    let file = [file_header(1), record(1, 3, 5, b"abc")].concat();
    let mut player = Player::new(file.as_slice()).unwrap();
    let error = player.next().unwrap_err();
    assert_eq!(error.offset(), Some(32));
    assert!(error.to_string().starts_with("what was received is no market data, offset 32: "), "{error}");
    assert_eq!(player.next().unwrap(), None);
    assert_eq!(player.gaps(), GapCounters::default());
}

#[test]
fn nothing_that_a_file_says_is_more_than_an_error() {
    let seed = 23;
    println!("seed {seed}");
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let file = file_in(&folder);
    let mut lossy = Lossy::open(&file);
    lossy.snapshot(BOOKS[0]);
    for number in 1..=60 {
        lossy.apply(command(&mut random, number)).into_iter().for_each(|packet| lossy.receive(packet));
    }
    lossy.receive(too_old(wire::RequestId(9)));
    lossy.recorder.finish().unwrap();
    let (records, _) = read(&std::fs::read(&file).unwrap());
    let mut refused = 0;
    for _ in 0..2_000 {
        // Some bytes of some contents are others, and all checksums are right.
        let mut garbled = file_header(1);
        for Received { content, .. } in &records {
            let kind = match content {
                Content::Packet(_) => 1,
                Content::Snapshot(_) => 2,
                Content::Control(_) => 3,
            };
            let mut bytes = content.bytes().to_vec();
            if random.below(8) == 0 {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] = random.below(256) as u8;
            }
            garbled.extend(record(kind, bytes.len() as u32, random.below(1 << 20), &bytes));
        }
        let mut player = Player::new(garbled.as_slice()).unwrap();
        let end = loop {
            match player.next() {
                Ok(Some(_)) => {}
                Ok(None) => break false,
                Err(RecordingError::Refused { .. }) => break true,
                Err(other) => panic!("seed {seed}: {other}"),
            }
        };
        refused += u32::from(end);
    }
    assert!(refused > 100, "seed {seed}: {refused}");
}

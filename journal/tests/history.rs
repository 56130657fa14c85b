//! The event history: what it answers, and that its bytes depend on the events alone.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::{Folder, SplitMix64, limit_order, seed};
use engine::canonical::{FieldValue, Fields};
use engine::command::{
    AddKey, AdminNote, CancelOnDisconnect, CancelOrder, Establish, GrantRole, KeyKind, ListInstrument, MassCancel,
    Negotiate, NewOrder, OpenAccount, Role,
};
use engine::instrument::{Holds, Phase};
use engine::order::SelfTradePrevention;
use engine::{
    AccountId, AssetId, Capacity, ClientOrderId, Command, CommandHeader, Engine, Event, EventHeader, EventSink,
    InstrumentId, KeyId, LoginNonce, Nanoseconds, OrderId, Price, Sequence, SessionId, SessionVersion, Stamp, StpGroup,
    Text, Timestamp,
};
use journal::history::Verification;
use journal::{
    BEFORE_FIRST, Digest, Direction, Discard, EventDigest, History, HistoryError, HistoryOptions, HistoryWriter,
    JournalId, Key, Query, Retention, Seek, Sequencer,
};

const JOURNAL: JournalId = JournalId(*b"a journal's name");

/// Files of two blocks.
fn options() -> HistoryOptions {
    HistoryOptions { file_sequences: 2_048, reserve_bytes: 0, ..HistoryOptions::default() }
}

/// What happened, in the portions in which it did.
struct Course {
    events: Vec<(EventHeader, Event)>,
    /// The last command of each portion, and how many events there are up to it.
    portions: Vec<(Stamp, usize)>,
}

impl Course {
    /// Two traders, two instruments, two sessions; `count` commands or a few more.
    fn new(random: &mut SplitMix64, count: u64) -> Self {
        let mut engine = Engine::new(Capacity::SMALL);
        let mut sequencer = Sequencer::new(Discard, BEFORE_FIRST);
        let mut course = Self { events: Vec::new(), portions: Vec::new() };
        let (mut now, mut made) = (1_000, 0);
        while made < count {
            let commands = match made {
                0 => setting_up(),
                _ => (0..1 + random.below(60)).map(|at| trading(random, made + at)).collect(),
            };
            now += random.below(50);
            let last = sequencer.submit(&mut engine, Timestamp(now), &commands, &mut course.events).unwrap();
            course.portions.push((last, course.events.len()));
            made += commands.len() as u64;
        }
        course
    }

    fn last(&self) -> Sequence {
        self.portions.last().unwrap().0.sequence
    }

    /// The last command of the last whole block.
    fn last_whole(&self) -> Sequence {
        Sequence(self.last().0 / 1_024 * 1_024)
    }

    /// The event digest at the end of each block, by its definition.
    fn digests(&self) -> Vec<Digest> {
        let mut digest = [0; 32];
        let digests = (0..self.last().0 / 1_024).map(|block| {
            let mut bytes = digest.to_vec();
            for (header, event) in self.events.iter().filter(|(header, _)| (header.id.sequence.0 - 1) / 1_024 == block)
            {
                engine::canonical::Canonical::encode(header, &mut bytes);
                engine::canonical::Canonical::encode(event, &mut bytes);
            }
            digest = blake3::hash(&bytes).into();
            Digest(digest)
        });
        digests.collect()
    }

    /// Hands everything behind `behind` to a writer that begins there.
    fn write_behind(&self, writer: &mut HistoryWriter, behind: Sequence) -> Result<(), HistoryError> {
        let mut events = self.events.iter().filter(|(header, _)| header.id.sequence > behind).peekable();
        for (stamp, _) in self.portions.iter().filter(|(stamp, _)| stamp.sequence > behind) {
            while let Some((header, event)) = events.next_if(|(header, _)| header.id.sequence <= stamp.sequence) {
                writer.event(header, event);
            }
            writer.applied(*stamp)?;
        }
        Ok(())
    }

    fn write(&self, writer: &mut HistoryWriter) {
        self.write_behind(writer, Sequence::NONE).unwrap();
    }

    fn matching(&self, wanted: impl Fn(&EventHeader, &Event) -> bool) -> Vec<(EventHeader, Event)> {
        self.events.iter().filter(|(header, event)| wanted(header, event)).copied().collect()
    }
}

fn header(session: u32) -> CommandHeader {
    CommandHeader { author: KeyId(session), session: SessionId(session), ..CommandHeader::VENUE }
}

fn setting_up() -> Vec<Command> {
    let note = AdminNote::NONE;
    let list = |instrument| {
        Command::from_venue(ListInstrument {
            instrument: InstrumentId(instrument),
            name: Text::new(["BTC-USD", "ETH-USD"][instrument as usize - 1]).unwrap(),
            base: AssetId::NONE,
            quote: AssetId::NONE,
            tick: 1,
            tick_decimals: 2,
            lot: 1,
            lot_decimals: 4,
            reference: Price::ABSENT,
            holds: Holds::Off,
            self_trade_prevention: SelfTradePrevention::CancelIncoming,
            phase: Phase::Continuous,
            note,
        })
    };
    let mut commands = vec![list(1), list(2)];
    for trader in 2..=3 {
        let (key, account) = (KeyId(trader), AccountId(trader));
        let stp_group = StpGroup::NONE;
        commands.extend([
            Command::from_venue(OpenAccount { account, stp_group, self_trade_prevention: None, fee_tier: 0, note }),
            Command::from_venue(AddKey { key, kind: KeyKind::Ed25519, public_key: [trader as u8; 32], note }),
            Command::from_venue(GrantRole { key, role: Role::Trader, account, note }),
            Command { header: header(trader), body: Negotiate { version: SessionVersion(1) }.into() },
            Command {
                header: header(trader),
                body: Establish {
                    version: SessionVersion(1),
                    nonce: LoginNonce(1),
                    cancel_on_disconnect: CancelOnDisconnect::Keep,
                    cancel_grace: Nanoseconds::NONE,
                    keep_alive: Nanoseconds::NONE,
                }
                .into(),
            },
        ]);
    }
    commands
}

/// The `number`-th command of a day.
fn trading(random: &mut SplitMix64, number: u64) -> Command {
    let trader = 2 + random.below(2) as u32;
    let account = AccountId(trader);
    match random.below(40) {
        0 => Command::from_venue(MassCancel {
            account,
            instrument: InstrumentId::NONE,
            side: None,
            entered_by: SessionId::NONE,
            client_order_id: ClientOrderId(number),
            note: AdminNote::NONE,
        }),
        1..=4 => Command {
            header: header(trader),
            body: CancelOrder {
                account,
                order_id: OrderId::NONE,
                original_client_order_id: ClientOrderId(number.saturating_sub(random.below(30)) | 1),
                client_order_id: ClientOrderId(number << 20),
            }
            .into(),
        },
        _ => {
            let instrument = InstrumentId(1 + random.below(2) as u32);
            let client_order_id = ClientOrderId(number | 1);
            Command {
                header: header(trader),
                body: NewOrder { account, instrument, client_order_id, ..limit_order(random) }.into(),
            }
        }
    }
}

/// Whether an event names a key in any of its fields: found by the fields' names, not by the history's own rules.
fn names(event: &Event, key: Key) -> bool {
    let (fields, id): (&[&str], u64) = match key {
        Key::Order(id) => (&["order_id", "original_order_id", "duplicate_of", "resting", "incoming"], id.0),
        Key::Session(id) => (&["session", "entered_by"], id.0.into()),
        Key::Account(id) => (&["account", "resting_account", "incoming_account"], id.0.into()),
        Key::Instrument(id) => (&["instrument"], id.0.into()),
    };
    has_field(event.record(), fields, id)
}

fn has_field(record: &dyn Fields, names: &[&str], id: u64) -> bool {
    let mut found = false;
    record.fields(&mut |name, value| match value {
        FieldValue::Unsigned(value) => found |= value == id && names.contains(&name),
        FieldValue::Record(inner) => found |= has_field(inner, names, id),
        _ => {}
    });
    found
}

/// A few keys of each kind, of which some name nothing.
fn some_keys(course: &Course, random: &mut SplitMix64) -> Vec<Key> {
    let orders = course.events.iter().filter_map(|(_, event)| match event {
        Event::OrderAccepted(accepted) => Some(Key::Order(accepted.order.order_id)),
        _ => None,
    });
    let orders: Vec<_> = orders.collect();
    let mut keys: Vec<_> =
        (0..8).map(|_| orders[usize::try_from(random.below(orders.len() as u64)).unwrap()]).collect();
    keys.extend([Key::Order(OrderId(u64::MAX)), Key::Order(OrderId(1))]);
    for number in [1, 2, 3, 9] {
        keys.extend([
            Key::Session(SessionId(number)),
            Key::Account(AccountId(number)),
            Key::Instrument(InstrumentId(number)),
        ]);
    }
    keys
}

fn found(history: &History, query: &Query) -> Vec<(EventHeader, Event)> {
    history.events(query).collect::<Result<_, _>>().unwrap()
}

/// Every answer of `history`, which holds the events up to `last`, is what looking through all of them finds.
fn assert_answers(history: &History, course: &Course, last: Sequence, random: &mut SplitMix64) {
    for key in some_keys(course, random).into_iter().map(Some).chain([None]) {
        let wanted = |event: &Event| key.is_none_or(|key| names(event, key));
        let whole = course.matching(|header, event| header.id.sequence <= last && wanted(event));
        assert!(found(history, &Query { key, ..Query::default() }) == whole, "{key:?}");
        let mut backward = found(history, &Query { key, direction: Direction::Backward, ..Query::default() });
        backward.reverse();
        assert!(backward == whole, "{key:?} backward");

        let mut place = || {
            let (header, _) = course.events[usize::try_from(random.below(course.events.len() as u64)).unwrap()];
            let off = random.below(3).saturating_sub(1);
            if random.below(2) == 0 {
                Seek::Sequence(Sequence(header.id.sequence.0 + off))
            } else {
                Seek::Time(Timestamp(header.time.0 + off))
            }
        };
        let (from, to) = (place(), place());
        let part = course.matching(|header, event| {
            let not_before = match from {
                Seek::Sequence(sequence) => header.id.sequence >= sequence,
                Seek::Time(time) => header.time >= time,
            };
            let not_behind = match to {
                Seek::Sequence(sequence) => header.id.sequence <= sequence,
                Seek::Time(time) => header.time <= time,
            };
            header.id.sequence <= last && not_before && not_behind && wanted(event)
        });
        let query = Query { key, from: Some(from), to: Some(to), direction: Direction::Forward };
        assert!(found(history, &query) == part, "{query:?}");
    }
}

/// The history's files by name, with what they hold.
fn files(data: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(data.join("history"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn path(data: &Path, name: &str) -> PathBuf {
    data.join("history").join(name)
}

fn open(data: &Path) -> HistoryWriter {
    HistoryWriter::open(data, JOURNAL, &options()).unwrap()
}

#[test]
fn it_answers_what_looking_through_all_events_finds() {
    let seed = seed(21);
    let mut random = SplitMix64(seed);
    let course = Course::new(&mut random, 4_500);
    let folder = Folder::new();
    let mut writer = open(&folder.data());
    let history = writer.reader();
    course.write(&mut writer);
    assert!(course.events.iter().any(|(_, event)| matches!(event, Event::MatchPrevented(_))), "SEED={seed}: too tame");
    assert_eq!((history.first(), history.last()), (Sequence(1), course.last()));
    assert_answers(&history, &course, course.last(), &mut random);

    // Beside the venue, a tool sees whole blocks.
    let tool = History::open(&folder.data()).unwrap().unwrap();
    assert_eq!((tool.first(), tool.last()), (Sequence(1), course.last_whole()));
    assert_answers(&tool, &course, course.last_whole(), &mut random);

    // And so does the venue's next start, until it has caught up.
    drop(writer);
    let mut writer = open(&folder.data());
    assert_eq!(writer.last(), course.last_whole());
    assert_answers(&writer.reader(), &course, course.last_whole(), &mut random);
    course.write(&mut writer);
    assert_answers(&writer.reader(), &course, course.last(), &mut random);
}

/// The numbers of an account's reports in an event, found by the fields' names.
fn executions(record: &dyn Fields, account: AccountId) -> Vec<u64> {
    let (mut of_account, mut number, mut inner) = (false, None, Vec::new());
    record.fields(&mut |name, value| match value {
        FieldValue::Unsigned(value) if name == "account" => of_account = value == account.0.into(),
        FieldValue::Unsigned(value) if name == "exec_id" => number = Some(value),
        FieldValue::Record(record) => inner.extend(executions(record, account)),
        _ => {}
    });
    number.filter(|&number| of_account && number > 0).into_iter().chain(inner).collect()
}

/// The account's reports from one on, up to the end of what is kept.
fn reports_from(history: &History, account: AccountId, from: u64) -> Result<Vec<u64>, HistoryError> {
    let query = Query { key: Some(Key::Account(account)), ..Query::default() };
    let first = |event: &Event| executions(event.record(), account).first().map(|first| first.cmp(&from));
    let mut found = Vec::new();
    for event in history.events_near(&query, first)? {
        found.extend(executions(event?.1.record(), account).into_iter().filter(|&number| number >= from));
    }
    Ok(found)
}

#[test]
fn an_accounts_reports_are_found_by_their_numbers_without_reading_what_stands_before_them() {
    let seed = seed(23);
    let course = Course::new(&mut SplitMix64(seed), 9_000);
    let folder = Folder::new();
    let mut writer = open(&folder.data());
    course.write(&mut writer);
    let history = writer.reader();
    for account in [2, 3, 9].map(AccountId) {
        let numbers: Vec<u64> =
            course.events.iter().flat_map(|(_, event)| executions(event.record(), account)).collect();
        let count = numbers.len() as u64;
        assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "SEED={seed}");
        assert!(count > 2_000 || account == AccountId(9), "SEED={seed}: too tame");
        for from in (1..=count + 1).step_by(97) {
            let expected: Vec<u64> = (from..=count).collect();
            assert_eq!(reports_from(&history, account, from).unwrap(), expected, "SEED={seed} {account} {from}");
        }
    }

    // The first file is of no use, and nobody notices who does not ask for what it holds.
    drop(writer);
    let first = path(&folder.data(), "00000001.events");
    let length = fs::read(&first).unwrap().len();
    fs::write(&first, vec![0xA5; length]).unwrap();
    let tool = History::open(&folder.data()).unwrap().unwrap();
    let whole = course.matching(|header, _| header.id.sequence <= tool.last());
    let count = whole.iter().flat_map(|(_, event)| executions(event.record(), AccountId(2))).count() as u64;
    let late = count * 3 / 4;
    let found = reports_from(&tool, AccountId(2), late).unwrap();
    assert_eq!(found, (late..=count).collect::<Vec<_>>(), "SEED={seed}");
    let early = reports_from(&tool, AccountId(2), 1).unwrap_err();
    assert!(matches!(early, HistoryError::Damaged { .. }), "{early}");
}

#[test]
fn events_are_seen_as_soon_as_their_commands_are_done_and_not_before() {
    let mut random = SplitMix64(seed(22));
    let course = Course::new(&mut random, 2_500);
    let folder = Folder::new();
    let mut writer = open(&folder.data());
    let history = writer.reader();
    let mut before = 0;
    for (number, &(stamp, count)) in course.portions.iter().enumerate() {
        for (header, event) in &course.events[before..count] {
            writer.event(header, event);
        }
        if number % 16 == 0 {
            assert!(found(&history, &Query::default()) == course.events[..before]);
        }
        writer.applied(stamp).unwrap();
        if number % 16 == 0 {
            assert!(found(&history, &Query::default()) == course.events[..count]);
        }
        before = count;
    }
}

#[test]
fn the_digests_at_block_ends_are_those_of_the_journal() {
    let mut random = SplitMix64(seed(23));
    let course = Course::new(&mut random, 5_000);
    let folder = Folder::new();
    let mut writer = open(&folder.data());
    let mut digest = EventDigest::new();
    let (mut ours, mut before) = (Vec::new(), 0);
    for &(stamp, count) in &course.portions {
        for (header, event) in &course.events[before..count] {
            writer.event(header, event);
            digest.event(header, event);
        }
        before = count;
        writer.applied(stamp).unwrap();
        digest.applied(stamp.sequence);
        ours.extend(writer.completed());
    }
    assert_eq!(ours, digest.completed().collect::<Vec<_>>());
    assert_eq!(ours.iter().map(|block| block.digest).collect::<Vec<_>>(), course.digests());
    // A block end is the only thing in a file that begins so.
    let events = files(&folder.data()).into_iter().filter(|(name, _)| name.ends_with(".events"));
    let ends: Vec<_> = events
        .flat_map(|(_, bytes)| {
            let at: Vec<_> = bytes.windows(8).enumerate().filter(|(_, window)| *window == b"RBLK\0\0\0\0").collect();
            at.iter().map(|(at, _)| Digest(bytes[at + 24..at + 56].try_into().unwrap())).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(ends, course.digests());
}

#[test]
fn its_bytes_depend_on_the_events_alone() {
    let mut random = SplitMix64(seed(24));
    let course = Course::new(&mut random, 9_000);
    let digests = course.digests();
    let [once, often] = [Folder::new(), Folder::new()];
    course.write(&mut open(&once.data()));

    // In portions of one command, and with a start after each of a few thousand; each goes on from some block end.
    let mut taken = 0;
    while taken < course.events.len() {
        let mut writer = open(&often.data());
        let block = random.below(writer.last().0 / 1_024 + 1);
        let behind = Sequence(block * 1_024);
        let digest = block.checked_sub(1).map_or(Digest::ZERO, |before| digests[usize::try_from(before).unwrap()]);
        writer.begin(behind, 0, digest).unwrap();
        taken = (taken + usize::try_from(random.below(6_000)).unwrap()).min(course.events.len());
        for (header, event) in course.events[..taken].iter().filter(|(header, _)| header.id.sequence > behind) {
            writer.event(header, event);
            let all_before = Stamp { sequence: Sequence(header.id.sequence.0 - 1), time: header.time };
            writer.applied(all_before).unwrap();
        }
    }
    let mut writer = open(&often.data());
    course.write(&mut writer);
    assert!(files(&once.data()) == files(&often.data()));
    drop(writer);
    // Neither does a start at which all is well change them, but that a block in progress is cut off.
    let before: Vec<_> = files(&once.data());
    assert!(open(&once.data()).report().removed.is_empty());
    assert!(files(&once.data())[..before.len() - 1] == before[..before.len() - 1]);
}

/// What a history may answer: everything, and what an order of the middle of the course has to do with.
struct Truth(Vec<(Option<Key>, Happened)>);

type Happened = Vec<(EventHeader, Event)>;

impl Truth {
    fn of(course: &Course) -> Self {
        let middle = course.events.len() / 2;
        let order = course.events[middle..].iter().find_map(|(_, event)| match event {
            Event::OrderAccepted(accepted) => Some(accepted.order.order_id),
            _ => None,
        });
        let key = Key::Order(order.unwrap());
        Self(vec![(None, course.events.clone()), (Some(key), course.matching(|_, event| names(event, key)))])
    }
}

/// Reads what a tool can, and asserts that none of it is wrong: the truth as far as the history says that it reaches, or
/// an error.
fn assert_nothing_wrong(data: &Path, truth: &Truth, story: &str) {
    let Ok(Some(history)) = History::open(data) else { return };
    let reach = history.first()..=history.last();
    for (key, truth) in &truth.0 {
        let mut truth = truth.iter().filter(|(header, _)| reach.contains(&header.id.sequence));
        let mut failed = false;
        for event in history.events(&Query { key: *key, ..Query::default() }) {
            match event {
                Ok(event) => assert!(truth.next() == Some(&event), "{story}: wrong events for {key:?}"),
                Err(_) => failed = true,
            }
        }
        assert!(failed || truth.next().is_none(), "{story}: events are missing for {key:?}, silently");
    }
}

/// A history that was damaged is, once everything was derived again, what it was.
fn assert_heals(data: &Path, course: &Course, whole: &[(String, Vec<u8>)], story: &str) {
    let mut writer = HistoryWriter::open(data, JOURNAL, &options()).unwrap_or_else(|error| panic!("{story}: {error}"));
    course.write_behind(&mut writer, Sequence::NONE).unwrap_or_else(|error| panic!("{story}: {error}"));
    drop(writer);
    for (name, bytes) in files(data) {
        let before = whole.iter().find(|(whole, _)| *whole == name);
        assert!(before.is_some_and(|(_, before)| *before == bytes), "{story}: {name} differs");
    }
    assert_eq!(files(data).len(), whole.len(), "{story}");
}

fn restore(data: &Path, whole: &[(String, Vec<u8>)]) {
    for (name, _) in files(data) {
        fs::remove_file(path(data, &name)).unwrap();
    }
    for (name, bytes) in whole {
        fs::write(path(data, name), bytes).unwrap();
    }
}

/// A course and its history, whose last file ends with a whole block.
fn written(random: &mut SplitMix64, count: u64) -> (Folder, Course, Vec<(String, Vec<u8>)>) {
    let mut course = Course::new(random, count);
    let last = course.last_whole();
    course.events.retain(|(header, _)| header.id.sequence <= last);
    course.portions.retain(|(stamp, _)| stamp.sequence <= last);
    let time = course.events.last().unwrap().0.time;
    course.portions.push((Stamp { sequence: last, time }, course.events.len()));
    let folder = Folder::new();
    course.write(&mut open(&folder.data()));
    let whole = files(&folder.data());
    (folder, course, whole)
}

#[test]
fn no_flipped_bit_yields_a_wrong_event_and_all_of_them_heal() {
    let seed = seed(25);
    let mut random = SplitMix64(seed);
    let (folder, course, whole) = written(&mut random, 3_100);
    let (data, truth) = (folder.data(), Truth::of(&course));
    assert_eq!(whole.len(), 3, "a complete file of events, its index, and one that grows");
    let mut number = 0;
    for (name, bytes) in &whole {
        // All regions: the first headers, then anywhere.
        let somewhere = (0..25).map(|_| usize::try_from(random.below(bytes.len() as u64)).unwrap());
        let places: BTreeSet<usize> = (0..176).step_by(5).chain(somewhere).chain([bytes.len() - 1]).collect();
        for place in places {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << random.below(8);
            fs::write(path(&data, name), &damaged).unwrap();
            let story = format!("SEED={seed} {name} byte {place}");
            assert_nothing_wrong(&data, &truth, &story);
            number += 1;
            if number % 8 == 0 {
                assert_heals(&data, &course, &whole, &story);
            }
            restore(&data, &whole);
        }
    }
}

#[test]
fn whatever_is_cut_missing_or_garbage_is_derived_again() {
    let seed = seed(26);
    let mut random = SplitMix64(seed);
    let (folder, course, whole) = written(&mut random, 3_100);
    let (data, truth) = (folder.data(), Truth::of(&course));
    for (name, bytes) in &whole {
        let lengths = [0, 1, 87, 88, 89, 160, bytes.len() / 2, bytes.len() - 60, bytes.len() - 1];
        let somewhere = (0..4).map(|_| usize::try_from(random.below(bytes.len() as u64)).unwrap());
        for length in lengths.into_iter().chain(somewhere) {
            fs::write(path(&data, name), &bytes[..length]).unwrap();
            let story = format!("SEED={seed} {name} cut to {length}");
            assert_nothing_wrong(&data, &truth, &story);
            assert_heals(&data, &course, &whole, &story);
            restore(&data, &whole);
        }
        fs::remove_file(path(&data, name)).unwrap();
        assert_nothing_wrong(&data, &truth, &format!("{name} missing"));
        assert_heals(&data, &course, &whole, &format!("{name} missing"));
        restore(&data, &whole);
        for length in [1, 60, 5_000] {
            let garbage: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            fs::write(path(&data, name), [bytes.as_slice(), &garbage].concat()).unwrap();
            let story = format!("SEED={seed} {name} with {length} bytes of garbage behind it");
            assert_nothing_wrong(&data, &truth, &story);
            assert_heals(&data, &course, &whole, &story);
            restore(&data, &whole);
        }
    }
    // Zeros, as a power loss leaves of what was not synced.
    for (name, bytes) in &whole {
        let from = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        let mut zeroed = bytes.clone();
        zeroed[from..].fill(0);
        fs::write(path(&data, name), &zeroed).unwrap();
        let story = format!("SEED={seed} {name} zero from {from} on");
        assert_nothing_wrong(&data, &truth, &story);
        assert_heals(&data, &course, &whole, &story);
        restore(&data, &whole);
    }
}

/// No fault of a disk leaves this; whoever makes it up may hide events, and stops nobody.
#[test]
fn bytes_that_contradict_themselves_under_good_checksums_stop_nobody() {
    let seed = seed(36);
    let mut random = SplitMix64(seed);
    let (folder, course, whole) = written(&mut random, 3_100);
    let (data, truth) = (folder.data(), Truth::of(&course));
    let events = &whole[0].1;
    let pages: Vec<_> =
        events.windows(4).enumerate().filter(|(_, window)| *window == b"RPAG").map(|(at, _)| at).collect();
    for _ in 0..60 {
        let mut forged = events.clone();
        let page = pages[usize::try_from(random.below(pages.len() as u64)).unwrap()];
        forge(&mut forged[page + 4..page + 68], &mut random);
        let checksum = common::crc32c(&forged[page..page + 68]);
        forged[page + 68..page + 72].copy_from_slice(&checksum.to_le_bytes());
        fs::write(path(&data, "00000001.events"), forged).unwrap();
        assert_nothing_wrong(&data, &truth, &format!("SEED={seed}, the page at {page}"));
    }
    restore(&data, &whole);
    let index = &whole[1].1;
    for round in 0..60 {
        let mut forged = index.clone();
        let number = if round == 0 { 1 } else { random.below(forged.len() as u64 / 4_096) };
        let sheet = &mut forged[usize::try_from(number).unwrap() * 4_096..][..4_096];
        match round {
            // Where the first page is.
            0 => sheet[..8].fill(0xFF),
            _ => forge(&mut sheet[..400], &mut random),
        }
        let checksum = common::crc32c(&[&number.to_le_bytes(), &sheet[..4_092]].concat());
        sheet[4_092..].copy_from_slice(&checksum.to_le_bytes());
        fs::write(path(&data, "00000001.index"), forged).unwrap();
        let Ok(Some(history)) = History::open(&data) else { continue };
        for (key, truth) in &truth.0 {
            let found = history.events(&Query { key: *key, ..Query::default() }).map_while(Result::ok);
            for event in found {
                let place = truth.binary_search_by_key(&event.0.id, |(header, _)| header.id);
                assert!(place.is_ok_and(|place| truth[place] == event), "SEED={seed}, sheet {number}");
            }
        }
    }
    restore(&data, &whole);
    assert_heals(&data, &course, &whole, "forged");
}

/// Sets a few bytes to values at which numbers end.
fn forge(bytes: &mut [u8], random: &mut SplitMix64) {
    let at = usize::try_from(random.below(bytes.len() as u64 - 8)).unwrap();
    let length = 1 + usize::try_from(random.below(8)).unwrap();
    let value = [0, 1, 0x7F, 0x80, 0xFF][usize::try_from(random.below(5)).unwrap()];
    bytes[at..at + length].fill(value);
}

#[test]
fn a_page_or_file_in_another_ones_place_is_found() {
    let mut random = SplitMix64(seed(27));
    let (folder, course, whole) = written(&mut random, 3_100);
    let (data, truth) = (folder.data(), Truth::of(&course));
    let bytes = |name: &str| whole.iter().find(|(whole, _)| whole == name).unwrap().1.clone();
    for (from, to) in [("1.events", "2.events"), ("2.events", "1.events"), ("1.index", "2.index")] {
        let (from, to) = (format!("0000000{from}"), format!("0000000{to}"));
        fs::write(path(&data, &to), bytes(&from)).unwrap();
        let story = format!("{from} as {to}");
        assert_nothing_wrong(&data, &truth, &story);
        assert_heals(&data, &course, &whole, &story);
        restore(&data, &whole);
    }
    // The first page twice.
    let file = bytes("00000001.events");
    let at: Vec<_> = file.windows(4).enumerate().filter(|(_, window)| *window == b"RPAG").map(|(at, _)| at).collect();
    let doubled = [&file[..at[1]], &file[at[0]..]].concat();
    fs::write(path(&data, "00000001.events"), doubled).unwrap();
    assert_nothing_wrong(&data, &truth, "a page doubled");
    assert_heals(&data, &course, &whole, "a page doubled");
}

#[test]
fn damage_is_reported_with_what_was_done() {
    let mut random = SplitMix64(seed(28));
    let (folder, _, whole) = written(&mut random, 3_100);
    let data = folder.data();
    let (name, mut bytes) = whole[0].clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path(&data, &name), bytes).unwrap();
    let writer = open(&data);
    let report = writer.report();
    let cut = report.cut.first().expect("a file that was cut");
    assert!(cut.file.ends_with("00000001.events") && cut.reason.contains("checksum"), "{cut:?}");
    let removed: Vec<_> = report.removed.iter().map(|removed| removed.file.file_name().unwrap()).collect();
    assert_eq!(removed, ["00000001.index", "00000002.events"]);
    assert!(writer.last() < Sequence(2_048) && writer.last().0.is_multiple_of(1_024));
}

#[test]
fn a_wrong_index_alone_is_made_again_from_its_events() {
    let mut random = SplitMix64(seed(29));
    let (folder, course, whole) = written(&mut random, 3_100);
    let data = folder.data();
    fs::write(path(&data, "00000001.index"), b"no index").unwrap();
    let writer = open(&data);
    assert_eq!(writer.report().indexed, [path(&data, "00000001.index")]);
    assert!(writer.report().removed.is_empty() && writer.report().cut.is_empty());
    assert_eq!(writer.last(), course.last_whole());
    assert!(files(&data) == whole);
}

#[test]
fn a_history_of_other_events_is_found_at_the_end_of_their_block() {
    let mut random = SplitMix64(seed(30));
    let (folder, course, _) = written(&mut random, 3_000);
    let mut others = Course { events: course.events.clone(), portions: course.portions.clone() };
    let odd = others.events.iter_mut().find(|(header, _)| header.id.sequence > Sequence(1_500)).unwrap();
    odd.0.received_at = Timestamp(7);
    let mut writer = open(&folder.data());
    match others.write_behind(&mut writer, Sequence::NONE) {
        Err(HistoryError::Differs { block, recorded, .. }) => {
            assert_eq!((block.0, recorded), (1, course.digests()[1]));
        }
        other => panic!("{other:?}"),
    }
    drop(writer);
    let mut writer = open(&folder.data());
    let begun = writer.begin(Sequence(1_024), 0, Digest([7; 32]));
    assert!(matches!(begun, Err(HistoryError::Differs { computed: Digest([7, ..]), .. })), "{begun:?}");
}

#[test]
fn what_is_no_longer_kept_is_said_to_be_gone() {
    let mut random = SplitMix64(seed(31));
    let course = Course::new(&mut random, 9_000);
    let everything = Folder::new();
    course.write(&mut open(&everything.data()));
    let sizes: Vec<u64> = files(&everything.data())
        .iter()
        .filter(|(name, _)| name.ends_with(".events"))
        .map(|(_, bytes)| bytes.len() as u64)
        .collect();
    // The last two whole files and the one behind them.
    let newest: u64 = sizes.iter().rev().take(3).sum();
    let time_of = |sequence| course.events.iter().find(|(header, _)| header.id.sequence >= sequence).unwrap().0.time;
    let first = Sequence(sizes.len() as u64 * 2_048 - 3 * 2_048 + 1);
    let end = time_of(Sequence((sizes.len() as u64 - 1) * 2_048 + 1));
    for retention in [Retention::Bytes(newest), Retention::Age(Nanoseconds(end.0 - time_of(first).0))] {
        let folder = Folder::new();
        let options = HistoryOptions { retention, ..options() };
        let mut writer = HistoryWriter::open(&folder.data(), JOURNAL, &options).unwrap();
        course.write(&mut writer);
        for history in [writer.reader(), History::open(&folder.data()).unwrap().unwrap()] {
            assert_eq!(history.first(), first, "{retention:?}");
            let kept = course.matching(|header, _| header.id.sequence >= first && header.id.sequence <= history.last());
            assert!(found(&history, &Query::default()) == kept);
            for from in [Seek::Sequence(Sequence(first.0 - 1)), Seek::Time(Timestamp(1_000))] {
                let query = Query { from: Some(from), ..Query::default() };
                let told: Vec<_> = history.events(&query).collect();
                assert!(
                    matches!(told.as_slice(), [Err(HistoryError::Gone { first: told })] if *told == first),
                    "{told:?}"
                );
            }
            let query = Query { from: Some(Seek::Sequence(first)), ..Query::default() };
            assert!(found(&history, &query) == kept);
        }
        // A start goes on with what is kept; the files are those of a history that keeps everything.
        drop(writer);
        let mut writer = HistoryWriter::open(&folder.data(), JOURNAL, &options).unwrap();
        assert!(writer.report().removed.is_empty());
        assert_eq!(writer.reader().first(), first);
        course.write(&mut writer);
        let all = files(&everything.data());
        assert!(files(&folder.data()).iter().all(|file| all.contains(file)), "{retention:?}");
        drop(writer);
        // Who keeps everything begins again.
        let writer = open(&folder.data());
        assert_eq!(writer.last(), Sequence::NONE);
        assert!(!writer.report().removed.is_empty() && files(&folder.data()).is_empty());
    }
}

#[test]
fn on_a_full_disk_it_does_not_grow_and_goes_on_when_there_is_room() {
    let mut random = SplitMix64(seed(32));
    let course = Course::new(&mut random, 9_000);
    let [whole, full] = [Folder::new(), Folder::new()];
    course.write(&mut open(&whole.data()));
    let mut writer = open(&full.data());
    // Every write to the second file finds the disk full.
    std::os::unix::fs::symlink("/dev/full", path(&full.data(), "00000002.events")).unwrap();
    let history = writer.reader();
    let (mut before, mut refused) = (0, 0);
    for &(stamp, count) in &course.portions {
        for (header, event) in &course.events[before..count] {
            writer.event(header, event);
        }
        before = count;
        let mut outcome = writer.applied(stamp);
        if let Err(error) = &outcome {
            assert!(matches!(error, HistoryError::Io { file, .. } if file.ends_with("00000002.events")), "{error}");
            // What could not be written is seen all the same.
            assert!(found(&history, &Query::default()) == course.events[..count]);
            refused += 1;
            if refused == 5 {
                fs::remove_file(path(&full.data(), "00000002.events")).unwrap();
                outcome = writer.applied(stamp);
                outcome.unwrap();
            }
        }
    }
    assert_eq!(refused, 5);
    assert!(found(&history, &Query::default()) == course.events);
    assert!(files(&whole.data()) == files(&full.data()));
}

#[test]
fn the_journal_comes_first_on_a_disk_that_fills() {
    let mut random = SplitMix64(seed(33));
    let course = Course::new(&mut random, 2_000);
    let folder = Folder::new();
    let options = HistoryOptions { reserve_bytes: u64::MAX, ..options() };
    let mut writer = HistoryWriter::open(&folder.data(), JOURNAL, &options).unwrap();
    let outcome = course.write_behind(&mut writer, Sequence::NONE);
    assert!(matches!(outcome, Err(HistoryError::NoRoom { reserve_bytes: u64::MAX, .. })), "{outcome:?}");
    assert!(files(&folder.data()).is_empty());
}

#[test]
fn another_journals_history_is_not_touched() {
    let mut random = SplitMix64(seed(34));
    let (folder, _, whole) = written(&mut random, 2_100);
    let other = JournalId(*b"another journal!");
    match HistoryWriter::open(&folder.data(), other, &options()) {
        Err(HistoryError::Foreign { found, expected, .. }) => assert_eq!((found, expected), (JOURNAL, other)),
        other => panic!("{other:?}"),
    }
    // Nor is one of another version, whose header is whole.
    let mut bytes = whole[0].1.clone();
    bytes[8] = 2;
    let checksum = common::crc32c(&bytes[..84]);
    bytes[84..88].copy_from_slice(&checksum.to_le_bytes());
    fs::write(path(&folder.data(), &whole[0].0), &bytes).unwrap();
    let opened = HistoryWriter::open(&folder.data(), JOURNAL, &options());
    assert!(matches!(opened, Err(HistoryError::Version { version: 2, .. })), "{opened:?}");
    assert!(matches!(History::open(&folder.data()), Err(HistoryError::Version { version: 2, .. }) | Ok(_)));
    assert_eq!(fs::read(path(&folder.data(), &whole[0].0)).unwrap(), bytes);
}

#[test]
fn damage_that_a_quick_start_passes_over_is_found_when_it_is_read() {
    let mut random = SplitMix64(seed(35));
    let (folder, course, whole) = written(&mut random, 3_100);
    let (name, mut bytes) = whole[0].clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path(&folder.data(), &name), bytes).unwrap();
    let options = HistoryOptions { verification: Verification::Newest, ..options() };
    let writer = HistoryWriter::open(&folder.data(), JOURNAL, &options).unwrap();
    assert_eq!(writer.last(), course.last_whole());
    let read: Vec<_> = writer.reader().events(&Query::default()).collect();
    assert!(matches!(read.last(), Some(Err(HistoryError::Damaged { file, .. })) if file.ends_with("00000001.events")));
    assert_nothing_wrong(&folder.data(), &Truth::of(&course), "one bit");
}

#[test]
fn a_folder_without_a_history_has_none() {
    let folder = Folder::new();
    assert!(History::open(&folder.data()).unwrap().is_none());
    let writer = open(&folder.data());
    assert!(writer.report().is_clean());
    assert_eq!(
        (writer.last(), writer.reader().first(), writer.reader().last()),
        (Sequence(0), Sequence(1), Sequence(0))
    );
    assert!(found(&writer.reader(), &Query::default()).is_empty());
    assert!(History::open(&folder.data()).unwrap().is_none());
}

//! Bytes to the files of a journal: reader and opener never panic, agree with each other and with the format's
//! description, and what is refused stays as it was.
//!
//! ```text
//!  0         1       2        3             3 + 2n
//!  ├─────────┼───────┼────────┼─────────────┼─────────────────────────────────────────────┼───── ...
//!  │ mending │ names │ files  │ n lengths   │ file, offset (2), length; so many bytes     │ piece
//!  └─────────┴───────┴────────┴─────────────┴─────────────────────────────────────────────┴───── ...
//! ```
//!
//! Files are zeros into which pieces are laid; most of a segment is zeros. Then checksums, hashes and numbers are made
//! right, as far as the first byte says; then the late pieces are laid over that, as damage.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use engine::command::{AdminNote, AdvanceTime, CancelOrder, Deposit, NewOrder};
use engine::*;
use journal::error::OpenError;
use journal::{
    Append, Appender, Cut, Digest, HeadOutcome, Journal, JournalId, Opened, Options, ReadError, Reader, Verified,
};
use tempfile::TempDir;

use crate::disk::{Disk, FOLDER};
use crate::format::{Ending, File, Judgement, Mending, judge, mend, record_of};

const FILES_MAX: u8 = 3;
const SEGMENT_BYTES: u64 = 16_384;
const LATE: u8 = 0x80;

thread_local! {
    static FOLDER_OF_HEAD: TempDir = head_folder();
}

/// Reads and opens the journal that `bytes` describe, and holds both to what is promised.
///
/// # Panics
/// If a promise does not hold.
pub fn check(bytes: &[u8]) {
    let Some((names, contents)) = files_of(bytes) else { return };
    let mut files = named(names, contents);
    let (segments, bad) = segments_of(&files);
    let disk = Disk::new(&files);
    let (read, records) = read(&disk);
    match (&read, bad) {
        (Ok(None), None) => return,
        (Err(error), Some(name)) => assert_eq!(place(error), (name, 0)),
        (read, None) => compare(read, &records, &judge(&segments), &segments),
        (read, Some(name)) => panic!("{name} is no name of a segment, and yet {read:?}"),
    }
    assert_eq!(disk.files(), files, "reading changes nothing");
    if !judge(&segments).is_checked {
        // Opening may cut the batch that vouches for another one's wrong checksums. No writer writes those.
        return;
    }
    match open(&disk) {
        Err(OpenError::Read(error)) => {
            assert_eq!(place(&error), place(&read.expect_err("the reader refuses what the opener refuses")));
            assert_eq!(disk.files(), files, "what is refused stays as it was");
        }
        Err(OpenError::Behaviour { version, .. }) => {
            assert_ne!(version, engine::limits::BEHAVIOUR, "a version that is carried");
            assert_eq!(disk.files(), files, "what is refused stays as it was");
        }
        Err(error) => panic!("{error}"),
        Ok(opened) => {
            let verified = read.expect("the opener refuses what the reader refuses").expect("a journal");
            files.retain(|name, _| !name.ends_with(".spare"));
            go_on(&disk, opened, &verified, records);
            kept(&disk.files(), &segments);
        }
    }
}

/// For lock and head; in shared memory, where there is, because every input makes a head.
fn head_folder() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a folder")
}

type Records = Vec<(u16, Vec<u8>)>;

/// Everything that a reader gives, and how it ends.
fn read(disk: &Disk) -> (Result<Option<Verified>, ReadError>, Records) {
    let mut records = Records::new();
    let mut reader = match Reader::with_storage(Arc::new(disk.clone())) {
        Ok(Some(reader)) => reader,
        Ok(None) => return (Ok(None), records),
        Err(error) => return (Err(error), records),
    };
    for entry in &mut reader {
        match entry {
            Ok(entry) => records.push(record_of(&entry)),
            Err(error) => return (Err(error), records),
        }
    }
    assert!(reader.next().is_none(), "an end is an end");
    (Ok(Some(reader.verified().clone())), records)
}

fn place(error: &ReadError) -> (String, u64) {
    match error {
        ReadError::Damaged { file, offset, fault } => {
            assert!(!fault.to_string().is_empty());
            (name_of(file), *offset)
        }
        ReadError::NoJournal { .. } | ReadError::Io { .. } => panic!("{error}"),
    }
}

fn name_of(file: &Path) -> String {
    file.strip_prefix(FOLDER).expect("in the folder").to_string_lossy().into_owned()
}

fn compare(read: &Result<Option<Verified>, ReadError>, records: &Records, judged: &Judgement, segments: &[File]) {
    let ending = match read {
        Ok(None) => panic!("there are segments"),
        Err(error) => {
            let (name, offset) = place(error);
            Ending::Damaged(name, offset)
        }
        Ok(Some(verified)) => {
            let count = judged.batches.len() as u64;
            assert_eq!((verified.last.0, verified.chain.0, verified.batch_count), (judged.last, judged.chain, count));
            assert_eq!(verified.command_count(), judged.last);
            assert_eq!(verified.seal.is_some(), judged.is_sealed);
            match &verified.cut {
                None => Ending::Whole,
                Some(Cut { file, offset, length, .. }) => {
                    let (_, bytes) = segments.iter().find(|(name, _)| *name == name_of(file)).expect("a segment");
                    assert!(offset + length <= bytes.len() as u64);
                    Ending::Cut(name_of(file), *offset)
                }
            }
        }
    };
    assert_eq!(ending, judged.ending);
    // Of a batch with a value that does not decode, those before it are read.
    let read = if matches!(ending, Ending::Damaged(..)) { &records[..judged.records.len()] } else { records };
    assert!(*read == judged.records, "what is read is what the format says");
}

fn open(disk: &Disk) -> Result<Opened, OpenError> {
    let identity = match Reader::with_storage(Arc::new(disk.clone())) {
        Ok(Some(reader)) => Some(*reader.identity()),
        Ok(None) | Err(_) => None,
    };
    FOLDER_OF_HEAD.with(|folder| {
        let options = Options {
            venue: identity.map_or(1, |it| it.venue),
            shard: identity.map_or(0, |it| it.shard),
            term: u64::MAX,
            ..options(disk, folder.path(), identity.map_or(Capacity::SMALL, |it| it.capacity))
        };
        Journal::open(folder.path(), &options)
    })
}

fn options(disk: &Disk, folder: &Path, capacity: Capacity) -> Options {
    Options {
        segment_bytes: SEGMENT_BYTES,
        head_bytes: 4_096,
        head_directory: Some(folder.to_owned()),
        journal_id: Some(JournalId(*b"a journal's name")),
        storage: Some(Arc::new(disk.clone())),
        ..Options::new(capacity)
    }
}

/// What was opened holds what was read, and takes more.
fn go_on(disk: &Disk, opened: Opened, verified: &Verified, mut records: Records) {
    let Opened { journal, mut appender, recovery } = opened;
    assert_eq!((recovery.found.as_ref(), recovery.head), (Some(verified), HeadOutcome::Absent));
    assert_eq!(recovery.last, verified.last);
    let (_, before) = read(disk);
    assert!(before == records, "opening loses nothing and adds nothing");
    for number in 1..=2 {
        let command = stamped(verified.last.0 + number, AdvanceTime {}.into());
        append(&journal, &mut appender, &command);
        records.push(record_of(&journal::Entry::Command(command)));
    }
    let seal = journal::Seal { last: Sequence(verified.last.0 + 2), event_digest: Digest([7; 32]) };
    journal.close(appender, seal.event_digest).expect("a disk that works");
    records.push(record_of(&journal::Entry::Seal(seal)));
    let (after, again) = read(disk);
    let after = after.expect("what was written is read").expect("a journal");
    assert_eq!((after.seal, after.cut), (Some(seal), None));
    assert!(again == records, "what was recovered and what was appended, in order");
}

/// Whatever counted is where it was.
fn kept(now: &BTreeMap<String, Vec<u8>>, segments: &[File]) {
    for (file, at, length) in judge(segments).batches {
        let (name, before) = &segments[file];
        assert_eq!(now[name][at..at + length], before[at..at + length], "a batch that counts is never rewritten");
    }
}

/// The byte that says how files are called, and their bytes; nothing if these are no description.
fn files_of(bytes: &[u8]) -> Option<(u8, Vec<Vec<u8>>)> {
    let (&[mending, names, count], rest) = bytes.split_first_chunk()?;
    let (lengths, pieces) = rest.split_at_checked(2 * usize::from(count % FILES_MAX + 1))?;
    let mut contents: Vec<_> = lengths.as_chunks().0.iter().map(|length| vec![0; length_of(*length)]).collect();
    lay(&mut contents, pieces, 0);
    mend(&mut contents, Mending(mending));
    lay(&mut contents, pieces, LATE);
    Some((names, contents))
}

/// Steps of 64 bytes, and some bytes more, up to a quarter of a MiB.
fn length_of(bytes: [u8; 2]) -> usize {
    let number = usize::from(u16::from_le_bytes(bytes));
    (number >> 4) * 64 + (number & 15)
}

fn lay(contents: &mut [Vec<u8>], mut pieces: &[u8], late: u8) {
    while let Some((&[file, low, high, length], rest)) = pieces.split_first_chunk() {
        let (piece, behind) = rest.split_at(rest.len().min(length.into()));
        let at = usize::from(low) | usize::from(high) << 8 | usize::from(file & 0x30) << 12;
        if file & LATE == late
            && let Some(content) = contents.get_mut(usize::from(file & 3))
            && let Some(place) = content.get_mut(at..at + piece.len())
        {
            place.copy_from_slice(piece);
        }
        pieces = behind;
    }
}

/// The files by name, some of which may be odd.
fn named(names: u8, contents: Vec<Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> =
        (1..).zip(contents).map(|(number, content)| (segment_name(number), content)).collect();
    let odd = match names % 8 {
        1 => ("00000001.seg", "00000001.spare"),
        2 => ("00000002.seg", "00000002.spare"),
        3 => ("00000002.seg", "2.seg"),
        4 => ("00000002.seg", "00000002.seg.cut"),
        5 => ("00000003.seg", "00000000.seg"),
        _ => return files,
    };
    if let Some(content) = files.remove(odd.0) {
        files.insert(odd.1.to_owned(), content);
    }
    files
}

fn segment_name(number: u64) -> String {
    format!("{number:08}.seg")
}

/// The segments in order, and the first file whose name does not belong there.
fn segments_of(files: &BTreeMap<String, Vec<u8>>) -> (Vec<File>, Option<String>) {
    let segments: Vec<File> = files
        .iter()
        .filter(|(name, _)| name.ends_with(".seg"))
        .map(|(name, bytes)| (name.clone(), bytes.clone()))
        .collect();
    let misspelled = |name: &str| name.len() != 12 || name == "00000000.seg";
    let bad = segments.iter().find(|(name, _)| misspelled(name)).or_else(|| {
        (1..).zip(&segments).find(|(number, (name, _))| *name != segment_name(*number)).map(|(_, file)| file)
    });
    let bad = bad.map(|(name, _)| name.clone());
    (segments, bad)
}

fn stamped(sequence: u64, value: CommandBody) -> Sequenced<Command> {
    let stamp = Stamp { sequence: Sequence(sequence), time: Timestamp(sequence) };
    Sequenced { stamp, value: Command { header: CommandHeader::VENUE, body: value } }
}

fn append(journal: &Journal, appender: &mut Appender, command: &Sequenced<Command>) {
    appender.append(command).and_then(|()| appender.publish()).expect("a disk that works");
    journal.wait_released(command.stamp.sequence).expect("a disk that works");
}

/// Inputs to begin with: journals that were written, sealed and not, of one, two and three segments.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let journals = journals();
    let seeds = journals.iter().flat_map(|(name, files)| {
        [("", 0), ("-mended", Mending::ALL)].map(|(kind, mending)| (format!("{name}{kind}"), described(files, mending)))
    });
    seeds.collect()
}

/// The same journals' first segments.
pub(crate) fn first_segments() -> impl Iterator<Item = (String, Vec<u8>)> {
    journals().into_iter().map(|(name, mut files)| (name, files.swap_remove(0)))
}

fn journals() -> Vec<(String, Vec<Vec<u8>>)> {
    let mut journals = Vec::new();
    for (name, commands, together) in
        [("empty", 0, 1), ("one", 1, 1), ("batch", 30, 30), ("two", 4, 1), ("three", 8, 1)]
    {
        journals.push((name.to_owned(), written(commands, together, false)));
        journals.push((format!("{name}-sealed"), written(commands, together, true)));
    }
    journals
}

/// The segments of a journal of so many commands, so many of them in a batch.
fn written(commands: u64, together: u64, sealed: bool) -> Vec<Vec<u8>> {
    let folder = head_folder();
    let disk = Disk::new(&BTreeMap::new());
    let options = options(&disk, folder.path(), Capacity::SMALL);
    let opened = Journal::open(folder.path(), &options).expect("a new journal");
    let Opened { journal, mut appender, .. } = opened;
    for sequence in 1..=commands {
        let command = stamped(sequence, body(sequence));
        appender.append(&command).expect("a disk that works");
        if sequence % together == 0 {
            appender.publish().expect("a disk that works");
            journal.wait_released(command.stamp.sequence).expect("a disk that works");
        }
    }
    if sealed {
        journal.close(appender, Digest([9; 32])).expect("a disk that works");
    } else {
        drop(appender);
    }
    disk.files().into_iter().filter(|(name, _)| name.ends_with(".seg")).map(|(_, bytes)| bytes).collect()
}

fn body(number: u64) -> CommandBody {
    let account = AccountId(2);
    match number % 4 {
        0 => AdvanceTime {}.into(),
        1 => Deposit { account, asset: AssetId(1), amount: Amount(500), note: AdminNote::NONE }.into(),
        2 => NewOrder {
            account,
            instrument: InstrumentId(1),
            client_order_id: ClientOrderId(number),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::Keep,
            price: Price(100),
            quantity: Quantity(5),
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        }
        .into(),
        _ => CancelOrder {
            account,
            order_id: OrderId(1),
            original_client_order_id: ClientOrderId(number),
            client_order_id: ClientOrderId(number),
        }
        .into(),
    }
}

/// Files as an input: pieces where they are not zero.
fn described(files: &[Vec<u8>], mending: u8) -> Vec<u8> {
    assert!((1..=usize::from(FILES_MAX)).contains(&files.len()), "{} segments", files.len());
    let mut bytes = vec![mending, 0, u8::try_from(files.len() - 1).expect("few")];
    for file in files {
        assert!(file.len().is_multiple_of(64));
        bytes.extend(u16::try_from(file.len() / 64 * 16).expect("a small file").to_le_bytes());
    }
    for (index, file) in (0..).zip(files) {
        for (chunk, piece) in file.chunks(64).enumerate() {
            let used = piece.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
            if used > 0 {
                let at = u16::try_from(chunk * 64).expect("a small file").to_le_bytes();
                bytes.extend([index, at[0], at[1], u8::try_from(used).expect("a piece")]);
                bytes.extend(&piece[..used]);
            }
        }
    }
    let (_, again) = files_of(&bytes).expect("a description");
    assert_eq!(again, files, "the description says what there is");
    bytes
}

//! Recordings: everything that a subscriber received, in its order and with its times, in a file; and its replay.
//!
//! ```text
//!   header, 32 bytes    "RIALTOMD" │ version u16 │ 0 u16 │ packets u32 │ waiting_max u32 │ 0 u64 │ CRC-32C u32
//!   record: head, 24    length u32 │ kind u8 │ 0 u24 │ received at u64 │ CRC-32C of the content │ CRC-32C of the head
//!           content     length bytes: 1 a packet, 2 a snapshot, 3 a message of the control lane in its frame
//! ```
//!
//! Numbers are little-endian; a time that is absent is 2⁶⁴ - 1. `packets` and `waiting_max` are the subscriber's
//! [`Patience`], without which the same packets would make another gap. A head has a checksum of its own, so that a length
//! is believed before its content is read: a file that ends within a record was torn while it was written, and one with
//! a wrong checksum is damaged. A [`Subscription`] has no clock and draws nothing at random, so that whatever a live one
//! made of what it received, a [`Player`] makes again: updates, books, counters.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use bytes::Bytes;
use wire::{FeedLevel, SecurityId, Timestamp};

use crate::book::Book;
use crate::packet::{self, PacketError};
use crate::received::{Content, Received, Stamps};
use crate::subscriber::SNAPSHOT_BYTES_MAX;
use crate::subscription::{GapCounters, Patience, Subscription, Update};

/// Which layout of the file this is.
pub const VERSION: u16 = 1;
const MAGIC: [u8; 8] = *b"RIALTOMD";
const HEADER_LENGTH: usize = 32;
const HEAD_LENGTH: usize = 24;
/// What nothing longer is believed to be; a subscriber takes no more either.
const CONTENT_BYTES_MAX: usize = SNAPSHOT_BYTES_MAX;
/// An absent time.
const NO_TIME: u64 = u64::MAX;
/// Bytes that are written and read at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// What a recording has, so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contents {
    /// Packets, those that were sent again among them.
    pub packets: u64,
    /// Messages that they say they have.
    pub messages: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Messages of the control lane.
    pub controls: u64,
    /// Bytes of all that, without what the file adds.
    pub bytes: u64,
    /// When the first was received; `None`: there is none, or no clock was.
    pub first_at: Option<Timestamp>,
    /// When the last was received.
    pub last_at: Option<Timestamp>,
}

impl Contents {
    fn add(&mut self, received: &Received) {
        let bytes = received.content.bytes();
        match received.content {
            Content::Packet(_) => {
                self.packets += 1;
                self.messages += packet::open(bytes).map_or(0, |(header, _)| header.message_count.0.into());
            }
            Content::Snapshot(_) => self.snapshots += 1,
            Content::Control(_) => self.controls += 1,
        }
        self.bytes += bytes.len() as u64;
        self.first_at = self.first_at.or(received.at);
        self.last_at = received.at.or(self.last_at);
    }
}

/// Writes a recording.
#[derive(Debug)]
pub struct Recorder {
    out: BufWriter<File>,
    contents: Contents,
    /// A write failed: what would follow half a record could not be read.
    has_failed: bool,
}

impl Recorder {
    /// A new recording of a subscriber with this patience.
    ///
    /// # Errors
    /// If the file is there already, or cannot be made.
    pub fn create(file: &Path, patience: Patience) -> io::Result<Self> {
        let file = File::options().write(true).create_new(true).open(file)?;
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
        out.write_all(&header(patience)?)?;
        Ok(Self { out, contents: Contents::default(), has_failed: false })
    }

    /// Appends what was received.
    ///
    /// # Errors
    /// If it is longer than anything that a venue sends, or the file cannot be written; then nothing more is.
    pub fn write(&mut self, received: &Received) -> io::Result<()> {
        if self.has_failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        let head = head(received)?;
        let bytes = received.content.bytes();
        let written = self.out.write_all(&head).and_then(|()| self.out.write_all(bytes));
        self.has_failed = written.is_err();
        written?;
        self.contents.add(received);
        Ok(())
    }

    /// What was written.
    pub fn contents(&self) -> Contents {
        self.contents
    }

    /// Hands to the system what is buffered.
    ///
    /// # Errors
    /// If it does not take it; then nothing more is written.
    pub fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.has_failed |= flushed.is_err();
        flushed
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// If that fails, or a write has failed.
    pub fn finish(mut self) -> io::Result<Contents> {
        if self.has_failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        self.flush()?;
        self.out.get_ref().sync_all()?;
        Ok(self.contents)
    }
}

fn header(patience: Patience) -> io::Result<[u8; HEADER_LENGTH]> {
    let mut header = [0; HEADER_LENGTH];
    header[..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    for (at, count) in [(12, patience.packets), (16, patience.waiting_max)] {
        let count = u32::try_from(count).map_err(|_| io::Error::other("a patience of more than 2^32 packets"))?;
        header[at..at + 4].copy_from_slice(&count.to_le_bytes());
    }
    seal(&mut header);
    Ok(header)
}

fn head(received: &Received) -> io::Result<[u8; HEAD_LENGTH]> {
    let bytes = received.content.bytes();
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= CONTENT_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("longer than anything that a venue sends"))?;
    let kind: u8 = match received.content {
        Content::Packet(_) => 1,
        Content::Snapshot(_) => 2,
        Content::Control(_) => 3,
    };
    let mut head = [0; HEAD_LENGTH];
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4] = kind;
    head[8..16].copy_from_slice(&received.at.map_or(NO_TIME, |at| at.0).to_le_bytes());
    head[16..20].copy_from_slice(&crc32c(bytes).to_le_bytes());
    seal(&mut head);
    Ok(head)
}

/// Writes the checksum of what is before it.
fn seal(bytes: &mut [u8]) {
    let (content, checksum) = bytes.split_at_mut(bytes.len() - 4);
    checksum.copy_from_slice(&crc32c(content).to_le_bytes());
}

fn is_sealed(bytes: &[u8]) -> bool {
    bytes.split_last_chunk().is_some_and(|(content, checksum)| crc32c(content) == u32::from_le_bytes(*checksum))
}

fn crc32c(bytes: &[u8]) -> u32 {
    let checksum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes);
    u32::try_from(checksum).expect("a CRC-32 has 32 bits")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("within a header"))
}

/// Why a recording is not read any further.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It begins otherwise, or ends within its header.
    #[error("no recording of market data")]
    NotARecording,
    /// Another program's.
    #[error("a recording of version {found}, and this program reads version {VERSION}")]
    Version {
        /// The file's.
        found: u16,
    },
    /// A record is not as it was written. Up to there everything is.
    #[error("damaged at offset {offset}: {fault}")]
    Damaged {
        /// Where the record begins.
        offset: u64,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A record is as it was written, and the subscriber refused it.
    #[error("what was received is no market data, offset {offset}: {source}")]
    Refused {
        /// Where the record begins.
        offset: u64,
        /// What is wrong with it.
        source: PacketError,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl RecordingError {
    /// Where in the file; `None`: nowhere in particular.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Damaged { offset, .. } | Self::Refused { offset, .. } => Some(*offset),
            Self::NotARecording | Self::Version { .. } | Self::Io(_) => None,
        }
    }
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The header's or a head's checksum is not that of its bytes.
    #[error("the checksum of its head differs")]
    Head,
    /// The content's checksum is not that of its bytes.
    #[error("the checksum of its content differs")]
    Content,
    /// It is of a kind that this version does not have.
    #[error("it is of kind {0}, which does not exist")]
    Kind(u8),
    /// It is longer than anything that is recorded.
    #[error("its length of {0} bytes is more than any record has")]
    Length(u32),
}

/// A record that was not written to its end: it is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn {
    /// Where it begins.
    pub offset: u64,
    /// How much of it is there.
    pub bytes: u64,
}

/// Reads a recording, record by record.
#[derive(Debug)]
pub struct Records<R> {
    input: R,
    patience: Patience,
    /// Where the next record begins.
    offset: u64,
    torn: Option<Torn>,
    is_over: bool,
}

impl<R: Read> Records<R> {
    /// Begins to read.
    ///
    /// # Errors
    /// If it is no recording, or of another version.
    pub fn new(mut input: R) -> Result<Self, RecordingError> {
        let mut header = [0; HEADER_LENGTH];
        if read_up_to(&mut input, &mut header)? < HEADER_LENGTH || header[..8] != MAGIC {
            return Err(RecordingError::NotARecording);
        }
        let found = u16::from_le_bytes([header[8], header[9]]);
        if found != VERSION {
            return Err(RecordingError::Version { found });
        }
        if !is_sealed(&header) {
            return Err(RecordingError::Damaged { offset: 0, fault: Fault::Head });
        }
        let patience = Patience { packets: u32_at(&header, 12) as usize, waiting_max: u32_at(&header, 16) as usize };
        Ok(Self { input, patience, offset: HEADER_LENGTH as u64, torn: None, is_over: false })
    }

    /// How long the subscriber waited.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// Where the next record begins; so many bytes were read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What was left out at the end, once it is reached; `None`: the last record is whole.
    pub fn torn(&self) -> Option<Torn> {
        self.torn
    }

    fn read(&mut self) -> Result<Option<Received>, RecordingError> {
        let mut head = [0; HEAD_LENGTH];
        let found = read_up_to(&mut self.input, &mut head)?;
        if found < HEAD_LENGTH {
            self.tear(found);
            return Ok(None);
        }
        let (length, at, checksum) = self.open(&head).map_err(|fault| self.damaged(fault))?;
        // No more is taken than is there, whatever the length says.
        let mut bytes = Vec::new();
        let found = (&mut self.input).take(length.into()).read_to_end(&mut bytes)?;
        if found < length as usize {
            self.tear(HEAD_LENGTH + found);
            return Ok(None);
        }
        if crc32c(&bytes) != checksum {
            return Err(self.damaged(Fault::Content));
        }
        let content = match head[4] {
            1 => Content::Packet(bytes.into()),
            2 => Content::Snapshot(bytes.into()),
            3 => Content::Control(Bytes::from(bytes)),
            kind => return Err(self.damaged(Fault::Kind(kind))),
        };
        self.offset += HEAD_LENGTH as u64 + u64::from(length);
        Ok(Some(Received { at, content }))
    }

    /// Length, time and the content's checksum.
    fn open(&self, head: &[u8; HEAD_LENGTH]) -> Result<(u32, Option<Timestamp>, u32), Fault> {
        if !is_sealed(head) {
            return Err(Fault::Head);
        }
        let length = u32_at(head, 0);
        if length as usize > CONTENT_BYTES_MAX {
            return Err(Fault::Length(length));
        }
        let time = u64::from_le_bytes(*head[8..].first_chunk().expect("within a head"));
        Ok((length, (time != NO_TIME).then_some(Timestamp(time)), u32_at(head, 16)))
    }

    fn damaged(&self, fault: Fault) -> RecordingError {
        RecordingError::Damaged { offset: self.offset, fault }
    }

    fn tear(&mut self, found: usize) {
        self.torn = (found > 0).then_some(Torn { offset: self.offset, bytes: found as u64 });
    }
}

impl<R: Read> Iterator for Records<R> {
    type Item = Result<Received, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let read = self.read().transpose();
        self.is_over = !matches!(read, Some(Ok(_)));
        read
    }
}

/// Fills as much of the buffer as there is; how much.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut found = 0;
    while found < buffer.len() {
        match input.read(&mut buffer[found..]) {
            Ok(0) => break,
            Ok(count) => found += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Makes of a recording what its subscriber made of it.
#[derive(Debug)]
pub struct Player<R> {
    records: Records<R>,
    subscription: Subscription,
    contents: Contents,
}

impl Player<BufReader<File>> {
    /// Opens a recording.
    ///
    /// # Errors
    /// If it cannot be read, is no recording, or of another version.
    pub fn open(file: &Path) -> Result<Self, RecordingError> {
        Self::new(BufReader::with_capacity(BUFFER_BYTES, File::open(file)?))
    }
}

impl<R: Read> Player<R> {
    /// Plays a recording from its beginning.
    ///
    /// # Errors
    /// If it cannot be read, is no recording, or of another version.
    pub fn new(input: R) -> Result<Self, RecordingError> {
        let records = Records::new(input)?;
        let subscription = Subscription::new(records.patience());
        Ok(Self { records, subscription, contents: Contents::default() })
    }

    /// The next update; `None` at the end. The books are as they are after it and those that have come with it.
    ///
    /// # Errors
    /// If the recording is damaged, or has what the subscriber refused: then it is over.
    #[expect(clippy::should_implement_trait, reason = "it may fail, and then ends")]
    pub fn next(&mut self) -> Result<Option<Update>, RecordingError> {
        loop {
            // What was asked for then is in the recording, as far as it came.
            while self.subscription.next_request().is_some() {}
            if let Some(update) = self.subscription.next_update() {
                return Ok(Some(update));
            }
            let offset = self.records.offset();
            let Some(received) = self.records.next().transpose()? else { return Ok(None) };
            self.contents.add(&received);
            if let Err(source) = self.subscription.take(received) {
                self.records.is_over = true;
                return Err(RecordingError::Refused { offset, source });
            }
        }
    }

    /// What was played so far.
    pub fn contents(&self) -> Contents {
        self.contents
    }

    /// Bytes of the file that were played so far.
    pub fn offset(&self) -> u64 {
        self.records.offset()
    }

    /// What was left out at the end, once it is reached; `None`: the last record is whole.
    pub fn torn(&self) -> Option<Torn> {
        self.records.torn()
    }

    /// An instrument's book, once its snapshot has come.
    pub fn book(&self, instrument: SecurityId) -> Option<&Book> {
        self.subscription.book(instrument)
    }

    /// An instrument's book at a level of detail, once its snapshot has come.
    pub fn book_at(&self, instrument: SecurityId, level: FeedLevel) -> Option<&Book> {
        self.subscription.book_at(instrument, level)
    }

    /// What was missed so far, and what was proven.
    pub fn gaps(&self) -> GapCounters {
        self.subscription.gaps()
    }

    /// Of the update that [`next`](Self::next) gave last: where it came from, when its event happened, when the venue
    /// sent it, and when it was received.
    pub fn stamps(&self) -> Stamps {
        self.subscription.stamps()
    }
}

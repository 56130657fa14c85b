//! Batches: records that were made durable together, framed, padded and chained.
//!
//! Two checksums cover every byte of a batch without its hash: the header's, and each record's. What is left, the
//! padding, is compared with zero. The hash is what the next link carries.

use std::sync::Arc;

use engine::Sequence;
use engine::canonical::Reader;

use crate::checksum::{ChainHash, crc32c};
use crate::digest::{Block, BlockDigest};
use crate::error::Fault;
use crate::layout::{
    BATCH_CHECKSUM_AT, BATCH_HEADER_BYTES, BATCH_MAGIC, FORMAT_VERSION, PAYLOAD_BYTES_MAX, RECORD_PREFIX_BYTES,
};
use crate::page_buffer::PageBuffer;
use crate::record::{RecordBytes, RecordKind, RecordView, Seal, record_bytes_from_prefix, seal_checksum};

/// A batch's header, in terms of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) term: u64,
    /// Of its first command; of the next command to come if it has none.
    pub(crate) first: Sequence,
    pub(crate) command_count: u32,
    pub(crate) record_count: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) previous: ChainHash,
}

impl BatchHeader {
    /// The sequence behind the batch.
    pub(crate) fn next_sequence(&self) -> Sequence {
        Sequence(self.first.0 + u64::from(self.command_count))
    }

    fn encode(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&BATCH_MAGIC);
        bytes[4..6].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.term.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.command_count.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.record_count.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[36..68].copy_from_slice(&self.previous.0);
        let checksum = crc32c(&[&bytes[..BATCH_CHECKSUM_AT]]);
        bytes[BATCH_CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at the front of `bytes`, its checksum verified.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let header = bytes.first_chunk::<BATCH_HEADER_BYTES>().ok_or(Fault::FileEnds)?;
        if header[0..4] != BATCH_MAGIC {
            return Err(Fault::BatchMagic);
        }
        let (covered, checksum) = header.split_at(BATCH_CHECKSUM_AT);
        if checksum != crc32c(&[covered]).to_le_bytes() {
            return Err(Fault::BatchChecksum);
        }
        Self::decode_fields(&covered[4..]).ok_or(Fault::BatchHeader)?
    }

    /// Nothing when the fields contradict one another.
    fn decode_fields(bytes: &[u8]) -> Option<Result<Self, Fault>> {
        let mut reader = Reader::new(bytes);
        let version: u16 = reader.read().ok()?;
        if version != FORMAT_VERSION {
            return Some(Err(Fault::Version { version }));
        }
        let reserved: u16 = reader.read().ok()?;
        let header = Self {
            term: reader.read().ok()?,
            first: reader.read().ok()?,
            command_count: reader.read().ok()?,
            record_count: reader.read().ok()?,
            payload_bytes: reader.read().ok()?,
            previous: ChainHash(reader.read().ok()?),
        };
        let plausible = reserved == 0
            && header.payload_bytes as usize <= PAYLOAD_BYTES_MAX
            && header.command_count <= header.record_count
            && header.first.0.checked_add(header.command_count.into()).is_some();
        plausible.then_some(Ok(header))
    }
}

/// Whether records have to prove themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Records {
    /// By their checksums.
    Checked,
    /// The hash of the whole batch does: the next link carries it.
    Vouched,
}

/// A batch whose every byte was verified, but for its place in the chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchView<'a> {
    header: BatchHeader,
    /// Header, payload and padding.
    bytes: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// The batch at the front of `bytes`, which may go on behind it.
    pub(crate) fn parse(bytes: &'a [u8], alignment: usize) -> Result<Self, Fault> {
        Self::frame(bytes, alignment)?.verified(Records::Checked)
    }

    /// The same by its header alone: nothing behind that was looked at.
    pub(crate) fn frame(bytes: &'a [u8], alignment: usize) -> Result<Self, Fault> {
        let header = BatchHeader::decode(bytes)?;
        let whole = batch_bytes(header.payload_bytes as usize, alignment);
        Ok(Self { header, bytes: bytes.get(..whole).ok_or(Fault::FileEnds)? })
    }

    /// A batch that was verified before, and its header then.
    pub(crate) fn again(bytes: &'a [u8], header: BatchHeader) -> Self {
        Self { header, bytes }
    }

    /// Itself, if records, counts and padding are as they have to be.
    pub(crate) fn verified(self, records: Records) -> Result<Self, Fault> {
        self.verify_records(records)?;
        if self.padding().iter().any(|&byte| byte != 0) {
            return Err(Fault::Padding);
        }
        Ok(self)
    }

    /// The header.
    pub(crate) fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Bytes on disk, padding included.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What the next link has to carry.
    pub(crate) fn hash(&self) -> ChainHash {
        ChainHash::of_link(self.bytes)
    }

    /// The records, one behind the other.
    pub(crate) fn payload(&self) -> &'a [u8] {
        &self.bytes[BATCH_HEADER_BYTES..self.payload_end()]
    }

    /// The records one at a time; their checksums were verified.
    pub(crate) fn records(&self) -> impl Iterator<Item = RecordView<'a>> + use<'a> {
        let mut rest = self.payload();
        core::iter::from_fn(move || {
            let record = (!rest.is_empty()).then(|| RecordView::frame(rest, 0).expect("verified by parse"))?;
            rest = &rest[record.len()..];
            Some(record)
        })
    }

    /// The batch anew, with its records up to the command `last` alone: the same term, behind the same link.
    pub(crate) fn up_to(&self, last: Sequence, alignment: usize) -> Vec<u8> {
        let mut header = BatchHeader { command_count: 0, record_count: 0, payload_bytes: 0, ..self.header };
        for record in self.records() {
            let is_command = record.kind() == RecordKind::Command;
            if is_command && record.number() > last.0 {
                break;
            }
            header.command_count += u32::from(is_command);
            header.record_count += 1;
            header.payload_bytes += u32::try_from(record.len()).expect("bounded");
        }
        let payload_bytes = header.payload_bytes as usize;
        let mut bytes = Vec::from(header.encode());
        bytes.extend_from_slice(&self.payload()[..payload_bytes]);
        bytes.resize(batch_bytes(payload_bytes, alignment), 0);
        bytes
    }

    fn padding(&self) -> &'a [u8] {
        &self.bytes[self.payload_end()..]
    }

    fn payload_end(&self) -> usize {
        BATCH_HEADER_BYTES + self.header.payload_bytes as usize
    }

    fn verify_records(&self, records: Records) -> Result<(), Fault> {
        let mut rest = self.payload();
        let mut next = self.header.first;
        let mut record_count = 0;
        while !rest.is_empty() {
            let record = match records {
                Records::Checked => RecordView::parse(rest, record_count),
                Records::Vouched => RecordView::frame(rest, record_count),
            }?;
            next = verify_number(&record, next, record_count)?;
            rest = &rest[record.len()..];
            record_count += 1;
        }
        if record_count != self.header.record_count || next != self.header.next_sequence() {
            return Err(Fault::RecordCount);
        }
        Ok(())
    }
}

/// Whether a record may stand where the next command is `next`; gives the next command behind it.
fn verify_number(record: &RecordView<'_>, next: Sequence, index: u32) -> Result<Sequence, Fault> {
    let found = record.number();
    match record.kind() {
        RecordKind::Command if found == next.0 && next.0 < u64::MAX => Ok(next.next()),
        RecordKind::EventDigest if Block(found).last() < next => Ok(next),
        RecordKind::Seal if found.checked_add(1) == Some(next.0) => Ok(next),
        RecordKind::Command | RecordKind::EventDigest | RecordKind::Seal => {
            Err(Fault::RecordNumber { index, found, next })
        }
    }
}

/// Bytes on disk of a batch with such a payload.
pub(crate) fn batch_bytes(payload_bytes: usize, alignment: usize) -> usize {
    (BATCH_HEADER_BYTES + payload_bytes).next_multiple_of(alignment)
}

/// Collects the records of one batch and frames them. Used over and over, so that nothing is allocated later.
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    /// Space for the header, then the payload. Shared while it is on its way to the disk.
    bytes: Arc<PageBuffer>,
    payload_bytes_max: usize,
    first: Sequence,
    command_count: u32,
    record_count: u32,
}

impl BatchBuilder {
    /// An empty batch whose first command will be `first`.
    pub(crate) fn new(first: Sequence, payload_bytes_max: usize) -> Self {
        let mut bytes = PageBuffer::new(batch_bytes(payload_bytes_max, crate::layout::ALIGNMENT_MAX));
        bytes.resize(BATCH_HEADER_BYTES);
        Self { bytes: Arc::new(bytes), payload_bytes_max, first, command_count: 0, record_count: 0 }
    }

    /// Empties the batch; the next begins behind it.
    pub(crate) fn clear(&mut self) {
        self.first = self.next_sequence();
        self.bytes().resize(BATCH_HEADER_BYTES);
        self.command_count = 0;
        self.record_count = 0;
    }

    /// Whether there are no records.
    pub(crate) fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// Of its first command; of the next command to come if it has none.
    pub(crate) fn first(&self) -> Sequence {
        self.first
    }

    /// The sequence behind the batch.
    pub(crate) fn next_sequence(&self) -> Sequence {
        Sequence(self.first.0 + u64::from(self.command_count))
    }

    /// Payload bytes that still fit.
    pub(crate) fn room(&self) -> usize {
        self.payload_bytes_max - (self.bytes.len() - BATCH_HEADER_BYTES)
    }

    /// Adds whole command records through `fill`, which appends them to the payload, their checksums still zero.
    ///
    /// # Panics
    ///
    /// If they do not continue the sequence: a bug of the appender.
    pub(crate) fn extend_commands(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        let mut at = self.bytes.len();
        self.bytes().edit(fill);
        while at < self.bytes.len() {
            let prefix = self.bytes.as_slice()[at..].first_chunk::<RECORD_PREFIX_BYTES>().expect("whole records");
            let end = at + record_bytes_from_prefix(prefix);
            self.add_command_in_place(at..end);
            at = end;
        }
        assert!(self.bytes.len() <= BATCH_HEADER_BYTES + self.payload_bytes_max, "a batch is bounded");
    }

    /// Bytes that the batch will take on disk.
    pub(crate) fn whole_bytes(&self, alignment: usize) -> usize {
        batch_bytes(self.bytes.len() - BATCH_HEADER_BYTES, alignment)
    }

    /// Adds an event digest, for which there has to be room. Its block has to have ended in or before this batch.
    pub(crate) fn add_event_digest(&mut self, digest: &BlockDigest) {
        debug_assert!(digest.block.last() < self.next_sequence());
        self.add(&RecordBytes::of_event_digest(digest));
    }

    /// Adds a seal.
    pub(crate) fn add_seal(&mut self, seal: &Seal) {
        self.add(&RecordBytes::of_seal(seal));
    }

    /// The batch, framed and padded. It has to be let go before the builder is used again.
    pub(crate) fn frame(&mut self, term: u64, previous: ChainHash, alignment: usize) -> Arc<PageBuffer> {
        let payload_bytes = self.bytes.len() - BATCH_HEADER_BYTES;
        let header = BatchHeader {
            term,
            first: self.first,
            command_count: self.command_count,
            record_count: self.record_count,
            payload_bytes: u32::try_from(payload_bytes).expect("bounded"),
            previous,
        };
        let bytes = self.bytes();
        bytes.as_mut_slice()[..BATCH_HEADER_BYTES].copy_from_slice(&header.encode());
        bytes.resize(batch_bytes(payload_bytes, alignment));
        debug_assert_eq!(BatchView::parse(bytes.as_slice(), alignment).map(|batch| batch.header), Ok(header));
        Arc::clone(&self.bytes)
    }

    fn bytes(&mut self) -> &mut PageBuffer {
        Arc::get_mut(&mut self.bytes).expect("what was framed was let go")
    }

    fn add(&mut self, record: &RecordBytes) {
        let at = self.bytes.len();
        self.bytes().edit(|bytes| bytes.extend_from_slice(record.as_slice()));
        seal_checksum(&mut self.bytes().as_mut_slice()[at..]);
        self.record_count += 1;
    }

    fn add_command_in_place(&mut self, range: core::ops::Range<usize>) {
        let next = self.next_sequence();
        let index = self.record_count;
        let record = &mut self.bytes().as_mut_slice()[range];
        let view = RecordView::frame(record, index).expect("whole records");
        assert!(view.kind() == RecordKind::Command && view.number() == next.0, "commands are gap-free");
        seal_checksum(record);
        self.command_count += 1;
        self.record_count += 1;
    }
}

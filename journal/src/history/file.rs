//! Files of events: walked from the beginning, and read a page at a time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{Event, EventHeader, Sequence, Timestamp};

use super::error::{HistoryError, HistoryFault};
use super::key::Key;
use super::layout::{
    BLOCK_END_BYTES, BLOCK_MAGIC, BlockEnd, FILE_HEADER_BYTES, FileHeader, HeaderFault, PAGE_HEADER_BYTES, PageHeader,
};
use super::page;
use crate::digest::{Block, Digest};

/// A file of events, open for reading. Read, not mapped: the one that grows is cut at a start.
pub(super) struct EventsFile {
    file: File,
    path: PathBuf,
}

impl EventsFile {
    pub(super) fn open(path: &Path) -> Result<Self, HistoryError> {
        let file = File::open(path).map_err(|source| io_error(path, source))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Asks the system to read all of it, and does not wait for that.
    fn prepare(&self) {
        // Without it everything takes longer, and nothing else changes.
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::WillNeed);
    }

    pub(super) fn header(&self) -> Result<FileHeader, HistoryError> {
        FileHeader::decode(&self.read::<FILE_HEADER_BYTES>(0)?).map_err(|fault| match fault {
            HeaderFault::Fault(fault) => self.damaged(0, fault),
            HeaderFault::Version(version) => HistoryError::Version { file: self.path.clone(), version },
        })
    }

    pub(super) fn length(&self) -> Result<u64, HistoryError> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(|source| io_error(&self.path, source))
    }

    fn page_header(&self, offset: u64) -> Result<PageHeader, HistoryError> {
        PageHeader::decode(&self.read(offset)?).map_err(|fault| self.damaged(offset, fault))
    }

    /// The keys of a page.
    fn keys(&self, offset: u64, header: &PageHeader) -> Result<Box<[Key]>, HistoryError> {
        let bytes = self.read_bytes(offset, PAGE_HEADER_BYTES, header.key_bytes as usize)?;
        page::keys(header, &bytes).map_err(|fault| self.damaged(offset, fault))
    }

    /// The events of the page with this number and these ends.
    pub(super) fn events(
        &self,
        offset: u64,
        number: u32,
        sequences: (Sequence, Sequence),
    ) -> Result<Vec<(EventHeader, Event)>, HistoryError> {
        let header = self.page_header(offset)?;
        if header.number != number || (header.first, header.last) != sequences {
            return Err(self.damaged(offset, HistoryFault::Order));
        }
        let packed_at = PAGE_HEADER_BYTES + header.key_bytes as usize;
        let packed = self.read_bytes(offset, packed_at, header.packed_bytes as usize)?;
        page::unpack(&header, &packed).map_err(|fault| self.damaged(offset, fault))
    }

    /// Checks a page's packed events without unpacking them.
    fn check_packed(&self, offset: u64, header: &PageHeader) -> Result<(), HistoryError> {
        let packed_at = PAGE_HEADER_BYTES + header.key_bytes as usize;
        let packed = self.read_bytes(offset, packed_at, header.packed_bytes as usize)?;
        if crate::checksum::crc32c(&[&packed]) == header.packed_checksum {
            Ok(())
        } else {
            Err(self.damaged(offset, HistoryFault::Checksum))
        }
    }

    fn read<const N: usize>(&self, offset: u64) -> Result<[u8; N], HistoryError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, offset, 0)?;
        Ok(bytes)
    }

    fn read_bytes(&self, offset: u64, behind: usize, length: usize) -> Result<Vec<u8>, HistoryError> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes, offset, behind)?;
        Ok(bytes)
    }

    /// Fills `bytes` from `behind` the beginning of what stands at `offset`.
    fn fill(&self, bytes: &mut [u8], offset: u64, behind: usize) -> Result<(), HistoryError> {
        self.file.read_exact_at(bytes, offset + behind as u64).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(offset, HistoryFault::FileEnds),
            _ => io_error(&self.path, source),
        })
    }

    fn damaged(&self, offset: u64, fault: HistoryFault) -> HistoryError {
        HistoryError::Damaged { file: self.path.clone(), offset, fault }
    }
}

pub(super) fn io_error(file: &Path, source: io::Error) -> HistoryError {
    HistoryError::Io { file: file.to_owned(), source }
}

/// A page whose place and keys are in memory.
#[derive(Debug)]
pub(super) struct ListedPage {
    pub(super) header: PageHeader,
    pub(super) offset: u64,
    pub(super) keys: Box<[Key]>,
    /// The page, while it could not be written.
    pub(super) unwritten: Option<Arc<[u8]>>,
}

impl ListedPage {
    pub(super) fn sequences(&self) -> (Sequence, Sequence) {
        (self.header.first, self.header.last)
    }

    pub(super) fn times(&self) -> (Timestamp, Timestamp) {
        (self.header.first_time, self.header.last_time)
    }

    /// The events, while they are in memory.
    ///
    /// # Panics
    ///
    /// If they are not.
    pub(super) fn events(&self) -> Vec<(EventHeader, Event)> {
        let page = self.unwritten.as_ref().expect("a page in memory");
        let packed = &page[PAGE_HEADER_BYTES + self.header.key_bytes as usize..];
        page::unpack(&self.header, packed).expect("what was packed unpacks")
    }
}

/// A file of events whose pages are listed in memory.
#[derive(Debug, Clone)]
pub(super) struct ListedFile {
    pub(super) path: PathBuf,
    pub(super) header: FileHeader,
    pub(super) pages: Vec<Arc<ListedPage>>,
    /// The last sequence of the last whole block; before the first if there is none.
    pub(super) last: Sequence,
    /// The event digest there.
    pub(super) digest: Digest,
    /// Where the next page or block end stands.
    pub(super) end: u64,
}

impl ListedFile {
    /// A file that has only its header.
    pub(super) fn new(path: PathBuf, header: FileHeader) -> Self {
        let (last, digest) = (Sequence(header.first.0 - 1), header.previous);
        Self { path, header, pages: Vec::new(), last, digest, end: FILE_HEADER_BYTES as u64 }
    }

    /// How the next file begins, if this one is complete.
    pub(super) fn next(&self) -> FileHeader {
        self.header.next(self.last, self.digest)
    }

    /// Sequences in whole blocks.
    pub(super) fn sequence_count(&self) -> u64 {
        self.last.0 + 1 - self.header.first.0
    }

    pub(super) fn times(&self) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = (self.pages.first()?, self.pages.last()?);
        Some((first.header.first_time, last.header.last_time))
    }

    pub(super) fn page_number(&self) -> u32 {
        u32::try_from(self.pages.len()).expect("a file has few pages")
    }
}

/// How much of a file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Headers and keys.
    Headers,
    /// Every byte.
    Everything,
}

/// What a walk has found.
pub(super) struct Walked {
    /// Up to the end of the last good block.
    pub(super) file: ListedFile,
    /// The event digests of its blocks.
    pub(super) digests: Vec<Digest>,
    /// Why the walk ended before the file did.
    pub(super) fault: Option<HistoryError>,
}

/// Walks a file of events up to its end or to the first thing that is not good, and lists its whole blocks.
pub(super) fn walk(path: &Path, depth: Depth) -> Result<Walked, HistoryError> {
    let file = EventsFile::open(path)?;
    file.prepare();
    let listed = ListedFile::new(path.to_owned(), file.header()?);
    let mut walk =
        Walk { length: file.length()?, file, depth, digests: Vec::new(), listed, pages: Vec::new(), events: 0 };
    let fault = walk.run().err();
    if let Some(error @ (HistoryError::Io { .. } | HistoryError::Version { .. })) = fault {
        return Err(error);
    }
    Ok(Walked { file: walk.listed, digests: walk.digests, fault })
}

struct Walk {
    file: EventsFile,
    length: u64,
    depth: Depth,
    listed: ListedFile,
    digests: Vec<Digest>,
    /// Of the block whose end was not seen yet.
    pages: Vec<Arc<ListedPage>>,
    /// In them.
    events: u64,
}

impl Walk {
    fn run(&mut self) -> Result<(), HistoryError> {
        let mut offset = self.listed.end;
        while offset < self.length {
            offset = match self.file.read(offset)? {
                BLOCK_MAGIC => self.block_end(offset)?,
                _ => self.page(offset)?,
            };
        }
        Ok(())
    }

    fn page(&mut self, offset: u64) -> Result<u64, HistoryError> {
        let header = self.file.page_header(offset)?;
        if !self.continues(&header) {
            return Err(self.file.damaged(offset, HistoryFault::Order));
        }
        let keys = self.file.keys(offset, &header)?;
        match self.depth {
            Depth::Everything => self.file.check_packed(offset, &header)?,
            Depth::Headers if offset + header.page_bytes() > self.length => {
                return Err(self.file.damaged(offset, HistoryFault::FileEnds));
            }
            Depth::Headers => {}
        }
        self.pages.push(Arc::new(ListedPage { header, offset, keys, unwritten: None }));
        self.events += u64::from(header.event_count);
        Ok(offset + header.page_bytes())
    }

    fn continues(&self, next: &PageHeader) -> bool {
        let number = self.listed.pages.len() + self.pages.len();
        let follows = |before: &PageHeader| {
            let in_order = before.last < next.first || before.last == next.first && next.first_index > 0;
            in_order && before.last_time <= next.first_time
        };
        next.number as usize == number
            && Block::of(next.first) == self.block()
            && self.pages.last().or(self.listed.pages.last()).is_none_or(|before| follows(&before.header))
    }

    fn block_end(&mut self, offset: u64) -> Result<u64, HistoryError> {
        let bytes: [u8; BLOCK_END_BYTES] = self.file.read(offset)?;
        let end = BlockEnd::decode(&bytes).map_err(|fault| self.file.damaged(offset, fault))?;
        if end.digest.block != self.block() || end.event_count != self.events {
            return Err(self.file.damaged(offset, HistoryFault::Order));
        }
        self.listed.pages.append(&mut self.pages);
        self.events = 0;
        self.listed.last = end.digest.block.last();
        self.listed.digest = end.digest.digest;
        self.listed.end = offset + BLOCK_END_BYTES as u64;
        self.digests.push(end.digest.digest);
        Ok(self.listed.end)
    }

    /// The block that has not ended yet.
    fn block(&self) -> Block {
        Block::of(self.listed.last.next())
    }
}

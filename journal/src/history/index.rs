//! The index of a complete file of events: which pages hold a key, and where the pages are.
//!
//! It is mapped, and every sheet is verified when it is used. A search for a key reads the header, a few sheets of the
//! directory, one leaf, and the sheets of the pages that it finds.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::path::Path;

use engine::canonical::{Canonical, Reader};
use engine::{Sequence, Timestamp};

use super::error::HistoryFault;
use super::file::ListedFile;
use super::key::{Key, NUMBER_BYTES_MAX, number, put_number};
use super::layout::{FileHeader, FileNumber, HISTORY_VERSION, INDEX_MAGIC, take};
use crate::checksum::crc32c;
use crate::digest::Digest;
use crate::mapping::FileBytes;
use crate::segment::JournalId;

const SHEET_BYTES: usize = 4_096;
/// Bytes of a sheet before its checksum.
const SHEET_ROOM: usize = SHEET_BYTES - 4;
const PAGE_ENTRY_BYTES: usize = 32;
const PAGES_PER_SHEET: usize = SHEET_ROOM / PAGE_ENTRY_BYTES;
const DIRECTORY_ENTRY_BYTES: usize = 9;
const LEAVES_PER_SHEET: usize = SHEET_ROOM / DIRECTORY_ENTRY_BYTES;
/// Bytes of a leaf for its keys.
const LEAF_ROOM: usize = SHEET_ROOM - 2;

/// Header, pages and directory of an index of the usual size.
const PREPARED_BYTES: u64 = 65_536;

/// What an index says of its file of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexHeader {
    pub(super) events: FileHeader,
    pub(super) last: Sequence,
    /// Of the first event and the last; zeros if there are none.
    pub(super) times: (Timestamp, Timestamp),
    /// Bytes of the file of events.
    pub(super) length: u64,
    /// The event digest at the end of the file.
    pub(super) digest: Digest,
    pub(super) page_count: u32,
    leaf_count: u32,
}

/// Where a page is and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageEntry {
    pub(super) offset: u64,
    pub(super) sequences: (Sequence, Sequence),
    pub(super) first_time: Timestamp,
}

/// A mapped index.
pub(super) struct Index {
    pub(super) header: IndexHeader,
    bytes: FileBytes,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Index {
    /// Maps an index whose header is whole; the rest is verified when it is used.
    pub(super) fn open(path: &Path) -> io::Result<Result<Self, HistoryFault>> {
        let bytes = FileBytes::map(&File::open(path)?)?;
        Ok(Self::from_bytes(bytes))
    }

    /// Asks the system to read what every search in an index begins with, and does not wait for it.
    pub(super) fn prepare(path: &Path) {
        // Without it everything takes longer, and nothing else changes.
        if let Ok(file) = File::open(path) {
            let _ = rustix::fs::fadvise(&file, 0, NonZero::new(PREPARED_BYTES), rustix::fs::Advice::WillNeed);
        }
    }

    fn from_bytes(bytes: FileBytes) -> Result<Self, HistoryFault> {
        let header = IndexHeader::decode(sheet(bytes.as_ref(), 0)?)?;
        let sheets = header.leaves_at() + header.leaf_count as usize;
        if bytes.as_ref().len() != sheets * SHEET_BYTES {
            return Err(HistoryFault::FileEnds);
        }
        Ok(Self { header, bytes })
    }

    /// Verifies every sheet.
    pub(super) fn check(&self) -> Result<(), HistoryFault> {
        (0..self.bytes.as_ref().len() / SHEET_BYTES).try_for_each(|number| self.sheet(number).map(drop))
    }

    /// The page of this number.
    pub(super) fn page(&self, number: u32) -> Result<PageEntry, HistoryFault> {
        let number = number as usize;
        let at = number % PAGES_PER_SHEET * PAGE_ENTRY_BYTES;
        let sheet = self.sheet(1 + number / PAGES_PER_SHEET)?;
        let mut fields = Reader::new(&sheet[at..at + PAGE_ENTRY_BYTES]);
        Ok(PageEntry {
            offset: take(&mut fields),
            sequences: (take(&mut fields), take(&mut fields)),
            first_time: take(&mut fields),
        })
    }

    /// How many pages from the front are so, if all that are stand before all that are not.
    pub(super) fn count_while(&self, is_so: impl Fn(&PageEntry) -> bool) -> Result<u32, HistoryFault> {
        partition(self.header.page_count, |number| Ok(is_so(&self.page(number)?)))
    }

    /// Asks the system to read the leaf in which a key begins, if it is there, and does not wait for it.
    pub(super) fn prepare_leaf_of(&self, key: Key) {
        if let Ok(leaf) = self.leaf_of(key) {
            self.bytes.prepare((self.header.leaves_at() + leaf as usize) * SHEET_BYTES, SHEET_BYTES);
        }
    }

    /// The leaf in which a key begins, if it is there.
    fn leaf_of(&self, key: Key) -> Result<u32, HistoryFault> {
        let place = (key.kind(), key.id());
        // The key may begin in the leaf before the first one that begins with it.
        Ok(partition(self.header.leaf_count, |leaf| Ok(self.first_of(leaf)? < place))?.saturating_sub(1))
    }

    /// The pages that hold events of a key, ascending.
    pub(super) fn pages_of(&self, key: Key) -> Result<Vec<u32>, HistoryFault> {
        let place = (key.kind(), key.id());
        let mut pages = Vec::new();
        for leaf in self.leaf_of(key)?..self.header.leaf_count {
            let first = self.first_of(leaf)?;
            if first > place {
                break;
            }
            if first.0 == place.0 {
                self.search_leaf(leaf, first.1, place.1, &mut pages)?;
            }
        }
        if pages.is_sorted_by(|one, next| one < next) { Ok(pages) } else { Err(HistoryFault::Fields) }
    }

    /// Kind and identity of the first key of a leaf.
    fn first_of(&self, leaf: u32) -> Result<(u8, u64), HistoryFault> {
        let leaf = leaf as usize;
        let at = leaf % LEAVES_PER_SHEET * DIRECTORY_ENTRY_BYTES;
        let sheet = self.sheet(self.header.directory_at() + leaf / LEAVES_PER_SHEET)?;
        let mut fields = Reader::new(&sheet[at..at + DIRECTORY_ENTRY_BYTES]);
        Ok((take(&mut fields), take(&mut fields)))
    }

    fn search_leaf(&self, leaf: u32, first: u64, wanted: u64, pages: &mut Vec<u32>) -> Result<(), HistoryFault> {
        let sheet = self.sheet(self.header.leaves_at() + leaf as usize)?;
        let (used, rest) = sheet.split_first_chunk().expect("a sheet is long");
        let mut rest = rest.get(..u16::from_le_bytes(*used).into()).ok_or(HistoryFault::Fields)?;
        let mut id = first;
        while !rest.is_empty() && id <= wanted {
            let mut next = || number(&mut rest).ok_or(HistoryFault::Fields);
            id = id.checked_add(next()?).ok_or(HistoryFault::Fields)?;
            let mut page = 0_u64;
            for _ in 0..next()? {
                page = page.checked_add(next()?).ok_or(HistoryFault::Fields)?;
                if id == wanted {
                    let page = u32::try_from(page).ok().filter(|&page| page < self.header.page_count);
                    pages.push(page.ok_or(HistoryFault::Fields)?);
                }
            }
        }
        Ok(())
    }

    fn sheet(&self, number: usize) -> Result<&[u8; SHEET_ROOM], HistoryFault> {
        sheet(self.bytes.as_ref(), number)
    }
}

/// How many numbers from 0 are so, if all that are stand before all that are not.
fn partition(count: u32, is_so: impl Fn(u32) -> Result<bool, HistoryFault>) -> Result<u32, HistoryFault> {
    let (mut so, mut not_so) = (0, count);
    while so < not_so {
        let middle = so + (not_so - so) / 2;
        if is_so(middle)? {
            so = middle + 1;
        } else {
            not_so = middle;
        }
    }
    Ok(so)
}

/// A sheet without its checksum, which matches.
fn sheet(bytes: &[u8], number: usize) -> Result<&[u8; SHEET_ROOM], HistoryFault> {
    let begin = number * SHEET_BYTES;
    let whole = bytes.get(begin..begin + SHEET_BYTES).ok_or(HistoryFault::FileEnds)?;
    let (room, checksum) = whole.split_last_chunk().expect("a sheet is long");
    if sheet_checksum(room, number) != u32::from_le_bytes(*checksum) {
        return Err(HistoryFault::Checksum);
    }
    Ok(room.first_chunk().expect("a sheet is long"))
}

fn sheet_checksum(room: &[u8], number: usize) -> u32 {
    crc32c(&[&(number as u64).to_le_bytes(), room])
}

impl IndexHeader {
    fn directory_at(&self) -> usize {
        1 + (self.page_count as usize).div_ceil(PAGES_PER_SHEET)
    }

    fn leaves_at(&self) -> usize {
        self.directory_at() + (self.leaf_count as usize).div_ceil(LEAVES_PER_SHEET)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SHEET_BYTES);
        bytes.extend_from_slice(&INDEX_MAGIC);
        HISTORY_VERSION.encode(&mut bytes);
        [0_u8; 6].encode(&mut bytes);
        self.events.journal.0.encode(&mut bytes);
        self.events.number.0.encode(&mut bytes);
        self.events.first.encode(&mut bytes);
        self.last.encode(&mut bytes);
        self.times.0.encode(&mut bytes);
        self.times.1.encode(&mut bytes);
        self.length.encode(&mut bytes);
        self.events.previous.0.encode(&mut bytes);
        self.digest.0.encode(&mut bytes);
        self.page_count.encode(&mut bytes);
        self.leaf_count.encode(&mut bytes);
        bytes
    }

    fn decode(sheet: &[u8; SHEET_ROOM]) -> Result<Self, HistoryFault> {
        let mut fields = Reader::new(sheet.strip_prefix(&INDEX_MAGIC).ok_or(HistoryFault::Magic)?);
        let version: u16 = take(&mut fields);
        let zero: [u8; 6] = take(&mut fields);
        let (journal, number, first) = (take(&mut fields), take(&mut fields), take(&mut fields));
        let last = take(&mut fields);
        let times = (take(&mut fields), take(&mut fields));
        let length = take(&mut fields);
        let previous = Digest(take(&mut fields));
        let events = FileHeader { journal: JournalId(journal), number: FileNumber(number), first, previous };
        let digest = Digest(take(&mut fields));
        let (page_count, leaf_count) = (take(&mut fields), take(&mut fields));
        // An index is made again if it is of no use.
        if version != HISTORY_VERSION || zero != [0; 6] || first > last {
            return Err(HistoryFault::Fields);
        }
        Ok(Self { events, last, times, length, digest, page_count, leaf_count })
    }
}

/// The index of a complete file of events.
pub(super) fn build(file: &ListedFile) -> Vec<u8> {
    let leaves = Leaves::of(file);
    let header = IndexHeader {
        events: file.header,
        last: file.last,
        times: file.times().unwrap_or_default(),
        length: file.end,
        digest: file.digest,
        page_count: file.page_number(),
        leaf_count: u32::try_from(leaves.first.len()).expect("a file has few keys"),
    };
    let mut sheets = Sheets::default();
    sheets.push(header.encode());
    for pages in file.pages.chunks(PAGES_PER_SHEET) {
        let mut bytes = Vec::with_capacity(SHEET_BYTES);
        for page in pages {
            page.offset.encode(&mut bytes);
            page.header.first.encode(&mut bytes);
            page.header.last.encode(&mut bytes);
            page.header.first_time.encode(&mut bytes);
        }
        sheets.push(bytes);
    }
    for firsts in leaves.first.chunks(LEAVES_PER_SHEET) {
        let mut bytes = Vec::with_capacity(SHEET_BYTES);
        for key in firsts {
            key.kind().encode(&mut bytes);
            key.id().encode(&mut bytes);
        }
        sheets.push(bytes);
    }
    leaves.sheets.into_iter().for_each(|leaf| sheets.push(leaf));
    sheets.bytes
}

#[derive(Default)]
struct Sheets {
    bytes: Vec<u8>,
}

impl Sheets {
    fn push(&mut self, mut sheet: Vec<u8>) {
        assert!(sheet.len() <= SHEET_ROOM, "a sheet's contents fit it");
        sheet.resize(SHEET_ROOM, 0);
        let number = self.bytes.len() / SHEET_BYTES;
        self.bytes.extend_from_slice(&sheet);
        self.bytes.extend_from_slice(&sheet_checksum(&sheet, number).to_le_bytes());
    }
}

/// Leaves without their padding.
#[derive(Default)]
struct Leaves {
    first: Vec<Key>,
    sheets: Vec<Vec<u8>>,
    /// Of the leaf that is being filled.
    data: Vec<u8>,
    last: Option<Key>,
}

impl Leaves {
    fn of(file: &ListedFile) -> Self {
        let mut postings: Vec<(Key, u32)> = Vec::new();
        for page in &file.pages {
            postings.extend(page.keys.iter().map(|&key| (key, page.header.number)));
        }
        // Runs that ascend: a stable sort merges them.
        postings.sort();
        let mut leaves = Self::default();
        for of_key in postings.chunk_by(|one, next| one.0 == next.0) {
            leaves.push(of_key);
        }
        leaves.end_leaf();
        leaves
    }

    /// Takes the pages of one key, on as many leaves as they need.
    fn push(&mut self, mut postings: &[(Key, u32)]) {
        let key = postings[0].0;
        while !postings.is_empty() {
            let room = LEAF_ROOM - self.data.len();
            if room < 4 * NUMBER_BYTES_MAX || self.last.is_some_and(|last| last.kind() != key.kind()) {
                self.end_leaf();
                continue;
            }
            // Every leaf that is begun has room for an entry of one page.
            let taken = self.put(key, postings, room - 2 * NUMBER_BYTES_MAX);
            postings = &postings[taken..];
        }
    }

    /// Puts as many of the pages as fit `room` into the leaf; how many.
    fn put(&mut self, key: Key, postings: &[(Key, u32)], room: usize) -> usize {
        let (mut pages, mut before, mut taken) = (Vec::new(), 0, 0);
        for &(_, page) in postings {
            let end = pages.len();
            put_number(u64::from(page - before), &mut pages);
            if pages.len() > room {
                pages.truncate(end);
                break;
            }
            before = page;
            taken += 1;
        }
        if self.last.is_none() {
            self.first.push(key);
        }
        put_number(key.id() - self.last.unwrap_or(key).id(), &mut self.data);
        put_number(taken as u64, &mut self.data);
        self.data.append(&mut pages);
        self.last = Some(key);
        taken
    }

    fn end_leaf(&mut self) {
        if self.last.take().is_some() {
            let mut sheet = Vec::with_capacity(SHEET_BYTES);
            u16::try_from(self.data.len()).expect("a sheet is short").encode(&mut sheet);
            sheet.append(&mut self.data);
            self.sheets.push(sheet);
        }
    }
}

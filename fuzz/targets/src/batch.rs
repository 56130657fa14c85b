//! Bytes to one segment's batches: reading never panics, what is read is framed to the same bytes, and with any byte of
//! it changed it is not read.
//!
//! The first byte says what is made right, the second picks bytes to change; behind them are batches, from a page's
//! beginning on. Only the last is padded.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{Capacity, Sequence};
use journal::{ChainHash, Identity, JournalId, ReadError, Reader, SegmentHeader, SegmentNumber};

use crate::disk::Disk;
use crate::format::{Mending, frame, is_vouched_for, mend, record_of};

const PAGE: usize = 4_096;
const NAME: &str = "00000001.seg";
/// Bytes that mean something at most.
const BATCHES_MAX: usize = 4 * PAGE;
/// Bytes of each batch that are changed: all of a short one's first, and some of what is behind.
const CHANGED_FIRST: usize = 96;
const CHANGED_BEHIND: usize = 32;

type Batches = BTreeMap<usize, Vec<(u16, Vec<u8>)>>;

/// Reads the batches that `bytes` describe and holds them to what is promised.
///
/// # Panics
/// If a promise does not hold.
pub fn check(bytes: &[u8]) {
    let Some((&[mending, picks], batches)) = bytes.split_first_chunk() else { return };
    let segment = segment(mending & !Mending::SEGMENTS, batches);
    let batches = read(&segment);
    for (&at, records) in &batches {
        let batch = &segment[at..];
        let previous = batch[36..68].first_chunk().expect("a hash");
        let framed = frame(u64_at(batch, 8), u64_at(batch, 16), previous, records, PAGE);
        if !batch.starts_with(&framed) {
            assert!(is_vouched_for(batch, framed.len()), "what is read is framed to the same bytes");
            // Its own checksums were not looked at: it stands and falls with the next batch's word for its hash.
            return;
        }
        for changed in places(framed.len(), picks) {
            let mut damaged = segment.clone();
            damaged[at + changed] ^= 1 << ((changed + usize::from(picks)) % 8);
            let kept = read(&damaged);
            assert!(kept.iter().eq(batches.range(..at)), "byte {changed} of a batch at {at} was changed");
        }
    }
}

/// A segment that begins with such batches.
fn segment(mending: u8, batches: &[u8]) -> Vec<u8> {
    let identity = Identity {
        alignment: 4_096,
        venue: 1,
        shard: 0,
        journal: JournalId(*b"a journal's name"),
        behaviour: 1,
        capacity: Capacity::SMALL,
    };
    let first = Sequence(1);
    let header = SegmentHeader { identity, term: 1, number: SegmentNumber::FIRST, first, previous: ChainHash::GENESIS };
    let mut segment = header.encode();
    segment.extend(&batches[..batches.len().min(BATCHES_MAX)]);
    segment.resize((segment.len() + 1).next_multiple_of(PAGE), 0);
    let mut files = [segment];
    mend(&mut files, Mending(mending));
    let [segment] = files;
    segment
}

/// The records of each batch, by where it is; batches without records are not among them.
fn read(segment: &[u8]) -> Batches {
    let disk = Disk::new(&BTreeMap::from([(NAME.to_owned(), segment.to_vec())]));
    let mut reader = Reader::with_storage(Arc::new(disk)).expect("a good header").expect("a segment");
    let mut batches = Batches::new();
    while let Some(entry) = reader.next() {
        match entry {
            Ok(entry) => batches.entry(offset(reader.position().offset)).or_default().push(record_of(&entry)),
            Err(ReadError::Damaged { offset: at, .. }) => {
                // Some of its values may have been read before one did not decode.
                batches.remove(&offset(at));
            }
            Err(error) => panic!("{error}"),
        }
    }
    batches
}

fn offset(at: u64) -> usize {
    usize::try_from(at).expect("a small file")
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("eight bytes"))
}

fn places(length: usize, picks: u8) -> impl Iterator<Item = usize> {
    let behind = length - CHANGED_FIRST;
    let step = (2 * usize::from(picks) + 1) * 31;
    (0..CHANGED_FIRST).chain((0..CHANGED_BEHIND).map(move |index| CHANGED_FIRST + index * step % behind))
}

/// Inputs to begin with: the batches of the journals that `segment` begins with, each as written and to be made right.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let as_written = Mending::CHAIN | Mending::BATCHES;
    let mut seeds = Vec::new();
    for (name, segment) in crate::segment::first_segments() {
        let used = segment.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
        let Some(batches) = segment.get(PAGE..used) else { continue };
        for (kind, mending) in [("", as_written), ("-mended", Mending::ALL)] {
            seeds.push((format!("{name}{kind}"), [&[mending, 7], batches].concat()));
        }
    }
    seeds
}

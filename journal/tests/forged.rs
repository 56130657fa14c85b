//! Bytes that no writer writes, and whose checksums are right all the same: they are refused, not trusted.

mod common;

use std::sync::Arc;

use common::{Folder, PAGE, crc32c};
use journal::{Digest, Fault, ReadError, Reader, Verified};
use simulation::SimulatedDisk;

const NAME: &str = "00000001.seg";

/// One sealed segment of a page's header and one batch, which holds the seal alone.
fn sealed() -> Vec<u8> {
    let (disk, folder) = (SimulatedDisk::new(1), Folder::new());
    common::Writing::open(&folder.data(), &folder.options_on(&disk)).close(Digest::ZERO);
    disk.read(NAME)
}

fn verify(segment: Vec<u8>) -> Result<Verified, ReadError> {
    let disk = SimulatedDisk::new(1);
    disk.write(NAME, segment);
    Reader::with_storage(Arc::new(disk))?.expect("a segment").verify()
}

fn set_checksum(bytes: &mut [u8], at: usize) {
    let checksum = crc32c(&bytes[..at]);
    bytes[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
}

fn assert_header_refused(segment: Vec<u8>, why: Fault) {
    match verify(segment) {
        Err(ReadError::Damaged { offset, fault, .. }) => assert_eq!((offset, fault), (0, why)),
        other => panic!("{why}: {other:?}"),
    }
}

/// The format says zeros from byte 132 on; the reader compared fields and checksum only, so that something could be kept
/// there that no reader would ever show.
#[test]
fn a_segment_header_has_zeros_behind_its_fields() {
    for at in [132, 2_000, 4_091] {
        let mut segment = sealed();
        segment[PAGE..].fill(0);
        assert!(verify(segment.clone()).is_ok());
        segment[at] = 1;
        set_checksum(&mut segment, 4_092);
        assert_header_refused(segment, Fault::SegmentHeader);
    }
}

/// With an alignment above a page, zeros follow the header. In a file that ends among them the reader looked at none.
#[test]
fn the_gap_behind_a_header_is_zeros_where_the_file_ends_in_it_too() {
    let mut segment = sealed();
    segment[12..16].copy_from_slice(&8_192_u32.to_le_bytes());
    set_checksum(&mut segment, 4_092);
    segment.truncate(6_000);
    segment[PAGE..].fill(0);
    assert_eq!(verify(segment.clone()).unwrap().cut, None);
    segment[5_999] = 1;
    assert_header_refused(segment, Fault::Padding);
}

/// A batch that begins with the largest sequence and counts no command, but holds one: behind the largest nothing counts
/// on, so that it passed for whole.
#[test]
fn no_command_has_the_largest_sequence() {
    let mut segment = sealed();
    let batch = &mut segment[PAGE..2 * PAGE];
    batch[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    set_checksum(batch, 68);
    // The seal becomes a command: kind 1, the same number as the batch.
    batch[74] = 1;
    batch[80..88].copy_from_slice(&u64::MAX.to_le_bytes());
    let record = [&batch[72..76], &batch[80..120]].concat();
    batch[76..80].copy_from_slice(&crc32c(&record).to_le_bytes());
    match verify(segment) {
        Err(ReadError::Damaged { offset, fault: Fault::RecordNumber { index: 0, found: u64::MAX, .. }, .. }) => {
            assert_eq!(offset, PAGE as u64);
        }
        other => panic!("{other:?}"),
    }
}

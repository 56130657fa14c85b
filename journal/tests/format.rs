//! Format version 1, byte by byte: a golden segment that can be checked by hand, and a check that does so.
//!
//! `RIALTO_BLESS=1 cargo test -p journal --test format` writes the golden segment anew: only with a new format version.

mod common;

use std::fmt::Write;
use std::path::PathBuf;

use common::{Folder, PAGE, cancel, crc32c};
use journal::{Digest, Entry, Reader, Seal};

fn golden_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format_1.hex")
}

/// Two cancels in one batch, and a seal in another, in a segment of four pages.
fn written() -> (Folder, Vec<u8>) {
    let folder = Folder::new();
    let mut writing = folder.open();
    writing.batch(&[cancel(1), cancel(2)]);
    writing.close(Digest([0x5E; 32]));
    let bytes = std::fs::read(folder.segment(1)).unwrap();
    (folder, bytes)
}

/// Sixteen bytes a line behind their offset; lines of zeros are left out.
fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, chunk) in bytes.chunks(16).enumerate().filter(|(_, chunk)| chunk.iter().any(|&byte| byte != 0)) {
        write!(text, "{:08x} ", line * 16).unwrap();
        chunk.iter().for_each(|byte| write!(text, " {byte:02x}").unwrap());
        text.push('\n');
    }
    text
}

fn from_hex(text: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let at = usize::from_str_radix(words.next().unwrap(), 16).unwrap();
        for (byte, word) in bytes[at..].iter_mut().zip(words) {
            *byte = u8::from_str_radix(word, 16).unwrap();
        }
    }
    bytes
}

fn golden() -> Vec<u8> {
    from_hex(&std::fs::read_to_string(golden_path()).unwrap(), 4 * PAGE)
}

#[test]
fn what_is_written_is_the_golden_segment() {
    let (_folder, bytes) = written();
    if std::env::var_os("RIALTO_BLESS").is_some() {
        std::fs::write(golden_path(), to_hex(&bytes)).unwrap();
    }
    assert_eq!(to_hex(&bytes), to_hex(&golden()));
}

#[test]
fn the_golden_segment_reads_as_what_it_was_written_from() {
    let (folder, _) = written();
    std::fs::write(folder.segment(1), golden()).unwrap();
    let entries: Vec<_> = Reader::open(&folder.data()).unwrap().map(Result::unwrap).collect();
    let command = |number| {
        let stamp = engine::Stamp { sequence: engine::Sequence(number), time: engine::Timestamp(1) };
        Entry::Command(engine::Sequenced { stamp, value: cancel(number) })
    };
    let seal = Entry::Seal(Seal { last: engine::Sequence(2), event_digest: Digest([0x5E; 32]) });
    assert_eq!(entries, [command(1), command(2), seal]);
}

/// Takes fields off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn is(&mut self, what: &str, expected: &[u8]) {
        let (field, rest) = self.0.split_at(expected.len());
        assert_eq!(field, expected, "{what}");
        self.0 = rest;
    }

    fn u16(&mut self, what: &str, expected: u16) {
        self.is(what, &expected.to_le_bytes());
    }

    fn u32(&mut self, what: &str, expected: u32) {
        self.is(what, &expected.to_le_bytes());
    }

    fn u64(&mut self, what: &str, expected: u64) {
        self.is(what, &expected.to_le_bytes());
    }
}

#[test]
fn the_golden_segment_is_what_the_format_draws() {
    let bytes = golden();
    let (header, rest) = bytes.split_at(PAGE);
    let (first, rest) = rest.split_at(PAGE);
    let (second, zeros) = rest.split_at(PAGE);
    check_segment_header(header);
    check_command_batch(first, *blake3::hash(header).as_bytes());
    check_seal_batch(second, *blake3::hash(first).as_bytes());
    assert!(zeros.iter().all(|&byte| byte == 0));
}

fn check_segment_header(bytes: &[u8]) {
    let mut fields = Fields(bytes);
    fields.is("magic", b"RIALTOSG");
    fields.u16("format version", 1);
    fields.u16("zero", 0);
    fields.u32("alignment", 4_096);
    fields.u32("venue", 1);
    fields.u32("shard", 0);
    fields.u64("term", 1);
    fields.is("journal id", b"a journal's name");
    fields.u64("segment number", 1);
    fields.u64("first sequence", 1);
    fields.is("previous hash", &[0; 32]);
    fields.u32("behaviour version", 1);
    // Orders, accounts, assets, instruments, sessions, keys, grants, price blocks.
    for capacity in [1_024, 16, 8, 8, 16, 16, 32, 256] {
        fields.u32("capacity", capacity);
    }
    fields.is("zeros", &[0; 4_092 - 132]);
    fields.u32("checksum", crc32c(&bytes[..4_092]));
    assert_eq!(fields.0, []);
}

fn check_command_batch(bytes: &[u8], previous: [u8; 32]) {
    let mut fields = Fields(bytes);
    check_batch_header(&mut fields, bytes, [1, 2, 2, 160], previous);
    for number in [1_u64, 2] {
        let record = &fields.0[..80];
        fields.u16("length", 16 + 24 + 2 + 28);
        fields.u16("kind: command", 1);
        fields.u32("checksum", crc32c(&[&record[..4], &record[8..]].concat()));
        fields.u64("sequence", number);
        fields.u64("time", 1);
        fields.u32("author: the venue", 0);
        fields.u32("session: none", 0);
        fields.u64("client sequence: none", 0);
        fields.u64("received at: none", 0);
        fields.u16("kind: CancelOrder", 3);
        fields.u32("account", 2);
        fields.u64("order id", number);
        fields.u64("original client order id", !number);
        fields.u64("client order id", number << 32);
        fields.is("zeros to eight bytes", &[0; 2]);
    }
    fields.is("padding", &[0; PAGE - 72 - 160]);
}

fn check_seal_batch(bytes: &[u8], previous: [u8; 32]) {
    let mut fields = Fields(bytes);
    check_batch_header(&mut fields, bytes, [3, 0, 1, 48], previous);
    let record = &fields.0[..48];
    fields.u16("length", 40);
    fields.u16("kind: seal", 3);
    fields.u32("checksum", crc32c(&[&record[..4], &record[8..]].concat()));
    fields.u64("last sequence", 2);
    fields.is("event digest", &[0x5E; 32]);
    fields.is("padding", &[0; PAGE - 72 - 48]);
}

/// `numbers`: first sequence, commands, records, payload bytes.
fn check_batch_header(fields: &mut Fields<'_>, bytes: &[u8], numbers: [u32; 4], previous: [u8; 32]) {
    let [first, commands, records, payload_bytes] = numbers;
    fields.is("magic", b"RBAT");
    fields.u16("format version", 1);
    fields.u16("zero", 0);
    fields.u64("term", 1);
    fields.u64("first sequence", first.into());
    fields.u32("commands", commands);
    fields.u32("records", records);
    fields.u32("payload bytes", payload_bytes);
    fields.is("previous hash", &previous);
    fields.u32("checksum", crc32c(&bytes[..68]));
}

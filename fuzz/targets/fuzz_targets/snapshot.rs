//! No bytes make the reader of snapshots panic, and what it accepts it writes as it was.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus { if targets::snapshot::check(bytes) { Corpus::Keep } else { Corpus::Reject } });

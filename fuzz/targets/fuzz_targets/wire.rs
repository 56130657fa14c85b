//! No bytes of a peer make the decoders panic, and what they read is written so that it reads the same.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::frames::check(bytes));

//! Whatever reaches a subscriber, it does not panic, and its book is the venue's.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::subscriber::check(bytes));

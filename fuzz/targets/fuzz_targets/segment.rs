//! Whatever a journal's files hold, reading and opening them does what the format says, and what is refused stays.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::segment::check(bytes));

//! Whatever a connection says to log in, only who signed it, and just now, gets through, and once.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::login::check(bytes));

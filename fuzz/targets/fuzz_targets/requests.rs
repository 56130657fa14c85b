//! Whatever subscribers ask for, the publisher does not panic, and does a bounded amount for it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::requests::check(bytes));

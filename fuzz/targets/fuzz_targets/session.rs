//! Whatever peers send, however it is cut and whenever the core answers, the gateway's sessions keep their promises.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::session::check(bytes));

//! No bytes make the reader of batches panic; what it reads is framed the same, and no byte of it can be changed.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::batch::check(bytes));

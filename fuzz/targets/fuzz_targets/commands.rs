//! The engine and the model are given the same commands, and tell the same.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|bytes: &[u8]| {
    if let Err(difference) = targets::commands::run(bytes, |_| {}) {
        panic!("{difference}");
    }
});

fuzz_mutator!(|data: &mut [u8], length: usize, most: usize, seed: u32| {
    targets::commands::mutate(&mut data[..most], length, seed, fuzzer_mutate)
});

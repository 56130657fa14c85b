//! What one operation of each kind costs, in a book of a hundred, ten thousand and a million resting orders.
//!
//! Each iteration is one command that is applied alone, up to sixteen of them behind one another between two readings of
//! the clock; what keeps the book as deep as it is, is not timed. See [`benches::operations`].
//!
//! In groups `matching` nothing is held and nobody has a session; in groups `venue` orders are held for and checked
//! against limits, come through sessions, and have names. `cargo test -p benches --bench operations` does each once.

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::operations::{Book, INSTRUMENT, OPERATIONS, ORDINARY, Operation};
use benches::scaling::shape::Mode;
use criterion::{Criterion, criterion_group, criterion_main};
use engine::Side;

fn operations(criterion: &mut Criterion) {
    for orders in [100, 10_000, 1_000_000] {
        group(criterion, orders, Mode::Matching, &OPERATIONS);
        group(criterion, orders, Mode::Venue, &OPERATIONS[..ORDINARY]);
    }
}

/// The book is built once for the group, if any of it is wanted.
fn group(criterion: &mut Criterion, orders: u32, mode: Mode, operations: &[Operation]) {
    let mut book = None;
    let mut group = criterion.benchmark_group(format!("{}_{orders}", mode.name()));
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(30);
    for operation in operations {
        group.bench_function(operation.name, |bencher| {
            let book = book.get_or_insert_with(|| Book::full(orders, mode));
            bencher.iter_custom(|iterations| time(book, operation, iterations));
        });
    }
    if mode == Mode::Matching {
        // The best bid and the best offer are looked at.
        group.bench_function("best_prices", |bencher| {
            let book = book.get_or_insert_with(|| Book::full(orders, mode));
            bencher.iter(|| Side::BOTH.map(|side| black_box(book.engine()).best_price(INSTRUMENT, side)));
        });
    }
    group.finish();
}

/// How long so many operations take.
fn time(book: &mut Book, operation: &Operation, iterations: u64) -> Duration {
    let mut spent = Duration::ZERO;
    book.carry_out(operation, iterations, |engine, commands, told| {
        let begun = Instant::now();
        for command in commands {
            engine.apply(command, told);
        }
        spent += begun.elapsed();
    });
    spent
}

criterion_group! {
    name = benches;
    config = Criterion::default().without_plots();
    targets = operations
}
criterion_main!(benches);

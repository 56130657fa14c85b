//! One command through the engine, in a book of ten thousand resting orders.

use super::counted;
use crate::failure::Failure;
use crate::operations::{Book, OPERATIONS};
use crate::scaling::shape::Mode;

const RESTING: u32 = 10_000;

fn carry_out(mode: Mode, operation: &str, operations: u32) -> Result<(), Failure> {
    let operation = OPERATIONS.iter().find(|each| each.name == operation).expect("an operation's name");
    let mut book = Book::full(RESTING, mode);
    book.carry_out(operation, operations.into(), |engine, commands, told| {
        counted(|| {
            for command in commands {
                engine.apply(command, told);
            }
        });
    });
    Ok(())
}

pub(super) fn matching_rest(operations: u32) -> Result<(), Failure> {
    carry_out(Mode::Matching, "rest_at_a_level", operations)
}

pub(super) fn matching_cancel(operations: u32) -> Result<(), Failure> {
    carry_out(Mode::Matching, "cancel", operations)
}

pub(super) fn matching_amend(operations: u32) -> Result<(), Failure> {
    carry_out(Mode::Matching, "amend_price", operations)
}

pub(super) fn matching_cross(operations: u32) -> Result<(), Failure> {
    carry_out(Mode::Matching, "cross_one_order", operations)
}

pub(super) fn venue_rest(operations: u32) -> Result<(), Failure> {
    carry_out(Mode::Venue, "rest_at_a_level", operations)
}

pub(super) fn venue_cancel(operations: u32) -> Result<(), Failure> {
    carry_out(Mode::Venue, "cancel", operations)
}

pub(super) fn venue_amend(operations: u32) -> Result<(), Failure> {
    carry_out(Mode::Venue, "amend_price", operations)
}

pub(super) fn venue_cross(operations: u32) -> Result<(), Failure> {
    carry_out(Mode::Venue, "cross_one_order", operations)
}

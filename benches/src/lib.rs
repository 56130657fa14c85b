//! Drives the engine with what happened elsewhere: recorded order flow, and scripts.
//!
//! Straight into the engine nothing reads a clock: the times of commands are the times that a recording or a script
//! gives.
//!
//! * [`driver`] — hands commands to an engine and keeps what came out.
//! * [`flow`] — one adapter for each recording, and what its data says must come out.
//! * [`script`] — JSON lines in, JSON lines out.
//! * [`trading`] — traders of a venue that is served, for what goes through its doors.
//! * [`throughput`] — operations a second of the engine alone, beside the least that any book needs.
//! * [`load`] — load that does not lie: open loop, every result beside its limit.
//! * [`machine`] — what a figure was taken on.
//! * [`durability`] — what it costs that nothing is lost, beside the bare disk and the engine alone.
//! * [`instructions`] — what the hot paths cost in instructions, and whether that has grown.
//! * [`io_kinds`] — ways for a thread to serve sockets and hear from another thread, beside each other.
//! * [`scaling`] — venues of sizes that are asked for, and what an operation costs in them.
//! * [`operations`] — single operations of each kind, in books that stay as deep as they are.
//! * [`decimal`] — exact decimal numbers, to and from ticks, lots and smallest units.

pub mod decimal;
pub mod driver;
pub mod durability;
pub mod failure;
pub mod fan_out;
pub mod flow;
pub mod input;
pub mod instructions;
pub mod io_kinds;
pub mod json;
pub mod load;
pub mod machine;
pub mod operations;
pub mod outcome;
pub mod scaling;
pub mod script;
pub mod throughput;
pub mod times;
pub mod trading;

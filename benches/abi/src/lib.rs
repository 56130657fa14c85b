//! The engine behind the C interface of the public [matching-engine-benchmark].
//!
//! Built as a shared library that the benchmark's harness loads. The engine is the venue's own, unchanged: one
//! instrument without assets (holds off), one account whose orders may trade with one another.
//!
//! ```text
//!  harness ── message ──► foreign ──► Adapter ── command ──► Engine
//!                                        │                     │ events
//!                                      Names ◄──────────── Reporter ── report ──► transport ──► drainer
//! ```
//!
//! * Prices may be negative there and start from 1 here: [`Adapter::PRICE_MAX`] ticks either way are carried.
//! * What the interface has no report for, a new order that is refused (an id that is open already, no quantity, a price
//!   beyond the range), has none. An amend that is refused leaves the order as it is and is answered with a
//!   [`ReportKind::ModifyReject`].
//!
//! [matching-engine-benchmark]: https://github.com/flash1-dev/matching-engine-benchmark

mod adapter;
mod foreign;
mod interface;
mod names;
mod reporter;
mod transport;

pub use adapter::Adapter;
pub use foreign::*;
pub use interface::{
    Cancel, DrainReports, Message, MessageBody, MessageKind, Modify, NewOrder, PushReport, Report, ReportKind,
    Transport,
};
pub use reporter::Outbox;
pub use transport::{BATCH, ReportReader, ReportWriter, report_ring};

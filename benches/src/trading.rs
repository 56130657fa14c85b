//! Traders of a venue that is served: what they send, and what they note of what they are told.
//!
//! * [`message`] — requests in the wire's words.
//! * [`log`] — a trader's own log of every report, and what must hold in it whatever happened to the venue.
//! * [`trades`] — trades out of the reports of both sides.
//! * [`served`] — a venue inside this process, its doors open on free ports.

pub mod log;
pub mod message;
pub mod served;
pub mod trades;

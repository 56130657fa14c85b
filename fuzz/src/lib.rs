//! Proofs by accident: a venue that is killed again and again, and traders who notice everything.
//!
//! * [`kills`] — when the venue is killed, and the process that is.
//! * [`trader`] — a trader who loses the venue, and goes on; [`agreement`] — what it was told, against the journal.
//! * [`flow`] — one session drives a day of order flow through it.
//! * [`load`] — many sessions trade at random.
//! * [`rejoin`] — the same by traders of the client library, who come back by themselves.
//! * [`long_journal`] — a journal of many commands, generated, verified and replayed.
//! * [`subscribers`] — subscribers over a link that loses and reorders, and their books.
//! * [`shares`] — a long proof's range of numbers, shared by threads, and its line of results.
//! * [`verdict`] — what was lost, what was doubled, and where that is kept.

pub mod agreement;
pub mod door;
pub mod flow;
pub mod journal_view;
pub mod kills;
pub mod load;
pub mod long_journal;
pub mod process;
pub mod random;
pub mod rejoin;
pub mod shares;
pub mod subscribers;
pub mod trader;
pub mod verdict;

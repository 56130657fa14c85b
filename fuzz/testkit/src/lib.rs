//! The engine against a second implementation of the same text.
//!
//! `docs/MATCHING_RULES.md` is the text. [`model`] is a venue written from it alone, slow and plain; [`workload`] makes
//! streams of commands that live in interesting states; [`auditor`] holds what is true of commands and events whoever
//! made them; [`compare`] runs all of them side by side, and [`shrink`](mod@shrink) takes out of a stream that differs what
//! does not matter, until a person can read it.

pub mod auditor;
pub mod compare;
pub mod model;
pub mod random;
pub mod runs;
pub mod script;
pub mod show;
pub mod shrink;
pub mod stream;
pub mod workload;

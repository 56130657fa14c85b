//! The venue: the one crate that knows all the others.
//!
//! It is a library so that a harness can embed what the program `rialto` runs.

pub use client::decimal;

pub mod admin;
pub mod affinity;
mod alarm;
pub mod archive;
pub mod arguments;
pub mod audit;
pub mod clock;
pub mod config;
pub mod console;
pub mod core_thread;
pub mod data_folder;
pub mod demo;
pub mod demo_market;
mod door_watch;
pub mod exit;
pub mod founding;
pub mod health;
pub mod history_tool;
pub mod hops;
pub mod http;
mod https;
pub mod journal_checkpoints;
pub mod journal_copy;
pub mod journal_export;
pub mod journal_inspect;
pub mod journal_tools;
pub mod log;
mod market_data;
pub mod market_data_door;
pub mod metrics;
pub mod order;
pub mod play;
pub mod reach;
pub mod reasons;
pub mod record;
mod records;
pub mod report_history;
pub mod self_test;
pub mod serve;
pub mod ticks;
pub mod top;
pub mod topology;
mod traces;
pub mod watch;

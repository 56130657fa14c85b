//! How bytes become what the targets try, and what must be true of it. The targets themselves are a line each.

pub mod batch;
pub mod commands;
pub mod disk;
pub mod format;
pub mod frames;
pub mod login;
pub mod requests;
pub mod segment;
pub mod session;
pub mod snapshot;
pub mod subscriber;

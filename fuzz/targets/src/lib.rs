//! How bytes become what the targets try, and what must be true of it. The targets themselves are a line each.

pub mod commands;
pub mod frames;
pub mod session;
pub mod snapshot;

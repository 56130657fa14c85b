//! What the public sees: events become feeds.
//!
//! Nothing here does I/O. [`ByPrice`] follows the events of a venue and says after each command which price levels
//! changed, and what the best prices are.

mod by_price;

pub use by_price::{BestPrices, ByPrice, Level, LevelChange};

//! The whole venue in one thread, from one seed, with faults far above reality.
//!
//! ```text
//!   seed ─► Plan ─► World: clocks, wires, disks, traders, strangers, subscribers ─┬─► the venue's own parts, in turns
//!                                                                                └─► the truth, which holds every promise
//! ```
//!
//! What runs is what a venue runs: sessions, rings, sequencer, journal, engine, history, feed, recovery, and the client
//! library's sessions and subscribers. What it stands on is simulated: clocks, connections, disks, and the order in which
//! parts get their turns. So a seed repeats bit for bit, and a world that broke a promise can be shrunk.

pub mod copies;
pub mod finding;
pub mod insider;
pub mod marks;
pub mod network;
pub mod orders;
pub mod plan;
pub mod plants;
pub mod process;
pub mod scale;
pub mod shrink;
pub mod strangers;
pub mod time;
pub mod traders;
pub mod truth;
pub mod world;

pub use finding::{Finding, Promise};
pub use marks::{Group, Marks};
pub use plan::{Part, Parts, Plan};
pub use plants::Plant;
pub use world::{Lived, Tally, live};

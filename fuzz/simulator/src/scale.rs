//! From a workload's time, in which a few units pass between two commands, to the world's.

use engine::{CommandBody, Nanoseconds, Timestamp};

use crate::time::BEGIN_NS;

/// When a workload begins, by its own time.
const BEGIN_UNITS: u64 = 1_000_000;

/// How long a unit of a workload's time is.
#[derive(Debug, Clone, Copy)]
pub struct Scale(pub u64);

impl Scale {
    /// How far a workload is when so much time has passed since the world began.
    pub fn units(self, elapsed_ns: u64) -> u64 {
        BEGIN_UNITS + elapsed_ns / self.0
    }

    /// The times of a command in the world's time.
    pub fn apply(self, body: &mut CommandBody) {
        match body {
            CommandBody::NewOrder(order) => order.expire_at = self.time(order.expire_at),
            CommandBody::ReplaceOrder(replace) => replace.expire_at = self.time(replace.expire_at),
            CommandBody::SetCalendarEntry(entry) => {
                entry.at = self.time(entry.at);
                entry.repeat = self.duration(entry.repeat);
                entry.random_end = self.duration(entry.random_end);
            }
            CommandBody::SetPriceProtection(set) => {
                let protection = &mut set.protection;
                protection.call_duration = self.duration(protection.call_duration);
                protection.call_random_end = self.duration(protection.call_random_end);
            }
            _ => {}
        }
    }

    fn time(self, time: Timestamp) -> Timestamp {
        match time {
            Timestamp::NONE | Timestamp::NEVER => time,
            Timestamp(units) => {
                let since = units.saturating_sub(BEGIN_UNITS).saturating_mul(self.0);
                Timestamp(BEGIN_NS.saturating_add(since))
            }
        }
    }

    fn duration(self, duration: Nanoseconds) -> Nanoseconds {
        if duration.0 == u64::MAX { duration } else { Nanoseconds(duration.0.saturating_mul(self.0)) }
    }
}

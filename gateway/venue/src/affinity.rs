//! Which processors threads run on.
//!
//! A thread inherits the processors of the thread that starts it. So whoever starts a venue whose core is pinned keeps
//! off the core's processor first, and the core thread alone goes back to it.

use std::fmt;
use std::io;
use std::num::NonZeroU64;

use rustix::thread::{CpuSet, sched_setaffinity, set_current_timer_slack};

/// A processor's number, as the operating system counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CoreNumber(pub usize);

/// Where a venue's threads run, if they are not left to the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The core thread's processor, for it alone.
    pub core: CoreNumber,
    /// Every other thread's; at least one.
    pub others: Vec<CoreNumber>,
}

/// Why threads cannot be placed as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// This process may not run there.
    #[error("processor {} is not available; there are {}", core.0, list(available))]
    NotAvailable {
        /// The one asked for.
        core: CoreNumber,
        /// All there are.
        available: Vec<CoreNumber>,
    },
    /// A number is given twice.
    #[error("processor {} is given twice", core.0)]
    Twice {
        /// Which.
        core: CoreNumber,
    },
    /// The core would have the only processor.
    #[error("the core's processor {} is the only one there is, and the other threads need one", core.0)]
    NothingLeft {
        /// The core's.
        core: CoreNumber,
    },
}

impl Placement {
    /// The first of `asked` for the core; the rest of `asked`, or of all there are, for the others. Nothing asked,
    /// nothing placed.
    pub fn of(asked: &[CoreNumber], available: &[CoreNumber]) -> Result<Option<Self>, PlacementError> {
        let Some((&core, rest)) = asked.split_first() else { return Ok(None) };
        if let Some(&core) = asked.iter().find(|core| !available.contains(core)) {
            return Err(PlacementError::NotAvailable { core, available: available.to_vec() });
        }
        let repeated = |(index, core): (usize, &CoreNumber)| asked[..index].contains(core);
        if let Some((_, &core)) = asked.iter().enumerate().find(|&asked| repeated(asked)) {
            return Err(PlacementError::Twice { core });
        }
        let others: Vec<_> = match rest {
            [] => available.iter().copied().filter(|&other| other != core).collect(),
            rest => rest.to_vec(),
        };
        if others.is_empty() { Err(PlacementError::NothingLeft { core }) } else { Ok(Some(Self { core, others })) }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "core on processor {}, all others on {}", self.core.0, list(&self.others))
    }
}

/// The processors that the calling thread may run on; none if the system does not say.
pub fn available() -> Vec<CoreNumber> {
    core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| CoreNumber(core.id)).collect()
}

/// Keeps the calling thread on one processor.
pub fn pin(core: CoreNumber) -> io::Result<()> {
    match core_affinity::set_for_current(core_affinity::CoreId { id: core.0 }) {
        true => Ok(()),
        false => Err(io::Error::other("the system refuses it")),
    }
}

/// Keeps the calling thread, and the threads that it starts from now on, on some processors.
pub fn keep_to(cores: &[CoreNumber]) -> io::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(core.0));
    Ok(sched_setaffinity(None, &set)?)
}

/// Lets the calling thread, and the threads that it starts from now on, sleep as short as they ask to: by default the
/// system adds 50 µs, as much as a polling thread sleeps.
pub fn sleep_precisely() -> io::Result<()> {
    Ok(set_current_timer_slack(NonZeroU64::new(1_000))?)
}

/// How much less of a processor threads get that nobody waits for, where there are not enough.
const BACKGROUND_NICENESS: i32 = 10;

/// Lets those go first who are waited for, on processors that the calling thread shares with them; so do the threads that it
/// starts from now on. A system that refuses it runs all alike.
pub fn go_last() {
    let _ = rustix::process::setpriority_process(None, BACKGROUND_NICENESS);
}

fn list(cores: &[CoreNumber]) -> String {
    cores.iter().map(|core| core.0.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(numbers: &[usize]) -> Vec<CoreNumber> {
        numbers.iter().copied().map(CoreNumber).collect()
    }

    #[test]
    fn the_core_is_alone_on_the_first() {
        let place = |asked: &[usize], available: &[usize]| {
            let placed = Placement::of(&numbers(asked), &numbers(available));
            placed.map(|placed| placed.map(|placement| placement.to_string())).map_err(|error| error.to_string())
        };
        assert_eq!(place(&[], &[0, 1]), Ok(None));
        assert_eq!(place(&[1], &[0, 1]), Ok(Some("core on processor 1, all others on 0".into())));
        assert_eq!(place(&[2], &[0, 1, 2, 3]), Ok(Some("core on processor 2, all others on 0, 1, 3".into())));
        assert_eq!(place(&[2, 3], &[0, 1, 2, 3]), Ok(Some("core on processor 2, all others on 3".into())));
        assert_eq!(place(&[7], &[0, 1]), Err("processor 7 is not available; there are 0, 1".into()));
        assert_eq!(place(&[1, 0, 1], &[0, 1]), Err("processor 1 is given twice".into()));
        assert_eq!(
            place(&[0], &[0]),
            Err("the core's processor 0 is the only one there is, and the other threads need one".into())
        );
    }

    #[test]
    fn a_thread_goes_last_by_itself() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let there = std::thread::spawn(move || {
            go_last();
            niceness()
        });
        assert_eq!(there.join().unwrap(), BACKGROUND_NICENESS);
        assert_eq!(niceness(), before);
    }

    #[test]
    fn a_thread_passes_its_processors_on() {
        let all = available();
        let last = *all.last().expect("this thread runs somewhere");
        std::thread::spawn(move || {
            pin(last).unwrap();
            assert_eq!(available(), [last]);
            keep_to(&[last]).unwrap();
            assert_eq!(available(), [last]);
            assert_eq!(std::thread::spawn(available).join().unwrap(), [last]);
        })
        .join()
        .unwrap();
        assert_eq!(available(), all);
    }
}

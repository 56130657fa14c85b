//! What the threads of this process take of the processors, by their names.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Sub;

/// What a thread has taken so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// Time on a processor, in nanoseconds.
    pub running_ns: u64,
    /// How often it went to sleep by itself.
    pub sleeps: u64,
}

/// What all threads have taken, those of one name together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage(BTreeMap<String, Taken>);

impl Usage {
    /// Of this process, up to now; nothing where the system does not tell.
    pub fn now() -> Self {
        let mut usage = Self::default();
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        for folder in tasks.map(|task| task.path()) {
            let read = |file| fs::read_to_string(folder.join(file)).ok();
            let (Some(name), Some(scheduled), Some(status)) = (read("comm"), read("schedstat"), read("status")) else {
                continue;
            };
            let taken = Taken { running_ns: first_number(&scheduled), sleeps: voluntary_switches(&status) };
            usage.add(name.trim_end(), taken);
        }
        usage
    }

    fn add(&mut self, name: &str, taken: Taken) {
        let sum = self.0.entry(name.to_owned()).or_default();
        sum.running_ns += taken.running_ns;
        sum.sleeps += taken.sleeps;
    }

    /// Of all threads of which `matches` says so.
    pub fn of(&self, matches: impl Fn(&str) -> bool) -> Taken {
        let mut sum = Taken::default();
        for (_, taken) in self.0.iter().filter(|(name, _)| matches(name)) {
            sum.running_ns += taken.running_ns;
            sum.sleeps += taken.sleeps;
        }
        sum
    }

    /// That of the threads of one name.
    pub fn only(mut self, name: &str) -> Self {
        self.0.retain(|other, _| other == name);
        self
    }

    /// Adds what was taken in another time.
    pub fn plus(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, taken)| self.add(name, *taken));
    }
}

impl Sub<&Usage> for Usage {
    type Output = Usage;

    /// What was taken since `earlier`.
    fn sub(mut self, earlier: &Usage) -> Usage {
        for (name, taken) in &mut self.0 {
            let before = earlier.0.get(name).copied().unwrap_or_default();
            taken.running_ns = taken.running_ns.saturating_sub(before.running_ns);
            taken.sleeps = taken.sleeps.saturating_sub(before.sleeps);
        }
        self
    }
}

fn first_number(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn voluntary_switches(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.map(first_number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_one_name_are_one() {
        let usage = |running_ns, sleeps| {
            let mut usage = Usage::default();
            usage.add("core", Taken { running_ns, sleeps });
            usage.add("core", Taken { running_ns: 1, sleeps: 1 });
            usage.add("other", Taken { running_ns: 5, sleeps: 0 });
            usage
        };
        let between = usage(700, 9) - &usage(100, 2);
        assert_eq!(between.of(|name| name == "core"), Taken { running_ns: 600, sleeps: 7 });
        assert_eq!(between.of(|_| true), Taken { running_ns: 600, sleeps: 7 });
    }

    #[test]
    fn a_thread_that_works_is_seen_by_its_name() {
        let worked = std::thread::Builder::new().name("worker".to_owned()).spawn(|| {
            let begun = std::time::Instant::now();
            while Usage::now().of(|name| name == "worker").running_ns == 0 {
                assert!(begun.elapsed().as_secs() < 60, "no time on a processor was told");
            }
        });
        worked.unwrap().join().unwrap();
    }
}

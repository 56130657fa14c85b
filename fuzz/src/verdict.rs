//! What was lost, what was doubled, what does not agree, and where that is kept.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use benches::machine::commit;
use benches::trading::log::Fault;
use serde::Serialize;

use crate::kills::Kills;
use crate::shares::build;

/// Findings that are told one by one; the rest are only counted.
const TOLD_MAX: usize = 10;

/// What a run found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Things that are missing.
    pub lost: u64,
    /// Things that are there more than once, or are not what they should be.
    pub doubled: u64,
    /// Whatever else does not agree.
    pub differences: u64,
    told: Vec<String>,
    /// Commands in the journals.
    pub commands: u64,
    /// Reports that traders received.
    pub reports: u64,
    /// What of the day was matched, if it is one.
    pub matches: Option<(u64, u64)>,
}

impl Verdict {
    /// Takes in what a trader found.
    pub fn fault(&mut self, whose: &str, fault: Fault) {
        match fault {
            Fault::Lost(what) => {
                self.lost += 1;
                self.tell(format!("{whose}: lost: {what}"));
            }
            Fault::Doubled(what) => {
                self.doubled += 1;
                self.tell(format!("{whose}: doubled: {what}"));
            }
        }
    }

    /// Takes in what was found of another venue.
    pub fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.differences += other.differences;
        self.commands += other.commands;
        self.reports += other.reports;
        let matches = self.matches.into_iter().chain(other.matches);
        self.matches = matches.reduce(|(equal, expected), (more, of)| (equal + more, expected + of));
        other.told.into_iter().for_each(|what| self.tell(what));
    }

    /// Something does not agree.
    pub fn differs(&mut self, what: String) {
        self.differences += 1;
        self.tell(what);
    }

    /// Compares two things.
    pub fn expect<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: &T, found: &T) {
        if expected != found {
            self.differs(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }

    /// Whether nothing was lost, nothing doubled, and everything agrees.
    pub fn agrees(&self) -> bool {
        (self.lost, self.doubled, self.differences) == (0, 0, 0)
    }

    /// What was found, for people; the first few.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    fn tell(&mut self, what: String) {
        if self.told.len() < TOLD_MAX {
            self.told.push(what);
        }
    }
}

/// One line of the results.
#[derive(Debug, Serialize)]
pub struct Row {
    /// When.
    pub time: String,
    /// Of which commit.
    pub commit: String,
    /// Optimised or not.
    pub build: &'static str,
    /// Which mode.
    pub mode: &'static str,
    /// Which day, or how many sessions.
    pub what: String,
    /// What acknowledgements promised.
    pub durability: String,
    /// What everything followed from in the first venue; in the next it was one more.
    pub seed: u64,
    /// Venues that were killed, one after the other.
    pub venues: u64,
    /// Kills that met a living venue.
    pub kills: u64,
    /// Of them before the venue was ready, or just then.
    pub kills_at_start: u64,
    /// Of them under load.
    pub kills_under_load: u64,
    /// Of them while it stopped in order.
    pub kills_at_stop: u64,
    /// Commands in the journal.
    pub commands: u64,
    /// Reports that traders received.
    pub reports: u64,
    /// Matches that came out as they should have, of the day's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// What is missing.
    pub lost: u64,
    /// What is there more than once.
    pub doubled: u64,
    /// What else does not agree.
    pub differences: u64,
}

impl Row {
    /// The line of a run.
    pub fn of(
        mode: &'static str,
        what: String,
        durability: String,
        seed: u64,
        venues: u64,
        kills: Kills,
        verdict: &Verdict,
    ) -> Self {
        Self {
            time: jiff::Timestamp::now().strftime("%FT%TZ").to_string(),
            commit: commit(),
            build: build(),
            mode,
            what,
            durability,
            seed,
            venues,
            kills: kills.count(),
            kills_at_start: kills.at_start,
            kills_under_load: kills.under_load,
            kills_at_stop: kills.at_stop,
            commands: verdict.commands,
            reports: verdict.reports,
            matches: verdict.matches.map(|(equal, expected)| format!("{equal} of {expected}")),
            lost: verdict.lost,
            doubled: verdict.doubled,
            differences: verdict.differences,
        }
    }

    /// One object on one line.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a plain record")
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let matches = self.matches.as_ref().map(|matches| format!("matches {matches}, ")).unwrap_or_default();
        let verdict = if (self.lost, self.doubled, self.differences) == (0, 0, 0) { "agrees" } else { "DIFFERS" };
        format!(
            "kill loop, {} ({}), {}, seed {}, {} venues: {} kills ({} at the start, {} under load, {} while stopping), {} commands, \
             {} reports; {matches}lost {}, doubled {}, differences {}; {verdict}",
            self.mode,
            self.what,
            self.durability,
            self.seed,
            self.venues,
            self.kills,
            self.kills_at_start,
            self.kills_under_load,
            self.kills_at_stop,
            self.commands,
            self.reports,
            self.lost,
            self.doubled,
            self.differences,
        )
    }

    /// Adds the line to those that are kept.
    pub fn keep(&self, file: &Path) -> io::Result<()> {
        writeln!(OpenOptions::new().create(true).append(true).open(file)?, "{}", self.json())
    }
}

//! How a process ends and another starts, and what becomes of the disks meanwhile.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use marketdata::Limits;

use super::{World, or_the_disk};
use crate::copies::{self, Copy};
use crate::finding::{Checked, Finding, Promise};
use crate::marks::Group;
use crate::network::Cut;
use crate::plan::Part;
use crate::process::{self, Machine, Process, Started};

impl World {
    /// What ends a process from inside, if something has.
    pub(super) fn look_for_the_end(&mut self) -> Checked {
        let Some(process) = &self.process else { return Ok(()) };
        let has_halted = self.machine.segments.is_dead() || self.machine.snapshots.is_dead();
        if has_halted {
            self.marks.hit(Group::Trouble, "the machine halts in an operation");
            return if self.random.percent(50) { self.lose_power() } else { self.kill() };
        }
        if process.failure.is_some() {
            let why = process.writer_failure().unwrap_or_default();
            if !why.contains("was made to") {
                return Err(Finding::new(
                    Promise::StartsAgain,
                    format!("the journal stops, and the disk does not: {why}"),
                ));
            }
            self.marks.hit(Group::Trouble, "the journal stops at a failure of the disk");
            return if self.random.percent(50) { self.lose_power() } else { self.kill() };
        }
        if self.stopping && process.door.is_done() {
            return self.stop();
        }
        Ok(())
    }

    /// The process ends; the machine goes on.
    pub(super) fn kill(&mut self) -> Checked {
        self.note(|| "the process is killed".to_owned());
        self.gone(Cut::Reset)?;
        self.machine.segments.end_process();
        self.machine.snapshots.end_process();
        self.meanwhile()
    }

    /// The machine's power goes and comes back.
    pub(super) fn lose_power(&mut self) -> Checked {
        self.note(|| "the power is lost".to_owned());
        let silently = self.random.percent(50);
        self.gone(if silently { Cut::HalfOpen } else { Cut::Reset })?;
        self.machine.segments.lose_power();
        self.machine.snapshots.lose_power();
        if let Some(head) = self.machine.head() {
            if self.random.percent(50) {
                fs::remove_file(head).expect("it is there");
            } else {
                process::age(&head);
            }
        }
        self.tear_history();
        self.meanwhile()
    }

    fn gone(&mut self, how: Cut) -> Checked {
        self.release()?;
        if let Some(process) = self.process.take() {
            self.marks.visited(process.door.visited());
            self.wires.host_gone(how);
            process.die();
        }
        self.stopping = false;
        self.audience.shut();
        self.full_until = 0;
        self.down_until = self.now() + self.random.between(0, 2_000) * 1_000_000;
        Ok(())
    }

    /// An orderly stop, behind the door's.
    fn stop(&mut self) -> Checked {
        self.release()?;
        self.stopping = false;
        let Some(process) = self.process.take() else { return Ok(()) };
        self.marks.visited(process.door.visited());
        let Self { truth, marks, .. } = self;
        let is_sealed =
            process.end(|follower, events| or_the_disk(truth.release(follower, events, marks)).map(drop))?;
        self.note(|| format!("the venue is stopped in order, sealed: {is_sealed}"));
        self.marks.hit(Group::Trouble, if is_sealed { "sealed" } else { "the disk does not let it seal" });
        self.wires.host_gone(Cut::Reset);
        self.audience.shut();
        self.learn()?;
        self.full_until = 0;
        self.machine.segments.end_process();
        self.machine.snapshots.end_process();
        self.down_until = self.now() + self.random.between(0, 500) * 1_000_000;
        self.meanwhile()
    }

    /// While nobody looks, bits rot where there is a second copy.
    fn meanwhile(&mut self) -> Checked {
        if self.strikes(Part::Copies, 300) {
            let Self { machine, older, truth, troubles, marks, .. } = self;
            let random = &mut troubles[Part::Copies as usize];
            copies::examine(machine, older.as_ref(), truth, random, marks)?;
            if random.percent(40) {
                *older = Some(Copy::of(machine));
            }
        }
        if self.strikes(Part::Rot, 300) {
            self.rot();
        }
        Ok(())
    }

    fn rot(&mut self) {
        let random = &mut self.troubles[Part::Rot as usize];
        let names = self.machine.snapshots.names();
        if !names.is_empty() && random.percent(60) {
            let name = &names[random.below(names.len() as u64) as usize];
            let length = self.machine.snapshots.read(name).len() as u64;
            if length > 0 {
                self.machine.snapshots.flip(name, random.below(length) as usize, 1 << random.below(8));
            }
            return;
        }
        let files = history_files(&self.machine);
        if let Some(file) = files.get(random.below(files.len().max(1) as u64) as usize) {
            let mut bytes = fs::read(file).expect("a file in memory");
            if !bytes.is_empty() {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << random.below(8);
                fs::write(file, bytes).expect("a file in memory");
            }
        }
    }

    /// What was derived is written through the page cache: a power loss takes some of its end.
    fn tear_history(&mut self) {
        for file in history_files(&self.machine) {
            if self.random.percent(30) {
                let bytes = fs::read(&file).expect("a file in memory");
                let kept = self.random.below(bytes.len() as u64 + 1) as usize;
                fs::write(&file, &bytes[..kept]).expect("a file in memory");
            }
        }
    }

    pub(super) fn start(&mut self) -> Checked {
        self.tally.starts += 1;
        let Self { machine, clocks, wires, truth, marks, .. } = self;
        let started = Process::start(machine, clocks, wires, truth, marks)?;
        let Some(Started { process, feed, clock }) = started else {
            self.note(|| "the disk does not let the venue start".to_owned());
            self.tally.refused_starts += 1;
            self.machine.segments.end_process();
            self.machine.snapshots.end_process();
            self.down_until = self.now() + self.random.between(1, 100) * 1_000_000;
            return Ok(());
        };
        self.process = Some(process);
        self.note(|| "the venue starts".to_owned());
        self.learn()?;
        let limits = Limits {
            backlog_bytes_max: 30_000,
            backlog_age_max: Duration::from_millis(400),
            group_bytes_max: 4_000,
            ..Limits::default()
        };
        self.audience.open(feed, limits, Arc::new(move || clock.now().into()));
        Ok(())
    }
}

/// The files of the event history, in order.
fn history_files(machine: &Machine) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(machine.data().join(journal::HISTORY_FOLDER)) else { return Vec::new() };
    let mut files: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

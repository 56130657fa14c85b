//! What goes wrong, and when it ends.

use simulation::{Failure, Fault, Operation};

use super::{SECOND_NS, World};
use crate::finding::Checked;
use crate::marks::Group;
use crate::network::Cut;
use crate::plan::Part;
use crate::process::Process;

impl World {
    /// Whether a kind of trouble strikes now.
    pub(super) fn strikes(&mut self, part: Part, weight: u64) -> bool {
        let strikes = self.troubles[part as usize].below(100_000) < self.plan.trouble * weight;
        let strikes = strikes && self.plan.has(part);
        if strikes {
            self.marks.hit(Group::Trouble, part.name());
            self.note(|| format!("trouble: {}", part.name()));
        }
        strikes
    }

    pub(super) fn trouble(&mut self) -> Checked {
        self.end_some_trouble();
        if self.process.is_some() {
            if self.strikes(Part::Kills, 2) {
                return self.kill();
            }
            if self.strikes(Part::PowerLosses, 2) {
                return self.lose_power();
            }
            if self.strikes(Part::Stops, 1) && !self.stopping {
                self.stopping = true;
                self.process.iter().for_each(Process::ask_to_stop);
            }
            if self.strikes(Part::DiskFaults, 4) {
                self.arm();
            }
        }
        self.trouble_of_disks();
        self.trouble_of_links();
        if self.strikes(Part::Clocks, 3) {
            let random = &mut self.troubles[Part::Clocks as usize];
            let off = random.one_of(&[3_600, -3_600, 2, -2, 30, -30]) * SECOND_NS as i64;
            self.wall_until = self.clocks.right_ns() + random.between(1, 20) * SECOND_NS / 4;
            self.clocks.set_wall(off);
        }
        if self.strikes(Part::Freezes, 3) {
            let length = self.troubles[Part::Freezes as usize].between(1, 3_000) * 1_000_000;
            self.frozen_until = self.now() + length;
        }
        if self.strikes(Part::Deaths, 6) {
            let random = &mut self.troubles[Part::Deaths as usize];
            let index = random.below(self.traders.len() as u64) as usize;
            let how = random.one_of(&[None, Some(Cut::Reset), Some(Cut::HalfOpen)]);
            self.traders[index].die(self.clocks.right_ns(), &self.wires, &mut self.sent, how);
        }
        if self.strikes(Part::Liars, 10) {
            let now = self.now();
            self.strangers.lie(now, &self.wires, &self.sent);
        }
        if self.strikes(Part::Floods, 2) {
            self.strangers.flood(&self.wires);
        }
        if self.plan.has(Part::Operators) && self.random.percent(1) {
            self.process.iter().for_each(|process| process.snapshot.ask());
        }
        Ok(())
    }

    fn end_some_trouble(&mut self) {
        let now = self.now();
        if self.wall_until != 0 && now >= self.wall_until {
            self.wall_until = 0;
            self.clocks.set_wall(0);
        }
        if self.full_until != 0 && now >= self.full_until {
            self.full_until = 0;
            self.machine.segments.disarm();
        }
    }

    fn trouble_of_disks(&mut self) {
        if self.strikes(Part::FullDisk, 2) && self.full_until == 0 {
            let length = self.troubles[Part::FullDisk as usize].between(10, 5_000) * 1_000_000;
            self.full_until = self.now() + length;
            self.machine.segments.arm(Fault::at(1).of(&[Operation::Create]).times(1 << 40));
        }
        if self.strikes(Part::SlowDisk, 4) {
            let length = self.troubles[Part::SlowDisk as usize].between(1, 5_000) * 1_000_000;
            self.slow_until = self.now() + length;
        }
    }

    fn trouble_of_links(&mut self) {
        for (part, how) in [(Part::Cuts, Cut::Reset), (Part::HalfOpen, Cut::HalfOpen)] {
            if self.strikes(part, 8) {
                let index = self.troubles[part as usize].below(self.traders.len() as u64) as usize;
                self.traders[index].wire().into_iter().for_each(|wire| self.wires.cut(wire, how));
            }
        }
        if self.strikes(Part::Delays, 4) {
            let random = &mut self.troubles[Part::Delays as usize];
            let until = self.clocks.right_ns() + random.between(1, 2_000) * 1_000_000;
            let index = random.below(self.traders.len() as u64) as usize;
            let delay = random.one_of(&[0, self.plan.delay_max_ns, 300_000_000]);
            self.traders[index].stall(until);
            self.wires.set_delay_max(delay);
        }
    }

    /// Something of a disk is about to fail.
    fn arm(&mut self) {
        let random = &mut self.troubles[Part::DiskFaults as usize];
        let number = 1 + random.below(40);
        let few = [
            vec![Operation::Sync],
            vec![Operation::Write],
            vec![Operation::Sync, Operation::Settle],
            vec![Operation::Create, Operation::Rename, Operation::Remove, Operation::SyncDirectory],
        ];
        let failure = match random.below(8) {
            0..3 => Failure::Halt,
            3 => Failure::Refused,
            4 => Failure::Halfway,
            5 => Failure::Short(random.below(600) as usize),
            _ => Failure::CalledClean,
        };
        let fault = Fault::at(number).with(failure);
        let fault = match random.below(6) as usize {
            kind if kind < few.len() => fault.of(&few[kind]),
            _ => fault,
        };
        let fault = if random.percent(10) { fault.for_ever() } else { fault };
        let is_of_snapshots = random.percent(25);
        self.note(|| format!("armed: {fault}{}", if is_of_snapshots { ", of snapshots" } else { "" }));
        if is_of_snapshots { self.machine.snapshots.arm(fault) } else { self.machine.segments.arm(fault) }
    }
}

//! Copies of a venue's disks that were damaged where there is no second copy: they have to be refused by name, and left as
//! they are, or to be the same venue.

use std::collections::BTreeMap;
use std::fs;

use journal::decision::Action;
use journal::{FolderLock, Journal, JournalId, Options, Recovery, Start, StartError, State, state_digest};
use simulation::SimulatedDisk;
use testkit::random::Random;

use crate::finding::{Checked, Finding, Promise};
use crate::marks::{Group, Marks};
use crate::process::{Machine, state_of};
use crate::truth::Truth;

/// Disks and head at a moment.
#[derive(Clone)]
pub struct Copy {
    segments: SimulatedDisk,
    snapshots: SimulatedDisk,
    head: Option<Vec<u8>>,
}

impl Copy {
    /// As they are now, while no process runs.
    pub fn of(machine: &Machine) -> Self {
        let head = machine.head().map(|head| fs::read(head).expect("a file in memory"));
        let [segments, snapshots] = [&machine.segments, &machine.snapshots].map(|disk| {
            let copy = disk.copy();
            // What a cache calls clean and no device has is not copied.
            let names = copy.names();
            names.iter().for_each(|name| journal::Storage::settle(&copy, name).expect("a copy without faults"));
            copy
        });
        Self { segments, snapshots, head }
    }
}

/// Declares what may be done to a copy, once.
macro_rules! damages {
    ($($damage:ident,)*) => {
        /// What is done to a copy.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Damage {
            $($damage,)*
        }

        impl Damage {
            const ALL: &'static [Self] = &[$(Self::$damage,)*];
        }
    };
}

damages! {
    None,
    Flip,
    Zeros,
    CutShort,
    Remove,
    Rename,
    Double,
    Swap,
    Move,
    Foreign,
    Empty,
    OlderDisk,
    OlderHead,
    OlderSnapshots,
    FlipHead,
    RemoveSnapshot,
    FlipSnapshot,
    OtherVenue,
    OtherCapacity,
    LaterTerm,
    TwoProcesses,
}

/// Damages a copy in one way, and lets it be opened.
///
/// # Errors
/// It is opened as something else than it was, or refused and changed.
pub fn examine(
    machine: &Machine,
    older: Option<&Copy>,
    truth: &Truth,
    random: &mut Random,
    marks: &mut Marks,
) -> Checked {
    let mut copy = Copy::of(machine);
    let damage = random.one_of(Damage::ALL);
    let mut options = machine.options();
    damage_copy(damage, &mut copy, older, &mut options, random);
    marks.hit(Group::Trouble, format!("a copy is damaged: {damage:?}"));

    let folder = simulation::lives::temporary_folder();
    let (data, heads) = (folder.path().join("data"), folder.path().join("heads"));
    fs::create_dir_all(&data).and_then(|()| fs::create_dir_all(&heads)).expect("a place in memory");
    if let (Some(bytes), Some(path)) = (&copy.head, machine.head()) {
        fs::write(heads.join(path.file_name().expect("a file")), bytes).expect("a file in memory");
    }
    options.head_directory = Some(heads);
    options.storage = Some(std::sync::Arc::new(copy.segments.clone()));
    options.snapshots = Some(std::sync::Arc::new(copy.snapshots.clone()));

    let before = contents(&copy.segments);
    let lock = || FolderLock::take(&data);
    let held = lock().expect("nobody else has it");
    if damage == Damage::TwoProcesses {
        let second = lock().map(drop).err().map(StartError::from);
        second.as_ref().and_then(state_of).into_iter().for_each(|state| marks.state(state));
        return match second {
            Some(_) => Ok(()),
            None => Err(Finding::new(Promise::StartsAgain, "two processes have locked one folder")),
        };
    }
    match journal::start_locked(held, &options) {
        Ok(start) => is_the_same(damage, &start, truth, marks),
        Err(error) => {
            let state = state_of(&error);
            state.into_iter().for_each(|state| marks.state(state));
            let is_refusal = state.is_some_and(|state| state.decision().action == Action::Refuse);
            if !is_refusal || damage == Damage::None {
                return Err(Finding::new(Promise::StartsAgain, format!("a copy with {damage:?}: {error}")));
            }
            // Where an older snapshot was tried, the journal's end was mended by then.
            let is_late = matches!(error, StartError::Replay(_));
            let changed = changed(&before, &contents(&copy.segments));
            match changed.filter(|file| !is_late || !may_be_mended(file, &before)) {
                None => Ok(()),
                Some(file) => {
                    let what = format!("a copy with {damage:?} is refused, and {file} was changed: {error}");
                    Err(Finding::new(Promise::StartsAgain, what))
                }
            }
        }
    }
}

fn damage_copy(damage: Damage, copy: &mut Copy, older: Option<&Copy>, options: &mut Options, random: &mut Random) {
    let segments = segments_of(&copy.segments);
    let mut some = || segments.get(random.below(segments.len().max(1) as u64) as usize).cloned();
    let (first, second) = (some(), some());
    match damage {
        Damage::None | Damage::TwoProcesses => {}
        Damage::Flip => flip(&copy.segments, first, random),
        Damage::Zeros => {
            if let Some(name) = first {
                let mut bytes = copy.segments.read(&name);
                let at = random.below(bytes.len() as u64) as usize;
                let end = bytes.len().min(at + random.between(1, 9_000) as usize);
                bytes[at..end].fill(0);
                copy.segments.write(&name, bytes);
            }
        }
        Damage::CutShort => {
            if let Some(name) = first {
                let mut bytes = copy.segments.read(&name);
                bytes.truncate(random.below(bytes.len() as u64) as usize);
                copy.segments.write(&name, bytes);
            }
        }
        Damage::Remove => first.iter().for_each(|name| remove(&copy.segments, name)),
        Damage::Rename => {
            if let Some(name) = first {
                copy.segments.write(&format!("copy of {name}"), copy.segments.read(&name));
            }
        }
        Damage::Double => {
            if let (Some(from), Some(to)) = (first, second) {
                copy.segments.write(&to, copy.segments.read(&from));
            }
        }
        Damage::Swap => {
            if let (Some(one), Some(other)) = (first, second) {
                let (of_one, of_other) = (copy.segments.read(&one), copy.segments.read(&other));
                copy.segments.write(&one, of_other);
                copy.segments.write(&other, of_one);
            }
        }
        Damage::Move => {
            if let Some(name) = first {
                let mut bytes = copy.segments.read(&name);
                let block = journal::Storage::alignment(&copy.segments);
                let count = (bytes.len() / block).max(1) as u64;
                let [from, to] = [random.below(count) as usize, random.below(count) as usize];
                if from != to && count > 1 {
                    bytes.copy_within(from * block..(from + 1) * block, to * block);
                    copy.segments.write(&name, bytes);
                }
            }
        }
        Damage::Foreign => {
            if let Some(name) = first {
                let bytes = foreign(options, journal::Storage::alignment(&copy.segments));
                copy.segments.write(&name, bytes);
            }
        }
        Damage::Empty => segments.iter().for_each(|name| remove(&copy.segments, name)),
        Damage::OlderDisk => older.iter().for_each(|older| copy.segments = older.segments.copy()),
        Damage::OlderHead => older.iter().for_each(|older| copy.head.clone_from(&older.head)),
        Damage::OlderSnapshots => older.iter().for_each(|older| copy.snapshots = older.snapshots.copy()),
        Damage::FlipHead => {
            if let Some(head) = &mut copy.head {
                // Its beginning more often than its records.
                let end = if random.percent(60) { 256.min(head.len()) } else { head.len() };
                for _ in 0..random.between(1, 3) {
                    let at = random.below(end as u64) as usize;
                    head[at] ^= 1 << random.below(8);
                }
            }
        }
        Damage::RemoveSnapshot | Damage::FlipSnapshot => {
            let names = copy.snapshots.names();
            let name = names.get(random.below(names.len().max(1) as u64) as usize).cloned();
            match damage {
                Damage::FlipSnapshot => flip(&copy.snapshots, name, random),
                _ => name.iter().for_each(|name| remove(&copy.snapshots, name)),
            }
        }
        Damage::OtherVenue => options.venue += 1,
        Damage::OtherCapacity => options.capacity.orders /= 2,
        Damage::LaterTerm => options.term += 1,
    }
}

/// The first segment of a journal that has nothing to do with the venue's.
fn foreign(options: &Options, alignment: usize) -> Vec<u8> {
    let disk = SimulatedDisk::with_physical_sector(1, alignment);
    let folder = simulation::lives::temporary_folder();
    let options = Options {
        storage: Some(std::sync::Arc::new(disk.clone())),
        head_directory: Some(folder.path().to_owned()),
        journal_id: Some(JournalId([0xAB; 16])),
        ..options.clone()
    };
    drop(Journal::open(&folder.path().join("data"), &options).expect("a disk without faults"));
    disk.read(&segments_of(&disk)[0])
}

fn flip(disk: &SimulatedDisk, name: Option<String>, random: &mut Random) {
    let Some(name) = name else { return };
    let length = disk.read(&name).len() as u64;
    if length > 0 {
        disk.flip(&name, random.below(length) as usize, 1 << random.below(8));
    }
}

fn remove(disk: &SimulatedDisk, name: &str) {
    journal::Storage::remove(disk, name).expect("a copy without faults");
}

fn segments_of(disk: &SimulatedDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.ends_with(".seg")).collect()
}

fn contents(disk: &SimulatedDisk) -> BTreeMap<String, Vec<u8>> {
    disk.names().into_iter().map(|name| (name.clone(), disk.read(&name))).collect()
}

/// Whether a file is a spare segment, set aside, new, or one of the last two: the very last may lack its header.
fn may_be_mended(file: &str, before: &BTreeMap<String, Vec<u8>>) -> bool {
    let mut segments = before.keys().rev().filter(|name| name.ends_with(".seg"));
    !file.ends_with(".seg") || !before.contains_key(file) || segments.by_ref().take(2).any(|last| last == file)
}

/// A file that is not as it was, or is there no more, or was not there.
fn changed(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Option<String> {
    let mut names = before.keys().chain(after.keys());
    names.find(|&name| before.get(name) != after.get(name)).cloned()
}

/// A copy that opens is the venue as it was, or says what it lacks, or lacks what nothing in it tells of.
fn is_the_same(damage: Damage, start: &Start, truth: &Truth, marks: &mut Marks) -> Checked {
    let recovery: &Recovery = &start.opened.recovery;
    State::of_recovery(recovery).into_iter().for_each(|state| marks.state(state));
    start.passed_over.iter().for_each(|passed| marks.state(State::from(&passed.fault)));
    let (last, of_truth) = (start.engine.last().sequence, truth.last());
    if last == of_truth {
        let (own, others) = (state_digest(truth.engine()), state_digest(&start.engine));
        if own == others {
            return Ok(());
        }
        let what = format!("a copy with {damage:?} opens with another state behind command {last}");
        return Err(Finding::new(Promise::ReplayIsIdentical, what));
    }
    let is_cut = recovery.found.as_ref().is_some_and(|found| found.cut.is_some());
    // An older copy, or one that lacks its last batch or segments, is whole in itself: only who knows more can tell.
    let is_older = matches!(
        damage,
        Damage::OlderDisk | Damage::Remove | Damage::Empty | Damage::CutShort | Damage::Zeros | Damage::Move
    );
    if last > of_truth || is_cut || is_older {
        return Ok(());
    }
    let what = format!("a copy with {damage:?} opens without a word behind command {last} of {of_truth}");
    Err(Finding::new(Promise::NothingIsLost, what))
}

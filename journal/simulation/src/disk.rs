use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use journal::space::SPARES_MAX;
use journal::storage::Bytes;
use journal::{Storage, StorageFile};

use crate::content::Content;
use crate::fault::{Failure, Fault, Lie, Operation};
use crate::names::{Change, FileId, Names};

/// A folder on a disk in memory. Clones are the same disk.
///
/// # Examples
///
/// ```
/// use journal::{Storage, StorageFile};
/// use simulation::SimulatedDisk;
///
/// let disk = SimulatedDisk::new(7);
/// let mut file = disk.create("synced", 512)?;
/// file.write_at(b"kept", 0)?;
/// file.sync()?;
/// disk.sync_directory()?;
/// disk.create("forgotten", 512)?;
///
/// disk.lose_power();
/// assert_eq!(&disk.read("synced")[..4], b"kept");
/// assert!(disk.list()?.len() <= 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct SimulatedDisk {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    physical_bytes: usize,
}

struct State {
    random: fastrand::Rng,
    names: Names,
    /// By [`FileId`]. Files without a name stay while somebody may have them open.
    contents: Vec<Content>,
    faults: Vec<Fault>,
    lie: Option<Lie>,
    /// Counts processes and power losses: who opened a file before cannot use it.
    life: u64,
    halted: bool,
    failure_count: u64,
    /// Nothing: nobody asked.
    trace: Option<Vec<String>>,
    hold: Hold,
    turns: Turns,
}

/// Keeps an operation from being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Nothing,
    /// The next of its kind, if nothing has failed by then.
    Next(Operation, u64),
    /// It waits.
    Reached(Operation),
}

/// Makes the order of operations the same each time, though two threads make them.
#[derive(Debug, Clone, Default)]
struct Turns {
    /// Or threads run as they like.
    taken: bool,
    /// Files that the helper has made and nobody has written to.
    spares: BTreeSet<FileId>,
}

/// The thread that makes spare segments, and the one that takes them.
const HELPER: &str = "journal-spare";
const WRITER: &str = "journal-writer";

impl SimulatedDisk {
    /// An empty disk. Everything random that it does follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self::with_physical_sector(seed, 4_096)
    }

    /// The same with physical sectors of another size, which the journal's alignment follows.
    pub fn with_physical_sector(seed: u64, physical_bytes: usize) -> Self {
        let state = State {
            random: fastrand::Rng::with_seed(seed),
            names: Names::default(),
            contents: Vec::new(),
            faults: Vec::new(),
            lie: None,
            life: 0,
            halted: false,
            failure_count: 0,
            trace: None,
            hold: Hold::Nothing,
            turns: Turns::default(),
        };
        Self::of(state, physical_bytes)
    }

    fn of(state: State, physical_bytes: usize) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), physical_bytes }) }
    }

    /// From now on a fault is ahead, beside those that are.
    pub fn arm(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// No fault is ahead any more.
    pub fn disarm(&self) {
        self.lock().faults.clear();
    }

    /// From now on the disk breaks a promise.
    pub fn lie(&self, lie: Lie) {
        self.lock().lie = Some(lie);
    }

    /// How many operations were made to fail, those after a [`Failure::Halt`] not counted.
    pub fn failure_count(&self) -> u64 {
        self.lock().failure_count
    }

    /// Whether no operation is done any more: the machine has halted, or every operation fails for ever, and one has.
    pub fn is_dead(&self) -> bool {
        self.lock().is_dead()
    }

    /// The power goes and comes back. Whoever has a file open cannot use it any more, and no fault is ahead.
    pub fn lose_power(&self) {
        let mut state = self.lock();
        state.lose_power(self.shared.physical_bytes);
        state.begin_life();
        self.shared.changed.notify_all();
    }

    /// The process ends, and the machine does not: the cache stays, but for what is clean, which may be dropped. Whoever has
    /// a file open cannot use it any more, and no fault is ahead.
    pub fn end_process(&self) {
        let mut state = self.lock();
        state.drop_some_clean();
        state.begin_life();
        self.shared.changed.notify_all();
    }

    /// Another disk that holds the same, without faults.
    #[must_use]
    pub fn copy(&self) -> Self {
        let mut state = self.lock().copy();
        state.begin_life();
        Self::of(state, self.shared.physical_bytes)
    }

    /// Another disk that holds only what is durable, and garbage instead of what is not.
    #[must_use]
    pub fn durable_copy(&self) -> Self {
        let copy = self.copy();
        copy.lock().lose_all(self.shared.physical_bytes);
        copy
    }

    /// Names of all files.
    pub fn names(&self) -> Vec<String> {
        self.lock().names.all().cloned().collect()
    }

    /// A file's bytes, as readers see them.
    ///
    /// # Panics
    ///
    /// If there is no such file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        let state = self.lock();
        state.contents[state.file(name)].cache().as_ref().clone()
    }

    /// Overwrites a file behind the journal's back, or makes one. It is durable.
    pub fn write(&self, name: &str, bytes: Vec<u8>) {
        self.lock().put(name, bytes);
    }

    /// Flips bits of one byte behind the journal's back.
    ///
    /// # Panics
    ///
    /// If there is no such byte.
    pub fn flip(&self, name: &str, at: usize, mask: u8) {
        let mut state = self.lock();
        let file = state.file(name);
        state.contents[file].flip(at, mask);
    }

    /// What was done since this was asked last, one line an operation; nothing for the first time.
    pub fn take_trace(&self) -> Vec<String> {
        self.lock().trace.replace(Vec::new()).unwrap_or_default()
    }

    /// The next operation of this kind waits until it is [released](Self::release). There is one hold at a time.
    pub fn hold(&self, operation: Operation) {
        let mut state = self.lock();
        state.hold = Hold::Next(operation, state.failure_count);
    }

    /// Waits until an operation is held; false if one fails before.
    pub fn wait_until_held(&self) -> bool {
        let mut state = self.lock();
        loop {
            match state.hold {
                Hold::Reached(_) => return true,
                Hold::Next(_, failures) if state.failure_count == failures && !state.halted => state = self.wait(state),
                Hold::Next(..) | Hold::Nothing => return false,
            }
        }
    }

    /// The operation that is held, or would be, is done.
    pub fn release(&self) {
        self.lock().hold = Hold::Nothing;
        self.shared.changed.notify_all();
    }

    /// From now on the writer's operations wait until the journal has its spare segments ready, as it always has sooner or
    /// later. Then the order of all operations follows from what is submitted, if that is waited for, and a seed repeats
    /// exactly.
    pub fn take_turns(&self) {
        self.lock().turns.taken = true;
    }

    /// Waits until the spare segments are ready, or cannot be made. A no-op without [`take_turns`](Self::take_turns).
    pub fn wait_for_spares(&self) {
        let mut state = self.lock();
        while state.lacks_spares() {
            state = self.wait(state);
        }
    }

    /// Begins an operation: waits for its turn, counts it, and says how it is to fail.
    fn begin(&self, operation: Operation, name: &str) -> io::Result<(MutexGuard<'_, State>, Option<Failure>)> {
        let mut state = self.lock();
        if std::thread::current().name() == Some(WRITER) {
            while state.lacks_spares() {
                state = self.wait(state);
            }
        }
        if matches!(state.hold, Hold::Next(held, _) if held == operation) {
            state.hold = Hold::Reached(operation);
            self.shared.changed.notify_all();
        }
        while state.hold == Hold::Reached(operation) {
            state = self.wait(state);
        }
        if state.halted {
            return Err(halted());
        }
        let failure = state.count(operation);
        state.note(operation, name, failure);
        self.shared.changed.notify_all();
        Ok((state, failure))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, name: &str, file: FileId, state: &State) -> Box<dyn StorageFile> {
        let length = state.contents[file].cache().len() as u64;
        Box::new(SimulatedFile { disk: self.clone(), name: name.to_owned(), file, life: state.life, length })
    }
}

impl State {
    fn file(&self, name: &str) -> FileId {
        self.names.find(name).unwrap_or_else(|| panic!("the disk has no file {name}"))
    }

    fn find(&self, name: &str) -> io::Result<FileId> {
        self.names.find(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn add(&mut self, content: Content) -> FileId {
        self.contents.push(content);
        self.contents.len() - 1
    }

    fn put(&mut self, name: &str, bytes: Vec<u8>) {
        let content = Content::durable(bytes);
        if let Some(file) = self.names.find(name) {
            self.contents[file] = content;
        } else {
            let file = self.add(content);
            self.names.change(Change::Link(name.to_owned(), file));
        }
        self.names.sync(self.names.unsynced_count());
    }

    /// Every fault counts every operation.
    fn count(&mut self, operation: Operation) -> Option<Failure> {
        let met: Vec<_> = self.faults.iter_mut().filter_map(|fault| fault.meet(operation)).collect();
        let failure = met.first().copied();
        self.failure_count += u64::from(failure.is_some());
        self.halted |= failure == Some(Failure::Halt);
        failure
    }

    fn note(&mut self, operation: Operation, name: &str, failure: Option<Failure>) {
        if let Some(trace) = &mut self.trace {
            let failure = failure.map(|failure| format!(" fails: {failure:?}")).unwrap_or_default();
            trace.push(format!("{operation} {name}{failure}"));
        }
    }

    fn is_dead(&self) -> bool {
        self.halted || self.faults.iter().any(|fault| fault.ended(&Operation::ALL))
    }

    /// Whether the helper still has to make a spare, and can.
    fn lacks_spares(&self) -> bool {
        let disk_is_full = self.faults.iter().any(|fault| fault.ended(&[Operation::Create]));
        self.turns.taken && self.turns.spares.len() < SPARES_MAX && !disk_is_full && !self.halted
    }

    /// What the names reach, and nothing of what goes on.
    fn copy(&self) -> Self {
        let mut contents = vec![Content::durable(Vec::new()); self.contents.len()];
        for file in self.names.files() {
            contents[file].clone_from(&self.contents[file]);
        }
        Self {
            random: self.random.clone(),
            names: self.names.clone(),
            contents,
            faults: Vec::new(),
            lie: self.lie,
            life: self.life,
            halted: false,
            failure_count: 0,
            trace: None,
            hold: Hold::Nothing,
            turns: Turns::default(),
        }
    }

    fn begin_life(&mut self) {
        let named: BTreeSet<_> = self.names.files().collect();
        for (file, content) in self.contents.iter_mut().enumerate() {
            if !named.contains(&file) {
                *content = Content::durable(Vec::new());
            }
        }
        self.life += 1;
        self.halted = false;
        self.faults.clear();
        self.hold = Hold::Nothing;
        self.turns.spares.clear();
    }

    fn lose_power(&mut self, physical_bytes: usize) {
        let survive = self.random.usize(..=self.names.unsynced_count());
        self.names.sync(survive);
        self.names.lose_unsynced();
        for content in &mut self.contents {
            content.lose_power(physical_bytes, &mut self.random);
        }
    }

    fn drop_some_clean(&mut self) {
        for content in &mut self.contents {
            if self.random.bool() {
                content.drop_clean();
            }
        }
    }

    fn lose_all(&mut self, physical_bytes: usize) {
        self.names.lose_unsynced();
        for content in &mut self.contents {
            content.lose_all(physical_bytes, &mut self.random);
        }
    }

    /// How much of `length` bytes an operation does.
    fn part(&mut self, length: usize, failure: Option<Failure>) -> usize {
        match failure {
            None => length,
            Some(Failure::Refused) => 0,
            Some(Failure::Short(bytes)) => length.min(bytes),
            Some(Failure::Halfway | Failure::CalledClean | Failure::Halt) => self.random.usize(..=length),
        }
    }

    /// Whether an operation that has no parts is done.
    fn is_done(&mut self, failure: Option<Failure>) -> bool {
        match failure {
            None => true,
            Some(Failure::Refused | Failure::Short(_)) => false,
            Some(Failure::Halfway | Failure::CalledClean | Failure::Halt) => self.random.bool(),
        }
    }

    fn sync_file(&mut self, file: FileId, physical_bytes: usize, failure: Option<Failure>) {
        let content = &mut self.contents[file];
        match failure {
            None if self.lie == Some(Lie::Sync) => {}
            None => content.sync(),
            Some(Failure::Refused | Failure::Short(_)) => {}
            Some(Failure::Halfway | Failure::Halt) => content.sync_some(&mut self.random),
            Some(Failure::CalledClean) => content.call_clean(physical_bytes, &mut self.random),
        }
    }
}

impl Storage for SimulatedDisk {
    fn path(&self) -> &Path {
        Path::new("simulated")
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let (state, failure) = self.begin(Operation::List, "")?;
        outcome(Operation::List, failure)?;
        Ok(state.names.all().cloned().collect())
    }

    fn create(&self, name: &str, length: u64) -> io::Result<Box<dyn StorageFile>> {
        let (mut state, failure) = self.begin(Operation::Create, name)?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        if failure == Some(Failure::Refused) {
            return Err(failed(io::ErrorKind::StorageFull, Operation::Create));
        }
        let part = state.part(length, failure);
        let content = match failure {
            None => Content::durable(vec![0; length]),
            Some(_) => Content::unwritten(part, &mut state.random),
        };
        let file = state.add(content);
        state.names.change(Change::Link(name.to_owned(), file));
        outcome(Operation::Create, failure)?;
        if std::thread::current().name() == Some(HELPER) {
            state.turns.spares.insert(file);
        }
        Ok(self.handle(name, file, &state))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let (state, failure) = self.begin(Operation::Open, name)?;
        outcome(Operation::Open, failure)?;
        Ok(self.handle(name, state.find(name)?, &state))
    }

    fn map(&self, name: &str) -> io::Result<Bytes> {
        let (state, failure) = self.begin(Operation::Map, name)?;
        outcome(Operation::Map, failure)?;
        Ok(Box::new(Mapped(state.contents[state.find(name)?].cache().clone())))
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        let (mut state, failure) = self.begin(Operation::Settle, name)?;
        let file = state.find(name)?;
        state.sync_file(file, self.shared.physical_bytes, failure);
        if failure.is_none() && state.lie != Some(Lie::Settle) {
            state.contents[file].drop_clean();
        }
        outcome(Operation::Settle, failure)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (mut state, failure) = self.begin(Operation::Rename, from)?;
        let file = state.find(from)?;
        if state.is_done(failure) {
            state.turns.spares.remove(&file);
            state.names.change(Change::Rename(from.to_owned(), to.to_owned()));
        }
        outcome(Operation::Rename, failure)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (mut state, failure) = self.begin(Operation::Remove, name)?;
        let file = state.find(name)?;
        if state.is_done(failure) {
            state.turns.spares.remove(&file);
            state.names.change(Change::Unlink(name.to_owned()));
        }
        outcome(Operation::Remove, failure)
    }

    fn sync_directory(&self) -> io::Result<()> {
        let (mut state, failure) = self.begin(Operation::SyncDirectory, "")?;
        if state.lie != Some(Lie::SyncDirectory) {
            let unsynced = state.names.unsynced_count();
            let part = if matches!(failure, Some(Failure::Short(_))) { 0 } else { state.part(unsynced, failure) };
            state.names.sync(part);
        }
        outcome(Operation::SyncDirectory, failure)
    }

    fn alignment(&self) -> usize {
        self.shared.physical_bytes
    }
}

/// A file as it was when it was mapped.
struct Mapped(Arc<Vec<u8>>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    name: String,
    file: FileId,
    /// In which it was opened.
    life: u64,
    length: u64,
}

impl SimulatedFile {
    fn begin(&self, operation: Operation) -> io::Result<(MutexGuard<'_, State>, Option<Failure>)> {
        let life = self.disk.lock().life;
        if life == self.life { self.disk.begin(operation, &self.name) } else { Err(halted()) }
    }
}

impl StorageFile for SimulatedFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // Who writes to a spare has taken it, and the helper makes the next one.
        self.disk.lock().turns.spares.remove(&self.file);
        let (mut state, failure) = self.begin(Operation::Write)?;
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let part = state.part(bytes.len(), failure);
        state.contents[self.file].write(&bytes[..part], at);
        outcome(Operation::Write, failure)
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut state, failure) = self.begin(Operation::Sync)?;
        state.sync_file(self.file, self.disk.shared.physical_bytes, failure);
        outcome(Operation::Sync, failure)
    }
}

fn outcome(operation: Operation, failure: Option<Failure>) -> io::Result<()> {
    failure.map_or(Ok(()), |_| Err(failed(io::ErrorKind::Other, operation)))
}

fn failed(kind: io::ErrorKind, operation: Operation) -> io::Error {
    io::Error::new(kind, format!("{operation} was made to fail"))
}

fn halted() -> io::Error {
    io::Error::other("the machine was made to stop")
}

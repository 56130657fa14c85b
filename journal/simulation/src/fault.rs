use core::fmt;

/// What a disk is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Storage::list`](journal::Storage::list)
    List,
    /// [`Storage::create`](journal::Storage::create)
    Create,
    /// [`Storage::open`](journal::Storage::open)
    Open,
    /// [`Storage::map`](journal::Storage::map)
    Map,
    /// [`Storage::settle`](journal::Storage::settle)
    Settle,
    /// [`StorageFile::write_at`](journal::StorageFile::write_at)
    Write,
    /// [`StorageFile::sync`](journal::StorageFile::sync)
    Sync,
    /// [`Storage::rename`](journal::Storage::rename)
    Rename,
    /// [`Storage::remove`](journal::Storage::remove)
    Remove,
    /// [`Storage::sync_directory`](journal::Storage::sync_directory)
    SyncDirectory,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::List,
        Self::Create,
        Self::Open,
        Self::Map,
        Self::Settle,
        Self::Write,
        Self::Sync,
        Self::Rename,
        Self::Remove,
        Self::SyncDirectory,
    ];
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What a failing operation leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is done. A creation says that the disk is full.
    Refused,
    /// A write leaves its first bytes, so many of them, and a creation a file as short; nothing else is done.
    Short(usize),
    /// A part is done: a random prefix of a write, some sectors of a sync, a file of random length, some of the names. A
    /// rename or a removal is done or not.
    Halfway,
    /// A sync or settling calls clean what the device did not get. Other operations are done halfway.
    CalledClean,
    /// The operation is done halfway, and no later one is done at all, until the power comes back or a new process comes.
    Halt,
}

/// An operation that fails.
///
/// # Examples
///
/// ```
/// use simulation::{Failure, Fault, Operation};
///
/// let third_sync = Fault::at(3).of(&[Operation::Sync]).with(Failure::CalledClean);
/// let dead_disk = Fault::at(10).for_ever();
/// # let _ = (third_sync, dead_disk);
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    /// Which operations are counted.
    operations: Vec<Operation>,
    /// How many of them are done before.
    before: u64,
    /// How many of them fail then.
    times: u64,
    /// Whether one has failed.
    met: bool,
    failure: Failure,
}

impl Fault {
    /// The `number`-th operation from now, counted from 1, is refused once.
    ///
    /// # Panics
    ///
    /// If `number` is zero.
    pub fn at(number: u64) -> Self {
        let before = number.checked_sub(1).expect("operations are counted from 1");
        Self { operations: Operation::ALL.to_vec(), before, times: 1, met: false, failure: Failure::Refused }
    }

    /// Only these operations count.
    #[must_use]
    pub fn of(self, operations: &[Operation]) -> Self {
        Self { operations: operations.to_vec(), ..self }
    }

    /// So many of them fail.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }

    /// That one and every later one fails: a dead disk.
    #[must_use]
    pub fn for_ever(self) -> Self {
        self.times(u64::MAX)
    }

    /// Whether every operation counts.
    pub fn is_about_all(&self) -> bool {
        self.operations.len() == Operation::ALL.len()
    }

    /// Whether every later one fails too.
    pub fn is_for_ever(&self) -> bool {
        self.times == u64::MAX
    }

    /// They fail so.
    #[must_use]
    pub fn with(self, failure: Failure) -> Self {
        Self { failure, ..self }
    }

    /// Counts an operation; says how it fails, if it does.
    pub(crate) fn meet(&mut self, operation: Operation) -> Option<Failure> {
        if !self.operations.contains(&operation) {
            return None;
        }
        if self.before > 0 {
            self.before -= 1;
            return None;
        }
        self.times = match self.times {
            0 => return None,
            u64::MAX => u64::MAX,
            times => times - 1,
        };
        self.met = true;
        Some(self.failure)
    }

    /// Whether none of these operations will be done any more, as one of them has shown.
    pub(crate) fn ended(&self, operations: &[Operation]) -> bool {
        let is_about = |operation| self.operations.contains(operation);
        self.met && self.is_for_ever() && operations.iter().all(is_about)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.failure, self.before + 1)?;
        if !self.is_about_all() {
            write!(f, " of {:?}", self.operations)?;
        }
        if self.is_for_ever() { write!(f, " and ever after") } else { Ok(()) }
    }
}

/// A promise that a disk makes and does not keep: to see that a proof would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// A sync says that it is done, and does nothing.
    Sync,
    /// A sync of the folder says that it is done, and does nothing.
    SyncDirectory,
    /// Settling leaves in the cache what the device does not hold.
    Settle,
}

use std::collections::BTreeMap;

/// Which file of the disk.
pub(crate) type FileId = usize;

/// The folder: names that are durable, and what was changed since.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    durable: BTreeMap<String, FileId>,
    current: BTreeMap<String, FileId>,
    /// What makes `current` of `durable`, in order.
    changes: Vec<Change>,
}

/// One change of the folder.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Link(String, FileId),
    Rename(String, String),
    Unlink(String),
}

impl Names {
    pub(crate) fn all(&self) -> impl Iterator<Item = &String> {
        self.current.keys()
    }

    /// The files that have a name, or have one again after a power loss.
    pub(crate) fn files(&self) -> impl Iterator<Item = FileId> {
        self.durable.values().chain(self.current.values()).copied().chain(self.changes.iter().filter_map(Change::file))
    }

    pub(crate) fn find(&self, name: &str) -> Option<FileId> {
        self.current.get(name).copied()
    }

    pub(crate) fn change(&mut self, change: Change) {
        change.apply(&mut self.current);
        self.changes.push(change);
    }

    /// The first `count` changes become durable.
    pub(crate) fn sync(&mut self, count: usize) {
        self.changes.drain(..count).for_each(|change| change.apply(&mut self.durable));
    }

    pub(crate) fn unsynced_count(&self) -> usize {
        self.changes.len()
    }

    /// What is not durable is gone.
    pub(crate) fn lose_unsynced(&mut self) {
        self.changes.clear();
        self.current.clone_from(&self.durable);
    }
}

impl Change {
    fn file(&self) -> Option<FileId> {
        match self {
            Self::Link(_, file) => Some(*file),
            Self::Rename(..) | Self::Unlink(_) => None,
        }
    }

    fn apply(&self, names: &mut BTreeMap<String, FileId>) {
        match self {
            Self::Link(name, file) => drop(names.insert(name.clone(), *file)),
            Self::Rename(from, to) => {
                let file = names.remove(from).expect("changes are made only to what is there");
                names.insert(to.clone(), file);
            }
            Self::Unlink(name) => drop(names.remove(name)),
        }
    }
}

//! Things by identity, from 1, in identity order.

use alloc::vec::Vec;

/// Things by identity; room for `capacity` of them is reserved once.
#[derive(Debug)]
pub(crate) struct Table<T> {
    /// By identity, from 0, which is nobody's.
    entries: Vec<Entry<T>>,
    capacity: u32,
}

/// As `Option`, but with a tag of its own: looking for a niche among a large thing's bytes costs more than one byte.
#[derive(Debug)]
#[repr(u8)]
enum Entry<T> {
    Vacant,
    Held(T),
}

impl<T> Entry<T> {
    #[inline]
    fn held(&self) -> Option<&T> {
        match self {
            Self::Vacant => None,
            Self::Held(thing) => Some(thing),
        }
    }
}

impl<T> Table<T> {
    pub(crate) fn new(capacity: u32) -> Self {
        let mut entries = Vec::with_capacity(capacity as usize + 1);
        entries.push(Entry::Vacant);
        Self { entries, capacity }
    }

    /// Whether the identity is one that the table can hold.
    pub(crate) fn covers(&self, id: u32) -> bool {
        (1..=self.capacity).contains(&id)
    }

    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.entries.get(id as usize)?.held()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        match self.entries.get_mut(id as usize)? {
            Entry::Vacant => None,
            Entry::Held(thing) => Some(thing),
        }
    }

    /// Puts a thing in its place.
    ///
    /// # Panics
    /// For an identity that the table does not cover.
    pub(crate) fn insert(&mut self, id: u32, thing: T) {
        assert!(self.covers(id), "the caller checked the identity");
        let index = id as usize;
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || Entry::Vacant);
        }
        self.entries[index] = Entry::Held(thing);
    }

    /// The things with a greater identity, by ascending identity.
    pub(crate) fn iter_behind(&self, id: u32) -> impl Iterator<Item = (u32, &T)> {
        let behind = self.entries.get(id as usize + 1..).unwrap_or_default();
        (id + 1..).zip(behind).filter_map(|(id, entry)| Some((id, entry.held()?)))
    }

    /// All things, by ascending identity.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.entries).filter_map(|(id, entry)| Some((id, entry.held()?)))
    }
}

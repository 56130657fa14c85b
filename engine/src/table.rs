//! Things by identity, from 1, in identity order.

use alloc::vec::Vec;

/// Things by identity; room for `capacity` of them is reserved once.
#[derive(Debug)]
pub(crate) struct Table<T> {
    entries: Vec<Option<T>>,
    capacity: u32,
}

impl<T> Table<T> {
    pub(crate) fn new(capacity: u32) -> Self {
        Self { entries: Vec::with_capacity(capacity as usize), capacity }
    }

    /// Whether the identity is one that the table can hold.
    pub(crate) fn covers(&self, id: u32) -> bool {
        (1..=self.capacity).contains(&id)
    }

    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.entries.get((id as usize).checked_sub(1)?)?.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.entries.get_mut((id as usize).checked_sub(1)?)?.as_mut()
    }

    /// Puts a thing in its place.
    ///
    /// # Panics
    /// For an identity that the table does not cover.
    pub(crate) fn insert(&mut self, id: u32, thing: T) {
        assert!(self.covers(id), "the caller checked the identity");
        let index = id as usize - 1;
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || None);
        }
        self.entries[index] = Some(thing);
    }

    /// The things with a greater identity, by ascending identity.
    pub(crate) fn iter_behind(&self, id: u32) -> impl Iterator<Item = (u32, &T)> {
        let behind = self.entries.get(id as usize..).unwrap_or_default();
        (id + 1..).zip(behind).filter_map(|(id, entry)| Some((id, entry.as_ref()?)))
    }

    /// All things, by ascending identity.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (1..).zip(&self.entries).filter_map(|(id, entry)| Some((id, entry.as_ref()?)))
    }
}

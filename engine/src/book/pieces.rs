//! Reusable pieces by number: what ladders are made of, and what only some orders have.

use alloc::vec::Vec;

/// Reusable pieces by number; room for `capacity` of them is reserved once.
#[derive(Debug)]
pub(super) struct Pieces<T> {
    pieces: Vec<T>,
    free: Vec<u32>,
    capacity: u32,
}

impl<T> Pieces<T> {
    pub(super) fn new(capacity: u32) -> Self {
        Self { pieces: Vec::with_capacity(capacity as usize), free: Vec::with_capacity(capacity as usize), capacity }
    }

    #[inline]
    pub(super) fn available(&self) -> usize {
        self.free.len() + (self.capacity as usize - self.pieces.len())
    }

    /// A piece as it was given back, or a fresh one.
    ///
    /// # Panics
    /// Without room: the caller asks [`Pieces::available`] first.
    #[inline]
    pub(super) fn take(&mut self, fresh: impl FnOnce() -> T) -> u32 {
        if let Some(at) = self.free.pop() {
            return at;
        }
        assert!(self.pieces.len() < self.capacity as usize, "the caller checked for room");
        self.pieces.push(fresh());
        (self.pieces.len() - 1) as u32
    }

    #[inline]
    pub(super) fn get(&self, at: u32) -> Option<&T> {
        self.pieces.get(at as usize)
    }

    #[inline]
    pub(super) fn give_back(&mut self, at: u32) {
        self.free.push(at);
    }
}

impl<T> core::ops::Index<u32> for Pieces<T> {
    type Output = T;

    #[inline]
    fn index(&self, at: u32) -> &T {
        &self.pieces[at as usize]
    }
}

impl<T> core::ops::IndexMut<u32> for Pieces<T> {
    #[inline]
    fn index_mut(&mut self, at: u32) -> &mut T {
        &mut self.pieces[at as usize]
    }
}

//! Bytes that begin at a page: what the disk takes without the page cache between.

use crate::layout::ALIGNMENT_MAX;

/// A buffer that never moves, so that its beginning stays aligned to [`ALIGNMENT_MAX`].
#[derive(Debug)]
pub(crate) struct PageBuffer {
    /// The first `origin` bytes are not used.
    bytes: Vec<u8>,
    origin: usize,
}

impl PageBuffer {
    /// An empty buffer for at most `capacity` bytes.
    pub(crate) fn new(capacity: usize) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(ALIGNMENT_MAX + capacity);
        let origin = bytes.as_ptr().align_offset(ALIGNMENT_MAX);
        bytes.resize(origin, 0);
        Self { bytes, origin }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.origin
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.origin..]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.origin..]
    }

    /// Makes it `length` bytes long: cut, or with zeros added.
    ///
    /// # Panics
    ///
    /// If it has no capacity for that.
    pub(crate) fn resize(&mut self, length: usize) {
        let whole = self.origin + length;
        self.edit(|bytes| bytes.resize(whole, 0));
    }

    /// Lets `append` add bytes at the end.
    ///
    /// # Panics
    ///
    /// If it has no capacity for them.
    pub(crate) fn edit(&mut self, append: impl FnOnce(&mut Vec<u8>)) {
        let at = self.bytes.as_ptr();
        append(&mut self.bytes);
        assert!(self.bytes.as_ptr() == at, "a page buffer does not grow");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_at_a_page_whatever_is_done_to_it() {
        let mut buffer = PageBuffer::new(10_000);
        buffer.edit(|bytes| bytes.extend_from_slice(&[1; 5_000]));
        buffer.resize(8_192);
        assert_eq!((buffer.len(), buffer.as_slice()[4_999], buffer.as_slice()[5_000]), (8_192, 1, 0));
        buffer.as_mut_slice()[0] = 7;
        buffer.resize(2);
        assert_eq!(buffer.as_slice(), [7, 1]);
        assert!((buffer.as_slice().as_ptr() as usize).is_multiple_of(ALIGNMENT_MAX));
    }
}

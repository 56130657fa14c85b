//! Hashes long batches while they are on their way to the disk.
//!
//! The hash of a batch is what the next one carries: nobody needs it before the batch is durable.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use crate::checksum::ChainHash;
use crate::page_buffer::PageBuffer;

/// Shorter batches are hashed on the spot: waking a thread takes as long.
const BESIDE_BYTES_MIN: usize = 65_536;

/// The helper thread; dropping it ends the thread.
pub(crate) struct Hasher {
    /// Nothing while the hasher is being dropped.
    links: Option<Sender<Arc<PageBuffer>>>,
    hashes: Receiver<ChainHash>,
    thread: Option<JoinHandle<()>>,
}

impl Hasher {
    pub(crate) fn start() -> io::Result<Self> {
        let ((links, to_hash), (hashed, hashes)) = (channel::<Arc<PageBuffer>>(), channel());
        let hash = move || {
            for link in to_hash {
                let hash = ChainHash::of_link(link.as_slice());
                // Who gets the hash may use the buffer again.
                drop(link);
                if hashed.send(hash).is_err() {
                    return;
                }
            }
        };
        let thread = Builder::new().name("journal-hash".to_owned()).spawn(hash)?;
        Ok(Self { links: Some(links), hashes, thread: Some(thread) })
    }

    /// The hash of a link, and what `meanwhile` gives; where that fails, the link's hash is not wanted.
    pub(crate) fn beside<E>(
        &self,
        link: &Arc<PageBuffer>,
        meanwhile: impl FnOnce() -> Result<(), E>,
    ) -> Result<ChainHash, E> {
        let links = self.links.as_ref().expect("taken only by drop");
        if link.len() < BESIDE_BYTES_MIN || links.send(Arc::clone(link)).is_err() {
            return meanwhile().map(|()| ChainHash::of_link(link.as_slice()));
        }
        let outcome = meanwhile();
        let hash = self.hashes.recv().expect("the helper ends when it is told to");
        outcome.map(|()| hash)
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        drop(self.links.take());
        if let Some(thread) = self.thread.take() {
            // It does nothing that can panic.
            let _ = thread.join();
        }
    }
}

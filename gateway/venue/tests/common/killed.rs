//! A process that does not outlive its test.

use std::ops::{Deref, DerefMut};
use std::process::Child;

/// Killed when it is dropped.
pub(crate) struct Killed(pub(crate) Child);

impl Deref for Killed {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Killed {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
        let _ = self.wait();
    }
}

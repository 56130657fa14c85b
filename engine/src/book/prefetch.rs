//! Asking the processor for memory ahead of its use.
#![allow(unsafe_code, reason = "the processor's prefetch instruction has no safe name")]

/// Asks for the cache line at which a thing begins; nothing else happens, and where there is no way to ask, nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(thing: Option<&T>) {
    #[cfg(target_arch = "x86_64")]
    if let Some(thing) = thing {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction reads nothing that the program sees, and the address is that of a live reference.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(thing).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = thing;
}

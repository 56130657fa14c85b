//! Which processor a thread runs on.

/// A processor's number, as the operating system counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreNumber(pub usize);

/// Keeps the calling thread on one processor; says in one line on standard error if that is not possible.
pub fn pin(core: CoreNumber) {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core.0 }) {
        eprintln!("rialto: the core thread could not be pinned to processor {}; it runs where it is put", core.0);
    }
}

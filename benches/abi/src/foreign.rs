//! The functions that the harness finds by name: the one module of this crate with unsafe code.
//!
//! Pointers come from the harness, which is bound by the interface: each is valid for what its type says during the
//! call; `engine_init` comes before everything but [`engine_get_transport`] and is not called again before
//! [`engine_shutdown`]; all functions but a transport's `drain` are called by one thread at a time.

#![allow(unsafe_code, reason = "a C interface is pointers, and finds functions by their plain names")]

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::slice;

use crossbeam_utils::CachePadded;

use crate::adapter::Adapter;
#[cfg(not(feature = "batched-transport"))]
use crate::interface::PushReport;
use crate::interface::{Cancel, Message, MessageKind, Modify, NewOrder, Report, Transport};
use crate::reporter::Outbox;
use crate::transport::{ReportReader, ReportWriter, report_ring};

#[cfg(feature = "batched-transport")]
type Chosen = OwnTransport;
#[cfg(not(feature = "batched-transport"))]
type Chosen = GivenTransport;

/// The one engine of the process.
struct Running(UnsafeCell<Option<Adapter<Chosen>>>);

// SAFETY: the interface has the functions called by one thread at a time.
unsafe impl Sync for Running {}

static RUNNING: Running = Running(UnsafeCell::new(None));

/// The running engine.
///
/// # Safety
/// No reference from an earlier call is alive.
#[inline]
unsafe fn running<'a>() -> &'a mut Adapter<Chosen> {
    // SAFETY: the caller's promise; calls do not overlap.
    unsafe { &mut *RUNNING.0.get() }.as_mut().expect("engine_init comes first")
}

/// Starts the engine. The seed is not used: nothing here is random.
///
/// # Safety
/// See the module. `transport` and `sink` stay valid until [`engine_shutdown`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_init(_seed: u64, transport: *const Transport, sink: *mut c_void) {
    // SAFETY: the harness hands over a valid table, and what its `create` returned.
    let outbox = unsafe { Chosen::new(transport, sink) };
    // SAFETY: calls do not overlap.
    unsafe { *RUNNING.0.get() = Some(Adapter::new(outbox)) };
}

/// Ends the engine.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_shutdown() {
    // SAFETY: calls do not overlap.
    unsafe { *RUNNING.0.get() = None };
}

/// Enters an order.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_on_new_order(order: *const NewOrder) {
    // SAFETY: the harness hands over a valid message.
    unsafe { running().new_order(&*order) };
}

/// Cancels an order.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_on_cancel(cancel: *const Cancel) {
    // SAFETY: the harness hands over a valid message.
    unsafe { running().cancel(&*cancel) };
}

/// Amends an order.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_on_modify(modify: *const Modify) {
    // SAFETY: the harness hands over a valid message.
    unsafe { running().modify(&*modify) };
}

/// Takes a run of messages, one after the other, without a look at the next.
///
/// # Panics
/// At a message of a kind that the interface does not have.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_on_batch(messages: *const Message, count: u32) {
    const NEW_ORDER: u8 = MessageKind::NewOrder as u8;
    const CANCEL: u8 = MessageKind::Cancel as u8;
    const MODIFY: u8 = MessageKind::Modify as u8;
    if count == 0 {
        return;
    }
    // SAFETY: the harness hands over that many valid messages, and calls do not overlap.
    let (messages, running) = unsafe { (slice::from_raw_parts(messages, count as usize), running()) };
    for message in messages {
        // SAFETY: the kind says which of the bodies it is.
        unsafe {
            match message.kind {
                NEW_ORDER => running.new_order(&message.body.new_order),
                CANCEL => running.cancel(&message.body.cancel),
                MODIFY => running.modify(&message.body.modify),
                kind => panic!("message of kind {kind}, which the interface does not have"),
            }
        }
    }
    running.publish();
}

/// Every report of the messages so far is on its way when this returns.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_flush() {
    // SAFETY: calls do not overlap.
    unsafe { running() }.publish();
}

/// The best bid, in ticks; the least number if there is none.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_query_best_bid() -> i64 {
    // SAFETY: calls do not overlap.
    unsafe { running() }.best_price(0).unwrap_or(i64::MIN)
}

/// The best offer, in ticks; the greatest number if there is none.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_query_best_ask() -> i64 {
    // SAFETY: calls do not overlap.
    unsafe { running() }.best_price(1).unwrap_or(i64::MAX)
}

/// What rests at a price of a side, in lots.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn engine_query_depth_at(price_ticks: i64, side: u8) -> u64 {
    // SAFETY: calls do not overlap.
    unsafe { running() }.depth(price_ticks, side)
}

/// This crate's own transport; see [`report_ring`].
#[cfg_attr(feature = "batched-transport", unsafe(no_mangle))]
pub extern "C" fn engine_get_transport() -> *const Transport {
    &raw const OWN_TRANSPORT
}

static OWN_TRANSPORT: Transport = Transport {
    create: create_transport,
    push: push_report,
    drain: drain_reports,
    flush: flush_transport,
    destroy: destroy_transport,
};

/// Both ends of a ring, each in cache lines of its own: each is one thread's.
struct Ring {
    writer: CachePadded<UnsafeCell<ReportWriter>>,
    reader: CachePadded<UnsafeCell<ReportReader>>,
}

unsafe extern "C" fn create_transport(capacity: u32) -> *mut c_void {
    let (writer, reader) = report_ring(capacity as usize);
    let ends = Ring { writer: UnsafeCell::new(writer).into(), reader: UnsafeCell::new(reader).into() };
    Box::into_raw(Box::new(ends)).cast()
}

unsafe extern "C" fn push_report(handle: *mut c_void, report: *const Report) -> i32 {
    // SAFETY: the handle is of `create_transport`, and only the engine's thread has the writer.
    let writer = unsafe { &mut *(*handle.cast::<Ring>()).writer.get() };
    // SAFETY: the caller hands over a valid report.
    i32::from(writer.push(unsafe { &*report }).is_ok())
}

unsafe extern "C" fn drain_reports(handle: *mut c_void, out: *mut Report, max: u32) -> u32 {
    // SAFETY: the handle is of `create_transport`, and only the drainer's thread has the reader.
    let reader = unsafe { &mut *(*handle.cast::<Ring>()).reader.get() };
    // SAFETY: the caller has room for that many reports.
    let out = unsafe { slice::from_raw_parts_mut(out.cast::<MaybeUninit<Report>>(), max as usize) };
    reader.drain(out) as u32
}

unsafe extern "C" fn flush_transport(handle: *mut c_void) {
    // SAFETY: the handle is of `create_transport`, and only the engine's thread has the writer.
    unsafe { &mut *(*handle.cast::<Ring>()).writer.get() }.publish();
}

unsafe extern "C" fn destroy_transport(handle: *mut c_void) {
    // SAFETY: the handle is of `create_transport`, and no thread uses it any more.
    drop(unsafe { Box::from_raw(handle.cast::<Ring>()) });
}

/// The transport that the harness hands over.
#[cfg(not(feature = "batched-transport"))]
struct GivenTransport {
    push: PushReport,
    sink: *mut c_void,
}

#[cfg(not(feature = "batched-transport"))]
impl GivenTransport {
    /// # Safety
    /// `transport` is a valid table, and `sink` is what its `create` returned.
    unsafe fn new(transport: *const Transport, sink: *mut c_void) -> Self {
        // SAFETY: the caller's promise.
        Self { push: unsafe { (*transport).push }, sink }
    }
}

#[cfg(not(feature = "batched-transport"))]
impl Outbox for GivenTransport {
    #[inline]
    fn push(&mut self, report: &Report) {
        // SAFETY: the function and its handle are of one table.
        while unsafe { (self.push)(self.sink, report) } == 0 {
            std::hint::spin_loop();
        }
    }

    fn publish(&mut self) {}
}

/// The transport of [`engine_get_transport`], without a detour through its table.
#[cfg(feature = "batched-transport")]
struct OwnTransport(*const Ring);

#[cfg(feature = "batched-transport")]
impl OwnTransport {
    /// # Safety
    /// `sink` is what `transport`'s `create` returned.
    ///
    /// # Panics
    /// If the transport is another one.
    unsafe fn new(transport: *const Transport, sink: *mut c_void) -> Self {
        assert!(std::ptr::eq(transport, &OWN_TRANSPORT), "the transport is that of engine_get_transport");
        Self(sink.cast())
    }

    fn writer(&mut self) -> &mut ReportWriter {
        // SAFETY: the handle is of `create_transport`, and only the engine's thread has the writer.
        unsafe { &mut *(*self.0).writer.get() }
    }
}

#[cfg(feature = "batched-transport")]
impl Outbox for OwnTransport {
    #[inline]
    fn push(&mut self, report: &Report) {
        while self.writer().push(report).is_err() {
            std::hint::spin_loop();
        }
    }

    fn publish(&mut self) {
        self.writer().publish();
    }
}

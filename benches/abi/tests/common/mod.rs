//! A small harness: loads nothing, calls the exported functions as the benchmark's does, and takes the reports out on
//! the same thread.
#![allow(unsafe_code, reason = "a C interface is called through pointers")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::sync::{Mutex, MutexGuard, PoisonError};

use abi::*;

/// There is one engine in a process.
static ALONE: Mutex<()> = Mutex::new(());

/// Reports that a test may leave unread.
const ROOM: u32 = 4_096;

/// A running engine with the transport that it is built for.
pub struct Harness {
    transport: *const Transport,
    sink: *mut c_void,
    next: u64,
    _alone: MutexGuard<'static, ()>,
}

impl Harness {
    pub fn start() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let transport = chosen_transport();
        // SAFETY: the table is static, and no other engine runs.
        let sink = unsafe {
            let sink = ((*transport).create)(ROOM);
            engine_init(23, transport, sink);
            sink
        };
        Self { transport, sink, next: 1, _alone: alone }
    }

    /// Hands over the messages one by one, numbered on.
    pub fn send(&mut self, messages: &[Message]) -> Vec<String> {
        for message in self.numbered(messages) {
            // SAFETY: the kind says which of the bodies it is, and each lives through the call.
            unsafe {
                match message.kind {
                    0 => engine_on_new_order(&message.body.new_order),
                    1 => engine_on_cancel(&message.body.cancel),
                    _ => engine_on_modify(&message.body.modify),
                }
            }
        }
        // SAFETY: the engine runs.
        unsafe { engine_flush() };
        self.reports()
    }

    /// Hands over the messages as one run, numbered on, whose reports wait for nothing else.
    pub fn send_together(&mut self, messages: &[Message]) -> Vec<String> {
        let messages = self.numbered(messages);
        // SAFETY: as many messages as are said.
        unsafe { engine_on_batch(messages.as_ptr(), messages.len() as u32) };
        self.reports()
    }

    pub fn best_bid(&self) -> i64 {
        // SAFETY: the engine runs.
        unsafe { engine_query_best_bid() }
    }

    pub fn best_ask(&self) -> i64 {
        // SAFETY: the engine runs.
        unsafe { engine_query_best_ask() }
    }

    pub fn depth(&self, side: u8, price_ticks: i64) -> u64 {
        // SAFETY: the engine runs.
        unsafe { engine_query_depth_at(price_ticks, side) }
    }

    fn numbered(&mut self, messages: &[Message]) -> Vec<Message> {
        let mut messages = messages.to_vec();
        for message in &mut messages {
            // SAFETY: the kind says which of the bodies it is.
            let number = unsafe {
                match message.kind {
                    0 => &mut message.body.new_order.sequence_number,
                    1 => &mut message.body.cancel.sequence_number,
                    _ => &mut message.body.modify.sequence_number,
                }
            };
            *number = self.next;
            self.next += 1;
        }
        messages
    }

    fn reports(&mut self) -> Vec<String> {
        let mut reports = vec![NO_REPORT; ROOM as usize];
        // SAFETY: there is room for as many as are asked for.
        let count = unsafe { ((*self.transport).drain)(self.sink, reports.as_mut_ptr(), ROOM) };
        reports[..count as usize].iter().map(told).collect()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        // SAFETY: nothing is called after this.
        unsafe {
            engine_shutdown();
            ((*self.transport).destroy)(self.sink);
        }
    }
}

pub const NO_REPORT: Report = Report {
    kind: ReportKind::OrderAck,
    side: 0,
    reserved: [0; 6],
    sequence_number: 0,
    order_id: 0,
    price_ticks: 0,
    quantity: 0,
    reserved_2: 0,
    maker_order_id: 0,
    taker_order_id: 0,
    reserved_3: 0,
};

/// A report in words: the message's number, and what the interface says that the report tells.
fn told(report: &Report) -> String {
    let Report { kind, side, sequence_number, order_id, price_ticks, quantity, .. } = *report;
    let side = ["buy", "sell"][usize::from(side)];
    let what = match kind {
        ReportKind::OrderAck => format!("ack {order_id} {side} {quantity}@{price_ticks}"),
        ReportKind::Trade => {
            format!("trade {quantity}@{price_ticks} of {} by {}", report.maker_order_id, report.taker_order_id)
        }
        ReportKind::CancelAck => format!("cancelled {order_id} {side} {quantity}@{price_ticks}"),
        ReportKind::ModifyAck => format!("modified {order_id} {side} {quantity}@{price_ticks}"),
        ReportKind::CancelReject => format!("no cancel {order_id}"),
        ReportKind::ModifyReject => format!("no modify {order_id}"),
    };
    format!("{sequence_number} {what}")
}

pub const BUY: u8 = 0;
pub const SELL: u8 = 1;

pub fn new_order(order_id: u64, side: u8, quantity: u32, price_ticks: i64) -> Message {
    let new_order = NewOrder { order_id, sequence_number: 0, price_ticks, quantity, side, ioc: 0, reserved: [0; 2] };
    Message { kind: MessageKind::NewOrder as u8, reserved: [0; 7], body: MessageBody { new_order } }
}

pub fn ioc(order_id: u64, side: u8, quantity: u32, price_ticks: i64) -> Message {
    let new_order = NewOrder { order_id, sequence_number: 0, price_ticks, quantity, side, ioc: 1, reserved: [0; 2] };
    Message { kind: MessageKind::NewOrder as u8, reserved: [0; 7], body: MessageBody { new_order } }
}

pub fn cancel(order_id: u64) -> Message {
    let cancel = Cancel { order_id, sequence_number: 0 };
    Message { kind: MessageKind::Cancel as u8, reserved: [0; 7], body: MessageBody { cancel } }
}

pub fn modify(order_id: u64, side: u8, quantity: u32, price_ticks: i64) -> Message {
    let modify = Modify { order_id, sequence_number: 0, price_ticks, quantity, side, reserved: [0; 3] };
    Message { kind: MessageKind::Modify as u8, reserved: [0; 7], body: MessageBody { modify } }
}

/// This crate's own transport, through its table.
pub struct OwnTransport {
    table: &'static Transport,
    handle: *mut c_void,
}

impl OwnTransport {
    pub fn create(capacity: u32) -> Self {
        // SAFETY: the table is static.
        let table = unsafe { &*engine_get_transport() };
        // SAFETY: any capacity may be asked for.
        let handle = unsafe { (table.create)(capacity) };
        Self { table, handle }
    }

    /// Whether there was room.
    pub fn push(&self, report: &Report) -> bool {
        // SAFETY: the handle is of this table.
        unsafe { (self.table.push)(self.handle, report) == 1 }
    }

    pub fn flush(&self) {
        // SAFETY: the handle is of this table.
        unsafe { (self.table.flush)(self.handle) };
    }

    /// The numbers of at most so many reports.
    pub fn drain(&self, max: u32) -> Vec<u64> {
        let mut reports = vec![NO_REPORT; max as usize];
        // SAFETY: there is room for as many as are asked for.
        let count = unsafe { (self.table.drain)(self.handle, reports.as_mut_ptr(), max) };
        reports[..count as usize].iter().map(|report| report.sequence_number).collect()
    }
}

impl Drop for OwnTransport {
    fn drop(&mut self) {
        // SAFETY: nothing is called after this.
        unsafe { (self.table.destroy)(self.handle) };
    }
}

/// The numbers of at most so many reports.
pub fn drain(reader: &mut ReportReader, max: usize) -> Vec<u64> {
    let mut reports = vec![MaybeUninit::new(NO_REPORT); max];
    let count = reader.drain(&mut reports);
    // SAFETY: all were written before.
    reports[..count].iter().map(|report| unsafe { report.assume_init_ref() }.sequence_number).collect()
}

#[cfg(feature = "batched-transport")]
fn chosen_transport() -> *const Transport {
    engine_get_transport()
}

#[cfg(not(feature = "batched-transport"))]
fn chosen_transport() -> *const Transport {
    &raw const queue::TRANSPORT
}

/// As the benchmark's own transport: every report can be taken out at once.
#[cfg(not(feature = "batched-transport"))]
mod queue {
    use std::collections::VecDeque;

    use super::*;

    pub(super) static TRANSPORT: Transport = Transport { create, push, drain, flush, destroy };

    unsafe extern "C" fn create(_: u32) -> *mut c_void {
        Box::into_raw(Box::<VecDeque<Report>>::default()).cast()
    }

    unsafe extern "C" fn push(handle: *mut c_void, report: *const Report) -> i32 {
        // SAFETY: the handle is of `create`, and the report is valid.
        unsafe { (*handle.cast::<VecDeque<Report>>()).push_back(*report) };
        1
    }

    unsafe extern "C" fn drain(handle: *mut c_void, out: *mut Report, max: u32) -> u32 {
        // SAFETY: the handle is of `create`.
        let queue = unsafe { &mut *handle.cast::<VecDeque<Report>>() };
        let count = queue.len().min(max as usize);
        for (index, report) in queue.drain(..count).enumerate() {
            // SAFETY: there is room for `max`.
            unsafe { out.add(index).write(report) };
        }
        count as u32
    }

    unsafe extern "C" fn flush(_: *mut c_void) {}

    unsafe extern "C" fn destroy(handle: *mut c_void) {
        // SAFETY: the handle is of `create`.
        drop(unsafe { Box::from_raw(handle.cast::<VecDeque<Report>>()) });
    }
}

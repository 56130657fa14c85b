//! The messages, reports and function tables of the benchmark's interface, laid out as C lays them out.

use std::ffi::c_void;

/// Enter an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct NewOrder {
    /// The client's name for it.
    pub order_id: u64,
    /// The message's number.
    pub sequence_number: u64,
    /// Limit; may be negative.
    pub price_ticks: i64,
    /// In lots.
    pub quantity: u32,
    /// 0: buy; 1: sell.
    pub side: u8,
    /// 1: what does not trade at once is cancelled.
    pub ioc: u8,
    /// Not used.
    pub reserved: [u8; 2],
}

/// Cancel an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Cancel {
    /// The client's name for the order.
    pub order_id: u64,
    /// The message's number.
    pub sequence_number: u64,
}

/// Take an order out and enter it anew, at the back of its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Modify {
    /// The client's name for the order.
    pub order_id: u64,
    /// The message's number.
    pub sequence_number: u64,
    /// The new limit; may be negative.
    pub price_ticks: i64,
    /// What may trade from now on, in lots: what has traded before does not count.
    pub quantity: u32,
    /// The order's side, as it is.
    pub side: u8,
    /// Not used.
    pub reserved: [u8; 3],
}

/// Which of the three a [`Message`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum MessageKind {
    /// [`NewOrder`].
    NewOrder = 0,
    /// [`Cancel`].
    Cancel = 1,
    /// [`Modify`].
    Modify = 2,
}

/// One of a run of messages.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Message {
    /// A [`MessageKind`], if it is a message of this interface.
    pub kind: u8,
    /// Not used.
    pub reserved: [u8; 7],
    /// What `kind` says.
    pub body: MessageBody,
}

/// What a [`Message`] asks.
#[derive(Clone, Copy)]
#[repr(C)]
pub union MessageBody {
    /// For [`MessageKind::NewOrder`].
    pub new_order: NewOrder,
    /// For [`MessageKind::Cancel`].
    pub cancel: Cancel,
    /// For [`MessageKind::Modify`].
    pub modify: Modify,
}

/// What a [`Report`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ReportKind {
    /// A new order was accepted.
    OrderAck = 0,
    /// Two orders traded.
    Trade = 1,
    /// An order was cancelled, or what remained of one that does not rest.
    CancelAck = 2,
    /// An order was amended.
    ModifyAck = 3,
    /// There was no such order to cancel.
    CancelReject = 4,
    /// There was no such order to amend.
    ModifyReject = 5,
}

/// What happened: one cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Report {
    /// What it says.
    pub kind: ReportKind,
    /// The order's side; 0: buy, or a reject, which has none; 1: sell.
    pub side: u8,
    /// Zero.
    pub reserved: [u8; 6],
    /// The number of the message that caused it.
    pub sequence_number: u64,
    /// The order that the message named.
    pub order_id: u64,
    /// The order's limit; of a trade, the resting order's; zero in a reject.
    pub price_ticks: i64,
    /// Order quantity; what traded; what was cancelled; zero in a reject.
    pub quantity: u32,
    /// Zero.
    pub reserved_2: u32,
    /// Of a trade: the resting order.
    pub maker_order_id: u64,
    /// Of a trade: the incoming order.
    pub taker_order_id: u64,
    /// Zero.
    pub reserved_3: u64,
}

/// Puts a report into a transport: 1, or 0 if that is full.
pub type PushReport = unsafe extern "C" fn(*mut c_void, *const Report) -> i32;

/// Takes at most so many reports out of a transport; how many it took.
pub type DrainReports = unsafe extern "C" fn(*mut c_void, *mut Report, u32) -> u32;

/// How reports travel from the engine's thread to the drainer's.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Transport {
    /// A transport for at least so many reports, or null.
    pub create: unsafe extern "C" fn(u32) -> *mut c_void,
    /// On the engine's thread.
    pub push: PushReport,
    /// On the drainer's thread.
    pub drain: DrainReports,
    /// Makes everything that was put in visible to the drainer. On the engine's thread.
    pub flush: unsafe extern "C" fn(*mut c_void),
    /// Ends what `create` made.
    pub destroy: unsafe extern "C" fn(*mut c_void),
}

const _: () = {
    assert!(size_of::<NewOrder>() == 32 && size_of::<Cancel>() == 16 && size_of::<Modify>() == 32);
    assert!(size_of::<Message>() == 40 && std::mem::offset_of!(Message, body) == 8);
    assert!(size_of::<Report>() == 64 && size_of::<Transport>() == 5 * size_of::<usize>());
};

impl Report {
    /// A reject: it has nothing but the order's name.
    pub(crate) const fn reject(kind: ReportKind, sequence_number: u64, order_id: u64) -> Self {
        Self {
            kind,
            side: 0,
            reserved: [0; 6],
            sequence_number,
            order_id,
            price_ticks: 0,
            quantity: 0,
            reserved_2: 0,
            maker_order_id: 0,
            taker_order_id: 0,
            reserved_3: 0,
        }
    }
}

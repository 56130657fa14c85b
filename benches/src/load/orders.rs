//! A mix as traders send it, and the venue that they send it to.
//!
//! Orders are named by their traders and spread over accounts and sessions by their numbers, so that an order's cancels
//! and amends go through the session that entered it, behind it. Orders of different sessions may overtake one another:
//! what a cancel names may have traded then, and the cancel is refused. A refusal is an answer, too.

use std::time::Duration;

use client::session::Session;
use client::wire::order_entry::{
    NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, OrderEntryMessage, OrderMassActionRequest,
};
use client::wire::{
    AccountId, Block, ClientOrderId, MassActionType, OnDisconnect, OrderType, Price, Quantity, SecurityId,
    SessionSequence, Side, TimeInForce, Timestamp,
};
use client::{Client, Incoming};
use engine::{CommandBody, SessionId};
use venue::data_folder::DataFolder;
use venue::serve::SetUp;

use super::arguments::Arguments;
use super::parts::Part;
use crate::failure::Failure;
use crate::throughput::commands::{self, Mode};
use crate::throughput::workload::{Action, Operation, Part as StreamPart, Side as StreamSide, Stream};
use crate::trading::served::admit_sessions;

/// Accounts that orders are spread over.
pub const ACCOUNTS: u16 = 64;
/// Sessions that a venue for a mix admits.
pub const SESSIONS_MAX: u32 = 6_000;
/// The one before them has the fees.
const FIRST_ACCOUNT: u64 = 2;
/// How long a venue may take to cancel an account's orders.
const PATIENCE: Duration = Duration::from_secs(30);
/// The one instrument.
pub const INSTRUMENT: SecurityId = SecurityId(1);

/// What is sent in a run: what fills the book, and the orders of each turn.
pub struct Orders {
    stream: Stream,
    /// How many there are before each turn, and before the end.
    begins: Vec<usize>,
}

impl Orders {
    /// Enough of the mix for all turns.
    pub fn of(arguments: &Arguments, parts: &[Part]) -> Self {
        let mut begins = vec![0];
        begins.extend(parts.iter().scan(0, |sum, part| {
            *sum += part.due().count();
            Some(*sum)
        }));
        let needed = begins[begins.len() - 1];
        // An operation that finds nothing to do is left out.
        let mut asked = needed + needed / 64 + 64;
        loop {
            let stream = Stream::generate(arguments.mix, arguments.seed(), asked);
            if stream.part(StreamPart::Timed).len() >= needed {
                return Self { stream, begins };
            }
            asked *= 2;
        }
    }

    /// What fills the book.
    pub fn prefill(&self) -> &[Operation] {
        self.stream.part(StreamPart::Prefill)
    }

    /// The orders of a turn.
    pub fn part(&self, index: usize) -> &[Operation] {
        &self.stream.part(StreamPart::Timed)[self.begins[index]..self.begins[index + 1]]
    }
}

/// What founds a venue for a mix: assets, the instrument with its limits and fees, accounts with money, and the traders'
/// key, which may trade for all of them.
pub fn set_up(folder: &DataFolder) -> SetUp {
    let bodies: Vec<CommandBody> = commands::set_up(Mode::Venue, ACCOUNTS)
        .into_iter()
        // Keys and sessions are the served venue's own.
        .filter(|command| command.header.session == SessionId::NONE)
        .map(|command| command.body)
        .filter(|body| !matches!(body, CommandBody::AddKey(_) | CommandBody::GrantRole(_)))
        .collect();
    let accounts: Vec<_> = bodies
        .iter()
        .filter_map(|body| match body {
            CommandBody::OpenAccount(open) => Some(open.account),
            _ => None,
        })
        .collect();
    Ok(bodies.into_iter().chain(admit_sessions(folder, SESSIONS_MAX, accounts)?).collect())
}

/// Which of so many sessions sends an operation.
pub fn session_of(operation: &Operation, sessions: usize) -> usize {
    operation.id as usize % sessions
}

/// What orders of a run are called: no other run at the same venue calls its orders so.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    behind: u64,
}

impl Names {
    /// Of a run that begins at this time.
    pub fn of(now: Timestamp) -> Self {
        // A name for each of four thousand million orders, in each second.
        Self { behind: (now.0 / 1_000_000_000) << 32 }
    }

    fn of_order(self, operation: &Operation) -> ClientOrderId {
        ClientOrderId(self.behind + u64::from(operation.id))
    }
}

/// Writes an operation as a request into the session's stream; its number.
pub fn send(operation: &Operation, names: Names, session: &mut Session, now: Timestamp) -> SessionSequence {
    let name = Some(names.of_order(operation));
    match operation.action {
        Action::New => session.send(&new_order(operation, name, TimeInForce::GoodTillCancel), now),
        Action::ImmediateOrCancel => session.send(&new_order(operation, name, TimeInForce::ImmediateOrCancel), now),
        Action::Cancel => session.send(&cancel(operation, name), now),
        Action::Move => session.send(&amend(operation, name), now),
    }
}

/// Cancels all that an earlier run has left at a venue.
pub fn clear(client: &mut Client) -> Result<(), Failure> {
    let accounts = (0..u64::from(ACCOUNTS)).map(|account| AccountId(FIRST_ACCOUNT + account));
    for account in accounts {
        client.send(&OrderMassActionRequest {
            account: Some(account),
            action: MassActionType::CancelOrders,
            ..OrderMassActionRequest::BLANK
        })?;
        loop {
            match client.receive_within(PATIENCE)? {
                Some(Incoming::Message(OrderEntryMessage::OrderMassActionReport(_))) => break,
                Some(Incoming::Message(_)) => {}
                other => return Err(Failure::Missing(format!("instead of an account's mass cancel: {other:?}"))),
            }
        }
    }
    Ok(())
}

fn new_order(operation: &Operation, name: Option<ClientOrderId>, time_in_force: TimeInForce) -> NewOrderSingle {
    NewOrderSingle {
        account: account_of(operation),
        security_id: INSTRUMENT,
        client_order_id: name,
        price: Some(Price(operation.price.into())),
        order_quantity: Some(Quantity(operation.quantity.into())),
        side: match operation.side {
            StreamSide::Buy => Side::Buy,
            StreamSide::Sell => Side::Sell,
        },
        order_type: OrderType::Limit,
        time_in_force,
        on_disconnect: OnDisconnect::AsSession,
        ..NewOrderSingle::BLANK
    }
}

fn cancel(operation: &Operation, name: Option<ClientOrderId>) -> OrderCancelRequest {
    OrderCancelRequest { account: account_of(operation), original_client_order_id: name, ..OrderCancelRequest::BLANK }
}

fn amend(operation: &Operation, name: Option<ClientOrderId>) -> OrderCancelReplaceRequest {
    OrderCancelReplaceRequest {
        account: account_of(operation),
        original_client_order_id: name,
        price: Some(Price(operation.price.into())),
        ..OrderCancelReplaceRequest::BLANK
    }
}

fn account_of(operation: &Operation) -> AccountId {
    AccountId(FIRST_ACCOUNT + u64::from(operation.id % u32::from(ACCOUNTS)))
}

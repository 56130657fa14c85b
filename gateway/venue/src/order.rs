//! `rialto order`: one command of one trader, and every report that answers it.
//!
//! ```text
//!   log in ─► assets and instruments ─► decimals become mantissas ─► the command ─► its reports ─► log out
//! ```
//!
//! A command's last report does not say that it is the last, if the order may rest: it may have traded, and it may not.
//! So a request that has to be refused is sent behind it, a cancel of an order that nobody has: what comes before that
//! refusal is all there is. A session's reports come in the order of its commands.
//!
//! A question is answered by messages of which the last says so.

mod answer;
mod definitions;
mod question;
mod request;

use std::time::{Duration, Instant};

use client::session::News;
use client::{Client, Error};
use wire::order_entry::{OrderCancelRequest, OrderEntryMessage, SecurityDefinition};
use wire::{AccountId, Block, ClientOrderId};

use crate::arguments::{OrderCommand, TradeCommand, TraderArguments};
use crate::exit::Exit;
use crate::reach::{self, ReachError};
use answer::{Answer, Fence};
use request::Request;

pub(crate) use definitions::Definitions;
pub(crate) use request::is_named;

/// How long the venue may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Definitions follow the opening at once: after so long a silence there are no more.
const DEFINITIONS_SILENCE: Duration = Duration::from_secs(1);

/// Runs the command and prints what the venue answers.
pub fn run(command: &OrderCommand) -> Exit {
    let answered = match command {
        OrderCommand::Trade(command) => trade(command),
        OrderCommand::Ask(command) => question::ask(command),
    };
    answered.unwrap_or_else(|error| {
        eprintln!("rialto: {error}");
        error.exit()
    })
}

fn trade(command: &TradeCommand) -> Result<Exit, ReachError> {
    let trader = trader(command);
    let answer = carry_out(command, trader)?;
    answer.print_end(trader.json);
    Ok(if answer.is_refused() { Exit::Differs } else { Exit::Done })
}

fn trader(command: &TradeCommand) -> &TraderArguments {
    match command {
        TradeCommand::New(arguments) => &arguments.trader,
        TradeCommand::Amend(arguments) => &arguments.trader,
        TradeCommand::Cancel(arguments) => &arguments.trader,
        TradeCommand::MassCancel(arguments) => &arguments.trader,
        TradeCommand::Kill(arguments) => &arguments.trader,
    }
}

fn carry_out(command: &TradeCommand, trader: &TraderArguments) -> Result<Answer, ReachError> {
    let (mut client, account) = reach::order_entry(trader)?;
    let definitions = definitions(&mut client, request::instrument(command))?;
    let made = request::request(command, account, definitions.instruments(), reach::now());
    let request = made.map_err(|error| ReachError::Usage(error.to_string()))?;
    let mut answer = Answer::new(&request, definitions);
    let number = request.send(&mut client).map_err(lost)?;
    let fence = match request.may_rest() {
        true => Fence::Behind(client.send(&nothing(account, &request)).map_err(lost)?),
        false => Fence::None,
    };
    answer.sent(number, fence);
    hear_out(&mut client, |message| {
        if let Some(line) = answer.take(message)
            && !trader.json
        {
            println!("{line}");
        }
        answer.is_complete()
    })?;
    // Whatever the goodbye meets, the answer is known.
    let _ = client.close();
    Ok(answer)
}

/// A cancel of an order that nobody has: order ids and client order ids never reach so high.
fn nothing(account: AccountId, request: &Request) -> OrderCancelRequest {
    let original_client_order_id = Some(ClientOrderId(u64::MAX - 1));
    OrderCancelRequest {
        account,
        original_client_order_id,
        client_order_id: request.name(),
        ..OrderCancelRequest::BLANK
    }
}

/// The venue's assets, and its instruments up to the one that is wanted, or all if it is not there.
fn definitions(client: &mut Client, wanted: Option<&str>) -> Result<Definitions, ReachError> {
    let mut definitions = Definitions::default();
    let Some(wanted) = wanted else { return Ok(definitions) };
    let is_wanted = |definition: &SecurityDefinition| is_named(definition.symbol, definition.security_id, wanted);
    while !definitions.instruments().iter().any(is_wanted) {
        match client.receive_within(DEFINITIONS_SILENCE).map_err(lost)? {
            Some(News::Message(message)) => definitions.take(&message),
            Some(News::Ended(code)) => return Err(ReachError::Lost(format!("the venue ended the session: {code:?}"))),
            Some(_) => {}
            None => break,
        }
    }
    Ok(definitions)
}

/// Takes what the venue says, until `take` has heard all that it wants.
fn hear_out(client: &mut Client, mut take: impl FnMut(&OrderEntryMessage) -> bool) -> Result<(), ReachError> {
    let deadline = Instant::now() + ANSWER_MAX;
    loop {
        let patience = deadline.saturating_duration_since(Instant::now());
        match client.receive_within(patience).map_err(lost)? {
            Some(News::Message(message)) if take(&message) => return Ok(()),
            Some(News::Ended(code)) => {
                let reason = format!("the venue ended the session: {code:?}; what was sent may have arrived");
                return Err(ReachError::Lost(reason));
            }
            Some(_) => {}
            None if patience.is_zero() => {
                let seconds = ANSWER_MAX.as_secs();
                let reason = format!("no answer within {seconds} s; what was sent may have arrived");
                return Err(ReachError::Lost(reason));
            }
            None => {}
        }
    }
}

fn lost(error: Error) -> ReachError {
    ReachError::Lost(format!("the connection is lost: {error}; what was sent may have arrived"))
}

//! Places an order, moves it, cancels it, and prints whatever the venue says meanwhile.
//!
//! ```sh
//! rialto serve --data demo &
//! cargo run -p client --example place_order -- demo alice BTC-USD buy 0.01 64000.50
//! ```

mod common;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use client::wire::order_entry::{OrderCancelRequest, OrderEntryMessage};
use client::wire::{AccountId, Block, ClientOrderId, SessionSequence, Side};
use client::{Decimal, Instrument, Options, Policy, Start, Trader, TraderNews};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("place_order: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, name, symbol, side, quantity, price] = arguments.as_slice() else {
        return Err("place_order DATA ACCOUNT INSTRUMENT buy|sell QUANTITY PRICE".into());
    };
    let side = match side.as_str() {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        other => return Err(format!("{other}: buy or sell is expected").into()),
    };
    let (quantity, price): (Decimal, Decimal) = (quantity.parse()?, price.parse()?);
    let (access, account) = common::access(Path::new(data), name, Options::DEFAULT)?;
    let mut trader = Trader::new(access, Start::Anew, Policy::DEFAULT);
    let instrument = instrument(&mut trader, symbol)?;

    // The trader's name for the order: it must not be open already.
    let order = ClientOrderId(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?);
    let number = trader.send(&instrument.limit(account, order, side, quantity, price)?)?;
    hear(&mut trader, number)?;
    // One tick further from the market, where it can still be moved.
    let tick = instrument.price_decimal(instrument.definition().tick);
    let further = if side == Side::Buy { price - tick } else { price + tick };
    let number = trader.send(&instrument.amend(account, order, None, Some(further))?)?;
    hear(&mut trader, number)?;
    let number = trader.send(&cancel(account, order))?;
    hear(&mut trader, number)?;
    trader.close();
    Ok(())
}

fn cancel(account: AccountId, order: ClientOrderId) -> OrderCancelRequest {
    OrderCancelRequest { account, original_client_order_id: Some(order), ..OrderCancelRequest::BLANK }
}

/// The instrument's definition: all of them follow the opening.
fn instrument(trader: &mut Trader, symbol: &str) -> Result<Instrument, Box<dyn Error>> {
    loop {
        if let TraderNews::Message(OrderEntryMessage::SecurityDefinition(definition)) = trader.receive()? {
            let instrument = Instrument::new(definition);
            if instrument.symbol() == Some(symbol) {
                return Ok(instrument);
            }
        }
    }
}

/// Prints what comes until a command is answered.
fn hear(trader: &mut Trader, number: SessionSequence) -> Result<(), Box<dyn Error>> {
    loop {
        let news = trader.receive()?;
        let is_definition = matches!(
            news,
            TraderNews::Message(OrderEntryMessage::AssetDefinition(_) | OrderEntryMessage::SecurityDefinition(_))
        );
        if !is_definition {
            println!("{news:?}");
        }
        // It waits no more once it is answered, refused, or known not to have arrived.
        if trader.unanswered().all(|(waiting, _)| waiting != number) {
            return Ok(());
        }
    }
}

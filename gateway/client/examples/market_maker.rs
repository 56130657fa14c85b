//! Quotes both sides of a fixed price, and quotes again what is filled. Its orders go with its connection; a venue that
//! comes back is quoted to again.
//!
//! ```sh
//! rialto serve --data demo &
//! cargo run -p client --example market_maker -- demo market-maker BTC-USD 0.5 64000 10
//! ```

mod common;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use client::request::Command;
use client::wire::order_entry::{ExecutionReport, OrderEntryMessage, OrderMassActionRequest};
use client::wire::{AccountId, Block, CancelOnDisconnect, ClientOrderId, ExecType, MassActionType, Side};
use client::{Decimal, Instrument, Login, Options, Policy, SendError, Start, Trader, TraderNews};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("market_maker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, name, symbol, quantity, price, half_spread] = arguments.as_slice() else {
        return Err("market_maker DATA ACCOUNT INSTRUMENT QUANTITY PRICE HALF_SPREAD".into());
    };
    let options = Options { cancel_on_disconnect: CancelOnDisconnect::Cancel, ..Options::DEFAULT };
    let (access, account) = common::access(Path::new(data), name, options)?;
    let (price, half_spread): (Decimal, Decimal) = (price.parse()?, half_spread.parse()?);
    let mut maker = Maker {
        account,
        symbol: symbol.clone(),
        quantity: quantity.parse()?,
        instrument: None,
        may_quote: false,
        next_name: u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?,
        quotes: [(Side::Buy, price - half_spread), (Side::Sell, price + half_spread)].map(|(side, price)| Quote {
            side,
            price,
            order: None,
        }),
    };
    let mut trader = Trader::new(access, Start::Anew, Policy::DEFAULT);
    loop {
        let news = trader.receive()?;
        maker.hear(&news, &mut trader)?;
        maker.quote(&mut trader)?;
    }
}

/// One side.
struct Quote {
    side: Side,
    price: Decimal,
    /// The order that is open, or on its way.
    order: Option<ClientOrderId>,
}

struct Maker {
    account: AccountId,
    symbol: String,
    quantity: Decimal,
    instrument: Option<Instrument>,
    /// Everything before is known: no quote is entered twice.
    may_quote: bool,
    next_name: u64,
    quotes: [Quote; 2],
}

impl Maker {
    fn hear(&mut self, news: &TraderNews, trader: &mut Trader) -> Result<(), Box<dyn Error>> {
        match news {
            // What an earlier login left behind is not known: it is cancelled.
            TraderNews::Opened(opening) if opening.login != Login::Same => self.begin_anew(trader)?,
            TraderNews::Opened(_) | TraderNews::CaughtUp => {
                println!("open, and everything is known: {:?}", trader.position());
                self.may_quote = matches!(news, TraderNews::CaughtUp);
            }
            TraderNews::Disconnected(error) => {
                println!("disconnected: {error}");
                self.may_quote = false;
            }
            TraderNews::NotApplied(_, Command::New(order)) | TraderNews::Unknown(_, Command::New(order)) => {
                self.ended(order.client_order_id);
            }
            TraderNews::NotApplied(..) | TraderNews::Unknown(..) | TraderNews::Lost(_) => println!("{news:?}"),
            TraderNews::Message(message) => self.message(message)?,
        }
        Ok(())
    }

    fn message(&mut self, message: &OrderEntryMessage) -> Result<(), Box<dyn Error>> {
        match message {
            OrderEntryMessage::SecurityDefinition(definition) if definition.symbol.as_str() == Some(&self.symbol) => {
                self.instrument = Some(Instrument::new(*definition));
            }
            OrderEntryMessage::ExecutionReport(report) => self.execution(report)?,
            OrderEntryMessage::BusinessMessageReject(reject) => return Err(format!("refused: {reject:?}").into()),
            _ => {}
        }
        Ok(())
    }

    fn execution(&mut self, report: &ExecutionReport) -> Result<(), Box<dyn Error>> {
        println!("{:?} {:?}: {} open", report.side, report.exec_type, report.leaves_quantity);
        match report.exec_type {
            ExecType::Rejected => return Err(format!("rejected: {:?}", report.reject_reason).into()),
            ExecType::Cancelled | ExecType::Expired => self.ended(report.client_order_id),
            ExecType::Trade if report.leaves_quantity.0 == 0 => self.ended(report.client_order_id),
            _ => {}
        }
        Ok(())
    }

    fn begin_anew(&mut self, trader: &mut Trader) -> Result<(), SendError> {
        self.quotes.iter_mut().for_each(|quote| quote.order = None);
        let (account, action) = (Some(self.account), MassActionType::CancelOrders);
        trader.send(&OrderMassActionRequest { account, action, ..OrderMassActionRequest::BLANK })?;
        Ok(())
    }

    fn ended(&mut self, order: Option<ClientOrderId>) {
        for quote in &mut self.quotes {
            if quote.order == order {
                quote.order = None;
            }
        }
    }

    /// Enters what is missing.
    fn quote(&mut self, trader: &mut Trader) -> Result<(), Box<dyn Error>> {
        let (Some(instrument), true) = (self.instrument, self.may_quote) else { return Ok(()) };
        for quote in self.quotes.iter_mut().filter(|quote| quote.order.is_none()) {
            let name = ClientOrderId(self.next_name);
            let order = instrument.post_only(self.account, name, quote.side, self.quantity, quote.price)?;
            match trader.send(&order) {
                Ok(_) => (self.next_name, quote.order) = (self.next_name + 1, Some(name)),
                Err(SendError::Disconnected | SendError::TooManyUnanswered(_)) => break,
            }
        }
        Ok(())
    }
}

//! The examples do what they say, with a real venue.

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use client::wire::order_entry::OrderEntryMessage;
use client::wire::{AccountId, ClientOrderId, ExecType, OrderType, SecurityId, Side};
use client::{Decimal, Instrument, Policy, Start, Trader, TraderNews};
use common::Venue;

/// No wait takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let found = tests.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(found.exists(), "{} is not built: cargo build -p client --examples", found.display());
    found
}

/// An example that runs; killed when it is dropped.
struct Running {
    process: Child,
    lines: Receiver<String>,
}

impl Running {
    fn start(name: &str, data: &Path, arguments: &str) -> Self {
        let mut command = Command::new(example(name));
        command.arg(data).args(arguments.split_whitespace()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { process, lines }
    }

    fn until(&self, wanted: &str) {
        while !self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {wanted}")).contains(wanted) {}
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_order_is_placed_amended_and_cancelled() {
    let venue = Venue::start();
    let mut command = Command::new(example("place_order"));
    let output = command.arg(venue.data.path()).args(["alice", "BTC-USD", "buy", "0.01", "64000.50"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    let kinds = ["exec_type: New", "exec_type: Replaced", "exec_type: Cancelled"];
    let places: Vec<_> =
        kinds.iter().map(|kind| said.find(kind).unwrap_or_else(|| panic!("no {kind}: {said}"))).collect();
    assert!(places.is_sorted(), "{said}");
}

#[test]
fn a_bad_price_is_named_and_nothing_is_sent() {
    let venue = Venue::start();
    let mut command = Command::new(example("place_order"));
    let output =
        command.arg(venue.data.path()).args(["alice", "BTC-USD", "buy", "0.01", "64000.505"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("price") && said.contains("finer than 0.01"), "{said}");
}

/// Takes from the market maker; whether there was something to take.
fn take(trader: &mut Trader, instrument: &Instrument, name: u64, quantity: Decimal) -> bool {
    let order = instrument.market(AccountId(2), ClientOrderId(name), Side::Buy, quantity).unwrap();
    assert_eq!(order.order_type, OrderType::Market);
    trader.send(&order).unwrap();
    loop {
        if let TraderNews::Message(OrderEntryMessage::ExecutionReport(report)) = trader.receive().unwrap() {
            match report.exec_type {
                ExecType::Trade => return true,
                ExecType::Cancelled | ExecType::Rejected => return false,
                _ => {}
            }
        }
    }
}

#[test]
fn a_market_maker_quotes_again_what_is_filled_and_survives_the_venue() {
    let mut venue = Venue::start();
    let maker = Running::start("market_maker", venue.data.path(), "market-maker BTC-USD 0.5 64000 10");
    maker.until("Some(Sell) New");
    let mut trader = Trader::new(venue.access("alice"), Start::Anew, Policy::DEFAULT);
    let instrument = loop {
        if let TraderNews::Message(OrderEntryMessage::SecurityDefinition(definition)) = trader.receive().unwrap()
            && definition.security_id == SecurityId(1)
        {
            break Instrument::new(definition);
        }
    };
    let all = Decimal::new(5, 1);
    assert!(take(&mut trader, &instrument, 1, all));
    maker.until("Some(Sell) New");
    assert!(take(&mut trader, &instrument, 2, all));
    venue.stop();
    maker.until("disconnected");
    venue.run();
    maker.until("Some(Sell) New");
    while !matches!(trader.receive().unwrap(), TraderNews::CaughtUp) {}
    assert!(take(&mut trader, &instrument, 3, all));
    // Its quotes go with it.
    maker.until("Some(Sell) New");
    drop(maker);
    let mut name = 4;
    while take(&mut trader, &instrument, name, Decimal::new(1, 2)) {
        name += 1;
    }
}

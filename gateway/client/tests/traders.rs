//! Traders of a real venue that stops, forgets and is cut off: blocking and asynchronous, they learn the same.

mod common;

use std::time::Duration;

use client::wire::order_entry::{NewOrderSingle, OrderCancelRequest, OrderEntryMessage, OrderMassActionRequest};
use client::wire::{
    AccountId, Block, ClientOrderId, ExecType, MassActionType, MessageCount, SecurityId, SessionSequence,
    SessionVersion, Side,
};
use client::{
    Access, AsyncTrader, ConnectError, Decimal, Instrument, Login, Opening, Policy, Position, SendError, SigningKey,
    Start, Trader, TraderNews,
};
use common::{Venue, Wire};
use venue::arguments::OrderEntrySecurity;

const ALICE: AccountId = AccountId(2);
const BOB: AccountId = AccountId(3);

/// Receives until `wanted` takes something.
fn until<T>(trader: &mut Trader, mut wanted: impl FnMut(&TraderNews) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(&trader.receive().unwrap()) {
            return found;
        }
    }
}

fn opening(news: &TraderNews) -> Option<Opening> {
    match news {
        TraderNews::Opened(opening) => Some(opening.clone()),
        _ => None,
    }
}

fn caught_up(news: &TraderNews) -> Option<()> {
    matches!(news, TraderNews::CaughtUp).then_some(())
}

fn bitcoin(news: &TraderNews) -> Option<Instrument> {
    match news {
        TraderNews::Message(OrderEntryMessage::SecurityDefinition(definition))
            if definition.security_id == SecurityId(1) =>
        {
            Some(Instrument::new(*definition))
        }
        _ => None,
    }
}

/// What happened, and which command it answers.
fn execution(news: &TraderNews) -> Option<(ExecType, Option<SessionSequence>)> {
    match news {
        TraderNews::Message(OrderEntryMessage::ExecutionReport(report)) => {
            Some((report.exec_type, report.answered_sequence))
        }
        _ => None,
    }
}

fn order(instrument: &Instrument, account: AccountId, name: u64, side: Side) -> NewOrderSingle {
    let (quantity, price) = (Decimal::new(1, 2), Decimal::from(64_000));
    instrument.limit(account, ClientOrderId(name), side, quantity, price).unwrap()
}

fn cancel(name: u64) -> OrderCancelRequest {
    let original_client_order_id = Some(ClientOrderId(name));
    OrderCancelRequest { account: ALICE, original_client_order_id, ..OrderCancelRequest::BLANK }
}

#[test]
fn a_trader_goes_on_though_the_venue_stops_and_starts() {
    let mut venue = Venue::start();
    let mut trader = Trader::new(venue.access("alice"), Start::Anew, Policy::DEFAULT);
    assert_eq!(trader.send(&cancel(1)), Err(SendError::Disconnected));
    assert_eq!(until(&mut trader, opening).login, Login::First);
    let instrument = until(&mut trader, bitcoin);
    let number = trader.send(&order(&instrument, ALICE, 1, Side::Buy)).unwrap();
    assert_eq!(until(&mut trader, execution), (ExecType::New, Some(number)));
    venue.stop();
    until(&mut trader, |news| matches!(news, TraderNews::Disconnected(_)).then_some(()));
    assert_eq!(trader.send(&cancel(1)), Err(SendError::Disconnected));
    venue.run();
    let again = until(&mut trader, opening);
    assert_eq!((again.login, again.missed, again.forgotten), (Login::Same, MessageCount(0), MessageCount(0)));
    let number = trader.send(&cancel(1)).unwrap();
    assert_eq!(number, SessionSequence(2));
    assert_eq!(until(&mut trader, execution), (ExecType::Cancelled, Some(number)));
    assert_eq!(trader.unanswered().len(), 0);
}

#[test]
fn what_did_not_arrive_is_sent_again_and_what_did_is_not_applied_twice() {
    let venue = Venue::start_with(OrderEntrySecurity::PlainLoopback);
    let wire = Wire::to(venue.address());
    let access = Access { addresses: vec![wire.address], ..venue.access("alice") };
    let mut trader = Trader::new(access, Start::Anew, Policy::DEFAULT);
    let instrument = until(&mut trader, bitcoin);
    let arrived = trader.send(&order(&instrument, ALICE, 1, Side::Buy)).unwrap();
    assert_eq!(until(&mut trader, execution), (ExecType::New, Some(arrived)));
    wire.swallow(true);
    let lost = trader.send(&order(&instrument, ALICE, 2, Side::Buy)).unwrap();
    wire.cut();
    wire.swallow(false);
    let again = until(&mut trader, opening);
    assert_eq!(again.opened.next_sequence, lost);
    assert_eq!(again.sent_again, [lost]);
    assert_eq!(until(&mut trader, execution), (ExecType::New, Some(lost)));
    // The venue has two orders, not three.
    let account = Some(ALICE);
    let action = MassActionType::CancelOrders;
    trader.send(&OrderMassActionRequest { account, action, ..OrderMassActionRequest::BLANK }).unwrap();
    let ended = until(&mut trader, |news| match news {
        TraderNews::Message(OrderEntryMessage::OrderMassActionReport(report)) => Some(report.affected_orders.0),
        _ => None,
    });
    assert_eq!(ended, 2);
}

#[test]
fn an_order_that_is_too_old_is_given_back_and_a_cancel_is_not() {
    let venue = Venue::start_with(OrderEntrySecurity::PlainLoopback);
    let wire = Wire::to(venue.address());
    let access = Access { addresses: vec![wire.address], ..venue.access("alice") };
    let policy = Policy { resend_within: Duration::ZERO, ..Policy::DEFAULT };
    let mut trader = Trader::new(access, Start::Anew, policy);
    let instrument = until(&mut trader, bitcoin);
    wire.swallow(true);
    let (old, late) =
        (trader.send(&order(&instrument, ALICE, 1, Side::Buy)).unwrap(), trader.send(&cancel(1)).unwrap());
    wire.cut();
    wire.swallow(false);
    assert_eq!(until(&mut trader, opening).sent_again, [late]);
    let given_back = until(&mut trader, |news| match news {
        TraderNews::NotApplied(number, _) => Some(*number),
        _ => None,
    });
    assert_eq!(given_back, old);
    let refused = until(&mut trader, |news| match news {
        TraderNews::Message(OrderEntryMessage::OrderCancelReject(reject)) => Some(reject.answered_sequence),
        _ => None,
    });
    assert_eq!(refused, Some(late));
}

/// One process ends, its order trades, and another goes on from the line of text that the first left.
#[test]
fn another_process_recovers_what_was_missed() {
    let venue = Venue::start();
    let mut alice = Trader::new(venue.access("alice"), Start::Anew, Policy::DEFAULT);
    let instrument = until(&mut alice, bitcoin);
    alice.send(&order(&instrument, ALICE, 1, Side::Buy)).unwrap();
    until(&mut alice, execution);
    let kept = alice.close().unwrap().to_string();
    let mut bob = Trader::new(venue.access("bob"), Start::Anew, Policy::DEFAULT);
    until(&mut bob, bitcoin);
    bob.send(&order(&instrument, BOB, 1, Side::Sell)).unwrap();
    until(&mut bob, |news| execution(news).filter(|(kind, _)| *kind == ExecType::Trade));

    let position: Position = kept.parse().unwrap();
    let mut alice = Trader::new(venue.access("alice"), Start::From(position), Policy::DEFAULT);
    let opening = until(&mut alice, opening);
    assert_eq!((opening.login, opening.missed), (Login::First, MessageCount(1)));
    assert_eq!(until(&mut alice, execution), (ExecType::Trade, None));
    until(&mut alice, caught_up);
    assert_eq!(alice.position().map(|position| position.next_report), Some(SessionSequence(3)));
}

#[test]
fn a_login_that_the_venue_does_not_know_is_made_anew() {
    let venue = Venue::start();
    let access = venue.access("alice");
    let position = Position {
        session: access.credentials.session,
        version: SessionVersion(77),
        next_report: SessionSequence(5),
        next_command: SessionSequence(9),
    };
    let mut trader = Trader::new(access, Start::From(position), Policy::DEFAULT);
    assert!(matches!(trader.receive().unwrap(), TraderNews::Disconnected(ConnectError::Refused(_))));
    assert_eq!(until(&mut trader, opening).login, Login::Anew);
    let instrument = until(&mut trader, bitcoin);
    assert_eq!(trader.send(&order(&instrument, ALICE, 1, Side::Buy)), Ok(SessionSequence(1)));
}

#[test]
fn a_trader_who_is_not_let_in_does_not_try_for_ever() {
    let venue = Venue::start();
    let mut access = venue.access("alice");
    access.credentials.signing_key = SigningKey::from_bytes(&[9; 32]);
    let mut trader = Trader::new(access, Start::Anew, Policy::DEFAULT);
    let refused = trader.receive();
    assert!(
        matches!(&refused, Err(ConnectError::Refused(reason)) if reason.name() == Some("SignatureInvalid")),
        "{refused:?}"
    );
}

#[test]
fn a_session_that_is_opened_elsewhere_is_not_fought_for() {
    let venue = Venue::start();
    let mut first = Trader::new(venue.access("alice"), Start::Anew, Policy::DEFAULT);
    until(&mut first, caught_up);
    let mut second = Trader::new(venue.access("alice"), Start::Anew, Policy::DEFAULT);
    until(&mut second, caught_up);
    let ended = loop {
        if let Err(error) = first.receive() {
            break error;
        }
    };
    assert!(matches!(ended, ConnectError::Ended(client::wire::TerminationCode::Replaced)), "{ended:?}");
}

async fn until_async<T>(trader: &mut AsyncTrader, mut wanted: impl FnMut(&TraderNews) -> Option<T>) -> T {
    loop {
        // Futures are dropped all the time; none takes anything with it.
        if let Ok(news) = tokio::time::timeout(Duration::from_millis(1), trader.receive()).await
            && let Some(found) = wanted(&news.unwrap())
        {
            return found;
        }
    }
}

#[test]
fn an_asynchronous_trader_goes_on_though_the_venue_stops_and_starts() {
    let mut venue = Venue::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut trader = AsyncTrader::new(venue.access("alice"), Start::Anew, Policy::DEFAULT);
        assert_eq!(trader.send(&cancel(1)).await, Err(SendError::Disconnected));
        assert_eq!(until_async(&mut trader, opening).await.login, Login::First);
        let instrument = until_async(&mut trader, bitcoin).await;
        let number = trader.send(&order(&instrument, ALICE, 1, Side::Buy)).await.unwrap();
        assert_eq!(until_async(&mut trader, execution).await, (ExecType::New, Some(number)));
        let venue = tokio::task::spawn_blocking(move || {
            venue.stop();
            venue.run();
            venue
        });
        assert_eq!(until_async(&mut trader, opening).await.login, Login::Same);
        let number = trader.send(&cancel(1)).await.unwrap();
        assert_eq!(until_async(&mut trader, execution).await, (ExecType::Cancelled, Some(number)));
        let position = trader.close().await.unwrap();
        assert_eq!(position.next_command, SessionSequence(3));
        drop(venue.await.unwrap());
    });
}

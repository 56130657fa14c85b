//! What traders were told, against what the journal says.

use std::collections::BTreeMap;

use benches::trading::log::{Fault, Log, OpenOrder, OrderName, Origin};
use client::wire;
use engine::{Engine, InstrumentId, SessionId, Side};

use crate::process::Ended;
use crate::verdict::Verdict;

/// Compares sessions and open orders with the venue's. The log at place `n` is session `n + 1`'s.
pub fn compare(verdict: &mut Verdict, engine: &Engine, logs: &[&Log]) {
    if let Err(fault) = engine.audit() {
        verdict.differs(format!("audit: {fault}"));
    }
    for (number, log) in (1..).zip(logs) {
        let session = engine.sessions().find(|session| session.session == SessionId(number));
        let last_report = session.map_or(0, |session| session.last_report.0);
        verdict.expect(&format!("last report of session {number}"), &log.last_report(), &last_report);
        let last_applied = session.map_or(0, |session| session.last_applied.0);
        let answered = log.unanswered().keys().next().map_or(log.last_request(), |first| first - 1);
        verdict.expect(&format!("last request of session {number}"), &answered, &last_applied);
    }
    let known: BTreeMap<OrderName, OpenOrder> =
        logs.iter().flat_map(|log| log.orders()).map(|(&name, &order)| (name, order)).collect();
    let mut resting = resting(engine);
    for (name, order) in known {
        let found = resting.remove(&name);
        if found != Some(order) {
            verdict.differs(format!("order {name:?}: its trader knows {order:?}, the venue {found:?}"));
        }
    }
    for (name, order) in resting {
        verdict.differs(format!("order {name:?} rests, and its trader does not know it: {order:?}"));
    }
}

/// Every open order of the venue. Ticks and lots are the wire's mantissas in every instrument here.
fn resting(engine: &Engine) -> BTreeMap<OrderName, OpenOrder> {
    let instruments: Vec<InstrumentId> = engine.listings().map(|listing| listing.instrument).collect();
    let sides = instruments.iter().flat_map(|&instrument| Side::BOTH.map(|side| (instrument, side)));
    let lots = |quantity: engine::Quantity| i64::try_from(quantity.0).unwrap_or(i64::MAX);
    sides
        .flat_map(|(instrument, side)| engine.orders(instrument, side).map(move |order| (instrument, order)))
        .map(|(instrument, order)| {
            let name = (order.account.into(), order.client_order_id.into());
            let (leaves, cumulative) = (lots(order.leaves), lots(order.cumulative));
            (name, OpenOrder { security_id: instrument.into(), side: order.side.into(), leaves, cumulative })
        })
        .collect()
}

/// Every execution number of every account: each once, and none missing.
pub fn compare_executions(verdict: &mut Verdict, logs: &[&Log]) {
    let mut accounts: BTreeMap<wire::AccountId, BTreeMap<u64, Origin>> = BTreeMap::new();
    for log in logs {
        // A report that goes to two sessions has one number; in one session each comes once.
        let mut own = BTreeMap::new();
        for &(account, execution, origin) in log.executions() {
            if own.insert((account, execution), origin).is_some() {
                verdict.fault("an account", Fault::Doubled(format!("execution {execution} of account {account}")));
            }
            let before = accounts.entry(account).or_default().insert(execution.0, origin);
            if before.is_some_and(|before| before != origin) {
                let what = format!("execution {execution} of account {account} is two events");
                verdict.fault("an account", Fault::Doubled(what));
            }
        }
    }
    for (account, executions) in accounts {
        let last = executions.keys().next_back().copied().unwrap_or(0);
        if last != executions.len() as u64 {
            let missing = last - executions.len() as u64;
            verdict.fault("an account", Fault::Lost(format!("{missing} executions of account {account}")));
        }
    }
}

/// What the venue said when it stopped, against a replay of its journal.
pub fn compare_digests(verdict: &mut Verdict, ended: &Ended, replayed: &Ended) {
    verdict.expect("last command", &ended.last, &replayed.last);
    verdict.expect("event digest", &ended.event_digest, &replayed.event_digest);
    verdict.expect("state digest", &ended.state_digest, &replayed.state_digest);
    verdict.expect("book digest", &ended.book_digest, &replayed.book_digest);
}

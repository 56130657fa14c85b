//! What is answered to questions about orders and balances.
//!
//! An answer tells how things stand at its place among what its connection is told: it contains every report before it,
//! and none behind it. One that has many parts is told by and by, and each part is as of its own place.

use engine::{AccountId, ClientOrderId, InstrumentId, KeyId, OrderId, Stamp};
use wire::order_entry::{
    AccountBalance, AccountBalanceRequest, ExecutionReport, OrderMassStatusRequest, OrderStatusRequest,
};
use wire::{Block, Durability, ExecType, Indicator, JournalSequence, OrderCount, OrderStatus, amount};

use crate::balances::BalanceAnswer;
use crate::egress::{self, Sending};
use crate::open_orders::{Arrival, KnownOrder};
use crate::question::Question;
use crate::view::{Found, View};

/// What is known of the order that a key asks about.
pub(crate) fn order_status(
    request: &OrderStatusRequest,
    key: KeyId,
    view: &View,
    durability: Durability,
) -> ExecutionReport {
    let account = AccountId::try_from(request.account).unwrap_or_default();
    let order = request.order_id.map_or(OrderId::NONE, Into::into);
    let name = request.client_order_id.map_or(ClientOrderId::NONE, Into::into);
    let named = ExecutionReport {
        request_id: request.request_id,
        total_reports: Some(OrderCount(1)),
        last_report_requested: Some(Indicator::Yes),
        ..nothing_known(request.account, view, durability)
    };
    match view.find(key, account, order, name) {
        Found::Open(known) => ExecutionReport {
            request_id: named.request_id,
            total_reports: named.total_reports,
            last_report_requested: named.last_report_requested,
            ..egress::order_status(known, view, sending(durability))
        },
        Found::OnItsWay(instrument) => ExecutionReport {
            security_id: instrument.into(),
            client_order_id: request.client_order_id,
            order_status: Some(OrderStatus::PendingNew),
            ..named
        },
        Found::Nothing => ExecutionReport {
            order_id: request.order_id,
            client_order_id: request.client_order_id,
            order_status: Some(OrderStatus::Rejected),
            reject_reason: Some(engine::RejectReason::UnknownOrder.into()),
            total_reports: Some(OrderCount(0)),
            ..named
        },
    }
}

/// An answer that tells of no order.
fn nothing_known(account: wire::AccountId, view: &View, durability: Durability) -> ExecutionReport {
    let Stamp { sequence, time } = view.as_of();
    ExecutionReport {
        account,
        exec_type: ExecType::OrderStatus,
        transact_time: time.into(),
        journal_sequence: JournalSequence::present(sequence),
        possible_duplicate: Indicator::No,
        durability,
        ..ExecutionReport::BLANK
    }
}

fn sending(durability: Durability) -> Sending {
    Sending { durability, possible_duplicate: Indicator::No }
}

/// A list of open orders that is being told, oldest first.
///
/// Which is the last is known when there is no other behind it; so the order that was come to last is held back.
#[derive(Debug)]
pub(crate) struct MassStatus {
    request: OrderMassStatusRequest,
    account: AccountId,
    instrument: Option<InstrumentId>,
    total: OrderCount,
    /// The next to be looked at.
    next: Arrival,
    /// The first that came when the list was begun.
    end: Arrival,
    held_back: Option<OrderId>,
}

impl MassStatus {
    /// The list of what is open now.
    pub(crate) fn begin(request: &OrderMassStatusRequest, view: &View) -> Self {
        let account = AccountId::try_from(request.account).unwrap_or_default();
        // An instrument that there cannot be has no orders, as one that there is not.
        let instrument = request.security_id.map(|security| InstrumentId::try_from(security).unwrap_or_default());
        Self {
            request: *request,
            account,
            instrument,
            total: OrderCount(view.orders().count(account, instrument)),
            next: Arrival::default(),
            end: view.orders().next_arrival(),
            held_back: None,
        }
    }

    /// What is being answered.
    pub(crate) fn question(&self) -> Question {
        Question::OrderMassStatus(self.request)
    }

    /// Goes on, looking at so many orders at most; whether the list has come to its end.
    pub(crate) fn go_on(
        &mut self,
        looks_max: usize,
        view: &View,
        durability: Durability,
        mut tell: impl FnMut(&ExecutionReport),
    ) -> bool {
        for _ in 0..looks_max {
            let next = view.orders().oldest_since(self.account, self.next);
            let Some(known) = next.filter(|known| known.arrival() < self.end) else {
                tell(&self.last(view, durability));
                return true;
            };
            self.next = known.arrival().next();
            let state = &known.order.state;
            if self.instrument.is_none_or(|instrument| instrument == state.instrument) {
                let before = self.held_back.replace(state.order_id);
                if let Some(known) = before.and_then(|order| view.orders().get(order)) {
                    tell(&self.report(known, Indicator::No, view, durability));
                }
            }
        }
        false
    }

    /// The last report: without an order, if the one that was to be the last has ended, or there is none.
    fn last(&self, view: &View, durability: Durability) -> ExecutionReport {
        match self.held_back.and_then(|order| view.orders().get(order)) {
            Some(known) => self.report(known, Indicator::Yes, view, durability),
            None => ExecutionReport {
                request_id: self.request.request_id,
                total_reports: Some(OrderCount(0)),
                last_report_requested: Some(Indicator::Yes),
                ..nothing_known(self.request.account, view, durability)
            },
        }
    }

    fn report(&self, known: &KnownOrder, last: Indicator, view: &View, durability: Durability) -> ExecutionReport {
        ExecutionReport {
            request_id: self.request.request_id,
            total_reports: Some(self.total),
            last_report_requested: Some(last),
            ..egress::order_status(known, view, sending(durability))
        }
    }
}

/// Tells what an account has, a message an asset.
pub(crate) fn balances(
    answer: &BalanceAnswer,
    as_of: Stamp,
    durability: Durability,
    mut tell: impl FnMut(&AccountBalance),
) {
    let nothing = nothing_owned(&answer.asked.request, as_of, durability);
    let Some(last) = answer.balances.len().checked_sub(1) else {
        return tell(&AccountBalance { last_report_requested: Some(Indicator::Yes), ..nothing });
    };
    for (index, &(asset, balance)) in answer.balances.iter().enumerate() {
        let (available_high, available_low) = amount::split(Some(balance.available.0));
        let (held_high, held_low) = amount::split(Some(balance.held.0));
        tell(&AccountBalance {
            asset: Some(asset.into()),
            available_high,
            available_low,
            held_high,
            held_low,
            last_report_requested: Some(if index == last { Indicator::Yes } else { Indicator::No }),
            ..nothing
        });
    }
}

fn nothing_owned(request: &AccountBalanceRequest, as_of: Stamp, durability: Durability) -> AccountBalance {
    AccountBalance {
        account: request.account,
        request_id: request.request_id,
        transact_time: as_of.time.into(),
        journal_sequence: JournalSequence::present(as_of.sequence),
        possible_duplicate: Indicator::No,
        durability,
        ..AccountBalance::BLANK
    }
}

#[cfg(test)]
mod tests {
    use engine::command::{AdminNote, CancelOrder, ListInstrument, NewOrder, OpenAccount};
    use engine::instrument::{Holds, Phase};
    use engine::{
        Amount, AssetId, Capacity, Command, CommandBody, Engine, OnDisconnect, OrderFlags, OrderType, Price, Quantity,
        SelfTradePrevention, Sequenced, Side, StpGroup, Text, TimeInForce, Timestamp,
    };

    use super::*;

    const ACCOUNT: AccountId = AccountId(2);
    const BOOKS: [InstrumentId; 2] = [InstrumentId(1), InstrumentId(2)];

    /// An engine, and a view that follows it.
    struct Floor {
        engine: Engine,
        view: View,
    }

    impl Floor {
        fn new() -> Self {
            let mut floor = Self { engine: Engine::new(Capacity::SMALL), view: View::default() };
            let (account, note) = (ACCOUNT, AdminNote::NONE);
            let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
            floor.apply(OpenAccount { account, stp_group, self_trade_prevention, fee_tier, note });
            for instrument in BOOKS {
                floor.apply(ListInstrument {
                    instrument,
                    name: Text::new("X").unwrap(),
                    base: AssetId::NONE,
                    quote: AssetId::NONE,
                    tick: 1,
                    tick_decimals: 0,
                    lot: 1,
                    lot_decimals: 0,
                    reference: Price::ABSENT,
                    holds: Holds::Off,
                    self_trade_prevention: SelfTradePrevention::Allow,
                    phase: Phase::Continuous,
                    note,
                });
            }
            floor
        }

        fn apply(&mut self, body: impl Into<CommandBody>) {
            let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: Timestamp(1) };
            let mut events = Vec::new();
            self.engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
            events.iter().for_each(|(header, event)| self.view.apply(header, event));
        }

        fn enter(&mut self, instrument: InstrumentId, name: u64) {
            self.apply(NewOrder {
                account: ACCOUNT,
                instrument,
                client_order_id: ClientOrderId(name),
                side: Side::Buy,
                order_type: OrderType::Limit,
                time_in_force: TimeInForce::GoodTillCancel,
                flags: OrderFlags::NONE,
                self_trade_prevention: None,
                on_disconnect: OnDisconnect::AsSession,
                price: Price(100),
                quantity: Quantity(1),
                funds: Amount::ABSENT,
                stop_price: Price::ABSENT,
                display_quantity: Quantity::ABSENT,
                minimum_quantity: Quantity::ABSENT,
                expire_at: Timestamp::NONE,
            });
        }

        fn cancel(&mut self, name: u64) {
            let (order_id, client_order_id) = (OrderId::NONE, ClientOrderId::NONE);
            let original_client_order_id = ClientOrderId(name);
            self.apply(CancelOrder { account: ACCOUNT, order_id, original_client_order_id, client_order_id });
        }

        fn list(&self, instrument: Option<InstrumentId>) -> MassStatus {
            let security_id = instrument.map(Into::into);
            let request = OrderMassStatusRequest { account: ACCOUNT.into(), request_id: None, security_id };
            MassStatus::begin(&request, &self.view)
        }

        /// What a list tells when it goes on: names (none: an empty report), how many there are, and whether it is the last.
        fn told(&self, list: &mut MassStatus, looks_max: usize) -> (Vec<(Option<u64>, u32, bool)>, bool) {
            let mut told = Vec::new();
            let is_over = list.go_on(looks_max, &self.view, Durability::Synced, |report| {
                let is_last = report.last_report_requested == Some(Indicator::Yes);
                let name = report.client_order_id.map(|name| name.0);
                told.push((name, report.total_reports.unwrap().0, is_last));
            });
            (told, is_over)
        }
    }

    #[test]
    fn a_list_is_told_in_parts_and_says_which_is_the_last() {
        let mut floor = Floor::new();
        (1..=5).for_each(|name| floor.enter(BOOKS[0], name));
        let mut list = floor.list(None);
        assert_eq!(floor.told(&mut list, 3), (vec![(Some(1), 5, false), (Some(2), 5, false)], false));
        // What comes meanwhile does not belong to it.
        floor.enter(BOOKS[0], 6);
        assert_eq!(floor.told(&mut list, 1), (vec![(Some(3), 5, false)], false));
        assert_eq!(floor.told(&mut list, 9), (vec![(Some(4), 5, false), (Some(5), 5, true)], true));
    }

    #[test]
    fn what_ends_before_its_turn_is_left_out() {
        let mut floor = Floor::new();
        (1..=4).for_each(|name| floor.enter(BOOKS[0], name));
        let mut list = floor.list(None);
        assert_eq!(floor.told(&mut list, 2), (vec![(Some(1), 4, false)], false));
        // The one that is held back, and one that the list has not come to.
        [2, 3].into_iter().for_each(|name| floor.cancel(name));
        assert_eq!(floor.told(&mut list, 1), (vec![], false));
        floor.cancel(4);
        assert_eq!(floor.told(&mut list, 1), (vec![(None, 0, true)], true));
    }

    #[test]
    fn a_list_of_one_instrument_looks_at_no_more_than_it_may() {
        let mut floor = Floor::new();
        (1..=6).for_each(|name| floor.enter(BOOKS[usize::from(name > 5)], name));
        let mut list = floor.list(Some(BOOKS[1]));
        assert_eq!(floor.told(&mut list, 5), (vec![], false));
        assert_eq!(floor.told(&mut list, 5), (vec![(Some(6), 1, true)], true));
        let mut list = floor.list(Some(InstrumentId(3)));
        assert_eq!(floor.told(&mut list, 9), (vec![(None, 0, true)], true));
    }
}

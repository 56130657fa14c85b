//! Commands with random fields, for a journal that does not look into them.

use engine::command::{
    AdminNote, AdvanceTime, BustTrade, CancelOrder, Deposit, Disconnect, DisconnectReason, MassCancel, NewOrder,
    ReplaceOrder, SetRandomSeed,
};
use engine::order::{OnDisconnect, OrderFlags, OrderType, Side, TimeInForce};
use engine::{
    AccountId, Amount, AssetId, ClientOrderId, Command, InstrumentId, OrderId, Price, Quantity, SessionId,
    SessionVersion, Timestamp, TradeId,
};

/// Order flow: of such commands a run is journalled as a whole.
pub fn order_flow(random: &mut fastrand::Rng) -> Command {
    match random.u8(..4) {
        0 => Command::from_venue(new_order(random)),
        1 => cancel(random.u64(..)),
        2 => Command::from_venue(mass_cancel(random)),
        _ => Command::from_venue(replace_order(random)),
    }
}

/// A command that ends its run.
pub fn other(random: &mut fastrand::Rng) -> Command {
    let note = AdminNote::NONE;
    match random.u8(..5) {
        0 => Command::from_venue(AdvanceTime {}),
        1 => {
            let amount = Amount(u128::from(random.u64(..)));
            Command::from_venue(Deposit { account: account(random), asset: AssetId(1), amount, note })
        }
        2 => Command::from_venue(SetRandomSeed { seed: [random.u8(..); 32], note }),
        3 => {
            let trade_id = TradeId(random.u64(..));
            Command::from_venue(BustTrade { instrument: InstrumentId(1), trade_id, note })
        }
        _ => {
            let version = SessionVersion(random.u64(..));
            Command::from_venue(Disconnect { version, reason: DisconnectReason::ConnectionLost })
        }
    }
}

/// A cancel whose every field says which it is.
pub fn cancel(number: u64) -> Command {
    Command::from_venue(CancelOrder {
        account: AccountId(2),
        order_id: OrderId(number),
        original_client_order_id: ClientOrderId(number ^ u64::MAX),
        client_order_id: ClientOrderId(number.rotate_left(32)),
    })
}

fn account(random: &mut fastrand::Rng) -> AccountId {
    AccountId(random.u32(1..100))
}

fn new_order(random: &mut fastrand::Rng) -> NewOrder {
    NewOrder {
        account: account(random),
        instrument: InstrumentId(1),
        client_order_id: ClientOrderId(random.u64(..)),
        side: if random.bool() { Side::Buy } else { Side::Sell },
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::GoodTillCancel,
        flags: OrderFlags::NONE,
        self_trade_prevention: None,
        on_disconnect: OnDisconnect::AsSession,
        price: Price(random.u64(1..1_000)),
        quantity: Quantity(random.u64(1..1_000)),
        funds: Amount::ABSENT,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        minimum_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

fn mass_cancel(random: &mut fastrand::Rng) -> MassCancel {
    MassCancel {
        account: account(random),
        instrument: InstrumentId(1),
        side: None,
        entered_by: SessionId::NONE,
        client_order_id: ClientOrderId(random.u64(..)),
        note: AdminNote::NONE,
    }
}

fn replace_order(random: &mut fastrand::Rng) -> ReplaceOrder {
    ReplaceOrder {
        account: account(random),
        order_id: OrderId(random.u64(..)),
        original_client_order_id: ClientOrderId::NONE,
        client_order_id: ClientOrderId(random.u64(..)),
        order_type: None,
        time_in_force: None,
        price: Price(random.u64(1..1_000)),
        quantity: Quantity(random.u64(1..1_000)),
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

//! Orders, amends and cancels: right ones, and ones with something wrong.

use engine::canonical::Code;
use engine::command::*;
use engine::*;

use super::venue::{ACCOUNTS, BTC, INSTRUMENTS, LATER_INSTRUMENTS, USD};
use super::{Known, Workload};

/// Where prices gather.
const PIVOT: u64 = 100;

impl Workload {
    pub(super) fn new_order(&mut self) -> NewOrder {
        let profile = self.profile;
        let instrument = match self.random.below(20) {
            0 => INSTRUMENTS[0],
            1 if profile.listing > 0 => self.random.one_of(&LATER_INSTRUMENTS),
            _ => self.random.one_of(&INSTRUMENTS),
        };
        let side = self.random.one_of(&Side::BOTH);
        let mut order = NewOrder {
            account: self.random.one_of(&ACCOUNTS),
            instrument,
            client_order_id: self.name(),
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: self.random.one_of(&[
                OnDisconnect::AsSession,
                OnDisconnect::AsSession,
                OnDisconnect::Cancel,
                OnDisconnect::Keep,
            ]),
            price: Price(self.price(side)),
            quantity: Quantity(self.quantity()),
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        };
        if self.random.percent(profile.own_mode) {
            let modes = &SelfTradePrevention::ALL[1..];
            order.self_trade_prevention = Some(self.random.one_of(modes));
        }
        if self.random.percent(profile.market) {
            self.make_market(&mut order);
        } else if self.random.percent(profile.stop) {
            self.make_stop(&mut order);
        } else if self.random.percent(profile.immediate) {
            order.time_in_force = self.random.one_of(&[TimeInForce::ImmediateOrCancel, TimeInForce::FillOrKill]);
        } else if self.random.percent(profile.post_only) {
            order.flags = OrderFlags::POST_ONLY;
        }
        let lasts = matches!(order.time_in_force, TimeInForce::GoodTillCancel) && order.order_type != OrderType::Market;
        if lasts && self.random.percent(profile.expiring) {
            order.time_in_force = self.random.one_of(&[TimeInForce::Day, TimeInForce::GoodTillDate]);
            if order.time_in_force == TimeInForce::GoodTillDate {
                order.expire_at = self.soon();
            }
        }
        if lasts && order.order_type != OrderType::Stop && self.random.percent(profile.iceberg) {
            order.quantity = Quantity(self.random.between(2, 25));
            order.display_quantity = Quantity(self.random.between(1, order.quantity.0));
        }
        if self.gathers(instrument) && self.random.percent(90) {
            self.make_gathering(&mut order);
        }
        if !order.order_type.is_stop() && self.random.percent(profile.in_auction) {
            order.flags = OrderFlags::NONE;
            order.display_quantity = Quantity::ABSENT;
            order.expire_at = Timestamp::NONE;
            order.time_in_force = self.random.one_of(&[TimeInForce::AtTheOpening, TimeInForce::AtTheClose]);
        }
        let immediate = order.time_in_force == TimeInForce::ImmediateOrCancel && !order.quantity.is_absent();
        if immediate && self.random.percent(profile.minimum) {
            order.minimum_quantity = Quantity(self.random.between(1, order.quantity.0));
        }
        if self.random.percent(profile.wrong) {
            self.spoil(&mut order);
            if self.random.percent(30) {
                self.spoil(&mut order);
            }
        }
        order
    }

    fn make_market(&mut self, order: &mut NewOrder) {
        order.order_type = OrderType::Market;
        order.price = Price::ABSENT;
        order.time_in_force = self.random.one_of(&[
            TimeInForce::ImmediateOrCancel,
            TimeInForce::ImmediateOrCancel,
            TimeInForce::GoodTillCancel,
            TimeInForce::FillOrKill,
        ]);
        if self.random.percent(self.profile.expiring) {
            order.time_in_force = TimeInForce::Day;
        }
        let by_funds = order.side == Side::Buy
            && order.time_in_force != TimeInForce::FillOrKill
            && self.random.percent(self.profile.funds);
        if by_funds {
            order.quantity = Quantity::ABSENT;
            let most = if self.random.percent(90) { 30_000 } else { 5_000_000 };
            order.funds = Amount(u128::from(self.random.between(1, most)));
        }
    }

    /// What a call takes.
    fn make_gathering(&mut self, order: &mut NewOrder) {
        order.flags = OrderFlags::NONE;
        if !order.time_in_force.rests() {
            order.time_in_force = self.random.one_of(&[TimeInForce::GoodTillCancel, TimeInForce::Day]);
        }
        if !order.funds.is_absent() {
            order.funds = Amount::ABSENT;
            order.quantity = Quantity(self.quantity());
        }
    }

    fn make_stop(&mut self, order: &mut NewOrder) {
        order.stop_price = Price(self.random.between(PIVOT - 8, PIVOT + 8));
        if self.random.percent(50) {
            order.order_type = OrderType::Stop;
            order.price = Price::ABSENT;
        } else {
            order.order_type = OrderType::StopLimit;
        }
    }

    /// A name: mostly a new one or none, sometimes one that was used.
    fn name(&mut self) -> ClientOrderId {
        if self.random.percent(12) {
            return ClientOrderId::NONE;
        }
        if self.random.percent(3) {
            return ClientOrderId(self.random.between(1, self.client_order_ids.max(1)));
        }
        self.client_order_ids += 1;
        ClientOrderId(self.client_order_ids)
    }

    /// Around the pivot, mostly on the own side of it; sometimes far away.
    fn price(&mut self, side: Side) -> u64 {
        if self.random.percent(2) {
            return self.random.one_of(&[1, 20, 80, 120, 300]);
        }
        let reach = self.random.below(8);
        match side {
            Side::Buy => PIVOT + 2 - reach,
            Side::Sell => PIVOT - 2 + reach,
        }
    }

    fn quantity(&mut self) -> u64 {
        if self.random.percent(4) { self.random.between(20, 300) } else { self.random.between(1, 9) }
    }

    fn soon(&mut self) -> Timestamp {
        Timestamp(self.now.0 + self.random.between(1, 400))
    }

    /// Makes one field wrong, or at least another.
    fn spoil(&mut self, order: &mut NewOrder) {
        let random = &mut self.random;
        let some_quantity = [
            Quantity::ZERO,
            Quantity::ABSENT,
            Quantity::OFF_LOT,
            Quantity(Quantity::MAX.0 + 1),
            Quantity(3),
            Quantity::MAX,
        ];
        let some_price = [Price::ZERO, Price::ABSENT, Price::OFF_TICK, Price(Price::MAX.0 + 1), Price(101), Price::MAX];
        match random.below(20) {
            0 => order.account = random.one_of(&[AccountId(9), AccountId(15), AccountId::FEES, AccountId::NONE]),
            1 => order.instrument = random.one_of(&[InstrumentId(7), InstrumentId::NONE, InstrumentId(99)]),
            2 => order.client_order_id = ClientOrderId(random.between(1, self.client_order_ids.max(1))),
            3 => order.time_in_force = random.one_of(TimeInForce::ALL),
            4 => order.order_type = random.one_of(OrderType::ALL),
            5 => order.flags = OrderFlags(u8::try_from(random.below(4)).expect("two bits")),
            6 => order.self_trade_prevention = Some(random.one_of(SelfTradePrevention::ALL)),
            7..=9 => order.price = random.one_of(&some_price),
            10..=12 => order.quantity = random.one_of(&some_quantity),
            13 => order.display_quantity = random.one_of(&some_quantity),
            14 => order.minimum_quantity = random.one_of(&some_quantity),
            15 => {
                order.funds =
                    random.one_of(&[Amount::ZERO, Amount(7), Amount(50_000), Amount::MAX, Amount(Amount::MAX.0 + 1)])
            }
            16 => order.stop_price = random.one_of(&some_price),
            17 => order.expire_at = Timestamp((self.now.0 + random.below(60)).saturating_sub(30)),
            18 => order.quantity = Quantity(random.between(300, 20_000)),
            _ => order.price = Price(random.between(1, 400)),
        }
    }

    /// How a request names an order: by the venue's name, the trader's, both, or neither.
    fn names_of(&mut self, known: &Known) -> (OrderId, ClientOrderId) {
        let by_id = OrderId(known.step.into());
        let name = known.client_order_id;
        match self.random.below(20) {
            0 => (by_id, ClientOrderId(self.random.between(0, self.client_order_ids + 2))),
            1 => (OrderId(9_999_999), name),
            2 => (OrderId::NONE, ClientOrderId(self.random.between(0, self.client_order_ids + 2))),
            3..=9 => (by_id, name),
            10..=14 => (by_id, ClientOrderId::NONE),
            _ => (OrderId::NONE, name),
        }
    }

    fn account_of(&mut self, known: &Known) -> AccountId {
        if self.random.percent(96) {
            return known.account;
        }
        self.random.one_of(&[ACCOUNTS[0], ACCOUNTS[1], ACCOUNTS[2], AccountId(9), AccountId::FEES])
    }

    pub(super) fn replace_order(&mut self) -> ReplaceOrder {
        let profile = self.profile;
        let Some(known) = self.some_order() else {
            return self.replace_of(AccountId(2), OrderId(1), ClientOrderId::NONE);
        };
        let account = self.account_of(&known);
        let (order_id, original) = self.names_of(&known);
        let mut amend = self.replace_of(account, order_id, original);
        let quantity = if known.quantity < u64::from(u32::MAX) { known.quantity } else { 5 };
        match self.random.below(7) {
            0 | 1 => amend.quantity = Quantity(self.random.between(1, quantity.max(1))),
            2 => amend.quantity = Quantity(quantity + self.random.below(6)),
            3 | 4 => amend.price = Price(self.price(known.side)),
            5 => {
                amend.price = Price(self.price(known.side));
                amend.quantity = Quantity(self.random.between(1, quantity + 4));
            }
            _ => {}
        }
        if self.random.percent(25) {
            amend.client_order_id = self.name();
        }
        if matches!(known.order_type, OrderType::Stop | OrderType::Market) && self.random.percent(90) {
            amend.price = Price::ABSENT;
        }
        let waits = matches!(known.order_type, OrderType::Stop | OrderType::StopLimit);
        if waits && self.random.percent(40) {
            amend.stop_price = Price(self.random.between(PIVOT - 8, PIVOT + 8));
        }
        if (profile.stop > 0 || profile.in_auction > 0) && self.random.percent(12) {
            let order_type = self.random.one_of(OrderType::ALL);
            amend.order_type = Some(order_type);
            let has_limit = matches!(order_type, OrderType::Limit | OrderType::StopLimit);
            amend.price = if has_limit { Price(self.price(known.side)) } else { Price::ABSENT };
        }
        if profile.iceberg > 0 && self.random.percent(20) {
            amend.display_quantity = Quantity(self.random.between(1, 8));
        }
        if profile.expiring > 0 && self.random.percent(20) {
            let time_in_force =
                self.random.one_of(&[TimeInForce::Day, TimeInForce::GoodTillDate, TimeInForce::GoodTillCancel]);
            amend.time_in_force = Some(time_in_force);
            if time_in_force == TimeInForce::GoodTillDate && self.random.percent(70) {
                amend.expire_at = self.soon();
            }
        }
        if self.random.percent(profile.wrong) {
            self.spoil_amend(&mut amend);
        }
        amend
    }

    fn replace_of(&mut self, account: AccountId, order_id: OrderId, original: ClientOrderId) -> ReplaceOrder {
        ReplaceOrder {
            account,
            order_id,
            original_client_order_id: original,
            client_order_id: ClientOrderId::NONE,
            order_type: None,
            time_in_force: None,
            price: Price::ABSENT,
            quantity: Quantity::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        }
    }

    fn spoil_amend(&mut self, amend: &mut ReplaceOrder) {
        let random = &mut self.random;
        let some_quantity =
            [Quantity::ZERO, Quantity::OFF_LOT, Quantity(Quantity::MAX.0 + 1), Quantity::MAX, Quantity(2)];
        let some_price = [Price::ZERO, Price::OFF_TICK, Price(Price::MAX.0 + 1), Price(101), Price(99)];
        match random.below(10) {
            0 => amend.order_type = Some(random.one_of(OrderType::ALL)),
            1 => amend.time_in_force = Some(random.one_of(TimeInForce::ALL)),
            2 | 3 => amend.price = random.one_of(&some_price),
            4 | 5 => amend.quantity = random.one_of(&some_quantity),
            6 => amend.stop_price = random.one_of(&some_price),
            7 => amend.display_quantity = random.one_of(&some_quantity),
            8 => amend.expire_at = Timestamp((self.now.0 + random.below(60)).saturating_sub(30)),
            _ => amend.client_order_id = ClientOrderId(random.between(1, self.client_order_ids.max(1))),
        }
    }

    pub(super) fn cancel_order(&mut self) -> CancelOrder {
        let known = self.some_order();
        let (account, order_id, original_client_order_id) = match known {
            Some(known) => {
                let account = self.account_of(&known);
                let (order_id, name) = self.names_of(&known);
                (account, order_id, name)
            }
            None => (AccountId(2), OrderId::NONE, ClientOrderId(1)),
        };
        let client_order_id = if self.random.percent(50) { self.name() } else { ClientOrderId::NONE };
        CancelOrder { account, order_id, original_client_order_id, client_order_id }
    }

    pub(super) fn mass_cancel(&mut self) -> MassCancel {
        let account = if self.random.percent(75) { self.random.one_of(&ACCOUNTS) } else { AccountId::NONE };
        let instrument = if self.random.percent(50) { self.random.one_of(&INSTRUMENTS) } else { InstrumentId::NONE };
        let side = if self.random.percent(50) { Some(self.random.one_of(&Side::BOTH)) } else { None };
        let sessions = [SessionId(1), SessionId(2), SessionId(3), SessionId(9)];
        let entered_by = if self.random.percent(30) { self.random.one_of(&sessions) } else { SessionId::NONE };
        let mut cancel =
            MassCancel { account, instrument, side, entered_by, client_order_id: self.name(), note: self.note() };
        if self.random.percent(self.profile.wrong) {
            match self.random.below(2) {
                0 => cancel.account = self.random.one_of(&[AccountId(9), AccountId::FEES]),
                _ => cancel.instrument = InstrumentId(7),
            }
        }
        cancel
    }

    pub(super) fn kill_switch(&mut self) -> KillSwitch {
        let account = if self.random.percent(95) { self.random.one_of(&ACCOUNTS) } else { AccountId(9) };
        let switch = if self.random.percent(90) { Switch::Lifted } else { Switch::Engaged };
        KillSwitch { account, switch, note: self.note() }
    }

    /// What an administrator says: mostly nothing, sometimes under a key, now and then one that was used.
    pub(super) fn note(&mut self) -> AdminNote {
        let mut note = AdminNote::NONE;
        if self.random.percent(10) {
            self.idempotency_keys += 1;
            let again = self.random.percent(20);
            let back = if again { self.random.below(3) } else { 0 };
            note.idempotency_key = IdempotencyKey(self.idempotency_keys.saturating_sub(back));
        }
        note
    }

    /// Some asset of the venue.
    pub(super) fn asset(&mut self) -> AssetId {
        self.random.one_of(&[BTC, USD, AssetId(3)])
    }
}

//! The view follows the engine by events alone: what is open there is open here, as it is there.

use engine::command::AdvanceTime;
use engine::event::OrderState;
use engine::{
    AccountId, Capacity, Command, Engine, Event, EventHeader, OpenOrder, Quantity, RestingOrder, Sequenced, Stamp,
    Timestamp,
};
use gateway::view::View;
use testkit::stream::{References, Step};
use testkit::workload::{PROFILES, Profile, Workload};

const CAPACITY: Capacity = Capacity { orders: 1 << 12, ..Capacity::SMALL };
const COMMANDS: usize = 400;

/// An engine, and a view that follows it.
struct Followed {
    engine: Engine,
    view: View,
    names: References,
}

impl Followed {
    fn new() -> Self {
        let engine = Engine::new(CAPACITY);
        let view = View::of(&engine);
        Self { engine, view, names: References::default() }
    }

    /// The step's events; what is due by then comes before.
    fn step(&mut self, step: &Step) -> Vec<Event> {
        let time = self.engine.last().time.max(step.at);
        if self.engine.next_deadline() <= time {
            self.apply(time, Command::from_venue(AdvanceTime {}));
        }
        let events = self.apply(time, self.names.resolve(&step.command));
        self.names.learn(step.name, &events);
        events
    }

    fn apply(&mut self, time: Timestamp, value: Command) -> Vec<Event> {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time };
        let mut told: Vec<(EventHeader, Event)> = Vec::new();
        self.engine.apply(&Sequenced { stamp, value }, &mut told);
        told.iter().for_each(|(header, event)| self.view.apply(header, event));
        told.into_iter().map(|(_, event)| event).collect()
    }

    /// The assets are the engine's, and so is every account's every open order, oldest first.
    fn check(&self, story: &str) {
        let assets = self.view.assets().map(|asset| (asset.asset, asset.name, asset.decimals));
        let added = self.engine.assets().map(|asset| (asset.asset, asset.name, asset.decimals));
        assert!(assets.eq(added), "{story}: assets");
        for account in self.engine.accounts().map(|settings| settings.account) {
            let of_view = orders(&self.view, account);
            let of_engine: Vec<_> = self.engine.open_orders_in_full(account).map(unseen).collect();
            assert_eq!(of_view, of_engine, "{story}, account {account}");
            let resting: Vec<_> = self.engine.open_orders(account).map(|order| seen_resting(&order)).collect();
            let known: Vec<_> = of_view.iter().map(seen_known).collect();
            assert_eq!(known, resting, "{story}, account {account}");
        }
    }

    fn check_restart(&self, story: &str) {
        let restarted = View::of(&self.engine);
        for account in self.engine.accounts().map(|settings| settings.account) {
            assert_eq!(orders(&restarted, account), orders(&self.view, account), "{story}, account {account}");
        }
        assert!(restarted.assets().eq(self.view.assets()), "{story}: assets");
        assert_eq!(restarted.name_count(), self.view.name_count(), "{story}");
    }
}

fn orders(view: &View, account: AccountId) -> Vec<OpenOrder> {
    view.open_orders(account).map(|known| known.order).collect()
}

/// What is shown is not followed.
fn unseen(order: OpenOrder) -> OpenOrder {
    OpenOrder { state: OrderState { shown: Quantity::ZERO, ..order.state }, ..order }
}

type Seen = (engine::OrderId, engine::ClientOrderId, engine::Price, engine::Price, Quantity, Quantity);

fn seen_resting(order: &RestingOrder) -> Seen {
    let &RestingOrder { order_id, client_order_id, price, stop_price, leaves, cumulative, .. } = order;
    (order_id, client_order_id, price, stop_price, leaves, cumulative)
}

fn seen_known(order: &OpenOrder) -> Seen {
    let OrderState { order_id, client_order_id, price, leaves, cumulative, .. } = order.state;
    (order_id, client_order_id, price, order.stop_price, leaves, cumulative)
}

fn follow(profile: Profile, seed: u64) {
    let mut workload = Workload::new(profile, seed);
    let mut followed = Followed::new();
    for place in 0..COMMANDS {
        let step = workload.next_step();
        let events = followed.step(&step);
        workload.observe(&step, &events);
        let story = format!("profile {}, seed {seed}, step {place}: {:?}", profile.name, step.command.body);
        followed.check(&story);
        if place.is_multiple_of(50) {
            followed.check_restart(&story);
        }
    }
}

#[test]
fn assets_and_open_orders_are_the_engines_behind_every_command() {
    let first = std::env::var("VIEW_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("VIEW_SEED={first}");
    for &profile in PROFILES {
        (first..first + 3).for_each(|seed| follow(profile, seed));
    }
}

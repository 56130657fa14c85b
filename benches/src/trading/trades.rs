//! Trades out of the reports of both sides.

use std::collections::BTreeMap;

use client::wire::{Indicator, TradeId};
use engine::{Price, Quantity};

use crate::flow::coinbase::requests::Traded;
use crate::trading::log::Fill;

/// A trade's two sides, as they were reported.
#[derive(Debug, Default)]
pub struct Both {
    /// The order that rested.
    pub maker: Option<Fill>,
    /// The order that came.
    pub taker: Option<Fill>,
}

impl Both {
    /// The trade, if both sides were reported and say the same.
    pub fn traded(&self) -> Option<Traded> {
        let (maker, taker) = (self.maker?, self.taker?);
        let count = |mantissa: i64| u64::try_from(mantissa).ok();
        let agree = (maker.price, maker.quantity) == (taker.price, taker.quantity);
        let (price, quantity) = (Price(count(maker.price.0)?), Quantity(count(maker.quantity.0)?));
        agree.then(|| Traded { maker: maker.order.1.into(), taker: taker.order.1.into(), price, quantity })
    }
}

/// All trades by their numbers, which count on.
pub fn trades<'a>(fills: impl Iterator<Item = &'a Fill>) -> BTreeMap<TradeId, Both> {
    let mut trades = BTreeMap::<TradeId, Both>::new();
    for fill in fills {
        let both = trades.entry(fill.trade_id).or_default();
        match fill.aggressor {
            Indicator::Yes => both.taker = Some(*fill),
            Indicator::No | Indicator::NonRepresentable => both.maker = Some(*fill),
        }
    }
    trades
}

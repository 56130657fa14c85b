//! What is known of the watched instrument: updates in, a picture out. No I/O and no clock.

use std::collections::VecDeque;

use client::market_data::{GapCounters, Update};
use wire::market_data::{AuctionIndicative, AuctionResult, MarketStatistics, SecurityDefinition, Trade};
use wire::{Exponent, Phase, PhaseCause, Price, Side, Timestamp};

use super::latency::Latency;
use super::seen::{Rung, Seen};

/// Trades that are kept for the tape.
const TRADES_MAX: usize = 200;

/// Whether updates come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// They come.
    Live,
    /// The venue is gone, and looked for.
    Lost(String),
}

/// The watched instrument.
#[derive(Debug)]
pub(crate) struct Market {
    pub(crate) name: String,
    pub(crate) definition: Option<SecurityDefinition>,
    pub(crate) phase: Option<Phase>,
    /// Best first.
    pub(crate) bids: Vec<Rung>,
    /// Best first.
    pub(crate) offers: Vec<Rung>,
    /// Newest first.
    pub(crate) trades: VecDeque<Trade>,
    pub(crate) last: Option<Last>,
    /// What traded since the day began.
    pub(crate) day: Option<MarketStatistics>,
    /// How the call's auction would end; none: it has no price.
    pub(crate) indicative: Option<AuctionIndicative>,
    /// How the last auction ended.
    pub(crate) auction: Option<AuctionResult>,
    pub(crate) gaps: GapCounters,
    /// From earlier connections.
    gaps_before: GapCounters,
    pub(crate) connections: u64,
    pub(crate) updates: u64,
    pub(crate) updated_at: Option<Timestamp>,
    pub(crate) link: Link,
    /// From the core's time of an event to the screen.
    pub(crate) event_to_screen: Latency,
    /// From the sending of its packet to the screen.
    pub(crate) sent_to_screen: Latency,
    /// Of updates that were not drawn yet: the core's time, and the sending time.
    undrawn: Vec<(Timestamp, Timestamp)>,
}

/// The last trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) price: Price,
    /// Against the last other price; none: there was none.
    pub(crate) tick: Option<Tick>,
}

/// Where the price went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tick {
    Up,
    Down,
}

impl Market {
    /// Nothing is known yet.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            definition: None,
            phase: None,
            bids: Vec::new(),
            offers: Vec::new(),
            trades: VecDeque::new(),
            last: None,
            day: None,
            indicative: None,
            auction: None,
            gaps: GapCounters::default(),
            gaps_before: GapCounters::default(),
            connections: 0,
            updates: 0,
            updated_at: None,
            link: Link::Live,
            event_to_screen: Latency::default(),
            sent_to_screen: Latency::default(),
            undrawn: Vec::new(),
        }
    }

    /// Updates come from now on.
    pub(crate) fn connected(&mut self) {
        self.link = Link::Live;
        self.connections += 1;
        self.gaps_before = self.gaps;
    }

    /// Updates come no more, for now. The book stays to be seen.
    pub(crate) fn lost(&mut self, reason: &str) {
        self.link = Link::Lost(reason.to_owned());
    }

    /// Takes an update at `now`.
    pub(crate) fn update(&mut self, seen: Seen, now: Timestamp) {
        self.updates += 1;
        self.updated_at = Some(now);
        self.gaps = self.gaps_before + seen.gaps;
        if let Some([bids, offers]) = seen.book {
            self.bids = bids;
            self.offers = offers;
        }
        // What a snapshot tells happened earlier.
        if let (Some(time), Some(sent)) = (seen.stamps.transact_time, seen.stamps.sent_at) {
            self.undrawn.push((time, sent));
        }
        match seen.update {
            Update::Definition(definition) => {
                if let Some(symbol) = definition.symbol.as_str() {
                    symbol.clone_into(&mut self.name);
                }
                self.phase = Some(definition.phase);
                self.definition = Some(definition);
            }
            Update::Status(status) => {
                self.phase = Some(status.phase);
                if status.cause == Some(PhaseCause::Listing) {
                    self.indicative = None;
                }
            }
            Update::Indicative(indicative) => self.indicative = indicative.price.map(|_| indicative),
            Update::Auction(result) => {
                self.indicative = None;
                self.auction = Some(result);
            }
            // Its indicative, if it has one, follows.
            Update::Book { .. } => self.indicative = None,
            Update::Trade(trade) => self.traded(trade),
            Update::Statistics(statistics) => self.day = Some(statistics),
            // What is no trade any more does not stay on the tape.
            Update::TradeCancel(cancel) => self.trades.retain(|trade| trade.trade_id != cancel.trade_id),
            Update::Levels(..)
            | Update::Orders(..)
            | Update::BestBidOffer(_)
            | Update::Proven { .. }
            | Update::Differs { .. }
            | Update::Gap { .. }
            | Update::GapNotice(_)
            | Update::Rejected(_) => {}
        }
    }

    /// Everything that is known was on the screen at `now`.
    pub(crate) fn drawn(&mut self, now: Timestamp) {
        for (event, sent) in self.undrawn.drain(..) {
            self.event_to_screen.add(now.0.saturating_sub(event.0));
            self.sent_to_screen.add(now.0.saturating_sub(sent.0));
        }
    }

    /// The exponents of prices and quantities.
    pub(crate) fn exponents(&self) -> (Exponent, Exponent) {
        self.definition
            .as_ref()
            .map_or((Exponent(0), Exponent(0)), |definition| (definition.price_exponent, definition.quantity_exponent))
    }

    /// Whether an auction is to be expected rather than trades.
    pub(crate) fn is_in_call(&self) -> bool {
        use Phase::{ClosingCall, NoCancel, OpeningCall, PreOpen, VolatilityCall};
        let calls = [PreOpen, OpeningCall, VolatilityCall, ClosingCall, NoCancel];
        self.indicative.is_some() || self.phase.is_some_and(|phase| calls.contains(&phase))
    }

    /// A side's levels, best first.
    pub(crate) fn levels(&self, side: Side) -> &[Rung] {
        if side == Side::Buy { &self.bids } else { &self.offers }
    }

    fn traded(&mut self, trade: Trade) {
        let before = self.last;
        let tick = before.and_then(|last| match trade.price.cmp(&last.price) {
            std::cmp::Ordering::Greater => Some(Tick::Up),
            std::cmp::Ordering::Less => Some(Tick::Down),
            std::cmp::Ordering::Equal => last.tick,
        });
        self.last = Some(Last { price: trade.price, tick });
        self.trades.truncate(TRADES_MAX - 1);
        self.trades.push_front(trade);
    }
}

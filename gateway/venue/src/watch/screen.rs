//! The picture of a market. A function of the market, the size and the time.
//!
//! ```text
//!   BTC-USD  Continuous   last …   auction …                     header: and the best prices, and the day
//!   ┌ book ──────────────────┐┌ trades ───────────┐
//!   │ offers, best lowest    ││ newest highest    │
//!   │ ── spread, or auction ─││                   │
//!   │ bids, best highest     ││                   │
//!   └────────────────────────┘└───────────────────┘
//!   latency, gaps, checksums                                     footer
//! ```

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph};
use rust_decimal::Decimal;
use wire::market_data::{AuctionIndicative, AuctionResult, MarketStatistics, Trade};
use wire::{Exponent, Phase, Price, Quantity, Side, Timestamp};

use super::latency::{Latency, Percentiles};
use super::market::{Last, Link, Market, Tick};
use super::seen::Rung;
use crate::decimal;

const BID: Color = Color::Green;
const OFFER: Color = Color::Red;
const QUIET: Style = Style::new().fg(Color::DarkGray);
const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
/// Columns of the tape, its border included; below twice of them it is left out.
const TAPE_COLUMNS: u16 = 47;
/// Eighths of a cell, from one.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// Draws a market at `now`.
pub(crate) fn draw(frame: &mut Frame<'_>, market: &Market, now: Timestamp) {
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(3), Constraint::Min(0), Constraint::Length(3)]).areas(frame.area());
    frame.render_widget(Paragraph::new(vec![title(market), outlook(market), day(market)]), header);
    let wide = body.width >= 2 * TAPE_COLUMNS - 10;
    let tape_columns = if wide { TAPE_COLUMNS } else { 0 };
    let [ladder, tape] = Layout::horizontal([Constraint::Min(0), Constraint::Length(tape_columns)]).areas(body);
    draw_ladder(frame, market, ladder);
    if wide {
        draw_tape(frame, market, tape);
    }
    frame.render_widget(Paragraph::new(vec![latency(market), gaps(market), health(market, now)]), footer);
}

// Header.

fn title(market: &Market) -> Line<'static> {
    let mut spans = vec![
        Span::styled(format!(" {} ", market.name), STRONG.fg(Color::Black).bg(Color::Cyan)),
        Span::raw(" "),
        match market.phase {
            Some(Phase::Continuous) => Span::styled("Continuous", Style::new().fg(BID)),
            Some(phase) => Span::styled(format!("{phase:?}"), Style::new().fg(Color::Yellow)),
            None => Span::styled("waiting for the book", QUIET),
        },
    ];
    // A trade of before this was watched has no other to compare with.
    let earlier = market.day.and_then(|day| day.last_price).map(|price| Last { price, tick: None });
    if let Some(last) = market.last.or(earlier) {
        let (prices, _) = market.exponents();
        let (arrow, color) = match last.tick {
            Some(Tick::Up) => (" ▲", BID),
            Some(Tick::Down) => (" ▼", OFFER),
            None => ("", Color::Reset),
        };
        spans.push(Span::styled("   last ", QUIET));
        spans.push(Span::styled(decimal::text(last.price.0, prices) + arrow, STRONG.fg(color)));
    }
    if let Some(AuctionResult { price: Some(price), quantity, .. }) = market.auction {
        spans.push(Span::styled("   auction ", QUIET));
        spans.push(Span::raw(at(market, price, quantity)));
    }
    Line::from(spans)
}

/// What the next trades will be at: in a call the auction's, else the best prices.
fn outlook(market: &Market) -> Line<'static> {
    if !market.is_in_call() {
        return best(market);
    }
    let mut spans = vec![Span::styled(" auction ", QUIET)];
    let Some(AuctionIndicative { price: Some(price), quantity, surplus, surplus_side, .. }) = market.indicative else {
        spans.push(Span::styled("no price yet", QUIET));
        return Line::from(spans);
    };
    spans.push(Span::styled(at(market, price, quantity), STRONG.fg(Color::Yellow)));
    if let Some((side, color)) = surplus_side.and_then(taking) {
        let (_, quantities) = market.exponents();
        spans.push(Span::styled("   surplus ", QUIET));
        spans.push(Span::styled(
            format!("{side} {}", decimal::short_text(surplus.0, quantities)),
            Style::new().fg(color),
        ));
    }
    Line::from(spans)
}

/// A price, and how much trades at it.
fn at(market: &Market, price: Price, quantity: Quantity) -> String {
    let (prices, quantities) = market.exponents();
    format!("{} × {}", decimal::text(price.0, prices), decimal::short_text(quantity.0, quantities))
}

fn taking(side: Side) -> Option<(&'static str, Color)> {
    match side {
        Side::Buy => Some(("buy", BID)),
        Side::Sell => Some(("sell", OFFER)),
        Side::NonRepresentable => None,
    }
}

fn best(market: &Market) -> Line<'static> {
    let (prices, quantities) = market.exponents();
    let mut spans = Vec::new();
    for (side, label, color) in [(Side::Buy, " bid ", BID), (Side::Sell, "   offer ", OFFER)] {
        spans.push(Span::styled(label, QUIET));
        match market.levels(side).first() {
            Some(Rung { level, .. }) => {
                spans.push(Span::styled(decimal::text(level.price.0, prices), STRONG.fg(color)));
                let quantity = decimal::short_text(level.quantity.0, quantities);
                spans.push(Span::raw(format!(" × {quantity}")));
            }
            None => spans.push(Span::styled("none", QUIET)),
        }
    }
    if let Some(spread) = spread(market) {
        spans.push(Span::styled("   spread ", QUIET));
        spans.push(Span::raw(spread));
    }
    Line::from(spans)
}

/// As a price, and in hundredths of a percent of the middle.
fn spread(market: &Market) -> Option<String> {
    let (bid, offer) = (market.bids.first()?.level.price.0, market.offers.first()?.level.price.0);
    let spread = offer.checked_sub(bid)?;
    let middle = i128::from(offer) + i128::from(bid);
    let hundredths = (i128::from(spread) * 2 * 1_000_000).checked_div(middle)?;
    let basis_points = Decimal::try_from_i128_with_scale(hundredths, 2).ok()?;
    let (prices, _) = market.exponents();
    Some(format!("{} ({basis_points} bp)", decimal::text(spread, prices)))
}

/// What traded since the day began, or the venue did within it.
fn day(market: &Market) -> Line<'static> {
    let Some(day) = market.day else { return Line::styled(" nothing of the day told yet", QUIET) };
    let (prices, quantities) = market.exponents();
    let MarketStatistics { first_price, high_price, low_price, last_price, volume, trade_count, since, .. } = day;
    let mut spans = Vec::new();
    let prices_of_day = [(" open ", first_price), ("   high ", high_price), ("   low ", low_price)];
    for (label, price) in prices_of_day.into_iter().chain([("   last ", last_price)]) {
        spans.push(Span::styled(label, QUIET));
        spans.push(match price {
            Some(price) => Span::raw(decimal::text(price.0, prices)),
            None => Span::styled("none", QUIET),
        });
    }
    spans.push(Span::styled("   volume ", QUIET));
    let trades = if trade_count.0 == 1 { "trade" } else { "trades" };
    spans.push(Span::raw(format!("{} in {} {trades}", decimal::short_text(volume.0, quantities), trade_count.0)));
    spans.push(Span::styled(format!("   since {}", seconds_of_day(since)), QUIET));
    Line::from(spans)
}

// Ladder.

fn draw_ladder(frame: &mut Frame<'_>, market: &Market, area: Rect) {
    let block = framed(" book ");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let rows = usize::from(inside.height.saturating_sub(2) / 2);
    let bids = &market.bids[..rows.min(market.bids.len())];
    let offers = &market.offers[..rows.min(market.offers.len())];
    let ladder = Columns::of(market, bids, offers, inside.width.into());
    let mut lines = vec![ladder.heading()];
    lines.extend((offers.len()..rows).map(|_| Line::default()));
    lines.extend(offers.iter().rev().map(|rung| ladder.rung(rung, OFFER)));
    lines.push(ladder.middle(market));
    lines.extend(bids.iter().map(|rung| ladder.rung(rung, BID)));
    frame.render_widget(Paragraph::new(lines), inside);
}

/// How wide what is, so that every number has its place.
struct Columns {
    prices: Exponent,
    quantities: Exponent,
    /// Decimals that some quantity on the ladder needs.
    decimals: usize,
    price: usize,
    quantity: usize,
    bar: usize,
    /// For the first orders' quantities; none without room, or where orders are not known.
    queue: usize,
    /// The largest quantity: the longest bar.
    largest: i64,
}

const ORDERS_COLUMNS: usize = 6;
/// A bar and a queue need so much.
const QUEUE_COLUMNS_MIN: usize = 30;

impl Columns {
    fn of(market: &Market, bids: &[Rung], offers: &[Rung], width: usize) -> Self {
        let (prices, quantities) = market.exponents();
        let rungs = || bids.iter().chain(offers);
        let decimals = rungs().map(|rung| decimals(rung.level.quantity.0, quantities)).max().unwrap_or(0);
        let longest = |text: fn(&Self, &Rung) -> String, columns: &Self, heading: usize| {
            rungs().map(|rung| text(columns, rung).len()).max().unwrap_or(0).max(heading)
        };
        let largest = rungs().map(|rung| rung.level.quantity.0).max().unwrap_or(0);
        let mut columns = Self { prices, quantities, decimals, price: 0, quantity: 0, bar: 0, queue: 0, largest };
        columns.price = longest(Self::price_text, &columns, "price".len());
        columns.quantity = longest(Self::quantity_text, &columns, "quantity".len());
        columns.bar = width.saturating_sub(columns.price + columns.quantity + ORDERS_COLUMNS + 7);
        if columns.bar >= QUEUE_COLUMNS_MIN && rungs().any(|rung| !rung.queue.is_empty()) {
            columns.queue = columns.bar * 2 / 3;
            columns.bar -= columns.queue;
        }
        columns
    }

    fn price_text(&self, rung: &Rung) -> String {
        decimal::text(rung.level.price.0, self.prices)
    }

    fn quantity_text(&self, rung: &Rung) -> String {
        padded(&decimal::short_text(rung.level.quantity.0, self.quantities), self.decimals)
    }

    fn heading(&self) -> Line<'static> {
        let Self { price, quantity, bar, queue, .. } = *self;
        let queued = if queue > 0 { format!("  {:bar$}first orders", "") } else { String::new() };
        Line::styled(
            format!(" {:>price$}  {:>quantity$} {:>ORDERS_COLUMNS$}{queued}", "price", "quantity", "orders"),
            QUIET,
        )
    }

    fn rung(&self, rung: &Rung, color: Color) -> Line<'static> {
        let Self { price, quantity, bar: columns, .. } = *self;
        let level = rung.level;
        let numbers = format!("  {:>quantity$} {:>ORDERS_COLUMNS$}  ", self.quantity_text(rung), level.order_count.0);
        let bar = bar(level.quantity.0, self.largest, columns.saturating_sub(usize::from(self.queue > 0)));
        Line::from(vec![
            Span::styled(format!(" {:>price$}", self.price_text(rung)), STRONG.fg(color)),
            Span::raw(numbers),
            Span::styled(format!("{bar:<columns$}"), Style::new().fg(color)),
            Span::styled(self.queue_text(rung), QUIET),
        ])
    }

    /// As many of the first orders as there is room for; dots for those behind.
    fn queue_text(&self, Rung { level, queue }: &Rung) -> String {
        let mut text = String::new();
        for (index, quantity) in queue.iter().enumerate() {
            let next = decimal::short_text(quantity.0, self.quantities);
            let is_last = index + 1 == level.order_count.0 as usize;
            let room = self.queue.saturating_sub(if is_last { 0 } else { 2 });
            if text.chars().count() + 1 + next.len() > room {
                break;
            }
            text += &next;
            text.push(' ');
            if is_last {
                return text;
            }
        }
        if text.is_empty() { text } else { text + "…" }
    }

    fn middle(&self, market: &Market) -> Line<'static> {
        let text = match market.indicative.and_then(|indicative| indicative.price) {
            Some(price) => format!("auction {}", decimal::text(price.0, self.prices)),
            None if market.is_in_call() => "no auction price".to_owned(),
            None => spread(market).map_or_else(|| "one side is empty".to_owned(), |spread| format!("spread {spread}")),
        };
        let Self { price, .. } = *self;
        Line::styled(format!(" {:>price$}  {text}", "──"), QUIET)
    }
}

/// A bar of `value` among `largest`, to an eighth of a cell.
fn bar(value: i64, largest: i64, columns: usize) -> String {
    if value <= 0 || largest <= 0 {
        return String::new();
    }
    let cells = u128::from(value.unsigned_abs()) * columns as u128 * 8 / u128::from(largest.unsigned_abs());
    let eighths = usize::try_from(cells).unwrap_or(0).max(1);
    let mut bar: String = std::iter::repeat_n('█', eighths / 8).collect();
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8 - 1]);
    }
    bar
}

/// Decimals that a mantissa needs.
fn decimals(mantissa: i64, exponent: Exponent) -> usize {
    let text = decimal::short_text(mantissa, exponent);
    text.split_once('.').map_or(0, |(_, behind)| behind.len())
}

/// A number without needless zeros, with as many as make `decimals`.
fn padded(number: &str, decimals: usize) -> String {
    let (whole, behind) = number.split_once('.').unwrap_or((number, ""));
    if decimals == 0 { whole.to_owned() } else { format!("{whole}.{behind:0<decimals$}") }
}

// Tape.

fn draw_tape(frame: &mut Frame<'_>, market: &Market, area: Rect) {
    let block = framed(" trades ");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let (prices, quantities) = market.exponents();
    let rows = usize::from(inside.height.saturating_sub(1));
    let shown: Vec<&Trade> = market.trades.iter().take(rows).collect();
    let decimals = shown.iter().map(|trade| decimals(trade.quantity.0, quantities)).max().unwrap_or(0);
    let mut lines =
        vec![Line::styled(format!(" {:<12}  {:<4} {:>12} {:>11}", "time, UTC", "", "price", "quantity"), QUIET)];
    lines.extend(shown.into_iter().map(|trade| {
        let (side, color) = match trade.aggressor {
            Some(side) => taking(side).unwrap_or(("", Color::Reset)),
            None => ("auct", Color::Yellow),
        };
        let price = decimal::text(trade.price.0, prices);
        let quantity = padded(&decimal::short_text(trade.quantity.0, quantities), decimals);
        Line::from(vec![
            Span::styled(format!(" {}  ", time_of_day(trade.transact_time)), QUIET),
            Span::styled(format!("{side:<4} {price:>12}"), Style::new().fg(color)),
            Span::raw(format!(" {quantity:>11}")),
        ])
    }));
    frame.render_widget(Paragraph::new(lines), inside);
}

fn time_of_day(time: Timestamp) -> String {
    format!("{}.{:03}", seconds_of_day(time), time.0 / 1_000_000 % 1_000)
}

fn seconds_of_day(time: Timestamp) -> String {
    let seconds = time.0 / 1_000_000_000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

// Footer.

fn latency(market: &Market) -> Line<'static> {
    let mut spans = vec![Span::styled(" latency, p50 / p99 / max in ms", QUIET)];
    for (label, latency) in
        [("   event → screen ", &market.event_to_screen), ("   sent → screen ", &market.sent_to_screen)]
    {
        spans.push(Span::styled(label, QUIET));
        spans.push(Span::raw(percentiles(latency)));
    }
    Line::from(spans)
}

fn percentiles(latency: &Latency) -> String {
    match latency.percentiles() {
        Some(Percentiles { median, p99, max }) => {
            format!("{} / {} / {}", milliseconds(median), milliseconds(p99), milliseconds(max))
        }
        None => "nothing yet".to_owned(),
    }
}

/// To a hundredth where that is still to be read.
fn milliseconds(duration: Duration) -> String {
    let microseconds = duration.as_micros();
    let (whole, behind) = (microseconds / 1_000, microseconds % 1_000);
    if whole < 10 { format!("{whole}.{:02}", behind / 10) } else { format!("{whole}.{}", behind / 100) }
}

/// What was missed.
fn gaps(market: &Market) -> Line<'static> {
    let gaps = market.gaps;
    let color = if gaps.gaps > 0 || gaps.notices > 0 { Color::Yellow } else { Color::Reset };
    let missed = format!("{} ({} messages, {} notices)", gaps.gaps, gaps.messages, gaps.notices);
    Line::from(vec![
        Span::styled(" gaps ", QUIET),
        Span::styled(missed, Style::new().fg(color)),
        Span::styled("   repeated ", QUIET),
        Span::raw(gaps.repeated.to_string()),
        Span::styled("   conflated ", QUIET),
        Span::raw(gaps.conflated.to_string()),
    ])
}

fn health(market: &Market, now: Timestamp) -> Line<'static> {
    if let Link::Lost(reason) = &market.link {
        let text = format!(" the venue is gone, looking for it: {reason}   q leaves");
        return Line::styled(text, STRONG.fg(Color::Yellow));
    }
    let differing = market.gaps.differing;
    let color = if differing > 0 { Color::Red } else { Color::Reset };
    let mut spans = vec![
        Span::styled(" checksums ", QUIET),
        Span::raw(format!("{} proven, ", market.gaps.proven)),
        Span::styled(format!("{differing} differing"), Style::new().fg(color)),
        Span::styled("   updates ", QUIET),
        Span::raw(market.updates.to_string()),
    ];
    let silence = market.updated_at.map_or(0, |updated_at| now.0.saturating_sub(updated_at.0) / 1_000_000_000);
    if silence >= 2 {
        spans.push(Span::styled(format!("   silent for {silence} s"), Style::new().fg(Color::Yellow)));
    }
    if market.connections > 1 {
        spans.push(Span::styled(format!("   connections {}", market.connections), QUIET));
    }
    spans.push(Span::styled("   q leaves", QUIET));
    Line::from(spans)
}

fn framed(title: &str) -> Block<'_> {
    Block::bordered().border_type(BorderType::Rounded).border_style(QUIET).title(title)
}

#[cfg(test)]
mod tests {
    use super::*;
    use client::market_data::{BookLevel, GapCounters, Stamps, Update};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;
    use wire::market_data::SecurityDefinition;
    use wire::{Block as _, EventIndex, FeedSequence, OrderCount, SecurityId, Symbol16, TradeId};

    use crate::watch::Seen;

    /// 2026-01-02 03:04:05.678 UTC.
    const TIME: Timestamp = Timestamp(1_767_323_045_678_000_000);
    const MILLISECOND: u64 = 1_000_000;

    fn level(price: i64, quantity: i64, orders: u32) -> Rung {
        let level = BookLevel { price: Price(price), quantity: Quantity(quantity), order_count: OrderCount(orders) };
        Rung { level, queue: Vec::new() }
    }

    fn seen(update: Update, book: Option<[Vec<Rung>; 2]>) -> Seen {
        let stamps = Stamps {
            transact_time: update.transact_time(),
            sent_at: Some(Timestamp(TIME.0 + MILLISECOND)),
            ..Stamps::default()
        };
        Seen { update, stamps, book, gaps: GapCounters::default() }
    }

    fn trade(price: i64, quantity: i64, aggressor: Side, milliseconds: u64) -> Update {
        Update::Trade(Trade {
            security_id: SecurityId(1),
            transact_time: Timestamp(TIME.0 + milliseconds * MILLISECOND),
            journal_sequence: None,
            trade_id: TradeId(1),
            price: Price(price),
            quantity: Quantity(quantity),
            event_index: EventIndex(0),
            aggressor: Some(aggressor),
            maker_order_id: None,
            taker_order_id: None,
        })
    }

    fn status(phase: Phase) -> Update {
        let status = wire::market_data::SecurityStatus { phase, ..wire::market_data::SecurityStatus::BLANK };
        Update::Status(status)
    }

    /// Two bids, one offer, and two trades, of an instrument with two and eight decimals.
    fn market() -> Market {
        let definition = SecurityDefinition {
            security_id: SecurityId(1),
            symbol: Symbol16::new("BTC-USD"),
            price_exponent: Exponent(-2),
            quantity_exponent: Exponent(-8),
            phase: Phase::Continuous,
            ..SecurityDefinition::BLANK
        };
        let bids = vec![level(6_399_950, 50_000_000, 2), level(6_399_900, 200_000_000, 11)];
        let offers = vec![level(6_400_050, 100_000_000, 1)];
        let mut market = Market::new("btc-usd");
        market.connected();
        market.update(seen(Update::Definition(definition), None), TIME);
        let book = Update::Book { security_id: SecurityId(1), last_sequence: FeedSequence(1) };
        market.update(seen(book, Some([bids, offers])), TIME);
        market.update(seen(trade(6_400_000, 12_500_000, Side::Sell, 0), None), TIME);
        market.update(seen(trade(6_400_050, 2_000_000_000, Side::Buy, 7), None), TIME);
        market.drawn(Timestamp(TIME.0 + 9 * MILLISECOND));
        market
    }

    fn drawn(market: &Market, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, market, TIME)).unwrap();
        terminal.backend().buffer().clone()
    }

    fn rows(buffer: &Buffer) -> Vec<String> {
        let columns = usize::from(buffer.area.width);
        let row = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
        buffer.content.chunks(columns).map(|cells| row(cells).trim_end().to_owned()).collect()
    }

    #[test]
    fn a_known_book_has_its_numbers_in_their_places() {
        let buffer = drawn(&market(), 100, 14);
        #[rustfmt::skip]
        let expected = [
            " BTC-USD  Continuous   last 64000.50 ▲",
            " bid 63999.50 × 0.5   offer 64000.50 × 1   spread 1.00 (0.15 bp)",
            " nothing of the day told yet",
            "╭ book ─────────────────────────────────────────────╮╭ trades ─────────────────────────────────────╮",
            "│    price  quantity orders                         ││ time, UTC                 price    quantity │",
            "│                                                   ││ 03:04:05.685  buy      64000.50      20.000 │",
            "│ 64000.50       1.0      1  ███████████            ││ 03:04:05.678  sell     64000.00       0.125 │",
            "│       ──  spread 1.00 (0.15 bp)                   ││                                             │",
            "│ 63999.50       0.5      2  █████▌                 ││                                             │",
            "│ 63999.00       2.0     11  ██████████████████████ ││                                             │",
            "╰───────────────────────────────────────────────────╯╰─────────────────────────────────────────────╯",
            " latency, p50 / p99 / max in ms   event → screen 2.00 / 9.00 / 9.00   sent → screen 8.00 / 8.00 / 8.00",
            " gaps 0 (0 messages, 0 notices)   repeated 0   conflated 0",
            " checksums 0 proven, 0 differing   updates 4   q leaves",
        ];
        let rows = rows(&buffer);
        for (row, expected) in rows.iter().zip(expected) {
            // What does not fit is cut off.
            assert_eq!(*row, expected.chars().take(100).collect::<String>().trim_end());
        }
        let color_at = |column, row| buffer[(column, row)].fg;
        assert_eq!((color_at(2, 6), color_at(2, 8)), (OFFER, BID));
        assert_eq!((color_at(70, 5), color_at(70, 6)), (BID, OFFER));
    }

    #[test]
    fn a_call_shows_how_its_auction_would_end_and_then_how_it_did() {
        let mut market = market();
        let bids = vec![level(6_400_100, 300_000_000, 1), level(6_399_900, 200_000_000, 11)];
        let offers = vec![level(6_400_000, 250_000_000, 2), level(6_400_050, 100_000_000, 1)];
        market.update(seen(status(Phase::OpeningCall), None), TIME);
        let shown = rows(&drawn(&market, 100, 14));
        assert_eq!(shown[0], " BTC-USD  OpeningCall   last 64000.50 ▲");
        assert_eq!(shown[1], " auction no price yet");

        let book = Update::Book { security_id: SecurityId(1), last_sequence: FeedSequence(9) };
        let indicative = AuctionIndicative {
            price: Some(Price(6_400_050)),
            quantity: Quantity(300_000_000),
            surplus: Quantity(50_000_000),
            surplus_side: Some(Side::Sell),
            ..AuctionIndicative::BLANK
        };
        market.update(seen(book, Some([bids, offers])), TIME);
        market.update(seen(Update::Indicative(indicative), None), TIME);
        let shown = rows(&drawn(&market, 100, 14));
        assert_eq!(shown[1], " auction 64000.50 × 3   surplus sell 0.5");
        // The best bid is above the best offer.
        for (row, expected) in [(5, "64000.50"), (6, "64000.00"), (7, "      ──  auction 64000.50"), (8, "64001.00")]
        {
            assert!(shown[row].contains(expected), "{}", shown[row]);
        }

        let result = AuctionResult {
            price: Some(Price(6_400_050)),
            quantity: Quantity(300_000_000),
            surplus: Quantity(50_000_000),
            surplus_side: Some(Side::Sell),
            phase: Phase::OpeningCall,
            ..AuctionResult::BLANK
        };
        let Update::Trade(print) = trade(6_400_050, 300_000_000, Side::Buy, 9) else { unreachable!("it is a trade") };
        market.update(seen(Update::Auction(result), None), TIME);
        market.update(seen(Update::Trade(Trade { aggressor: None, ..print }), None), TIME);
        market.update(seen(status(Phase::Continuous), None), TIME);
        let shown = rows(&drawn(&market, 100, 14));
        assert_eq!(shown[0], " BTC-USD  Continuous   last 64000.50 ▲   auction 64000.50 × 3");
        assert!(shown[1].starts_with(" bid 64001.00 × 3   offer 64000.00 × 2.5"), "{}", shown[1]);
        assert!(shown[5].contains("03:04:05.687  auct     64000.50       3.000"), "{}", shown[5]);
    }

    #[test]
    fn every_size_can_be_drawn() {
        let market = market();
        for (width, height) in (0..130).flat_map(|width| [0, 1, 2, 3, 4, 5, 6, 7, 9, 40].map(|height| (width, height)))
        {
            drawn(&market, width, height);
        }
        drawn(&Market::new("X"), 80, 24);
    }

    #[test]
    fn a_narrow_screen_shows_the_book_alone() {
        let rows = rows(&drawn(&market(), 60, 14)).join("\n");
        assert!(rows.contains("63999.50") && !rows.contains("trades"), "{rows}");
    }

    #[test]
    fn gaps_losses_and_silence_are_said() {
        let mut market = market();
        let gap = GapCounters { gaps: 2, messages: 30, notices: 1, repeated: 4, conflated: 5, proven: 6, differing: 7 };
        let update = Seen { gaps: gap, ..seen(trade(1, 1, Side::Buy, 0), None) };
        market.update(update, Timestamp(TIME.0 - 3_000 * MILLISECOND));
        let said = rows(&drawn(&market, 100, 14));
        let counted = " gaps 2 (30 messages, 1 notices)   repeated 4   conflated 5";
        assert_eq!(said[12..], [counted, " checksums 6 proven, 7 differing   updates 5   silent for 3 s   q leaves"]);
        market.lost("timed out");
        let said = rows(&drawn(&market, 100, 14)).pop().unwrap();
        assert_eq!(said, " the venue is gone, looking for it: timed out   q leaves");
        // What was missed before stays counted when the venue is there again.
        market.connected();
        market.update(seen(trade(1, 1, Side::Buy, 0), None), TIME);
        let said = rows(&drawn(&market, 100, 14));
        assert_eq!(said[12..], [counted, " checksums 6 proven, 7 differing   updates 6   connections 2   q leaves"]);
    }

    #[test]
    fn a_day_is_said_and_its_last_price_until_there_is_a_trade() {
        let mut market = Market::new("btc-usd");
        let day = MarketStatistics {
            since: Timestamp(TIME.0 - 3_600 * 1_000 * MILLISECOND),
            first_price: Some(Price(101)),
            high_price: Some(Price(109)),
            low_price: Some(Price(99)),
            last_price: Some(Price(102)),
            volume: Quantity(1_250),
            trade_count: wire::MessageCount(3),
            ..MarketStatistics::BLANK
        };
        market.update(seen(Update::Statistics(day), None), TIME);
        let shown = rows(&drawn(&market, 100, 14));
        assert_eq!(shown[0], " btc-usd  waiting for the book   last 102");
        assert_eq!(shown[2], " open 101   high 109   low 99   last 102   volume 1250 in 3 trades   since 02:04:05");
        market.update(seen(trade(104, 1, Side::Buy, 0), None), TIME);
        let nothing = MarketStatistics { trade_count: wire::MessageCount(0), ..MarketStatistics::BLANK };
        market.update(seen(Update::Statistics(nothing), None), TIME);
        let shown = rows(&drawn(&market, 100, 14));
        assert_eq!(shown[0], " btc-usd  waiting for the book   last 104");
        assert_eq!(shown[2], " open none   high none   low none   last none   volume 0 in 0 trades   since 00:00:00");
    }

    #[test]
    fn the_first_orders_of_a_level_stand_beside_it_where_there_is_room() {
        let mut market = market();
        let queued = |price, quantities: &[i64], orders| Rung {
            queue: quantities.iter().copied().map(Quantity).collect(),
            ..level(price, quantities.iter().sum(), orders)
        };
        let bids = vec![queued(6_399_950, &[50_000_000, 25_000_000], 2), queued(6_399_900, &[10_000_000; 12], 40)];
        let offers = vec![queued(6_400_050, &[100_000_000], 1)];
        let book = Update::Book { security_id: SecurityId(1), last_sequence: FeedSequence(2) };
        market.update(seen(book, Some([bids, offers])), TIME);
        let wide = rows(&drawn(&market, 130, 14));
        #[rustfmt::skip]
        let expected = [
            "│    price  quantity orders                    first orders",
            "│",
            "│ 64000.50      1.00      1  ██████████████▏   1",
            "│       ──  spread 1.00 (0.15 bp)",
            "│ 63999.50      0.75      2  ██████████▋       0.5 0.25",
            "│ 63999.00      1.20     40  █████████████████ 0.1 0.1 0.1 0.1 0.1 0.1 0.1 0.1 …",
        ];
        for (row, expected) in wide[4..].iter().zip(expected) {
            let book: String = row.chars().take(82).collect();
            assert_eq!(book.trim_end(), expected);
        }
        let narrow = rows(&drawn(&market, 100, 14));
        assert!(narrow[4].contains("orders") && !narrow[4].contains("first orders"), "{}", narrow[4]);
    }
}

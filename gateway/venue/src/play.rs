//! `rialto play`: a recording of market data once more: every book rebuilt and proven, as lines or as what came of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use client::market_data::{Player, RecordingError, Torn, Update};
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::Map;
use wire::market_data::{SecurityDefinition, Trade};
use wire::{Price, SecurityId, Side, Timestamp, TradeId};

use crate::arguments::{PlayArguments, Speed};
use crate::decimal;
use crate::exit::Exit;
use crate::journal_tools::{self, Failed, styled};
use crate::record::{Counted, answer, progress};
use crate::watch::{Lines, Seen, changes_book, ladder, place};

/// So many updates are played between two looks at the bar.
const LOOK: u64 = 4_096;

/// What came of a recording.
#[derive(Debug, Serialize)]
struct Answer {
    file: String,
    #[serde(flatten)]
    counted: Counted,
    updates: u64,
    trades: u64,
    /// What was left out at the end.
    torn: Option<TornAnswer>,
    seconds: f64,
    /// How each ended.
    instruments: Vec<Closing>,
}

/// A record that was not written to its end.
#[derive(Debug, Serialize)]
struct TornAnswer {
    offset: u64,
    bytes: u64,
}

/// How an instrument ended. Absent: there is none.
#[derive(Debug, Serialize)]
struct Closing {
    instrument: String,
    bid: Option<String>,
    bid_quantity: Option<String>,
    offer: Option<String>,
    offer_quantity: Option<String>,
    last: Option<String>,
    trades: u64,
}

impl Closing {
    fn line(&self) -> String {
        let Self { instrument, bid, bid_quantity, offer, offer_quantity, last, trades } = self;
        let none = || "none".to_owned();
        let at = |price: &Option<String>, quantity: &Option<String>| match (price, quantity) {
            (Some(price), Some(quantity)) => format!("{price} × {quantity}"),
            _ => none(),
        };
        let last = last.clone().unwrap_or_else(none);
        let (bid, offer) = (at(bid, bid_quantity), at(offer, offer_quantity));
        format!("{instrument:<20}bid {bid}, offer {offer}, last {last}, trades {trades}")
    }
}

/// Why a recording is played no further.
#[derive(Debug, thiserror::Error)]
enum PlayError {
    #[error("{}: {source}", file.display())]
    Recording { file: PathBuf, source: RecordingError },
    #[error(transparent)]
    Output(#[from] io::Error),
}

impl Failed for PlayError {
    fn exit(&self) -> Exit {
        match self {
            Self::Recording { source: RecordingError::NotARecording | RecordingError::Version { .. }, .. } => {
                Exit::Usage
            }
            Self::Recording { source: RecordingError::Damaged { .. } | RecordingError::Refused { .. }, .. } => {
                Exit::Damaged
            }
            Self::Recording { source: RecordingError::Io(_), .. } | Self::Output(_) => Exit::InputOutput,
        }
    }

    fn place(&self) -> (Option<&Path>, Option<u64>) {
        match self {
            Self::Recording { file, source } => (Some(file), source.offset()),
            Self::Output(_) => (None, None),
        }
    }
}

/// Plays a recording to its end.
pub fn run(arguments: &PlayArguments) -> Exit {
    match play(arguments) {
        Ok(done) => print(&done, arguments.json),
        // Whoever read has read enough.
        Err(PlayError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => journal_tools::print_error(&error, arguments.json),
    }
}

fn print(done: &Answer, json: bool) -> Exit {
    let mut object = answer(done, json);
    let exit = done.counted.exit();
    if json {
        let mut line = Map::from_iter([("update".to_owned(), "end".into())]);
        line.extend(object.as_object().cloned().unwrap_or_default());
        return journal_tools::print(&line.into(), &[], true, exit);
    }
    if let Some(TornAnswer { offset, bytes }) = &done.torn {
        let torn = format!("the last record was not written to its end: {bytes} bytes at offset {offset} are left out");
        object["torn"] = torn.into();
    }
    let lines: Vec<String> = done.instruments.iter().map(Closing::line).collect();
    journal_tools::print(&object, &lines, false, exit)
}

fn play(arguments: &PlayArguments) -> Result<Answer, PlayError> {
    let file = &arguments.file;
    let failed = |source| PlayError::Recording { file: file.clone(), source };
    let mut player = Player::open(file).map_err(failed)?;
    let bytes = std::fs::metadata(file).map_err(|error| failed(error.into()))?.len();
    let mut playing = Playing::new(arguments, bytes);
    while let Some(update) = player.next().map_err(failed)? {
        playing.update(update, &player)?;
    }
    playing.out.flush()?;
    playing.bar.finish_and_clear();
    Ok(playing.end(file, &player))
}

/// A recording that is being played.
struct Playing {
    speed: Speed,
    depth: Option<u16>,
    start: Instant,
    bar: ProgressBar,
    out: BufWriter<io::Stdout>,
    lines: Lines,
    updates: u64,
    tapes: BTreeMap<SecurityId, Tape>,
    definitions: BTreeMap<SecurityId, SecurityDefinition>,
}

/// What traded in an instrument.
#[derive(Debug, Default)]
struct Tape {
    trades: u64,
    last: Option<(TradeId, Price)>,
}

impl Tape {
    /// Takes a trade. Each level of detail that was recorded tells it.
    fn trade(&mut self, trade: &Trade) {
        if self.last.is_none_or(|(last, _)| last < trade.trade_id) {
            self.trades += 1;
            self.last = Some((trade.trade_id, trade.price));
        }
    }
}

impl Playing {
    fn new(arguments: &PlayArguments, bytes: u64) -> Self {
        let bar = if arguments.json { ProgressBar::hidden() } else { ProgressBar::new(bytes) };
        Self {
            speed: arguments.speed,
            depth: arguments.json.then_some(arguments.depth),
            start: Instant::now(),
            bar: styled(bar, "{bar:20} {bytes} of {total_bytes}, {wide_msg}"),
            out: BufWriter::new(io::stdout()),
            lines: Lines::default(),
            updates: 0,
            tapes: BTreeMap::new(),
            definitions: BTreeMap::new(),
        }
    }

    fn update(&mut self, update: Update, player: &Player<BufReader<File>>) -> io::Result<()> {
        if self.updates.is_multiple_of(LOOK) {
            self.show(player);
        }
        self.updates += 1;
        self.wait(player)?;
        match &update {
            Update::Trade(trade) => self.tapes.entry(trade.security_id).or_default().trade(trade),
            Update::Definition(definition) => drop(self.definitions.insert(definition.security_id, *definition)),
            _ => {}
        }
        let Some(depth) = self.depth else { return Ok(()) };
        let (stamps, gaps) = (player.stamps(), player.gaps());
        let changed = place(stamps).filter(|&(_, level)| changes_book(&update, level));
        let book = changed.and_then(|(instrument, level)| player.book_at(instrument, level));
        let seen = Seen { update, stamps, book: book.map(|book| ladder(book, depth)), gaps };
        let now = stamps.received_at.unwrap_or_default();
        writeln!(self.out, "{}", self.lines.update(&seen, now))
    }

    /// Until it is time for what was just read.
    fn wait(&mut self, player: &Player<BufReader<File>>) -> io::Result<()> {
        let Speed::Times(times) = self.speed else { return Ok(()) };
        let contents = player.contents();
        let (Some(Timestamp(first)), Some(Timestamp(at))) = (contents.first_at, contents.last_at) else {
            return Ok(());
        };
        let due = self.start + Duration::from_nanos(at.saturating_sub(first)) / times.get();
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            self.out.flush()?;
            self.show(player);
            std::thread::sleep(left);
        }
        Ok(())
    }

    fn show(&self, player: &Player<BufReader<File>>) {
        if !self.bar.is_hidden() {
            self.bar.set_message(progress(player.contents(), player.gaps(), self.start.elapsed().as_secs_f64()));
            self.bar.set_position(player.offset());
        }
    }

    fn end(&self, file: &Path, player: &Player<BufReader<File>>) -> Answer {
        Answer {
            file: file.display().to_string(),
            counted: Counted::of(player.contents(), player.gaps()),
            updates: self.updates,
            trades: self.tapes.values().map(|tape| tape.trades).sum(),
            torn: player.torn().map(|Torn { offset, bytes }| TornAnswer { offset, bytes }),
            seconds: self.start.elapsed().as_secs_f64(),
            instruments: self.definitions.values().map(|definition| self.closing(definition, player)).collect(),
        }
    }

    fn closing(&self, definition: &SecurityDefinition, player: &Player<BufReader<File>>) -> Closing {
        let instrument = definition.security_id;
        let price = |Price(mantissa): Price| decimal::text(mantissa, definition.price_exponent);
        let best = |side| player.book(instrument).and_then(|book| book.best(side));
        let [bid, offer] = [Side::Buy, Side::Sell].map(best);
        let quantity = |mantissa: i64| decimal::short_text(mantissa, definition.quantity_exponent);
        let tape = self.tapes.get(&instrument);
        Closing {
            instrument: definition.symbol.as_str().map_or_else(|| instrument.to_string(), str::to_owned),
            bid: bid.map(|bid| price(bid.price)),
            bid_quantity: bid.map(|bid| quantity(bid.quantity.0)),
            offer: offer.map(|offer| price(offer.price)),
            offer_quantity: offer.map(|offer| quantity(offer.quantity.0)),
            last: tape.and_then(|tape| tape.last).map(|(_, last)| price(last)),
            trades: tape.map_or(0, |tape| tape.trades),
        }
    }
}

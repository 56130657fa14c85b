//! `rialto watch`: one instrument's book and trades, on a screen or as JSON lines, from the venue's market data.
//!
//! ```text
//!   feed (a task): find the venue, subscribe, read ──► inputs, bounded ──► market (pure) ──► screen or lines
//!   keys (a thread, with a screen only) ─────────────────► the same
//! ```
//!
//! A venue that goes away is waited for: it is looked for anew, as its addresses may have changed.

mod latency;
mod lines;
mod market;
mod screen;
mod seen;

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use client::market_data::{Subscriber, Update};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use wire::{DeliveryMode, FeedLevel, SecurityId};

use crate::arguments::WatchArguments;
use crate::exit::Exit;
use crate::market_data;
use crate::reach::{self, ReachError};
use market::Market;

pub(crate) use lines::Lines;
pub(crate) use seen::{Seen, changes_book, ladder, place};

/// Updates that may wait for the screen; then the feed waits, and in the end the venue leaves messages out.
const INPUTS_MAX: usize = 256;
/// A screen is drawn no more often.
const FRAME: Duration = Duration::from_millis(33);
/// What came with the first of several updates is drawn with it.
const TOGETHER: Duration = Duration::from_millis(2);
/// How soon a venue that went away is looked for again.
const RETRY: Duration = Duration::from_secs(1);
/// Levels of each side that a screen may have room for.
const SCREEN_DEPTH: u16 = 100;
/// Levels of each side on a line.
const LINE_DEPTH: u16 = 10;

/// What the feed and the keyboard have to say.
#[derive(Debug)]
enum Input {
    /// The subscription stands.
    Connected,
    /// Something happened in the market.
    Update(Box<Seen>),
    /// The venue is gone, for now.
    Lost(String),
    /// There is nothing to watch.
    Failed(ReachError),
    /// The screen has another size.
    Resized,
    /// It is enough.
    Quit,
}

/// Watches until the reader has enough.
pub fn run(arguments: &WatchArguments) -> Exit {
    match watch(arguments) {
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("rialto: {error}");
            error.exit()
        }
    }
}

fn watch(arguments: &WatchArguments) -> Result<(), ReachError> {
    let is_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if !arguments.json && !is_terminal {
        let reason = "a screen needs a terminal; --json prints lines instead".to_owned();
        return Err(ReachError::Usage(reason));
    }
    market_data::check_mode(arguments.level.into(), arguments.mode.into())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(lost)?;
    runtime.block_on(async {
        let (sender, inputs) = mpsc::channel(INPUTS_MAX);
        let depth = arguments.depth.unwrap_or(if arguments.json { LINE_DEPTH } else { SCREEN_DEPTH });
        tokio::spawn(feed(arguments.clone(), depth, sender.clone()));
        match arguments.json {
            true => print_lines(arguments, inputs).await,
            false => show(arguments, sender, inputs).await,
        }
    })
}

fn lost(error: io::Error) -> ReachError {
    ReachError::Lost(error.to_string())
}

// Lines.

async fn print_lines(arguments: &WatchArguments, mut inputs: mpsc::Receiver<Input>) -> Result<(), ReachError> {
    let mut lines = Lines::default();
    let mut left = arguments.count.unwrap_or(u64::MAX);
    while left > 0 {
        let line = match inputs.recv().await {
            Some(Input::Update(seen)) => lines.update(&seen, reach::now()),
            Some(Input::Lost(reason)) => lines.lost(&reason),
            Some(Input::Failed(error)) => return Err(error),
            Some(Input::Connected | Input::Resized | Input::Quit) => continue,
            None => return Ok(()),
        };
        match writeln!(io::stdout(), "{line}") {
            // Whoever read has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.map_err(lost)?,
        }
        left -= 1;
    }
    Ok(())
}

// Screen.

async fn show(
    arguments: &WatchArguments,
    sender: mpsc::Sender<Input>,
    mut inputs: mpsc::Receiver<Input>,
) -> Result<(), ReachError> {
    // Nothing is drawn before there is something to watch: an error stays readable.
    if let Some(Input::Failed(error)) = inputs.recv().await {
        return Err(error);
    }
    // It also restores the terminal when this program panics.
    let mut terminal = ratatui::try_init().map_err(lost)?;
    std::thread::spawn(move || read_keys(&sender));
    let ended = draw_until_quit(arguments, &mut terminal, &mut inputs).await;
    ratatui::restore();
    ended
}

async fn draw_until_quit(
    arguments: &WatchArguments,
    terminal: &mut DefaultTerminal,
    inputs: &mut mpsc::Receiver<Input>,
) -> Result<(), ReachError> {
    let mut market = Market::new(&arguments.instrument);
    market.connected();
    let mut left = arguments.count.unwrap_or(u64::MAX);
    let mut terminate = signal(SignalKind::terminate()).map_err(lost)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(lost)?;
    loop {
        terminal.draw(|frame| screen::draw(frame, &market, reach::now())).map_err(lost)?;
        market.drawn(reach::now());
        // At least once a second, for the time since the last update.
        let (drawn, mut wait) = (Instant::now(), Duration::from_secs(1));
        let mut due = None;
        loop {
            let input = tokio::select! {
                input = timeout(wait, inputs.recv()) => input,
                _ = terminate.recv() => return Ok(()),
                _ = hangup.recv() => return Ok(()),
            };
            let Ok(input) = input else { break };
            match input {
                Some(Input::Update(seen)) => {
                    market.update(*seen, reach::now());
                    left -= 1;
                    if left == 0 {
                        return Ok(());
                    }
                }
                Some(Input::Connected) => market.connected(),
                Some(Input::Lost(reason)) => market.lost(&reason),
                Some(Input::Resized) => {}
                Some(Input::Failed(error)) => return Err(error),
                Some(Input::Quit) | None => return Ok(()),
            }
            let due = *due.get_or_insert_with(|| (drawn + FRAME).max(Instant::now() + TOGETHER));
            wait = due.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break;
            }
        }
    }
}

fn read_keys(sender: &mpsc::Sender<Input>) {
    loop {
        let input = match event::read() {
            Ok(Event::Key(key)) if is_quit(key) => Input::Quit,
            Ok(Event::Resize(..)) => Input::Resized,
            Ok(_) => continue,
            // Without a keyboard nobody could leave.
            Err(_) => Input::Quit,
        };
        if sender.blocking_send(input).is_err() {
            return;
        }
    }
}

fn is_quit(key: KeyEvent) -> bool {
    let interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
    interrupt || matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc)
}

// Feed.

/// Reads the venue's market data until nobody listens, and looks for the venue again whenever it is gone.
async fn feed(arguments: WatchArguments, depth: u16, inputs: mpsc::Sender<Input>) {
    let mut was_let_in = false;
    while !inputs.is_closed() {
        let error = match subscribe(&arguments).await {
            Ok((mut subscriber, instrument)) => {
                if inputs.send(Input::Connected).await.is_err() {
                    return;
                }
                let error = read(&mut subscriber, instrument, depth, &inputs).await;
                was_let_in |= subscriber.book(instrument).is_some();
                error
            }
            Err(error) => error,
        };
        let input = match error {
            ReachError::Usage(_) | ReachError::Unusable { .. } => Input::Failed(error),
            error if !was_let_in => Input::Failed(error),
            error => Input::Lost(error.to_string()),
        };
        if inputs.send(input).await.is_err() {
            return;
        }
        sleep(RETRY).await;
    }
}

/// Reads until the connection ends; why it did.
async fn read(
    subscriber: &mut Subscriber,
    instrument: SecurityId,
    depth: u16,
    inputs: &mpsc::Sender<Input>,
) -> ReachError {
    let mut is_joined = false;
    loop {
        let update = match subscriber.next().await {
            Ok(Update::Rejected(reject)) if !is_joined => {
                return ReachError::Usage(format!("{instrument}: the venue refuses: {:?}", reject.reason));
            }
            Ok(update) => update,
            Err(error) => return ReachError::Lost(error.to_string()),
        };
        let stamps = subscriber.stamps();
        let level = place(stamps).map(|(_, level)| level);
        if repeats(&update, level) {
            continue;
        }
        if !is_joined && matches!(update, Update::Book { .. }) {
            is_joined = true;
            // The book comes first. A venue that does not offer the rest is watched without it.
            let day = subscriber.subscribe(&[instrument], FeedLevel::Reference, DeliveryMode::Live).await;
            if let Err(error) = day {
                return ReachError::Lost(error.to_string());
            }
        }
        let changed = level.filter(|&level| changes_book(&update, level));
        let book = changed.and_then(|level| subscriber.book_at(instrument, level)).map(|book| ladder(book, depth));
        let seen = Seen { update, stamps, book, gaps: subscriber.gaps() };
        if inputs.send(Input::Update(Box::new(seen))).await.is_err() {
            return ReachError::Lost("nobody listens".to_owned());
        }
    }
}

/// Whether an update of the reference channel says what the book's channel says as well, or a refusal is about it.
fn repeats(update: &Update, level: Option<FeedLevel>) -> bool {
    match update {
        Update::Rejected(_) => true,
        Update::Definition(_) | Update::Book { .. } | Update::Status(_) | Update::Auction(_) => {
            level == Some(FeedLevel::Reference)
        }
        _ => false,
    }
}

/// Finds the venue and the instrument, and subscribes to its book.
async fn subscribe(arguments: &WatchArguments) -> Result<(Subscriber, SecurityId), ReachError> {
    let WatchArguments { instrument, subscriber: who, .. } = arguments;
    let (level, mode) = (arguments.level.into(), arguments.mode.into());
    let found = market_data::instruments(who, std::slice::from_ref(instrument)).await?;
    let instrument = *found.first().ok_or_else(|| ReachError::Usage(format!("there is no instrument {instrument}")))?;
    let mut subscriber = market_data::connect(who, mode).await?;
    let subscribed = subscriber.subscribe(&[instrument], level, mode).await;
    subscribed.map_err(|error| ReachError::Lost(error.to_string()))?;
    Ok((subscriber, instrument))
}

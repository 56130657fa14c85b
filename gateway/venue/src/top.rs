//! `rialto top`: the operator's page in a terminal, once as text, or as JSON.
//!
//! ```text
//!   /metrics, /health/ready, /admin/v1 (a thread, each second) ─► inputs ─► what is known (pure) ─► screen, text or JSON
//!   last prices, from market data (a task) ──────────────────────► the same
//!   keys (a thread, with a screen only) ─────────────────────────► the same
//! ```
//!
//! It changes nothing at the venue. A venue that goes away is waited for.

mod alerts;
mod panels;
mod report;
mod samples;
mod screen;
mod source;
mod state;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::terminal;
use ratatui::{DefaultTerminal, Terminal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout};

use crate::arguments::TopArguments;
use crate::exit::Exit;
use crate::reach::ReachError;
use screen::Place;
use source::Source;
use state::{Answer, Link, Venue};

/// What may wait to be shown.
const INPUTS_MAX: usize = 256;
/// How long between the two answers of which a single page is made.
const APART: Duration = Duration::from_secs(1);
/// How long it takes to tell market data that nobody listens any more.
const GOODBYE: Duration = Duration::from_millis(50);
/// The size of a page that is no terminal's.
const PAGE: (u16, u16) = (120, 40);

/// What has something to say.
#[derive(Debug)]
enum Input {
    Answer(Box<Answer>),
    /// Where the venue is now.
    Address(String),
    Lost(String),
    /// The last price of an instrument.
    Price(u64, String),
    Key(KeyEvent),
    Resized,
    /// There is no keyboard any more.
    Gone,
}

/// Shows the page until the reader has enough.
pub fn run(arguments: &TopArguments) -> Exit {
    match top(arguments) {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("rialto: {error}");
            error.exit()
        }
    }
}

fn top(arguments: &TopArguments) -> Result<Exit, ReachError> {
    let is_once = arguments.once || arguments.json;
    let has_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    if !(is_once || has_terminal) {
        let reason = "a screen needs a terminal; --once prints a page, --json an object".to_owned();
        return Err(ReachError::Usage(reason));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(lost)?;
    runtime.block_on(async {
        let (sender, mut inputs) = mpsc::channel(INPUTS_MAX);
        let every = if is_once { APART } else { Duration::from_secs(arguments.every.into()) };
        let source = Source::of(arguments);
        let mut venue = Venue::new(&source.address().unwrap_or_else(|_| arguments.data.display().to_string()));
        let answers = sender.clone();
        std::thread::spawn(move || ask(&source, every, &answers));
        let prices = tokio::spawn(source::prices(arguments.clone(), sender.clone()));
        let ended = match is_once {
            true => once(arguments, &mut venue, &mut inputs).await,
            false => on_screen(&mut venue, sender, &mut inputs).await,
        };
        prices.abort();
        // Without it the venue would count a subscriber that says nothing any more for half a minute.
        sleep(GOODBYE).await;
        ended
    })
}

async fn on_screen(
    venue: &mut Venue,
    sender: mpsc::Sender<Input>,
    inputs: &mut mpsc::Receiver<Input>,
) -> Result<Exit, ReachError> {
    // It also restores the terminal when this program panics.
    let mut terminal = ratatui::try_init().map_err(lost)?;
    std::thread::spawn(move || read_keys(&sender));
    let ended = show(&mut terminal, venue, inputs).await;
    ratatui::restore();
    ended.map(|()| Exit::Done)
}

fn lost(error: io::Error) -> ReachError {
    ReachError::Lost(error.to_string())
}

/// Asks until nobody listens.
fn ask(source: &Source, every: Duration, inputs: &mpsc::Sender<Input>) {
    loop {
        let began = Instant::now();
        let address = source.address().ok().map(Input::Address);
        let answer = match source.ask() {
            Ok(answer) => Input::Answer(Box::new(answer)),
            Err(reason) => Input::Lost(reason),
        };
        for input in address.into_iter().chain([answer]) {
            if inputs.blocking_send(input).is_err() {
                return;
            }
        }
        std::thread::sleep(every.saturating_sub(began.elapsed()));
    }
}

/// Takes an input in; whether that changes the page.
fn take(venue: &mut Venue, input: Input) -> bool {
    match input {
        Input::Answer(answer) => venue.answered(*answer),
        Input::Lost(reason) => venue.lost(&reason),
        Input::Address(address) => venue.address = address,
        Input::Price(instrument, price) => drop(venue.prices.insert(instrument, price)),
        Input::Key(_) | Input::Resized | Input::Gone => return false,
    }
    true
}

// A single page.

/// Two answers, so that there are rates; or one that there is none.
async fn once(
    arguments: &TopArguments,
    venue: &mut Venue,
    inputs: &mut mpsc::Receiver<Input>,
) -> Result<Exit, ReachError> {
    let mut answers = 0;
    while answers < 2
        && let Some(input) = inputs.recv().await
    {
        answers += u32::from(matches!(input, Input::Answer(_)));
        let is_lost = matches!(input, Input::Lost(_));
        take(venue, input);
        if is_lost {
            break;
        }
    }
    let text = match arguments.json {
        true => report::object(venue).to_string(),
        false => page(venue)?,
    };
    match writeln!(io::stdout(), "{text}") {
        // Whoever read has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written.map_err(lost)?,
    }
    Ok(if venue.link == Link::Up { Exit::Done } else { Exit::InputOutput })
}

/// The page as text, as large as the terminal.
fn page(venue: &Venue) -> Result<String, ReachError> {
    let (width, height) = match terminal::size() {
        Ok((width, height)) if io::stdout().is_terminal() && width > 0 && height > 0 => (width, height),
        _ => PAGE,
    };
    let drawn = drawn(venue, Place::default(), width, height).map_err(lost)?;
    Ok(rows(&drawn).join("\n"))
}

fn drawn(venue: &Venue, place: Place, width: u16, height: u16) -> io::Result<Buffer> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).map_err(io::Error::other)?;
    terminal.draw(|frame| screen::draw(frame, venue, place)).map_err(io::Error::other)?;
    Ok(terminal.backend().buffer().clone())
}

fn rows(buffer: &Buffer) -> Vec<String> {
    let columns = usize::from(buffer.area.width).max(1);
    let row = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
    buffer.content.chunks(columns).map(|cells| row(cells).trim_end().to_owned()).collect()
}

// A screen.

async fn show(
    terminal: &mut DefaultTerminal,
    venue: &mut Venue,
    inputs: &mut mpsc::Receiver<Input>,
) -> Result<(), ReachError> {
    /// What came with the first of several inputs is drawn with it.
    const TOGETHER: Duration = Duration::from_millis(20);
    let mut place = Place::default();
    let mut terminate = signal(SignalKind::terminate()).map_err(lost)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(lost)?;
    loop {
        terminal.draw(|frame| screen::draw(frame, venue, place)).map_err(lost)?;
        let first = tokio::select! {
            input = inputs.recv() => input,
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
        };
        let due = tokio::time::Instant::now() + TOGETHER;
        let mut next = first;
        loop {
            match next {
                Some(Input::Key(key)) => {
                    if is_quit(key) {
                        return Ok(());
                    }
                    press(&mut place, key);
                }
                None | Some(Input::Gone) => return Ok(()),
                // Who has paused reads what was there; answers are lost meanwhile, and the next one is as good.
                Some(_) if place.paused => {}
                Some(input) => drop(take(venue, input)),
            }
            match timeout(due.saturating_duration_since(tokio::time::Instant::now()), inputs.recv()).await {
                Ok(input) => next = input,
                Err(_) => break,
            }
        }
        sleep_until(due).await;
    }
}

fn read_keys(sender: &mpsc::Sender<Input>) {
    loop {
        let input = match event::read() {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Input::Key(key),
            Ok(Event::Resize(..)) => Input::Resized,
            Ok(_) => continue,
            // Without a keyboard nobody could leave.
            Err(_) => Input::Gone,
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

/// Moves the reader.
fn press(place: &mut Place, key: KeyEvent) {
    match key.code {
        KeyCode::Char('p' | ' ') => place.paused = !place.paused,
        KeyCode::Char('?' | 'h') => place.help = !place.help,
        KeyCode::Char(digit) if digit.is_ascii_digit() => place.go((digit as u8 - b'0').into()),
        KeyCode::Tab | KeyCode::Right => place.turn(true),
        KeyCode::BackTab | KeyCode::Left => place.turn(false),
        KeyCode::Down | KeyCode::Char('j') => place.scroll = place.scroll.saturating_add(1),
        KeyCode::Up | KeyCode::Char('k') => place.scroll = place.scroll.saturating_sub(1),
        KeyCode::PageDown => place.scroll = place.scroll.saturating_add(10),
        KeyCode::PageUp => place.scroll = place.scroll.saturating_sub(10),
        KeyCode::Home => place.scroll = 0,
        _ => {}
    }
}

//! Subscribers of market data on one thread of their own: a venue's, or those of a bare publisher.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use client::rustls::ClientConfig;
use client::wire::FeedLevel;
use marketdata::{Subscriber, Trust, Update};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};

use super::bare_quic::BareSubscriber;
use super::orders::INSTRUMENT;
use crate::failure::Failure;

/// How long subscribers may take to be there, and behind the last order to see what came of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Whom they subscribe to.
#[derive(Clone)]
pub enum Source {
    /// A venue.
    Venue {
        /// Where.
        address: SocketAddr,
        /// Whom to take for it.
        trust: Trust,
        /// What of the book.
        level: FeedLevel,
    },
    /// A bare publisher.
    Bare {
        /// Where.
        address: SocketAddr,
        /// Whom to take for it.
        tls: Arc<ClientConfig>,
        /// Bytes of each message.
        message_bytes: usize,
    },
}

/// What a subscriber sees.
pub enum Seen<'a> {
    /// An update of a venue.
    Update(&'a Update),
    /// A bare message.
    Message(&'a [u8]),
}

/// What subscribers make of what they see, all on their one thread.
pub trait Notebook: Send + 'static {
    /// Subscriber `number`, from 0, sees something; how many things of note it was.
    fn note(&mut self, number: usize, seen: Seen<'_>) -> u64;
}

/// The subscribers.
pub struct Watchers<N> {
    seen: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<Result<(N, u64), Failure>>,
}

impl<N: Notebook> Watchers<N> {
    /// Starts `count` of them, and returns when all are subscribed.
    pub fn start(source: Source, count: usize, notebook: N) -> Result<Self, Failure> {
        let seen = Arc::<AtomicU64>::default();
        let (stop, stopped) = watch::channel(false);
        let (ready, is_ready) = mpsc::channel();
        let counting = Arc::clone(&seen);
        let thread = std::thread::Builder::new().name("subscribers".to_owned());
        let thread = thread
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
                let watching = watch_all(source, count, notebook, counting, ready, stopped);
                LocalSet::new().block_on(&runtime, watching)
            })
            .map_err(failed)?;
        let watchers = Self { seen, stop, thread };
        for _ in 0..count {
            if is_ready.recv_timeout(PATIENCE).is_err() {
                watchers.stop()?;
                return Err(Failure::Missing(format!("not all of {count} subscribers have a book after {PATIENCE:?}")));
            }
        }
        Ok(watchers)
    }

    /// How many things of note were seen.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Acquire)
    }

    /// Waits until so many things of note were seen; whether they were.
    pub fn wait_for(&self, count: u64) -> bool {
        let begun = Instant::now();
        while self.seen() < count && begun.elapsed() < PATIENCE && !self.thread.is_finished() {
            std::thread::sleep(LOOK);
        }
        self.seen() >= count
    }

    /// Waits until nothing new is seen.
    pub fn settle(&self) {
        let mut seen = None;
        while seen != Some(self.seen()) {
            seen = Some(self.seen());
            std::thread::sleep(20 * LOOK);
        }
    }

    /// Ends them; their notes, and how many gaps there were.
    pub fn stop(self) -> Result<(N, u64), Failure> {
        // Whoever has failed no longer listens.
        let _ = self.stop.send(true);
        self.thread.join().expect("subscribers do not panic")
    }
}

async fn watch_all<N: Notebook>(
    source: Source,
    count: usize,
    notebook: N,
    seen: Arc<AtomicU64>,
    ready: mpsc::Sender<()>,
    stopped: watch::Receiver<bool>,
) -> Result<(N, u64), Failure> {
    // Taken at the end: readers of a bare stream that was not ended may still hold it.
    let notebook = Rc::new(RefCell::new(Some(notebook)));
    let watching: Vec<_> = (0..count)
        .map(|number| {
            let (notebook, seen) = (Rc::clone(&notebook), Arc::clone(&seen));
            let note = move |what: Seen<'_>| {
                if let Some(notebook) = &mut *notebook.borrow_mut() {
                    seen.fetch_add(notebook.note(number, what), Ordering::Release);
                }
            };
            spawn_local(watch_one(source.clone(), note, ready.clone(), stopped.clone()))
        })
        .collect();
    drop(ready);
    let mut gaps = 0;
    for one in watching {
        gaps += one.await.expect("subscribers do not panic")?;
    }
    let notebook = notebook.borrow_mut().take();
    Ok((notebook.expect("it is taken once"), gaps))
}

/// Until it is stopped; how many gaps there were.
async fn watch_one(
    source: Source,
    note: impl Fn(Seen<'_>) + 'static,
    ready: mpsc::Sender<()>,
    mut stopped: watch::Receiver<bool>,
) -> Result<u64, Failure> {
    match source {
        Source::Venue { address, trust, level } => {
            let mut subscriber = Subscriber::connect(address, &trust, &[INSTRUMENT], level).await?;
            loop {
                let update = tokio::select! {
                    update = subscriber.next() => update?,
                    _ = stopped.changed() => return Ok(subscriber.gaps().gaps + subscriber.gaps().notices),
                };
                if matches!(update, Update::Book { .. }) {
                    // Who waits may have given up.
                    let _ = ready.send(());
                }
                note(Seen::Update(&update));
            }
        }
        Source::Bare { address, tls, message_bytes } => {
            let subscriber = BareSubscriber::connect(address, &tls).await?;
            let _ = ready.send(());
            let tell = Rc::new(move |message: &[u8]| note(Seen::Message(message)));
            tokio::select! {
                () = subscriber.read(message_bytes, tell) => Err(Failure::Missing("the bare publisher has gone".to_owned())),
                _ = stopped.changed() => Ok(0),
            }
        }
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::io(Path::new("the subscribers' thread"), error)
}

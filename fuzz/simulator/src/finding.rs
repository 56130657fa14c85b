//! A promise that was broken.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;

/// What the venue promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Promise {
    /// What was released is there, whatever crashed.
    NothingIsLost,
    /// Nobody is told of anything that is not durable.
    DurableBeforeTold,
    /// A restart comes to the state that a replay from the first command comes to.
    ReplayIsIdentical,
    /// What was published is what the journal's commands cause.
    EventsAreTrue,
    /// Commands have the effects that the rulebook gives them.
    Rulebook,
    /// What is due at a time happens before anything later.
    TimeIsKept,
    /// A command has its effect once, and none where its trader was told so.
    AppliedOnce,
    /// A report's number stands for that report for ever.
    ReportsStay,
    /// Who asks for orders and balances is told those of that moment.
    AnswersAreTrue,
    /// Nobody gets in who does not belong, and nothing that was sent once is taken twice.
    NobodyGetsIn,
    /// Who takes market data has the venue's books, and knows it.
    BooksAreTrue,
    /// The event history is what the journal's commands cause.
    HistoryIsTrue,
    /// Only what is wrong with the disk keeps a venue from starting, and it is named.
    StartsAgain,
    /// When nothing goes wrong any more, everybody gets on.
    GetsOn,
    /// No part of the venue panics.
    NoPanic,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Which promise.
    pub promise: Promise,
    /// What happened instead.
    pub what: String,
}

/// Nothing was found, or something was.
pub type Checked<T = ()> = Result<T, Box<Finding>>;

impl Finding {
    /// That.
    pub fn new(promise: Promise, what: impl Into<String>) -> Box<Self> {
        Box::new(Self { promise, what: what.into() })
    }

    /// Whether it says that a disk was made to fail.
    pub fn is_of_a_disk(&self) -> bool {
        self.what.contains("was made to")
    }
}

thread_local! {
    /// Where this thread panicked last.
    static PANICKED_AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps panics silent and notes where they are: what panics is a finding.
pub fn tell_panics_as_findings() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        PANICKED_AT.set(place);
    }));
}

/// A command causes more events than the ring has room for: the one thread that could make room would wait for itself. The
/// world ends there, and nothing is wrong with it.
pub(crate) struct TooMuch;

/// The finding that a panic is, if it is one.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Option<Finding> {
    if panic.is::<TooMuch>() {
        return None;
    }
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Some(Finding { promise: Promise::NoPanic, what: format!("{text} {}", PANICKED_AT.take()) })
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.promise, self.what)
    }
}

//! What accounts have: asked at the door, answered by the core.
//!
//! Events tell what was paid, and not what open orders hold; that rule is the core's alone, so the core is asked.
//!
//! ```text
//!   door ── asked ───────► core, between two batches: reads its balances, and how many events it has published by then
//!        ◄── answered ──── core; the door holds the answer back until it has read as many events
//! ```
//!
//! Nothing changes a balance without an event. So an answer that is told behind exactly the events that were published
//! before it is neither ahead of what is released nor behind what the asker was told.
//!
//! # Memory ordering
//!
//! Both queues are crossbeam's. A question is pushed before the core is woken, and the core looks for questions where it
//! looks for commands before it sleeps, so that the bell's argument covers both. An answer is pushed before any later
//! event is published: whoever has read such an event finds the answer.

use crossbeam_queue::ArrayQueue;
use engine::{AccountId, AssetId, Balance, Engine};
use ring::EventCount;
use wire::order_entry::AccountBalanceRequest;

use crate::transport::ConnectionId;

/// Questions under way at once; more are refused as Busy.
const QUESTIONS_MAX: usize = 1_024;
/// Questions that the core answers between two batches. Each takes as long as a few orders.
const ANSWERS_AT_ONCE: usize = 4;

/// Questions on their way to the core, and answers on their way back.
#[derive(Debug)]
pub struct BalanceQuestions {
    asked: ArrayQueue<BalanceQuestion>,
    answered: ArrayQueue<BalanceAnswer>,
}

/// Who asks what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) connection: ConnectionId,
    pub(crate) request: AccountBalanceRequest,
}

/// A question to the core.
#[derive(Debug)]
pub(crate) struct BalanceQuestion {
    pub(crate) asked: Asked,
    pub(crate) account: AccountId,
    /// Room for the answer, so that the core need not make any.
    pub(crate) room: Vec<(AssetId, Balance)>,
}

/// Its answer.
#[derive(Debug)]
pub(crate) struct BalanceAnswer {
    pub(crate) asked: Asked,
    /// By asset; nothing of the others.
    pub(crate) balances: Vec<(AssetId, Balance)>,
    /// The events that it contains.
    pub(crate) behind: EventCount,
}

impl Default for BalanceQuestions {
    fn default() -> Self {
        Self { asked: ArrayQueue::new(QUESTIONS_MAX), answered: ArrayQueue::new(QUESTIONS_MAX) }
    }
}

impl BalanceQuestions {
    /// Whether the core is asked something.
    pub fn are_waiting(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Answers a few questions by `engine`, all of whose events are among the `published`; whether there were any. For the
    /// core alone, between commands.
    pub fn answer(&self, engine: &Engine, published: EventCount) -> bool {
        let mut answered = 0;
        while answered < ANSWERS_AT_ONCE
            && let Some(question) = self.asked.pop()
        {
            answered += 1;
            let BalanceQuestion { asked, account, room: mut balances } = question;
            balances.extend(engine.balances(account));
            let answer = BalanceAnswer { asked, balances, behind: published };
            self.answered.push(answer).expect("no more are under way than fit");
        }
        answered > 0
    }

    /// Asks, unless too many are under way. For the door alone, which counts them.
    pub(crate) fn ask(&self, question: BalanceQuestion, under_way: usize) -> bool {
        under_way < QUESTIONS_MAX && self.asked.push(question).is_ok()
    }

    /// The next answer, in the order of asking.
    pub(crate) fn next_answer(&self) -> Option<BalanceAnswer> {
        self.answered.pop()
    }

    /// Whether there is an answer.
    pub(crate) fn has_answer(&self) -> bool {
        !self.answered.is_empty()
    }

    /// A question that nobody will answer: the core is gone.
    pub(crate) fn take_back(&self) -> Option<BalanceQuestion> {
        self.asked.pop()
    }
}

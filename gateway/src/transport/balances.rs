//! Questions about balances on their way to the core, and answers that wait for their place among the events.

use std::sync::Arc;

use ring::EventCount;

use crate::balances::{Asked, BalanceAnswer, BalanceQuestion, BalanceQuestions};

/// The balance questions of a door.
pub(crate) struct Balances {
    /// None: there is no core that answers.
    questions: Option<Arc<BalanceQuestions>>,
    under_way: usize,
    /// The next answer, if it is known and contains events that were not read yet.
    next: Option<BalanceAnswer>,
}

impl Balances {
    pub(crate) fn new(questions: Option<Arc<BalanceQuestions>>) -> Self {
        Self { questions, under_way: 0, next: None }
    }

    /// Whether anybody answers.
    pub(crate) fn are_told(&self) -> bool {
        self.questions.is_some()
    }

    /// Asks the core, which is to be woken then; false: too many questions are under way.
    pub(crate) fn ask(&mut self, question: BalanceQuestion) -> bool {
        let asked = self.questions.as_ref().is_some_and(|questions| questions.ask(question, self.under_way));
        self.under_way += usize::from(asked);
        asked
    }

    /// Whether an answer is waited for.
    pub(crate) fn are_awaited(&self) -> bool {
        self.under_way > 0
    }

    /// Whether the core has answered and nobody has looked at it.
    pub(crate) fn has_answer(&self) -> bool {
        self.are_awaited()
            && self.next.is_none()
            && self.questions.as_ref().is_some_and(|questions| questions.has_answer())
    }

    /// The next answer, if it contains no more than the events that were read.
    pub(crate) fn answer(&mut self, read: EventCount) -> Option<BalanceAnswer> {
        if self.next.is_none() && self.are_awaited() {
            self.next = self.questions.as_ref()?.next_answer();
        }
        let answer = self.next.take_if(|answer| answer.behind <= read)?;
        self.under_way -= 1;
        Some(answer)
    }

    /// Who will not be answered, now that the core and its events are gone.
    pub(crate) fn give_up(&mut self) -> Option<Asked> {
        let questions = self.questions.as_ref()?;
        let answered = self.next.take().or_else(|| questions.next_answer()).map(|answer| answer.asked);
        let given_up = answered.or_else(|| questions.take_back().map(|question| question.asked))?;
        self.under_way -= 1;
        Some(given_up)
    }
}

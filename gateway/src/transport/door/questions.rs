//! The door's answers to questions.

use engine::AccountId;
use ring::EventCount;
use wire::order_entry::{BusinessMessageReject, OrderStatusRequest};
use wire::{Block, EdgeReason};

use super::Door;
use crate::answers::{self, MassStatus};
use crate::balances::{Asked, BalanceAnswer, BalanceQuestion};
use crate::ingress::Refusal;
use crate::question::Question;
use crate::transport::desk::ConnectionId;
use crate::transport::network::Network;

/// Lists of orders that go on in a turn.
const LISTS_PER_TURN: usize = 8;
/// Orders that are looked at for one of them.
const LOOKS_PER_LIST: usize = 128;

impl<N: Network> Door<N> {
    /// Answers a question, by and by if it has a long answer.
    pub(super) fn answer(&mut self, id: ConnectionId, question: &Question) {
        let answered = match question {
            Question::OrderStatus(request) => {
                self.tell_status(id, request);
                Ok(())
            }
            Question::OrderMassStatus(request) => self.begin_list(id, MassStatus::begin(request, &self.desk.view)),
            Question::AccountBalance(request) => self.ask_core(Asked { connection: id, request: *request }),
        };
        if let Err(refusal) = answered {
            self.refuse(id, question, &refusal);
        }
    }

    fn refuse(&mut self, id: ConnectionId, question: &Question, refusal: &Refusal) {
        let Some(connection) = self.connections.get(id) else { return };
        let reject = BusinessMessageReject {
            answered_sequence: None,
            reference_id: question.request_id(),
            transact_time: self.now.into(),
            text: refusal.text,
            reference_tag: refusal.tag,
            reference_template: question.template(),
            reject_reason: refusal.reason,
            ..BusinessMessageReject::BLANK
        };
        connection.answer(&reject, self.now);
        self.connections.soil(id.place);
    }

    fn tell_status(&mut self, id: ConnectionId, request: &OrderStatusRequest) {
        let Self { connections, desk, config, now, .. } = self;
        let Some(connection) = connections.get(id) else { return };
        let Some(key) = connection.session.key() else { return };
        connection.answer(&answers::order_status(request, key, &desk.view, config.durability), *now);
        self.connections.soil(id.place);
    }

    /// One list at a time: whoever asks for the next while one is told would have the venue remember it.
    fn begin_list(&mut self, id: ConnectionId, list: MassStatus) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get(id) else { return Ok(()) };
        if connection.list.is_some() {
            return Err(Refusal::new(EdgeReason::Busy, "the list before is not at its end"));
        }
        connection.list = Some(list);
        self.connections.go_on_listing(id.place);
        Ok(())
    }

    /// Tells more of some lists.
    pub(super) fn go_on_listing(&mut self) {
        for _ in 0..self.connections.listing.len().min(LISTS_PER_TURN) {
            if let Some(id) = self.connections.listing.pop_front() {
                self.list_some(id);
            }
        }
    }

    fn list_some(&mut self, id: ConnectionId) {
        let Self { connections, desk, config, now, .. } = self;
        let Some(connection) = connections.get(id) else { return };
        connection.lists = false;
        if !connection.may_list() {
            return;
        }
        let Some(mut list) = connection.list.take() else { return };
        let rights = connection.session.key().and_then(|key| desk.view.rights().key(key));
        let question = list.question();
        if let Err(refusal) = question.permitted(rights) {
            return self.refuse(id, &question, &refusal);
        }
        let tell = |report: &_| connection.answer(report, *now);
        if !list.go_on(LOOKS_PER_LIST, &desk.view, config.durability, tell) {
            connection.list = Some(list);
        }
        self.connections.soil(id.place);
    }

    fn ask_core(&mut self, asked: Asked) -> Result<(), Refusal> {
        let Some(connection) = self.connections.get(asked.connection) else { return Ok(()) };
        if !self.balances.are_told() {
            return Err(Refusal::new(EdgeReason::UnsupportedMessage, "balances are not told here"));
        }
        let busy = Refusal::new(EdgeReason::Busy, "the venue is busy");
        if connection.awaits_balances || self.ended {
            return Err(busy);
        }
        let account = AccountId::try_from(asked.request.account).unwrap_or_default();
        let room = Vec::with_capacity(self.desk.view.assets_max());
        if !self.balances.ask(BalanceQuestion { asked, account, room }) {
            return Err(busy);
        }
        connection.awaits_balances = true;
        self.commands.wake();
        self.submitted_at = self.now;
        Ok(())
    }

    /// Tells balances that contain no more than the events that were read.
    pub(super) fn tell_balances(&mut self, read: EventCount) {
        while let Some(answer) = self.balances.answer(read) {
            self.tell_balance(&answer);
        }
    }

    fn tell_balance(&mut self, answer: &BalanceAnswer) {
        let Self { connections, desk, config, now, .. } = self;
        let Asked { connection: id, request } = answer.asked;
        let Some(connection) = connections.get(id) else { return };
        connection.awaits_balances = false;
        let rights = connection.session.key().and_then(|key| desk.view.rights().key(key));
        let question = Question::AccountBalance(request);
        if let Err(refusal) = question.permitted(rights) {
            return self.refuse(id, &question, &refusal);
        }
        let tell = |balance: &_| connection.answer(balance, *now);
        answers::balances(answer, desk.view.as_of(), config.durability, tell);
        self.connections.soil(id.place);
    }

    /// The core is gone: who waits for it is told so.
    pub(super) fn give_up_balances(&mut self) {
        while let Some(Asked { connection: id, request }) = self.balances.give_up() {
            if let Some(connection) = self.connections.get(id) {
                connection.awaits_balances = false;
            }
            let refusal = Refusal::new(EdgeReason::Busy, "the venue stops");
            self.refuse(id, &Question::AccountBalance(request), &refusal);
        }
    }
}

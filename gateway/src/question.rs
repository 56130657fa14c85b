//! Messages that ask and change nothing. They have no number: nothing is lost if one is, and it may be asked again.

use engine::AccountId;
use wire::order_entry::{
    AccountBalanceRequest, DropCopyRequest, OrderEntryMessage, OrderMassStatusRequest, OrderStatusRequest,
};
use wire::{EdgeReason, Frame, Message, RequestId, TemplateId};

use crate::ingress::{self, Refusal};
use crate::rights::Key;

/// What is asked of how things stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// What has become of an order.
    OrderStatus(OrderStatusRequest),
    /// Which orders are open.
    OrderMassStatus(OrderMassStatusRequest),
    /// What an account has.
    AccountBalance(AccountBalanceRequest),
}

impl Question {
    /// The message it came in.
    pub fn template(&self) -> TemplateId {
        match self {
            Self::OrderStatus(_) => OrderStatusRequest::TEMPLATE_ID,
            Self::OrderMassStatus(_) => OrderMassStatusRequest::TEMPLATE_ID,
            Self::AccountBalance(_) => AccountBalanceRequest::TEMPLATE_ID,
        }
    }

    /// Of which account.
    pub fn account(&self) -> wire::AccountId {
        match self {
            Self::OrderStatus(request) => request.account,
            Self::OrderMassStatus(request) => request.account,
            Self::AccountBalance(request) => request.account,
        }
    }

    /// What comes back with the answer.
    pub fn request_id(&self) -> Option<RequestId> {
        match self {
            Self::OrderStatus(request) => request.request_id,
            Self::OrderMassStatus(request) => request.request_id,
            Self::AccountBalance(request) => request.request_id,
        }
    }

    /// The question, if a key may be told.
    pub(crate) fn permitted(self, key: Option<&Key>) -> Result<Self, Refusal> {
        entitled(key, Key::may_read, self.account(), self.request_id())?;
        Ok(self)
    }
}

/// A message that asks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asking {
    /// How things stand now.
    Now(Question),
    /// For an account's reports again, which the history has.
    Copies(DropCopyRequest),
}

impl Asking {
    const TEMPLATES: [TemplateId; 4] = [
        OrderStatusRequest::TEMPLATE_ID,
        OrderMassStatusRequest::TEMPLATE_ID,
        AccountBalanceRequest::TEMPLATE_ID,
        DropCopyRequest::TEMPLATE_ID,
    ];

    /// Whether a frame asks, by its headers.
    pub(crate) fn is_in(frame: &Frame<'_>) -> bool {
        frame.header.schema_id == wire::order_entry::SCHEMA.id && Self::TEMPLATES.contains(&frame.header.template_id)
    }

    /// What a frame asks.
    pub(crate) fn read(frame: Frame<'_>) -> Result<Self, Refusal> {
        match OrderEntryMessage::try_from(frame).map_err(|error| ingress::unreadable(&error))? {
            OrderEntryMessage::OrderStatusRequest(request) => Ok(Self::Now(Question::OrderStatus(request))),
            OrderEntryMessage::OrderMassStatusRequest(request) => Ok(Self::Now(Question::OrderMassStatus(request))),
            OrderEntryMessage::AccountBalanceRequest(request) => Ok(Self::Now(Question::AccountBalance(request))),
            OrderEntryMessage::DropCopyRequest(request) => Ok(Self::Copies(request)),
            _ => Err(Refusal::new(EdgeReason::UnsupportedMessage, "this is no question")),
        }
    }

    /// The same, if a key may be told.
    pub(crate) fn permitted(self, key: Option<&Key>) -> Result<Self, Refusal> {
        match self {
            Self::Now(question) => question.permitted(key).map(Self::Now),
            Self::Copies(request) => {
                entitled(key, Key::copies, request.account, request.request_id)?;
                Ok(self)
            }
        }
    }
}

/// Whether a key may be told of an account. Whoever may not learns no more than that.
fn entitled(
    key: Option<&Key>,
    may_be_told: impl Fn(&Key, AccountId) -> bool,
    account: wire::AccountId,
    reference: Option<RequestId>,
) -> Result<(), Refusal> {
    match (key, AccountId::try_from(account)) {
        (Some(key), Ok(account)) if may_be_told(key, account) => Ok(()),
        _ => {
            let refusal = Refusal::new(engine::RejectReason::NotEntitled, "the key may not be told");
            Err(Refusal { reference, ..refusal })
        }
    }
}

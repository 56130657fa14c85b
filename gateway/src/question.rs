//! Messages that ask and change nothing. They have no number: nothing is lost if one is, and it may be asked again.

use engine::AccountId;
use wire::order_entry::{
    AccountBalanceRequest, DropCopyRequest, OrderEntryMessage, OrderMassStatusRequest, OrderStatusRequest,
};
use wire::{EdgeReason, Frame, Message, RequestId, TemplateId};

use crate::ingress::{self, Refusal};
use crate::rights::Key;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// What has become of an order.
    OrderStatus(OrderStatusRequest),
    /// Which orders are open.
    OrderMassStatus(OrderMassStatusRequest),
    /// What an account has.
    AccountBalance(AccountBalanceRequest),
    /// An account's reports again.
    DropCopy(DropCopyRequest),
}

impl Question {
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
            OrderEntryMessage::OrderStatusRequest(request) => Ok(Self::OrderStatus(request)),
            OrderEntryMessage::OrderMassStatusRequest(request) => Ok(Self::OrderMassStatus(request)),
            OrderEntryMessage::AccountBalanceRequest(request) => Ok(Self::AccountBalance(request)),
            OrderEntryMessage::DropCopyRequest(request) => Ok(Self::DropCopy(request)),
            _ => Err(Refusal::new(EdgeReason::UnsupportedMessage, "this is no question")),
        }
    }

    /// The question, if a key may be told. Whoever may not learns no more than that.
    pub(crate) fn permitted(self, key: Option<&Key>) -> Result<Self, Refusal> {
        let account = AccountId::try_from(self.account()).ok();
        let may_be_told = |key: &Key, account| match self {
            Self::DropCopy(_) => key.copies(account),
            Self::OrderStatus(_) | Self::OrderMassStatus(_) | Self::AccountBalance(_) => key.may_read(account),
        };
        match (key, account) {
            (Some(key), Some(account)) if may_be_told(key, account) => Ok(self),
            _ => {
                let refusal = Refusal::new(engine::RejectReason::NotEntitled, "the key may not be told");
                Err(Refusal { reference: self.request_id(), ..refusal })
            }
        }
    }

    /// The message it came in.
    pub fn template(&self) -> TemplateId {
        match self {
            Self::OrderStatus(_) => OrderStatusRequest::TEMPLATE_ID,
            Self::OrderMassStatus(_) => OrderMassStatusRequest::TEMPLATE_ID,
            Self::AccountBalance(_) => AccountBalanceRequest::TEMPLATE_ID,
            Self::DropCopy(_) => DropCopyRequest::TEMPLATE_ID,
        }
    }

    /// Of which account.
    pub fn account(&self) -> wire::AccountId {
        match self {
            Self::OrderStatus(request) => request.account,
            Self::OrderMassStatus(request) => request.account,
            Self::AccountBalance(request) => request.account,
            Self::DropCopy(request) => request.account,
        }
    }

    /// What comes back with the answer.
    pub fn request_id(&self) -> Option<RequestId> {
        match self {
            Self::OrderStatus(request) => request.request_id,
            Self::OrderMassStatus(request) => request.request_id,
            Self::AccountBalance(request) => request.request_id,
            Self::DropCopy(request) => request.request_id,
        }
    }
}

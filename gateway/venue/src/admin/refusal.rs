//! Why a request at the operator's door is not answered with what it asked for: the status and the words of each reason, and
//! which of them the steps before the core lead to.

use axum::http::StatusCode;
use engine::canonical::Code;
use engine::{EventHeader, RejectReason};
use serde_json::{Value, json};

use super::access_log::{Entry, LogFailed};
use super::authentication::Unproven;
use super::desk::NotSubmitted;
use super::proposals::{Decision, NotProposed, NotWaiting};
use super::requests::Invalid;

/// Why a request is not answered with what it asked for.
#[derive(Debug)]
pub(crate) enum Refusal {
    NotAuthenticated,
    TooManyGuesses,
    NotEntitled(Option<EventHeader>),
    /// The key may not come from there.
    AddressNotAllowed,
    /// Nobody approves of what they proposed.
    OwnProposal,
    UnknownProposal,
    ProposalDecided(Decision),
    /// Who proposed it could not do it any more.
    ProposerNotEntitled,
    TooManyProposals,
    /// Who approves is known by a session alone.
    NeedsSignature,
    UnsupportedMediaType,
    /// Not in time.
    Slow,
    TooLarge,
    Malformed(String),
    DuplicateRequest(Option<EventHeader>),
    Refused(Option<EventHeader>, RejectReason),
    Busy,
    StorageLow,
    StorageFull,
    Stopped,
    LogFailed,
    /// It may have been carried out or not.
    Unknown,
}

impl Refusal {
    /// Its status, and its body.
    pub(crate) fn parts(&self) -> (StatusCode, Value) {
        let refused = |header: &Option<EventHeader>, error: &str, reason: RejectReason| {
            let sequence = header.map(|header| header.id.sequence.0);
            json!({ "error": error, "reason": reason.name(), "code": reason.code(), "sequence": sequence })
        };
        let said = |error: &str, text: &str| json!({ "error": error, "text": text });
        match self {
            Self::NotAuthenticated => (
                StatusCode::UNAUTHORIZED,
                said("NotAuthenticated", "key, time or signature are missing or do not hold"),
            ),
            Self::TooManyGuesses => (
                StatusCode::TOO_MANY_REQUESTS,
                said("TooManyGuesses", "too many requests from there proved nothing; wait"),
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                said("UnsupportedMediaType", "the body has to be application/json"),
            ),
            Self::NotEntitled(header) => {
                (StatusCode::FORBIDDEN, refused(header, "NotEntitled", RejectReason::NotEntitled))
            }
            Self::AddressNotAllowed => {
                (StatusCode::FORBIDDEN, said("AddressNotAllowed", "the key may not be used from this address"))
            }
            Self::OwnProposal => {
                (StatusCode::FORBIDDEN, said("OwnProposal", "another key than the proposer's has to approve"))
            }
            Self::UnknownProposal => (StatusCode::NOT_FOUND, said("UnknownProposal", "no proposal has that number")),
            Self::ProposalDecided(decision) => (StatusCode::CONFLICT, said("ProposalDecided", decision.text())),
            Self::ProposerNotEntitled => (
                StatusCode::CONFLICT,
                said("ProposerNotEntitled", "the key that proposed it has no role for it any more"),
            ),
            Self::TooManyProposals => {
                (StatusCode::SERVICE_UNAVAILABLE, said("TooManyProposals", "too many proposals wait: decide on some"))
            }
            Self::NeedsSignature => (
                StatusCode::FORBIDDEN,
                said(
                    "NeedsSignature",
                    "to approve of this needs a request that is signed by itself: rialto admin proposal approve",
                ),
            ),
            Self::Slow => (StatusCode::REQUEST_TIMEOUT, said("Slow", "the request did not arrive in time")),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, said("TooLarge", "the body is longer than 16384 bytes")),
            Self::Malformed(text) => (StatusCode::BAD_REQUEST, said("Malformed", text)),
            Self::DuplicateRequest(header) => {
                (StatusCode::CONFLICT, refused(header, "DuplicateRequest", RejectReason::DuplicateRequest))
            }
            Self::Refused(header, reason) => (StatusCode::UNPROCESSABLE_ENTITY, refused(header, "Refused", *reason)),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, said("Busy", "nothing has happened; ask again")),
            Self::StorageLow => (
                StatusCode::SERVICE_UNAVAILABLE,
                said("StorageLow", "the journal's disk fills: only kill and mass-cancel are taken; free space on it"),
            ),
            Self::StorageFull => (
                StatusCode::SERVICE_UNAVAILABLE,
                said("StorageFull", "the journal's disk is full: nothing is taken; free space on it"),
            ),
            Self::Stopped => (StatusCode::SERVICE_UNAVAILABLE, said("Stopped", "the venue takes no commands any more")),
            Self::LogFailed => (
                StatusCode::SERVICE_UNAVAILABLE,
                said("LogFailed", "the access log cannot be written, and nothing has happened: look at its disk"),
            ),
            Self::Unknown => (
                StatusCode::GATEWAY_TIMEOUT,
                said(
                    "Unknown",
                    "no answer in time; it may be carried out yet: ask again with the same idempotency key",
                ),
            ),
        }
    }

    /// Status, error and, where it has one, the command in the journal.
    pub(super) fn noted(&self, entry: Entry) -> Entry {
        let (status, body) = self.parts();
        let outcome = body["reason"].as_str().or(body["error"].as_str()).map(str::to_owned);
        Entry { status: Some(status.as_u16()), outcome, sequence: body["sequence"].as_u64(), ..entry }
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Field { field, text } => Self::Malformed(format!("{field}: {text}")),
            Invalid::Unknown(reason) => Self::Refused(None, reason),
        }
    }
}

impl From<Unproven> for Refusal {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::NotAuthenticated => Self::NotAuthenticated,
            Unproven::AddressNotAllowed => Self::AddressNotAllowed,
            Unproven::TooManyGuesses => Self::TooManyGuesses,
        }
    }
}

impl From<NotSubmitted> for Refusal {
    fn from(reason: NotSubmitted) -> Self {
        match reason {
            NotSubmitted::Repeated => Self::DuplicateRequest(None),
            NotSubmitted::Busy => Self::Busy,
            NotSubmitted::StorageLow => Self::StorageLow,
            NotSubmitted::StorageFull => Self::StorageFull,
            NotSubmitted::Stopped => Self::Stopped,
        }
    }
}

impl From<NotProposed> for Refusal {
    fn from(reason: NotProposed) -> Self {
        match reason {
            NotProposed::Repeated => Self::DuplicateRequest(None),
            NotProposed::TooMany => Self::TooManyProposals,
        }
    }
}

impl From<NotWaiting> for Refusal {
    fn from(reason: NotWaiting) -> Self {
        match reason {
            NotWaiting::Unknown => Self::UnknownProposal,
            NotWaiting::Decided(decision) => Self::ProposalDecided(decision),
        }
    }
}

impl From<LogFailed> for Refusal {
    fn from(LogFailed: LogFailed) -> Self {
        Self::LogFailed
    }
}

impl Decision {
    fn text(self) -> &'static str {
        match self {
            Self::Approved => "it was approved",
            Self::Rejected => "it was rejected",
            Self::Expired => "nobody decided on it in time",
        }
    }
}

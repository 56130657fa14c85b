//! FIXP sessions: login, opening, heartbeat, retransmission, end. Says the same as `schema/session.xml`.
//!
//! Who sends what, and when, is in `docs/PROTOCOL.md`; what a login's signature covers is in [`crate::signed`].

use crate::code::{CancelOnDisconnect, RejectReason, TerminationCode};
use crate::message::{Schema, block, schema};
use crate::value::{
    KeyId, MessageCount, Milliseconds, Nonce, Reserved, SchemaId, SchemaVersion, SessionId, SessionSequence,
    SessionVersion, Signature64, Text48, Timestamp,
};

block! {
    /// Logs a session in. Client to venue, first on a connection.
    pub struct Negotiate, 96 bytes {
        /// Which session.
        @0 "SessionID"(20101) session_id: SessionId,
        /// Which login; greater than every one before.
        @8 "SessionVerID"(20102) session_version: SessionVersion,
        /// The key that signs.
        @16 "KeyID"(20103) key_id: KeyId,
        /// When it was signed.
        @24 "Timestamp"(20104) timestamp: Timestamp,
        /// Ed25519 over the canonical text of the other fields.
        @32 "Signature"(20120) signature: Signature64,
    }
}

block! {
    /// The session is logged in; both streams begin at 1.
    pub struct NegotiationResponse, 24 bytes {
        /// Which session.
        @0 "SessionID"(20101) session_id: SessionId,
        /// Which login; greater than every one before.
        @8 "SessionVerID"(20102) session_version: SessionVersion,
        /// The timestamp of the request that this answers.
        @16 "RequestTimestamp"(20110) request_timestamp: Timestamp,
    }
}

block! {
    /// The login is refused.
    pub struct NegotiationReject, 80 bytes {
        /// Which session.
        @0 "SessionID"(20101) session_id: SessionId,
        /// Which login; greater than every one before.
        @8 "SessionVerID"(20102) session_version: SessionVersion,
        /// The timestamp of the request that this answers.
        @16 "RequestTimestamp"(20110) request_timestamp: Timestamp,
        /// Why, in words; empty: none.
        @24 "Text"(58) text: Text48,
        /// Why.
        @72 "RejectReason"(20118) reject_reason: RejectReason,
    }
    reserved { @74 "Reserved1"(39001): Reserved<6>, }
}

block! {
    /// Opens a session for messages. Client to venue, after a login or instead of one.
    pub struct Establish, 128 bytes {
        /// Which session.
        @0 "SessionID"(20101) session_id: SessionId,
        /// Which login; greater than every one before.
        @8 "SessionVerID"(20102) session_version: SessionVersion,
        /// The key that signs.
        @16 "KeyID"(20103) key_id: KeyId,
        /// Greater than that of every opening before.
        @24 "Nonce"(20106) nonce: Nonce,
        /// When it was signed.
        @32 "Timestamp"(20104) timestamp: Timestamp,
        /// The number that the client's next message will have.
        @40 "NextSeqNo"(20105) next_sequence: SessionSequence,
        /// Ed25519 over the canonical text of the other fields.
        @48 "Signature"(20120) signature: Signature64,
        /// The longest silence of either side.
        @112 "KeepAliveInterval"(20107) keep_alive: Milliseconds,
        /// How long after a loss orders are cancelled.
        @116 "CODTimeoutWindow"(20108) cancel_grace: Milliseconds,
        /// The order entry schema that the client speaks.
        @120 "OrderEntrySchemaID"(20111) order_entry_schema_id: SchemaId,
        /// Its version.
        @122 "OrderEntrySchemaVersion"(20112) order_entry_schema_version: SchemaVersion,
        /// The version of the session schema that the client speaks.
        @124 "SessionSchemaVersion"(20113) session_schema_version: SchemaVersion,
        /// What becomes of orders when the session is lost.
        @126 "CancelOnDisconnectType"(20109) cancel_on_disconnect: CancelOnDisconnect,
    }
    reserved { @127 "Reserved1"(39001): Reserved<1>, }
}

block! {
    /// The session is open.
    pub struct EstablishmentAck, 56 bytes {
        /// Which session.
        @0 "SessionID"(20101) session_id: SessionId,
        /// Which login; greater than every one before.
        @8 "SessionVerID"(20102) session_version: SessionVersion,
        /// The timestamp of the request that this answers.
        @16 "RequestTimestamp"(20110) request_timestamp: Timestamp,
        /// The number that the venue expects next: the last applied, and one.
        @24 "NextSeqNo"(20105) next_sequence: SessionSequence,
        /// The number that the next report will carry.
        @32 "NextReportNo"(20114) next_report_number: SessionSequence,
        /// The longest silence of either side, as agreed.
        @40 "KeepAliveInterval"(20107) keep_alive: Milliseconds,
        /// How long after a loss orders are cancelled, as agreed.
        @44 "CODTimeoutWindow"(20108) cancel_grace: Milliseconds,
        /// The order entry schema that the venue speaks.
        @48 "OrderEntrySchemaID"(20111) order_entry_schema_id: SchemaId,
        /// Its version.
        @50 "OrderEntrySchemaVersion"(20112) order_entry_schema_version: SchemaVersion,
        /// The version of the session schema that the venue speaks.
        @52 "SessionSchemaVersion"(20113) session_schema_version: SchemaVersion,
        /// What becomes of orders when the session is lost, as agreed.
        @54 "CancelOnDisconnectType"(20109) cancel_on_disconnect: CancelOnDisconnect,
    }
    reserved { @55 "Reserved1"(39001): Reserved<1>, }
}

block! {
    /// The opening is refused.
    pub struct EstablishmentReject, 88 bytes {
        /// Which session.
        @0 "SessionID"(20101) session_id: SessionId,
        /// Which login; greater than every one before.
        @8 "SessionVerID"(20102) session_version: SessionVersion,
        /// The timestamp of the request that this answers.
        @16 "RequestTimestamp"(20110) request_timestamp: Timestamp,
        /// Absent: the venue goes by its own number.
        @24 "NextSeqNo"(20105) next_sequence: Option<SessionSequence>,
        /// Why, in words; empty: none.
        @32 "Text"(58) text: Text48,
        /// Why.
        @80 "RejectReason"(20118) reject_reason: RejectReason,
    }
    reserved { @82 "Reserved1"(39001): Reserved<6>, }
}

block! {
    /// The heartbeat of either side.
    pub struct Sequence, 8 bytes {
        /// The number that the sender's next message will have.
        @0 "NextSeqNo"(20105) next_sequence: SessionSequence,
    }
}

block! {
    /// Commands of the client never arrived, or were refused at the edge, and will not be applied. The session goes on.
    pub struct NotApplied, 16 bytes {
        /// The first.
        @0 "FromSeqNo"(20115) from_sequence: SessionSequence,
        /// How many.
        @8 "Count"(20116) count: MessageCount,
    }
}

block! {
    /// Asks for reports again. Bounded, and one at a time.
    pub struct RetransmitRequest, 24 bytes {
        /// Names the request.
        @0 "Timestamp"(20104) timestamp: Timestamp,
        /// The first report.
        @8 "FromSeqNo"(20115) from_sequence: SessionSequence,
        /// How many.
        @16 "Count"(20116) count: MessageCount,
    }
}

block! {
    /// Reports follow again.
    pub struct Retransmission, 24 bytes {
        /// The timestamp of the request that this answers.
        @0 "RequestTimestamp"(20110) request_timestamp: Timestamp,
        /// The number of the first report that follows.
        @8 "NextSeqNo"(20105) next_sequence: SessionSequence,
        /// How many follow.
        @16 "Count"(20116) count: MessageCount,
    }
}

block! {
    /// Reports will not be sent again.
    pub struct RetransmitReject, 64 bytes {
        /// The timestamp of the request that this answers.
        @0 "RequestTimestamp"(20110) request_timestamp: Timestamp,
        /// Why, in words; empty: none.
        @8 "Text"(58) text: Text48,
        /// Why.
        @56 "RejectReason"(20118) reject_reason: RejectReason,
    }
    reserved { @58 "Reserved1"(39001): Reserved<6>, }
}

block! {
    /// Ends a connection. The other side answers with the same, and closes.
    pub struct Terminate, 24 bytes {
        /// Which session.
        @0 "SessionID"(20101) session_id: SessionId,
        /// Which login; greater than every one before.
        @8 "SessionVerID"(20102) session_version: SessionVersion,
        /// Why.
        @16 "TerminationCode"(20117) code: TerminationCode,
    }
    reserved { @17 "Reserved1"(39001): Reserved<7>, }
}

schema! {
    /// A message of the session schema.
    pub enum SessionMessage, frames 'a, schema Schema { id: SchemaId(100), version: SchemaVersion(0) } => {
        /// Logs a session in. Client to venue, first on a connection.
        Negotiate = 101,
        /// The session is logged in; both streams begin at 1.
        NegotiationResponse = 102,
        /// The login is refused.
        NegotiationReject = 103,
        /// Opens a session for messages. Client to venue, after a login or instead of one.
        Establish = 104,
        /// The session is open.
        EstablishmentAck = 105,
        /// The opening is refused.
        EstablishmentReject = 106,
        /// The heartbeat of either side.
        Sequence = 107,
        /// Commands of the client never arrived, or were refused at the edge, and will not be applied. The session goes on.
        NotApplied = 108,
        /// Asks for reports again. Bounded, and one at a time.
        RetransmitRequest = 109,
        /// Reports follow again.
        Retransmission = 110,
        /// Reports will not be sent again.
        RetransmitReject = 111,
        /// Ends a connection. The other side answers with the same, and closes.
        Terminate = 112,
    }
}

//! Every cell of the table, and what is between them.

use super::*;
use std::net::Ipv4Addr;

use ed25519_dalek::{Signer, SigningKey};
use engine::command::{AddKey, AdminNote, AllowAddress, GrantRole, KeyKind, Role};
use engine::event::{
    AddressAllowed, KeyAdded, MassCancelRejected, RoleGranted, RoleRevoked, SessionDisconnected, SessionNegotiated,
};
use engine::{ClientOrderId, EventHeader, EventId, OrderId};
use wire::Signature64;

use crate::throttle::Rate;

const NOW: Timestamp = Timestamp(1_790_000_000_000_000_000);
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const SESSION: SessionId = SessionId(7);
const KEY: KeyId = KeyId(5);
const ACCOUNT: AccountId = AccountId(2);

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

const HEADER: EventHeader =
    EventHeader { id: EventId { sequence: engine::Sequence(1), index: 0 }, time: NOW, received_at: NOW };

fn view() -> View {
    let mut view = View::default();
    let public_key = signing_key().verifying_key().to_bytes();
    let command = AddKey { key: KEY, kind: KeyKind::Ed25519, public_key, note: AdminNote::NONE };
    view.apply(&HEADER, &Event::KeyAdded(KeyAdded { author: KeyId::VENUE, command }));
    view
}

fn negotiate() -> Negotiate {
    let mut request = Negotiate {
        session_id: SESSION.into(),
        session_version: wire::SessionVersion(3),
        key_id: KEY.into(),
        timestamp: NOW.into(),
        signature: Signature64([0; 64]),
    };
    request.signature = Signature64(signing_key().sign(request.signed_text().as_bytes()).to_bytes());
    request
}

fn sign(mut request: Establish) -> Establish {
    request.signature = Signature64(signing_key().sign(request.signed_text().as_bytes()).to_bytes());
    request
}

fn establish() -> Establish {
    sign(Establish {
        session_id: SESSION.into(),
        session_version: wire::SessionVersion(3),
        key_id: KEY.into(),
        nonce: wire::Nonce(1),
        timestamp: NOW.into(),
        next_sequence: wire::SessionSequence(1),
        keep_alive: Milliseconds(1_000),
        order_entry_schema_id: wire::order_entry::SCHEMA.id,
        cancel_on_disconnect: wire::CancelOnDisconnect::Keep,
        cancel_grace: Milliseconds(0),
        ..Establish::BLANK
    })
}

fn negotiated() -> Event {
    SessionNegotiated { session: SESSION, key: KEY, version: SessionVersion(3) }.into()
}

fn opened() -> Event {
    SessionEstablished {
        session: SESSION,
        version: SessionVersion(3),
        next_client_sequence: SessionSequence(6),
        next_report_number: SessionSequence(9),
        cancel_on_disconnect: command::CancelOnDisconnect::Keep,
        cancel_grace: Nanoseconds(0),
        keep_alive: Nanoseconds(1_000_000_000),
    }
    .into()
}

fn rejected(response_to: CommandKind) -> Event {
    let (version, reason) = (SessionVersion(3), engine::RejectReason::SessionVersionNotGreater);
    SessionRejected { session: SESSION, response_to, version, reason }.into()
}

fn disconnected() -> Event {
    let (version, reason) = (SessionVersion(3), DisconnectReason::Replaced);
    SessionDisconnected { session: SESSION, version, reason, cancel_at: Timestamp::NEVER }.into()
}

fn cancel_order() -> command::CancelOrder {
    command::CancelOrder {
        account: AccountId(2),
        order_id: OrderId(1),
        original_client_order_id: ClientOrderId::NONE,
        client_order_id: ClientOrderId::NONE,
    }
}

/// One connection, its view, and what it was told to do in words.
struct Link {
    session: Session,
    view: View,
}

impl Link {
    fn new() -> Self {
        Self::with(SessionLimits::DEFAULT)
    }

    fn with(limits: SessionLimits) -> Self {
        Self { session: Session::new(limits, ADDRESS, NOW), view: view() }
    }

    fn open(&mut self) {
        self.send(&establish());
        self.hear(Input::Core(&opened()), NOW);
    }

    fn at(state: State) -> Self {
        let mut link = Self::new();
        if state == State::Connected {
            return link;
        }
        link.send(&negotiate());
        if state == State::Negotiating {
            return link;
        }
        link.hear(Input::Core(&negotiated()), NOW);
        if state == State::Negotiated {
            return link;
        }
        link.send(&establish());
        if state == State::Establishing {
            return link;
        }
        link.hear(Input::Core(&opened()), NOW);
        if state == State::Closing {
            link.hear(Input::Ended(TerminationCode::VenueStopped), NOW);
        }
        assert_eq!(link.session.state(), state);
        link
    }

    fn hear(&mut self, input: Input<'_>, now: Timestamp) -> String {
        let mut actions = Vec::new();
        self.session.handle(input, now, &mut self.view, &mut actions);
        actions.iter().map(in_words).collect::<Vec<_>>().join(", ")
    }

    fn send<M: wire::Flat>(&mut self, message: &M) -> String {
        let bytes = egress::frame(message);
        self.hear(Input::Frame(Frame::split(&bytes).unwrap().0), NOW)
    }
}

fn in_words(action: &Action) -> String {
    match action {
        Action::Submit(command) => format!("{} {}", command.body.name(), command.header.client_sequence),
        Action::RequestReports { from, count, .. } => format!("reports {from}+{count}"),
        Action::RequestCopies(CopyRange { account, from, count }) => format!("copies of {account} {from}+{count}"),
        Action::Answer(question) => format!("answer {}", question.template().0),
        Action::Record(failed) => format!("record {}", failed.reason.name().unwrap_or("no reason")),
        Action::Close(code) => format!("close {code:?}"),
        Action::Send(frame) => {
            let (frame, _) = Frame::split(frame).unwrap();
            if let Ok(message) = SessionMessage::try_from(frame) {
                let text = format!("{message:?}");
                return text.split('(').next().unwrap().to_owned();
            }
            format!("{:?}", OrderEntryMessage::try_from(frame).unwrap()).split('(').next().unwrap().to_owned()
        }
    }
}

/// A row of the table: what each state does with the same input.
fn assert_row(what: &str, expected: [&str; 6], act: impl Fn(&mut Link) -> String) {
    for (state, expected) in State::ALL.into_iter().zip(expected) {
        assert_eq!(act(&mut Link::at(state)), expected, "{what} in {state:?}");
    }
}

fn in_the_table(step: Step) -> &'static str {
    match step {
        Step::Nothing => "─",
        Step::Violation => "violation",
        Step::LogIn => "log in",
        Step::Open => "open",
        Step::LoggedIn => "logged in",
        Step::Opened => "opened",
        Step::Refused => "refused",
        Step::Replaced => "replaced",
        Step::TakeBack => "take back",
        Step::Number => "number",
        Step::Command => "command",
        Step::Ask => "ask",
        Step::Recover => "recover",
        Step::Reject => "reject",
        Step::Send => "send",
        Step::SendAgain => "send again",
        Step::CopyAgain => "copy again",
        Step::CheckLate => "too late?",
        Step::Heartbeat => "heartbeat",
        Step::Goodbye => "goodbye",
        Step::End => "end",
        Step::Close => "close",
    }
}

/// The table as it is drawn.
fn drawn() -> String {
    let line = |name: String, cells: [String; 6]| {
        let cells = cells.map(|cell| format!("{cell:<12}")).concat();
        format!("{name:<13}│ {}\n", cells.trim_end())
    };
    let mut table = line(String::new(), State::ALL.map(|state| format!("{state:?}")));
    table += &format!("{}┼{}\n", "─".repeat(13), "─".repeat(72));
    for &row in Row::ALL {
        table += &line(row.name().to_owned(), State::ALL.map(|state| in_the_table(step(state, row)).to_owned()));
    }
    table
}

#[test]
fn the_table_is_drawn_as_it_is() {
    let drawn = drawn();
    let in_code: String = drawn.lines().map(|line| format!("//! {line}\n")).collect();
    assert!(include_str!("../session.rs").contains(&in_code), "above: should be\n{in_code}");
    assert!(include_str!("../../../docs/PROTOCOL.md").contains(&drawn), "docs/PROTOCOL.md: should be\n{drawn}");
}

#[test]
fn every_cell_is_either_idle_or_not() {
    let (all, idle) = (Visited::all(), Visited::idle());
    assert_eq!((all | idle).iter().count(), Row::ALL.len() * State::ALL.len());
    assert_eq!(all.without(idle), all);
    assert_eq!((all | idle).without(all), idle);
    let drawn_idle = drawn().lines().skip(2).map(|line| line.matches('─').count()).sum::<usize>();
    assert_eq!(idle.iter().count(), drawn_idle);
}

#[test]
fn a_conversation_visits_the_cells_that_its_inputs_meet_and_no_others() {
    let mut link = Link::new();
    assert_eq!(link.session.visited(), Visited::default());
    assert!(!link.session.report(None, NOW));
    link.send(&negotiate());
    link.hear(Input::Core(&negotiated()), NOW);
    link.open();
    assert!(link.session.report(Some(SessionSequence(9)), NOW));
    link.hear(Input::Time, NOW);
    // Twice is once.
    link.hear(Input::Time, NOW);
    link.send(&Terminate::BLANK);
    link.hear(Input::Closed, NOW);
    let expected = [
        (State::Connected, "Negotiate"),
        (State::Negotiated, "Establish"),
        (State::Established, "Terminate"),
        (State::Negotiating, "Negotiated"),
        (State::Establishing, "Established"),
        (State::Connected, "Report"),
        (State::Established, "Report"),
        (State::Established, "Time"),
        (State::Closing, "Closed"),
    ];
    assert_eq!(link.session.visited().iter().collect::<Vec<_>>(), expected);
    let idle = [(State::Connected, "Report"), (State::Closing, "Closed")];
    assert_eq!(link.session.visited().without(Visited::all()).iter().collect::<Vec<_>>(), idle);
}

#[test]
fn every_cell_of_the_table_does_what_is_drawn() {
    const BROKEN: &str = "Terminate, close ProtocolViolation";
    const BROKEN_OPEN: &str = "Disconnect 0, Terminate, close ProtocolViolation";
    const REPLACED: &str = "Terminate, close Replaced";
    let violation = [BROKEN, BROKEN, BROKEN, BROKEN, BROKEN_OPEN, ""];
    let with = |state: State, text| {
        let mut row = violation;
        row[State::ALL.iter().position(|&at| at == state).unwrap()] = text;
        row
    };
    assert_row("Negotiate", with(State::Connected, "Negotiate 0"), |link| link.send(&negotiate()));
    let mut opens = with(State::Connected, "Establish 0");
    opens[2] = "Establish 0";
    assert_row("Establish", opens, |link| link.send(&establish()));
    let sequence = Sequence { next_sequence: wire::SessionSequence(8) };
    assert_row("Sequence", with(State::Established, ""), |link| link.send(&sequence));
    let cancel = wire::order_entry::OrderCancelRequest::BLANK;
    assert_row("Application", with(State::Established, "CancelOrder 6"), |link| link.send(&cancel));
    let question = wire::order_entry::AccountBalanceRequest::BLANK;
    assert_row("Question", with(State::Established, "BusinessMessageReject"), |link| link.send(&question));
    let request = RetransmitRequest {
        timestamp: wire::Timestamp(1),
        from_sequence: wire::SessionSequence(4),
        count: MessageCount(5),
    };
    assert_row("Retransmit", with(State::Established, "reports 4+5"), |link| link.send(&request));
    let bye = "Terminate, close Terminated";
    assert_row("Terminate", [bye, bye, bye, bye, "Disconnect 0, Terminate, close Terminated", ""], |link| {
        link.send(&Terminate::BLANK)
    });
    assert_row("Malformed", violation, |link| link.send(&NegotiationReject::BLANK));
    assert_row("NoFrame", violation, |link| link.hear(Input::NoFrame, NOW));
    assert_row("Negotiated", ["", "NegotiationResponse", REPLACED, REPLACED, REPLACED, ""], |link| {
        link.hear(Input::Core(&negotiated()), NOW)
    });
    assert_row("Established", ["", "", "", "EstablishmentAck", "", "Disconnect 0"], |link| {
        link.hear(Input::Core(&opened()), NOW)
    });
    let refusal = "NegotiationReject, close Terminated";
    assert_row("Rejected", ["", refusal, "", refusal, "", ""], |link| {
        link.hear(Input::Core(&rejected(CommandKind::Negotiate)), NOW)
    });
    assert_row("NotTaken", ["", refusal, "", refusal, "BusinessMessageReject", ""], |link| {
        let body = match link.session.state() {
            State::Established => cancel_order().into(),
            _ => command::Negotiate { version: SessionVersion(3) }.into(),
        };
        let command = Command { header: CommandHeader::VENUE, body };
        link.hear(Input::NotTaken(&command, EdgeReason::StorageFull), NOW)
    });
    assert_row("Disconnected", ["", "", "", "", REPLACED, ""], |link| link.hear(Input::Core(&disconnected()), NOW));
    assert_row("Report", ["", "", "", "", "send", ""], |link| {
        let sent = link.session.report(Some(SessionSequence(9)), NOW);
        if sent { "send" } else { "" }.to_owned()
    });
    assert_row("Copied", ["", "", "", "", "DropCopyReport", ""], |link| {
        let range = CopyRange { account: ACCOUNT, from: ExecId(1), count: 1 };
        if let Some(streams) = &mut link.session.streams {
            streams.copying = Some(Copying { request: None, range });
        }
        link.hear(Input::Copied(Err(EdgeReason::RetransmitTooOld)), NOW)
    });
    let late = "Terminate, close KeepAliveExpired";
    assert_row("Time", [late, late, late, late, "Disconnect 0, Terminate, close KeepAliveExpired", ""], |link| {
        link.hear(Input::Time, NOW.after(Nanoseconds(10_000_000_000)))
    });
    let stopped = "Terminate, close VenueStopped";
    assert_row(
        "Ended",
        [stopped, stopped, stopped, stopped, "Disconnect 0, Terminate, close VenueStopped", ""],
        |link| link.hear(Input::Ended(TerminationCode::VenueStopped), NOW),
    );
    let lost = "close ConnectionLost";
    assert_row("Closed", [lost, lost, lost, lost, "Disconnect 0, close ConnectionLost", ""], |link| {
        link.hear(Input::Closed, NOW)
    });
}

#[test]
fn a_login_that_is_not_proved_is_refused_and_never_reaches_the_core() {
    let reason = |request: &Negotiate, now| {
        let mut link = Link::new();
        let mut actions = Vec::new();
        let bytes = egress::frame(request);
        let input = Input::Frame(Frame::split(&bytes).unwrap().0);
        link.session.handle(input, now, &mut link.view, &mut actions);
        let [Action::Send(frame), Action::Record(failed), Action::Close(_)] = &actions[..] else {
            panic!("{actions:?}")
        };
        let reason = Frame::split(frame).unwrap().0.decode::<NegotiationReject>().unwrap().reject_reason;
        assert_eq!(*failed, FailedLogin { address: ADDRESS, key: request.key_id, reason });
        reason
    };
    let unknown = Negotiate { key_id: wire::KeyId(6), ..negotiate() };
    assert_eq!(reason(&unknown, NOW), engine::RejectReason::UnknownKey.into());
    let altered = Negotiate { session_version: wire::SessionVersion(4), ..negotiate() };
    assert_eq!(reason(&altered, NOW), EdgeReason::SignatureInvalid.into());
    let window = SessionLimits::DEFAULT.signature_window.0;
    for now in [NOW.0 + window + 1, NOW.0 - window - 1] {
        assert_eq!(reason(&negotiate(), Timestamp(now)), EdgeReason::TimestampOutOfWindow.into());
    }
}

/// The wall clock had been an hour ahead when a connection was last heard: it was not missed for an hour.
#[test]
fn a_wall_clock_that_is_set_judges_timestamps_and_misses_nobody() {
    let mut link = Link::new();
    let mut actions = Vec::new();
    let bytes = egress::frame(&negotiate());
    let frame = || Input::Frame(Frame::split(&bytes).unwrap().0);
    let hour = Nanoseconds(3_600_000_000_000);
    // The venue's time is an hour behind the wall, by which the timestamp is of now.
    let before = Timestamp(NOW.0 - hour.0);
    link.session = Session::new(SessionLimits::DEFAULT, ADDRESS, before);
    link.session.note_wall(NOW);
    link.session.handle(frame(), before, &mut link.view, &mut actions);
    assert!(matches!(actions[..], [Action::Submit(_)]), "{actions:?}");
    let until = before.after(SessionLimits::DEFAULT.login_time_max);
    assert_eq!(link.session.next_deadline(), until);
}

fn forged() -> Negotiate {
    Negotiate { session_version: wire::SessionVersion(4), ..negotiate() }
}

#[test]
fn who_guesses_too_often_is_refused_whatever_the_signature() {
    let refused = |reason: &str| format!("NegotiationReject, record {reason}, close Terminated");
    let mut view = view();
    let mut log_in = |address: IpAddr, request: &Negotiate| {
        let mut link = Link { session: Session::new(SessionLimits::DEFAULT, address, NOW), view: View::default() };
        core::mem::swap(&mut link.view, &mut view);
        let done = link.send(request);
        core::mem::swap(&mut link.view, &mut view);
        done
    };
    for _ in 0..6 {
        assert_eq!(log_in(ADDRESS, &forged()), refused("SignatureInvalid"));
    }
    assert_eq!(log_in(ADDRESS, &negotiate()), refused("TooManyLogins"));
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 8));
    assert_eq!(log_in(elsewhere, &negotiate()), "Negotiate 0");
}

#[test]
fn a_session_that_opens_ends_the_counting_of_guesses() {
    let mut link = Link::new();
    for _ in 0..3 {
        for _ in 0..5 {
            link.session = Session::new(SessionLimits::DEFAULT, ADDRESS, NOW);
            assert_eq!(link.send(&forged()), "NegotiationReject, record SignatureInvalid, close Terminated");
        }
        link.session = Session::new(SessionLimits::DEFAULT, ADDRESS, NOW);
        assert_eq!(link.send(&establish()), "Establish 0");
        assert_eq!(link.hear(Input::Core(&opened()), NOW), "EstablishmentAck");
    }
}

#[test]
fn a_certificate_s_key_logs_in_by_the_certificate_and_needs_no_signature() {
    const CERTIFICATE: Fingerprint = Fingerprint([3; 32]);
    let refused = "NegotiationReject, record SignatureInvalid, close Terminated";
    for (proved, expected) in
        [(None, refused), (Some(Fingerprint([4; 32])), refused), (Some(CERTIFICATE), "Negotiate 0")]
    {
        let mut link = Link::new();
        let (key, public_key) = (KeyId(6), CERTIFICATE.0);
        let command = AddKey { key, kind: KeyKind::Certificate, public_key, note: AdminNote::NONE };
        link.view.apply(&HEADER, &KeyAdded { author: KeyId::VENUE, command }.into());
        proved.into_iter().for_each(|certificate| link.session.identify(certificate));
        let unsigned = Negotiate { key_id: key.into(), signature: Signature64([0; 64]), ..negotiate() };
        assert_eq!(link.send(&unsigned), expected);
    }
    // A certificate proves nothing of other keys.
    let mut link = Link::new();
    link.session.identify(CERTIFICATE);
    assert_eq!(link.send(&forged()), refused);
}

#[test]
fn a_key_logs_in_from_its_own_addresses_alone() {
    for (network, prefix_bits, expected) in [
        ([192, 0, 2, 0], 120, "Negotiate 0"),
        ([198, 51, 100, 0], 120, "NegotiationReject, record AddressNotAllowed, close Terminated"),
    ] {
        let mut link = Link::new();
        let address = Ipv4Addr::from(network).to_ipv6_mapped().octets();
        let command = AllowAddress { key: KEY, address, prefix_bits, note: AdminNote::NONE };
        link.view.apply(&HEADER, &AddressAllowed { author: KeyId::VENUE, command }.into());
        assert_eq!(link.send(&negotiate()), expected);
        // Who does not have the key is not told where it may come from.
        link.session = Session::new(SessionLimits::DEFAULT, ADDRESS, NOW);
        assert_eq!(link.send(&forged()), "NegotiationReject, record SignatureInvalid, close Terminated");
    }
}

fn throttled(trader: Budgets) -> SessionLimits {
    SessionLimits { throttles: Throttles { trader, ..Throttles::OFF }, ..SessionLimits::DEFAULT }
}

#[test]
fn what_is_beyond_its_budget_is_refused_by_number_and_cancels_still_pass() {
    let mut link = Link::with(throttled(Budgets::of(Some(Rate::per_second(2)))));
    link.open();
    let order = wire::order_entry::NewOrderSingle {
        client_order_id: Some(wire::ClientOrderId(77)),
        ..wire::order_entry::NewOrderSingle::BLANK
    };
    let cancel = wire::order_entry::OrderCancelRequest::BLANK;
    assert_eq!([link.send(&order), link.send(&order)], ["BusinessMessageReject"; 2], "a blank order is malformed");
    let mut actions = Vec::new();
    let bytes = egress::frame(&order);
    link.session.handle(Input::Frame(Frame::split(&bytes).unwrap().0), NOW, &mut link.view, &mut actions);
    let [Action::Send(frame)] = &actions[..] else { panic!("{actions:?}") };
    let reject = Frame::split(frame).unwrap().0.decode::<BusinessMessageReject>().unwrap();
    assert_eq!(reject.reject_reason, EdgeReason::Throttled.into());
    assert_eq!(reject.answered_sequence, Some(wire::SessionSequence(8)));
    assert_eq!(reject.reference_id, Some(wire::RequestId(77)));
    assert_eq!(link.send(&cancel), "CancelOrder 9");
}

#[test]
fn a_session_that_goes_on_beyond_its_budget_ends() {
    let mut link = Link::with(throttled(Budgets::of(Some(Rate::per_second(2)))));
    link.open();
    let cancel = wire::order_entry::OrderCancelRequest::BLANK;
    let done: Vec<_> = (0..5).map(|_| link.send(&cancel)).collect();
    let gone = "BusinessMessageReject, Disconnect 0, Terminate, close Throttled";
    assert_eq!(done, ["CancelOrder 6", "CancelOrder 7", "BusinessMessageReject", "BusinessMessageReject", gone]);
}

#[test]
fn questions_have_a_budget_of_their_own_and_reports_are_asked_for_again_without_one() {
    let questions = Some(Rate::per_second(1));
    let mut link = Link::with(throttled(Budgets { questions, ..Budgets::OFF }));
    link.open();
    let question = wire::order_entry::AccountBalanceRequest::BLANK;
    assert_eq!([link.send(&question), link.send(&question)], ["BusinessMessageReject"; 2]);
    let (from_sequence, count) = (wire::SessionSequence(1), MessageCount(1));
    let request = RetransmitRequest { timestamp: wire::Timestamp(1), from_sequence, count };
    assert_eq!(link.send(&request), "reports 1+1");
    assert_eq!(link.send(&question), "BusinessMessageReject, Disconnect 0, Terminate, close Throttled");
}

#[test]
fn a_market_maker_s_budget_is_another() {
    let market_maker = Budgets::of(Some(Rate::per_second(3)));
    let throttles = Throttles { trader: Budgets::of(Some(Rate::per_second(1))), market_maker };
    for (role, passed) in [(Role::Trader, 1), (Role::MarketMaker, 3)] {
        let mut link = Link::with(SessionLimits { throttles, ..SessionLimits::DEFAULT });
        let command = GrantRole { key: KEY, role, account: AccountId(2), note: AdminNote::NONE };
        link.view.apply(&HEADER, &RoleGranted { author: KeyId::VENUE, command }.into());
        link.open();
        let cancel = wire::order_entry::OrderCancelRequest::BLANK;
        let count = (0..4).filter(|_| link.send(&cancel).starts_with("CancelOrder")).count();
        assert_eq!(count, passed, "{role:?}");
    }
}

#[test]
fn an_opening_out_of_bounds_is_refused() {
    for (request, expected) in [
        (Establish { keep_alive: Milliseconds(99), ..establish() }, EdgeReason::KeepAliveOutOfRange),
        (Establish { keep_alive: Milliseconds(60_001), ..establish() }, EdgeReason::KeepAliveOutOfRange),
        (Establish { cancel_grace: Milliseconds(3_600_001), ..establish() }, EdgeReason::GraceOutOfRange),
        (Establish { order_entry_schema_id: wire::SchemaId(9), ..establish() }, EdgeReason::UnsupportedSchema),
    ] {
        let mut link = Link::new();
        let mut actions = Vec::new();
        let bytes = egress::frame(&sign(request));
        link.session.handle(Input::Frame(Frame::split(&bytes).unwrap().0), NOW, &mut link.view, &mut actions);
        let [Action::Send(frame), Action::Record(_), Action::Close(_)] = &actions[..] else { panic!("{actions:?}") };
        let reject = Frame::split(frame).unwrap().0.decode::<EstablishmentReject>().unwrap();
        assert_eq!(reject.reject_reason, expected.into());
    }
}

/// The text that was signed has the code that was sent, which no reader of this version knows.
#[test]
fn an_opening_with_an_unknown_code_is_malformed_and_no_guess() {
    let mut link = Link::new();
    for _ in 0..20 {
        let mut actions = Vec::new();
        let cancel_on_disconnect = wire::CancelOnDisconnect::NonRepresentable;
        let bytes = egress::frame(&Establish { cancel_on_disconnect, ..establish() });
        let mut session = Session::new(SessionLimits::DEFAULT, ADDRESS, NOW);
        session.handle(Input::Frame(Frame::split(&bytes).unwrap().0), NOW, &mut link.view, &mut actions);
        let [Action::Send(frame), Action::Record(_), Action::Close(_)] = &actions[..] else { panic!("{actions:?}") };
        let reject = Frame::split(frame).unwrap().0.decode::<EstablishmentReject>().unwrap();
        assert_eq!(reject.reject_reason, EdgeReason::Malformed.into());
    }
    link.open();
    assert_eq!(link.session.state(), State::Established);
}

#[test]
fn what_the_edge_refuses_uses_up_its_number_and_a_question_has_none() {
    let mut link = Link::at(State::Established);
    let without_meaning = wire::order_entry::NewOrderSingle::BLANK;
    assert_eq!(link.send(&without_meaning), "BusinessMessageReject");
    let question = wire::order_entry::OrderStatusRequest::BLANK;
    assert_eq!(link.send(&question), "BusinessMessageReject");
    let cancel = wire::order_entry::OrderCancelRequest::BLANK;
    assert_eq!(link.send(&cancel), "CancelOrder 7");
    assert_eq!(link.send(&Sequence { next_sequence: wire::SessionSequence(3) }), "");
    assert_eq!(link.send(&cancel), "CancelOrder 3");
}

/// The last number there is was used again and again: the core dropped the orders, and their names were kept.
#[test]
fn a_stream_that_is_used_up_ends_the_session() {
    let broken = "Disconnect 0, Terminate, close ProtocolViolation";
    let mut link = Link::at(State::Established);
    assert_eq!(link.send(&Sequence { next_sequence: wire::SessionSequence(u64::MAX) }), broken);

    let mut link = Link::at(State::Established);
    let cancel = wire::order_entry::OrderCancelRequest::BLANK;
    assert_eq!(link.send(&Sequence { next_sequence: wire::SessionSequence(u64::MAX - 1) }), "");
    assert_eq!(link.send(&cancel), format!("CancelOrder {}", u64::MAX - 1));
    assert_eq!(link.send(&cancel), broken);
}

#[test]
fn a_range_that_was_never_sent_is_too_long_or_comes_twice_is_refused() {
    for (from, count, expected) in
        [(0, 1, "RetransmitReject"), (1, 0, "RetransmitReject"), (9, 1, "RetransmitReject"), (1, 8, "reports 1+8")]
    {
        let mut link = Link::at(State::Established);
        let request = RetransmitRequest {
            timestamp: wire::Timestamp(1),
            from_sequence: wire::SessionSequence(from),
            count: MessageCount(count),
        };
        assert_eq!(link.send(&request), expected, "{from}+{count}");
        if expected.starts_with("reports") {
            assert_eq!(link.send(&request), "RetransmitReject");
            let found = Ok(vec![egress::frame(&Sequence { next_sequence: wire::SessionSequence(1) })]);
            assert_eq!(link.hear(Input::Recovered(found), NOW), "Retransmission, Sequence");
            assert_eq!(link.send(&request), expected);
        }
    }
}

/// A key that an account's reports are copied to, of which there were four when its session opened.
fn reader() -> (Link, String) {
    let mut link = Link::at(State::Establishing);
    let grant = command::GrantRole { key: KEY, role: Role::DropCopy, account: ACCOUNT, note: AdminNote::NONE };
    link.view.apply(&HEADER, &RoleGranted { author: KeyId::VENUE, command: grant }.into());
    for exec_id in (1..=4).map(ExecId) {
        let (report_number, client_sequence) = Default::default();
        let session = SessionId(8);
        let report = engine::event::Report { account: ACCOUNT, session, exec_id, report_number, client_sequence };
        let (client_order_id, instrument) = (ClientOrderId::NONE, engine::InstrumentId::NONE);
        let (side, entered_by, reason) = (None, SessionId::NONE, engine::RejectReason::UnknownSession);
        let event = MassCancelRejected { report, client_order_id, instrument, side, entered_by, reason };
        link.view.apply(&HEADER, &event.into());
    }
    let told = link.hear(Input::Core(&opened()), NOW);
    (link, told)
}

fn copies(from: u64, count: u32) -> DropCopyRequest {
    let (from, count) = (wire::ExecutionId(from), OrderCount(count));
    DropCopyRequest { account: ACCOUNT.into(), request_id: Some(RequestId(9)), from, count }
}

/// The one report that comes back.
fn answered(link: &mut Link, input: Input<'_>) -> DropCopyReport {
    let mut actions = Vec::new();
    link.session.handle(input, NOW, &mut link.view, &mut actions);
    let [Action::Send(frame), ..] = &actions[..] else { panic!("{actions:?}") };
    Frame::split(frame).unwrap().0.decode().unwrap()
}

#[test]
fn a_reader_of_copies_is_told_where_they_stand_and_gets_them_again() {
    let (mut link, told) = reader();
    assert_eq!(told, "EstablishmentAck, DropCopyReport");
    for (from, count, reason) in [
        (0, 1, EdgeReason::RetransmitRangeInvalid),
        (1, 0, EdgeReason::RetransmitRangeInvalid),
        (5, 1, EdgeReason::RetransmitRangeInvalid),
        (1, 1_001, EdgeReason::RetransmitTooLong),
    ] {
        let bytes = egress::frame(&copies(from, count));
        let report = answered(&mut link, Input::Frame(Frame::split(&bytes).unwrap().0));
        assert_eq!((report.reject_reason, report.request_id), (Some(reason.into()), Some(RequestId(9))));
        assert_eq!((report.next, report.from, report.count), (wire::ExecutionId(5), None, OrderCount(0)));
    }
    // No more than there are, and one at a time.
    assert_eq!(link.send(&copies(3, 1_000)), "copies of 2 3+2");
    let bytes = egress::frame(&copies(1, 1));
    let report = answered(&mut link, Input::Frame(Frame::split(&bytes).unwrap().0));
    assert_eq!(report.reject_reason, Some(EdgeReason::RetransmitInProgress.into()));
    let found = vec![egress::frame(&wire::order_entry::ExecutionReport::BLANK); 2];
    let report = answered(&mut link, Input::Copied(Ok(found)));
    assert_eq!((report.from, report.count), (Some(wire::ExecutionId(3)), OrderCount(2)));
    assert_eq!((report.reject_reason, report.request_id), (None, Some(RequestId(9))));
    assert_eq!(link.send(&copies(1, 1)), "copies of 2 1+1");
    let report = answered(&mut link, Input::Copied(Err(EdgeReason::RetransmitTooOld)));
    assert_eq!(report.reject_reason, Some(EdgeReason::RetransmitTooOld.into()));
}

#[test]
fn copies_that_were_asked_for_are_not_sent_once_the_right_is_gone() {
    let (mut link, _) = reader();
    assert_eq!(link.send(&copies(1, 1)), "copies of 2 1+1");
    let command = command::RevokeRole { key: KEY, role: Role::DropCopy, account: ACCOUNT, note: AdminNote::NONE };
    link.view.apply(&HEADER, &RoleRevoked { author: KeyId::VENUE, command }.into());
    let report = answered(&mut link, Input::Copied(Ok(vec![])));
    assert_eq!(report.reject_reason, Some(engine::RejectReason::NotEntitled.into()));
    assert_eq!(link.send(&copies(1, 1)), "BusinessMessageReject");
}

#[test]
fn a_silent_venue_sends_its_heartbeat_and_a_silent_client_is_ended() {
    let mut link = Link::at(State::Established);
    let second = 1_000_000_000;
    assert_eq!(link.session.next_deadline(), NOW.after(Nanoseconds(second)));
    assert_eq!(link.hear(Input::Time, NOW.after(Nanoseconds(second - 1))), "");
    assert_eq!(link.hear(Input::Time, NOW.after(Nanoseconds(second))), "Sequence");
    let expired = "Disconnect 0, Terminate, close KeepAliveExpired";
    assert_eq!(link.hear(Input::Time, NOW.after(Nanoseconds(2 * second))), expired);
}

#[test]
fn an_opening_that_is_granted_to_a_lost_connection_is_taken_back() {
    let mut link = Link::at(State::Establishing);
    assert_eq!(link.hear(Input::Closed, NOW), "close ConnectionLost");
    assert!(link.session.owes_answer());
    assert_eq!(link.hear(Input::Core(&opened()), NOW), "Disconnect 0");
    assert!(!link.session.owes_answer());
}

//! Connections that try to log in, with whatever keys, texts, times and old bytes they have: who did not sign just that, and
//! just now, is never passed on to the core, and no bytes open a session twice.
//!
//! What is signed is written here a second time, from the published page, and not by the codec.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ed25519_dalek::{Signer, SigningKey};
use engine::command::*;
use engine::{
    AccountId, Capacity, Command, CommandBody, Engine, Event, EventHeader, KeyId, Nanoseconds, Sequenced, SessionId,
    Stamp, StpGroup, Timestamp,
};
use gateway::egress;
use gateway::session::{Action, Input, Session, SessionLimits, State};
use gateway::view::View;
use wire::session::{Establish, Negotiate, SessionMessage};
use wire::{Block, Frame, Signature64};

use crate::frames::Choices;

const START: Timestamp = Timestamp(1_790_000_000_000_000_000);
const WINDOW: Nanoseconds = SessionLimits::DEFAULT.signature_window;
const ACCOUNT: AccountId = AccountId(2);
/// The last is not known to the venue.
const KEYS: [KeyId; 3] = [KeyId(5), KeyId(6), KeyId(9)];
const SESSIONS: [SessionId; 2] = [SessionId(7), SessionId(8)];

/// Each connection comes from another, so that guesses lock nobody out.
fn address(connection: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(connection))
}

fn signing_key(key: KeyId) -> SigningKey {
    SigningKey::from_bytes(&[u8::try_from(key.0).expect("a small number"); 32])
}

/// Runs an input.
///
/// # Panics
/// If a promise does not hold.
pub fn check(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut world = World::new();
    while !choices.is_over() {
        world.step(&mut choices);
    }
}

struct World {
    now: Timestamp,
    engine: Engine,
    view: View,
    link: Session,
    connections: u32,
    /// Every text that a key has signed.
    signed: BTreeSet<(KeyId, String)>,
    revoked: BTreeSet<KeyId>,
    /// Every frame that was sent.
    recorded: Vec<Vec<u8>>,
    /// Every opening that was granted: session, login and nonce.
    granted: BTreeSet<(u64, u64, u64)>,
    /// The nonce of the last opening that was passed on.
    nonce: u64,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: START,
            engine: Engine::new(Capacity::SMALL),
            view: View::default(),
            link: Session::new(SessionLimits::DEFAULT, address(0), START),
            connections: 0,
            signed: BTreeSet::new(),
            revoked: BTreeSet::new(),
            recorded: Vec::new(),
            granted: BTreeSet::new(),
            nonce: 0,
        };
        let note = AdminNote::NONE;
        let (stp_group, self_trade_prevention, fee_tier) = (StpGroup::NONE, None, 0);
        let open = OpenAccount { account: ACCOUNT, stp_group, self_trade_prevention, fee_tier, note };
        world.apply(Command::from_venue(open));
        for key in [KEYS[0], KEYS[1]] {
            let public_key = signing_key(key).verifying_key().to_bytes();
            world.apply(Command::from_venue(AddKey { key, kind: KeyKind::Ed25519, public_key, note }));
            let grant = GrantRole { key, role: Role::Trader, account: ACCOUNT, note };
            world.apply(Command::from_venue(grant));
        }
        world
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(8) {
            0 => self.connect(),
            1 | 2 => self.negotiate(choices),
            3 | 4 => self.establish(choices),
            5 => {
                let index = usize::from(choices.byte());
                if let Some(frame) = self.recorded.get(index % self.recorded.len().max(1)).cloned() {
                    self.send(&frame);
                }
            }
            6 => self.now = self.now.after(Nanoseconds(choices.one_of(&[1, 1_000_000_000, WINDOW.0, 60_000_000_000]))),
            _ => self.revoke(choices.one_of(&KEYS)),
        }
    }

    fn connect(&mut self) {
        self.hear(Input::Closed);
        self.connections += 1;
        self.link = Session::new(SessionLimits::DEFAULT, address(self.connections), self.now);
    }

    fn revoke(&mut self, key: KeyId) {
        self.revoked.insert(key);
        self.apply(Command::from_venue(RevokeKey { key, note: AdminNote::NONE }));
    }

    /// A time near the edges of the window.
    fn timestamp(&self, choices: &mut Choices<'_>) -> wire::Timestamp {
        let now = self.now.0;
        let near = [now, now - WINDOW.0, now + WINDOW.0, now - WINDOW.0 - 1, now + WINDOW.0 + 1, 0, u64::MAX];
        wire::Timestamp(choices.one_of(&near))
    }

    fn negotiate(&mut self, choices: &mut Choices<'_>) {
        let mut request = Negotiate {
            session_id: choices.one_of(&SESSIONS).into(),
            session_version: wire::SessionVersion(choices.below(4)),
            key_id: choices.one_of(&KEYS).into(),
            timestamp: self.timestamp(choices),
            signature: Signature64([0; 64]),
        };
        let signer = choices.one_of(&KEYS);
        request.signature = self.sign(signer, text_of_negotiate(&request));
        self.tamper_and_send(egress::frame(&request).into_vec(), choices);
    }

    fn establish(&mut self, choices: &mut Choices<'_>) {
        let mut request = Establish {
            session_id: choices.one_of(&SESSIONS).into(),
            session_version: wire::SessionVersion(choices.below(4)),
            key_id: choices.one_of(&KEYS).into(),
            nonce: wire::Nonce(choices.below(8)),
            timestamp: self.timestamp(choices),
            next_sequence: wire::SessionSequence(1),
            keep_alive: wire::Milliseconds(1_000),
            order_entry_schema_id: wire::order_entry::SCHEMA.id,
            cancel_on_disconnect: wire::CancelOnDisconnect::Keep,
            ..Establish::BLANK
        };
        let signer = choices.one_of(&KEYS);
        request.signature = self.sign(signer, text_of_establish(&request));
        self.tamper_and_send(egress::frame(&request).into_vec(), choices);
    }

    fn sign(&mut self, signer: KeyId, text: String) -> Signature64 {
        let signature = signing_key(signer).sign(text.as_bytes());
        self.signed.insert((signer, text));
        Signature64(signature.to_bytes())
    }

    /// Changes a byte behind the headers, or none.
    fn tamper_and_send(&mut self, mut frame: Vec<u8>, choices: &mut Choices<'_>) {
        let (place, bits) = (usize::from(choices.byte()), choices.byte());
        let block = &mut frame[14..];
        let place = place % block.len();
        block[place] ^= bits;
        self.send(&frame);
    }

    fn send(&mut self, bytes: &[u8]) {
        self.recorded.push(bytes.to_vec());
        let (frame, _) = Frame::split(bytes).expect("a frame");
        let before = self.link.state();
        let proved = self.is_proved(frame);
        let passed_on = self.hear(Input::Frame(frame));
        assert!(!passed_on || proved, "passed on without proof: {:?}", SessionMessage::try_from(frame));
        let is_login = matches!(SessionMessage::try_from(frame), Ok(SessionMessage::Negotiate(_)));
        assert!(passed_on || !(proved && is_login && before == State::Connected), "a proved login is refused");
    }

    /// Whether a frame's sender has the key, and signed just this, just now.
    fn is_proved(&self, frame: Frame<'_>) -> bool {
        let (session, key, timestamp, signature, text) = match SessionMessage::try_from(frame) {
            Ok(SessionMessage::Negotiate(it)) => {
                (it.session_id, it.key_id, it.timestamp, it.signature, text_of_negotiate(&it))
            }
            Ok(SessionMessage::Establish(it)) => {
                (it.session_id, it.key_id, it.timestamp, it.signature, text_of_establish(&it))
            }
            _ => return false,
        };
        let Ok(key) = KeyId::try_from(key) else { return false };
        let is_known = KEYS[..2].contains(&key) && !self.revoked.contains(&key);
        let is_now = timestamp.0.abs_diff(self.now.0) <= WINDOW.0;
        let is_genuine = || signing_key(key).sign(text.as_bytes()).to_bytes() == signature.0;
        let was_signed = self.signed.contains(&(key, text.clone())) && is_genuine();
        is_known && is_now && was_signed && SessionId::try_from(session).is_ok()
    }

    /// Whether a login was passed on to the core.
    fn hear(&mut self, input: Input<'_>) -> bool {
        let mut actions = Vec::new();
        self.link.handle(input, self.now, &mut self.view, &mut actions);
        let mut passed_on = false;
        for action in actions {
            if let Action::Submit(command) = action {
                passed_on |= !matches!(command.body, CommandBody::Disconnect(_));
                if let CommandBody::Establish(establish) = &command.body {
                    self.nonce = establish.nonce.0;
                }
                self.apply(command);
            }
        }
        passed_on
    }

    fn apply(&mut self, command: Command) {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: self.now };
        let mut events: Vec<(EventHeader, Event)> = Vec::new();
        self.engine.apply(&Sequenced { stamp, value: command }, &mut events);
        for (header, event) in events {
            self.view.apply(&header, &event);
            match &event {
                Event::SessionEstablished(opened) => {
                    let opening = (u64::from(opened.session.0), opened.version.0, self.nonce);
                    assert!(self.granted.insert(opening), "{opening:?} was granted before");
                    self.hear(Input::Core(&event));
                }
                Event::SessionNegotiated(_) | Event::SessionRejected(_) => {
                    self.hear(Input::Core(&event));
                }
                _ => {}
            }
        }
    }
}

fn text_of_negotiate(it: &Negotiate) -> String {
    format!(
        "Rialto Negotiate 1\nSessionID={}\nSessionVerID={}\nKeyID={}\nTimestamp={}\n",
        it.session_id.0, it.session_version.0, it.key_id.0, it.timestamp.0
    )
}

fn text_of_establish(it: &Establish) -> String {
    format!(
        "Rialto Establish 1\nSessionID={}\nSessionVerID={}\nKeyID={}\nNonce={}\nTimestamp={}\nNextSeqNo={}\n\
         KeepAliveInterval={}\nCODTimeoutWindow={}\nOrderEntrySchemaID={}\nOrderEntrySchemaVersion={}\n\
         SessionSchemaVersion={}\nCancelOnDisconnectType={}\n",
        it.session_id.0,
        it.session_version.0,
        it.key_id.0,
        it.nonce.0,
        it.timestamp.0,
        it.next_sequence.0,
        it.keep_alive.0,
        it.cancel_grace.0,
        it.order_entry_schema_id.0,
        it.order_entry_schema_version.0,
        it.session_schema_version.0,
        it.cancel_on_disconnect as u8
    )
}

/// Inputs to begin with: a login and an opening as they should be, each once with something wrong, and each sent again.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let negotiate = [1, 0, 1, 0, 0, 0, 0, 0];
    let establish = [3, 0, 1, 0, 1, 0, 0, 0, 0];
    let opened = [&negotiate[..], &establish].concat();
    vec![
        ("opened".to_owned(), opened.clone()),
        ("replayed".to_owned(), [&opened[..], &[0, 5, 0, 0, 5, 1]].concat()),
        ("late".to_owned(), [&opened[..], &[0, 6, 2, 5, 0, 6, 1, 0, 5, 1]].concat()),
        ("tampered".to_owned(), [&[1, 0, 1, 0, 0, 0, 8, 3][..], &[0], &[3, 0, 1, 0, 1, 0, 0, 24, 1]].concat()),
        ("revoked".to_owned(), [&[7, 0][..], &opened].concat()),
        ("strangers".to_owned(), [[1, 0, 1, 0, 0, 1, 0, 0], [0, 1, 0, 1, 0, 0, 2, 0]].concat()),
    ]
}

//! One who may come in, and whose program is wrong in every way that a program can be.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use client::session::Session;
use client::{Credentials, Options, Resume};
use engine::{AccountId, KeyId, SessionId};
use testkit::random::Random;
use wire::order_entry::{ExecutionReport, NewOrderSingle, OrderMassStatusRequest};
use wire::session::{Establish, Negotiate, RetransmitRequest, Sequence, SessionMessage, Terminate};
use wire::{
    Block, CancelOnDisconnect, ClientOrderId, Flat, Message, MessageCount, Milliseconds, OrderType, Price, Quantity,
    RequestId, SessionSequence, SessionVersion, Side, Signature64, TerminationCode, TimeInForce, Timestamp,
};

use crate::marks::Marks;
use crate::network::{WireId, Wires};
use crate::strangers::Ear;
use crate::traders::key_of;

/// Its session.
pub const INSIDER: SessionId = SessionId(6);
/// Its key, which is a trader's too.
const KEY: KeyId = KeyId(2);

/// The insider.
pub struct Insider {
    random: Random,
    connection: Option<Connection>,
    /// A connection that it still has, and has forgotten.
    former: Option<(WireId, Ear)>,
    rests_until: u64,
    named: u64,
}

struct Connection {
    wire: WireId,
    session: Session,
    ear: Ear,
    out: VecDeque<u8>,
    since: u64,
}

impl Insider {
    /// It has not come yet.
    pub fn new(random: Random) -> Self {
        Self { random, connection: None, former: None, rests_until: 0, named: 1 << 40 }
    }

    /// It goes, for now.
    pub fn leave(&mut self, wires: &Wires) {
        let former = self.former.take().map(|(wire, _)| wire);
        let own = self.connection.take().map(|connection| connection.wire);
        former.into_iter().chain(own).for_each(|wire| wires.close(wire));
    }

    /// It does something.
    pub fn turn(&mut self, now: u64, wires: &Wires, marks: &mut Marks) {
        if self.connection.is_none() && now >= self.rests_until {
            self.come(now, wires);
        }
        if self.connection.is_some() && self.random.percent(20) {
            self.say_something(now);
        }
        if self.random.percent(1) {
            self.come_again(wires);
        }
        self.hear_former(wires, marks);
        if !self.go_on(now, wires, marks) {
            self.leave(wires);
            self.rests_until = now + self.random.between(1, 3_000) * 1_000_000;
        }
    }

    /// It forgets that it is there, and comes once more.
    fn come_again(&mut self, wires: &Wires) {
        let Some(Connection { wire, ear, .. }) = self.connection.take() else { return };
        if let Some((former, _)) = self.former.replace((wire, ear)) {
            wires.close(former);
        }
    }

    fn hear_former(&mut self, wires: &Wires, marks: &mut Marks) {
        let Some((wire, ear)) = &mut self.former else { return };
        let mut buffer = [0; 4_096];
        match wires.read(*wire, &mut buffer) {
            Ok(count) if count > 0 => ear.hear(&buffer[..count], marks),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Ok(_) | Err(_) => {
                wires.close(*wire);
                self.former = None;
            }
        }
    }

    /// A login that is right, or wrong in one way.
    fn come(&mut self, now: u64, wires: &Wires) {
        let random = &mut self.random;
        let Some(wire) = wires.connect(Ipv4Addr::new(10, 0, 1, 6).into()) else { return };
        let mut options = Options {
            keep_alive: Milliseconds(1_000),
            cancel_on_disconnect: CancelOnDisconnect::Cancel,
            cancel_grace: Milliseconds(0),
        };
        let (mut session, mut resume, mut time) = (INSIDER, Resume::Anew(SessionVersion(now)), now);
        match random.below(14) {
            0 => options.keep_alive = Milliseconds(1),
            1 => options.keep_alive = Milliseconds(10_000_000),
            2 => options.cancel_grace = Milliseconds(u32::MAX),
            3 => resume = Resume::Anew(SessionVersion(1)),
            4 => {
                let (version, next_report) = (SessionVersion(now), SessionSequence(1));
                resume = Resume::From { version, next_report };
            }
            5 => session = SessionId(random.between(1, 2) as u32),
            6 => session = random.one_of(&[SessionId(16), SessionId(17), SessionId(15)]),
            7 => time = now.saturating_sub(3_600_000_000_000),
            _ => {}
        }
        let credentials = Credentials { session: session.into(), key: KEY.into(), signing_key: key_of(KEY) };
        let session = Session::new(credentials, options, resume, Timestamp(time));
        self.connection = Some(Connection { wire, session, ear: Ear::default(), out: VecDeque::new(), since: now });
    }

    /// A message that is wrong, or right at the wrong time.
    fn say_something(&mut self, now: u64) {
        let Self { random, connection: Some(connection), named, .. } = self else { return };
        let (out, session, time) = (&mut connection.out, &mut connection.session, Timestamp(now));
        let (session_id, session_version, key_id) = (INSIDER.into(), SessionVersion(now), KEY.into());
        let order = NewOrderSingle {
            account: AccountId(6).into(),
            security_id: wire::SecurityId(random.between(1, 4)),
            price: Some(Price(random.between(60, 140) as i64)),
            order_quantity: Some(Quantity(random.between(1, 5) as i64)),
            side: random.one_of(&[Side::Buy, Side::Sell]),
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            ..NewOrderSingle::BLANK
        };
        let mut numbered = || {
            *named += 1;
            NewOrderSingle { client_order_id: Some(ClientOrderId(*named)), ..order }
        };
        let retransmit = |from, count| RetransmitRequest {
            timestamp: time,
            from_sequence: SessionSequence(from),
            count: MessageCount(count),
        };
        match random.below(17) {
            0 => say(out, &retransmit(0, 0)),
            1 => say(out, &retransmit(1, 5_000)),
            2 => say(out, &retransmit(1 << 40, 3)),
            3 => (0..3).for_each(|_| say(out, &retransmit(1, 1))),
            4 => {
                session.send(&NewOrderSingle { side: Side::NonRepresentable, ..numbered() }, time);
            }
            5 => say(out, &ExecutionReport::BLANK),
            6 => {
                say(out, &numbered());
                // Another schema: behind length, encoding, block length and template.
                let at = out.len() - NewOrderSingle::FRAME_LENGTH + 10;
                out[at] ^= 0x7F;
            }
            7 => (0..random.between(5, 400)).for_each(|_| _ = session.send(&numbered(), time)),
            8 if random.percent(20) => session.terminate(time),
            9 => say(out, &Sequence { next_sequence: SessionSequence(random.below(2_000)) }),
            10 if random.percent(20) => {
                let signature = Signature64([7; 64]);
                say(out, &Negotiate { session_id, session_version, key_id, timestamp: time, signature });
            }
            11 => (0..random.between(1, 30)).for_each(|_| {
                let (account, request_id) = (AccountId(6).into(), Some(RequestId(1)));
                session.ask(&OrderMassStatusRequest { account, request_id, security_id: None }, time);
            }),
            12 if random.percent(10) => out.extend([0xFF; 40]),
            13 if random.percent(20) => {
                say(out, &Establish { session_id, session_version, key_id, timestamp: time, ..Establish::BLANK });
            }
            // Whether or not it is open for that.
            14 => say(out, &OrderMassStatusRequest { account: AccountId(6).into(), ..OrderMassStatusRequest::BLANK }),
            15 if random.percent(10) => {
                say(out, &Terminate { session_id, session_version, code: TerminationCode::Terminated });
            }
            _ => _ = session.send(&numbered(), time),
        }
    }

    /// Reads, and writes; false if the connection is over.
    fn go_on(&mut self, now: u64, wires: &Wires, marks: &mut Marks) -> bool {
        let Some(connection) = &mut self.connection else { return true };
        let mut buffer = [0; 4_096];
        // It reads seldom: who is told much has to wait for it.
        if self.random.percent(60) {
            match wires.read(connection.wire, &mut buffer) {
                Ok(0) => return false,
                Ok(count) => connection.take(&buffer[..count], now, marks),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
        connection.out.extend(connection.session.take_out());
        while !connection.out.is_empty() {
            let (front, _) = connection.out.as_slices();
            match wires.write(connection.wire, front) {
                Ok(count) => drop(connection.out.drain(..count)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        now < connection.since + 20_000_000_000
    }
}

impl Connection {
    fn take(&mut self, bytes: &[u8], now: u64, marks: &mut Marks) {
        self.ear.hear_frames(bytes, |frame| {
            if let Ok(SessionMessage::RetransmitReject(reject)) = frame.try_into() {
                marks.refused(reject.reject_reason);
            }
            // Whatever its own program makes of it.
            let _ = self.session.frame(frame, Timestamp(now));
        });
        while let Some(news) = self.session.next_news() {
            marks.news(&news);
        }
    }
}

fn say<M: Flat>(out: &mut VecDeque<u8>, message: &M) {
    let mut bytes = vec![0; M::FRAME_LENGTH];
    wire::encode(message, &mut bytes).expect("the buffer is as long as the frame");
    out.extend(bytes);
}

//! Strangers at the door: who guess, who garble, who send again what others sent, and who say nothing and stay.

use std::net::{IpAddr, Ipv4Addr};

use client::session::Session;
use client::{Credentials, Options, Resume, SigningKey};
use engine::{KeyId, SessionId};
use testkit::random::Random;
use wire::frame::SESSION_FRAME_MAX;
use wire::session::SessionMessage;
use wire::{Frame, FrameDecoder, SessionVersion, Timestamp};

use crate::marks::{Group, Marks};
use crate::network::{WireId, Wires};
use crate::traders::Sent;

/// Connections that a flood has at once.
const FLOOD_MAX: usize = 60;

/// Hears what a stranger is told.
#[derive(Default)]
pub struct Ear(FrameDecoder<SESSION_FRAME_MAX>);

impl Ear {
    /// Some bytes, whose whole frames are taken.
    pub fn hear_frames(&mut self, mut bytes: &[u8], mut take: impl FnMut(Frame<'_>)) {
        while !bytes.is_empty() {
            let taken = self.0.push(bytes);
            bytes = &bytes[taken..];
            while let Ok(Some(frame)) = self.0.next_frame() {
                take(frame);
            }
            if taken == 0 {
                return;
            }
        }
    }

    /// Some bytes, of which it is noted what they refuse and end.
    pub fn hear(&mut self, bytes: &[u8], marks: &mut Marks) {
        self.hear_frames(bytes, |frame| match SessionMessage::try_from(frame) {
            Ok(SessionMessage::NegotiationReject(reject)) => marks.refused(reject.reject_reason),
            Ok(SessionMessage::EstablishmentReject(reject)) => marks.refused(reject.reject_reason),
            Ok(SessionMessage::RetransmitReject(reject)) => marks.refused(reject.reject_reason),
            Ok(SessionMessage::Terminate(end)) => marks.hit(Group::Termination, format!("{:?}", end.code)),
            Ok(_) | Err(_) => {}
        });
    }
}

/// All of them.
pub struct Strangers {
    random: Random,
    open: Vec<(WireId, Vec<u8>, Ear)>,
    silent: Vec<WireId>,
}

impl Strangers {
    /// Nobody yet.
    pub fn new(random: Random) -> Self {
        Self { random, open: Vec::new(), silent: Vec::new() }
    }

    fn address(&mut self) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, self.random.between(1, 3) as u8).into()
    }

    /// Somebody comes who lies.
    pub fn lie(&mut self, now: u64, wires: &Wires, sent: &Sent) {
        let address = self.address();
        let Some(wire) = wires.connect(address) else { return };
        let bytes = match self.random.below(4) {
            0 => self.garbage(),
            1 if !sent.overheard.is_empty() => {
                let which = self.random.below(sent.overheard.len() as u64) as usize;
                sent.overheard[which].clone()
            }
            2 if !sent.overheard.is_empty() => {
                let which = self.random.below(sent.overheard.len() as u64) as usize;
                let mut bytes = sent.overheard[which].clone();
                for _ in 0..self.random.between(1, 4) {
                    let at = self.random.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << self.random.below(8);
                }
                bytes
            }
            _ => self.guess(now),
        };
        self.open.push((wire, bytes, Ear::default()));
    }

    /// A login of somebody else's session with a key that is not theirs.
    fn guess(&mut self, now: u64) -> Vec<u8> {
        let key = KeyId(self.random.between(1, 5) as u32);
        let mut secret = [0; 32];
        secret.iter_mut().for_each(|byte| *byte = self.random.below(256) as u8);
        let credentials = Credentials {
            session: SessionId(self.random.between(1, 5) as u32).into(),
            key: key.into(),
            signing_key: SigningKey::from_bytes(&secret),
        };
        let time = Timestamp(now);
        let mut session = Session::new(credentials, Options::DEFAULT, Resume::Anew(SessionVersion(now)), time);
        session.take_out()
    }

    fn garbage(&mut self) -> Vec<u8> {
        (0..self.random.between(1, 3_000)).map(|_| self.random.below(256) as u8).collect()
    }

    /// Many come, and say nothing, or a byte now and then.
    pub fn flood(&mut self, wires: &Wires) {
        for _ in 0..self.random.between(5, 30) {
            if self.silent.len() >= FLOOD_MAX {
                return;
            }
            let address = self.address();
            self.silent.extend(wires.connect(address));
        }
    }

    /// They go on.
    pub fn turn(&mut self, wires: &Wires, marks: &mut Marks) {
        let mut buffer = [0; 2_048];
        self.open.retain_mut(|(wire, bytes, ear)| {
            let is_gone = loop {
                match wires.read(*wire, &mut buffer) {
                    Ok(0) => break true,
                    Ok(count) => ear.hear(&buffer[..count], marks),
                    Err(error) => break error.kind() != std::io::ErrorKind::WouldBlock,
                }
            };
            if !bytes.is_empty() && !is_gone {
                match wires.write(*wire, bytes) {
                    Ok(count) => drop(bytes.drain(..count)),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => bytes.clear(),
                }
            }
            if is_gone {
                wires.close(*wire);
            }
            !is_gone
        });
        let random = &mut self.random;
        self.silent.retain(|wire| {
            let is_gone = match wires.read(*wire, &mut buffer) {
                Ok(count) => count == 0,
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
            };
            if !is_gone && random.percent(1) {
                let _ = wires.write(*wire, &[random.below(256) as u8]);
            }
            if is_gone {
                wires.close(*wire);
            }
            !is_gone
        });
    }

    /// All of them go.
    pub fn leave(&mut self, wires: &Wires) {
        self.open.drain(..).for_each(|(wire, _, _)| wires.close(wire));
        self.silent.drain(..).for_each(|wire| wires.close(wire));
    }
}

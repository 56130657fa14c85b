//! Strangers at the door: who guess, who garble, who send again what others sent, and who say nothing and stay.

use std::net::{IpAddr, Ipv4Addr};

use client::session::Session;
use client::{Credentials, Options, Resume, SigningKey};
use engine::{KeyId, SessionId};
use testkit::random::Random;
use wire::{SessionVersion, Timestamp};

use crate::network::{WireId, Wires};
use crate::traders::Sent;

/// Connections that a flood has at once.
const FLOOD_MAX: usize = 60;

/// All of them.
pub struct Strangers {
    random: Random,
    open: Vec<(WireId, Vec<u8>)>,
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
        self.open.push((wire, bytes));
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
    pub fn turn(&mut self, wires: &Wires) {
        let mut buffer = [0; 2_048];
        self.open.retain_mut(|(wire, bytes)| {
            let is_gone = loop {
                match wires.read(*wire, &mut buffer) {
                    Ok(0) => break true,
                    Ok(_) => {}
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
        self.open.drain(..).for_each(|(wire, _)| wires.close(wire));
        self.silent.drain(..).for_each(|wire| wires.close(wire));
    }
}

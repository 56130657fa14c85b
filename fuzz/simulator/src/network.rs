//! Connections as a trader and a venue have them: bytes in order, late, in pieces; cut, or gone without a word.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::rc::Rc;

use gateway::transport::{Found, Network};
use testkit::random::Random;

/// Bytes that a direction takes before somebody reads.
const WINDOW: usize = 32 << 10;

/// A connection's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WireId(u64);

/// How a connection ends from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Both ends are told.
    Reset,
    /// Nobody is told: whatever is sent vanishes.
    HalfOpen,
}

/// All connections of a world. Clones are the same ones.
#[derive(Clone)]
pub struct Wires(Rc<RefCell<State>>);

struct State {
    random: Random,
    now_ns: u64,
    delay_max_ns: u64,
    next: u64,
    /// None: nobody listens.
    waiting: Option<VecDeque<WireId>>,
    all: BTreeMap<WireId, Wire>,
}

struct Wire {
    address: IpAddr,
    place: Option<usize>,
    up: Lane,
    down: Lane,
}

/// One direction.
#[derive(Default)]
struct Lane {
    /// When what arrives, in order.
    on_its_way: VecDeque<(u64, Vec<u8>)>,
    arrived: VecDeque<u8>,
    /// Its sender says nothing more; behind what is on its way.
    ended: bool,
    /// It was cut, and both ends are told.
    reset: bool,
    /// What is sent vanishes.
    silent: bool,
    /// Its sender was told to wait.
    was_full: bool,
    last_due: u64,
    in_flight: usize,
}

impl Lane {
    fn room(&self) -> usize {
        WINDOW.saturating_sub(self.arrived.len() + self.in_flight)
    }

    fn send(&mut self, bytes: &[u8], now: u64, delay_max: u64, random: &mut Random) -> io::Result<usize> {
        if self.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let taken = &bytes[..bytes.len().min(self.room())];
        if taken.is_empty() && !bytes.is_empty() {
            self.was_full = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        if self.silent {
            // It fills: nobody takes it.
            self.in_flight += taken.len();
            return Ok(taken.len());
        }
        let mut rest = taken;
        while !rest.is_empty() {
            let length = if random.percent(70) { rest.len() } else { random.between(1, rest.len() as u64) as usize };
            let (piece, behind) = rest.split_at(length);
            self.last_due = self.last_due.max(now + random.between(0, delay_max));
            self.on_its_way.push_back((self.last_due, piece.to_vec()));
            rest = behind;
        }
        self.in_flight += taken.len();
        Ok(taken.len())
    }

    fn arrive(&mut self, now: u64) {
        while let Some((_, piece)) = self.on_its_way.pop_front_if(|(due, _)| *due <= now) {
            self.in_flight -= piece.len();
            self.arrived.extend(piece);
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let count = self.arrived.read(bytes)?;
        if count > 0 || bytes.is_empty() {
            return Ok(count);
        }
        if self.is_over() { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    fn is_over(&self) -> bool {
        self.reset || self.ended && self.on_its_way.is_empty() && self.arrived.is_empty() && !self.silent
    }

    fn has_something(&self) -> bool {
        !self.arrived.is_empty() || self.is_over()
    }
}

impl Wires {
    /// A network whose pieces take at most so long.
    pub fn new(seed: u64, delay_max_ns: u64) -> Self {
        let random = Random::new(seed);
        Self(Rc::new(RefCell::new(State {
            random,
            now_ns: 0,
            delay_max_ns,
            next: 0,
            waiting: None,
            all: BTreeMap::new(),
        })))
    }

    /// Somebody listens from now on.
    pub fn listen(&self) {
        self.0.borrow_mut().waiting = Some(VecDeque::new());
    }

    /// From now on pieces take at most so long.
    pub fn set_delay_max(&self, delay_max_ns: u64) {
        self.0.borrow_mut().delay_max_ns = delay_max_ns;
    }

    /// It is that time.
    pub fn arrive(&self, now_ns: u64) {
        let mut state = self.0.borrow_mut();
        state.now_ns = now_ns;
        for wire in state.all.values_mut() {
            wire.up.arrive(now_ns);
            wire.down.arrive(now_ns);
        }
    }

    /// Connects from an address; none: nobody listens.
    pub fn connect(&self, address: IpAddr) -> Option<WireId> {
        let mut state = self.0.borrow_mut();
        let id = WireId(state.next + 1);
        state.waiting.as_mut()?.push_back(id);
        state.next += 1;
        state.all.insert(id, Wire { address, place: None, up: Lane::default(), down: Lane::default() });
        Some(id)
    }

    /// A trader writes; how much was taken.
    ///
    /// # Errors
    /// As a socket's.
    pub fn write(&self, id: WireId, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        let State { random, now_ns, delay_max_ns, all, .. } = &mut *state;
        let wire = all.get_mut(&id).ok_or(ErrorKind::NotConnected)?;
        wire.up.send(bytes, *now_ns, *delay_max_ns, random)
    }

    /// A trader reads.
    ///
    /// # Errors
    /// As a socket's.
    pub fn read(&self, id: WireId, bytes: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        let wire = state.all.get_mut(&id).ok_or(ErrorKind::NotConnected)?;
        wire.down.read(bytes)
    }

    /// A trader closes its end.
    pub fn close(&self, id: WireId) {
        if let Some(wire) = self.0.borrow_mut().all.get_mut(&id) {
            wire.up.ended = true;
        }
        self.forget(id);
    }

    /// Cuts a connection.
    pub fn cut(&self, id: WireId, how: Cut) {
        let mut state = self.0.borrow_mut();
        let Some(wire) = state.all.get_mut(&id) else { return };
        for lane in [&mut wire.up, &mut wire.down] {
            lane.on_its_way.clear();
            match how {
                Cut::Reset => {
                    lane.reset = true;
                    lane.arrived.clear();
                }
                Cut::HalfOpen => lane.silent = true,
            }
        }
    }

    /// Whether a connection is gone without a word.
    pub fn is_silent(&self, id: WireId) -> bool {
        self.0.borrow().all.get(&id).is_some_and(|wire| wire.up.silent || wire.down.silent)
    }

    /// The venue's process is gone, and with it its ends of all connections.
    pub fn host_gone(&self, how: Cut) {
        let ids: Vec<WireId> = self.0.borrow().all.keys().copied().collect();
        for id in ids {
            self.cut(id, how);
            if let Some(wire) = self.0.borrow_mut().all.get_mut(&id) {
                (wire.place, wire.down.ended) = (None, true);
            }
            self.forget(id);
        }
        self.0.borrow_mut().waiting = None;
    }

    /// How many bytes the venue has been sent and has not taken, and the other way round.
    pub fn is_quiet(&self) -> bool {
        self.0.borrow().all.values().all(|wire| {
            let is_quiet = |lane: &Lane| lane.silent || lane.on_its_way.is_empty() && lane.arrived.is_empty();
            is_quiet(&wire.up) && is_quiet(&wire.down)
        })
    }

    /// What the venue's poll finds.
    pub fn found(&self) -> Vec<Found> {
        let mut state = self.0.borrow_mut();
        let mut found = Vec::new();
        if state.waiting.as_ref().is_some_and(|waiting| !waiting.is_empty()) {
            found.push(Found::Listener);
        }
        for wire in state.all.values_mut() {
            let Some(place) = wire.place else { continue };
            let (readable, ended) = (wire.up.has_something(), wire.up.is_over());
            let writable = wire.down.was_full && wire.down.room() > 0;
            if writable {
                wire.down.was_full = false;
            }
            if readable || writable {
                found.push(Found::Connection { place, readable, writable, ended });
            }
        }
        found
    }

    /// A wire that neither end has is forgotten.
    fn forget(&self, id: WireId) {
        let mut state = self.0.borrow_mut();
        let is_forgotten = |wire: &Wire| wire.up.ended && wire.down.ended;
        if state.all.get(&id).is_some_and(is_forgotten) {
            state.all.remove(&id);
        }
    }
}

impl Network for Wires {
    type Stream = VenueEnd;

    fn accept(&mut self) -> io::Result<(VenueEnd, IpAddr)> {
        let mut state = self.0.borrow_mut();
        let id = state.waiting.as_mut().and_then(VecDeque::pop_front).ok_or(ErrorKind::WouldBlock)?;
        let address = state.all.get(&id).map(|wire| wire.address).ok_or(ErrorKind::ConnectionAborted)?;
        Ok((VenueEnd { wires: self.clone(), id }, address))
    }

    fn register(&mut self, stream: &mut VenueEnd, place: usize) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        let wire = state.all.get_mut(&stream.id).ok_or(ErrorKind::NotConnected)?;
        wire.place = Some(place);
        wire.down.was_full = true;
        Ok(())
    }

    fn release(&mut self, stream: VenueEnd) {
        drop(stream);
    }

    fn stop_listening(&mut self) {
        self.0.borrow_mut().waiting = None;
    }
}

/// The venue's end of a connection.
pub struct VenueEnd {
    wires: Wires,
    id: WireId,
}

impl Read for VenueEnd {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut state = self.wires.0.borrow_mut();
        state.all.get_mut(&self.id).ok_or(ErrorKind::NotConnected)?.up.read(bytes)
    }
}

impl Write for VenueEnd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.wires.0.borrow_mut();
        let State { random, now_ns, delay_max_ns, all, .. } = &mut *state;
        let wire = all.get_mut(&self.id).ok_or(ErrorKind::NotConnected)?;
        wire.down.send(bytes, *now_ns, *delay_max_ns, random)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for VenueEnd {
    fn drop(&mut self) {
        if let Some(wire) = self.wires.0.borrow_mut().all.get_mut(&self.id) {
            wire.place = None;
            wire.down.ended = true;
        }
        self.wires.forget(self.id);
    }
}

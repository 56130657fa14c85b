//! What holds all connections and reads the events: bytes to commands, and events to bytes, in turns.
//!
//! ```text
//!   turn    network ─► sessions ─► CommandRing,   EventReader ─► view, egress ─► connections ─► network
//!   sleep   in the network's poll; the core wakes it by the event ring's bell, a search by its answer; see `thread`
//! ```
//!
//! A turn neither waits nor looks at anything but what the door was made of. So whoever brings a network, a clock, a core
//! and workers of their own has the same turns again for the same inputs.
//!
//! Questions are answered from the view, between two events. What has many parts is told a part at a time, the next when
//! the one before is written. The core alone knows balances: it is asked, and its answer waits for its place among the
//! events.
//!
//! A connection's reports of a turn leave in one write. Nothing here waits for a peer: what a socket does not take stays
//! with its connection, and too much of it ends that.

mod questions;
mod thread;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::command::{Disconnect, DisconnectReason};
use engine::{AccountId, Command, CommandBody, Nanoseconds, SessionSequence, SessionVersion, Timestamp};
use ring::{Admission, CommandRing, EventReader, Polled};
use slab::Slab;
use wire::order_entry::{BusinessMessageReject, OrderEntryMessage};
use wire::{EdgeReason, Flat, Frame, Indicator, Message, TerminationCode};

use crate::copies::CopyRange;
use crate::egress::{self, CopiesAgain, FrameBytes, Outgoing, Outlet, Recipient, Sending};
use crate::history::{ReportHistory, ReportRange};
use crate::hops::{HopWatch, Hops};
use crate::rights::Rights;
use crate::session::{Action, Input, State, Visited};
use crate::transport::attendance::{Attendance, Places, Room};
use crate::transport::balances::Balances;
use crate::transport::connection::{Connection, Reading};
use crate::transport::desk::{ConnectionId, Desk, Logins, Mail, Post};
use crate::transport::network::{Found, Network};
use crate::transport::searches::{Answer, Searches, Wanted, Workers};
use crate::transport::timers::Timers;
use crate::transport::{Config, TurnedAway};
use crate::view::View;
pub(crate) use thread::DoorThread;

/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// Reads of one connection in a turn.
const READS_PER_TURN: usize = 4;
/// Connections that are read in a turn.
const CONNECTIONS_PER_TURN: usize = 64;
/// Connections that are let in in a turn.
const ACCEPTS_PER_TURN: usize = 16;
/// Events of a turn.
const EVENTS_PER_TURN: usize = 1_024;
/// How long the last bytes of a connection may take.
const LAST_WORDS_MAX: Nanoseconds = Nanoseconds(1_000_000_000);
/// How long an answer of the core is waited for after the connection is gone.
const ANSWER_MAX: Nanoseconds = Nanoseconds(60_000_000_000);
/// How long connections may take to end when the venue stops.
const STOP_MAX: Nanoseconds = Nanoseconds(3_000_000_000);
/// How long the listener pauses when the system has no more descriptors.
const ACCEPT_PAUSE: Nanoseconds = Nanoseconds(50_000_000);
/// How soon a disconnect that the ring had no room for is tried again.
const RETRY: Nanoseconds = Nanoseconds(1_000_000);

/// What a door is made of.
pub struct DoorParts<N> {
    /// How it is served. Where it listens is the network's business.
    pub config: Config,
    /// Where its connections come from.
    pub network: N,
    /// Where it hands commands to the core.
    pub commands: Arc<CommandRing>,
    /// Every event since the view was made.
    pub events: EventReader,
    /// What is known of the venue; made before the core took commands.
    pub view: View,
    /// Where old reports are found.
    pub reports: Arc<dyn ReportHistory>,
    /// Who looks for them.
    pub workers: Arc<dyn Workers>,
    /// Set: the next turn begins to stop, which ends every session with `VenueStopped`.
    pub stop: Arc<AtomicBool>,
    /// What is needed to tell where the time of a command goes; none: nobody looks.
    pub hops: Option<Hops>,
}

/// The door: all connections, and the thread's work between two sleeps.
pub struct Door<N: Network> {
    config: Config,
    network: N,
    /// When the listener is asked again; never: when the network says so.
    accept_again: Timestamp,
    commands: Arc<CommandRing>,
    events: EventReader,
    /// The events have come to their end.
    ended: bool,
    desk: Desk,
    connections: Connections<N::Stream>,
    attendance: Attendance,
    next_serial: u64,
    timers: Timers,
    searches: Searches,
    balances: Balances,
    /// Disconnects that did not get into the ring.
    owed: VecDeque<Command>,
    stop: Arc<AtomicBool>,
    /// The venue stops; until when that may take.
    stopping: Option<Timestamp>,
    hops: HopWatch,
    now: Timestamp,
    /// What the clock on the wall shows.
    wall: Timestamp,
    /// When the last command was handed to the core.
    submitted_at: Timestamp,
    /// When what is being heard was read.
    received: u64,
    buffer: Vec<u8>,
    actions: Vec<Action>,
    post: Post,
}

/// All connections.
struct Connections<S> {
    all: Slab<Connection<S>>,
    /// Those that have something to write or to end.
    dirty: Vec<usize>,
    /// Those that may have something to read.
    ready: VecDeque<ConnectionId>,
    /// Those whose lists go on.
    listing: VecDeque<ConnectionId>,
    /// What the sessions of forgotten connections visited.
    visited_before: Visited,
    /// Reports that were told so far.
    reports: u64,
    /// Bytes that wait for their sockets.
    backlog_bytes: usize,
    /// How many are in each state, in the order of all states.
    by_state: [u64; State::ALL.len()],
}

impl<S> Connections<S> {
    fn none() -> Self {
        Self {
            all: Slab::new(),
            dirty: Vec::new(),
            ready: VecDeque::new(),
            listing: VecDeque::new(),
            visited_before: Visited::default(),
            reports: 0,
            backlog_bytes: 0,
            by_state: Default::default(),
        }
    }

    /// What the sessions of all connections visited, also of those that are no more.
    fn visited(&self) -> Visited {
        let now = self.all.iter().map(|(_, connection)| connection.session.visited());
        now.fold(self.visited_before, |before, now| before | now)
    }

    /// Takes a connection out; what its session visited stays.
    fn forget(&mut self, place: usize) {
        self.count(place);
        let connection = self.all.remove(place);
        connection.counted_in.into_iter().for_each(|state| self.by_state[state as usize] -= 1);
        self.visited_before |= connection.session.visited();
    }

    /// What waits of a connection, or its session's state, may have changed.
    fn count(&mut self, place: usize) {
        let Some(connection) = self.all.get_mut(place) else { return };
        self.backlog_bytes = self.backlog_bytes.saturating_add_signed(connection.backlog_change());
        let state = connection.session.state();
        if let Some(before) = connection.counted_in.replace(state) {
            self.by_state[before as usize] -= 1;
        }
        self.by_state[state as usize] += 1;
    }

    fn get(&mut self, id: ConnectionId) -> Option<&mut Connection<S>> {
        self.all.get_mut(id.place).filter(|connection| connection.id == id)
    }

    /// There may be something to read.
    fn make_ready(&mut self, place: usize) {
        if let Some(connection) = self.all.get_mut(place)
            && !connection.ready
        {
            connection.ready = true;
            self.ready.push_back(connection.id);
        }
    }

    /// There may be something to write, or to end.
    fn soil(&mut self, place: usize) {
        if let Some(connection) = self.all.get_mut(place)
            && !connection.dirty
        {
            connection.dirty = true;
            self.dirty.push(place);
        }
    }
}

impl<S: Read + Write> Connections<S> {
    /// Its list goes on, if it has one.
    fn go_on_listing(&mut self, place: usize) {
        if let Some(connection) = self.all.get_mut(place)
            && connection.may_list()
            && !connection.lists
        {
            connection.lists = true;
            self.listing.push_back(connection.id);
        }
    }
}

/// Where the reports of a turn go.
struct Delivery<'a, S> {
    logins: &'a Logins,
    rights: &'a Rights,
    connections: &'a mut Connections<S>,
    now: Timestamp,
}

impl<S: Read + Write> Outlet for Delivery<'_, S> {
    fn message<M: Flat>(&mut self, recipient: Recipient, number: Option<SessionSequence>, message: &M) {
        let Self { logins, rights, connections, now } = self;
        logins.recipients(recipient, rights, |id| {
            if let Some(connection) = connections.get(id) {
                connections.reports += u64::from(connection.report(number, message, *now));
                connections.soil(id.place);
            }
        });
    }

    fn is_copied(&self, account: AccountId) -> bool {
        self.logins.copies_are_wanted(account)
    }
}

impl<N: Network> Door<N> {
    /// A door at which nobody is yet. Sessions that an earlier run left open are disconnected; if there is no room for
    /// that, it waits until the core has made some.
    pub fn new(parts: DoorParts<N>) -> Self {
        let DoorParts { config, network, commands, events, mut view, reports, workers, stop, hops } = parts;
        let now = config.clock.now();
        disconnect_left_open(&commands, &mut view, now);
        let places = Places { in_all: config.connections_max, per_address: config.connections_per_address };
        Self {
            now,
            wall: now,
            balances: Balances::new(config.balances.clone()),
            config,
            network,
            accept_again: Timestamp::NEVER,
            commands,
            events,
            ended: false,
            desk: Desk::new(view),
            connections: Connections::none(),
            attendance: Attendance::new(places),
            next_serial: 0,
            timers: Timers::default(),
            searches: Searches::new(reports, workers),
            owed: VecDeque::new(),
            stop,
            stopping: None,
            hops: HopWatch::new(hops),
            submitted_at: Timestamp::NONE,
            received: 0,
            buffer: vec![0; READ_BYTES],
            actions: Vec::new(),
            post: Post::new(),
        }
    }

    /// Does what there is to do, some of everything, and waits for nothing.
    pub fn turn(&mut self, found: impl IntoIterator<Item = Found>) {
        (self.now, self.wall) = (self.config.clock.now(), self.config.clock.wall());
        found.into_iter().for_each(|found| self.note(found));
        self.begin_to_stop();
        self.accept();
        self.read();
        self.answer_searches();
        self.retry_owed();
        self.take_in_events();
        self.go_on_listing();
        self.look_at_timers();
        self.flush();
        self.config.counts.attend(self.connections.by_state);
        self.config.counts.tell(self.connections.reports, self.connections.backlog_bytes);
    }

    /// Whether it was asked to stop, and everybody is gone or was given the time to go.
    pub fn is_done(&self) -> bool {
        let patient = self.stopping.is_none_or(|until| self.now < until);
        self.stopping.is_some() && (self.connections.all.is_empty() && self.owed.is_empty() || !patient)
    }

    /// When its next turn is due though nothing is found: at once ([`Timestamp::NONE`]) if it has work already, and never
    /// if it waits for others alone.
    pub fn next_deadline(&self) -> Timestamp {
        if self.has_work() {
            return Timestamp::NONE;
        }
        let retry = if self.owed.is_empty() { Timestamp::NEVER } else { self.now.after(RETRY) };
        retry.min(self.next_timer())
    }

    /// The cells of the session's table that were ever met at this door, by connections that are or were.
    pub fn visited(&self) -> Visited {
        self.connections.visited()
    }

    fn has_work(&self) -> bool {
        !self.connections.ready.is_empty()
            || !self.connections.dirty.is_empty()
            || !self.connections.listing.is_empty()
            || self.searches.has_answer()
            || self.balances.has_answer()
            || self.accept_again <= self.now
            || !self.ended && self.events.has_news()
    }

    fn next_timer(&self) -> Timestamp {
        self.timers.next().min(self.accept_again).min(self.stopping.unwrap_or(Timestamp::NEVER))
    }

    // Connections.

    fn note(&mut self, found: Found) {
        match found {
            Found::Listener if self.stopping.is_some() => {}
            Found::Listener => self.accept_again = self.now,
            Found::Connection { place, readable, writable, ended } => {
                let Some(connection) = self.connections.all.get_mut(place) else { return };
                connection.peer_is_done |= ended;
                let is_readable = readable || connection.peer_is_done;
                connection.readable |= is_readable;
                let is_writable = writable && (connection.has_to_write() || connection.is_closing());
                if is_readable {
                    self.connections.make_ready(place);
                }
                if is_writable {
                    self.connections.soil(place);
                }
            }
        }
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_PER_TURN {
            if self.accept_again > self.now || self.stopping.is_some() {
                return;
            }
            match self.network.accept() {
                Ok((stream, address)) => self.let_in(stream, address),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.accept_again = Timestamp::NEVER,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.accept_again = self.now.after(ACCEPT_PAUSE),
            }
        }
    }

    /// One that is too many, or that the network refuses, is closed as it came.
    fn let_in(&mut self, mut stream: N::Stream, address: IpAddr) {
        if !self.make_room(address) {
            return;
        }
        let entry = self.connections.all.vacant_entry();
        let id = ConnectionId { place: entry.key(), serial: self.next_serial };
        if self.network.register(&mut stream, id.place).is_err() {
            return;
        }
        let Config { security, limits, .. } = &self.config;
        let Ok(connection) = Connection::new(id, stream, address, security, *limits, self.now) else { return };
        self.next_serial += 1;
        self.attendance.came(id, connection.origin);
        entry.insert(connection);
        self.connections.count(id.place);
        self.set_timer(id);
    }

    /// Whether there is room for one more, if need be in the place of one that has not opened a session.
    fn make_room(&mut self, address: IpAddr) -> bool {
        let why = match self.attendance.room(address.into()) {
            Room::Free => return true,
            Room::InsteadOf(oldest) => {
                self.displace(oldest);
                return true;
            }
            Room::Full => TurnedAway::Full,
            Room::FullForAddress => TurnedAway::FullForAddress,
        };
        self.config.watch.turned_away(address, why);
        false
    }

    /// Ends a connection without a word, and at once.
    fn displace(&mut self, id: ConnectionId) {
        self.hear(id, Input::Closed);
        if let Some(connection) = self.connections.get(id) {
            connection.closing = Some(self.now);
            self.config.watch.turned_away(connection.session.address(), TurnedAway::Displaced);
        }
        self.end(id);
    }

    /// A handshake takes as long as thousands of events: the core does not wait for many of them.
    fn read(&mut self) {
        for _ in 0..self.connections.ready.len().min(CONNECTIONS_PER_TURN) {
            // Those that are not read to their end come in again.
            if let Some(id) = self.connections.ready.pop_front() {
                self.read_connection(id);
            }
        }
    }

    fn read_connection(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(id) else { return };
        connection.ready = false;
        let mut buffer = core::mem::take(&mut self.buffer);
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.connections.get(id).filter(|connection| connection.listens()) else { break };
            match connection.read(&mut buffer) {
                Reading::Bytes(count) => {
                    self.received = self.hops.ticks();
                    self.hear_bytes(id, &buffer[..count]);
                }
                Reading::Nothing => {}
                Reading::End => self.hear(id, Input::Closed),
            }
        }
        self.buffer = buffer;
        self.connections.count(id.place);
        let Some(connection) = self.connections.get(id) else { return };
        // A handshake has things to say as well.
        if connection.has_to_write() {
            self.connections.soil(id.place);
        }
        if self.connections.get(id).is_some_and(|connection| connection.listens()) {
            self.connections.make_ready(id.place);
        }
    }

    fn hear_bytes(&mut self, id: ConnectionId, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(connection) = self.connections.get(id).filter(|connection| !connection.is_closing()) else {
                return;
            };
            let taken = connection.decoder.push(bytes);
            bytes = &bytes[taken..];
            self.hear_frames(id);
        }
        let now = self.now;
        if self.connections.get(id).is_some_and(|connection| connection.frames_taken(now)) {
            self.set_timer(id);
        }
    }

    fn hear_frames(&mut self, id: ConnectionId) {
        loop {
            let Some(connection) = self.connections.get(id).filter(|connection| !connection.is_closing()) else {
                return;
            };
            let input = match connection.decoder.next_frame() {
                Ok(Some(frame)) => {
                    connection.frame_begun = Timestamp::NEVER;
                    Input::Frame(frame)
                }
                Ok(None) => return,
                Err(_) => Input::NoFrame,
            };
            let mut actions = core::mem::take(&mut self.actions);
            connection.session.note_wall(self.wall);
            connection.session.handle(input, self.now, &mut self.desk.view, &mut actions);
            self.carry_out(id, &mut actions);
            self.actions = actions;
        }
    }

    fn flush(&mut self) {
        let mut dirty = core::mem::take(&mut self.connections.dirty);
        for place in dirty.drain(..) {
            self.flush_connection(place);
            self.connections.count(place);
        }
        self.hops.written();
        dirty.append(&mut self.connections.dirty);
        self.connections.dirty = dirty;
    }

    fn flush_connection(&mut self, place: usize) {
        let Some(connection) = self.connections.all.get_mut(place) else { return };
        connection.dirty = false;
        let id = connection.id;
        if connection.is_closing() {
            return self.end(id);
        }
        if !connection.flush() {
            return self.hear(id, Input::Closed);
        }
        if connection.is_slow(self.config.backlog_bytes) {
            return self.hear(id, Input::Ended(TerminationCode::SlowReader));
        }
        if connection.listens() {
            self.connections.make_ready(place);
        }
        self.connections.go_on_listing(place);
    }

    /// What is left of a connection on which nothing more is said.
    fn end(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(id) else { return };
        if connection.closing.is_none() {
            connection.closing = Some(self.now.after(LAST_WORDS_MAX));
        }
        let is_over = connection.closing.is_some_and(|until| until <= self.now);
        if connection.has_socket() && (connection.finish() || is_over) {
            // The peer may be gone, or not read: either way the connection ends here.
            if let Some(stream) = connection.close() {
                self.attendance.left(id, connection.origin);
                self.network.release(stream);
            }
            connection.closing = Some(self.now.after(ANSWER_MAX));
        }
        self.settle(id);
    }

    /// A connection is forgotten when its socket is closed and the core has answered whatever it was asked.
    fn settle(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(id) else { return };
        let waits = connection.session.owes_answer()
            && !self.commands.is_closed()
            && connection.closing.is_some_and(|until| until > self.now);
        if connection.has_socket() || waits {
            self.set_timer(id);
        } else {
            self.connections.forget(id.place);
        }
    }

    // Sessions.

    fn hear(&mut self, id: ConnectionId, input: Input<'_>) {
        let Some(connection) = self.connections.get(id) else { return };
        let mut actions = core::mem::take(&mut self.actions);
        connection.session.handle(input, self.now, &mut self.desk.view, &mut actions);
        self.carry_out(id, &mut actions);
        self.actions = actions;
        self.connections.soil(id.place);
        self.set_timer(id);
    }

    fn carry_out(&mut self, id: ConnectionId, actions: &mut Vec<Action>) {
        for action in actions.drain(..) {
            match action {
                Action::Submit(command) => self.submit(id, command),
                Action::Send(frame) => {
                    self.note_refusal(&frame);
                    self.say(id, &frame);
                }
                Action::Answer(question) => self.answer(id, &question),
                Action::RequestReports { version, from, count } => self.search(id, version, from, count),
                Action::RequestCopies(range) => self.searches.ask(id, Wanted::Copies(range), self.desk.released()),
                Action::Record(failed) => self.config.watch.login_failed(&failed),
                Action::Close(code) => {
                    self.config.watch.ended(code);
                    // The next flush sees that the session is closing.
                    self.connections.soil(id.place);
                }
            }
        }
    }

    /// What a session refuses by itself never comes to the core, and so is in no event.
    fn note_refusal(&self, frame: &FrameBytes) {
        let frame = Frame::split(frame).ok().map(|(frame, _)| frame);
        let frame = frame.filter(|frame| frame.header.template_id == BusinessMessageReject::TEMPLATE_ID);
        if let Some(Ok(OrderEntryMessage::BusinessMessageReject(reject))) = frame.map(OrderEntryMessage::try_from) {
            self.config.watch.refused(reject.reject_reason);
        }
    }

    fn say(&mut self, id: ConnectionId, frame: &FrameBytes) {
        if let Some(connection) = self.connections.get(id) {
            connection.say(frame);
            self.connections.soil(id.place);
        }
    }

    fn search(&mut self, id: ConnectionId, version: SessionVersion, from: SessionSequence, count: u64) {
        if let Some(session) = self.connections.get(id).and_then(|connection| connection.session.session()) {
            let range = ReportRange { session, version, from, count };
            self.searches.ask(id, Wanted::Reports(range), self.desk.released());
        }
    }

    fn submit(&mut self, id: ConnectionId, command: Command) {
        // Before anything is done for it: an opening that is refused must not cost anybody the session.
        if let Err(reason) = self.admitted(&command.body) {
            return self.hear(id, Input::NotTaken(&command, reason));
        }
        match command.body {
            CommandBody::Disconnect(_) => {
                // Only who speaks for a session may end it.
                if self.desk.logins.leave(command.header.session, id) {
                    self.owe(command);
                }
            }
            CommandBody::Negotiate(_) => self.submit_login(id, command),
            CommandBody::Establish(establish) => {
                self.take_over(&command, establish.version);
                self.submit_login(id, command);
            }
            _ => {
                let decoded = self.hops.decoded(&command.header);
                if self.commands.submit(command).is_err() {
                    return self.hear(id, Input::NotTaken(&command, EdgeReason::Busy));
                }
                self.submitted_at = self.now;
                if let Some(decoded) = decoded {
                    self.hops.submitted(&command, self.received, decoded);
                }
            }
        }
    }

    fn admitted(&self, body: &CommandBody) -> Result<(), EdgeReason> {
        let admission = self.config.admission.get();
        if admission.admits(body) {
            return Ok(());
        }
        Err(if admission == Admission::Nothing { EdgeReason::StorageFull } else { EdgeReason::StorageLow })
    }

    fn submit_login(&mut self, id: ConnectionId, command: Command) {
        self.desk.logins.expect_answer(&command, id);
        if self.commands.submit(command).is_err() {
            self.desk.logins.expect_no_answer(command.header.session);
            self.hear(id, Input::NotTaken(&command, EdgeReason::Busy));
        }
    }

    /// Whoever proved the session's key speaks for it from now on, even if the loss of the connection before was not
    /// noticed yet.
    fn take_over(&mut self, establish: &Command, version: SessionVersion) {
        if let Some(before) = self.desk.logins.take_over(establish) {
            self.hear(before, Input::Ended(TerminationCode::Replaced));
            // If even this finds no room, the opening is refused as well, and the session is established still: the
            // next opening finds nobody to take over from, and so the disconnect is owed.
            let body = Disconnect { version, reason: DisconnectReason::Replaced }.into();
            self.owe(Command { header: establish.header, body });
        }
    }

    /// Sees to it that the core learns of an end, as long as there is a core.
    fn owe(&mut self, disconnect: Command) {
        self.owed.push_back(disconnect);
        self.retry_owed();
    }

    fn retry_owed(&mut self) {
        if self.commands.is_closed() {
            self.owed.clear();
        }
        while let Some(disconnect) = self.owed.front()
            && self.commands.submit(*disconnect).is_ok()
        {
            self.owed.pop_front();
        }
    }

    // Events.

    fn take_in_events(&mut self) {
        let seen = self.hops.ticks();
        let sending = Sending { durability: self.config.durability, possible_duplicate: Indicator::No };
        let mut taken = 0;
        while taken < EVENTS_PER_TURN && !self.ended {
            let read = self.events.read();
            match self.events.poll() {
                Polled::Event(header, event) => {
                    taken += 1;
                    if self.balances.are_awaited() {
                        self.tell_balances(read);
                    }
                    self.desk.take_in(&header, &event, &mut self.post);
                    if !self.post.is_empty() {
                        self.deliver_post();
                    }
                    let Self { desk, connections, now, .. } = self;
                    let mut delivery =
                        Delivery { logins: &desk.logins, rights: desk.view.rights(), connections, now: *now };
                    egress::messages(&header, &event, &desk.view, sending, &mut delivery);
                }
                Polled::Empty => {
                    self.tell_balances(read);
                    break;
                }
                Polled::Lapped(_) => unreachable!("the core waits for a gating reader"),
                Polled::Closed => {
                    self.ended = true;
                    self.tell_balances(read);
                    self.give_up_balances();
                }
            }
        }
        if taken > 0 {
            self.hops.turned(self.desk.released(), seen);
        }
    }

    fn deliver_post(&mut self) {
        let mut post = core::mem::take(&mut self.post);
        for (id, mail) in post.drain(..) {
            match mail {
                Mail::Core(event) => {
                    self.hear(id, Input::Core(&event));
                    self.note_opening(id);
                }
                Mail::Ended(code) => self.hear(id, Input::Ended(code)),
            }
        }
        self.post = post;
    }

    fn note_opening(&mut self, id: ConnectionId) {
        let state = self.connections.get(id).map(|connection| connection.session.state());
        if state == Some(State::Established) {
            self.attendance.opened(id);
        }
    }

    fn answer_searches(&mut self) {
        if let Some(answer) = self.searches.answer() {
            let Answer { connection, wanted, found } = answer;
            let too_old = EdgeReason::RetransmitTooOld;
            let input = match wanted {
                Wanted::Reports(range) => {
                    Input::Recovered(found.and_then(|events| self.frames(&events, &range).ok_or(too_old)))
                }
                Wanted::Copies(range) => {
                    Input::Copied(found.and_then(|events| self.copies(&events, range).ok_or(too_old)))
                }
            };
            self.hear(connection, input);
        }
    }

    /// The reports of a range, if all of them are there.
    fn frames(&self, events: &[(engine::EventHeader, engine::Event)], range: &ReportRange) -> Option<Vec<FrameBytes>> {
        let sending = Sending { durability: self.config.durability, possible_duplicate: Indicator::Yes };
        let mut messages: Vec<Outgoing> = Vec::new();
        for (header, event) in events {
            egress::messages(header, event, &self.desk.view, sending, &mut messages);
        }
        messages.retain(|message| {
            message.recipient == Recipient::Session(range.session)
                && message.number.is_some_and(|number| range.contains(number))
        });
        messages.sort_by_key(|message| message.number);
        let whole = messages.len() as u64 == range.count;
        whole.then(|| messages.into_iter().map(|message| message.frame).collect())
    }

    /// Copies of an account's reports of a range, if all of them are there.
    fn copies(&self, events: &[(engine::EventHeader, engine::Event)], range: CopyRange) -> Option<Vec<FrameBytes>> {
        let sending = Sending { durability: self.config.durability, possible_duplicate: Indicator::Yes };
        let mut copies = CopiesAgain::new(range);
        for (header, event) in events {
            egress::messages(header, event, &self.desk.view, sending, &mut copies);
        }
        copies.into_frames()
    }

    // Time and the end.

    fn set_timer(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get(id) else { return };
        let deadline = connection
            .closing
            .unwrap_or_else(|| connection.session.next_deadline().min(connection.frame_deadline(&self.config.limits)));
        if deadline < connection.timer {
            connection.timer = deadline;
            self.timers.set(deadline, id);
        }
    }

    fn look_at_timers(&mut self) {
        while let Some((at, id)) = self.timers.due(self.now) {
            let Some(connection) = self.connections.get(id).filter(|connection| connection.timer == at) else {
                continue;
            };
            connection.timer = Timestamp::NEVER;
            if connection.is_closing() {
                self.end(id);
            } else if connection.session.next_deadline() <= self.now {
                self.hear(id, Input::Time);
            } else if connection.frame_deadline(&self.config.limits) <= self.now
                && connection.lets_frames_wait(self.now)
            {
                self.hear(id, Input::NoFrame);
            } else {
                self.set_timer(id);
            }
        }
    }

    fn begin_to_stop(&mut self) {
        if self.stopping.is_some() || !self.stop.load(Ordering::Acquire) {
            return;
        }
        self.stopping = Some(self.now.after(STOP_MAX));
        self.network.stop_listening();
        self.accept_again = Timestamp::NEVER;
        let all: Vec<_> = self.connections.all.iter().map(|(_, connection)| connection.id).collect();
        for id in all {
            self.hear(id, Input::Ended(TerminationCode::VenueStopped));
        }
    }
}

/// An earlier run was killed: the core still takes these sessions for open. There are few, and nobody else submits yet.
fn disconnect_left_open(commands: &CommandRing, view: &mut View, now: Timestamp) {
    for open in view.take_left_open() {
        let header = engine::CommandHeader { session: open.session, received_at: now, ..engine::CommandHeader::VENUE };
        let body = Disconnect { version: open.version, reason: DisconnectReason::VenueStopped }.into();
        while commands.submit(Command { header, body }).is_err() {
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::net::Ipv4Addr;

    use super::*;
    use crate::session::SessionLimits;
    use crate::transport::Security;

    type Ends = Connections<Cursor<Vec<u8>>>;

    /// One more connection, which hears an input; where it is.
    fn hears(connections: &mut Ends, input: Input<'_>) -> usize {
        let entry = connections.all.vacant_entry();
        let id = ConnectionId { place: entry.key(), serial: 0 };
        let (stream, address, now) = (Cursor::default(), Ipv4Addr::LOCALHOST.into(), Timestamp::NONE);
        let connection =
            Connection::new(id, stream, address, &Security::PlainLoopback, SessionLimits::DEFAULT, now).unwrap();
        let connection = entry.insert(connection);
        connection.session.handle(input, now, &mut View::default(), &mut Vec::new());
        id.place
    }

    #[test]
    fn what_a_forgotten_connection_visited_is_not_forgotten() {
        let mut connections = Ends::none();
        let visited = |connections: &Ends| connections.visited().iter().collect::<Vec<_>>();
        assert_eq!(visited(&connections), []);
        let first = hears(&mut connections, Input::Time);
        hears(&mut connections, Input::Closed);
        let both = [(State::Connected, "Time"), (State::Connected, "Closed")];
        assert_eq!(visited(&connections), both);
        connections.forget(first);
        assert_eq!(connections.all.len(), 1);
        assert_eq!(visited(&connections), both);
        assert_eq!(hears(&mut connections, Input::NoFrame), first);
        assert_eq!(
            visited(&connections),
            [(State::Connected, "Malformed"), (State::Connected, "Time"), (State::Connected, "Closed")]
        );
    }
}

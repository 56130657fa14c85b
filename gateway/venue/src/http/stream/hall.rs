//! Everybody who reads over WebSocket, on a thread of their own: what lies at the seat is translated once, and goes into
//! the outbox of each who takes it.
//!
//! ```text
//!   seat ──► translator ──► room ──► outbox of each ──► session: one task, one socket
//!                                         ▲                │
//!                                         └── requests ────┘
//! ```
//!
//! A channel needs one or two levels of the feed. The seat hears those as long as somebody takes a channel that needs
//! them, and what a channel begins with is made once the answers for all of them are there.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocket;
use bytes::Bytes;
use engine::InstrumentId;
use marketdata::quic::{Clock, CloseReason, Limits};
use marketdata::{
    Control, Crowd, Datagrams, Effect, Entitlement, Newcomer, Output, Packet, Presence, Room, Seat, Snapshot,
    SubscriberId, Want, channel_of,
};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use wire::{ChannelId, DeliveryMode, FeedLevel, GapCause, RequestId, SubscribeRejectReason, Timestamp};

use super::channel::{Stream, parts};
use super::message::{Answer, Subscribed, text};
use super::request::{Kind, Refusal, Request, beginning};
use super::session;
use super::translator::{Sink, Translator};

/// How often it is looked who waits for too long.
const TICK: Duration = Duration::from_millis(250);
/// After so many ticks, heartbeats are told.
const TICKS_TO_HEARTBEAT: u64 = 4;
/// How long levels wait for their batch.
const BATCH: Duration = Duration::from_millis(50);
/// How long a stop waits for the last words to be taken.
const STOPS_WITHIN: Duration = Duration::from_secs(2);

/// One who has come.
pub(super) struct Visitor {
    pub(super) socket: WebSocket,
    pub(super) address: IpAddr,
    pub(super) presence: Presence,
}

/// What is to be written next.
pub(super) enum Outgoing {
    Texts(Vec<Bytes>),
    Snapshot(Snapshot),
}

/// What the sessions of the thread share.
pub(super) struct Hall {
    seat: Arc<Seat>,
    crowd: Arc<Crowd>,
    clock: Clock,
    limits: Limits,
    state: RefCell<State>,
    links: RefCell<BTreeMap<SubscriberId, Rc<Link>>>,
    batch_at: Cell<Option<Instant>>,
}

struct State {
    room: Room,
    translator: Translator,
    /// What channels begin with, until the feed's answers for all their levels are there.
    beginnings: BTreeMap<(SubscriberId, ChannelId), Beginning>,
}

struct Beginning {
    missing: usize,
    book: Option<Snapshot>,
}

/// The way to one subscriber.
pub(super) struct Link {
    address: IpAddr,
    /// There is something to be written, or the end has come.
    pub(super) bell: Notify,
    pub(super) end: Cell<Option<CloseReason>>,
}

/// Who comes, until nobody is served any more.
pub(super) struct Entries {
    pub(super) visitors: mpsc::Receiver<Visitor>,
    /// Its end is the end.
    pub(super) stopped: oneshot::Receiver<()>,
}

/// Serves until the feed ends or it is to stop.
pub(super) fn run(
    runtime: &Runtime,
    seat: Arc<Seat>,
    crowd: Arc<Crowd>,
    clock: Clock,
    limits: Limits,
    entries: Entries,
) {
    let mut translator = Translator::default();
    translator.list(seat.definitions());
    let state = State { room: Room::without_repeats(limits), translator, beginnings: BTreeMap::new() };
    let (state, links, batch_at) = (RefCell::new(state), RefCell::default(), Cell::new(None));
    let hall = Rc::new(Hall { seat, crowd, clock, limits, state, links, batch_at });
    LocalSet::new().block_on(runtime, serve(hall, entries));
}

async fn serve(hall: Rc<Hall>, entries: Entries) {
    let Entries { mut visitors, mut stopped } = entries;
    let mut sessions = JoinSet::new();
    let mut numbers = (1..).map(SubscriberId);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tick = 0_u64;
    loop {
        let batch_at = hall.batch_at.get();
        let batch = async {
            match batch_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            outputs = hall.seat.outputs() => match outputs {
                Some(outputs) => hall.take(outputs),
                None => break,
            },
            visitor = visitors.recv() => match (visitor, numbers.next()) {
                (Some(visitor), Some(id)) => drop(sessions.spawn_local(session::attend(Rc::clone(&hall), id, visitor))),
                _ => break,
            },
            () = batch => hall.tell_batches(),
            _ = ticks.tick() => {
                tick += 1;
                hall.look_after(tick.is_multiple_of(TICKS_TO_HEARTBEAT));
            }
            Some(_) = sessions.join_next() => {}
            _ = &mut stopped => break,
        }
    }
    hall.links.borrow().values().for_each(|link| hall.close(link, CloseReason::Stopped));
    // Who does not take the last words in time goes without.
    let _ = timeout(STOPS_WITHIN, async { while sessions.join_next().await.is_some() {} }).await;
}

impl Hall {
    /// One comes in.
    ///
    /// # Errors
    /// If nobody can be served any more.
    pub(super) fn enter(
        self: &Rc<Self>,
        id: SubscriberId,
        address: IpAddr,
        presence: Presence,
    ) -> Result<Rc<Link>, CloseReason> {
        let entitlement = self.seat.door().anonymous(address);
        let newcomer = Newcomer { address, entitlement, key: None, datagrams: Datagrams::NotTaken, presence };
        self.act(|state| state.room.enter(id, newcomer))?;
        let link = Rc::new(Link { address, bell: Notify::new(), end: Cell::new(None) });
        self.links.borrow_mut().insert(id, Rc::clone(&link));
        Ok(link)
    }

    /// One goes.
    pub(super) fn leave(&self, id: SubscriberId) {
        self.links.borrow_mut().remove(&id);
        self.act(|state| state.room.leave(id));
    }

    /// The subscriber is closed, once its session looks.
    pub(super) fn close(&self, link: &Link, reason: CloseReason) {
        if link.end.replace(Some(reason)).is_none() {
            self.crowd.close(reason);
        }
        link.bell.notify_one();
    }

    /// Does what a text asks for, and answers.
    ///
    /// # Errors
    /// If the subscriber is to be closed: too many answers wait for it.
    pub(super) fn request(&self, id: SubscriberId, request: &str) -> Result<(), CloseReason> {
        self.act(|state| {
            let outcome = Request::parse(request).and_then(|request| {
                let address = self.links.borrow().get(&id).map(|link| link.address);
                let entitlement = address.and_then(|address| self.seat.door().anonymous(address)).unwrap_or_default();
                state.request(id, &request, &entitlement, self.limits.channels_max)
            });
            match outcome {
                Ok(()) => state.answer_subscriptions(id),
                Err(refusal) => state.refuse(id, &refusal),
            }
            let is_flooded = state.room.outbox(id).is_some_and(|outbox| outbox.is_flooded());
            if is_flooded { Err(CloseReason::TooSlow) } else { Ok(()) }
        })
    }

    /// Something that is no request.
    pub(super) fn refuse(&self, id: SubscriberId, reason: &str) {
        let refusal = Refusal { message: "Malformed request", reason: reason.to_owned() };
        self.act(|state| state.refuse(id, &refusal));
    }

    /// What is to be written next: answers, then what channels begin with, then what goes on.
    pub(super) fn next(&self, id: SubscriberId) -> Option<Outgoing> {
        let mut state = self.state.borrow_mut();
        let State { room, translator, .. } = &mut *state;
        let outbox = room.outbox(id)?;
        let mut texts = Vec::new();
        while let Some(control) = outbox.next_control() {
            texts.extend(control_text(translator, control));
        }
        if !texts.is_empty() {
            return Some(Outgoing::Texts(texts));
        }
        if let Some(snapshot) = outbox.next_snapshot() {
            return Some(Outgoing::Snapshot(snapshot));
        }
        Some(outbox.next_group(self.limits.group_bytes_max)).filter(|group| !group.is_empty()).map(Outgoing::Texts)
    }

    /// Whether what a channel was to begin with is still of use: it is not if the channel was left, also if it was taken
    /// again since.
    pub(super) fn goes_on(&self, id: SubscriberId, channel_id: ChannelId) -> bool {
        self.state.borrow_mut().room.outbox(id).is_some_and(|outbox| outbox.goes_on(channel_id))
    }

    /// A channel's beginning was written.
    pub(super) fn written(&self, id: SubscriberId, channel_id: ChannelId, bytes: usize) {
        self.act(|state| state.room.written(id, channel_id, bytes));
    }

    fn take(&self, outputs: Vec<Output>) {
        self.act(|state| {
            let mut is_listed = false;
            for output in outputs {
                match output {
                    Output::Packet(packet) => state.packet(&packet),
                    Output::Answer(want, snapshot) => {
                        state.answered(want, snapshot);
                        self.release(state, want.book);
                    }
                    Output::Listed(_) => is_listed = true,
                    Output::Rights => self.judge_again(state),
                    Output::Lost => {
                        state.translator.lost();
                        state.room.lost();
                    }
                    Output::Void => state.room.void(),
                }
            }
            if is_listed {
                state.translator.list(self.seat.definitions());
            }
            state.tell((self.clock)(), Translator::tickers);
            state.translator.forget_snapshot();
            if self.batch_at.get().is_none() && state.translator.has_batches() {
                self.batch_at.set(Some(Instant::now() + BATCH));
            }
        });
    }

    fn tell_batches(&self) {
        self.act(|state| {
            state.tell((self.clock)(), Translator::batches);
            self.batch_at.set(state.translator.has_batches().then(|| Instant::now() + BATCH));
        });
    }

    fn look_after(&self, with_heartbeats: bool) {
        let now = (self.clock)();
        self.act(|state| {
            if with_heartbeats {
                state.tell(now, Translator::heartbeats);
            }
            state.room.look_after(now, false);
        });
    }

    /// Rights have changed, perhaps those of subscribers.
    fn judge_again(&self, state: &mut State) {
        for (&id, link) in &*self.links.borrow() {
            let entitlement = self.seat.door().anonymous(link.address).unwrap_or_default();
            let Some(outbox) = state.room.outbox(id) else { continue };
            let sees = |channel_id| parts(channel_id).is_some_and(|(book, stream)| may_see(&entitlement, book, stream));
            if !outbox.channels().all(sees) {
                self.close(link, CloseReason::Revoked);
            }
        }
    }

    /// The seat hears of a product only what somebody needs.
    fn release(&self, state: &State, product: InstrumentId) {
        let needed = |level: &FeedLevel| {
            Stream::ALL.iter().any(|it| it.sources().contains(level) && state.room.is_taken(it.of(product)))
        };
        for channel_id in
            marketdata::LEVELS.iter().filter(|level| !needed(level)).filter_map(|&it| channel_of(product, it))
        {
            self.seat.leave(channel_id);
        }
    }

    /// Does something, and what follows from it.
    fn act<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.borrow_mut();
        let outcome = act(&mut state);
        let mut wants = Vec::new();
        for effect in state.room.take_effects() {
            match effect {
                Effect::Wake(id) | Effect::WakeLive(id) => self.with_link(id, |link| link.bell.notify_one()),
                Effect::Close(id, reason) => self.with_link(id, |link| self.close(link, reason)),
                Effect::Want(id, channel_id, _) => wants.extend(state.begin(id, channel_id)),
                Effect::Unheard(channel_id) => {
                    if let Some((product, stream)) = parts(channel_id) {
                        state.translator.unheard(product, stream);
                        self.release(&state, product);
                    }
                }
                Effect::Datagram(..) | Effect::Again(..) => unreachable!("nobody here can ask for them"),
            }
        }
        if !wants.is_empty() {
            self.seat.want(wants);
        }
        outcome
    }

    fn with_link(&self, id: SubscriberId, act: impl FnOnce(&Link)) {
        if let Some(link) = self.links.borrow().get(&id) {
            act(link);
        }
    }
}

impl State {
    fn packet(&mut self, packet: &Packet) {
        self.tell(packet.sent_at, |translator, sink| translator.packet(packet, sink));
    }

    /// Sends what the translator has to tell.
    fn tell(&mut self, sent_at: Timestamp, tell: impl FnOnce(&mut Translator, &mut Sink<'_>)) {
        let mut packets = Vec::new();
        let is_taken = |channel_id| self.room.is_taken(channel_id);
        tell(&mut self.translator, &mut Sink { is_taken: &is_taken, sent_at, packets: &mut packets });
        packets.chunk_by(|one, other| one.channel_id == other.channel_id).for_each(|run| self.room.publish(run));
    }

    /// A channel is to begin: what the feed is to be asked.
    fn begin(&mut self, subscriber: SubscriberId, channel_id: ChannelId) -> Vec<Want> {
        let Some((book, stream)) = parts(channel_id) else { return Vec::new() };
        let missing = stream.sources().len();
        self.beginnings.insert((subscriber, channel_id), Beginning { missing, book: None });
        let request_id = Some(RequestId(channel_id.0));
        stream.sources().iter().map(|&level| Want { subscriber, book, level, request_id }).collect()
    }

    fn answered(&mut self, want: Want, snapshot: Option<Snapshot>) {
        let Some(RequestId(channel)) = want.request_id else { return };
        let key = (want.subscriber, ChannelId(channel));
        let (Some(beginning), Some((_, stream))) = (self.beginnings.get_mut(&key), parts(key.1)) else { return };
        let Some(snapshot) = snapshot else {
            self.beginnings.remove(&key);
            return self.no_product(key);
        };
        self.translator.learn(want.book, want.level, &snapshot);
        beginning.missing -= 1;
        beginning.book = stream.has_book().then_some(snapshot);
        if beginning.missing > 0 {
            return;
        }
        let book = self.beginnings.remove(&key).and_then(|beginning| beginning.book);
        match self.translator.snapshot(key.1, book.as_ref()) {
            Some(snapshot) => self.room.snapshot(want.subscriber, snapshot),
            None => self.no_product(key),
        }
    }

    fn no_product(&mut self, (id, channel_id): (SubscriberId, ChannelId)) {
        if self.room.no_book(id, channel_id) {
            let reason = "product_ids: the product is gone".to_owned();
            self.refuse(id, &Refusal { message: Kind::Subscribe.failed(), reason });
        }
    }

    /// Does all of a request, or nothing.
    fn request(
        &mut self,
        id: SubscriberId,
        request: &Request,
        entitlement: &Entitlement,
        channels_max: usize,
    ) -> Result<(), Refusal> {
        let refuse = |reason: String| Refusal { message: request.kind.failed(), reason };
        let taken: Vec<ChannelId> = self.room.outbox(id).map_or_else(Vec::new, |outbox| outbox.channels().collect());
        let mut channels: Vec<ChannelId> = Vec::new();
        for (stream, names) in &request.channels {
            for name in names {
                let product = self.translator.named(name);
                let unknown = || refuse(format!("product_ids: {:?} is no product", beginning(name)));
                let product = product.ok_or_else(unknown)?;
                if request.kind == Kind::Subscribe && !may_see(entitlement, product, *stream) {
                    return Err(refuse(format!("channel {:?} of {name:?} is not open to you", stream.name())));
                }
                channels.push(stream.of(product));
            }
            if names.is_empty() {
                channels.extend(taken.iter().filter(|&&it| parts(it).is_some_and(|(_, of)| of == *stream)));
            }
        }
        channels.sort_unstable();
        channels.dedup();
        match request.kind {
            Kind::Unsubscribe => channels.into_iter().for_each(|channel_id| self.room.leave_channel(id, channel_id)),
            Kind::Subscribe => {
                channels.retain(|channel_id| !taken.contains(channel_id));
                if taken.len() + channels.len() > channels_max {
                    return Err(refuse(format!("channels: at most {channels_max}, counted once for each product")));
                }
                for channel_id in channels {
                    let joined = self.room.join_channel(id, channel_id, DeliveryMode::Live, RequestId(channel_id.0));
                    debug_assert_ne!(joined, Err(SubscribeRejectReason::TooManySubscriptions));
                }
            }
        }
        Ok(())
    }

    fn answer_subscriptions(&mut self, id: SubscriberId) {
        let Some(outbox) = self.room.outbox(id) else { return };
        let mut channels: BTreeMap<Stream, Vec<&str>> = BTreeMap::new();
        for (product, stream) in outbox.channels().filter_map(parts) {
            channels.entry(stream).or_default().push(self.translator.name(product));
        }
        let channels = channels.into_iter().map(|(name, product_ids)| Subscribed { name, product_ids }).collect();
        let answer = text(&Answer::Subscriptions { channels });
        self.room.answer(id, answer);
    }

    fn refuse(&mut self, id: SubscriberId, refusal: &Refusal) {
        let Refusal { message, reason } = refusal;
        self.room.answer(id, text(&Answer::Error { message, reason }));
    }
}

/// Whether all levels of the feed that a channel needs may be seen.
fn may_see(entitlement: &Entitlement, product: InstrumentId, stream: Stream) -> bool {
    stream.sources().iter().all(|&level| entitlement.sees(product, level))
}

/// An answer or a notice as text; none: it is not told here.
fn control_text(translator: &Translator, control: Control) -> Option<Bytes> {
    match control {
        Control::Answer(bytes) => Some(bytes),
        // What the channel begins with says it.
        Control::Began(_) => None,
        Control::Gap(notice) => {
            let (product, channel) = parts(notice.channel_id)?;
            let cause = match notice.cause {
                GapCause::SlowReader => "slow_reader",
                GapCause::Upstream | GapCause::NonRepresentable => "upstream",
            };
            let (product_id, from, count) = (translator.name(product), notice.from_sequence.0, notice.count.0);
            Some(text(&Answer::Gap { channel, product_id, from, count, cause }))
        }
    }
}

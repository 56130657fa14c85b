use core::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;
use engine::command::Switch;
use engine::{Command, CommandBody};

use crate::bell::{Bell, Idle};
use crate::sync::{AtomicBool, AtomicU64};

/// Commands on their way to the core: many producers, one consumer, bounded, lock-free.
///
/// A full ring answers [`Busy`], never waits and never drops. The last eighth is kept for commands that reduce risk, so
/// that a trader can still cancel when the venue is swamped.
///
/// # Examples
///
/// ```
/// use engine::Command;
/// use engine::command::AdvanceTime;
/// use ring::{CommandRing, Idle};
///
/// let ring = CommandRing::new(8, Idle::Park);
/// ring.submit(Command::from_venue(AdvanceTime {}))?;
/// let mut batch = Vec::new();
/// ring.take(&mut batch, 4);
/// assert_eq!(batch.len(), 1);
/// # Ok::<(), ring::Busy>(())
/// ```
#[derive(Debug)]
pub struct CommandRing {
    queue: ArrayQueue<Command>,
    /// How many commands of any kind fit.
    open_to_all: usize,
    bell: Bell,
    idle: Idle,
    closed: AtomicBool,
    /// Commands that found no room. Only who is refused counts, in a place of its own: the core's way has nothing of it.
    refused: CachePadded<AtomicU64>,
}

/// The ring is too full for this command; nothing has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the venue is busy: {waiting} of {capacity} commands are waiting")]
pub struct Busy {
    /// Commands in the ring.
    pub waiting: usize,
    /// Commands that fit.
    pub capacity: usize,
}

impl CommandRing {
    /// A ring for `capacity` commands, at least 1, whose consumer waits as `idle` says.
    pub fn new(capacity: usize, idle: Idle) -> Self {
        let capacity = capacity.max(1);
        let open_to_all = capacity - capacity / 8;
        let (closed, refused) = (AtomicBool::new(false), CachePadded::default());
        Self { queue: ArrayQueue::new(capacity), open_to_all, bell: Bell::new(), idle, closed, refused }
    }

    /// Hands a command to the core. A ring that is closed is as good as full.
    pub fn submit(&self, command: Command) -> Result<(), Busy> {
        self.offer(command).inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn offer(&self, command: Command) -> Result<(), Busy> {
        if self.is_closed() {
            return Err(self.busy());
        }
        if self.queue.len() >= self.open_to_all && !reduces_risk(&command.body) {
            return Err(self.busy());
        }
        self.queue.push(command).map_err(|_| self.busy())?;
        if self.idle == Idle::Park {
            self.bell.ring();
        }
        Ok(())
    }

    /// Appends up to `count_max` waiting commands to `batch`, oldest first. For the core alone.
    pub fn take(&self, batch: &mut Vec<Command>, count_max: usize) {
        batch.extend((0..count_max).map_while(|_| self.queue.pop()));
    }

    /// Waits until a command is there, or `interrupted`, at most about `limit`. For the core alone.
    pub fn wait(&self, limit: Duration, interrupted: impl Fn() -> bool) {
        self.bell.wait_at_most(self.idle, limit, || (!self.queue.is_empty() || interrupted()).then_some(()));
    }

    /// Makes a waiting core look again.
    pub fn wake(&self) {
        self.bell.ring();
    }

    /// Takes nothing more: the core is gone, and what is waiting will not be taken.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether the core is gone.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Commands that are waiting.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Commands that fit.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// Commands that were answered [`Busy`] so far; one that is tried again counts again.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn busy(&self) -> Busy {
        Busy { waiting: self.queue.len(), capacity: self.queue.capacity() }
    }
}

/// Whether a command can only make the venue's or a trader's risk smaller.
pub(crate) fn reduces_risk(body: &CommandBody) -> bool {
    match body {
        CommandBody::CancelOrder(_) | CommandBody::MassCancel(_) | CommandBody::Disconnect(_) => true,
        CommandBody::KillSwitch(command) => command.switch == Switch::Engaged,
        _ => false,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use engine::command::{AdvanceTime, CancelOrder, Disconnect, DisconnectReason};
    use engine::{AccountId, ClientOrderId, CommandHeader, OrderId, SessionSequence};

    fn numbered(number: u64, body: impl Into<CommandBody>) -> Command {
        let header = CommandHeader { client_sequence: SessionSequence(number), ..CommandHeader::VENUE };
        Command { header, body: body.into() }
    }

    fn cancel() -> CancelOrder {
        CancelOrder {
            account: AccountId(2),
            order_id: OrderId(1),
            original_client_order_id: ClientOrderId::NONE,
            client_order_id: ClientOrderId::NONE,
        }
    }

    #[test]
    fn the_last_eighth_is_for_what_reduces_risk() {
        let ring = CommandRing::new(16, Idle::Park);
        (1..=14).for_each(|number| ring.submit(numbered(number, AdvanceTime {})).unwrap());
        assert_eq!(ring.submit(numbered(15, AdvanceTime {})), Err(Busy { waiting: 14, capacity: 16 }));
        ring.submit(numbered(15, cancel())).unwrap();
        ring.submit(numbered(
            16,
            Disconnect { version: engine::SessionVersion(1), reason: DisconnectReason::ConnectionLost },
        ))
        .unwrap();
        assert_eq!(ring.submit(numbered(17, cancel())), Err(Busy { waiting: 16, capacity: 16 }));
        assert_eq!((ring.waiting(), ring.capacity(), ring.refused()), (16, 16, 2));
        let mut batch = Vec::new();
        ring.take(&mut batch, 3);
        ring.submit(numbered(17, AdvanceTime {})).unwrap();
        ring.take(&mut batch, 100);
        let numbers: Vec<_> = batch.iter().map(|command| command.header.client_sequence.0).collect();
        assert_eq!(numbers, (1..=17).collect::<Vec<_>>());
    }

    #[test]
    fn a_closed_ring_takes_nothing() {
        let ring = CommandRing::new(16, Idle::Park);
        ring.submit(numbered(1, cancel())).unwrap();
        ring.close();
        assert!(ring.is_closed());
        assert_eq!(ring.submit(numbered(2, cancel())), Err(Busy { waiting: 1, capacity: 16 }));
    }

    #[test]
    fn every_producers_commands_arrive_once_and_in_order() {
        const EACH: u64 = if cfg!(miri) { 40 } else { 20_000 };
        const PRODUCERS: u32 = 3;
        let ring = CommandRing::new(64, Idle::Park);
        std::thread::scope(|scope| {
            for producer in 1..=PRODUCERS {
                let ring = &ring;
                scope.spawn(move || {
                    for number in 1..=EACH {
                        let mut command = numbered(number, AdvanceTime {});
                        command.header.author.0 = producer;
                        while ring.submit(command).is_err() {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            let mut last = [0; PRODUCERS as usize];
            let mut batch = Vec::new();
            while last != [EACH; PRODUCERS as usize] {
                ring.wait(Duration::from_secs(60), || false);
                ring.take(&mut batch, 16);
                for command in batch.drain(..) {
                    let last = &mut last[command.header.author.0 as usize - 1];
                    assert_eq!(command.header.client_sequence.0, *last + 1);
                    *last += 1;
                }
            }
        });
        assert_eq!(ring.waiting(), 0);
    }
}

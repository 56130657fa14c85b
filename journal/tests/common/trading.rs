//! A trader's day for an engine that is really there.

use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use ed25519_dalek::SigningKey;
use engine::command::{
    AddKey, AdminNote, CancelOnDisconnect, CancelOrder, Disconnect, DisconnectReason, Establish, GrantRole, KeyKind,
    ListInstrument, MassCancel, Negotiate, OpenAccount, ReplaceOrder, Role,
};
use engine::instrument::{Holds, Phase};
use engine::order::SelfTradePrevention;
use engine::{
    AccountId, AssetId, ClientOrderId, Command, CommandHeader, Engine, InstrumentId, KeyId, LoginNonce, Nanoseconds,
    OrderId, Price, Quantity, Sequence, SessionId, SessionVersion, StpGroup, Text, Timestamp,
};

use journal::{
    Appender, Checkpoint, Digest, EventDigest, FolderLock, HistoryOptions, HistoryWriter, Journal, Keep, Link, Opened,
    Options, PassedOver, Sequencer, Shadow, ShadowError, ShadowEvent, SnapshotError, SnapshotPolicy, SnapshotRequest,
    Start, StartError, Taken, start_locked, state_digest,
};

use super::{Folder, SplitMix64, limit_order};

/// One instrument that only matches, three accounts, one session whose loss cancels after a second.
pub fn setting_up() -> Vec<Command> {
    let mut commands = vec![Command::from_venue(ListInstrument {
        instrument: InstrumentId(1),
        name: Text::new("BTC-USD").unwrap(),
        base: AssetId::NONE,
        quote: AssetId::NONE,
        tick: 1,
        tick_decimals: 2,
        lot: 1,
        lot_decimals: 4,
        reference: Price::ABSENT,
        holds: Holds::Off,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: AdminNote::NONE,
    })];
    commands.push(Command::from_venue(AddKey {
        key: KeyId(1),
        kind: KeyKind::Ed25519,
        public_key: [1; 32],
        note: AdminNote::NONE,
    }));
    for account in (2..=4).map(AccountId) {
        commands.push(Command::from_venue(OpenAccount {
            account,
            stp_group: StpGroup::NONE,
            self_trade_prevention: None,
            fee_tier: 0,
            note: AdminNote::NONE,
        }));
        let role = Role::Trader;
        commands.push(Command::from_venue(GrantRole { key: KeyId(1), role, account, note: AdminNote::NONE }));
    }
    commands
}

/// What the session of all three accounts' trader carries.
pub const SESSION: CommandHeader = CommandHeader { author: KeyId(1), session: SessionId(1), ..CommandHeader::VENUE };

/// A trader's day: orders, amends, cancels, and a session that comes and goes.
pub fn day(random: &mut SplitMix64, count: u64) -> Vec<Command> {
    let mut names = vec![ClientOrderId(1)];
    let mut version = SessionVersion::NONE;
    (1..=count)
        .map(|number| match random.below(20) {
            0 => {
                version = SessionVersion(number);
                Command { header: SESSION, body: Negotiate { version }.into() }
            }
            1 => Command {
                header: SESSION,
                body: Establish {
                    version,
                    nonce: LoginNonce(number),
                    cancel_on_disconnect: CancelOnDisconnect::Cancel,
                    cancel_grace: Nanoseconds(random.below(100)),
                    keep_alive: Nanoseconds(1_000_000_000),
                }
                .into(),
            },
            2 => Command {
                header: SESSION,
                body: Disconnect { version, reason: DisconnectReason::ConnectionLost }.into(),
            },
            3 => Command::from_venue(MassCancel {
                account: AccountId(2),
                instrument: InstrumentId::NONE,
                side: None,
                entered_by: SessionId::NONE,
                client_order_id: ClientOrderId(number),
                note: AdminNote::NONE,
            }),
            4..=7 => Command::from_venue(CancelOrder {
                account: AccountId(3),
                order_id: OrderId::NONE,
                original_client_order_id: names[usize::try_from(random.below(names.len() as u64)).unwrap()],
                client_order_id: ClientOrderId(number),
            }),
            8 => Command::from_venue(ReplaceOrder {
                account: AccountId(4),
                order_id: OrderId::NONE,
                original_client_order_id: names[usize::try_from(random.below(names.len() as u64)).unwrap()],
                client_order_id: ClientOrderId::NONE,
                order_type: None,
                time_in_force: None,
                price: Price(90 + random.below(20)),
                quantity: Quantity(1 + random.below(20)),
                stop_price: Price::ABSENT,
                display_quantity: Quantity::ABSENT,
                expire_at: Timestamp::NONE,
            }),
            _ => {
                let order = limit_order(random);
                names.push(order.client_order_id);
                Command {
                    header: if random.below(2) == 0 { SESSION } else { CommandHeader::VENUE },
                    body: order.into(),
                }
            }
        })
        .collect()
}

/// What a venue that ran to its end knows of itself.
#[derive(Debug, PartialEq)]
pub struct Known {
    pub last: Sequence,
    pub event_digest: Digest,
    pub state_digest: Digest,
}

/// A venue: journal, engine and shadow, and its core on the test's thread.
pub struct Live {
    pub journal: Journal,
    pub start: Vec<String>,
    pub snapshot: Option<Checkpoint>,
    pub passed_over: Vec<PassedOver>,
    pub since: Option<Link>,
    pub engine: Engine,
    pub request: SnapshotRequest,
    sequencer: Sequencer<Appender>,
    event_digest: EventDigest,
    shadow: JoinHandle<Result<(), ShadowError>>,
    told: Receiver<ShadowEvent>,
}

impl Live {
    /// With a snapshot due behind every `every` commands.
    pub fn try_start(folder: &Folder, options: &Options, every: Option<u64>) -> Result<Self, StartError> {
        std::fs::create_dir_all(folder.data()).unwrap();
        let Start { opened, engine, event_digest, snapshot, passed_over, replayed } =
            start_locked(FolderLock::take(&folder.data())?, options)?;
        let Opened { journal, appender, recovery } = opened;
        assert_eq!(replayed, recovery.last.0 - snapshot.map_or(0, |snapshot| snapshot.sequence.0));
        std::fs::create_dir_all(folder.snapshots()).unwrap();
        let policy = SnapshotPolicy {
            store: options.snapshot_store(&folder.data()),
            every,
            keep: Keep::at_most(8),
            key: SigningKey::from_bytes(&[5; 32]),
        };
        let (tell, told) = channel();
        let request = SnapshotRequest::default();
        let history =
            HistoryWriter::open(&folder.data(), recovery.identity.journal, &HistoryOptions::default()).unwrap();
        let shadow = Shadow::begin(&journal.source(), policy, request.clone(), history).unwrap();
        let shadow = std::thread::spawn(move || shadow.run(move |event| drop(tell.send(event))));
        let sequencer = Sequencer::new(appender, engine.last());
        let (start, since) = (recovery.report(), recovery.since);
        Ok(Self {
            journal,
            start,
            snapshot,
            passed_over,
            since,
            engine,
            request,
            sequencer,
            event_digest,
            shadow,
            told,
        })
    }

    pub fn start(folder: &Folder, options: &Options, every: Option<u64>) -> Self {
        Self::try_start(folder, options, every).unwrap()
    }

    /// A batch of up to 100 commands at a time, each at the time that its first sequence says.
    pub fn submit(&mut self, commands: &[Command]) {
        for batch in commands.chunks(100) {
            let at = Timestamp(self.sequencer.last().sequence.0 + 1);
            let stamp = self.sequencer.submit(&mut self.engine, at, batch, &mut self.event_digest).unwrap();
            self.event_digest.applied(stamp.sequence);
            self.event_digest.completed().for_each(|block| self.journal.digests().push(block));
            self.journal.wait_released(stamp.sequence).unwrap();
        }
    }

    /// The next snapshot that is taken, or why it is not; nothing if the shadow has ended.
    pub fn next_snapshot(&self) -> Option<Result<Box<Taken>, SnapshotError>> {
        self.told.iter().find_map(|event| match event {
            ShadowEvent::Applied(_) | ShadowEvent::HistoryWaits(_) => None,
            ShadowEvent::Snapshot(taken) => Some(Ok(taken)),
            ShadowEvent::SnapshotFailed(error) => Some(Err(error)),
        })
    }

    /// Takes a snapshot behind the next end of a block; `commands` has to reach it.
    pub fn snapshot_behind(&mut self, commands: &[Command]) -> Box<Taken> {
        self.request.ask();
        self.submit(commands);
        self.next_snapshot().unwrap().unwrap()
    }

    pub fn known(&self) -> Known {
        let (last, state_digest) = (self.sequencer.last().sequence, state_digest(&self.engine));
        Known { last, event_digest: self.event_digest.value(), state_digest }
    }

    /// Shuts down in order.
    pub fn close(self) -> Known {
        let known = self.known();
        self.journal.close(self.sequencer.into_append(), known.event_digest).unwrap();
        self.shadow.join().unwrap().unwrap();
        known
    }

    /// Ends as a crash does once everything is on disk; how the shadow ended.
    pub fn abandon(self) -> (Known, Result<(), ShadowError>) {
        let known = self.known();
        drop(self.sequencer.into_append());
        (known, self.shadow.join().unwrap())
    }
}

/// So many commands, the first of which set the venue up.
pub fn commands(seed: u64, count: usize) -> Vec<Command> {
    let mut commands = setting_up();
    commands.extend(day(&mut SplitMix64(seed), (count - commands.len()) as u64));
    commands
}

/// A venue of 2,600 commands, shut down in order, with snapshots behind 1,024 and 2,048.
pub fn snapshotted() -> Folder {
    let folder = Folder::new();
    let mut live = Live::start(&folder, &folder.options(), None);
    let commands = commands(11, 2_600);
    live.snapshot_behind(&commands[..1_100]);
    live.snapshot_behind(&commands[1_100..2_100]);
    live.submit(&commands[2_100..]);
    live.close();
    folder
}

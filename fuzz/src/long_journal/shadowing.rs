//! The shadow beside the core: it keeps the event history and takes snapshots, as many as are planned.

use std::sync::mpsc::{Receiver, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use benches::failure::Failure;
use client::SigningKey;
use journal::{
    HistoryOptions, HistoryWriter, Journal, JournalId, Keep, Shadow, ShadowError, ShadowEvent, SnapshotPolicy,
    SnapshotRequest, SnapshotStore, Taken,
};

use super::{Plan, SnapshotsTaken};

/// What checkpoints are signed with: no secret.
const KEY: [u8; 32] = [7; 32];

pub(super) struct Shadowing {
    thread: JoinHandle<Result<(), ShadowError>>,
    told: Receiver<ShadowEvent>,
}

impl Shadowing {
    /// Starts a shadow of the journal from its first command on.
    pub(super) fn start(plan: &Plan, journal: &Journal, id: JournalId) -> Result<Self, Failure> {
        let store = SnapshotStore::create(&plan.place).map_err(|error| Failure::Missing(error.to_string()))?;
        let every = Some(plan.commands / (plan.snapshots as u64 + 1));
        let (keep, key) = (Keep::at_most(plan.snapshots), SigningKey::from_bytes(&KEY));
        let policy = SnapshotPolicy { store, every, keep, key };
        let history =
            HistoryWriter::open(&plan.place, id, &HistoryOptions::default()).map_err(|error| failed(error.into()))?;
        let shadow = Shadow::begin(&journal.source(), policy, SnapshotRequest::default(), history).map_err(failed)?;
        let (tell, told) = channel();
        let run = move || {
            shadow.run(move |event| {
                if !matches!(event, ShadowEvent::Applied(_)) {
                    // Who is told outlives the shadow.
                    let _ = tell.send(event);
                }
            })
        };
        let thread = Builder::new().name("shadow".to_owned()).spawn(run);
        Ok(Self { thread: thread.map_err(|error| Failure::io(&plan.place, error))?, told })
    }

    /// Waits for the shadow, whose journal has ended.
    pub(super) fn end(self) -> Result<SnapshotsTaken, Failure> {
        self.thread.join().expect("the shadow does not panic").map_err(failed)?;
        let mut all = SnapshotsTaken { count: 0, bytes: 0, writing_ms: 0.0, publishing_ms: 0.0 };
        for event in self.told {
            match event {
                ShadowEvent::Applied(_) | ShadowEvent::HistoryWaits(_) => {}
                ShadowEvent::Snapshot(taken) => all.add(&taken),
                ShadowEvent::SnapshotFailed(error) => return Err(Failure::Missing(error.to_string())),
            }
        }
        Ok(all)
    }
}

fn failed(error: ShadowError) -> Failure {
    Failure::Missing(format!("the shadow: {error}"))
}

impl SnapshotsTaken {
    fn add(&mut self, taken: &Taken) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        self.count += 1;
        self.bytes = self.bytes.max(taken.published.bytes);
        self.writing_ms = self.writing_ms.max(ms(taken.writing));
        self.publishing_ms = self.publishing_ms.max(ms(taken.publishing));
    }
}

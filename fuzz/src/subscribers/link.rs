//! What is on its way to a reader.

use std::collections::BTreeMap;

use bytes::Bytes;
use testkit::random::Random;

/// What arrives at a reader.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Packets of one stream, in order; they may come in several parts.
    Packets(Vec<Bytes>),
    /// One datagram, with whole packets.
    Datagram(Bytes),
    /// A whole snapshot.
    Snapshot(Bytes),
    /// One message of the control lane.
    Control(Bytes),
}

/// How a link behaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// Of a hundred datagrams, so many are lost.
    pub(super) loss_percent: u64,
    /// Steps that something is on its way at most.
    pub(super) delay_max: u64,
}

/// In the order in which it arrives.
#[derive(Debug, Default)]
pub(super) struct Link {
    step: u64,
    count: u64,
    on_its_way: BTreeMap<(u64, u64), (usize, Arrival)>,
    /// Bytes of streams that are on their way.
    stream_bytes: usize,
    /// The control lane is one stream: nothing overtakes there.
    control_until: u64,
}

impl Link {
    /// Bytes of streams that are on their way.
    pub(super) fn stream_bytes(&self) -> usize {
        self.stream_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.on_its_way.is_empty()
    }

    /// Sends something off, to arrive within the weather's delay.
    pub(super) fn send(&mut self, arrival: Arrival, weather: Weather, random: &mut Random) {
        let mut due = self.step + random.between(0, weather.delay_max);
        if matches!(arrival, Arrival::Control(_)) {
            due = due.max(self.control_until);
            self.control_until = due;
        }
        self.count += 1;
        let bytes = match &arrival {
            Arrival::Packets(packets) => packets.iter().map(Bytes::len).sum(),
            Arrival::Snapshot(bytes) => bytes.len(),
            Arrival::Datagram(_) | Arrival::Control(_) => 0,
        };
        self.stream_bytes += bytes;
        self.on_its_way.insert((due, self.count), (bytes, arrival));
    }

    /// A step passes.
    pub(super) fn tick(&mut self) {
        self.step += 1;
    }

    /// The next that has arrived.
    pub(super) fn next(&mut self) -> Option<Arrival> {
        let entry = self.on_its_way.first_entry()?;
        if entry.key().0 > self.step {
            return None;
        }
        let (bytes, arrival) = entry.remove();
        self.stream_bytes -= bytes;
        Some(arrival)
    }
}

//! The packets of the last moments, for who lost some: bounded, and shared by all.

use std::collections::{BTreeMap, VecDeque};

use wire::{ChannelId, FeedSequence, MessageCount};

use crate::packet::Packet;

/// Bytes that are kept of all channels together.
const BYTES_MAX: usize = 32 << 20;
/// What keeping a packet costs beside its bytes.
const OVERHEAD: usize = 128;
/// Packets that one request is answered with at most.
pub(crate) const ANSWER_MAX: usize = 512;

/// The newest packets of all channels.
#[derive(Debug)]
pub(crate) struct Retained {
    bytes_max: usize,
    bytes: usize,
    channels: BTreeMap<ChannelId, VecDeque<Packet>>,
    /// The first messages of packets, in the order in which those came; some are not kept any more.
    order: VecDeque<(ChannelId, FeedSequence)>,
}

impl Default for Retained {
    fn default() -> Self {
        Self::new(BYTES_MAX)
    }
}

impl Retained {
    fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, channels: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Keeps a packet; of all channels, the oldest go for it.
    pub(crate) fn keep(&mut self, packet: &Packet) {
        let last = self.channels.get(&packet.channel_id).and_then(VecDeque::back);
        // Nobody listened for a while: what came before does not lead to here.
        if last.is_some_and(|last| last.next_sequence != packet.first_sequence) {
            self.forget(packet.channel_id);
        }
        self.bytes += cost(packet);
        self.order.push_back((packet.channel_id, packet.first_sequence));
        self.channels.entry(packet.channel_id).or_default().push_back(packet.clone());
        while self.bytes > self.bytes_max
            && let Some((channel_id, first)) = self.order.pop_front()
        {
            let packets = self.channels.get_mut(&channel_id);
            let oldest = packets.and_then(|packets| packets.pop_front_if(|packet| packet.first_sequence == first));
            self.bytes -= oldest.as_ref().map_or(0, cost);
        }
    }

    /// Nothing of a channel is kept any more.
    pub(crate) fn forget(&mut self, channel_id: ChannelId) {
        let packets = self.channels.remove(&channel_id).unwrap_or_default();
        self.bytes -= packets.iter().map(cost).sum::<usize>();
        self.order.retain(|&(of, _)| of != channel_id);
    }

    /// Nothing is kept any more.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.bytes_max);
    }

    /// The packets that have these messages; `None`: not all are kept, or they are too many.
    pub(crate) fn packets(
        &self,
        channel_id: ChannelId,
        from: FeedSequence,
        MessageCount(count): MessageCount,
    ) -> Option<Vec<Packet>> {
        let packets = self.channels.get(&channel_id)?;
        let end = from.0.checked_add(count)?;
        let (first, last) = (packets.front()?.first_sequence, packets.back()?.next_sequence);
        if count == 0 || from < first || end > last.0 {
            return None;
        }
        let start = packets.partition_point(|packet| packet.next_sequence <= from);
        let stop = packets.partition_point(|packet| packet.first_sequence.0 < end);
        (stop - start <= ANSWER_MAX).then(|| packets.range(start..stop).cloned().collect())
    }
}

fn cost(packet: &Packet) -> usize {
    packet.bytes.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{PacketFlags, Timestamp};

    const CHANNEL: ChannelId = ChannelId(258);

    fn packet(first: u64, next: u64) -> Packet {
        Packet {
            channel_id: CHANNEL,
            first_sequence: FeedSequence(first),
            next_sequence: FeedSequence(next),
            flags: PacketFlags::NONE,
            sent_at: Timestamp(0),
            bytes: Default::default(),
        }
    }

    fn numbers(retained: &Retained, from: u64, count: u64) -> Option<Vec<u64>> {
        let packets = retained.packets(CHANNEL, FeedSequence(from), MessageCount(count))?;
        Some(packets.iter().map(|packet| packet.first_sequence.0).collect())
    }

    #[test]
    fn the_packets_of_a_range_are_those_that_have_its_messages() {
        let mut retained = Retained::default();
        assert_eq!(numbers(&retained, 1, 1), None);
        for first in [5, 8, 11] {
            retained.keep(&packet(first, first + 3));
        }
        assert_eq!(numbers(&retained, 5, 9), Some(vec![5, 8, 11]));
        assert_eq!(numbers(&retained, 7, 1), Some(vec![5]));
        assert_eq!(numbers(&retained, 7, 2), Some(vec![5, 8]));
        assert_eq!(numbers(&retained, 13, 1), Some(vec![11]));
        for (from, count) in [(4, 2), (13, 2), (14, 1), (5, 0), (u64::MAX, 1), (5, u64::MAX)] {
            assert_eq!(numbers(&retained, from, count), None, "{from} {count}");
        }
        // Messages are missing in between: nothing before them is of use.
        retained.keep(&packet(20, 21));
        assert_eq!(numbers(&retained, 13, 1), None);
        assert_eq!(numbers(&retained, 20, 1), Some(vec![20]));
    }

    #[test]
    fn what_is_kept_and_what_is_given_is_bounded() {
        // Room for a thousand packets without bytes, of whatever channels.
        let mut retained = Retained::new(1_000 * OVERHEAD);
        let of = |channel_id, packet| Packet { channel_id, ..packet };
        let other = ChannelId(513);
        retained.keep(&of(other, packet(7, 8)));
        (1..=999).for_each(|number| retained.keep(&packet(number, number + 1)));
        assert!(retained.packets(other, FeedSequence(7), MessageCount(1)).is_some());
        assert_eq!(numbers(&retained, 1, 1), Some(vec![1]));
        retained.keep(&packet(1_000, 1_001));
        assert!(retained.packets(other, FeedSequence(7), MessageCount(1)).is_none());
        assert_eq!(numbers(&retained, 1, 1), Some(vec![1]));
        retained.keep(&packet(1_001, 1_002));
        assert_eq!((numbers(&retained, 1, 1), numbers(&retained, 2, 1)), (None, Some(vec![2])));
        assert_eq!(numbers(&retained, 2, 512).map(|it| it.len()), Some(512));
        assert_eq!(numbers(&retained, 2, 513), None);
        retained.forget(CHANNEL);
        assert_eq!((retained.bytes, retained.order.len()), (0, 0));
    }
}

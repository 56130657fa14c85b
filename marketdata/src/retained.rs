//! The packets of the last moments, for who lost some: bounded, and shared by all.

use std::collections::{BTreeMap, VecDeque};

use wire::{ChannelId, FeedSequence, MessageCount};

use crate::packet::Packet;

/// Packets that are kept of one channel: a mebibyte, if they are full.
const PACKETS_MAX: usize = 1_024;
/// Packets that one request is answered with at most.
pub(crate) const ANSWER_MAX: usize = 512;

/// The newest packets of each channel.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    channels: BTreeMap<ChannelId, VecDeque<Packet>>,
}

impl Retained {
    /// Keeps a packet.
    pub(crate) fn keep(&mut self, packet: &Packet) {
        let packets = self.channels.entry(packet.channel_id).or_default();
        // Nobody listened for a while: what came before does not lead to here.
        if packets.back().is_some_and(|last| last.next_sequence != packet.first_sequence) {
            packets.clear();
        }
        if packets.len() == PACKETS_MAX {
            packets.pop_front();
        }
        packets.push_back(packet.clone());
    }

    /// Nothing of a channel is kept any more.
    pub(crate) fn forget(&mut self, channel_id: ChannelId) {
        self.channels.remove(&channel_id);
    }

    /// Nothing is kept any more.
    pub(crate) fn clear(&mut self) {
        self.channels.clear();
    }

    /// The packets that have these messages, whole commands to the end of the last; `None`: not all are kept, or they
    /// are too many.
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
        let mut retained = Retained::default();
        (1..=2_000).for_each(|number| retained.keep(&packet(number, number + 1)));
        assert_eq!(numbers(&retained, 976, 1), None);
        assert_eq!(numbers(&retained, 977, 1), Some(vec![977]));
        assert_eq!(numbers(&retained, 1_000, 512).map(|it| it.len()), Some(512));
        assert_eq!(numbers(&retained, 1_000, 513), None);
    }
}

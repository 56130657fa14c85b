//! Packets: numbered messages of one channel, in few enough bytes for one datagram.
//!
//! ```text
//!  ├── PacketHeader, in a frame ──┼── message, in a frame ──┼── message ──┼ ...      at most 1,150 bytes
//!  channel, first number, count,    first number              + 1
//!  flags, sending time
//! ```
//!
//! A packet has whole commands, or a part of one: then it is marked, and the next packet of the channel goes on.

use bytes::Bytes;
use wire::frame::FRAME_HEADER_LENGTH;
use wire::market_data::{MarketDataMessage, PacketHeader};
use wire::message::{Flat, GROUP_HEADER_LENGTH, Grouped, Message};
use wire::{
    ChannelId, DecodeError, FeedLevel, FeedSequence, Frame, FrameError, LeftOutCount, PacketCount, PacketFlags,
    TemplateId, Timestamp,
};

/// Bytes of the longest packet: a UDP datagram on any path, with room for QUIC's own headers.
pub const PACKET_BYTES_MAX: usize = 1_150;
/// Behind the framing header and the block's length.
const TEMPLATE_AT: usize = wire::frame::FRAMING_LENGTH + 2;
const HEADER_LENGTH: usize = PacketHeader::FRAME_LENGTH;
/// Of the packet's flags.
const FLAGS_AT: usize = FRAME_HEADER_LENGTH + 26;

/// An encoded packet. Its bytes are shared by all who get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Which channel.
    pub channel_id: ChannelId,
    /// The number of its first message.
    pub first_sequence: FeedSequence,
    /// The number behind its last message.
    pub next_sequence: FeedSequence,
    /// What is special about it.
    pub flags: PacketFlags,
    /// When it was made.
    pub sent_at: Timestamp,
    /// The header and the messages.
    pub bytes: Bytes,
}

impl Packet {
    /// Whether the last command goes on in the next packet.
    pub const fn continues(&self) -> bool {
        self.flags.0 & PacketFlags::EVENT_CONTINUES.0 != 0
    }

    /// The same, marked as sent before.
    pub fn again(&self) -> Bytes {
        let mut bytes = self.bytes.to_vec();
        bytes[FLAGS_AT] |= PacketFlags::RETRANSMITTED.0;
        bytes.into()
    }
}

/// Why bytes are not what a feed sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// They are not frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame is not a message of the schema.
    #[error(transparent)]
    Message(#[from] DecodeError),
    /// A packet or snapshot has other messages than it should have.
    #[error("a message is out of place")]
    OutOfPlace,
    /// A snapshot's checksum is not that of its book.
    #[error("a snapshot's checksum is not that of its book")]
    Checksum,
    /// A packet has another count of messages than it says.
    #[error("a packet of {said} messages has {found}")]
    Count {
        /// What it says.
        said: u16,
        /// What it has.
        found: usize,
    },
}

/// A packet's header, and the frames behind it.
pub fn open(packet: &[u8]) -> Result<(PacketHeader, Frames<'_>), PacketError> {
    let (frame, rest) = Frame::split(packet)?;
    Ok((frame.decode()?, Frames { rest }))
}

/// Bytes of the packet at the front; `None` if too few are there to tell, or to have it all.
pub fn length(bytes: &[u8]) -> Result<Option<usize>, PacketError> {
    let Some(header) = whole_frame(bytes)? else { return Ok(None) };
    let said = header.0.decode::<PacketHeader>()?.message_count.0;
    let mut rest = header.1;
    for _ in 0..said {
        let Some((_, behind)) = whole_frame(rest)? else { return Ok(None) };
        rest = behind;
    }
    Ok(Some(bytes.len() - rest.len()))
}

/// Bytes of the frame at the front; `None` if too few are there to tell, or to have it all.
pub(crate) fn frame_length(bytes: &[u8]) -> Result<Option<usize>, PacketError> {
    Ok(whole_frame(bytes)?.map(|(_, rest)| bytes.len() - rest.len()))
}

/// Which message is at the front, once its headers are there.
pub(crate) fn template(bytes: &[u8]) -> Option<TemplateId> {
    let [low, high] = *bytes.get(TEMPLATE_AT..)?.first_chunk()?;
    Some(TemplateId(u16::from_le_bytes([low, high])))
}

fn whole_frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, &[u8])>, PacketError> {
    match Frame::split(bytes) {
        Ok(split) => Ok(Some(split)),
        Err(FrameError::Truncated { .. }) if bytes.len() < PACKET_BYTES_MAX => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The messages of some bytes, one behind the other.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    /// Of these bytes.
    pub const fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<MarketDataMessage<'a>, PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match Frame::split(self.rest) {
            Ok((frame, rest)) => {
                self.rest = rest;
                Some(frame.try_into().map_err(PacketError::from))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error.into()))
            }
        }
    }
}

/// Appends a frame with `message`.
pub(crate) fn append<M: Flat>(out: &mut Vec<u8>, message: &M) {
    let start = out.len();
    out.resize(start + M::FRAME_LENGTH, 0);
    wire::encode(message, &mut out[start..]).expect("the room is the frame's");
}

/// Appends a frame with `message` and its entries.
pub(crate) fn append_grouped<M: Grouped>(out: &mut Vec<u8>, message: &M, entries: &[M::Entry]) {
    let start = out.len();
    out.resize(start + grouped_length::<M>(entries.len()), 0);
    wire::encode_grouped(message, entries.iter().copied(), &mut out[start..]).expect("the room is the frame's");
}

const fn grouped_length<M: Grouped>(entry_count: usize) -> usize {
    M::FRAME_LENGTH + GROUP_HEADER_LENGTH + entry_count * <M::Entry as wire::Block>::BLOCK_LENGTH as usize
}

/// The most entries with which a message still fits a packet.
pub(crate) const fn entries_max<M: Grouped>() -> usize {
    let entry = <M::Entry as wire::Block>::BLOCK_LENGTH as usize;
    (PACKET_BYTES_MAX - HEADER_LENGTH - grouped_length::<M>(0)) / entry
}

/// A packet's header and its messages, however many bytes they have.
pub(crate) fn seal_long(
    channel_id: ChannelId,
    level: FeedLevel,
    first_sequence: FeedSequence,
    left_out: LeftOutCount,
    flags: PacketFlags,
    sent_at: Timestamp,
    body: &Body,
) -> Packet {
    let header = PacketHeader {
        channel_id,
        first_sequence,
        sending_time: sent_at,
        message_count: PacketCount(body.count),
        flags,
        level: Some(level),
        left_out,
    };
    let mut bytes = Vec::with_capacity(HEADER_LENGTH + body.messages.len());
    append(&mut bytes, &header);
    bytes.extend_from_slice(&body.messages);
    let next_sequence = FeedSequence(first_sequence.0 + u64::from(body.count));
    Packet { channel_id, first_sequence, next_sequence, flags, sent_at, bytes: bytes.into() }
}

/// Messages without a header.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body {
    messages: Vec<u8>,
    count: u16,
}

impl Body {
    /// Whether a frame of so many bytes still fits the packet.
    pub(crate) fn has_room(&self, length: usize) -> bool {
        self.messages.len() + length <= PACKET_BYTES_MAX - HEADER_LENGTH
    }

    /// Adds messages in their frames.
    pub(crate) fn append(&mut self, messages: &[u8], count: u16) {
        self.messages.extend_from_slice(messages);
        self.count += count;
    }

    /// How many messages.
    pub(crate) const fn count(&self) -> u16 {
        self.count
    }
}

/// Numbers the messages of one channel and packs them.
#[derive(Debug)]
pub(crate) struct Packer {
    channel_id: ChannelId,
    level: FeedLevel,
    /// Of the next message.
    next: FeedSequence,
    /// Messages of the command that has not ended.
    command: Body,
    /// Whole commands, with room for more.
    commands: Body,
    full: Vec<Sealed>,
}

#[derive(Debug)]
struct Sealed {
    first: FeedSequence,
    flags: PacketFlags,
    body: Body,
}

impl Packer {
    pub(crate) fn new(channel_id: ChannelId, level: FeedLevel) -> Self {
        let (command, commands) = Default::default();
        Self { channel_id, level, next: FeedSequence(1), command, commands, full: Vec::new() }
    }

    /// The number of the next message of a command that has not begun.
    pub(crate) fn next_sequence(&self) -> FeedSequence {
        FeedSequence(self.next.0 + u64::from(self.commands.count))
    }

    /// Nobody has heard the channel for a while: the number that would be next is nobody's, so that what follows is not
    /// taken for what follows on what was sent before.
    pub(crate) fn stood_still(&mut self) {
        if self.next > FeedSequence(1) {
            self.next.0 += 1;
        }
    }

    /// The number of the command's next message.
    pub(crate) fn next_of_command(&self) -> FeedSequence {
        FeedSequence(self.next_sequence().0 + u64::from(self.command.count))
    }

    /// Adds one message, in its frame, to the command.
    ///
    /// A command that outgrows a packet is sent in parts, so that one of a million trades needs no memory for them all.
    pub(crate) fn message(&mut self, frame: &[u8]) {
        if !self.command.has_room(frame.len()) {
            self.seal_commands();
            let part = core::mem::take(&mut self.command);
            self.seal(part, PacketFlags::EVENT_CONTINUES);
        }
        self.command.append(frame, 1);
    }

    /// The command is whole.
    pub(crate) fn end_of_command(&mut self) {
        if !self.commands.has_room(self.command.messages.len()) {
            self.seal_commands();
        }
        self.commands.append(&self.command.messages, self.command.count);
        self.command.messages.clear();
        self.command.count = 0;
    }

    /// Appends packets with everything up to the last whole command, and the parts of the next one that fill packets.
    pub(crate) fn packets(&mut self, now: Timestamp, packets: &mut Vec<Packet>) {
        self.seal_commands();
        let (channel_id, level) = (self.channel_id, self.level);
        packets.extend(self.full.drain(..).map(|Sealed { first, flags, body }| {
            let packet = seal_long(channel_id, level, first, LeftOutCount(0), flags, now, &body);
            assert!(packet.bytes.len() <= PACKET_BYTES_MAX, "a message longer than a packet");
            packet
        }));
    }

    fn seal_commands(&mut self) {
        if self.commands.count > 0 {
            let commands = core::mem::take(&mut self.commands);
            self.seal(commands, PacketFlags::NONE);
        }
    }

    fn seal(&mut self, body: Body, flags: PacketFlags) {
        let first = self.next;
        self.next.0 += u64::from(body.count);
        self.full.push(Sealed { first, flags, body });
    }
}

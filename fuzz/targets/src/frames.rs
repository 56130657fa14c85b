//! Bytes of a peer, in pieces: what is cut into frames is the same however they arrive, whatever decodes is written so
//! that it reads the same, and nothing panics.
//!
//! The first byte is the length of the pieces; the stream is behind it.

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use wire::frame::SESSION_FRAME_MAX;
use wire::market_data::{self, MarketDataMessage};
use wire::message::Grouped;
use wire::order_entry::{self, OrderEntryMessage};
use wire::session::{self, SessionMessage};
use wire::{Block, DecodeError, Flat, Frame, FrameDecoder, encode, encode_grouped};

/// Cuts a stream into frames and decodes each with every schema.
///
/// # Panics
/// If a promise does not hold.
pub fn check(bytes: &[u8]) {
    let Some((&piece, stream)) = bytes.split_first() else { return };
    let mut rest = stream;
    let mut decoder = FrameDecoder::<SESSION_FRAME_MAX>::new();
    let mut arriving = stream.chunks(usize::from(piece).max(1));
    let mut piece: &[u8] = &[];
    loop {
        match decoder.next_frame() {
            Ok(Some(frame)) => {
                let (whole, behind) = Frame::split(rest).expect("what arrives in pieces is the same");
                assert_eq!(frame, whole);
                rest = behind;
                decode(frame);
            }
            Ok(None) => {
                if piece.is_empty() {
                    let Some(next) = arriving.next() else { break };
                    piece = next;
                }
                let taken = decoder.push(piece);
                assert!(taken > 0, "there is room for a frame");
                piece = &piece[taken..];
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert_eq!(decoder.next_frame(), Err(error), "an error stays");
                break;
            }
        }
    }
}

macro_rules! each {
    ($module:ident: $($message:ident)* $(; $($grouped:ident)*)?) => {
        fn $module(frame: Frame<'_>) {
            $(flat::<$module::$message>(frame);)*
            $($(grouped::<$module::$grouped>(frame);)*)?
        }
    };
}

each!(session: Negotiate NegotiationResponse NegotiationReject Establish EstablishmentAck EstablishmentReject Sequence
    NotApplied RetransmitRequest Retransmission RetransmitReject Terminate);
each!(order_entry: NewOrderSingle OrderCancelReplaceRequest OrderCancelRequest OrderMassActionRequest KillSwitch
    OrderStatusRequest OrderMassStatusRequest AccountBalanceRequest DropCopyRequest ExecutionReport OrderCancelReject
    OrderMassActionReport BusinessMessageReject SecurityDefinition TradingSessionStatus AccountBalance
    KillSwitchReport DropCopyReport AssetDefinition);
each!(market_data: PacketHeader BestBidOffer Trade SecurityDefinition SecurityStatus BookChecksum AuctionIndicative
    TradeCancel AuctionResult SnapshotBegin SnapshotEnd SubscribeAck SubscribeReject SnapshotRequest PacketRetransmitRequest GapNotice
    MarketStatistics Logon LogonChallenge LogonSignature LogonAck
    ; MarketByPrice MarketByOrder SnapshotLevels SnapshotOrders Subscribe);

fn decode(frame: Frame<'_>) {
    let schemas = [session::SCHEMA.id, order_entry::SCHEMA.id, market_data::SCHEMA.id];
    let read = [
        said(SessionMessage::try_from(frame).map(|message| match message {
            SessionMessage::Negotiate(message) => drop(message.signed_text()),
            SessionMessage::Establish(message) => drop(message.signed_text()),
            _ => {}
        })),
        said(OrderEntryMessage::try_from(frame)),
        said(MarketDataMessage::try_from(frame)),
    ];
    for (schema, read) in schemas.into_iter().zip(read) {
        assert!(!read || frame.header.schema_id == schema, "a schema reads its own messages only");
    }
    session(frame);
    order_entry(frame);
    market_data(frame);
}

/// Whether it decoded; an error has something to say.
fn said<T>(result: Result<T, DecodeError>) -> bool {
    if let Err(error) = &result {
        assert!(!error.to_string().is_empty());
    }
    result.is_ok()
}

fn flat<M: Flat + PartialEq + Debug>(frame: Frame<'_>) {
    let Ok(message) = frame.decode::<M>() else { return };
    let mut bytes = vec![0; M::FRAME_LENGTH];
    assert_eq!(encode(&message, &mut bytes), Ok(M::FRAME_LENGTH));
    let (again, rest) = Frame::split(&bytes).expect("a frame was written");
    assert_eq!((again.decode(), rest), (Ok(message), &[][..]));
}

fn grouped<M: Grouped + PartialEq + Debug>(frame: Frame<'_>)
where
    M::Entry: PartialEq + Debug,
{
    let Ok((message, group)) = frame.decode_grouped::<M>() else { return };
    let Ok(entries) = group.collect::<Result<Vec<M::Entry>, _>>() else { return };
    let mut bytes = vec![0; M::FRAME_LENGTH + 4 + entries.len() * usize::from(M::Entry::BLOCK_LENGTH)];
    let length = bytes.len();
    let Ok(written) = encode_grouped(&message, entries.iter().copied(), &mut bytes) else {
        panic!("{} entries were read and are not written", entries.len())
    };
    assert_eq!(written, length);
    let (again, _) = Frame::split(&bytes).expect("a frame was written");
    let (message_again, group) = again.decode_grouped::<M>().expect("what was written decodes");
    assert_eq!((message_again, group.collect::<Result<Vec<_>, _>>()), (message, Ok(entries)));
}

/// An input's bytes, one after the other; zeros behind its end.
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        u64::from(self.byte()) % bound
    }

    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    pub(crate) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::from(self.byte()) % values.len()]
    }
}

/// Words of the protocol, as a dictionary of libFuzzer: headers of every message, null values and codes that begin one.
pub fn dictionary() -> String {
    let mut words: Vec<Vec<u8>> = vec![
        vec![0x50, 0xEB],
        vec![0xFF; 8],
        [&[0; 7][..], &[0x80]].concat(),
        b"Rialto Negotiate 1\n".to_vec(),
        b"Rialto Establish 1\n".to_vec(),
    ];
    for (schema, messages) in [
        (session::SCHEMA, session::MESSAGES),
        (order_entry::SCHEMA, order_entry::MESSAGES),
        (market_data::SCHEMA, market_data::MESSAGES),
    ] {
        for message in messages {
            let header = [message.block_length, message.template_id, schema.id.0, schema.version.0];
            let length = 14 + u32::from(message.block_length);
            words.push([&length.to_le_bytes()[..], &[0x50, 0xEB]].concat());
            words.push(header.iter().flat_map(|word| word.to_le_bytes()).collect());
        }
    }
    words.sort();
    words.dedup();
    let escaped = |word: &Vec<u8>| word.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    words.iter().map(|word| format!("\"{}\"\n", escaped(word))).collect()
}

/// Inputs to begin with: the golden frames, one by one and all in a row.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gateway/wire/tests/golden");
    let mut frames = Vec::new();
    for file in fs::read_dir(&golden).expect("the golden frames") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "hex") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            frames.push((name, bytes_of(&fs::read_to_string(&path).expect("a golden frame"))));
        }
    }
    frames.sort();
    let all = frames.iter().flat_map(|(_, frame)| frame).copied().collect();
    let in_pieces = |piece: u8, frame: Vec<u8>| [vec![piece], frame].concat();
    let mut seeds: Vec<_> = frames.into_iter().map(|(name, frame)| (name, in_pieces(255, frame))).collect();
    seeds.push(("all".to_owned(), in_pieces(7, all)));
    seeds
}

/// One golden frame.
pub(crate) fn golden(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gateway/wire/tests/golden").join(file);
    bytes_of(&fs::read_to_string(path).expect("a golden frame"))
}

/// The bytes of a golden file: hexadecimal before the bar.
pub(crate) fn bytes_of(text: &str) -> Vec<u8> {
    text.lines()
        .flat_map(|line| line.split('|').next().unwrap_or_default().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).expect("a byte"))
        .collect()
}

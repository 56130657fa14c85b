//! Whatever a peer sends is a message or an error that says where and why, never a panic; and a peer with another
//! version of a schema is understood.

mod common;

use common::{golden, golden_names};
use wire::market_data::{MarketByPrice, MarketDataMessage};
use wire::order_entry::{ExecutionReport, NewOrderSingle, OrderCancelRequest, OrderEntryMessage};
use wire::session::{Establish, Sequence, SessionMessage};
use wire::*;

/// A small generator whose seed replays a run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Decodes with every schema, entries included; how many of them read a message.
fn decode_with_all(frame: Frame<'_>) -> usize {
    let market_data = match MarketDataMessage::try_from(frame) {
        Ok(MarketDataMessage::MarketByPrice(_, group)) => usize::from(group.filter_map(Result::ok).count() > 0),
        Ok(_) => 1,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            0
        }
    };
    let session = SessionMessage::try_from(frame).is_ok();
    let order_entry = OrderEntryMessage::try_from(frame).is_ok();
    market_data + usize::from(session) + usize::from(order_entry)
}

#[test]
fn every_truncation_is_refused() {
    for name in golden_names() {
        let bytes = golden(&name);
        for length in 0..bytes.len() {
            assert_eq!(Frame::split(&bytes[..length]), Err(FrameError::Truncated { found: length }), "{name}");
            let mut shorter = bytes[..length].to_vec();
            let Some(field) = shorter.first_chunk_mut() else { continue };
            *field = (length as u32).to_le_bytes();
            if let Ok((frame, _)) = Frame::split(&shorter) {
                assert_eq!(decode_with_all(frame), 0, "{name} cut to {length}");
            }
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let bytes: Vec<u8> = (0..random.below(400)).map(|_| random.next() as u8).collect();
        if let Ok((frame, _)) = Frame::split(&bytes) {
            decode_with_all(frame);
        }
        let mut framed = golden("not_applied")[..14].to_vec();
        framed.extend(&bytes);
        let length = (framed.len() as u32).to_le_bytes();
        framed[..4].copy_from_slice(&length);
        framed[6..14].iter_mut().for_each(|byte| *byte = random.next() as u8);
        decode_with_all(Frame::split(&framed).expect("the framing header is right").0);
    }
}

#[test]
fn changed_bytes_never_panic() {
    let frames: Vec<Vec<u8>> = golden_names().iter().map(|name| golden(name)).collect();
    for seed in 0..20_000 {
        let mut random = Random(seed);
        let mut bytes = frames[random.below(frames.len())].clone();
        for _ in 0..=random.below(3) {
            let position = 6 + random.below(bytes.len() - 6);
            bytes[position] = random.next() as u8;
        }
        decode_with_all(Frame::split(&bytes).expect("the framing header is right").0);
    }
}

#[test]
fn whatever_block_is_read_is_written_so_that_it_reads_the_same() {
    for seed in 0..5_000 {
        writes_what_it_read::<NewOrderSingle>(seed);
        writes_what_it_read::<ExecutionReport>(seed);
        writes_what_it_read::<Establish>(seed);
    }
}

fn writes_what_it_read<M: Flat + PartialEq + std::fmt::Debug>(seed: u64) {
    let mut random = Random(seed);
    let mut bytes = [0; 512];
    let length = encode(&M::BLANK, &mut bytes).unwrap();
    bytes[14..length].iter_mut().for_each(|byte| *byte = random.next() as u8);
    let message: M = Frame::split(&bytes[..length]).unwrap().0.decode().unwrap();
    encode(&message, &mut bytes).unwrap();
    assert_eq!(Frame::split(&bytes[..length]).unwrap().0.decode(), Ok(message), "seed {seed}");
}

#[test]
fn unknown_codes_are_values_of_their_own() {
    let mut bytes = golden("new_order_single");
    bytes[14 + 88] = 9;
    let order: NewOrderSingle = Frame::split(&bytes).unwrap().0.decode().unwrap();
    assert_eq!(order.side, Side::NonRepresentable);
    let error = engine::Side::try_from(order.side).unwrap_err();
    assert_eq!(error.to_string(), "Side: 254 has no meaning here");
}

fn set<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

#[test]
fn longer_entries_and_further_groups_of_a_newer_version_are_understood() {
    let bytes = golden("market_by_price");
    let (head, entries) = bytes.split_at(14 + 32 + 4);
    let mut newer = head.to_vec();
    for entry in entries.chunks(24) {
        newer.extend(entry);
        newer.extend([0xAB; 8]);
    }
    newer.extend([8, 0, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    let length = (newer.len() as u32).to_le_bytes();
    set(&mut newer, 0, length);
    set(&mut newer, 12, 9_u16.to_le_bytes());
    set(&mut newer, 14 + 32, 32_u16.to_le_bytes());
    let (_, group) = Frame::split(&newer).unwrap().0.decode_grouped::<MarketByPrice>().unwrap();
    let prices: Vec<i64> = group.map(|entry| entry.unwrap().price.0).collect();
    assert_eq!(prices, [6_500_000, 6_500_050]);

    // The same bytes from a sender of this version are a mistake.
    set(&mut newer, 12, 1_u16.to_le_bytes());
    let refused = Frame::split(&newer).unwrap().0.decode_grouped::<MarketByPrice>().unwrap_err();
    assert_eq!(refused, DecodeError::TrailingBytes { message: "MarketByPrice", count: 12 });
}

#[test]
fn errors_name_the_field_and_the_reason() {
    let mut bytes = golden("order_cancel_request");
    set(&mut bytes, 6, 20_u16.to_le_bytes());
    let refused = Frame::split(&bytes).unwrap().0.decode::<OrderCancelRequest>().unwrap_err();
    assert_eq!(refused.to_string(), "OrderCancelRequest.OrigClOrdID: the block ends before it, after 20 bytes");

    set(&mut bytes, 6, 33_u16.to_le_bytes());
    let refused = Frame::split(&bytes).unwrap().0.decode::<OrderCancelRequest>().unwrap_err();
    assert_eq!(refused.to_string(), "OrderCancelRequest: blockLength is 33, but the frame has only 32 bytes left");

    let mut bytes = golden("market_by_price");
    set(&mut bytes, 14 + 32 + 2, 3_u16.to_le_bytes());
    let refused = Frame::split(&bytes).unwrap().0.decode_grouped::<MarketByPrice>().unwrap_err();
    assert_eq!(refused.to_string(), "NoMDEntries: the group needs 72 bytes, but the frame has only 48 left");

    set(&mut bytes, 14 + 32, 8_u16.to_le_bytes());
    let (_, mut group) = {
        set(&mut bytes, 14 + 32 + 2, 6_u16.to_le_bytes());
        Frame::split(&bytes).unwrap().0.decode_grouped::<MarketByPrice>().unwrap()
    };
    let refused = group.next().unwrap().unwrap_err();
    assert_eq!(refused, DecodeError::FieldMissing { block: "NoMDEntries", field: "MDEntrySize", block_length: 8 });
}

#[test]
fn a_buffer_that_is_too_short_is_an_error() {
    let message = Sequence { next_sequence: SessionSequence(1) };
    let mut buffer = [0; Sequence::FRAME_LENGTH];
    assert_eq!(encode(&message, &mut buffer), Ok(22));
    let refused = encode(&message, &mut buffer[..21]).unwrap_err();
    assert_eq!(refused, EncodeError::BufferTooShort { message: "Sequence", length: 21 });
    let bytes = golden("market_by_price");
    let (message, group) = Frame::split(&bytes).unwrap().0.decode_grouped::<MarketByPrice>().unwrap();
    for length in 0..bytes.len() {
        let entries = group.clone().map(|entry| entry.unwrap());
        let refused = encode_grouped(&message, entries, &mut vec![0; length]).unwrap_err();
        assert_eq!(refused, EncodeError::BufferTooShort { message: "MarketByPrice", length });
    }
}

#[test]
fn frames_come_out_of_a_stream_however_it_is_cut() {
    let names = golden_names();
    let stream: Vec<u8> = names.iter().flat_map(|name| golden(name)).collect();
    for seed in 0..200 {
        let mut random = Random(seed);
        let mut decoder = FrameDecoder::<302>::new();
        let mut frames = Vec::new();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let offered = rest.len().min(1 + random.below(90));
            let taken = decoder.push(&rest[..offered]);
            assert!(taken > 0, "seed {seed}: no progress");
            rest = &rest[taken..];
            while let Some(frame) = decoder.next_frame().expect("frames") {
                frames.push((frame.header, frame.body.to_vec()));
            }
        }
        assert_eq!(decoder.pending(), 0, "seed {seed}");
        assert_eq!(frames.len(), names.len(), "seed {seed}");
        for ((header, body), name) in frames.iter().zip(&names) {
            assert_eq!(Frame::split(&golden(name)).unwrap().0, Frame { header: *header, body }, "seed {seed}: {name}");
        }
    }
}

#[test]
fn a_stream_that_lost_its_place_stays_refused() {
    let mut decoder = FrameDecoder::<64>::new();
    decoder.push(&[65, 0, 0, 0, 0x50, 0xEB]);
    let refused = FrameError::LengthTooLong { found: 65, most: 64 };
    assert_eq!(decoder.next_frame(), Err(refused));
    decoder.push(&golden("not_applied"));
    assert_eq!(decoder.next_frame(), Err(refused));

    let first_error = |bytes: &[u8]| {
        let mut decoder = FrameDecoder::<64>::new();
        decoder.push(bytes);
        decoder.next_frame().unwrap_err().to_string()
    };
    assert_eq!(first_error(&[13, 0, 0, 0, 0x50, 0xEB]), "messageLength: 13 is less than 14");
    assert_eq!(first_error(&[0; 6]), "encodingType: 0x0000 is not 0xeb50");
    assert_eq!(first_error(b"GET / HTTP"), "encodingType: 0x202f is not 0xeb50");
}

#[test]
fn a_frame_as_long_as_the_decoder_passes() {
    let bytes = golden("negotiate");
    let mut decoder = FrameDecoder::<110>::new();
    for _ in 0..3 {
        decoder.vacant()[..110].copy_from_slice(&bytes);
        decoder.filled(110);
        assert!(decoder.next_frame().unwrap().is_some());
        assert_eq!(decoder.next_frame(), Ok(None));
    }
}

#[test]
fn every_message_of_a_session_fits_its_longest_frame_three_times() {
    for message in session::MESSAGES.iter().chain(order_entry::MESSAGES) {
        assert!(3 * usize::from(message.block_length) + 14 <= frame::SESSION_FRAME_MAX, "{}", message.name);
    }
}

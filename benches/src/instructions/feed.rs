//! A command's events to market data.

use std::hint::black_box;

use client::wire::FeedLevel;
use marketdata::{Feed, LEVELS, channel_of};

use super::counted;
use super::flow::events;
use crate::failure::Failure;

/// Of the tape, the best prices and all price levels.
pub(super) fn packets(operations: u32) -> Result<(), Failure> {
    packets_at(operations, &[FeedLevel::Trades, FeedLevel::BestBidOffer, FeedLevel::MarketByPrice])
}

pub(super) fn packets_at_every_level(operations: u32) -> Result<(), Failure> {
    packets_at(operations, &LEVELS)
}

fn packets_at(operations: u32, levels: &[FeedLevel]) -> Result<(), Failure> {
    let (engine, events) = events(operations)?;
    let mut feed = Feed::of(&engine);
    let books: Vec<_> = feed.instruments().collect();
    for channel_id in books.iter().flat_map(|&book| levels.iter().filter_map(move |&level| channel_of(book, level))) {
        feed.hear(channel_id);
    }
    let mut bytes = 0;
    for command in events.chunk_by(|(one, _), (other, _)| one.id.sequence == other.id.sequence) {
        let now = command[0].0.time.into();
        counted(|| {
            for (header, event) in command {
                feed.event(header, event);
            }
            feed.end_of_command();
            let packets = feed.packets(now);
            bytes += packets.iter().map(|packet| packet.bytes.len()).sum::<usize>();
            black_box(packets);
        });
    }
    assert!(bytes > 0, "there is something to tell");
    Ok(())
}

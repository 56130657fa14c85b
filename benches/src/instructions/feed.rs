//! A command's events to market data.

use std::hint::black_box;

use marketdata::Feed;

use super::counted;
use super::flow::events;
use crate::failure::Failure;

pub(super) fn packets(operations: u32) -> Result<(), Failure> {
    let (engine, events) = events(operations)?;
    let mut feed = Feed::of(&engine);
    feed.hear_all();
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

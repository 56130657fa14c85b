//! The lives of some orders, as the engine told them, and as the event history tells them.

use std::path::Path;

use benches::failure::Failure;
use engine::event::{OrderAccepted, OrderCancelled, OrderReplaced, OrderRestated, OrderTriggered, Trade};
use engine::{Event, EventHeader, EventSink, OrderId, Quantity, Sequence};
use journal::{History, HistoryError, Key, Query};
use serde::{Deserialize, Serialize};

/// What happened to an order from its acceptance on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// The venue's name for it.
    pub order_id: u64,
    /// Its events: each one's command, and its place among the events of the command.
    pub events: Vec<(u64, u32)>,
}

/// Follows some orders.
#[derive(Debug, Default)]
pub(super) struct Lives {
    /// The next order that is accepted is followed.
    is_one_wanted: bool,
    open: Vec<Life>,
    ended: Vec<Life>,
}

impl Lives {
    /// Follows one order more: the next.
    pub(super) fn follow_one(&mut self) {
        self.is_one_wanted = true;
    }

    /// All that were followed, by their first event.
    pub(super) fn all(mut self) -> Vec<Life> {
        self.ended.append(&mut self.open);
        self.ended.sort_by_key(|life| life.events.first().copied());
        self.ended
    }

    fn happened(&mut self, order_id: OrderId, header: &EventHeader, has_ended: bool) {
        let Some(place) = self.open.iter().position(|life| life.order_id == order_id.0) else { return };
        self.open[place].events.push(name_of(header));
        if has_ended {
            self.ended.push(self.open.swap_remove(place));
        }
    }
}

impl EventSink for Lives {
    #[inline]
    fn event(&mut self, header: &EventHeader, event: &Event) {
        if self.is_one_wanted
            && let Event::OrderAccepted(OrderAccepted { order, .. }) = event
        {
            self.is_one_wanted = false;
            self.open.push(Life { order_id: order.order_id.0, events: Vec::new() });
        }
        if !self.open.is_empty() {
            concerned(event, |order_id, has_ended| self.happened(order_id, header, has_ended));
        }
    }
}

/// The orders that an event is a part of the life of, and whether it is the last one.
fn concerned(event: &Event, mut each: impl FnMut(OrderId, bool)) {
    match event {
        Event::OrderAccepted(OrderAccepted { order, .. })
        | Event::OrderReplaced(OrderReplaced { order, .. })
        | Event::OrderRestated(OrderRestated { order, .. })
        | Event::OrderTriggered(OrderTriggered { order, .. }) => each(order.order_id, false),
        Event::OrderCancelled(OrderCancelled { order, .. }) => each(order.order_id, true),
        Event::Trade(Trade { maker, taker, .. }) => {
            for side in [maker, taker] {
                each(side.order_id, side.leaves == Quantity::ZERO);
            }
        }
        _ => {}
    }
}

fn name_of(header: &EventHeader) -> (u64, u32) {
    (header.id.sequence.0, header.id.index)
}

/// Looks the orders up in the history of `place`, which holds everything up to its last whole block; says what is not as it
/// should be, and nothing if there is no history.
pub(super) fn look_up(place: &Path, lives: &[Life]) -> Result<Vec<String>, Failure> {
    let failed = |error: HistoryError| Failure::Missing(error.to_string());
    let Some(history) = History::open(place).map_err(failed)? else { return Ok(Vec::new()) };
    let mut differences = Vec::new();
    for life in lives {
        let found = life_in(&history, OrderId(life.order_id)).map_err(failed)?;
        let Sequence(last) = history.last();
        let told: Vec<_> = life.events.iter().copied().filter(|(sequence, _)| *sequence <= last).collect();
        super::differ(&mut differences, &format!("the life of order {}", life.order_id), &told, &found);
    }
    Ok(differences)
}

fn life_in(history: &History, order_id: OrderId) -> Result<Vec<(u64, u32)>, HistoryError> {
    let mut life = Vec::new();
    for found in history.events(&Query { key: Some(Key::Order(order_id)), ..Query::default() }) {
        let (header, event) = found?;
        concerned(&event, |concerned, _| life.extend((concerned == order_id).then(|| name_of(&header))));
    }
    Ok(life)
}

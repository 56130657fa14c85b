//! Who is connected: how many in all, from each address, and without a session that has opened.
//!
//! Whoever floods the door with connections that never open a session takes places from others who do the same: a quarter
//! of all places is for them, and when these are taken the oldest goes. It has had its chance, the newest has not.

use std::collections::{BTreeMap, HashMap};

use crate::lockout::Origin;
use crate::transport::desk::ConnectionId;

/// How many may be connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Places {
    /// In all.
    pub(crate) in_all: usize,
    /// From one address.
    pub(crate) per_address: usize,
}

impl Places {
    /// Without a session that has opened.
    fn for_newcomers(self) -> usize {
        (self.in_all / 4).max(1)
    }
}

/// Whether one more may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// It may.
    Free,
    /// It may, in the place of another.
    InsteadOf(ConnectionId),
    /// All places are taken by open sessions.
    Full,
    /// All places of its address are taken.
    FullForAddress,
}

/// Who is connected.
#[derive(Debug)]
pub(crate) struct Attendance {
    places: Places,
    count: usize,
    by_origin: HashMap<Origin, usize>,
    /// Places of connections without an open session, by their serials.
    newcomers: BTreeMap<u64, usize>,
}

impl Attendance {
    pub(crate) fn new(places: Places) -> Self {
        Self { places, count: 0, by_origin: HashMap::new(), newcomers: BTreeMap::new() }
    }

    /// Whether one more may come from there.
    pub(crate) fn room(&self, origin: Origin) -> Room {
        let from_there = self.by_origin.get(&origin).copied().unwrap_or(0);
        if from_there >= self.places.per_address {
            return Room::FullForAddress;
        }
        let is_full = self.count >= self.places.in_all;
        if !is_full && self.newcomers.len() < self.places.for_newcomers() {
            return Room::Free;
        }
        let oldest = self.newcomers.first_key_value();
        oldest.map_or(Room::Full, |(&serial, &place)| Room::InsteadOf(ConnectionId { place, serial }))
    }

    /// A connection has come.
    pub(crate) fn came(&mut self, id: ConnectionId, origin: Origin) {
        self.count += 1;
        *self.by_origin.entry(origin).or_default() += 1;
        self.newcomers.insert(id.serial, id.place);
    }

    /// Its session is open.
    pub(crate) fn opened(&mut self, id: ConnectionId) {
        self.newcomers.remove(&id.serial);
    }

    /// It is gone.
    pub(crate) fn left(&mut self, id: ConnectionId, origin: Origin) {
        self.count -= 1;
        self.newcomers.remove(&id.serial);
        if let Some(count) = self.by_origin.get_mut(&origin) {
            *count -= 1;
            if *count == 0 {
                self.by_origin.remove(&origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn origin(last: u8) -> Origin {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)).into()
    }

    fn id(serial: u64) -> ConnectionId {
        ConnectionId { place: usize::try_from(serial).unwrap() + 100, serial }
    }

    #[test]
    fn newcomers_have_a_quarter_of_all_places_and_the_oldest_goes() {
        let mut here = Attendance::new(Places { in_all: 8, per_address: 8 });
        here.came(id(0), origin(1));
        assert_eq!(here.room(origin(2)), Room::Free);
        here.came(id(1), origin(2));
        assert_eq!(here.room(origin(3)), Room::InsteadOf(id(0)));
        here.left(id(0), origin(1));
        assert_eq!(here.room(origin(3)), Room::Free);
        here.came(id(2), origin(3));
        assert_eq!(here.room(origin(4)), Room::InsteadOf(id(1)));
        // A session that opens is a newcomer no more.
        here.opened(id(1));
        assert_eq!(here.room(origin(4)), Room::Free);
        here.came(id(3), origin(4));
        assert_eq!(here.room(origin(4)), Room::InsteadOf(id(2)));
    }

    #[test]
    fn when_all_places_are_taken_a_newcomer_s_is_given_away_and_no_open_session_s() {
        let mut here = Attendance::new(Places { in_all: 4, per_address: 8 });
        for serial in 0..4 {
            assert_eq!(here.room(origin(1)), Room::Free);
            here.came(id(serial), origin(1));
            if serial < 3 {
                here.opened(id(serial));
            }
        }
        assert_eq!(here.room(origin(1)), Room::InsteadOf(id(3)));
        here.opened(id(3));
        assert_eq!(here.room(origin(1)), Room::Full);
        here.left(id(0), origin(1));
        assert_eq!(here.room(origin(1)), Room::Free);
    }

    #[test]
    fn an_address_has_its_places_and_takes_none_of_others() {
        let mut here = Attendance::new(Places { in_all: 100, per_address: 2 });
        (0..2).for_each(|serial| here.came(id(serial), origin(1)));
        assert_eq!((here.room(origin(1)), here.room(origin(2))), (Room::FullForAddress, Room::Free));
        here.opened(id(0));
        assert_eq!(here.room(origin(1)), Room::FullForAddress);
        (0..2).for_each(|serial| here.left(id(serial), origin(1)));
        assert_eq!(here.room(origin(1)), Room::Free);
        assert_eq!((here.count, here.by_origin.len(), here.newcomers.len()), (0, 0, 0));
    }
}

//! What a seed brings: how large, how fast, how bad.

use std::fmt;

use testkit::random::Random;
use testkit::workload::{PROFILES, Profile};

use crate::scale::Scale;

/// Declares the parts of a world that can be left out.
macro_rules! parts {
    ($($part:ident $name:literal: $doc:literal,)*) => {
        /// A part of the world that can be left out, and nothing else changes for it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Part {
            $(#[doc = $doc] $part,)*
        }

        impl Part {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$part,)*];

            /// Its name on a command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$part => $name,)*
                }
            }
        }
    };
}

parts! {
    Kills "kills": "The process ends anywhere; the machine goes on.",
    PowerLosses "power-losses": "The power goes anywhere: what was not synced is torn, lost, or somewhere else.",
    Stops "stops": "The venue is stopped in order and started again.",
    DiskFaults "disk-faults": "An operation of the disk fails, once, halfway, for ever, or lies about it.",
    FullDisk "full-disk": "No file can be made for a while.",
    SlowDisk "slow-disk": "Syncs take long.",
    Rot "rot": "Bits flip where there is a second copy: in snapshots and in what is derived.",
    Cuts "cuts": "Connections are cut.",
    HalfOpen "half-open": "Connections are gone and nobody is told.",
    Delays "delays": "Bytes take long and come in pieces.",
    Clocks "clocks": "The clock on the venue's wall is set wrong, and right again.",
    Freezes "freezes": "The venue stands still while time goes on.",
    Deaths "deaths": "Traders' processes end, and go on from what they kept.",
    Copies "copies": "Damaged copies of the disks are opened beside.",
    Insiders "insiders": "One who may come in, and abuses the protocol.",
    Liars "liars": "Strangers who guess, garble, and send again what others sent.",
    Floods "floods": "Strangers who open connections and say nothing.",
    Operators "operators": "Halts, kill switches, rights, listings, snapshots, at bad moments.",
    Subscribers "subscribers": "Who takes market data, over links that lose.",
    Questions "questions": "Traders who ask.",
}

/// Some parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Parts(u32);

impl Parts {
    /// These and another.
    #[must_use]
    pub fn with(self, part: Part) -> Self {
        Self(self.0 | 1 << part as u32)
    }

    /// Whether it is among them.
    pub fn has(self, part: Part) -> bool {
        self.0 & 1 << part as u32 != 0
    }

    /// All of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Part> {
        Part::ALL.iter().copied().filter(move |&part| self.has(part))
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Part::name).collect();
        f.write_str(&names.join(","))
    }
}

/// What a world is like.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Everything random follows from it.
    pub seed: u64,
    /// What is left out.
    pub without: Parts,
    /// What traders and operators want.
    pub profile: Profile,
    /// How many commands they come up with.
    pub commands: u64,
    /// How long a step takes.
    pub step_ns: u64,
    /// A unit of the workload's time.
    pub scale: Scale,
    /// Of a hundred steps, in so many somebody wants something.
    pub busy: u64,
    /// Of a hundred steps, in so many each part of the venue gets a turn: door, core, writer, spares, digest, market data,
    /// shadow, searches.
    pub turns: [u64; 8],
    /// Of a hundred thousand steps, so many bring each kind of trouble.
    pub trouble: u64,
    /// Bytes of a segment, in physical sectors.
    pub segment_sectors: u64,
    /// Bytes of a physical sector.
    pub physical_bytes: usize,
    /// How often a snapshot is due, in commands.
    pub snapshot_every: Option<u64>,
    /// How long bytes are on their way at most.
    pub delay_max_ns: u64,
    /// How many take market data.
    pub subscribers: u64,
}

impl Plan {
    /// What a seed brings, without some parts.
    pub fn of(seed: u64, without: Parts) -> Self {
        let mut random = Random::new(seed ^ 0x5EED_0000_0001_2E57);
        let profile = random.one_of(PROFILES);
        // What a workload does by sessions, real ones do here.
        let profile = Profile { session: 0, through_session: 0, ..profile };
        let commands = match random.below(10) {
            0..5 => random.between(150, 400),
            5..8 => random.between(400, 900),
            _ => random.between(1_500, 3_500),
        };
        let lazy = [30, 60, 90, 100];
        let turns = core::array::from_fn(|_| random.one_of(&lazy));
        let step_ns = random.one_of(&[50_000, 1_000_000, 1_000_000, 20_000_000]);
        Self {
            seed,
            without,
            profile,
            commands,
            step_ns,
            scale: Scale(random.one_of(&[step_ns / 20, step_ns, 5 * step_ns])),
            busy: random.one_of(&[20, 50, 90]),
            turns,
            trouble: random.one_of(&[20, 60, 200]),
            segment_sectors: random.one_of(&[4, 5, 8, 16]),
            physical_bytes: random.one_of(&[4_096, 4_096, 8_192]),
            snapshot_every: random.one_of(&[None, Some(1_024), Some(1_024)]),
            delay_max_ns: random.one_of(&[0, 1, 20]) * random.one_of(&[100_000, 1_000_000, 5_000_000]),
            subscribers: random.between(0, 4),
        }
    }

    /// Whether a part is there.
    pub fn has(&self, part: Part) -> bool {
        !self.without.has(part)
    }

    /// The random numbers of one who takes part: whoever else does or does not changes nothing in them.
    pub fn random(&self, who: u64) -> Random {
        let mut random = Random::new(self.seed ^ who.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Random::new(random.any() ^ who)
    }
}

use std::collections::BTreeMap;
use std::sync::Arc;

/// What a device writes whole, or not at all, or as garbage.
pub(crate) const SECTOR_BYTES: usize = 512;

type Sector = [u8; SECTOR_BYTES];

/// A file's bytes: what the device holds, what the cache holds, and what was in between.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    device: Arc<Vec<u8>>,
    cache: Arc<Vec<u8>>,
    /// Every version of each sector that was written since its last successful sync.
    unsynced: BTreeMap<usize, Vec<Sector>>,
}

impl Content {
    /// Bytes that are durable.
    pub(crate) fn durable(bytes: Vec<u8>) -> Self {
        let bytes = Arc::new(bytes);
        Self { device: bytes.clone(), cache: bytes, unsynced: BTreeMap::new() }
    }

    /// A new file of zeros that was not synced, on a device that holds whatever was there before.
    pub(crate) fn unwritten(length: usize, random: &mut fastrand::Rng) -> Self {
        let mut content = Self::durable(garbage(length, random));
        content.write(&vec![0; length], 0);
        content
    }

    /// What reads see.
    pub(crate) fn cache(&self) -> &Arc<Vec<u8>> {
        &self.cache
    }

    /// Flips bits of one byte, and makes all of the cache durable.
    pub(crate) fn flip(&mut self, at: usize, mask: u8) {
        self.unsynced.clear();
        self.device = Arc::default();
        Arc::make_mut(&mut self.cache)[at] ^= mask;
        self.device = self.cache.clone();
    }

    pub(crate) fn write(&mut self, bytes: &[u8], at: usize) {
        Arc::make_mut(&mut self.cache)[at..at + bytes.len()].copy_from_slice(bytes);
        if bytes.is_empty() {
            return;
        }
        for sector in at / SECTOR_BYTES..(at + bytes.len()).div_ceil(SECTOR_BYTES) {
            let version = self.cached_sector(sector);
            self.unsynced.entry(sector).or_default().push(version);
        }
    }

    pub(crate) fn sync(&mut self) {
        for sector in std::mem::take(&mut self.unsynced).into_keys() {
            self.write_back(sector);
        }
    }

    /// Some sectors reach the device, and the others still can.
    pub(crate) fn sync_some(&mut self, random: &mut fastrand::Rng) {
        let (done, left) = std::mem::take(&mut self.unsynced).into_iter().partition(|_| random.bool());
        self.unsynced = left;
        for sector in BTreeMap::into_keys(done) {
            self.write_back(sector);
        }
    }

    /// Some sectors reach the device, and the others never will; the cache still shows all of them.
    pub(crate) fn call_clean(&mut self, physical_bytes: usize, random: &mut fastrand::Rng) {
        for (at, bytes) in self.outcome(physical_bytes, random) {
            Arc::make_mut(&mut self.device)[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        self.unsynced.clear();
    }

    /// Only what is to be written yet stays in the cache.
    pub(crate) fn drop_clean(&mut self) {
        let kept: Vec<_> = self.unsynced.keys().map(|&sector| (sector, self.cached_sector(sector))).collect();
        self.cache.clone_from(&self.device);
        for (sector, bytes) in kept {
            let range = self.sector_range(sector);
            let length = range.len();
            Arc::make_mut(&mut self.cache)[range].copy_from_slice(&bytes[..length]);
        }
    }

    pub(crate) fn lose_power(&mut self, physical_bytes: usize, random: &mut fastrand::Rng) {
        self.call_clean(physical_bytes, random);
        self.drop_clean();
    }

    /// Garbage in every physical sector that was written and not synced.
    pub(crate) fn lose_all(&mut self, physical_bytes: usize, random: &mut fastrand::Rng) {
        for sector in std::mem::take(&mut self.unsynced).into_keys() {
            let range = self.physical_range(sector, physical_bytes);
            random.fill(&mut Arc::make_mut(&mut self.device)[range]);
        }
        self.drop_clean();
    }

    /// What the device makes of the unsynced sectors when it is interrupted.
    fn outcome(&self, physical_bytes: usize, random: &mut fastrand::Rng) -> Vec<(usize, Vec<u8>)> {
        let mut outcome: Vec<_> = self
            .unsynced
            .iter()
            .map(|(&sector, versions)| {
                let range = self.sector_range(sector);
                let mut bytes = match random.u8(..8) {
                    0..3 => self.device[range.clone()].to_vec(),
                    3..6 => random.choice(versions).expect("written at least once").to_vec(),
                    6 => vec![0; SECTOR_BYTES],
                    _ if random.bool() => self.misdirected(random),
                    _ => garbage(SECTOR_BYTES, random),
                };
                bytes.truncate(range.len());
                (range.start, bytes)
            })
            .collect();
        if let Some((&sector, 0)) = random.choice(&self.unsynced).map(|(sector, _)| (sector, random.u8(..16))) {
            let range = self.physical_range(sector, physical_bytes);
            outcome.push((range.start, garbage(range.len(), random)));
        }
        outcome
    }

    /// What was written to another sector, and not synced.
    fn misdirected(&self, random: &mut fastrand::Rng) -> Vec<u8> {
        let versions = random.choice(self.unsynced.values()).expect("there is one that asks");
        random.choice(versions).expect("written at least once").to_vec()
    }

    fn write_back(&mut self, sector: usize) {
        let range = self.sector_range(sector);
        Arc::make_mut(&mut self.device)[range.clone()].copy_from_slice(&self.cache[range]);
    }

    fn cached_sector(&self, sector: usize) -> Sector {
        let mut version = [0; SECTOR_BYTES];
        let bytes = &self.cache[self.sector_range(sector)];
        version[..bytes.len()].copy_from_slice(bytes);
        version
    }

    fn physical_range(&self, sector: usize, physical_bytes: usize) -> std::ops::Range<usize> {
        let start = sector * SECTOR_BYTES / physical_bytes * physical_bytes;
        start..self.device.len().min(start + physical_bytes)
    }

    /// A file's last sector may be short.
    fn sector_range(&self, sector: usize) -> std::ops::Range<usize> {
        let start = sector * SECTOR_BYTES;
        start..self.cache.len().min(start + SECTOR_BYTES)
    }
}

fn garbage(length: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

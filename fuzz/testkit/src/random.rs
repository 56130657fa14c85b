//! A small generator of reproducible numbers (splitmix64).

/// Numbers that follow from a seed alone, or from bytes that somebody chose as long as there are some.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
    /// Bytes to follow first; last first.
    chosen: Vec<u8>,
}

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed, chosen: Vec::new() }
    }

    /// Follows `bytes`, and then a seed that follows from them: what was before is forgotten.
    pub fn follow(&mut self, bytes: &[u8]) {
        self.state = bytes.iter().fold(bytes.len() as u64, |state, &byte| Self::new(state ^ u64::from(byte)).any());
        self.chosen.clear();
        self.chosen.extend(bytes.iter().rev());
    }

    /// The next number.
    pub fn any(&mut self) -> u64 {
        self.chosen(8).unwrap_or_else(|| self.seeded())
    }

    /// The number in the next chosen bytes, if any are left.
    fn chosen(&mut self, bytes: usize) -> Option<u64> {
        if self.chosen.is_empty() {
            return None;
        }
        Some((0..bytes).fold(0, |number, _| number << 8 | u64::from(self.chosen.pop().unwrap_or(0))))
    }

    fn seeded(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // No more bytes than the choice needs, so that a few of them make many.
        let bytes = (1..8).find(|&bytes| bound <= 1 << (8 * bytes)).unwrap_or(8);
        self.chosen(bytes).unwrap_or_else(|| self.seeded()) % bound
    }

    /// A number from `least` to `most`.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is none.
    pub fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).expect("an index")]
    }

    /// The place of one of the weights, each as likely as it is heavy.
    pub fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut at = self.below(weights.iter().sum());
        for (index, &weight) in weights.iter().enumerate() {
            if at < weight {
                return index;
            }
            at -= weight;
        }
        unreachable!("the place is below the sum")
    }
}

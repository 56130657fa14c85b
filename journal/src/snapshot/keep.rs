//! Which snapshots are kept: a bounded number, dense towards the end and ever sparser towards the beginning.

use engine::Sequence;

/// How many snapshots are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    count: usize,
}

impl Keep {
    /// The fewest: two, so that one is whole while the other is found to be damaged.
    pub const MIN: usize = 2;

    /// At most so many, and at least [`MIN`](Self::MIN).
    pub fn at_most(count: usize) -> Self {
        Self { count: count.max(Self::MIN) }
    }

    /// Which of these, ascending, have to go.
    ///
    /// The newest two stay. Of the others, again and again the one goes that is missed least: where the gap that it
    /// leaves is smallest beside its distance from the newest. So the time that a look at the past takes grows with how
    /// far it looks back, and no faster.
    pub(super) fn superfluous(self, mut kept: Vec<Sequence>) -> Vec<Sequence> {
        let mut gone = Vec::new();
        while kept.len() > self.count {
            gone.push(kept.remove(missed_least(&kept)));
        }
        gone
    }
}

impl Default for Keep {
    /// Eight: at the default distance, between two and ten minutes at full load to look back without a longer replay,
    /// and hours at a usual one.
    fn default() -> Self {
        Self::at_most(8)
    }
}

/// Its place among `kept`, of which there are more than two.
fn missed_least(kept: &[Sequence]) -> usize {
    let newest = kept[kept.len() - 1].0;
    let gap = |place: usize| {
        let before = if place == 0 { 0 } else { kept[place - 1].0 };
        (kept[place + 1].0 - before, newest - kept[place].0)
    };
    (0..kept.len() - 2)
        .min_by(|&one, &other| {
            let ((gap, distance), (other_gap, other_distance)) = (gap(one), gap(other));
            let left = u128::from(gap) * u128::from(other_distance);
            left.cmp(&(u128::from(other_gap) * u128::from(distance)))
        })
        .expect("more than two")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(taken: impl IntoIterator<Item = u64>, count: usize) -> Vec<u64> {
        let mut kept: Vec<Sequence> = Vec::new();
        for sequence in taken {
            kept.push(Sequence(sequence));
            let gone = Keep::at_most(count).superfluous(kept.clone());
            kept.retain(|sequence| !gone.contains(sequence));
        }
        kept.into_iter().map(|sequence| sequence.0).collect()
    }

    #[test]
    fn few_are_all_kept_and_one_is_never_enough() {
        assert_eq!(left([10, 20, 30], 3), [10, 20, 30]);
        assert_eq!(left([10, 20, 30], 0), [20, 30]);
    }

    #[test]
    fn of_many_the_distances_grow_towards_the_beginning() {
        let kept = left((1..=1_000).map(|number| number * 1_024), 8);
        assert_eq!(kept.len(), 8);
        assert_eq!(kept[6..], [999 * 1_024, 1_000 * 1_024], "the newest two stay");
        // What has to be replayed for a moment between two of them is at most three times as much as happened since.
        let newest = 1_000 * 1_024;
        let mut before = 0;
        for &sequence in &kept[..7] {
            assert!(sequence - before <= 3 * (newest - sequence), "{kept:?}");
            before = sequence;
        }
    }
}

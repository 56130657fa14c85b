//! How far two means of noisy values are apart, and how sure that is.
//!
//! Values are resampled in blocks of neighbours, so that what drifts together stays together; an interval is of the middle
//! 95 % of what that gives, widened as Student's distribution says for as few blocks as there are.

use fastrand::Rng;

const RESAMPLES: usize = 2_000;
/// Of the normal distribution: 95 % are within so many deviations.
const NORMAL: f64 = 1.96;

/// A ratio of two geometric means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The second by the first.
    pub ratio: f64,
    /// With 95 % confidence it is not less.
    pub low: f64,
    /// With 95 % confidence it is not more.
    pub high: f64,
}

impl Interval {
    /// Whether both may as well be the same.
    pub fn is_noise(&self) -> bool {
        self.low <= 1.0 && 1.0 <= self.high
    }
}

/// The ratio of what `other` has to what `one` has. Each is of several runs of consecutive positive values, `block` of which
/// stay together; nothing if there are not two blocks of each.
pub fn ratio(one: &[Vec<f64>], other: &[Vec<f64>], block: usize, random: &mut Rng) -> Option<Interval> {
    let (one, other) = (Sample::new(one, block)?, Sample::new(other, block)?);
    let found = other.mean() - one.mean();
    let mut differences: Vec<f64> =
        (0..RESAMPLES).map(|_| other.resampled_mean(random) - one.resampled_mean(random)).collect();
    differences.sort_unstable_by(f64::total_cmp);
    let at = |quantile: f64| differences[(quantile * (RESAMPLES - 1) as f64).round() as usize];
    let few = widening(one.blocks.min(other.blocks), one.blocks + other.blocks - 2.0);
    let [low, high] = [0.025, 0.975].map(|quantile| found + (at(quantile) - found) * few);
    Some(Interval { ratio: found.exp(), low: low.exp(), high: high.exp() })
}

/// How much too narrow the middle 95 % are for means of so many blocks: they miss the deviation's own uncertainty, and
/// that it is of the sample.
fn widening(blocks: f64, freedom: f64) -> f64 {
    let z = NORMAL;
    let student = z
        + (z.powi(3) + z) / (4.0 * freedom)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * freedom * freedom);
    student / z * (blocks / (blocks - 1.0)).sqrt()
}

/// Logarithms of values, by run.
struct Sample {
    runs: Vec<Vec<f64>>,
    count: usize,
    block: usize,
    blocks: f64,
}

impl Sample {
    fn new(runs: &[Vec<f64>], block: usize) -> Option<Self> {
        let logarithms = |run: &Vec<f64>| run.iter().filter(|value| **value > 0.0).map(|value| value.ln()).collect();
        let runs: Vec<Vec<f64>> = runs.iter().map(logarithms).filter(|run: &Vec<f64>| !run.is_empty()).collect();
        let count = runs.iter().map(Vec::len).sum();
        let blocks = count as f64 / block as f64;
        (blocks >= 2.0).then_some(Self { runs, count, block, blocks })
    }

    fn mean(&self) -> f64 {
        self.runs.iter().flatten().sum::<f64>() / self.count as f64
    }

    /// Of as many values, in blocks that begin anywhere and go on at a run's beginning where it ends.
    fn resampled_mean(&self, random: &mut Rng) -> f64 {
        let (mut sum, mut left) = (0.0, self.count);
        while left > 0 {
            let (run, begin) = self.place(random.usize(..self.count));
            let taken = self.block.min(left);
            sum += run.iter().cycle().skip(begin).take(taken).sum::<f64>();
            left -= taken;
        }
        sum / self.count as f64
    }

    fn place(&self, mut index: usize) -> (&[f64], usize) {
        for run in &self.runs {
            if index < run.len() {
                return (run, index);
            }
            index -= run.len();
        }
        unreachable!("less than all values")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values around one that vary by about so much.
    fn noisy(count: usize, mean: f64, deviation: f64, random: &mut Rng) -> Vec<f64> {
        let normal = |random: &mut Rng| (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        (0..count).map(|_| mean * (1.0 + deviation * normal(random))).collect()
    }

    #[test]
    fn the_same_is_seldom_told_apart() {
        for count in [5, 20] {
            let mut random = Rng::with_seed(11);
            let told = (0..100).filter(|_| {
                let [one, other] = [(); 2].map(|()| vec![noisy(count, 100.0, 0.05, &mut random)]);
                !ratio(&one, &other, 1, &mut random).unwrap().is_noise()
            });
            let told = told.count();
            // 5 are expected; more than 14 come once in several thousand times.
            assert!(told <= 14, "{told} of 100 with {count} values, seed 11");
        }
    }

    #[test]
    fn a_tenth_more_is_found_in_little_noise() {
        let mut random = Rng::with_seed(12);
        let one = vec![noisy(6, 100.0, 0.01, &mut random)];
        let other = vec![noisy(6, 110.0, 0.01, &mut random)];
        let found = ratio(&one, &other, 1, &mut random).unwrap();
        assert!(!found.is_noise(), "{found:?} with seed 12");
        assert!((1.07..1.10).contains(&found.low) && (1.10..1.13).contains(&found.high), "{found:?} with seed 12");
    }

    #[test]
    fn drift_within_a_run_is_no_difference() {
        let mut random = Rng::with_seed(13);
        let steady = vec![noisy(20, 100.0, 0.005, &mut random)];
        let drifting = vec![(0..20).map(|index| 92.0 + f64::from(index)).collect()];
        let found = ratio(&steady, &drifting, 4, &mut random).unwrap();
        assert!(found.is_noise(), "{found:?} with seed 13");
        // As if each value told something of its own, the two would be sure to differ.
        assert!(ratio(&steady, &drifting, 1, &mut random).unwrap().low > found.low, "seed 13");
    }

    #[test]
    fn a_block_alone_says_nothing() {
        let mut random = Rng::with_seed(14);
        assert_eq!(ratio(&[vec![1.0; 7]], &[vec![1.0; 20]], 4, &mut random), None);
        assert_eq!(ratio(&[vec![0.0; 20]], &[vec![1.0; 20]], 4, &mut random), None);
        let same = ratio(&[vec![2.0; 20]], &[vec![2.0; 20]], 4, &mut random);
        assert_eq!(same, Some(Interval { ratio: 1.0, low: 1.0, high: 1.0 }));
    }

    #[test]
    fn few_blocks_widen() {
        // Student's 2.306 for eight degrees of freedom, and the root of 5/4.
        assert!((widening(5.0, 8.0) - 2.306 / 1.96 * 1.118).abs() < 0.01);
        assert!((widening(1_000.0, 1_998.0) - 1.0).abs() < 0.01);
    }
}

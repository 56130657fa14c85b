//! How fast a session may go: token buckets without a clock.
//!
//! There are three budgets, so that none can be used up by another's messages: orders and amends, then whatever reduces
//! risk, then whatever only asks. A message beyond its budget is refused, and costs the core nothing; who goes on none the
//! less, and is refused as often within a second as the budget's burst, is sent away.

use core::num::NonZeroU32;

use engine::{Nanoseconds, Timestamp};
use wire::order_entry::{KillSwitch, OrderCancelRequest, OrderMassActionRequest};
use wire::{Frame, Message, TemplateId};

const SECOND: Nanoseconds = Nanoseconds(1_000_000_000);

/// Messages a second over time, and at most so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_second: NonZeroU32,
    burst: NonZeroU32,
}

impl Rate {
    /// So many a second, and at most `burst` at once.
    pub const fn new(per_second: NonZeroU32, burst: NonZeroU32) -> Self {
        Self { per_second, burst }
    }

    /// `count` a second, all of which may come at once.
    ///
    /// # Panics
    ///
    /// If that is none at all.
    pub const fn per_second(count: u32) -> Self {
        let count = NonZeroU32::new(count).expect("a rate is above zero");
        Self::new(count, count)
    }

    /// Messages a second.
    pub const fn count(self) -> NonZeroU32 {
        self.per_second
    }

    /// Messages at once.
    pub const fn burst(self) -> NonZeroU32 {
        self.burst
    }

    /// How long it takes until there is room for one more.
    fn interval(self) -> Nanoseconds {
        // Nobody counts beyond a message a nanosecond.
        Nanoseconds((SECOND.0 / u64::from(self.per_second.get())).max(1))
    }
}

/// What a session may send by budget; none: as much as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// Orders and amends.
    pub commands: Option<Rate>,
    /// Cancels, mass cancels and kill switches.
    pub cancels: Option<Rate>,
    /// Questions.
    pub questions: Option<Rate>,
}

impl Budgets {
    /// No bounds.
    pub const OFF: Self = Self { commands: None, cancels: None, questions: None };

    /// `rate` for commands, the same again for cancels, and 100 questions a second; none: no bounds.
    pub const fn of(rate: Option<Rate>) -> Self {
        match rate {
            None => Self::OFF,
            Some(_) => Self { commands: rate, cancels: rate, questions: Some(Rate::per_second(100)) },
        }
    }
}

/// The budgets of a session, by the role of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttles {
    /// Of every key that is not a market maker's.
    pub trader: Budgets,
    /// Of a key that is a market maker for any account.
    pub market_maker: Budgets,
}

impl Throttles {
    /// No bounds.
    pub const OFF: Self = Self { trader: Budgets::OFF, market_maker: Budgets::OFF };

    /// 1,000 a second for traders, 20,000 for market makers.
    pub const DEFAULT: Self = Self {
        trader: Budgets::of(Some(Rate::per_second(1_000))),
        market_maker: Budgets::of(Some(Rate::per_second(20_000))),
    };
}

/// Which budget a message is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Orders, amends, and whatever cannot be read.
    Commands,
    /// Cancels, mass cancels and kill switches.
    Cancels,
    /// Questions.
    Questions,
}

impl Budget {
    const CANCELS: [TemplateId; 3] =
        [OrderCancelRequest::TEMPLATE_ID, OrderMassActionRequest::TEMPLATE_ID, KillSwitch::TEMPLATE_ID];

    /// The budget of a command, by its headers.
    pub(crate) fn of_command(frame: &Frame<'_>) -> Self {
        if Self::CANCELS.contains(&frame.header.template_id) { Self::Cancels } else { Self::Commands }
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is carried out.
    Pass,
    /// It is refused.
    Refuse,
    /// It is refused, and the session ends.
    End,
}

/// What a session has used of its budgets.
#[derive(Debug, Clone, Copy)]
pub struct Throttle {
    commands: Metered,
    cancels: Metered,
    questions: Metered,
}

impl Throttle {
    /// Nothing is used yet.
    pub fn new(budgets: Budgets) -> Self {
        let Budgets { commands, cancels, questions } = budgets;
        Self { commands: Metered::new(commands), cancels: Metered::new(cancels), questions: Metered::new(questions) }
    }

    /// Takes a message at `now`. A clock that was set back costs at most the time in which the budget fills.
    pub fn take(&mut self, budget: Budget, now: Timestamp) -> Verdict {
        match budget {
            Budget::Commands => self.commands.take(now),
            Budget::Cancels => self.cancels.take(now),
            Budget::Questions => self.questions.take(now),
        }
    }
}

/// A budget with a rate.
#[derive(Debug, Clone, Copy)]
struct Metered {
    rate: Option<Rate>,
    passed: Bucket,
    refused: Bucket,
}

impl Metered {
    fn new(rate: Option<Rate>) -> Self {
        Self { rate, passed: Bucket::FULL, refused: Bucket::FULL }
    }

    fn take(&mut self, now: Timestamp) -> Verdict {
        let Some(rate) = self.rate else { return Verdict::Pass };
        if self.passed.take(rate.interval(), rate.burst, now) {
            return Verdict::Pass;
        }
        let patience = Rate::new(rate.burst, rate.burst);
        if self.refused.take(patience.interval(), patience.burst, now) { Verdict::Refuse } else { Verdict::End }
    }
}

/// A token bucket, kept as the time when it is full again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket {
    full_at: Timestamp,
}

impl Bucket {
    pub(crate) const FULL: Self = Self { full_at: Timestamp::NONE };

    /// Takes one of at most `burst`, if there is one; each comes back after an interval.
    pub(crate) fn take(&mut self, interval: Nanoseconds, burst: NonZeroU32, now: Timestamp) -> bool {
        let empty = now.after(Nanoseconds(interval.0 * u64::from(burst.get())));
        // It is as full as the clock says, also where that was set back.
        self.full_at = self.full_at.clamp(now, empty);
        let without_one = self.full_at.after(interval);
        let is_there = without_one <= empty;
        if is_there {
            self.full_at = without_one;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_790_000_000_000_000_000);

    fn rate(per_second: u32, burst: u32) -> Rate {
        Rate::new(NonZeroU32::new(per_second).unwrap(), NonZeroU32::new(burst).unwrap())
    }

    fn at(milliseconds: u64) -> Timestamp {
        START.after(Nanoseconds(milliseconds * 1_000_000))
    }

    /// How many of `asked` pass at once.
    fn passed(bucket: &mut Bucket, rate: Rate, asked: usize, now: Timestamp) -> usize {
        (0..asked).filter(|_| bucket.take(rate.interval(), rate.burst, now)).count()
    }

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_its_rate_over_time() {
        let (mut bucket, rate) = (Bucket::FULL, rate(100, 5));
        assert_eq!(passed(&mut bucket, rate, 10, at(0)), 5);
        assert_eq!(passed(&mut bucket, rate, 10, at(9)), 0);
        assert_eq!(passed(&mut bucket, rate, 10, at(10)), 1);
        assert_eq!(passed(&mut bucket, rate, 10, at(40)), 3);
        // However long it rests, it holds no more than its burst.
        assert_eq!(passed(&mut bucket, rate, 10, at(3_600_000)), 5);
        let over_a_second = (3_601_000..3_602_000).map(|time| passed(&mut bucket, rate, 10, at(time))).sum::<usize>();
        assert_eq!(over_a_second, 5 + 99);
    }

    #[test]
    fn a_clock_that_was_set_back_empties_a_bucket_and_no_more() {
        let (mut bucket, rate) = (Bucket::FULL, rate(100, 5));
        assert_eq!(passed(&mut bucket, rate, 10, at(3_600_000)), 5);
        assert_eq!(passed(&mut bucket, rate, 10, at(0)), 0);
        assert_eq!(passed(&mut bucket, rate, 10, at(50)), 5);
    }

    #[test]
    fn the_highest_rate_lets_all_pass_and_the_lowest_one() {
        let mut bucket = Bucket::FULL;
        assert_eq!(passed(&mut bucket, Rate::per_second(u32::MAX), 1_000, START), 1_000);
        let mut bucket = Bucket::FULL;
        assert_eq!(passed(&mut bucket, Rate::per_second(1), 10, START), 1);
        assert_eq!(passed(&mut bucket, Rate::per_second(1), 10, at(999)), 0);
        assert_eq!(passed(&mut bucket, Rate::per_second(1), 10, at(1_000)), 1);
    }

    #[test]
    fn one_budget_is_not_used_up_by_another_s_messages() {
        let mut throttle = Throttle::new(Budgets { questions: Some(rate(2, 1)), ..Budgets::of(Some(rate(10, 3))) });
        let mut take = |budget| throttle.take(budget, START);
        assert_eq!(
            [(); 4].map(|()| take(Budget::Commands)),
            [Verdict::Pass, Verdict::Pass, Verdict::Pass, Verdict::Refuse]
        );
        assert_eq!(
            [(); 4].map(|()| take(Budget::Cancels)),
            [Verdict::Pass, Verdict::Pass, Verdict::Pass, Verdict::Refuse]
        );
        assert_eq!([(); 2].map(|()| take(Budget::Questions)), [Verdict::Pass, Verdict::Refuse]);
    }

    #[test]
    fn who_is_refused_more_often_than_the_burst_within_a_second_is_sent_away() {
        let mut throttle = Throttle::new(Budgets::of(Some(rate(10, 3))));
        let verdicts: Vec<_> = (0..7).map(|_| throttle.take(Budget::Commands, START)).collect();
        let expected = [[Verdict::Pass; 3], [Verdict::Refuse; 3]].concat();
        assert_eq!(verdicts[..6], expected);
        assert_eq!(verdicts[6], Verdict::End);
        // Who is refused now and then stays: thirteen a second, of which ten pass.
        let mut throttle = Throttle::new(Budgets::of(Some(rate(10, 3))));
        let verdicts: Vec<_> = (0..130).map(|n| throttle.take(Budget::Commands, at(n * 1_000 / 13))).collect();
        assert!(verdicts.contains(&Verdict::Refuse) && !verdicts.contains(&Verdict::End));
    }

    #[test]
    fn without_bounds_everything_passes() {
        let mut throttle = Throttle::new(Budgets::OFF);
        for budget in [Budget::Commands, Budget::Cancels, Budget::Questions] {
            assert!((0..10_000).all(|_| throttle.take(budget, START) == Verdict::Pass));
        }
    }
}

//! Which cells of the session's table inputs have met. A cell is a bit: whoever looks one up pays for an OR and no more.
//!
//! ```text
//!   bit  0          1            …  5        6          …  113
//!        Negotiate  Negotiate       Negotiate Establish     Closed
//!        Connected  Negotiating     Closing   Connected     Closing
//! ```

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use super::{Row, State, Step, step};

const _: () = assert!(State::ALL.len() == State::Closing as usize + 1, "a state is its place among all of them");
const _: () = assert!(Row::ALL.len() * State::ALL.len() <= u128::BITS as usize, "every cell has a bit");

/// A set of cells of the session's table.
///
/// ```
/// use gateway::session::{State, Visited};
///
/// assert_eq!(Visited::default().iter().next(), None);
/// assert!(Visited::all().iter().any(|cell| cell == (State::Connected, "Negotiate")));
/// assert!(Visited::idle().iter().any(|cell| cell == (State::Closing, "Negotiate")));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Visited(u128);

impl Visited {
    /// The cells in which something happens.
    pub fn all() -> Self {
        Self::of(|step| step != Step::Nothing)
    }

    /// The cells in which nothing happens, "─" where the table is drawn. They are apart from the others because a driver
    /// may spare a session inputs that do nothing: one of these that is never met says nothing against the inputs.
    pub fn idle() -> Self {
        Self::of(|step| step == Step::Nothing)
    }

    /// The cells as the table is drawn, row by row: the state in which an input came, and the name of the input's row.
    pub fn iter(self) -> impl Iterator<Item = (State, &'static str)> {
        cells().filter(move |&(row, state)| self.0 & bit(row, state) != 0).map(|(row, state)| (state, row.name()))
    }

    /// The cells that are not among `others`.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// An input of a row met a state.
    pub(super) fn visit(&mut self, row: Row, state: State) {
        self.0 |= bit(row, state);
    }

    fn of(is_wanted: impl Fn(Step) -> bool) -> Self {
        let mut wanted = Self::default();
        cells().filter(|&(row, state)| is_wanted(step(state, row))).for_each(|(row, state)| wanted.visit(row, state));
        wanted
    }
}

impl BitOr for Visited {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Visited {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

impl fmt::Debug for Visited {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

fn bit(row: Row, state: State) -> u128 {
    1 << (row as usize * State::ALL.len() + state as usize)
}

fn cells() -> impl Iterator<Item = (Row, State)> {
    Row::ALL.iter().flat_map(|&row| State::ALL.into_iter().map(move |state| (row, state)))
}

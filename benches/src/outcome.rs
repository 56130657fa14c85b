//! What a flow's data says must come out, what came out, and whether they agree.

use crate::driver::Digests;

/// Differences that are described one by one; the rest are only counted.
const DESCRIBED_MAX: usize = 5;

/// How many things the data says, and how many of them the engine did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    name: &'static str,
    expected: u64,
    equal: u64,
    difference_count: u64,
    described: Vec<String>,
}

impl Comparison {
    /// Nothing compared yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, expected: 0, equal: 0, difference_count: 0, described: Vec::new() }
    }

    /// Compares the next thing.
    pub fn expect<T: PartialEq + std::fmt::Debug>(&mut self, what: impl FnOnce() -> String, expected: &T, found: &T) {
        self.expected += 1;
        if expected == found {
            self.equal += 1;
        } else {
            self.differ(|| format!("{}: expected {expected:?}, found {found:?}", what()));
        }
    }

    /// Something came out that the data does not say.
    pub fn surplus(&mut self, what: impl FnOnce() -> String) {
        self.differ(|| format!("not in the data: {}", what()));
    }

    /// How many things the data says.
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// How many of them the engine did.
    pub fn equal(&self) -> u64 {
        self.equal
    }

    /// Whether the engine did all of them and nothing else.
    pub fn agrees(&self) -> bool {
        self.difference_count == 0
    }

    fn differ(&mut self, description: impl FnOnce() -> String) {
        self.difference_count += 1;
        if self.described.len() < DESCRIBED_MAX {
            self.described.push(description());
        }
    }
}

/// The end of a flow.
#[derive(Debug)]
pub struct Outcome {
    /// Which flow.
    pub flow: &'static str,
    /// Commands that the engine applied.
    pub commands: u64,
    /// What was compared.
    pub comparisons: Vec<Comparison>,
    /// What was counted besides.
    pub figures: Vec<(&'static str, u64)>,
    /// What must hold at the end whatever the data says, and does not.
    pub faults: Vec<String>,
    /// The digests.
    pub digests: Digests,
}

impl Outcome {
    /// Whether everything agrees.
    pub fn agrees(&self) -> bool {
        self.faults.is_empty() && self.comparisons.iter().all(Comparison::agrees)
    }

    /// One object on one line.
    pub fn json(&self) -> String {
        let mut object = crate::json::Object::default();
        object.number("commands", self.commands);
        for comparison in &self.comparisons {
            object.number(&format!("{}_expected", comparison.name), comparison.expected);
            object.number(&format!("{}_equal", comparison.name), comparison.equal);
        }
        for (name, figure) in &self.figures {
            object.number(name, *figure);
        }
        object.text("event_digest", self.digests.event);
        object.text("state_digest", self.digests.state);
        object.text("book_digest", self.digests.book);
        object.to_string()
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        let compared = self
            .comparisons
            .iter()
            .map(|comparison| {
                format!("{} {} of {}", comparison.name.replace('_', " "), comparison.equal, comparison.expected)
            })
            .chain(self.figures.iter().map(|(name, figure)| format!("{} {figure}", name.replace('_', " "))))
            .collect::<Vec<_>>()
            .join(", ");
        let verdict = if self.agrees() { "agrees" } else { "DIFFERS" };
        format!("{}: {} commands; {compared}; {verdict}", self.flow, self.commands)
    }

    /// What differs, for people; the first few of each kind.
    pub fn differences(&self) -> Vec<String> {
        let compared = self.comparisons.iter().flat_map(|comparison| {
            let rest = comparison.difference_count - comparison.described.len() as u64;
            let rest = (rest > 0).then(|| format!("and {rest} more"));
            comparison.described.iter().cloned().chain(rest).map(|text| format!("{}: {text}", comparison.name))
        });
        compared.chain(self.faults.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_agrees_only_without_missing_and_surplus_things() {
        let mut comparison = Comparison::new("things");
        comparison.expect(|| "first".to_owned(), &1, &1);
        assert!(comparison.agrees());
        comparison.surplus(|| "second".to_owned());
        assert!(!comparison.agrees());
        assert_eq!((comparison.expected(), comparison.equal()), (1, 1));
    }
}

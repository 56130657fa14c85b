//! What has changed since the record, and whether that is too much.

use super::callgrind::PerOperation;
use super::record::{Function, Record, Recorded};
use super::{PATHS, Path};

/// Functions that are named where a path has grown.
const NAMED: usize = 5;
/// What a function has grown by at least, if it is named: what the record's tenths can tell.
const LEAST_SHOWN: f64 = 0.1;
/// What libraries may differ by: another version of the C library allocates and copies a little otherwise.
const LIBRARIES_PERCENT: f64 = 25.0;
/// The least that is something in libraries: less than a call of any allocator.
const LIBRARIES_LEAST: f64 = 15.0;

/// How a path stands to its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Within the tolerance.
    AsRecorded,
    /// More than recorded, beyond the tolerance.
    Grown,
    /// Less than recorded, beyond the tolerance.
    Shrunk,
    /// There is no record of it.
    New,
}

/// Instructions of an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Instructions {
    /// Of the program's own functions.
    pub own: f64,
    /// Of libraries.
    pub libraries: f64,
}

/// A path, then and now.
#[derive(Debug)]
pub struct Comparison {
    /// Which.
    pub name: &'static str,
    /// Instructions of an operation in the record; nothing if it is new.
    pub recorded: Option<Instructions>,
    /// The same now.
    pub now: Instructions,
    /// What follows.
    pub verdict: Verdict,
    /// The functions that have grown most, the most first: name, then, now.
    pub grown: Vec<(String, Option<f64>, f64)>,
}

impl Comparison {
    /// Compares a path with what was recorded of it.
    pub fn of(path: &Path, recorded: Option<&Recorded>, now: &PerOperation) -> Self {
        let grown = recorded.map_or(Vec::new(), |recorded| grown(&recorded.functions, &now.functions));
        let recorded = recorded.map(|it| Instructions { own: it.instructions, libraries: it.libraries });
        let now = Instructions { own: now.own, libraries: now.libraries };
        let verdict = recorded.map_or(Verdict::New, |before| verdict(before, now, path.tolerance_percent));
        Self { name: path.name, recorded, now, verdict, grown }
    }

    /// By how many percent the program's own have changed; nothing if it is new.
    pub fn change_percent(&self) -> Option<f64> {
        self.recorded.map(|recorded| (self.now.own / recorded.own - 1.0) * 100.0)
    }

    /// A line of the table.
    pub fn row(&self) -> String {
        let cell = |count: Option<f64>| count.map_or("-".to_owned(), |count| format!("{count:.1}"));
        let change = self.change_percent().map_or("-".to_owned(), |change| format!("{change:+.1} %"));
        let verdict = match self.verdict {
            Verdict::AsRecorded => "",
            Verdict::Grown => "grown",
            Verdict::Shrunk => "shrunk",
            Verdict::New => "not recorded",
        };
        let row = format!(
            "{:46} {:>9} {:>9.1} {change:>9} {:>9} {:>9.1}  {verdict}",
            self.name,
            cell(self.recorded.map(|recorded| recorded.own)),
            self.now.own,
            cell(self.recorded.map(|recorded| recorded.libraries)),
            self.now.libraries,
        );
        row.trim_end().to_owned()
    }

    /// What has grown, in lines.
    pub fn explanation(&self) -> String {
        let Instructions { own, libraries } = self.now;
        let change = self.change_percent().unwrap_or_default();
        let mut text = format!("{}: {own:.1} instructions an operation", self.name);
        if let Some(before) = self.recorded {
            text += &format!(
                " instead of {:.1} ({change:+.1} %), {libraries:.1} in libraries instead of {:.1}",
                before.own, before.libraries
            );
        }
        text += ". What grew most, without what it calls:";
        for (name, before, now) in &self.grown {
            let before = before.map_or("not recorded".to_owned(), |before| format!("{before:.1}"));
            text += &format!("\n    {now:>10.1} instead of {before}: {name}");
        }
        text
    }
}

/// The heading of the table.
pub fn heading() -> String {
    let names = format!("{:46} {:^29} {:>19}", "", "own", "in libraries");
    format!(
        "{}\n{:46} {:>9} {:>9} {:>9} {:>9} {:>9}",
        names.trim_end(),
        "instructions an operation",
        "recorded",
        "now",
        "change",
        "recorded",
        "now"
    )
}

/// Why a record cannot be compared with, if it cannot: counts of another compiler say nothing.
pub fn mismatch(recorded: &Record, now: &Record) -> Option<String> {
    let differing = [("compiler", &recorded.compiler, &now.compiler), ("target", &recorded.target, &now.target)];
    let (what, then, now) = differing.into_iter().find(|(_, then, now)| then != now)?;
    Some(format!("recorded with the {what} {then}, this is {now}: record again"))
}

/// The recorded paths that are no more.
pub fn gone(recorded: &Record) -> Vec<&str> {
    let names = recorded.paths.iter().map(|path| path.name.as_str());
    names.filter(|name| PATHS.iter().all(|path| path.name != *name)).collect()
}

fn verdict(before: Instructions, now: Instructions, tolerance_percent: f64) -> Verdict {
    let own = before.own * tolerance_percent / 100.0;
    let libraries = (before.libraries * LIBRARIES_PERCENT / 100.0).max(LIBRARIES_LEAST);
    if now.own > before.own + own || now.libraries > before.libraries + libraries {
        Verdict::Grown
    } else if now.own < before.own - own || now.libraries < before.libraries - libraries {
        Verdict::Shrunk
    } else {
        Verdict::AsRecorded
    }
}

/// A function that is not in the record had fewer than the least that is.
fn grown(before: &[Function], now: &[(String, f64)]) -> Vec<(String, Option<f64>, f64)> {
    let recorded = |name: &str| before.iter().find(|function| function.name == name).map(|it| it.instructions);
    let mut grown: Vec<(String, Option<f64>, f64)> =
        now.iter().map(|(name, now)| (name.clone(), recorded(name), *now)).collect();
    let growth = |(_, before, now): &(String, Option<f64>, f64)| now - before.unwrap_or_default();
    grown.retain(|function| growth(function) >= LEAST_SHOWN);
    grown.sort_by(|one, other| growth(other).total_cmp(&growth(one)));
    grown.truncate(NAMED);
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(functions: &[(&str, f64)]) -> PerOperation {
        let own = functions.iter().map(|(_, count)| count).sum();
        let functions = functions.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
        PerOperation { own, libraries: 0.0, functions }
    }

    fn compare(now: &[(&str, f64)]) -> Comparison {
        let before = Recorded::new(PATHS[0].name, &counted(&[("apply", 80.0), ("insert", 20.0)]));
        Comparison::of(&PATHS[0], Some(&before), &counted(now))
    }

    #[test]
    fn within_three_percent_nothing_is_said() {
        for now in [97.5, 100.0, 102.5] {
            assert_eq!(compare(&[("apply", now)]).verdict, Verdict::AsRecorded, "{now}");
        }
        assert_eq!(compare(&[("apply", 103.5)]).verdict, Verdict::Grown);
        assert_eq!(compare(&[("apply", 96.5)]).verdict, Verdict::Shrunk);
    }

    #[test]
    fn libraries_may_differ_by_a_quarter() {
        let libraries = |libraries: f64| PerOperation { libraries, ..counted(&[("apply", 100.0)]) };
        let before = Recorded::new(PATHS[0].name, &libraries(200.0));
        let verdict = |now: f64| Comparison::of(&PATHS[0], Some(&before), &libraries(now)).verdict;
        assert_eq!([151.0, 249.0].map(verdict), [Verdict::AsRecorded, Verdict::AsRecorded]);
        assert_eq!([149.0, 251.0].map(verdict), [Verdict::Shrunk, Verdict::Grown]);
        // Where there was none, an allocation is one.
        let before = Recorded::new(PATHS[0].name, &libraries(0.0));
        assert_eq!(Comparison::of(&PATHS[0], Some(&before), &libraries(14.0)).verdict, Verdict::AsRecorded);
        assert_eq!(Comparison::of(&PATHS[0], Some(&before), &libraries(90.0)).verdict, Verdict::Grown);
    }

    #[test]
    fn what_grew_most_is_named_first() {
        let comparison = compare(&[("apply", 85.0), ("insert", 19.0), ("format", 10.0)]);
        assert_eq!(comparison.row().split_whitespace().last(), Some("grown"));
        let grown = [("format".to_owned(), None, 10.0), ("apply".to_owned(), Some(80.0), 85.0)];
        assert_eq!(comparison.grown, grown);
        let said = comparison.explanation();
        let first = "114.0 instructions an operation instead of 100.0 (+14.0 %), 0.0 in libraries instead of 0.0.";
        assert!(said.contains(first), "{said}");
        assert!(said.contains("10.0 instead of not recorded: format"), "{said}");
    }

    #[test]
    fn a_path_without_a_record_is_new() {
        let comparison = Comparison::of(&PATHS[0], None, &counted(&[("apply", 1.0)]));
        assert_eq!((&comparison.verdict, comparison.recorded), (&Verdict::New, None));
    }

    #[test]
    fn another_compiler_is_named() {
        let record = |compiler: &str| Record {
            compiler: compiler.to_owned(),
            target: "x86_64-linux".to_owned(),
            valgrind: "valgrind-3".to_owned(),
            commit: "c".to_owned(),
            paths: Vec::new(),
        };
        assert_eq!(mismatch(&record("rustc 1"), &record("rustc 1")), None);
        let said = mismatch(&record("rustc 1"), &record("rustc 2")).unwrap();
        assert_eq!(said, "recorded with the compiler rustc 1, this is rustc 2: record again");
    }
}

//! The published rulebook names a test for every rule, and lists every reject reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use engine::RejectReason;
use engine::canonical::Code;

fn rulebook() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/MATCHING_RULES.md");
    fs::read_to_string(path).expect("the published rulebook")
}

/// Names in backticks of the form `file::test`.
fn tests_named(rule: &str) -> Vec<(&str, &str)> {
    rule.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::")).collect()
}

#[test]
fn every_rule_names_tests_that_exist() {
    let rulebook = rulebook();
    let rules: Vec<&str> = rulebook.lines().filter(|line| line.starts_with("- **")).collect();
    assert!(rules.len() > 40, "{} rules", rules.len());
    let mut numbers = BTreeSet::new();
    for rule in rules {
        let number = rule.split("**").nth(1).expect("a number");
        assert!(numbers.insert(number), "rule {number} stands twice");
        let tests = tests_named(rule);
        assert!(!tests.is_empty(), "rule {number} names no test");
        for (file, test) in tests {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/{file}.rs"));
            let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("rule {number}: {path:?}: {error}"));
            assert!(source.contains(&format!("fn {test}(")), "rule {number}: no test {file}::{test}");
        }
    }
}

#[test]
fn every_reject_reason_is_a_row_in_order() {
    let rulebook = rulebook();
    let rows: Vec<String> = rulebook
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter(|(code, _)| code.parse::<u16>().is_ok())
        .map(|(code, rest)| format!("{code} {}", rest.split(" | ").next().expect("a name")))
        .collect();
    let reasons: Vec<String> =
        RejectReason::ALL.iter().map(|reason| format!("{} {}", reason.code(), reason.name())).collect();
    assert_eq!(rows, reasons);
}

//! The instruction counter's verbs: what they refuse, and how a record says what it is of. Counting itself needs a release
//! build and valgrind, and is a step of its own.

use std::process::{Command, Output};

use benches::instructions::PATHS;
use benches::instructions::record::Record;

fn instructions(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_instructions")).args(arguments).output().unwrap()
}

#[test]
fn every_path_can_be_carried_out_by_name() {
    let listed = instructions(&["list"]);
    let names = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(names.lines().count(), PATHS.len());
    for name in names.lines().filter(|name| name.starts_with("wire")) {
        let output = instructions(&["run", name, "--operations", "10"]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn the_record_that_is_kept_has_every_path_and_no_other() {
    let record = Record::read(&Record::file()).unwrap();
    let recorded: Vec<&str> = record.paths.iter().map(|path| path.name.as_str()).collect();
    let paths: Vec<&str> = PATHS.iter().map(|path| path.name).collect();
    assert_eq!(recorded, paths, "record again: cargo run --release -p benches --bin instructions -- record");
    for path in &record.paths {
        assert!(path.instructions > 0.0 && !path.functions.is_empty(), "{}", path.name);
    }
}

#[test]
fn a_record_of_another_compiler_is_not_compared_with() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("instructions.json");
    let record = Record { compiler: "rustc 1.0.0".to_owned(), ..Record::read(&Record::file()).unwrap() };
    record.write(&file).unwrap();
    assert_eq!(Record::read(&file).unwrap(), record);
    let output = instructions(&["check", "--record", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    // Where there is no valgrind, that is said.
    if !said.contains("valgrind:") {
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("recorded with the compiler rustc 1.0.0, this is rustc "), "{said}");
        assert!(said.contains("record again"), "{said}");
    }
}

#[test]
fn a_wrong_argument_is_named() {
    let cases = [
        (&["check", "--only", "no such path"][..], 2, "--only"),
        (&["run", "no such path", "--operations", "1"], 2, "no such path"),
        (&["run", "wire", "--operations", "0"], 2, "--operations"),
        (&["check", "--record", "/no/such/file"], 5, "/no/such/file"),
    ];
    for (arguments, code, name) in cases {
        let output = instructions(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        if !said.contains("valgrind:") {
            assert_eq!(output.status.code(), Some(code), "{said}");
            assert!(said.contains(name), "{said}");
        }
    }
}

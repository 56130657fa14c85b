//! `rialto serve --config FILE` and `rialto config check FILE`, as a person meets them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn rialto(arguments: &[&str], file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rialto")).args(arguments).arg(file).output().unwrap()
}

#[test]
fn a_file_is_checked_and_its_effect_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rialto.toml");
    fs::write(&file, "durability = \"buffered\"\nhttp = \"127.0.0.1:0\"\n").unwrap();
    let checked = rialto(&["config", "check"], &file);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    let said = String::from_utf8(checked.stdout).unwrap();
    for line in [
        "  data                    rialto-data",
        "  snapshot-every          1048576",
        "  history-days            all",
        "  durability              buffered",
        "  http                    127.0.0.1:0",
        "  idle                    auto",
    ] {
        assert!(said.lines().any(|found| found == line), "{line:?} in {said}");
    }
    assert!(said.contains("threads       park: all sleep until they are woken; none is pinned"), "{said}");
}

#[test]
fn what_cannot_be_followed_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rialto.toml");
    let data = folder.path().join("data");
    for (text, said) in [
        ("speed = 9", "line 1: unknown key `speed`"),
        ("data = \"x\"\nhttp = \"nowhere\"", "line 2: http: invalid value 'nowhere'"),
        ("idle = \"spin\"", "--idle spin needs --cores"),
        ("cores = [4095]", "--cores: processor 4095 is not available"),
    ] {
        fs::write(&file, text).unwrap();
        for arguments in [vec!["config", "check"], vec!["serve", "--data", data.to_str().unwrap(), "--config"]] {
            let output = rialto(&arguments, &file);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{arguments:?} {text}: {error}");
            assert!(error.contains(said), "{error}");
        }
        assert!(!data.exists(), "{text}");
    }
    let missing = rialto(&["config", "check"], &folder.path().join("missing.toml"));
    assert_eq!(missing.status.code(), Some(2));
}

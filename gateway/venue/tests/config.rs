//! `rialto serve --config FILE` and `rialto config check FILE`, as a person meets them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
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

const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "production"];

fn deployed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

/// What would be in force, without the line that names the file.
fn in_force(file: &Path) -> Vec<String> {
    let checked = rialto(&["config", "check"], file);
    assert_eq!(checked.status.code(), Some(0), "{}: {checked:?}", file.display());
    String::from_utf8(checked.stdout).unwrap().lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn what_is_deployed_can_be_followed_and_environments_differ_by_one_file() {
    let kustomization =
        |name: &str| fs::read(deployed(&format!("kubernetes/overlays/{name}/kustomization.yaml"))).unwrap();
    for name in ENVIRONMENTS {
        let file = deployed(&format!("config/{name}.toml"));
        in_force(&file);
        let overlay = deployed(&format!("kubernetes/overlays/{name}/rialto.toml"));
        assert_eq!(fs::read_to_string(overlay).unwrap(), fs::read_to_string(file).unwrap(), "{name}");
        assert_eq!(kustomization(name), kustomization(ENVIRONMENTS[0]), "{name}");
        let files = fs::read_dir(deployed(&format!("kubernetes/overlays/{name}"))).unwrap();
        assert_eq!(files.count(), 2, "{name}");
    }
}

#[test]
fn the_example_names_every_option_and_says_the_defaults() {
    let file = deployed("config/rialto.example.toml");
    let text = fs::read_to_string(&file).unwrap();
    let key = |line: &str| {
        let (key, _) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")?;
        let is_key = key.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric());
        is_key.then(|| key.to_owned())
    };
    let named: Vec<String> = text.lines().filter_map(key).collect();
    let options = in_force(&file);
    let known: BTreeSet<String> =
        options.iter().filter_map(|line| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned)).collect();
    assert_eq!(named.iter().cloned().collect::<BTreeSet<_>>(), known);
    assert_eq!(named.len(), known.len(), "each is named once");
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.toml");
    fs::write(&empty, "").unwrap();
    assert_eq!(options, in_force(&empty));
}

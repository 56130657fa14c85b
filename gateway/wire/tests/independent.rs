//! Decoders that know only the schemas read the golden frames as they are annotated.
//!
//! Needs the PyPI packages `sbe` and `sbedecoder`, for the interpreter that `PYTHON` names (`python3` if it names none).

use std::env;
use std::path::Path;
use std::process::Command;

#[test]
fn independent_decoders_agree() {
    let python = env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let installed = Command::new(&python).args(["-c", "import sbe, sbedecoder"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no packages sbe and sbedecoder");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/independent.py");
    let output = Command::new(&python).arg(script).output().expect("the interpreter runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.ends_with("frames agree\n"), "{said}");
}

/// The code of a script that found nothing to check with.
const SKIPPED: i32 = 77;

#[test]
fn the_reference_tools_decoders_agree() {
    let python = env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.py");
    let Ok(output) = Command::new(&python).arg(script).output() else {
        return println!("skipped: there is no {python}");
    };
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(SKIPPED) {
        return print!("{said}");
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.ends_with("frames agree\n"), "{said}");
}

//! Where a served venue's threads run: a spinning core has its processor for itself.

mod common {
    pub(crate) mod killed;
    pub(crate) mod program;
}

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use venue::affinity;

use self::common::killed::Killed;
use self::common::program;

/// Every thread's name with the processors that it may run on.
fn threads(process: u32) -> BTreeMap<String, String> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{process}/task")).unwrap().map(Result::unwrap) {
        let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap();
        let status = read("status");
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
        threads.insert(read("comm").trim().to_owned(), allowed.trim().to_owned());
    }
    threads
}

#[test]
fn a_spinning_core_is_alone_on_its_processor() {
    let available = affinity::available();
    let [first, second, ..] = available[..] else {
        println!("skipped: it takes two processors");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut command = program::serve(folder.path());
    command.args(["--idle", "spin", "--cores", &format!("{},{}", second.0, first.0)]).stdout(Stdio::piped());
    let mut venue = Killed(command.spawn().unwrap());
    let output = BufReader::new(venue.stdout.take().unwrap());
    let mut said = String::new();
    for line in output.lines().map(Result::unwrap) {
        said.push_str(&line);
        said.push('\n');
        if line.starts_with("READY") {
            break;
        }
    }
    let placed = format!("core on processor {}, all others on {}", second.0, first.0);
    assert!(said.contains("threads       spin") && said.contains(&placed), "{said}");
    let threads = threads(venue.id());
    assert!(threads.len() > 5, "{threads:?}");
    for (name, allowed) in &threads {
        let expected = if name == "core" { second } else { first };
        assert_eq!(*allowed, expected.0.to_string(), "{name} of {threads:?}");
    }
    // Busy as it is, it stops in order.
    assert!(Command::new("kill").args(["-TERM", &venue.id().to_string()]).status().unwrap().success());
    assert_eq!(venue.wait().unwrap().code(), Some(0));
}

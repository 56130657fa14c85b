//! Where a served venue's threads run: a spinning core has its processor for itself.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use venue::affinity;

/// Killed when it is dropped.
struct Venue(Child);

impl Drop for Venue {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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
    let any = "127.0.0.1:0";
    let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
    command.args(["serve", "--order-entry", any, "--market-data", any, "--http", any, "--idle", "spin", "--cores"]);
    command.arg(format!("{},{}", second.0, first.0));
    command.arg("--data").arg(folder.path()).arg("--head").arg(folder.path()).stdout(Stdio::piped());
    let mut venue = Venue(command.spawn().unwrap());
    let output = BufReader::new(venue.0.stdout.take().unwrap());
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
    let threads = threads(venue.0.id());
    assert!(threads.len() > 5, "{threads:?}");
    for (name, allowed) in &threads {
        let expected = if name == "core" { second } else { first };
        assert_eq!(*allowed, expected.0.to_string(), "{name} of {threads:?}");
    }
    // Busy as it is, it stops in order.
    assert!(Command::new("kill").args(["-TERM", &venue.0.id().to_string()]).status().unwrap().success());
    assert_eq!(venue.0.wait().unwrap().code(), Some(0));
}

//! What a run was taken on, and what of that spoils it.
//!
//! Everything is read below a root, which is `/` but for tests.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{UsageWho, getrusage};
use ring::Idle;
use serde::{Deserialize, Serialize};
use venue::arguments::DurabilityArgument;

use super::arguments::{Arguments, Mode};
use crate::machine::Machine;

/// What a run was taken on. An empty text is what the system does not say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The kind of the processors.
    pub processor: String,
    /// Processors that this process may use.
    pub processors: u64,
    /// Processors that the kernel keeps other programs off, as a list.
    pub isolated: String,
    /// Processors without a timer tick while one thread runs there, as a list.
    pub tickless: String,
    /// How the frequency is chosen, of each processor that was named, or of all: `1 performance`.
    pub governors: Vec<String>,
    /// Whether the frequency may rise for a while.
    pub turbo: Option<bool>,
    /// Processors that share a core with one that was named, or with any: `0,4`.
    pub siblings: Vec<String>,
    /// Of the operating system.
    pub kernel: String,
    /// What the kernel reads the time from.
    pub clock_source: String,
    /// Whether this is a virtual machine.
    pub virtual_machine: bool,
    /// When memory gets large pages unasked.
    pub huge_pages: String,
    /// Of the data folder: its kind.
    pub file_system: String,
    /// Of the data folder: what it is on.
    pub device: String,
    /// Threads that wanted a processor in the minute before this process began.
    pub load_average: Option<f64>,
    /// How idle threads wait, and where threads run.
    pub threads: String,
    /// The commit that was built, as far as the working folder tells.
    pub commit: String,
    /// Whether it was built without optimization.
    pub debug: bool,
    /// Instructions beyond the least that the compiler was allowed.
    pub target_features: Vec<String>,
    /// What the compiler was told besides.
    pub rustflags: String,
    /// The share of the processors' time that the hypervisor gave to others during the run.
    pub stolen: Option<f64>,
    /// How often a thread of this process was put off its processor during the run.
    pub switches: Option<u64>,
    /// What spoils the run, and how to mend it.
    pub warnings: Vec<String>,
}

/// Looks before and behind a run.
#[derive(Debug)]
pub struct Watch {
    root: PathBuf,
    environment: Environment,
    before: Counters,
    purpose: Purpose,
}

/// What the run needs.
#[derive(Debug)]
struct Purpose {
    /// Processors that were named.
    cores: Vec<usize>,
    /// Whether something that is timed waits for the disk.
    syncs: bool,
    /// Whether a core spins.
    spins: bool,
}

/// What only grows.
#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    /// All processors' time, and what the hypervisor took of it, in ticks.
    time: Option<(u64, u64)>,
    switches: Option<u64>,
}

impl Watch {
    /// Looks at what will stay, and at the counters. The load average is taken before the first run, as a run adds to it.
    pub fn begin(root: &Path, load_average: Option<f64>, arguments: &Arguments) -> Self {
        let threads = arguments.threads().ok();
        let cores = arguments.cores.clone();
        let directory = arguments.directory();
        let mut environment = look(root, &cores, &fs::canonicalize(&directory).unwrap_or(directory));
        environment.load_average = load_average;
        environment.threads = threads.as_ref().map(|threads| threads.description.clone()).unwrap_or_default();
        let purpose = Purpose {
            cores,
            syncs: arguments.mode != Mode::Engine && arguments.durability == DurabilityArgument::Synced,
            spins: threads.is_some_and(|threads| threads.idle == Idle::Spin),
        };
        Self { root: root.to_owned(), environment, before: Counters::read(root), purpose }
    }

    /// All of it, warnings included.
    pub fn end(self) -> Environment {
        let Self { root, mut environment, before, purpose } = self;
        let after = Counters::read(&root);
        environment.stolen = before.time.zip(after.time).map(stolen);
        environment.switches = before.switches.zip(after.switches).map(|(before, after)| after.saturating_sub(before));
        environment.warnings = warnings(&environment, &purpose);
        environment
    }
}

fn stolen(((all_before, before), (all_after, after)): ((u64, u64), (u64, u64))) -> f64 {
    let all = all_after.saturating_sub(all_before);
    if all == 0 { 0.0 } else { after.saturating_sub(before) as f64 / all as f64 }
}

impl Counters {
    fn read(root: &Path) -> Self {
        let switches = getrusage(UsageWho::RUSAGE_SELF).ok().map(|usage| usage.involuntary_context_switches());
        Self { time: processor_time(root), switches: switches.and_then(|count| u64::try_from(count).ok()) }
    }
}

/// user, nice, system, idle, iowait, irq, softirq, steal: guests are in the first two already.
fn processor_time(root: &Path) -> Option<(u64, u64)> {
    let all = text(root, "proc/stat");
    let ticks: Vec<u64> =
        all.lines().next()?.split_whitespace().skip(1).map_while(|ticks| ticks.parse().ok()).collect();
    Some((ticks.iter().take(8).sum(), *ticks.get(7)?))
}

/// Threads that wanted a processor in the minute before.
pub fn load_average(root: &Path) -> Option<f64> {
    text(root, "proc/loadavg").split_whitespace().next()?.parse().ok()
}

fn look(root: &Path, cores: &[usize], directory: &Path) -> Environment {
    let machine = Machine::look(root);
    let processor = |name: &str| format!("sys/devices/system/cpu/{name}");
    let (file_system, device) = mount(&text(root, "proc/self/mountinfo"), directory).unwrap_or_default();
    let online: Vec<usize> = numbers(&text(root, &processor("online")));
    let cores = if cores.is_empty() { &online } else { cores };
    Environment {
        processor: machine.processor,
        processors: machine.cores,
        commit: machine.commit,
        isolated: text(root, &processor("isolated")),
        tickless: text(root, &processor("nohz_full")).replace("(null)", ""),
        governors: governors(root, cores),
        turbo: turbo(root),
        siblings: siblings(root, cores),
        kernel: text(root, "proc/sys/kernel/osrelease"),
        clock_source: text(root, "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        virtual_machine: has_flag(root, "hypervisor"),
        huge_pages: chosen(&text(root, "sys/kernel/mm/transparent_hugepage/enabled")),
        file_system,
        device,
        debug: cfg!(debug_assertions),
        target_features: target_features(),
        rustflags: option_env!("RUSTFLAGS").unwrap_or_default().to_owned(),
        ..Environment::default()
    }
}

/// A file's text without what surrounds it; nothing if it is not there.
fn text(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// Of a list such as `0-2,5`.
fn numbers(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

fn governors(root: &Path, cores: &[usize]) -> Vec<String> {
    let governor = |core: &usize| {
        let name = text(root, &format!("sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor"));
        (!name.is_empty()).then(|| format!("{core} {name}"))
    };
    cores.iter().filter_map(governor).collect()
}

fn turbo(root: &Path) -> Option<bool> {
    match text(root, "sys/devices/system/cpu/intel_pstate/no_turbo").as_str() {
        "0" => Some(true),
        "1" => Some(false),
        _ => match text(root, "sys/devices/system/cpu/cpufreq/boost").as_str() {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        },
    }
}

fn siblings(root: &Path, cores: &[usize]) -> Vec<String> {
    let of = |core: &usize| text(root, &format!("sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"));
    let mut lists: Vec<String> = cores.iter().map(of).filter(|list| numbers(list).len() > 1).collect();
    lists.sort_unstable();
    lists.dedup();
    lists
}

fn has_flag(root: &Path, flag: &str) -> bool {
    let about = text(root, "proc/cpuinfo");
    let flags = about.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|flags| flags.split_whitespace().any(|word| word == flag))
}

/// The word in brackets.
fn chosen(choices: &str) -> String {
    let word = choices.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    word.unwrap_or_default().to_owned()
}

/// Kind and source of what is mounted closest above a folder.
fn mount(mounts: &str, directory: &Path) -> Option<(String, String)> {
    let mounted = mounts.lines().filter_map(|line| {
        let (place, what) = line.split_once(" - ")?;
        let point = Path::new(place.split_whitespace().nth(4)?);
        let mut what = what.split_whitespace();
        let (kind, source) = (what.next()?, what.next()?);
        directory.starts_with(point).then(|| (point.components().count(), kind.to_owned(), source.to_owned()))
    });
    // The last of several at one place covers the others.
    mounted.max_by_key(|(depth, ..)| *depth).map(|(_, kind, source)| (kind, source))
}

fn target_features() -> Vec<String> {
    let all = [
        ("sse4.2", cfg!(target_feature = "sse4.2")),
        ("popcnt", cfg!(target_feature = "popcnt")),
        ("bmi2", cfg!(target_feature = "bmi2")),
        ("avx2", cfg!(target_feature = "avx2")),
        ("avx512f", cfg!(target_feature = "avx512f")),
        ("lse", cfg!(target_feature = "lse")),
    ];
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name.to_owned()).collect()
}

/// More threads than this wanted a processor already.
const BUSY: f64 = 0.5;
/// A larger share was taken by the hypervisor.
const STOLEN: f64 = 0.005;

fn warnings(environment: &Environment, purpose: &Purpose) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |bad: bool, warning: &dyn Fn() -> String| {
        if bad {
            warnings.push(warning());
        }
    };
    let Environment { governors, siblings, clock_source, file_system, .. } = environment;
    warn(environment.debug, &|| {
        "built without optimization: no figure means anything; use cargo run --release".to_owned()
    });
    let load = environment.load_average.unwrap_or_default();
    warn(load > BUSY, &|| format!("load average {load:.1} at the start: something else runs; wait, or stop it"));
    let slow: Vec<&str> =
        governors.iter().filter(|governor| !governor.ends_with(" performance")).map(String::as_str).collect();
    warn(!slow.is_empty(), &|| {
        format!("frequency is not fixed ({}): cpupower frequency-set -g performance", slow.join(", "))
    });
    warn(environment.turbo == Some(true), &|| {
        "turbo is on, so that the frequency depends on heat and load: write 1 to intel_pstate/no_turbo, or 0 to \
         cpufreq/boost, in /sys/devices/system/cpu"
            .to_owned()
    });
    isolation(environment, purpose, &mut warn);
    warn(!siblings.is_empty(), &|| {
        format!("processors share a core ({}): name one of each in --cores, or switch SMT off", siblings.join("; "))
    });
    warn(!clock_source.is_empty() && clock_source != "tsc" && clock_source != "arch_sys_counter", &|| {
        format!("clock source {clock_source}: each reading costs a microsecond or so; boot with clocksource=tsc")
    });
    warn(environment.virtual_machine, &|| {
        "a virtual machine: neighbours slow it unseen; compare ratios of one run, or use a machine of its own"
            .to_owned()
    });
    let stolen = environment.stolen.unwrap_or_default();
    warn(stolen > STOLEN, &|| {
        format!("the hypervisor gave {:.1} % of the processors' time to others; run again", stolen * 100.0)
    });
    warn(environment.huge_pages == "always", &|| {
        "memory gets large pages unasked, which stalls whoever touches it: write madvise to \
         /sys/kernel/mm/transparent_hugepage/enabled"
            .to_owned()
    });
    let volatile = matches!(file_system.as_str(), "tmpfs" | "ramfs" | "overlay");
    warn(purpose.syncs && volatile, &|| {
        format!("the data folder is on {file_system}: its syncs say nothing of a disk; name one with --directory")
    });
    warnings
}

/// What concerns the processors that were named.
fn isolation(environment: &Environment, purpose: &Purpose, warn: &mut dyn FnMut(bool, &dyn Fn() -> String)) {
    let Some(core) = purpose.cores.first() else {
        warn(true, &|| "no thread is pinned: the system moves them; name processors with --cores".to_owned());
        return;
    };
    let isolated = numbers(&environment.isolated).contains(core);
    warn(!isolated, &|| {
        format!("processor {core} is not isolated, so that others run there, too: boot with isolcpus={core}")
    });
    let tickless = numbers(&environment.tickless).contains(core);
    warn(purpose.spins && !tickless, &|| {
        format!("processor {core} is interrupted by the timer: boot with nohz_full={core} rcu_nocbs={core}")
    });
    let few = environment.processors < 4;
    warn(purpose.spins && few, &|| {
        "with fewer than four processors a spinning core leaves too little to the others: --idle park".to_owned()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::arguments::CommandLine;
    use clap::Parser;

    fn arguments(options: &[&str]) -> Arguments {
        let line = ["load", "--mode", "pipeline"].iter().chain(options);
        CommandLine::parse_from(line).measurements().unwrap().remove(0)
    }

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const MOUNTS: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                          30 25 0:27 / /tmp rw,relatime shared:1 - tmpfs none rw,size=1k\n\
                          31 25 0:27 / /tmpfiles rw,relatime - xfs /dev/vdb rw\n";

    #[test]
    fn everything_is_read_and_what_spoils_is_named() {
        let root = machine(&[
            ("proc/cpuinfo", "processor : 0\nmodel name\t: Fast 9000\nflags\t\t: fpu hypervisor sse\n"),
            ("proc/stat", "cpu  100 0 100 700 0 0 0 100 50 0\ncpu0 1 2 3\n"),
            ("proc/loadavg", "2.13 1.00 0.50 1/200 4711\n"),
            ("proc/sys/kernel/osrelease", "6.1.0\n"),
            ("proc/self/mountinfo", MOUNTS),
            ("sys/devices/system/cpu/online", "0-1\n"),
            ("sys/devices/system/cpu/isolated", "\n"),
            ("sys/devices/system/cpu/nohz_full", "(null)\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n"),
            ("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0-1\n"),
            ("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "0-1\n"),
            ("sys/devices/system/cpu/intel_pstate/no_turbo", "0\n"),
            ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"),
        ]);
        let watch = Watch::begin(root.path(), load_average(root.path()), &arguments(&["--directory", "/tmp"]));
        // 200 ticks more, of which the hypervisor took 6.
        fs::write(root.path().join("proc/stat"), "cpu  200 0 150 744 0 0 0 106 99 0\n").unwrap();
        let environment = watch.end();
        assert_eq!((environment.processor.as_str(), environment.kernel.as_str()), ("Fast 9000", "6.1.0"));
        assert_eq!(environment.governors, ["0 powersave", "1 performance"]);
        assert_eq!((environment.siblings.as_slice(), environment.turbo), (&["0-1".to_owned()][..], Some(true)));
        assert_eq!((environment.file_system.as_str(), environment.device.as_str()), ("tmpfs", "none"));
        assert_eq!((environment.load_average, environment.stolen), (Some(2.13), Some(0.03)));
        assert!(environment.virtual_machine && environment.switches.is_some());
        assert_eq!((environment.isolated.as_str(), environment.tickless.as_str()), ("", ""));
        for words in [
            "load average 2.1",
            "(0 powersave): cpupower frequency-set",
            "turbo is on",
            "no thread is pinned",
            "share a core (0-1)",
            "clock source hpet",
            "a virtual machine",
            "3.0 % of the processors' time",
            "large pages",
            "data folder is on tmpfs",
        ] {
            let named = environment.warnings.iter().filter(|warning| warning.contains(words)).count();
            assert_eq!(named, 1, "{words} in {:#?}", environment.warnings);
        }
    }

    #[test]
    fn a_machine_that_is_set_up_is_not_complained_about() {
        let quiet = Environment {
            processors: 8,
            isolated: "2-4".to_owned(),
            tickless: "2".to_owned(),
            governors: vec!["2 performance".to_owned()],
            turbo: Some(false),
            clock_source: "tsc".to_owned(),
            huge_pages: "madvise".to_owned(),
            file_system: "xfs".to_owned(),
            load_average: Some(0.1),
            stolen: Some(0.0),
            ..Environment::default()
        };
        let purpose = Purpose { cores: vec![2, 3], syncs: true, spins: true };
        assert_eq!(warnings(&quiet, &purpose), [""; 0]);
        let other = Purpose { cores: vec![5], ..purpose };
        let said = warnings(&quiet, &other);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("isolcpus=5") && said[1].contains("nohz_full=5"), "{said:?}");
    }

    #[test]
    fn the_mount_closest_above_a_folder_is_found() {
        let kind = |path: &str| mount(MOUNTS, Path::new(path)).unwrap();
        assert_eq!(kind("/home/x"), ("ext4".to_owned(), "/dev/vda".to_owned()));
        assert_eq!(kind("/tmp/x").0, "tmpfs");
        assert_eq!(kind("/tmpfiles/x").0, "xfs");
        assert_eq!(mount("", Path::new("/")), None);
    }

    #[test]
    fn a_machine_that_says_nothing_is_no_failure() {
        let root = machine(&[]);
        let environment = Watch::begin(root.path(), load_average(root.path()), &arguments(&[])).end();
        assert_eq!((environment.kernel.as_str(), environment.stolen, environment.turbo), ("", None, None));
        assert_eq!(environment.processor, "unknown");
    }

    #[test]
    fn lists_of_processors_are_read() {
        assert_eq!(numbers("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(numbers(""), [0; 0]);
    }
}

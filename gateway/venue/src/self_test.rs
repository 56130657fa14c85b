//! What a venue looks at before it starts: whether clock, disk, processors and limits are such that it can keep its promises.
//!
//! Most of what is found is for people to weigh: it is said, and the venue starts. It is refused only where it cannot work.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use journal::JOURNAL_FOLDER;
use procfs::process::{LimitValue, Limits, Process};
use rustix::fs::statvfs;
use rustix::time::{ClockId, clock_getres};
use serde::Serialize;

use crate::affinity::{CoreNumber, Placement};
use crate::arguments::SelfTestArguments;
use crate::config::ServeArguments;
use crate::exit::Exit;

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// The venue runs, and less well or less safely than it could.
    Warning,
    /// The venue cannot run so.
    Failed,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// What was looked at and found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub check: &'static str,
    /// How good it is.
    pub verdict: Verdict,
    /// In words.
    pub found: String,
    /// What to do; nothing where it is as it should be.
    pub advice: Option<&'static str>,
}

impl Finding {
    fn ok(check: &'static str, found: String) -> Self {
        Self { check, verdict: Verdict::Ok, found, advice: None }
    }

    fn warning(check: &'static str, found: String, advice: &'static str) -> Self {
        Self { check, verdict: Verdict::Warning, found, advice: Some(advice) }
    }

    fn failed(check: &'static str, found: String, advice: &'static str) -> Self {
        Self { check, verdict: Verdict::Failed, found, advice: Some(advice) }
    }

    /// As a line for people.
    pub fn line(&self) -> String {
        let advice = self.advice.map_or(String::new(), |advice| format!("; {advice}"));
        format!("self-test     {:<8} {}: {}{advice}", self.verdict.name(), self.check, self.found)
    }
}

/// `rialto self-test`.
pub fn run(SelfTestArguments { serve, json }: &SelfTestArguments) -> Exit {
    let findings = look(serve);
    let worst = findings.iter().map(|finding| finding.verdict).max();
    match json {
        true => println!("{}", serde_json::json!({ "verdict": worst, "findings": findings })),
        false => findings.iter().for_each(|finding| println!("{}", finding.line())),
    }
    if worst == Some(Verdict::Failed) { Exit::Differs } else { Exit::Done }
}

/// Looks at everything that a venue with these options stands on.
pub fn look(arguments: &ServeArguments) -> Vec<Finding> {
    let place = existing(&arguments.data);
    let is_new = !arguments.data.join(JOURNAL_FOLDER).exists();
    let mut findings = vec![clock_rate(), clock_source(), sync(&place)];
    findings.extend(processors(arguments));
    findings.extend(limits(arguments));
    findings.push(head(arguments, is_new));
    findings.push(match free_bytes(&place) {
        Ok(free) => disk(free, arguments.segment_mib << 20, is_new),
        Err(error) => unknown("disk space", &error),
    });
    findings
}

fn unknown(check: &'static str, error: &dyn std::fmt::Display) -> Finding {
    Finding::warning(check, format!("the system does not say: {error}"), "look at it yourself")
}

// The clock.

/// How long the clocks are compared.
const COMPARED: Duration = Duration::from_millis(50);
/// How far they may come apart in that time: a clock that is slewed at the kernel's fastest is 25 µs off.
const APART_MAX: Duration = Duration::from_millis(1);
/// What events are told apart by.
const RESOLUTION_MAX: Duration = Duration::from_micros(1);

fn clock_rate() -> Finding {
    let (wall, steady) = (SystemTime::now(), Instant::now());
    thread::sleep(COMPARED);
    let steady = steady.elapsed();
    // A wall clock that went back has gone no way.
    let wall = wall.elapsed().unwrap_or_default();
    let resolution = clock_getres(ClockId::Monotonic);
    let resolution = Duration::new(resolution.tv_sec.unsigned_abs(), u32::try_from(resolution.tv_nsec).unwrap_or(0));
    judge_rate(wall.abs_diff(steady), resolution)
}

fn judge_rate(apart: Duration, resolution: Duration) -> Finding {
    let found = format!("wall and monotonic clock differ by {apart:?} in {COMPARED:?}, resolution {resolution:?}");
    if apart > APART_MAX {
        return Finding::warning("clock", found, "somebody is setting the clock: let it be disciplined slowly");
    }
    if resolution > RESOLUTION_MAX {
        return Finding::warning("clock", found, "times are coarse: look at the kernel's clock source");
    }
    Finding::ok("clock", found)
}

fn clock_source() -> Finding {
    match fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource") {
        Ok(source) => judge_source(source.trim()),
        Err(error) => unknown("clock source", &error),
    }
}

fn judge_source(source: &str) -> Finding {
    let is_slow = matches!(source, "hpet" | "acpi_pm" | "pit" | "jiffies" | "refined-jiffies");
    match is_slow {
        true => {
            let advice = "each reading is a system call that takes a microsecond or more: find out why the processor's own is not used";
            Finding::warning("clock source", source.to_owned(), advice)
        }
        false => Finding::ok("clock source", source.to_owned()),
    }
}

// The disk.

/// Writes that are synced.
const SYNCS: usize = 32;
/// No more of them begin after so long.
const SYNCS_WITHIN: Duration = Duration::from_millis(200);
/// A disk with a cache that survives power loss takes some tens of microseconds.
const SYNC_MIN: Duration = Duration::from_micros(20);
/// Who waits for durable acknowledgements waits as long.
const SYNC_MAX: Duration = Duration::from_millis(20);

fn sync(folder: &Path) -> Finding {
    match sync_times(folder) {
        Ok(mut times) => {
            times.sort_unstable();
            judge_sync(times[times.len() / 2], times.len())
        }
        Err(error) => judge_sync_error(folder, &error),
    }
}

fn judge_sync_error(folder: &Path, error: &io::Error) -> Finding {
    let found = format!("{}: {error}", folder.display());
    match error.kind() {
        // A venue that is there has segments ready, and goes on with cancels at least.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Finding::warning("sync", found, "free space: without a new segment only cancels are taken")
        }
        _ => Finding::failed("sync", found, "the data folder has to be one that this user may write to"),
    }
}

/// What each took, at least one.
fn sync_times(folder: &Path) -> io::Result<Vec<Duration>> {
    let path = folder.join(format!(".self-test-{}", std::process::id()));
    let mut file = File::create_new(&path)?;
    let removed = fs::remove_file(&path);
    let block = [0x5A; 4_096];
    // Else the first would also allocate.
    file.write_all(&block)?;
    file.sync_all()?;
    removed?;
    let (begun, mut times) = (Instant::now(), Vec::with_capacity(SYNCS));
    while times.is_empty() || times.len() < SYNCS && begun.elapsed() < SYNCS_WITHIN {
        let each = Instant::now();
        file.write_all_at(&block, 0)?;
        file.sync_data()?;
        times.push(each.elapsed());
    }
    Ok(times)
}

fn judge_sync(median: Duration, count: usize) -> Finding {
    let found = format!("4 KiB are written and synced in {median:?}, median of {count}");
    if median < SYNC_MIN {
        let found = format!("{found}: suspiciously fast");
        let advice = "does this disk, or what it is virtualized by, really sync? If not, a power loss takes what was acknowledged";
        return Finding::warning("sync", found, advice);
    }
    if median > SYNC_MAX {
        return Finding::warning(
            "sync",
            found,
            "with durability synced every acknowledgement takes as long: use a faster disk",
        );
    }
    Finding::ok("sync", found)
}

/// A new venue makes three segments.
const NEW_SEGMENTS: u64 = 3;
/// Fewer are soon written.
const SEGMENTS_MIN: u64 = 10;

fn disk(free: u64, segment_bytes: u64, is_new: bool) -> Finding {
    let segments = free / segment_bytes;
    let found = format!("room for {segments} segments of {} MiB", segment_bytes >> 20);
    if is_new && segments < NEW_SEGMENTS {
        return Finding::failed(
            "disk space",
            found,
            "a new venue makes three: free space, or make --segment-mib smaller",
        );
    }
    if segments < SEGMENTS_MIN {
        return Finding::warning("disk space", found, "free space: without a new segment only cancels are taken");
    }
    Finding::ok("disk space", found)
}

/// Bytes of the head's file, and some.
const HEAD_BYTES: u64 = 17 << 20;

fn head(arguments: &ServeArguments, is_new: bool) -> Finding {
    let directory = arguments.head.clone().unwrap_or_else(|| PathBuf::from("/dev/shm"));
    match free_bytes(&existing(&directory)) {
        Ok(free) => judge_head(&directory, free, is_new),
        Err(error) => unknown("head", &error),
    }
}

fn judge_head(directory: &Path, free: u64, is_new: bool) -> Finding {
    let found = format!("{} MiB are free in {}, and the journal's head takes 16", free >> 20, directory.display());
    let advice =
        "make it larger (mount -o remount,size=64m, a container's --shm-size), or name another folder with --head";
    match (free >= HEAD_BYTES, is_new) {
        (true, _) => Finding::ok("head", found),
        // An existing venue may have its head there already.
        (false, false) => Finding::warning("head", found, advice),
        (false, true) => Finding::failed("head", found, advice),
    }
}

fn free_bytes(folder: &Path) -> io::Result<u64> {
    let found = statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The folder, or the one that it will be made in.
fn existing(folder: &Path) -> PathBuf {
    let found = folder.ancestors().find(|ancestor| ancestor.exists());
    found.filter(|found| !found.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

// Processors.

/// What is known of the core's processor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Facts {
    /// Whether the kernel keeps others away.
    is_isolated: bool,
    /// Those that share its units, itself among them.
    siblings: Vec<usize>,
    /// How its frequency is chosen; nothing: the system does not say, as most virtual ones do not.
    governor: Option<String>,
}

fn processors(arguments: &ServeArguments) -> Vec<Finding> {
    match arguments.threads() {
        Err(error) => {
            vec![Finding::failed("processors", error.to_string(), "name processors that this process may run on")]
        }
        Ok(threads) => match threads.placement {
            None => vec![Finding::ok("processors", threads.description)],
            Some(placement) => judge_processors(&placement, &facts(placement.core)),
        },
    }
}

fn facts(core: CoreNumber) -> Facts {
    let read = |file: String| fs::read_to_string(format!("/sys/devices/system/cpu/{file}")).ok();
    let list = |text: Option<String>| text.map_or_else(Vec::new, |text| numbers(&text));
    Facts {
        is_isolated: list(read("isolated".to_owned())).contains(&core.0),
        siblings: list(read(format!("cpu{}/topology/thread_siblings_list", core.0))),
        governor: read(format!("cpu{}/cpufreq/scaling_governor", core.0)).map(|text| text.trim().to_owned()),
    }
}

/// The numbers of a list as the kernel writes it, `0,4-7`; what is no number is left out.
fn numbers(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

fn judge_processors(placement: &Placement, facts: &Facts) -> Vec<Finding> {
    let core = placement.core.0;
    let mut findings = vec![match facts.is_isolated {
        true => Finding::ok("processors", format!("{placement}; {core} is isolated")),
        false => {
            let found = format!("{placement}; {core} is not isolated");
            Finding::warning("processors", found, "others may run there: isolcpus=, or a cpuset of its own")
        }
    }];
    let others: Vec<_> = facts.siblings.iter().filter(|&&sibling| sibling != core).collect();
    findings.push(match others[..] {
        [] => Finding::ok("hyper-threads", format!("{core} shares its units with none")),
        _ => {
            let found = format!("{core} shares its units with {others:?}");
            Finding::warning(
                "hyper-threads",
                found,
                "leave these idle, or take them offline: they take half of the core's speed",
            )
        }
    });
    findings.push(match &facts.governor {
        Some(governor) if governor != "performance" => {
            let found = format!("{core} is governed by {governor}");
            Finding::warning("frequency", found, "it slows down when it has little to do: set the governor performance")
        }
        Some(governor) => Finding::ok("frequency", format!("{core} is governed by {governor}")),
        None => Finding::ok("frequency", format!("{core} has no governor that is seen from here")),
    });
    findings
}

// Limits.

/// Descriptors beside connections: segments, history, sockets that listen.
const OTHER_FILES: u64 = 256;

fn limits(arguments: &ServeArguments) -> Vec<Finding> {
    let connections = arguments.connections_max as u64 + arguments.market_data_connections_max as u64;
    match Process::myself().and_then(|process| process.limits()) {
        Ok(Limits { max_open_files, max_locked_memory, .. }) => {
            let locked = format!("{}; nothing is locked", words(&max_locked_memory.soft_limit));
            vec![files(&max_open_files.soft_limit, connections + OTHER_FILES), Finding::ok("locked memory", locked)]
        }
        Err(error) => vec![unknown("open files", &error)],
    }
}

fn words(limit: &LimitValue) -> String {
    match limit {
        LimitValue::Unlimited => "unlimited".to_owned(),
        LimitValue::Value(limit) => limit.to_string(),
    }
}

fn files(limit: &LimitValue, wanted: u64) -> Finding {
    let found = format!("{} may be open, {wanted} may be wanted", words(limit));
    match limit {
        LimitValue::Value(limit) if *limit < wanted => {
            let advice = "raise the limit (ulimit -n, LimitNOFILE=), or lower --connections-max: newcomers are not let in beyond it";
            Finding::warning("open files", found, advice)
        }
        LimitValue::Value(_) | LimitValue::Unlimited => Finding::ok("open files", found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernels_list_is_read() {
        for (text, expected) in
            [("", &[][..]), ("\n", &[]), ("3\n", &[3]), ("0,4-7\n", &[0, 4, 5, 6, 7]), ("0-1,x,9", &[0, 1, 9])]
        {
            assert_eq!(numbers(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_found_is_judged() {
        use Verdict::{Failed, Ok, Warning};
        let (us, ms) = (Duration::from_micros, Duration::from_millis);
        let segment = 64 << 20;
        let limit = LimitValue::Value;
        let shm = Path::new("/dev/shm");
        for (finding, expected) in [
            (judge_rate(us(3), Duration::from_nanos(1)), Ok),
            (judge_rate(ms(7), Duration::from_nanos(1)), Warning),
            (judge_rate(us(3), ms(4)), Warning),
            (judge_source("tsc"), Ok),
            (judge_source("hpet"), Warning),
            (judge_sync(us(2), 32), Warning),
            (judge_sync(us(90), 32), Ok),
            (judge_sync(ms(45), 5), Warning),
            (judge_sync_error(shm, &io::ErrorKind::StorageFull.into()), Warning),
            (judge_sync_error(shm, &io::ErrorKind::ReadOnlyFilesystem.into()), Failed),
            (disk(2 * segment, segment, true), Failed),
            (disk(2 * segment, segment, false), Warning),
            (disk(100 * segment, segment, true), Ok),
            (judge_head(shm, 64 << 20, true), Ok),
            (judge_head(shm, 1 << 20, true), Failed),
            (judge_head(shm, 1 << 20, false), Warning),
            (files(&limit(1_024), 2_304), Warning),
            (files(&limit(65_536), 2_304), Ok),
            (files(&LimitValue::Unlimited, 2_304), Ok),
        ] {
            assert_eq!(finding.verdict, expected, "{}", finding.line());
            assert_eq!(finding.advice.is_some(), expected != Ok, "{}", finding.line());
        }
        assert!(judge_sync(us(2), 32).line().contains("suspiciously fast; does this disk"));
    }

    #[test]
    fn the_cores_processor_is_best_alone_isolated_and_fast() {
        let placement = Placement { core: CoreNumber(3), others: vec![CoreNumber(1)] };
        let verdicts = |facts: &Facts| {
            let findings = judge_processors(&placement, facts);
            findings.iter().map(|finding| (finding.check, finding.verdict)).collect::<Vec<_>>()
        };
        use Verdict::{Ok, Warning};
        let facts = |is_isolated, siblings: &[usize], governor: Option<&str>| Facts {
            is_isolated,
            siblings: siblings.to_vec(),
            governor: governor.map(str::to_owned),
        };
        let all = |verdict| [("processors", verdict), ("hyper-threads", verdict), ("frequency", verdict)];
        assert_eq!(verdicts(&facts(true, &[3], Some("performance"))), all(Ok));
        assert_eq!(verdicts(&facts(true, &[], None)), all(Ok));
        assert_eq!(verdicts(&facts(false, &[2, 3], Some("powersave"))), all(Warning));
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_looked_at_where_it_will_be() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(existing(&place.path().join("a/b")), place.path());
        assert_eq!(existing(place.path()), place.path());
        assert_eq!(existing(Path::new("surely-not-there")), Path::new("."));
        assert!(!sync_times(place.path()).unwrap().is_empty());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}

//! The process as the system sees it, by the names that Prometheus' own exporters use.

use std::fmt;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use procfs::ProcResult;
use procfs::process::LimitValue;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use rustix::time::{ClockId, clock_gettime};

use super::sampled::Sheet;

/// When the process began, in seconds since 1970: said once, so that a clock that is set later does not look like another
/// start.
static START_SECONDS: LazyLock<f64> = LazyLock::new(|| start_seconds().unwrap_or(0.0));

/// The system says how long it ran when the process began, and how long it has run by now.
fn start_seconds() -> ProcResult<f64> {
    let began = procfs::process::Process::myself()?.stat()?.starttime as f64 / procfs::ticks_per_second() as f64;
    let up = clock_gettime(ClockId::Boottime);
    let up = Duration::new(up.tv_sec.unsigned_abs(), u32::try_from(up.tv_nsec).unwrap_or(0)).as_secs_f64();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    Ok(now - (up - began))
}

/// This process.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        // A system that does not say leaves these out.
        Usage::now().map_or(Ok(()), |usage| usage.write(&mut Sheet(encoder)))
    }
}

struct Usage {
    start_seconds: f64,
    cpu_seconds: f64,
    resident_bytes: u64,
    resident_bytes_max: u64,
    threads: u64,
    open_fds: u64,
    fds_max: u64,
}

impl Usage {
    fn now() -> ProcResult<Self> {
        let process = procfs::process::Process::myself()?;
        let (stat, status) = (process.stat()?, process.status()?);
        let ticks = procfs::ticks_per_second() as f64;
        let fds_max = match process.limits()?.max_open_files.soft_limit {
            LimitValue::Value(limit) => limit,
            LimitValue::Unlimited => u64::MAX,
        };
        Ok(Self {
            start_seconds: *START_SECONDS,
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss * procfs::page_size(),
            resident_bytes_max: status.vmhwm.unwrap_or(0) << 10,
            threads: stat.num_threads.unsigned_abs(),
            open_fds: process.fd_count()? as u64,
            fds_max,
        })
    }

    fn write(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        sheet.gauge(
            "process_start_time_seconds",
            "When the process began, in seconds since 1970",
            self.start_seconds,
        )?;
        sheet.counter("process_cpu_seconds", "Processor time of all threads, in seconds", self.cpu_seconds)?;
        sheet.gauge("process_resident_memory_bytes", "Memory that is resident", self.resident_bytes)?;
        sheet.gauge("process_resident_memory_max_bytes", "The most that ever was", self.resident_bytes_max)?;
        sheet.gauge("process_threads", "Threads", self.threads)?;
        sheet.gauge("process_open_fds", "File descriptors in use", self.open_fds)?;
        sheet.gauge("process_max_fds", "File descriptors that may be in use", self.fds_max)
    }
}

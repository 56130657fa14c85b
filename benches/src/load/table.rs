//! A run for people.

use std::fmt::Write;

use super::arguments::name;
use super::environment::Environment;
use super::result::{Hop, Ratio, Report, Series};
use crate::scaling::plot::grouped;

/// All of it, in lines.
pub fn of(report: &Report) -> String {
    let mut text = heading(report);
    environment(&mut text, &report.environment);
    let width = report.series.iter().map(|series| series.name.chars().count()).max().unwrap_or_default();
    series(&mut text, &report.series, width);
    ratios(&mut text, &report.ratios);
    hops(&mut text, &report.hops);
    for (what, number) in &report.notes {
        line(&mut text, &format!("{what}: {}", plain(*number)));
    }
    text.truncate(text.trim_end().len());
    text
}

fn line(text: &mut String, words: &str) {
    writeln!(text, "{words}").expect("a string takes all");
}

fn heading(report: &Report) -> String {
    let Report { mode, security, mix, durability, seed, run, sessions, .. } = report;
    let mut words = vec![name(*mode), mix.to_string()];
    words.extend(security.map(name));
    words.extend(durability.map(name));
    words.push(format!("{sessions} session{}", if *sessions == 1 { "" } else { "s" }));
    words.push(format!("seed {seed}, run {run}"));
    let mut text = String::new();
    line(&mut text, &words.join(", "));
    line(&mut text, &format!("{}; {}", report.load_model, pace(report)));
    text
}

fn pace(report: &Report) -> String {
    let Report { rate, achieved_rate, arrivals, warm_up_s, seconds, .. } = report;
    let mut words = Vec::new();
    if let (Some(rate), Some(arrivals)) = (rate, arrivals) {
        words.push(format!("{}/s offered, {} arrivals", grouped(*rate as f64), name(*arrivals)));
    }
    words.extend(achieved_rate.map(|rate| format!("{}/s done", grouped(rate))));
    words.push(match *warm_up_s {
        0.0 => format!("{seconds:.2} s"),
        warm_up => format!("{seconds:.2} s behind {warm_up:.2} s of warm-up"),
    });
    words.join(", ")
}

fn environment(text: &mut String, environment: &Environment) {
    let Environment { processor, processors, kernel, clock_source, file_system, device, commit, .. } = environment;
    let said = |words: &str| if words.is_empty() { "unknown".to_owned() } else { words.to_owned() };
    line(
        text,
        &format!(
            "{processors} × {processor}, isolated: {}, governor: {}; Linux {}, clock {}; data on {} ({}); commit {commit}",
            if environment.isolated.is_empty() { "none" } else { &environment.isolated },
            said(&environment.governors.join(", ")),
            said(kernel),
            said(clock_source),
            said(file_system),
            said(device),
        ),
    );
    line(text, &format!("threads {}", environment.threads));
    let mut counted = Vec::new();
    counted.extend(environment.load_average.map(|load| format!("load average {load:.1} before")));
    counted.extend(environment.stolen.map(|share| format!("{:.1} % taken by the hypervisor", share * 100.0)));
    counted.extend(environment.switches.map(|count| format!("{} involuntary switches", grouped(count as f64))));
    line(text, &counted.join(", "));
    environment.warnings.iter().for_each(|warning| line(text, &format!("warning: {warning}")));
}

fn series(text: &mut String, all: &[Series], width: usize) {
    if all.is_empty() {
        return;
    }
    let columns = ["mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"];
    let columns: String = columns.iter().map(|column| format!(" {column:>9}")).collect();
    line(text, &format!("\n{:width$} {:>11}{columns} {:>12}", "", "count", "per second"));
    for series in all {
        let Series { name, count, mean_ns, p50_ns, p90_ns, p99_ns, p999_ns, p9999_ns, max_ns, per_second, .. } = series;
        let percentiles = [p50_ns, p90_ns, p99_ns, p999_ns, p9999_ns, max_ns].map(|time| time.map(|time| time as f64));
        let times: String =
            [*mean_ns].into_iter().chain(percentiles).map(|value| format!(" {:>9}", time(value))).collect();
        let rate = per_second.map(grouped).unwrap_or_default();
        line(text, &format!("{name:width$} {:>11}{times} {rate:>12}", grouped(*count as f64)));
    }
}

fn ratios(text: &mut String, all: &[Ratio]) {
    for Ratio { of, to, p50, p99, p999, per_second } in all {
        let parts = [("p50", p50), ("p99", p99), ("p99.9", p999), ("per second", per_second)];
        let parts: Vec<String> =
            parts.iter().filter_map(|(name, value)| value.map(|value| format!("{name} {value:.2}"))).collect();
        let parts = if parts.is_empty() { "too few samples".to_owned() } else { parts.join(", ") };
        line(text, &format!("{of} to {to}: {parts}"));
    }
}

fn hops(text: &mut String, all: &[Hop]) {
    if all.is_empty() {
        return;
    }
    let width = all.iter().map(|hop| hop.name.chars().count()).max().unwrap_or_default().max(3);
    line(text, &format!("\n{:width$} {:>11} {:>9} {:>9} {:>9}", "hop", "count", "mean", "p50", "p99"));
    for Hop { name, count, mean_ns, p50_ns, p99_ns } in all {
        let [mean, p50, p99] = [*mean_ns, *p50_ns as f64, *p99_ns as f64].map(|value| time(Some(value)));
        line(text, &format!("{name:width$} {:>11} {mean:>9} {p50:>9} {p99:>9}", grouped(*count as f64)));
    }
    let sum = all.iter().map(|hop| hop.mean_ns).sum();
    line(text, &format!("{:width$} {:>11} {:>9}", "sum", "", time(Some(sum))));
}

/// A time in the unit that leaves it three or four digits.
fn time(nanoseconds: Option<f64>) -> String {
    match nanoseconds {
        None => "-".to_owned(),
        Some(value) if value < 1e4 => format!("{value:.0} ns"),
        Some(value) if value < 1e6 => format!("{:.1} µs", value / 1e3),
        Some(value) if value < 1e7 => format!("{:.0} µs", value / 1e3),
        Some(value) if value < 1e10 => format!("{:.1} ms", value / 1e6),
        Some(value) => format!("{:.1} s", value / 1e9),
    }
}

fn plain(number: f64) -> String {
    if number.fract() == 0.0 || number.abs() >= 1e5 { grouped(number) } else { format!("{number:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_few_digits_and_numbers_commas() {
        for (nanoseconds, said) in [
            (850.0, "850 ns"),
            (9_999.0, "9999 ns"),
            (12_345.0, "12.3 µs"),
            (1_234_567.0, "1235 µs"),
            (12_345_678.0, "12.3 ms"),
            (1.2e10, "12.0 s"),
        ] {
            assert_eq!(time(Some(nanoseconds)), said);
        }
        assert_eq!(time(None), "-");
        assert_eq!([0.25, 7.0, 1_234.5, 123_456.7].map(plain), ["0.250", "7", "1234.500", "123,457"]);
    }
}

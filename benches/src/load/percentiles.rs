//! Percentiles as HdrHistogram's tools print and plot them, in microseconds.
//!
//! ```text
//!        Value     Percentile TotalCount 1/(1-Percentile)
//! ```
//!
//! Five values are told each time that the distance to 100 % halves.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use super::arguments::name;
use super::result::{Report, Series};
use crate::failure::Failure;

/// Values between a percentile and that which is half as far from 100 %.
const TICKS_PER_HALF: u32 = 5;
const NANOSECONDS_PER_UNIT: f64 = 1_000.0;

/// Writes a file for each series of a run that has times, into a folder that is made if it is not there; their paths.
pub fn write_all(directory: &Path, report: &Report) -> Result<Vec<PathBuf>, Failure> {
    std::fs::create_dir_all(directory).map_err(|error| Failure::io(directory, error))?;
    let write = |series: &Series| {
        let path = directory.join(file_name(report, series));
        let times = series.times.as_ref().filter(|times| !times.is_empty())?;
        Some(std::fs::write(&path, text(times)).map_err(|error| Failure::io(&path, error)).map(|()| path))
    };
    report.series.iter().filter_map(write).collect()
}

fn file_name(report: &Report, series: &Series) -> String {
    let mut parts = vec![name(report.mode)];
    parts.extend(report.security.map(name));
    parts.extend(report.durability.map(name));
    parts.extend(report.rate.map(|rate| rate.to_string()));
    parts.extend([report.run.to_string(), series.name.clone()]);
    let whole: String = parts.join("_");
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
    format!("{}.hgrm", whole.chars().map(plain).collect::<String>().replace("__", "_"))
}

/// The file's text.
fn text(times: &Histogram<u64>) -> String {
    let mut text = format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut below = 0;
    for step in times.iter_quantiles(TICKS_PER_HALF) {
        below += step.count_since_last_iteration();
        let (value, quantile) = (step.value_iterated_to() as f64 / NANOSECONDS_PER_UNIT, step.quantile_iterated_to());
        let inverse = if quantile < 1.0 { format!(" {:14.2}", 1.0 / (1.0 - quantile)) } else { String::new() };
        writeln!(text, "{value:12.3} {quantile:.12} {below:10}{inverse}").expect("a string takes all");
    }
    text + &summary(times)
}

fn summary(times: &Histogram<u64>) -> String {
    let [mean, deviation, max] =
        [times.mean(), times.stdev(), times.max() as f64].map(|nanoseconds| nanoseconds / NANOSECONDS_PER_UNIT);
    let sub_buckets = (2 * 10_u64.pow(times.sigfig().into())).next_power_of_two();
    format!(
        "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]\n\
         #[Max     = {max:12.3}, Total count    = {:12}]\n\
         #[Buckets = {:12}, SubBuckets     = {sub_buckets:12}]\n",
        times.len(),
        times.buckets()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::times::histogram;

    #[test]
    fn a_file_lists_percentiles_up_to_all() {
        let mut times = histogram();
        (1..=1_000).for_each(|microsecond| times.record(microsecond * 1_000).unwrap());
        let text = text(&times);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "       Value     Percentile TotalCount 1/(1-Percentile)");
        assert_eq!(lines[2], "       1.000 0.000000000000          1           1.00");
        let rows: Vec<Vec<f64>> =
            lines[2..].iter().take_while(|line| !line.starts_with('#')).map(|line| row(line)).collect();
        let median = rows.iter().find(|row| row[1] == 0.5).unwrap();
        // Exact to three digits; the value told is the highest that counts as the same.
        assert!((500.0..501.0).contains(&median[0]) && median[2] == 500.0 && median[3] == 2.0, "{median:?}");
        let last = rows.last().unwrap();
        assert!((1_000.0..1_001.0).contains(&last[0]) && last[1..] == [1.0, 1_000.0], "{last:?}");
        assert!(rows.windows(2).all(|pair| pair[0][0] <= pair[1][0] && pair[0][1] <= pair[1][1]));
        assert!(text.contains("#[Mean    =      500.5"), "{text}");
        assert!(
            text.contains("Total count    =         1000]") && text.contains("SubBuckets     =         2048]"),
            "{text}"
        );
    }

    fn row(line: &str) -> Vec<f64> {
        line.split_whitespace().map(|number| number.parse().unwrap()).collect()
    }
}

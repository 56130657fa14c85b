//! One picture for each policy: percentiles against offered load, both by powers of ten, the limit's dashed.

use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::coord::combinators::LogCoord;
use plotters::element::DashedPathElement;
use plotters::prelude::*;

use super::{Sweep, limit, measured};
use crate::failure::Failure;
use crate::load::arguments::name;
use crate::load::result::{Report, Series};
use crate::scaling::plot::{GRID, INK, SIZE, grouped};

/// What is drawn of a series: percentile, its colour, its value.
type Drawn = (&'static str, RGBColor, fn(&Series) -> Option<u64>);

const PERCENTILES: [Drawn; 3] = [
    ("p99.9", RGBColor(150, 40, 110), |series| series.p999_ns),
    ("p99", RGBColor(200, 80, 20), |series| series.p99_ns),
    ("p50", RGBColor(20, 90, 170), |series| series.p50_ns),
];

/// Writes the picture into a folder, which is made if it is not there; its path.
pub(super) fn write(directory: &Path, sweep: &Sweep) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(directory).map_err(|error| Failure::io(directory, error))?;
    let Some(first) = sweep.reports.first() else {
        return Err(Failure::Missing("nothing to draw".to_owned()));
    };
    let mut words = vec!["sweep".to_owned(), name(first.mode), first.mix.to_string()];
    words.extend(first.security.map(name));
    words.push(name(sweep.durability));
    let path = directory.join(format!("{}.svg", words.join("_").replace('-', "_")));
    let area = SVGBackend::new(&path, SIZE).into_drawing_area();
    let title = format!("{} by load, {}", name(first.mode), words[2..].join(", "));
    draw(&area, &title, &sweep.reports)
        .map_err(|error| Failure::io(&path, std::io::Error::other(error.to_string())))?;
    drop(area);
    Ok(path)
}

type DrawingError = DrawingAreaErrorKind<std::io::Error>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<LogCoord<f64>, LogCoord<f64>>>;

fn draw(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, reports: &[Report]) -> Result<(), DrawingError> {
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 22).into_font().color(&INK))
        .margin(18)
        .margin_right(36)
        .x_label_area_size(52)
        .y_label_area_size(84)
        .build_cartesian_2d(rates(reports).log_scale(), microseconds(reports).log_scale())?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .axis_style(INK)
        .label_style(("sans-serif", 15).into_font().color(&INK))
        .axis_desc_style(("sans-serif", 17).into_font().color(&INK))
        .x_desc("orders offered per second")
        .y_desc("latency, µs")
        .x_label_formatter(&|value| grouped(*value))
        .y_label_formatter(&|value| grouped(*value))
        .draw()?;
    for (percentile, colour, value) in PERCENTILES {
        line(&mut chart, percentile, colour, &points(reports, |report| value(measured(report)?)))?;
    }
    let limit_name = reports.first().and_then(limit).map(|series| series.name.clone()).unwrap_or_default();
    for (percentile, colour, value) in PERCENTILES.into_iter().filter(|drawn| drawn.0 != "p99.9") {
        let label = format!("{limit_name}, {percentile}");
        dashes(&mut chart, &label, colour, &points(reports, |report| value(limit(report)?)))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .margin(14)
        .legend_area_size(34)
        .label_font(("sans-serif", 16).into_font().color(&INK))
        .background_style(WHITE)
        .border_style(GRID)
        .draw()?;
    area.present()
}

fn line(chart: &mut Chart<'_, '_>, label: &str, colour: RGBColor, points: &[(f64, f64)]) -> Result<(), DrawingError> {
    if points.is_empty() {
        return Ok(());
    }
    let key = move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(3));
    chart.draw_series(LineSeries::new(points.to_vec(), colour.stroke_width(3)))?.label(label).legend(key);
    chart.draw_series(points.iter().map(|&point| Circle::new(point, 4, colour.filled())))?;
    Ok(())
}

fn dashes(chart: &mut Chart<'_, '_>, label: &str, colour: RGBColor, points: &[(f64, f64)]) -> Result<(), DrawingError> {
    if points.is_empty() {
        return Ok(());
    }
    let key = move |(x, y)| DashedPathElement::new(vec![(x, y), (x + 24, y)], 5, 4, colour.stroke_width(2));
    let dashed = DashedLineSeries::new(points.to_vec(), 8, 6, colour.stroke_width(2));
    chart.draw_series(dashed)?.label(label).legend(key);
    Ok(())
}

/// Rates and microseconds, where there are both.
fn points(reports: &[Report], value: impl Fn(&Report) -> Option<u64>) -> Vec<(f64, f64)> {
    let point = |report: &Report| Some((report.rate? as f64, value(report)? as f64 / 1e3));
    reports.iter().filter_map(point).collect()
}

/// The axis with some room beside the points.
fn rates(reports: &[Report]) -> Range<f64> {
    let rates = || reports.iter().filter_map(|report| Some(report.rate? as f64));
    rates().fold(f64::MAX, f64::min) / 1.3..rates().fold(1.0, f64::max) * 1.3
}

/// What the key takes of the height: nothing is drawn there.
const KEY_SHARE: f64 = 0.32;

/// From a power of ten that is below everything drawn, up to what leaves room for the key.
fn microseconds(reports: &[Report]) -> Range<f64> {
    let drawn = |report: &Report| -> Vec<u64> {
        let of = |series: &Series| PERCENTILES.into_iter().filter_map(|(.., value)| value(series)).collect::<Vec<_>>();
        [measured(report), limit(report)].into_iter().flatten().flat_map(of).collect()
    };
    let times = || reports.iter().flat_map(drawn).map(|ns| ns as f64 / 1e3);
    let lowest = times().fold(f64::MAX, f64::min).clamp(0.001, 1e7).log10().floor();
    let highest = times().fold(0.001, f64::max).log10().max(lowest + 1.0);
    10_f64.powf(lowest)..10_f64.powf(lowest + (highest - lowest) / (1.0 - KEY_SHARE))
}

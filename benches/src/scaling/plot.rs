//! One picture for each axis.

use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Axis;
use super::shape::Mode;
use crate::failure::Failure;

pub(crate) const SIZE: (u32, u32) = (900, 560);
pub(crate) const INK: RGBColor = RGBColor(40, 40, 40);
pub(crate) const GRID: RGBColor = RGBColor(225, 225, 225);

/// What an operation costs at one value of an axis.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// On the axis.
    pub value: u32,
    /// In how much of a venue.
    pub mode: Mode,
    /// Of one operation.
    pub nanoseconds: f64,
}

/// Writes the picture of an axis into `directory`, which is made if it is not there; its path.
///
/// # Errors
/// If the picture cannot be written.
pub fn write(directory: &Path, axis: Axis, points: &[Point]) -> Result<PathBuf, Failure> {
    std::fs::create_dir_all(directory).map_err(|error| Failure::io(directory, error))?;
    let path = directory.join(format!("scaling_{}.svg", axis.name()));
    let area = SVGBackend::new(&path, SIZE).into_drawing_area();
    draw(&area, axis, points).map_err(|error| Failure::io(&path, std::io::Error::other(error.to_string())))?;
    drop(area);
    Ok(path)
}

type DrawingError = DrawingAreaErrorKind<std::io::Error>;

fn draw(area: &DrawingArea<SVGBackend<'_>, Shift>, axis: Axis, points: &[Point]) -> Result<(), DrawingError> {
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(format!("Cost of an operation by {}", axis.counts()), ("sans-serif", 22).into_font().color(&INK))
        .margin(18)
        .margin_right(36)
        .x_label_area_size(52)
        .y_label_area_size(76)
        .build_cartesian_2d(values(points).log_scale(), nanoseconds(points).log_scale())?;
    chart
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(WHITE)
        .axis_style(INK)
        .label_style(("sans-serif", 15).into_font().color(&INK))
        .axis_desc_style(("sans-serif", 17).into_font().color(&INK))
        .x_desc(axis.counts())
        .y_desc("nanoseconds per operation")
        .x_label_formatter(&|value| grouped(*value))
        .y_label_formatter(&|value| grouped(*value))
        .draw()?;
    for (mode, name, colour) in
        [(Mode::Venue, "full venue", RGBColor(200, 80, 20)), (Mode::Matching, "matching only", RGBColor(20, 90, 170))]
    {
        let line: Vec<(f64, f64)> = points
            .iter()
            .filter(|point| point.mode == mode)
            .map(|point| (point.value.into(), point.nanoseconds))
            .collect();
        if line.is_empty() {
            continue;
        }
        let key = move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(3));
        chart.draw_series(LineSeries::new(line.clone(), colour.stroke_width(3)))?.label(name).legend(key);
        // Above a line that rises.
        let above = Pos::new(HPos::Right, VPos::Bottom);
        let style = ("sans-serif", 14).into_font().color(&colour).pos(above);
        let told = |&(value, cost): &(f64, f64)| {
            let label = Text::new(grouped(cost), (6, -8), style.clone());
            EmptyElement::at((value, cost)) + Circle::new((0, 0), 4, colour.filled()) + label
        };
        chart.draw_series(line.iter().map(told))?;
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

/// The axis with some room beside the points.
fn values(points: &[Point]) -> Range<f64> {
    let values = || points.iter().map(|point| f64::from(point.value));
    values().fold(f64::MAX, f64::min) / 1.6..values().fold(1.0, f64::max) * 1.3
}

/// From a power of ten that is below all costs to one that is above.
fn nanoseconds(points: &[Point]) -> Range<f64> {
    let costs = || points.iter().map(|point| point.nanoseconds);
    let lowest = costs().fold(f64::MAX, f64::min).max(1.0).log10().floor();
    let highest = costs().fold(1.0, f64::max).log10().ceil().max(lowest + 1.0);
    10_f64.powf(lowest)..10_f64.powf(highest)
}

/// A whole number with commas.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap_or("")).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([1.0, 999.0, 1_000.0, 1e7].map(grouped), ["1", "999", "1,000", "10,000,000"]);
    }
}

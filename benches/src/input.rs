//! Reads recordings, packed or not, and says where in them something is wrong.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use engine::Timestamp;

use crate::decimal::{Count, Decimal, Unit};
use crate::failure::Failure;

/// The bytes of a file, unpacked if its name ends in `.gz`, `.xz` or `.zst`.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let packed = fs::read(path).map_err(|error| Failure::io(path, error))?;
    unpack(path, packed).map_err(|error| Failure::io(path, error))
}

/// The text of a file, unpacked likewise.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_bytes(path)?).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        Failure::malformed(path, line_at(before), "not UTF-8")
    })
}

/// The one file in `folder` whose name contains `part`.
pub fn find_file(folder: &Path, part: &str) -> Result<PathBuf, Failure> {
    let entries = fs::read_dir(folder).map_err(|error| Failure::io(folder, error))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Failure::io(folder, error))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().contains(part)) {
            found.push(path);
        }
    }
    match <[PathBuf; 1]>::try_from(found) {
        Ok([path]) => Ok(path),
        Err(found) => {
            Err(Failure::Usage(format!("{}: {} files are named like {part}, not one", folder.display(), found.len())))
        }
    }
}

/// The line, from 1, in which the byte after `before` stands.
pub fn line_at(before: &[u8]) -> u64 {
    1 + before.iter().map(|&byte| u64::from(byte == b'\n')).sum::<u64>()
}

fn unpack(path: &Path, packed: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut bytes)?;
        }
        Some("xz") => {
            lzma_rs::xz_decompress(&mut packed.as_slice(), &mut bytes).map_err(std::io::Error::other)?;
        }
        Some("zst") => {
            let mut rest = packed.as_slice();
            while !rest.is_empty() {
                let mut frame = ruzstd::decoding::StreamingDecoder::new(&mut rest).map_err(std::io::Error::other)?;
                frame.read_to_end(&mut bytes)?;
            }
        }
        _ => bytes = packed,
    }
    Ok(bytes)
}

/// A table of comma-separated values, whose rows know where they stand.
pub struct Table {
    path: PathBuf,
    header: csv::StringRecord,
    rows: Vec<csv::StringRecord>,
}

impl Table {
    /// Reads a table whose first line names its columns.
    pub fn with_header(path: &Path) -> Result<Self, Failure> {
        let mut table = Self::read(path)?;
        if table.rows.is_empty() {
            return Err(Failure::malformed(path, 1, "no header"));
        }
        table.header = table.rows.remove(0);
        Ok(table)
    }

    /// Reads a table that starts with its first row.
    pub fn without_header(path: &Path) -> Result<Self, Failure> {
        Self::read(path)
    }

    /// The rows in their order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.rows.iter().map(|record| Row { table: self, record })
    }

    /// The place of a column.
    pub fn column(&self, name: &str) -> Result<usize, Failure> {
        self.optional_column(name).ok_or_else(|| Failure::malformed(&self.path, 1, format!("no column {name}")))
    }

    /// The place of a column, if it is there.
    pub fn optional_column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column == name)
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = read_bytes(path)?;
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes.as_slice());
        let rows = reader.records().collect::<Result<Vec<_>, _>>().map_err(|error| {
            Failure::malformed(path, error.position().map_or(0, csv::Position::line), error.to_string())
        })?;
        Ok(Self { path: path.to_owned(), header: csv::StringRecord::new(), rows })
    }
}

/// One row of a [`Table`].
#[derive(Clone, Copy)]
pub struct Row<'a> {
    table: &'a Table,
    record: &'a csv::StringRecord,
}

impl<'a> Row<'a> {
    /// How many fields there are.
    pub fn width(&self) -> usize {
        self.record.len()
    }

    /// A field's text.
    pub fn text(&self, column: usize) -> Result<&'a str, Failure> {
        self.record.get(column).ok_or_else(|| self.malformed(format!("field {} is missing", column + 1)))
    }

    /// A field as an unsigned whole number.
    pub fn number(&self, column: usize) -> Result<u64, Failure> {
        let text = self.text(column)?;
        text.parse().map_err(|_| self.malformed(format!("{text:?} is not an unsigned whole number")))
    }

    /// A field counted in `unit`; `None` if it is empty, zero or negative.
    pub fn count(&self, column: usize, unit: Unit) -> Result<Option<u64>, Failure> {
        let text = self.text(column)?;
        if text.is_empty() {
            return Ok(None);
        }
        let decimal = Decimal::parse(text).ok_or_else(|| self.malformed(format!("{text:?} is not a number")))?;
        match decimal.count(unit) {
            Count::Whole(count) => match u64::try_from(count) {
                Ok(count) => Ok(Some(count)),
                Err(_) => Err(self.malformed(format!("{text:?} is too large"))),
            },
            Count::NotPositive => Ok(None),
            Count::Fraction | Count::TooLarge => {
                Err(self.malformed(format!("{text:?} is not a whole number of {}", unit.text(1))))
            }
        }
    }

    /// A field that must be positive, counted in `unit`.
    pub fn positive(&self, column: usize, unit: Unit) -> Result<u64, Failure> {
        self.count(column, unit)?.ok_or_else(|| self.malformed(format!("field {} is not positive", column + 1)))
    }

    /// A field that holds nanoseconds since the epoch or an RFC 3339 time.
    pub fn time(&self, column: usize) -> Result<Timestamp, Failure> {
        let text = self.text(column)?;
        parse_time(text).ok_or_else(|| self.malformed(format!("{text:?} is not a time")))
    }

    /// Something wrong in this row.
    pub fn malformed(&self, message: impl Into<String>) -> Failure {
        let line = self.record.position().map_or(0, csv::Position::line);
        Failure::malformed(&self.table.path, line, message)
    }
}

/// Nanoseconds since the epoch, or an RFC 3339 time in UTC with up to nine digits of fraction.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    if let Ok(nanoseconds) = text.parse() {
        return Some(Timestamp(nanoseconds));
    }
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':')?;
    let in_range = (1970..2500).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    if !in_range || fraction.len() > 9 {
        return None;
    }
    let nanoseconds: u64 = format!("{fraction:0<9}").parse().ok()?;
    let seconds = ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(Timestamp(seconds * 1_000_000_000 + nanoseconds))
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let parts = text.split(separator).map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
    parts.try_into().ok()
}

/// Days from 1970-01-01, by the civil calendar with its years counted from March.
fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_nanoseconds_or_rfc_3339() {
        assert_eq!(parse_time("1531514831025000000"), Some(Timestamp(1_531_514_831_025_000_000)));
        assert_eq!(parse_time("2018-07-13T20:47:11.025000Z"), Some(Timestamp(1_531_514_831_025_000_000)));
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Some(Timestamp(0)));
        assert_eq!(parse_time("2000-02-29T23:59:59.000000001Z"), Some(Timestamp(951_868_799_000_000_001)));
        assert_eq!(parse_time("2025-07-17T08:05:03.360677248Z"), Some(Timestamp(1_752_739_503_360_677_248)));
        for text in
            ["", "2018-07-13", "2018-13-13T00:00:00Z", "2018-07-13T25:00:00Z", "2018-07-13T00:00:00.1234567890Z"]
        {
            assert_eq!(parse_time(text), None, "{text:?}");
        }
    }

    #[test]
    fn lines_count_from_one() {
        assert_eq!(line_at(b""), 1);
        assert_eq!(line_at(b"a\nb\n"), 3);
    }
}

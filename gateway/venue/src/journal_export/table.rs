//! Tables in files: CSV, lines of JSON, and Parquet. Memory is bounded by one group of rows.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use engine::Timestamp;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use crate::admin::value::TimeText;

/// Rows that are kept before they are written, at most.
const GROUP_ROWS: usize = 65_536;
/// Bytes of text that are kept, about.
const GROUP_TEXT_BYTES: usize = 16 << 20;

/// A column of a table. Any of its values may be absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An unsigned number of 64 bits.
    Number,
    /// A time. But for Parquet two columns: nanoseconds since 1970, and the same in words, with `_utc` behind the name.
    Time,
    /// Text.
    Text,
    /// Text that is a JSON value.
    Json,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Absent,
    Number(u64),
    Text(String),
}

/// Why a row is not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Csv(#[from] csv::Error),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
}

/// A file that rows are added to.
pub(crate) enum Table {
    Csv(Box<CsvTable>),
    Lines(LinesTable),
    Parquet(Box<ParquetTable>),
}

impl Table {
    pub(crate) fn csv(file: File, columns: &[Column]) -> Result<Self, TableError> {
        CsvTable::begin(file, columns).map(|table| Self::Csv(Box::new(table)))
    }

    /// An object on each line.
    pub(crate) fn lines(file: File, columns: &[Column]) -> Result<Self, TableError> {
        Ok(Self::Lines(LinesTable { writer: BufWriter::new(file), columns: columns.to_vec() }))
    }

    pub(crate) fn parquet(file: File, columns: &[Column]) -> Result<Self, TableError> {
        ParquetTable::begin(file, columns).map(|table| Self::Parquet(Box::new(table)))
    }

    /// Adds a row of one cell for each column.
    pub(crate) fn add(&mut self, row: Vec<Cell>) -> Result<(), TableError> {
        match self {
            Self::Csv(table) => table.add(row),
            Self::Lines(table) => table.add(&row),
            Self::Parquet(table) => table.add(row),
        }
    }

    /// Writes what is kept, and brings all of it to the device.
    pub(crate) fn finish(self) -> Result<(), TableError> {
        match self {
            Self::Csv(table) => table.finish(),
            Self::Lines(table) => table.finish(),
            Self::Parquet(table) => table.finish(),
        }
    }
}

/// RFC 4180, with a line of names.
pub(crate) struct CsvTable {
    writer: csv::Writer<File>,
    kinds: Vec<Kind>,
}

impl CsvTable {
    fn begin(file: File, columns: &[Column]) -> Result<Self, TableError> {
        let mut writer = csv::Writer::from_writer(file);
        for column in columns {
            writer.write_field(column.name)?;
            if column.kind == Kind::Time {
                writer.write_field(format!("{}_utc", column.name))?;
            }
        }
        writer.write_record(None::<&[u8]>)?;
        Ok(Self { writer, kinds: columns.iter().map(|column| column.kind).collect() })
    }

    fn add(&mut self, row: Vec<Cell>) -> Result<(), TableError> {
        for (cell, kind) in row.iter().zip(&self.kinds) {
            match cell {
                Cell::Absent => self.writer.write_field("")?,
                Cell::Number(number) => self.writer.write_field(number.to_string())?,
                Cell::Text(text) => self.writer.write_field(text)?,
            }
            match (kind, cell) {
                (Kind::Time, Cell::Number(time)) => self.writer.write_field(TimeText(Timestamp(*time)).to_string())?,
                (Kind::Time, Cell::Absent | Cell::Text(_)) => self.writer.write_field("")?,
                (Kind::Number | Kind::Text | Kind::Json, _) => {}
            }
        }
        Ok(self.writer.write_record(None::<&[u8]>)?)
    }

    fn finish(self) -> Result<(), TableError> {
        let file = self.writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
        Ok(file.sync_all()?)
    }
}

/// An object on each line; what is absent is null.
pub(crate) struct LinesTable {
    writer: BufWriter<File>,
    columns: Vec<Column>,
}

impl LinesTable {
    fn add(&mut self, row: &[Cell]) -> Result<(), TableError> {
        let mut before = '{';
        for (cell, Column { name, kind }) in row.iter().zip(&self.columns) {
            write!(self.writer, "{before}\"{name}\":")?;
            match (cell, kind) {
                (Cell::Absent, _) => write!(self.writer, "null")?,
                (Cell::Number(time), Kind::Time) => {
                    write!(self.writer, "{time},\"{name}_utc\":\"{}\"", TimeText(Timestamp(*time)))?;
                }
                (Cell::Number(number), _) => write!(self.writer, "{number}")?,
                (Cell::Text(value), Kind::Json) => write!(self.writer, "{value}")?,
                (Cell::Text(text), _) => write!(self.writer, "{}", serde_json::Value::from(text.as_str()))?,
            }
            before = ',';
        }
        Ok(writeln!(self.writer, "}}")?)
    }

    fn finish(self) -> Result<(), TableError> {
        let file = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(file.sync_all()?)
    }
}

/// One group of rows is kept, by columns.
pub(crate) struct ParquetTable {
    writer: SerializedFileWriter<BufWriter<File>>,
    kinds: Vec<Kind>,
    rows: Vec<Vec<Cell>>,
    text_bytes: usize,
}

impl ParquetTable {
    fn begin(file: File, columns: &[Column]) -> Result<Self, TableError> {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(BufWriter::new(file), schema(columns)?, Arc::new(properties))?;
        let kinds = columns.iter().map(|column| column.kind).collect();
        Ok(Self { writer, kinds, rows: Vec::new(), text_bytes: 0 })
    }

    fn add(&mut self, row: Vec<Cell>) -> Result<(), TableError> {
        let text_bytes = |cell: &Cell| if let Cell::Text(text) = cell { text.len() } else { 0 };
        self.text_bytes += row.iter().map(text_bytes).sum::<usize>();
        self.rows.push(row);
        if self.rows.len() >= GROUP_ROWS || self.text_bytes >= GROUP_TEXT_BYTES { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<(), TableError> {
        let mut group = self.writer.next_row_group()?;
        for (index, kind) in self.kinds.iter().enumerate() {
            let cells = || self.rows.iter().map(|row| &row[index]);
            let present: Vec<i16> = cells().map(|cell| i16::from(*cell != Cell::Absent)).collect();
            let mut column = group.next_column()?.expect("as many columns as in the schema");
            match kind {
                Kind::Number | Kind::Time => {
                    let values: Vec<i64> = cells().filter_map(Cell::number).map(u64::cast_signed).collect();
                    column.typed::<Int64Type>().write_batch(&values, Some(&present), None)?;
                }
                Kind::Text | Kind::Json => {
                    let values: Vec<ByteArray> = cells().filter_map(Cell::text).map(ByteArray::from).collect();
                    column.typed::<ByteArrayType>().write_batch(&values, Some(&present), None)?;
                }
            }
            column.close()?;
        }
        group.close()?;
        self.rows.clear();
        self.text_bytes = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<(), TableError> {
        if !self.rows.is_empty() {
            self.write_group()?;
        }
        let file = self.writer.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(file.sync_all()?)
    }
}

impl Cell {
    fn number(&self) -> Option<u64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

fn schema(columns: &[Column]) -> Result<TypePtr, TableError> {
    let field = |column: &Column| {
        let (physical, logical) = match column.kind {
            Kind::Number => (Physical::INT64, LogicalType::integer(64, false)),
            Kind::Time => (Physical::INT64, LogicalType::timestamp(true, TimeUnit::NANOS)),
            Kind::Text | Kind::Json => (Physical::BYTE_ARRAY, LogicalType::String),
        };
        Type::primitive_type_builder(column.name, physical)
            .with_logical_type(Some(logical))
            .with_repetition(Repetition::OPTIONAL)
            .build()
            .map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Type::group_type_builder("rialto").with_fields(fields).build()?))
}

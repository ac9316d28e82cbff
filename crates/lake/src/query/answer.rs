//! An answer, and how it is written.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use crate::error::LakeError;
use crate::functions;

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for a person.
    Table,
    /// One array of objects.
    Json,
    /// One object a line.
    JsonLines,
    /// Comma-separated values with a header.
    Csv,
}

/// Rows that answer a query.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Columns.
    pub schema: SchemaRef,
    /// Rows in batches.
    pub batches: Vec<RecordBatch>,
}

impl Answer {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The answer as text. Hostile bytes are escaped for the format: control and bidirectional
    /// characters in tables, the format's own quoting elsewhere, and cells that a spreadsheet
    /// would run as a formula are prefixed with an apostrophe in CSV.
    pub fn render(&self, format: Format) -> Result<String, LakeError> {
        let failed = |error: ArrowError| unwritable(&error);
        if matches!(format, Format::Json | Format::JsonLines) {
            self.named_apart()?;
        }
        match format {
            Format::Table => {
                let text = arrow_cast::pretty::pretty_format_batches(&self.batches).map_err(failed)?;
                Ok(functions::visible(&text.to_string()))
            }
            Format::Json => {
                let mut writer = arrow_json::writer::WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .build::<_, arrow_json::writer::JsonArray>(Vec::new());
                for batch in &self.batches {
                    writer.write(batch).map_err(failed)?;
                }
                writer.finish().map_err(failed)?;
                let bytes = writer.into_inner();
                let text = if bytes.is_empty() {
                    "[]".to_owned()
                } else {
                    String::from_utf8_lossy(&bytes).into_owned()
                };
                Ok(text)
            }
            Format::JsonLines => {
                let mut writer = arrow_json::writer::WriterBuilder::new()
                    .with_explicit_nulls(true)
                    .build::<_, arrow_json::writer::LineDelimited>(Vec::new());
                for batch in &self.batches {
                    writer.write(batch).map_err(failed)?;
                }
                writer.finish().map_err(failed)?;
                Ok(String::from_utf8_lossy(&writer.into_inner()).into_owned())
            }
            Format::Csv => {
                let mut bytes = Vec::new();
                let mut writer = arrow_csv::WriterBuilder::new().with_header(true).build(&mut bytes);
                if self.batches.is_empty() {
                    let none = RecordBatch::new_empty(self.schema.clone());
                    writer.write(&functions::flat_for_csv(&none).map_err(failed)?).map_err(failed)?;
                }
                for batch in &self.batches {
                    writer.write(&functions::flat_for_csv(batch).map_err(failed)?).map_err(failed)?;
                }
                drop(writer);
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
        }
    }

    /// Rows of the current view, with the address as text in the place of its two numbers.
    pub fn with_address(services: &RecordBatch) -> Result<Self, LakeError> {
        let failed = |source: ArrowError| LakeError::Read { table: "services", source: source.into() };
        let schema = services.schema();
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (field, column) in schema.fields().iter().zip(services.columns()) {
            match field.name().as_str() {
                "addr_hi" => {
                    let lo = services.column_by_name("addr_lo").unwrap_or(column);
                    fields.push(Field::new("addr", DataType::Utf8, false));
                    columns.push(functions::address_texts(column, lo));
                }
                "addr_lo" => {}
                _ => {
                    fields.push(field.as_ref().clone());
                    columns.push(column.clone());
                }
            }
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(schema.clone(), columns).map_err(failed)?;
        Ok(Self { schema, batches: vec![batch] })
    }

    /// Objects and most readers of Parquet have one place for a name.
    fn named_apart(&self) -> Result<(), LakeError> {
        let mut names = HashSet::new();
        match self.schema.fields().iter().find(|field| !names.insert(field.name())) {
            None => Ok(()),
            Some(twice) => {
                let name = functions::visible(twice.name());
                let message = format!(
                    "two columns are named `{name}`: name one of them apart, as in `{name} AS other`"
                );
                Err(LakeError::Query { message })
            }
        }
    }

    /// The answer as a Parquet file.
    pub fn parquet(&self) -> Result<Vec<u8>, LakeError> {
        use deltalake::parquet::arrow::ArrowWriter;
        use deltalake::parquet::errors::ParquetError;
        let failed = |error: ParquetError| unwritable(&error);
        self.named_apart()?;
        let mut writer = ArrowWriter::try_new(Vec::new(), self.schema.clone(), None).map_err(failed)?;
        for batch in &self.batches {
            writer.write(batch).map_err(failed)?;
        }
        writer.into_inner().map_err(failed)
    }
}

/// A value that a format has no way to write.
fn unwritable(error: &dyn std::error::Error) -> LakeError {
    LakeError::Query { message: format!("{error}: the format has no way to write it; CAST it to text") }
}

//! The table `findings` of SQL: casework's findings, as far as somebody may see them.

use std::error::Error;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use futures::StreamExt;
use futures::stream::try_unfold;
use kenshin_casework::{Casework, Cells, FindingCells, FindingColumn, Shape, Viewer};
use kenshin_lake::{Annex, AnnexRows};

/// Findings read at once, which is what is in memory of them beside the question's own.
const PAGE_ROWS: u32 = 4_096;

/// The findings that somebody may see.
#[derive(Debug)]
pub(super) struct Findings {
    casework: Casework,
    viewer: Viewer,
}

impl Findings {
    /// None for whoever sees no rows.
    pub(super) fn seen_by(viewer: &Viewer, casework: &Casework) -> Option<Arc<dyn Annex>> {
        let findings = Self { casework: casework.clone(), viewer: viewer.clone() };
        viewer.sees_rows().then(|| Arc::new(findings) as Arc<dyn Annex>)
    }
}

impl Annex for Findings {
    fn name(&self) -> &'static str {
        "findings"
    }

    fn schema(&self) -> SchemaRef {
        schema_of(FindingColumn::ALL)
    }

    /// By key, each page by a query of its own: what an assessment changes meanwhile may be in one page and
    /// not yet in another, and no finding comes twice.
    fn rows(&self, columns: &[usize]) -> AnnexRows {
        let columns: Vec<FindingColumn> = columns.iter().map(|place| FindingColumn::ALL[*place]).collect();
        let wanted = Arc::new(Wanted {
            casework: self.casework.clone(),
            viewer: self.viewer.clone(),
            schema: schema_of(&columns),
            columns,
        });
        let page = move |place: Option<Option<String>>| {
            let wanted = wanted.clone();
            async move {
                match place {
                    Some(after) => wanted.page(after).await.map(Some),
                    None => Ok(None),
                }
            }
        };
        try_unfold(Some(None), page).boxed()
    }
}

/// Some columns of the findings that somebody may see.
struct Wanted {
    casework: Casework,
    viewer: Viewer,
    columns: Vec<FindingColumn>,
    schema: SchemaRef,
}

/// A page, and where the next begins: none behind the last.
type Page = (RecordBatch, Option<Option<String>>);

impl Wanted {
    async fn page(&self, after: Option<String>) -> Result<Page, Box<dyn Error + Send + Sync>> {
        let Self { casework, viewer, columns, schema } = self;
        let page = casework.finding_cells(viewer, columns, after.as_deref(), PAGE_ROWS).await?;
        let next = page.next.clone().map(Some);
        Ok((batch(page, columns, schema)?, next))
    }
}

fn schema_of(columns: &[FindingColumn]) -> SchemaRef {
    let field = |column: &FindingColumn| {
        let kind = match column.shape() {
            Shape::Text => DataType::Utf8,
            Shape::Number => DataType::Int64,
            Shape::Instant => DataType::Timestamp(TimeUnit::Microsecond, None),
        };
        Field::new(column.as_str(), kind, true)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn batch(
    page: FindingCells,
    columns: &[FindingColumn],
    schema: &SchemaRef,
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let array = |(cells, column): (Cells, &FindingColumn)| match cells {
        Cells::Texts(texts) => Arc::new(StringArray::from(texts)) as ArrayRef,
        Cells::Numbers(numbers) if column.shape() == Shape::Instant => {
            Arc::new(TimestampMicrosecondArray::from(numbers))
        }
        Cells::Numbers(numbers) => Arc::new(Int64Array::from(numbers)),
    };
    let arrays = page.columns.into_iter().zip(columns).map(array).collect();
    let rows = RecordBatchOptions::new().with_row_count(Some(page.rows));
    RecordBatch::try_new_with_options(schema.clone(), arrays, &rows)
}

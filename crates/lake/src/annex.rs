//! Annexes: tables that are kept elsewhere, and asked together with those of the lake.
//!
//! An annex is read while it is asked for: a page of rows at a time, of the columns that the question wants,
//! and only when the question names it. It lies with the process that asks. Workers have the lake's files and
//! nothing else, so a question that names an annex is answered without them.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::TableType;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::TryStreamExt;
use futures::stream::BoxStream;

/// Rows of an annex as they are read, and why one could not be.
pub type AnnexRows = BoxStream<'static, std::result::Result<RecordBatch, Box<dyn Error + Send + Sync>>>;

/// A table that is kept elsewhere.
///
/// Its rows are those that whoever asks may see, and no others: [`Sight`](crate::view::Sight) is about the
/// lake's own tables, and takes nothing away here.
pub trait Annex: fmt::Debug + Send + Sync {
    /// Its name in SQL, which no table of the lake has.
    fn name(&self) -> &'static str;
    /// Its columns.
    fn schema(&self) -> SchemaRef;
    /// Its rows from the first, with the columns at these places of the schema, in their order. Nothing is
    /// read before the first batch is asked for, and no more than a batch ahead: what is in memory at once
    /// is what the annex puts into a batch.
    fn rows(&self, columns: &[usize]) -> AnnexRows;
}

/// An annex as DataFusion reads it.
#[derive(Debug)]
pub(crate) struct Annexed(pub(crate) Arc<dyn Annex>);

#[async_trait]
impl TableProvider for Annexed {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let whole = self.schema();
        let columns = projection.map_or_else(|| (0..whole.fields().len()).collect(), Clone::clone);
        let schema = Arc::new(whole.project(&columns)?);
        let part = Arc::new(Part { annex: self.0.clone(), columns, schema: schema.clone() });
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![part], None, [], false, limit)?))
    }
}

/// All rows of an annex, with some of its columns.
#[derive(Debug)]
struct Part {
    annex: Arc<dyn Annex>,
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let table = self.annex.name();
        let unread = move |source: Box<dyn Error + Send + Sync>| Unread { table, source: source.into() };
        let rows = self.annex.rows(&self.columns);
        let rows = rows.map_err(move |source| DataFusionError::External(unread(source).into()));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

/// An annex could not be read. It comes back from among DataFusion's errors, behind whatever these put around it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to read the table `{table}`")]
pub(crate) struct Unread {
    pub(crate) table: &'static str,
    #[source]
    pub(crate) source: Arc<dyn Error + Send + Sync>,
}

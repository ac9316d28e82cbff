//! What a plan does not carry by itself: which rows of its files hold.
//!
//! A part of a plan that is sent names files, and forgets which of their rows were selected: rows of the
//! current view that newer ones have taken the place of would come back to life. So there is one way out,
//! [`Carrier`], and it puts a [`Rows`] above every scan of selected rows. [`RowsCodec`] writes the
//! selections down beside the scan, and at the worker's gives them back to its files.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result, exec_err, not_impl_err};
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, ParquetRowSelection};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion_distributed::{
    CoordinatorToWorkerMsg, ExecuteTaskRequest, GetWorkerInfoRequest, GetWorkerInfoResponse, MaybeEncoded,
    SetPlanRequest, WorkerChannel, WorkerToCoordinatorMsg,
};
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use deltalake::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use futures::stream::BoxStream;
use hyper::http::HeaderMap;

use crate::sight::InSight;

/// How a selection is written: numbers of rows that are taken and passed over in turn, taken ones first.
type Runs = Vec<usize>;

/// A way to a worker on which nothing of a plan is lost.
pub(super) struct Carrier(pub(super) Box<dyn WorkerChannel>);

#[async_trait]
impl WorkerChannel for Carrier {
    async fn coordinator_channel(
        &mut self,
        headers: HeaderMap,
        mut set_plan: SetPlanRequest,
        messages: BoxStream<'static, CoordinatorToWorkerMsg>,
        metrics: ExecutionPlanMetricsSet,
        context: &Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<WorkerToCoordinatorMsg>>> {
        let MaybeEncoded::Decoded(plan) = set_plan.plan else {
            return exec_err!("a plan was written down before its rows were");
        };
        set_plan.plan = MaybeEncoded::Decoded(with_rows(plan)?);
        self.0.coordinator_channel(headers, set_plan, messages, metrics, context).await
    }

    async fn execute_task(
        &mut self,
        headers: HeaderMap,
        request: ExecuteTaskRequest,
        metrics: ExecutionPlanMetricsSet,
        context: &Arc<TaskContext>,
    ) -> Result<Vec<BoxStream<'static, Result<arrow_array::RecordBatch>>>> {
        self.0.execute_task(headers, request, metrics, context).await
    }

    async fn get_worker_info(&mut self, request: GetWorkerInfoRequest) -> Result<GetWorkerInfoResponse> {
        self.0.get_worker_info(request).await
    }
}

/// A plan that carries the rows of its files.
fn with_rows(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let carried = plan.transform_up(|node| {
        // Whoever is sent a plan does not make it anew: the wall has done its work.
        if let Some(wall) = node.downcast_ref::<InSight>() {
            return Ok(Transformed::yes(wall.input().clone()));
        }
        let Some(config) = file_scan(&node) else { return Ok(Transformed::no(node)) };
        let runs = runs_of(config)?;
        if runs.is_empty() {
            return Ok(Transformed::no(node));
        }
        Ok(Transformed::yes(Arc::new(Rows { scan: node, runs }) as Arc<dyn ExecutionPlan>))
    })?;
    Ok(carried.data)
}

pub(super) fn file_scan(node: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    node.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()
}

/// The selections of the files of a scan, by path.
fn runs_of(config: &FileScanConfig) -> Result<BTreeMap<String, Runs>> {
    let mut runs = BTreeMap::new();
    for file in config.file_groups.iter().flat_map(FileGroup::iter) {
        if file.extension::<ParquetAccessPlan>().is_some() {
            return exec_err!("a plan selects rows of files in a way that cannot be sent");
        }
        let Some(selected) = file.extension::<ParquetRowSelection>() else { continue };
        runs.insert(file.object_meta.location.to_string(), runs_of_selection(selected.selection()));
    }
    Ok(runs)
}

fn runs_of_selection(selection: &RowSelection) -> Runs {
    let mut runs = vec![0];
    for selector in selection.iter() {
        // Whether a run is of the kind of the last: odd places pass over.
        let passes = runs.len() % 2 == 0;
        match runs.last_mut() {
            Some(last) if passes == selector.skip => *last += selector.row_count,
            _ => runs.push(selector.row_count),
        }
    }
    runs
}

fn selection_of(runs: &[usize]) -> RowSelection {
    let selectors = runs.iter().enumerate().filter(|(_, rows)| **rows > 0);
    selectors
        .map(|(at, rows)| match at % 2 {
            0 => RowSelector::select(*rows),
            _ => RowSelector::skip(*rows),
        })
        .collect::<Vec<_>>()
        .into()
}

/// A scan together with the selections of its files. It is written and read, and never executed: at the
/// worker's there is the scan alone.
#[derive(Debug)]
struct Rows {
    scan: Arc<dyn ExecutionPlan>,
    runs: BTreeMap<String, Runs>,
}

impl DisplayAs for Rows {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows: files={}", self.runs.len())
    }
}

impl ExecutionPlan for Rows {
    fn name(&self) -> &str {
        "Rows"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.scan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.scan]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(scan), true) => Ok(Arc::new(Self { scan, runs: self.runs.clone() })),
            _ => exec_err!("a scan with its rows has one child"),
        }
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        exec_err!("a scan with its rows is sent, not executed")
    }
}

/// Writes and reads [`Rows`].
#[derive(Debug)]
pub(super) struct RowsCodec;

impl PhysicalExtensionCodec for RowsCodec {
    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        to: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some(rows) = node.downcast_ref::<Rows>() else {
            return not_impl_err!("{} cannot be sent to a worker", node.name());
        };
        serde_json::to_writer(to, &rows.runs).map_err(external)
    }

    fn try_decode(
        &self,
        from: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        _: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut runs: BTreeMap<String, Runs> = serde_json::from_slice(from).map_err(external)?;
        let [scan] = inputs else { return exec_err!("a scan with its rows has one child") };
        let Some(config) = file_scan(scan) else { return exec_err!("rows are those of files") };
        let mut config = config.clone();
        let (mut given, wanted) = (Vec::new(), runs.len());
        for group in std::mem::take(&mut config.file_groups) {
            let mut files = group.into_inner();
            for file in &mut files {
                let path = file.object_meta.location.as_ref();
                let Some(selected) = runs.get(path) else { continue };
                given.push(path.to_owned());
                file.extensions.insert(ParquetRowSelection::new(selection_of(selected)));
            }
            config.file_groups.push(FileGroup::new(files));
        }
        given.iter().for_each(|path| drop(runs.remove(path)));
        match runs.is_empty() {
            true => Ok(DataSourceExec::from_data_source(config)),
            false => exec_err!("of {wanted} files with selected rows, {} are not scanned", runs.len()),
        }
    }
}

fn external(error: serde_json::Error) -> DataFusionError {
    DataFusionError::External(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_written_and_read_as_it_was() {
        let (take, pass) = (RowSelector::select, RowSelector::skip);
        for selectors in [
            vec![],
            vec![take(4)],
            vec![pass(3), take(1)],
            vec![take(2), pass(5), take(1), pass(7)],
            vec![pass(9)],
        ] {
            let selection = RowSelection::from(selectors);
            assert_eq!(selection_of(&runs_of_selection(&selection)), selection);
        }
        assert_eq!(runs_of_selection(&vec![pass(3), take(1)].into()), [0, 3, 1]);
    }
}

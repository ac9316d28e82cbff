//! Tables as far as somebody may see them: what lies outside is taken away where a table is read.
//!
//! Nothing that a query says is evaluated for a row out of sight. Were the two conditions one, as
//! optimisers like to make them, `1 / (port - 23)` would tell by its error that somebody else's port 23
//! is there. So the planner sees a table whose scan is a plan of its own, and [`InSight`], the node on top
//! of that plan, lets no condition through. What cannot fail, a comparison of a column with a value, is
//! handed to the scan all the same, so that files and pages are passed over.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use arrow_schema::{FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::common::{Result, ScalarValue, exec_err, tree_node::TreeNodeRecursion};
use datafusion::datasource::TableType;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, Like, Operator, TableProviderFilterPushDown, col, expr::InList, lit,
};
use datafusion::physical_expr::{PhysicalExpr, expressions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use kenshin_observation::schema::{ServiceRow, Table};
use kenshin_observation::{Tlp, addr_to_hi_lo};

use crate::functions;
use crate::view::Sight;

/// Tables that are about addresses, by the column of their high and low halves. Who may see some
/// addresses alone sees these tables and no other.
const ABOUT_ADDRESSES: &[(&str, [&str; 2])] =
    &[("observations", ["subject_addr_hi", "subject_addr_lo"]), ("services", ["addr_hi", "addr_lo"])];

/// What tells of rows out of sight: the number that a row has in its batch, of which the others take up those
/// that are missing. It is null for whoever sees some addresses alone.
const TELLS_OF_OTHERS: &str = "row";

/// The column that says to whom a row may be shown.
const LABEL: &str = "tlp";

/// The column that says under which mandate a row was made. Who may see some mandates alone sees the tables
/// that have it, and no other.
const MANDATE: &str = "mandate_id";

/// A table as far as it may be seen; none when nothing of it may.
pub(crate) fn in_sight(
    name: &str,
    table: Arc<dyn TableProvider>,
    sight: &Sight,
) -> Option<Arc<dyn TableProvider>> {
    let condition = match sight {
        Sight::All => return Some(table),
        // The view of these mandates has nothing else in it.
        Sight::Mandates(_) if name == ServiceRow::NAME => return Some(table),
        Sight::Mandates(mandates) => {
            let made = one_of(&table, MANDATE, mandates.ids().iter().cloned())?;
            match mandates.labels() {
                Some(labels) => made.and(one_of(&table, LABEL, labels.iter().map(ToString::to_string))?),
                None => made,
            }
        }
        Sight::Only(ranges) => {
            let (_, [hi, lo]) = ABOUT_ADDRESSES.iter().find(|(about, _)| *about == name)?;
            let labels = one_of(&table, LABEL, Tlp::FOR_CLIENTS.iter().map(ToString::to_string))?;
            within(ranges, &col(*hi), &col(*lo)).and(labels)
        }
    };
    Some(Arc::new(Seen::new(table, condition)))
}

/// The predicate that a column has one of these texts; none for a table without the column.
fn one_of(table: &Arc<dyn TableProvider>, column: &str, texts: impl Iterator<Item = String>) -> Option<Expr> {
    let of = table.schema().field_with_name(column).ok()?.data_type().clone();
    let texts = texts.map(|text| ScalarValue::try_from_string(text, &of).map(lit));
    Some(col(column).in_list(texts.collect::<Result<Vec<_>>>().ok()?, false))
}

/// The predicate that an address lies in one of these ranges. What lies before and behind all of them is
/// left out by plain comparisons, so that whole files are.
fn within(ranges: &[(IpAddr, IpAddr)], hi: &Expr, lo: &Expr) -> Expr {
    let first = ranges.iter().map(|(from, _)| addr_to_hi_lo(*from)).min();
    let last = ranges.iter().map(|(_, to)| addr_to_hi_lo(*to)).max();
    let (Some((from, from_lo)), Some((to, to_lo))) = (first, last) else { return lit(false) };
    let mut near = hi.clone().between(lit(from), lit(to));
    if from == to {
        near = near.and(lo.clone().between(lit(from_lo), lit(to_lo)));
    }
    near.and(functions::in_ranges(ranges, hi.clone(), lo.clone()))
}

/// The rows of a table for which a condition holds.
#[derive(Debug)]
struct Seen {
    table: Arc<dyn TableProvider>,
    condition: Expr,
    schema: SchemaRef,
}

impl Seen {
    fn new(table: Arc<dyn TableProvider>, condition: Expr) -> Self {
        let null = |field: &FieldRef| match is_hidden(field.name()) {
            true => Arc::new(field.as_ref().clone().with_nullable(true)),
            false => field.clone(),
        };
        let whole = table.schema();
        let fields: Vec<FieldRef> = whole.fields().iter().map(null).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, whole.metadata().clone()));
        Self { table, condition, schema }
    }
}

fn is_hidden(column: &str) -> bool {
    column == TELLS_OF_OTHERS
}

#[async_trait]
impl TableProvider for Seen {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let hidden = |filter: &Expr| filter.column_refs().iter().any(|column| is_hidden(&column.name));
        let one = |filter: &&Expr| match cannot_fail(filter) && !hidden(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(one).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let filters: Vec<Expr> = std::iter::once(&self.condition).chain(filters).cloned().collect();
        let schema = self.schema();
        let wanted: Vec<usize> =
            projection.map_or_else(|| (0..schema.fields().len()).collect(), Clone::clone);
        // What the conditions ask is read too, and left behind them; what is hidden is not read.
        let hidden = |place: &usize| is_hidden(schema.field(*place).name());
        let mut read: Vec<usize> = wanted.iter().copied().filter(|place| !hidden(place)).collect();
        for column in filters.iter().flat_map(Expr::column_refs) {
            let place = schema.index_of(&column.name)?;
            if !read.contains(&place) {
                read.push(place);
            }
        }
        let scan = self.table.scan(state, Some(&read), &filters, None).await?;
        let condition = conjunction(filters).unwrap_or(lit(true));
        let condition = state.create_physical_expr(condition, &DFSchema::try_from(scan.schema())?)?;
        let mut seen: Arc<dyn ExecutionPlan> = Arc::new(FilterExec::try_new(condition, scan)?);
        if read != wanted {
            let read = seen.schema();
            let column = |place: &usize| -> Result<(Arc<dyn PhysicalExpr>, String)> {
                let field = schema.field(*place);
                let column = match is_hidden(field.name()) {
                    true => expressions::lit(ScalarValue::try_new_null(field.data_type())?),
                    false => expressions::col(field.name(), &read)?,
                };
                Ok((column, field.name().clone()))
            };
            let columns: Vec<(Arc<dyn PhysicalExpr>, String)> =
                wanted.iter().map(column).collect::<Result<_>>()?;
            seen = Arc::new(ProjectionExec::try_new(columns, seen)?);
        }
        Ok(Arc::new(InSight::new(seen)))
    }
}

const COMPARISONS: [Operator; 6] =
    [Operator::Eq, Operator::NotEq, Operator::Lt, Operator::LtEq, Operator::Gt, Operator::GtEq];

/// True for comparisons of columns with values, with patterns too, and what is made of them by AND, OR
/// and NOT.
pub(crate) fn cannot_fail(filter: &Expr) -> bool {
    let plain = |expr: &Expr| matches!(expr, Expr::Column(_) | Expr::Literal(..));
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            cannot_fail(left) && cannot_fail(right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            COMPARISONS.contains(op) && plain(left) && plain(right)
        }
        Expr::Not(inner) => cannot_fail(inner),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => plain(inner),
        Expr::Between(between) => plain(&between.expr) && plain(&between.low) && plain(&between.high),
        Expr::Like(Like { expr, pattern, .. }) => plain(expr) && plain(pattern),
        Expr::InList(InList { expr, list, .. }) => plain(expr) && list.iter().all(plain),
        _ => false,
    }
}

/// Rows as they come, and a wall: conditions from above stay above.
#[derive(Debug, Clone)]
pub(crate) struct InSight {
    input: Arc<dyn ExecutionPlan>,
}

impl InSight {
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input }
    }

    pub(crate) fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }
}

impl DisplayAs for InSight {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InSight")
    }
}

impl ExecutionPlan for InSight {
    fn name(&self) -> &str {
        "InSight"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
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
            (Some(input), true) => Ok(Arc::new(Self::new(input))),
            _ => exec_err!("InSight has one input"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}

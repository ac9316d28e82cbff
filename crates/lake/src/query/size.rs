//! How large a question may be, so that finding out what is to be done for it takes a moment and no more.
//!
//! Time and memory are limited where rows flow. Before, statements become trees that are walked by recursion, a
//! name given with `WITH` stands for its whole query at each place where it is used, and expressions over
//! expressions are put together: a short text can stand for a tree that no machine holds. So trees are measured
//! before they are built.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, GroupingSet, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr as Written, Function, FunctionArgumentClause, FunctionArguments, NamedWindowDefinition,
    NamedWindowExpr, ObjectName, OrderByKind, Query, Select, SetExpr, Visit, Visitor, WindowSpec, WindowType,
};
use datafusion::sql::sqlparser::parser::ParserError;

use super::{growth, planning};
use crate::error::LakeError;

/// Longest text of a question, bytes.
const TEXT_BYTES_MAX: usize = 256 << 10;
/// What a thread may use that reads a text of this length, in which every second byte goes one level deeper.
const STACK_BYTES: usize = 256 << 20;
/// Most levels of an expression: half of what the threads that evaluate it hold in a build without optimisation.
const LEVELS_MAX: usize = 200;
/// Most selections, tables, windows and columns of orders, each counted wherever the name of its query is used.
const PARTS_MAX: u64 = 200;
/// As how many parts a table or a window counts: plans go a level deeper with each, and carry all columns.
const DEEPER: u64 = 4;
/// Most brackets inside of brackets, as the parser of SQL has it; of a type all of them are counted.
const BRACKETS_MAX: usize = 50;
/// Most `WITH` inside of `WITH`: each doubles the work of finding out which tables are named.
const NESTED_MAX: usize = 8;
/// Most columns and operators of all expressions, each put together from those that it is made of.
const TERMS_MAX: u64 = 20_000;
/// Most grouping sets of one `GROUP BY`: each row is grouped by each.
const SETS_MAX: u64 = 256;

/// What is too large about a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TooLarge {
    Text,
    Levels,
    Parts,
    Nested,
    Brackets,
    Explained,
    Fixed,
    Terms,
    Sets,
}

impl From<TooLarge> for LakeError {
    fn from(large: TooLarge) -> Self {
        let message = match large {
            TooLarge::Text => format!("its text is longer than {TEXT_BYTES_MAX} bytes"),
            TooLarge::Levels => format!(
                "an expression is more than {LEVELS_MAX} levels deep; `a IN (1, 2, …)` says the same as \
                 `a = 1 OR a = 2 OR …` on one level, and parentheses divide a chain: `(… OR …) OR (… OR …)`"
            ),
            TooLarge::Parts => format!(
                "it has more than {PARTS_MAX} parts: selections, columns of orders, and, each for {DEEPER}, tables and \
                 windows; what WITH names is counted wherever it is used"
            ),
            TooLarge::Nested => format!("WITH stands inside of WITH more than {NESTED_MAX} times"),
            TooLarge::Brackets => format!(
                "parentheses, lists, subqueries or types stand inside of each other more than about {BRACKETS_MAX} times"
            ),
            TooLarge::Explained => "EXPLAIN explains a question, and no EXPLAIN".to_owned(),
            TooLarge::Fixed => "values of a fixed size are not made here: cast to Binary or List".to_owned(),
            TooLarge::Terms => format!(
                "its expressions, put together from those that they are made of, have more than {TERMS_MAX} columns and operators"
            ),
            TooLarge::Sets => format!("it groups in more than {SETS_MAX} ways at once"),
        };
        Self::Large { message }
    }
}

/// Which of the tables a question names, when its text is no larger than what can be planned.
pub(super) fn named(context: &SessionContext, sql: &str) -> Result<HashSet<String>, LakeError> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(TooLarge::Text.into());
    }
    // What is refused is built up and taken down all the same, by recursion.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("sql-text".to_owned()).stack_size(STACK_BYTES);
        let read = thread.spawn_scoped(scope, || read(context, sql));
        let read = read.map_err(|source| LakeError::Read { table: "question", source: source.into() })?;
        read.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn read(context: &SessionContext, sql: &str) -> Result<HashSet<String>, LakeError> {
    let state = context.state();
    let dialect = state.config_options().sql_parser.dialect;
    let statement = state.sql_to_statement(sql, &dialect).map_err(|error| match error.find_root() {
        DataFusionError::SQL(parser, _) if matches!(**parser, ParserError::RecursionLimitExceeded) => {
            TooLarge::Brackets.into()
        }
        _ => planning(error),
    })?;
    measure(&statement)?;
    let references = state.resolve_table_references(&statement).map_err(planning)?;
    Ok(references.iter().map(|reference| reference.table().to_owned()).collect())
}

fn measure(statement: &Statement) -> Result<(), TooLarge> {
    match statement {
        Statement::Statement(statement) => {
            let mut measured = Measured { levels: 0, queries: vec![Counted::default()] };
            match statement.visit(&mut measured) {
                ControlFlow::Break(large) => Err(large),
                ControlFlow::Continue(()) => Ok(()),
            }
        }
        Statement::Explain(explain) if matches!(*explain.statement, Statement::Explain(_)) => {
            Err(TooLarge::Explained)
        }
        Statement::Explain(explain) => measure(&explain.statement),
        // Refused for what they are.
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => Ok(()),
    }
}

/// A statement as it is walked through.
struct Measured {
    levels: usize,
    /// The queries around the one that is looked at, outermost first.
    queries: Vec<Counted>,
}

/// Parts of one query.
#[derive(Default)]
struct Counted {
    parts: u64,
    /// What it names with `WITH`, those that come next last: their queries stand before everything else.
    awaited: Vec<String>,
    named: HashMap<String, u64>,
}

impl Measured {
    fn count(&mut self, parts: u64) -> ControlFlow<TooLarge> {
        let query = self.queries.last_mut().expect("a statement is around all");
        query.parts = query.parts.saturating_add(parts);
        if query.parts > PARTS_MAX { ControlFlow::Break(TooLarge::Parts) } else { ControlFlow::Continue(()) }
    }
}

/// The window and the orders of a call.
fn parts_of(call: &Function) -> u64 {
    let window = call.over.as_ref().map_or(0, |over| match over {
        WindowType::WindowSpec(of) => DEEPER + ordering(of),
        WindowType::NamedWindow(_) => DEEPER,
    });
    let ordered = match &call.args {
        FunctionArguments::List(list) => list.clauses.iter().map(|clause| match clause {
            FunctionArgumentClause::OrderBy(by) => by.len() as u64,
            _ => 0,
        }),
        FunctionArguments::None | FunctionArguments::Subquery(_) => return window,
    };
    window + ordered.sum::<u64>() + call.within_group.len() as u64
}

fn ordering(window: &WindowSpec) -> u64 {
    (window.partition_by.len() + window.order_by.len()) as u64
}

/// Brackets that are opened.
fn brackets(text: &str) -> usize {
    text.chars().filter(|c| "[(<".contains(*c)).count()
}

/// Identifiers without regard to case: taking two for one counts too much, and never too little.
fn plain(name: &str) -> String {
    name.to_lowercase()
}

impl Visitor for Measured {
    type Break = TooLarge;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<TooLarge> {
        let tables = query.with.iter().flat_map(|with| with.cte_tables.iter().rev());
        let awaited = tables.map(|table| plain(&table.alias.name.value)).collect();
        self.queries.push(Counted { awaited, ..Counted::default() });
        if self.queries.iter().filter(|query| !query.awaited.is_empty()).count() > NESTED_MAX {
            return ControlFlow::Break(TooLarge::Nested);
        }
        // Selections are counted as they come; rows that are written out have no visit of their own.
        let (mut written, mut rest) = (0, vec![query.body.as_ref()]);
        while let Some(part) = rest.pop() {
            match part {
                SetExpr::SetOperation { left, right, .. } => rest.extend([left.as_ref(), right.as_ref()]),
                SetExpr::Select(_) | SetExpr::Query(_) => {}
                _ => written += 1,
            }
        }
        let ordered = query.order_by.as_ref().map_or(0, |order| match &order.kind {
            OrderByKind::Expressions(by) => by.len() as u64,
            OrderByKind::All(_) => 1,
        });
        self.count(written + ordered)
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<TooLarge> {
        let parts = self.queries.pop().map_or(0, |query| query.parts);
        let around = self.queries.last_mut().expect("a statement is around all");
        match around.awaited.pop() {
            Some(name) => {
                let known = around.named.entry(name).or_default();
                *known = parts.max(*known);
                ControlFlow::Continue(())
            }
            None => self.count(parts),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<TooLarge> {
        let named = select.named_window.iter().map(|NamedWindowDefinition(_, window)| match window {
            NamedWindowExpr::WindowSpec(of) => ordering(of),
            NamedWindowExpr::NamedWindow(_) => 0,
        });
        self.count(1 + named.sum::<u64>())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<TooLarge> {
        let name = relation.0.last().and_then(|part| part.as_ident()).map(|name| plain(&name.value));
        let find = |name: &String| self.queries.iter().rev().find_map(|query| query.named.get(name)).copied();
        self.count(name.as_ref().and_then(find).map_or(DEEPER, |parts| parts.saturating_add(1)))
    }

    fn pre_visit_expr(&mut self, expr: &Written) -> ControlFlow<TooLarge> {
        match expr {
            Written::Function(call) => {
                self.count(parts_of(call))?;
                // A type as text, which is made into a type by recursion, and may say how large each value is.
                if plain(&call.name.to_string()).contains("arrow_") {
                    let text = call.to_string();
                    if text.contains("FixedSize") {
                        return ControlFlow::Break(TooLarge::Fixed);
                    }
                    if brackets(&text) > BRACKETS_MAX {
                        return ControlFlow::Break(TooLarge::Brackets);
                    }
                }
            }
            // A type of types has no visit of its own.
            Written::Cast { data_type, .. } if brackets(&data_type.to_string()) > BRACKETS_MAX => {
                return ControlFlow::Break(TooLarge::Brackets);
            }
            _ => {}
        }
        self.levels += 1;
        if self.levels > LEVELS_MAX {
            ControlFlow::Break(TooLarge::Levels)
        } else {
            ControlFlow::Continue(())
        }
    }

    fn post_visit_expr(&mut self, _: &Written) -> ControlFlow<TooLarge> {
        self.levels -= 1;
        ControlFlow::Continue(())
    }
}

/// What is in a plan whose text was not too large.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PutTogether {
    terms: u64,
    /// Calls of functions that make more than they are given.
    pub(super) growing: u64,
    /// It reads tables, so that constants come to stand in rows.
    pub(super) reads: bool,
}

/// Measures a plan before anything is put together in it.
pub(super) fn put_together(plan: &LogicalPlan) -> Result<PutTogether, LakeError> {
    let mut found = PutTogether::default();
    let mut large = None;
    let walked = found.columns(plan, &mut large);
    match (walked, large) {
        (_, Some(large)) => Err(TooLarge::into(large)),
        (Err(error), None) => Err(planning(error)),
        (Ok(_), None) => Ok(found),
    }
}

impl PutTogether {
    /// How many terms each column of a plan is made of.
    fn columns(
        &mut self,
        plan: &LogicalPlan,
        large: &mut Option<TooLarge>,
    ) -> Result<Vec<u64>, DataFusionError> {
        let inputs = plan.inputs();
        self.reads |= matches!(plan, LogicalPlan::TableScan(_) | LogicalPlan::Values(_));
        let (mut given, mut schemas) = (Vec::new(), Vec::new());
        for input in inputs {
            given.push(self.columns(input, large)?);
            schemas.push(input.schema().as_ref());
        }
        let of = |column: &datafusion::common::Column| -> u64 {
            let found = schemas.iter().zip(&given).find_map(|(schema, terms)| {
                schema.maybe_index_of_column(column).and_then(|place| terms.get(place))
            });
            found.copied().unwrap_or(1)
        };
        let mut made = Vec::new();
        for expr in plan.expressions() {
            made.push(self.terms(&expr, &of, large)?);
        }
        plan.apply_subqueries(|subquery| {
            self.columns(subquery, large)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        if self.terms > TERMS_MAX {
            large.get_or_insert(TooLarge::Terms);
        }
        if large.is_some() {
            return datafusion::common::plan_err!("too large");
        }
        let columns = plan.schema().fields().len();
        Ok(match plan {
            LogicalPlan::Projection(_) => made,
            LogicalPlan::Aggregate(aggregate) => {
                made.truncate(aggregate.group_expr.len());
                made.resize(columns, 1);
                made
            }
            _ => passed_on(&given, columns),
        })
    }

    /// How many terms an expression is made of.
    fn terms(
        &mut self,
        expr: &Expr,
        of: &dyn Fn(&datafusion::common::Column) -> u64,
        large: &mut Option<TooLarge>,
    ) -> Result<u64, DataFusionError> {
        let mut terms = 0_u64;
        expr.apply(|part| {
            let more = match part {
                Expr::Column(column) => of(column),
                Expr::Literal(..) => 0,
                Expr::GroupingSet(sets) => {
                    if ways(sets) > SETS_MAX {
                        large.get_or_insert(TooLarge::Sets);
                    }
                    1
                }
                _ => {
                    self.growing += u64::from(growth::grows(part));
                    1
                }
            };
            terms = terms.saturating_add(more);
            Ok(TreeNodeRecursion::Continue)
        })?;
        self.terms = self.terms.saturating_add(terms);
        Ok(terms)
    }
}

/// How many terms columns have that a plan takes over from those below it.
fn passed_on(given: &[Vec<u64>], columns: usize) -> Vec<u64> {
    if given.iter().map(Vec::len).sum::<usize>() == columns {
        return given.concat();
    }
    if let [one] = given
        && one.len() == columns
    {
        return one.clone();
    }
    // Which is which is not looked for: the greatest is never too little.
    let greatest = given.iter().flatten().max().copied().unwrap_or(1);
    vec![greatest; columns]
}

/// In how many ways a row is grouped.
fn ways(sets: &GroupingSet) -> u64 {
    match sets {
        GroupingSet::Rollup(by) => by.len() as u64 + 1,
        GroupingSet::Cube(by) => 1_u64.checked_shl(by.len() as u32).unwrap_or(u64::MAX),
        GroupingSet::GroupingSets(sets) => sets.len() as u64,
    }
}

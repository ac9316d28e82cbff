//! Functions that make more than they are given.
//!
//! The pool of memory counts what operators keep, and not what functions make of one batch of rows:
//! `repeat(banner, 1000000)` is one line, and thousands of gigabytes. What such a function is about to make is
//! reckoned from its arguments, and refused where it is more than its share of the question's memory. `||`
//! becomes a function for it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, resources_err};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

/// What such functions may make of one batch where nobody says how much, as with workers.
const SHARE_BYTES: u64 = 32 << 20;
/// Rows of one batch, as DataFusion has them.
const BATCH_ROWS: u64 = 8_192;
/// What a constant may take where it stands in no rows: optimisers copy it many times.
const CONSTANT_BYTES_MAX: u64 = 1 << 20;
/// Such functions have a share as if there were so many at least.
const SHARERS_MIN: u64 = 4;
/// The function that `||` becomes.
const JOINED: &str = "text_concat";

/// Those that DataFusion has, and how much they make.
const GROWING: [(&str, Made); 19] = [
    ("repeat", Made::Times),
    ("lpad", Made::Padded),
    ("rpad", Made::Padded),
    ("replace", Made::Replaced),
    ("regexp_replace", Made::Replaced),
    ("translate", Made::Whole),
    ("overlay", Made::Whole),
    ("concat", Made::Whole),
    ("concat_ws", Made::Separated(0)),
    ("array_to_string", Made::Separated(1)),
    ("make_array", Made::Whole),
    ("array_concat", Made::Whole),
    ("array_repeat", Made::Times),
    ("array_resize", Made::Resized),
    ("array_replace", Made::Exchanged),
    ("array_replace_n", Made::Exchanged),
    ("array_replace_all", Made::Exchanged),
    ("range", Made::Stepped),
    ("generate_series", Made::Stepped),
];

/// What a function makes of its arguments, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Made {
    /// All of them, one behind the other.
    Whole,
    /// All of them, with the one of this place between each two elements.
    Separated(usize),
    /// The first, as many times as the second says.
    Times,
    /// As many characters as the second says.
    Padded,
    /// As many elements as the second says.
    Resized,
    /// The first, with the third in the place of each character.
    Replaced,
    /// The first, with the third in the place of each element.
    Exchanged,
    /// Numbers or moments from the first to the second by the third.
    Stepped,
}

/// What functions of one question may make, each.
#[derive(Debug, Clone)]
pub(crate) struct Share(Arc<Bytes>);

#[derive(Debug)]
struct Bytes {
    /// Of one batch.
    batch: AtomicU64,
    /// Of constants, which come to stand in each row of a batch.
    constant: AtomicU64,
}

impl Share {
    /// Where nobody says how much.
    pub(crate) fn usual() -> Self {
        let constant = AtomicU64::new(SHARE_BYTES / BATCH_ROWS);
        Self(Arc::new(Bytes { batch: AtomicU64::new(SHARE_BYTES), constant }))
    }

    /// Divides `memory_bytes` among `sharers`, of a question that reads tables or does not.
    pub(super) fn divide(&self, memory_bytes: usize, sharers: u64, reads: bool) {
        let batch = memory_bytes as u64 / sharers.max(SHARERS_MIN);
        self.0.batch.store(batch, Ordering::Relaxed);
        let constant = if reads { batch / BATCH_ROWS } else { batch.min(CONSTANT_BYTES_MAX) };
        self.0.constant.store(constant, Ordering::Relaxed);
    }
}

/// True when `expr` calls such a function.
pub(super) fn grows(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => {
            call.func.name() == JOINED || GROWING.iter().any(|(name, _)| *name == call.func.name())
        }
        // Of a chain the first alone: it becomes one call.
        Expr::BinaryExpr(binary) => joins(expr) && !joins(&binary.left),
        _ => false,
    }
}

fn joins(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat)
}

/// Such functions as `registry` has them, each within `share`, and the one that `||` becomes.
pub(crate) fn within(registry: &dyn FunctionRegistry, share: &Share) -> Vec<ScalarUDF> {
    let known = GROWING.iter().filter_map(|(name, made)| {
        let inner = registry.udf(name).ok()?;
        Some(ScalarUDF::new_from_impl(Growing { inner, made: *made, share: share.clone() }))
    });
    let joined =
        ScalarUDF::new_from_impl(Joined { signature: Signature::variadic_any(Volatility::Immutable) });
    let (inner, made) = (Arc::new(joined), Made::Whole);
    let joined = ScalarUDF::new_from_impl(Growing { inner, made, share: share.clone() });
    known.chain([joined]).collect()
}

/// A function that is asked only when what it makes is within its share.
struct Growing {
    inner: Arc<ScalarUDF>,
    made: Made,
    share: Share,
}

impl fmt::Debug for Growing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PartialEq for Growing {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Growing {}

impl Hash for Growing {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Growing {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = Arc::new(self.inner.inner().with_updated_config(config)?);
        Some(ScalarUDF::new_from_impl(Self { inner, made: self.made, share: self.share.clone() }))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let share = if is_constant { &self.share.0.constant } else { &self.share.0.batch };
        let most = share.load(Ordering::Relaxed);
        let rows = if is_constant { 1 } else { args.number_rows };
        let made = self.made.bytes(&args.args, rows)?;
        if made > most {
            return resources_err!(
                "`{}` would make up to {made} bytes of {rows} rows, more than {most}, its share of the question's memory",
                self.name()
            );
        }
        self.inner.invoke_with_args(args)
    }
}

impl Made {
    /// Bytes that are made at most of `rows` rows.
    fn bytes(self, args: &[ColumnarValue], rows: usize) -> Result<u64> {
        let whole =
            |args: &[ColumnarValue]| args.iter().map(|arg| weight(arg, rows)).fold(0, u64::saturating_add);
        Ok(match (self, args) {
            (Self::Times, [what, times, ..]) => {
                let (what, times) = (Each::lengths(what)?, Each::numbers(times)?);
                sum(rows, |row| what.at(row).saturating_mul(times.at(row)))
            }
            (Self::Padded, [_, length, ..]) => {
                let length = Each::numbers(length)?;
                sum(rows, |row| length.at(row).saturating_mul(4))
            }
            (Self::Resized, [array, length, rest @ ..]) => {
                let (length, value) = (Each::numbers(length)?, whole(rest).max(8));
                whole(std::slice::from_ref(array))
                    .saturating_add(sum(rows, |row| length.at(row)).saturating_mul(value))
            }
            (Self::Replaced, [text, _, by, ..]) => {
                let (text, by) = (Each::lengths(text)?, Each::lengths(by)?);
                sum(rows, |row| (text.at(row) + 1).saturating_mul(by.at(row) + 1))
            }
            (Self::Exchanged, [array, _, by, ..]) => {
                let by = Each::lengths(by)?.greatest();
                whole(args).saturating_add(elements(array, rows).saturating_mul(by))
            }
            (Self::Separated(place), [one, _, ..]) => {
                let longest = Each::lengths(&args[place])?.greatest();
                let between =
                    (args.len() as u64).saturating_mul(rows as u64).saturating_add(elements(one, rows));
                whole(args).saturating_add(between.saturating_mul(longest))
            }
            (Self::Stepped, [from, rest @ ..]) => {
                let (from, to, step) = match rest {
                    [] => (Each::Same(0), Each::moments(from)?, Each::Same(1)),
                    [to] => (Each::moments(from)?, Each::moments(to)?, Each::Same(1)),
                    [to, step, ..] => (Each::moments(from)?, Each::moments(to)?, Each::moments(step)?),
                };
                // As two's complement: what is between is not negative.
                let between = |row| (to.at(row) as i64).abs_diff(from.at(row) as i64);
                let steps = |row| between(row) / (step.at(row) as i64).unsigned_abs().max(1) + 1;
                sum(rows, |row| steps(row).saturating_mul(8))
            }
            (Self::Whole, _) | (_, _) => whole(args),
        })
    }
}

fn sum(rows: usize, of: impl Fn(usize) -> u64) -> u64 {
    (0..rows).map(of).fold(0, u64::saturating_add)
}

/// Bytes of `rows` rows of a value.
fn weight(value: &ColumnarValue, rows: usize) -> u64 {
    match value {
        ColumnarValue::Array(array) => Each::lengths(value).map_or_else(
            |_| array.get_array_memory_size() as u64,
            |lengths| sum(array.len(), |row| lengths.at(row)),
        ),
        ColumnarValue::Scalar(scalar) => {
            let one = scalar.to_array().map_or(0, |array| weight(&ColumnarValue::Array(array), 1));
            one.saturating_mul(rows as u64)
        }
    }
}

/// Elements of all lists of a value.
fn elements(value: &ColumnarValue, rows: usize) -> u64 {
    match value {
        ColumnarValue::Array(array) => {
            array.as_list_opt::<i32>().map_or(0, |list| list.values().len() as u64)
        }
        ColumnarValue::Scalar(scalar) => {
            let array = scalar.to_array().ok();
            let one = array.as_ref().and_then(|array| array.as_list_opt::<i32>());
            one.map_or(0, |list| list.values().len() as u64).saturating_mul(rows as u64)
        }
    }
}

/// A number for each row.
enum Each {
    Same(u64),
    Of(Vec<u64>),
}

impl Each {
    fn at(&self, row: usize) -> u64 {
        match self {
            Self::Same(number) => *number,
            Self::Of(numbers) => numbers.get(row).copied().unwrap_or(0),
        }
    }

    fn greatest(&self) -> u64 {
        match self {
            Self::Same(number) => *number,
            Self::Of(numbers) => numbers.iter().copied().max().unwrap_or(0),
        }
    }

    /// One for all rows of a scalar, and of an array one for each.
    fn of(value: &ColumnarValue, numbers: impl Fn(&ArrayRef) -> Result<Vec<u64>>) -> Result<Self> {
        match value {
            ColumnarValue::Array(array) => numbers(array).map(Self::Of),
            ColumnarValue::Scalar(scalar) => {
                let of_one = numbers(&scalar.to_array()?)?;
                Ok(Self::Same(of_one.first().copied().unwrap_or(0)))
            }
        }
    }

    /// Bytes of texts, and of whatever else as much as a row has on average.
    fn lengths(value: &ColumnarValue) -> Result<Self> {
        Self::of(value, |array| {
            Ok(match array.data_type() {
                DataType::Utf8 => lengths(array.as_string::<i32>().iter().map(|text| text.map(str::len))),
                DataType::LargeUtf8 => {
                    lengths(array.as_string::<i64>().iter().map(|text| text.map(str::len)))
                }
                DataType::Utf8View => lengths(array.as_string_view().iter().map(|text| text.map(str::len))),
                DataType::Binary => {
                    lengths(array.as_binary::<i32>().iter().map(|bytes| bytes.map(<[u8]>::len)))
                }
                DataType::BinaryView => {
                    lengths(array.as_binary_view().iter().map(|bytes| bytes.map(<[u8]>::len)))
                }
                other => match other.primitive_width() {
                    Some(bytes) => vec![bytes as u64; array.len()],
                    None => {
                        let whole = array.to_data().get_slice_memory_size()?;
                        vec![whole.div_ceil(array.len().max(1)) as u64; array.len()]
                    }
                },
            })
        })
    }

    /// Whole numbers; none and less than nothing as nothing.
    fn numbers(value: &ColumnarValue) -> Result<Self> {
        Self::of(value, |array| {
            let longs = arrow_cast::cast(array, &DataType::Int64)?;
            let longs = longs.as_primitive::<Int64Type>();
            Ok(longs.iter().map(|number| number.map_or(0, |number| number.max(0) as u64)).collect())
        })
    }

    /// Whole numbers, nanoseconds of moments and of intervals, as two's complement.
    fn moments(value: &ColumnarValue) -> Result<Self> {
        use arrow_schema::{IntervalUnit, TimeUnit};
        const DAY_NS: i64 = 86_400_000_000_000;
        Self::of(value, |array| {
            let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
            let longs: Vec<Option<i64>> = match array.data_type() {
                DataType::Interval(IntervalUnit::MonthDayNano) => {
                    let steps = array.as_primitive::<arrow_array::types::IntervalMonthDayNanoType>();
                    let one = |step: arrow_array::types::IntervalMonthDayNano| {
                        let days = i64::from(step.months) * 28 + i64::from(step.days);
                        days.saturating_mul(DAY_NS).saturating_add(step.nanoseconds)
                    };
                    steps.iter().map(|step| step.map(one)).collect()
                }
                DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
                    let moments = arrow_cast::cast(array, &nanoseconds)?;
                    let longs = arrow_cast::cast(&moments, &DataType::Int64)?;
                    longs.as_primitive::<Int64Type>().iter().collect()
                }
                _ => {
                    let longs = arrow_cast::cast(array, &DataType::Int64)?;
                    longs.as_primitive::<Int64Type>().iter().collect()
                }
            };
            Ok(longs.into_iter().map(|long| long.unwrap_or(0) as u64).collect())
        })
    }
}

fn lengths(of: impl Iterator<Item = Option<usize>>) -> Vec<u64> {
    of.map(|length| length.unwrap_or(0) as u64).collect()
}

/// `text_concat(a, b, …)`: texts one behind the other; null when one of them is. What `||` becomes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    signature: Signature,
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &str {
        JOINED
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let alone = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let texts = arrays.iter().map(|array| arrow_cast::cast(array, &DataType::Utf8));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let columns: Vec<_> = texts.iter().map(|text| text.as_string::<i32>()).collect();
        let rows = columns.first().map_or(0, |column| column.len());
        let mut joined = arrow_array::builder::StringBuilder::new();
        for row in 0..rows {
            if columns.iter().any(|column| column.is_null(row)) {
                joined.append_null();
                continue;
            }
            for column in &columns {
                std::fmt::Write::write_str(&mut joined, column.value(row)).expect("a builder has room");
            }
            joined.append_value("");
        }
        let joined = joined.finish();
        if alone {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(joined)))
    }
}

/// Makes `||` between texts a call of [`Joined`].
#[derive(Debug)]
pub(super) struct Rewrite {
    joined: Arc<ScalarUDF>,
}

impl Rewrite {
    /// For sessions that have the functions of [`within`].
    pub(super) fn of(registry: &dyn FunctionRegistry) -> Result<Self> {
        Ok(Self { joined: registry.udf(JOINED)? })
    }
}

impl FunctionRewrite for Rewrite {
    fn name(&self) -> &str {
        JOINED
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) = expr else {
            return Ok(Transformed::no(expr));
        };
        // Bytes are no texts.
        let is_other = |side: &Expr| {
            matches!(
                side.get_type(schema),
                Ok(DataType::List(_)
                    | DataType::LargeList(_)
                    | DataType::FixedSizeList(..)
                    | DataType::Binary
                    | DataType::LargeBinary
                    | DataType::BinaryView
                    | DataType::FixedSizeBinary(_))
            )
        };
        if is_other(&left) || is_other(&right) {
            return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::StringConcat,
                right,
            })));
        }
        // Parts are rewritten before the whole: `a || b || c` becomes one call.
        let mut args = Vec::new();
        for side in [*left, *right] {
            match side {
                Expr::ScalarFunction(call) if call.func.name() == JOINED => args.extend(call.args),
                other => args.push(other),
            }
        }
        Ok(Transformed::yes(self.joined.call(args)))
    }
}

//! SQL functions over addresses, and how values are made harmless for the place they go to.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
    lit,
};
use kenshin_observation::version;
use kenshin_observation::{Prefix, addr_from_hi_lo, addr_to_hi_lo};

use crate::search::is_bidi;

/// Functions of their arguments alone.
pub(crate) fn of_values() -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::new_from_impl(IpText::new()),
        ScalarUDF::new_from_impl(InCidr::new()),
        ScalarUDF::new_from_impl(VersionCmp::new()),
    ]
}

/// What is known of where an address is used.
pub trait Places: fmt::Debug + Send + Sync {
    /// Which edition they are, in printable ASCII: tables of one edition tell the same of every address.
    fn edition(&self) -> &str;
    /// Number and name of the autonomous system that announces it.
    fn system(&self, addr: IpAddr) -> Option<(u32, Option<&str>)>;
    /// Country, two capital letters, and its part (ISO 3166-2).
    fn country(&self, addr: IpAddr) -> Option<(&str, Option<&str>)>;
}

/// `asn`, `as_name`, `country` and `region`; by no table all are null.
pub(crate) fn of_places(places: Option<&Arc<dyn Places>>) -> impl Iterator<Item = ScalarUDF> {
    let parts = [Part::Asn, Part::AsName, Part::Country, Part::Region];
    parts.map(|part| ScalarUDF::new_from_impl(PlaceOf::new(part, places.cloned()))).into_iter()
}

/// `ip_text(hi, lo)`: an address as text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IpText {
    signature: Signature,
}

impl IpText {
    fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Int64, DataType::Int64], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for IpText {
    fn name(&self) -> &str {
        "ip_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        Ok(ColumnarValue::Array(address_texts(&arrays[0], &arrays[1])))
    }
}

/// Addresses as text, from columns of longs.
pub(crate) fn address_texts(hi: &ArrayRef, lo: &ArrayRef) -> ArrayRef {
    let (hi, lo) = (hi.as_primitive::<Int64Type>(), lo.as_primitive::<Int64Type>());
    let text: StringArray =
        hi.iter().zip(lo.iter()).map(|(hi, lo)| Some(addr_from_hi_lo(hi?, lo?).to_string())).collect();
    Arc::new(text)
}

/// `in_cidr(hi, lo, prefix)` and `in_cidr(text, prefix)`: is the address inside the prefix? With a
/// literal prefix the first form becomes plain comparisons, by which Delta skips whole files.
#[derive(Debug, PartialEq, Eq, Hash)]
struct InCidr {
    signature: Signature,
}

impl InCidr {
    fn new() -> Self {
        let forms = vec![
            TypeSignature::Exact(vec![DataType::Int64, DataType::Int64, DataType::Utf8]),
            TypeSignature::Exact(vec![DataType::Utf8, DataType::Utf8]),
        ];
        Self { signature: Signature::one_of(forms, Volatility::Immutable) }
    }
}

fn prefix(text: &str) -> Result<Prefix> {
    match text.parse() {
        Ok(prefix) => Ok(prefix),
        Err(error) => plan_err!("in_cidr: {error}"),
    }
}

impl ScalarUDFImpl for InCidr {
    fn name(&self) -> &str {
        "in_cidr"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let (hi, lo, text) = match args.as_slice() {
            [hi, lo, Expr::Literal(ScalarValue::Utf8(Some(text)), _)] => (hi, lo, text),
            // The text of an address that is stored as two numbers.
            [Expr::ScalarFunction(text_of), Expr::Literal(ScalarValue::Utf8(Some(text)), _)]
                if text_of.name() == "ip_text" && text_of.args.len() == 2 =>
            {
                (&text_of.args[0], &text_of.args[1], text)
            }
            _ => return Ok(ExprSimplifyResult::Original(args)),
        };
        let prefix = prefix(text)?;
        let inside = prefix.ranges().into_iter().map(|((from_hi, from_lo), (to_hi, to_lo))| {
            if from_hi == to_hi {
                return hi.clone().eq(lit(from_hi)).and(lo.clone().between(lit(from_lo), lit(to_lo)));
            }
            // With 64 bits or fewer every low half of the last high half is in it, and mostly of the first too.
            match from_lo {
                i64::MIN => hi.clone().between(lit(from_hi), lit(to_hi)),
                _ => (hi.clone().eq(lit(from_hi)).and(lo.clone().gt_eq(lit(from_lo))))
                    .or(hi.clone().between(lit(from_hi + 1), lit(to_hi))),
            }
        });
        let inside = inside.reduce(Expr::or).unwrap_or(lit(false));
        Ok(ExprSimplifyResult::Simplified(inside))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let addresses: Vec<Option<IpAddr>> = match arrays.as_slice() {
            [hi, lo, _] => pairs(hi, lo).collect(),
            [text, _] => text.as_string::<i32>().iter().map(|text| text?.parse().ok()).collect(),
            _ => return exec_err!("in_cidr takes (hi, lo, prefix) or (text, prefix)"),
        };
        let prefixes = arrays.last().expect("the signature asks for two arguments").as_string::<i32>();
        let mut inside = Vec::with_capacity(addresses.len());
        let mut last: Option<(&str, Prefix)> = None;
        for (address, text) in addresses.into_iter().zip(prefixes.iter()) {
            let (Some(address), Some(text)) = (address, text) else {
                inside.push(None);
                continue;
            };
            let parsed = match last {
                Some((known, parsed)) if known == text => parsed,
                _ => prefix(text)?,
            };
            last = Some((text, parsed));
            inside.push(Some(parsed.contains(address)));
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(inside))))
    }
}

/// `version_cmp(a, b)`: -1, 0 or 1 as the first version is older, the same or newer; null where the order
/// cannot be known.
#[derive(Debug, PartialEq, Eq, Hash)]
struct VersionCmp {
    signature: Signature,
}

impl VersionCmp {
    fn new() -> Self {
        Self { signature: Signature::exact(vec![DataType::Utf8, DataType::Utf8], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for VersionCmp {
    fn name(&self) -> &str {
        "version_cmp"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let (left, right) = (arrays[0].as_string::<i32>(), arrays[1].as_string::<i32>());
        let order = |(a, b): (Option<&str>, Option<&str>)| Some(version::compare(a?, b?)? as i32);
        let orders: Int32Array = left.iter().zip(right.iter()).map(order).collect();
        Ok(ColumnarValue::Array(Arc::new(orders)))
    }
}

/// What a function tells of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Asn,
    AsName,
    Country,
    Region,
}

/// `asn(addr)`, `as_name(addr)`, `country(addr)` and `region(addr)`, of an address as text or as its two
/// numbers, by the tables in use.
#[derive(Debug)]
struct PlaceOf {
    part: Part,
    places: Option<Arc<dyn Places>>,
    signature: Signature,
}

impl PlaceOf {
    fn new(part: Part, places: Option<Arc<dyn Places>>) -> Self {
        let forms = vec![
            TypeSignature::Exact(vec![DataType::Utf8]),
            TypeSignature::Exact(vec![DataType::Int64, DataType::Int64]),
        ];
        // Other tables, other answers.
        Self { part, places, signature: Signature::one_of(forms, Volatility::Stable) }
    }

    fn text(&self, addr: IpAddr) -> Option<&str> {
        let places = self.places.as_deref()?;
        match self.part {
            Part::Asn => None,
            Part::AsName => places.system(addr)?.1,
            Part::Country => Some(places.country(addr)?.0),
            Part::Region => places.country(addr)?.1,
        }
    }
}

impl PartialEq for PlaceOf {
    fn eq(&self, other: &Self) -> bool {
        self.part == other.part
    }
}

impl Eq for PlaceOf {}

impl Hash for PlaceOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.part.hash(state);
    }
}

impl ScalarUDFImpl for PlaceOf {
    fn name(&self) -> &str {
        match self.part {
            Part::Asn => "asn",
            Part::AsName => "as_name",
            Part::Country => "country",
            Part::Region => "region",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.part == Part::Asn { DataType::Int64 } else { DataType::Utf8 })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let addresses: Vec<Option<IpAddr>> = match arrays.as_slice() {
            [hi, lo] => pairs(hi, lo).collect(),
            [text] => text.as_string::<i32>().iter().map(|text| text?.parse().ok()).collect(),
            _ => return exec_err!("{} takes (hi, lo) or (text)", self.name()),
        };
        let answers: ArrayRef = match (self.part, &self.places) {
            (Part::Asn, places) => {
                let asn = |addr: Option<IpAddr>| Some(i64::from(places.as_ref()?.system(addr?)?.0));
                Arc::new(addresses.into_iter().map(asn).collect::<Int64Array>())
            }
            _ => Arc::new(addresses.into_iter().map(|addr| self.text(addr?)).collect::<StringArray>()),
        };
        Ok(ColumnarValue::Array(answers))
    }
}

fn pairs(hi: &ArrayRef, lo: &ArrayRef) -> impl Iterator<Item = Option<IpAddr>> {
    let (hi, lo) = (hi.as_primitive::<Int64Type>(), lo.as_primitive::<Int64Type>());
    hi.iter().zip(lo.iter()).map(|(hi, lo)| Some(addr_from_hi_lo(hi?, lo?)))
}

/// The predicate that an address, by its two numbers, lies in one of these ranges, both ends included. The
/// ranges are a value in it, so that it holds wherever it is sent.
pub(crate) fn in_ranges(ranges: &[(IpAddr, IpAddr)], hi: Expr, lo: Expr) -> Expr {
    let mut sorted: Vec<_> =
        ranges.iter().map(|(from, to)| (addr_to_hi_lo(*from), addr_to_hi_lo(*to))).collect();
    sorted.sort_unstable();
    // Ranges that overlap become one, so that the last that begins before an address decides.
    let mut apart: Vec<((i64, i64), (i64, i64))> = Vec::new();
    for (from, to) in sorted {
        match apart.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => apart.push((from, to)),
        }
    }
    let halves = apart.into_iter().flat_map(|(from, to)| [from.0, from.1, to.0, to.1]);
    let written: Vec<u8> = halves.flat_map(i64::to_le_bytes).collect();
    in_sight().call(vec![hi, lo, Expr::Literal(ScalarValue::Binary(Some(written)), None)])
}

/// `in_sight(hi, lo, ranges)`: does the address lie in one of the ranges? No query may name it.
pub(crate) fn in_sight() -> ScalarUDF {
    let takes = vec![DataType::Int64, DataType::Int64, DataType::Binary];
    ScalarUDF::new_from_impl(InSight { signature: Signature::exact(takes, Volatility::Immutable) })
}

/// Bytes of a range: the two numbers of its first address and those of its last, least byte first. Ranges are
/// apart from each other, in order.
const RANGE_BYTES: usize = 32;

#[derive(Debug, PartialEq, Eq, Hash)]
struct InSight {
    signature: Signature,
}

/// The last address of the last range that begins before `addr`, or with it.
fn end_of_range(ranges: &[[u8; RANGE_BYTES]], addr: (i64, i64)) -> Option<(i64, i64)> {
    let half = |range: &[u8; RANGE_BYTES], nth: usize| {
        let bytes = range[nth * 8..][..8].try_into().expect("a range has four halves of eight bytes");
        i64::from_le_bytes(bytes)
    };
    let behind = ranges.partition_point(|range| (half(range, 0), half(range, 1)) <= addr);
    let range = &ranges[behind.checked_sub(1)?];
    Some((half(range, 2), half(range, 3)))
}

impl ScalarUDFImpl for InSight {
    fn name(&self) -> &str {
        "in_sight"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [hi, lo, ColumnarValue::Scalar(ScalarValue::Binary(Some(ranges)))] = args.args.as_slice() else {
            return exec_err!("in_sight takes two numbers, and ranges as a value");
        };
        let (ranges, []) = ranges.as_chunks::<RANGE_BYTES>() else {
            return exec_err!("in_sight takes whole ranges");
        };
        let arrays = ColumnarValue::values_to_arrays(&[hi.clone(), lo.clone()])?;
        let (hi, lo) = (arrays[0].as_primitive::<Int64Type>(), arrays[1].as_primitive::<Int64Type>());
        let inside = |(hi, lo): (Option<i64>, Option<i64>)| {
            let addr = (hi?, lo?);
            Some(end_of_range(ranges, addr).is_some_and(|last| addr <= last))
        };
        let inside: BooleanArray = hi.iter().zip(lo.iter()).map(inside).collect();
        Ok(ColumnarValue::Array(Arc::new(inside)))
    }
}

/// Replaces what a terminal would obey or reorder by: control characters (line ends apart) and
/// bidirectional controls become `\u{…}`.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(c),
            c if c.is_control() || is_bidi(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// CSV holds text only: nested columns become JSON text, and a text that a spreadsheet would run
/// as a formula gets an apostrophe in front, the name of a column too.
pub(crate) fn flat_for_csv(batch: &RecordBatch) -> std::result::Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let column = match field.data_type() {
            DataType::Dictionary(_, values) => arrow_cast::cast(column, values)?,
            _ => column.clone(),
        };
        let text: Option<StringArray> = match column.data_type() {
            kind if kind.is_nested() => Some(json_texts(field, &column)?),
            DataType::Utf8 => Some(column.as_string::<i32>().iter().map(|t| t.map(harmless)).collect()),
            DataType::Utf8View => Some(column.as_string_view().iter().map(|t| t.map(harmless)).collect()),
            DataType::LargeUtf8 => Some(column.as_string::<i64>().iter().map(|t| t.map(harmless)).collect()),
            _ => None,
        };
        let column = text.map_or(column, |text| Arc::new(text));
        fields.push(Field::new(harmless(field.name()), column.data_type().clone(), true));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// What a spreadsheet takes for a formula begins so, also in the full-width forms of Japanese keyboards.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '|', '%', '＝', '＋', '－', '＠'];

fn harmless(text: &str) -> String {
    let text = visible(text).replace('\n', "\\n");
    if text.trim_start().starts_with(FORMULA) { format!("'{text}") } else { text }
}

fn json_texts(field: &Field, column: &ArrayRef) -> std::result::Result<StringArray, ArrowError> {
    let schema = Arc::new(Schema::new(vec![Field::new("v", field.data_type().clone(), true)]));
    let mut texts = Vec::with_capacity(column.len());
    for row in 0..column.len() {
        if column.is_null(row) {
            texts.push(None);
            continue;
        }
        let one = RecordBatch::try_new(schema.clone(), vec![column.slice(row, 1)])?;
        let mut writer = arrow_json::LineDelimitedWriter::new(Vec::new());
        writer.write(&one)?;
        writer.finish()?;
        let line = String::from_utf8_lossy(&writer.into_inner()).trim_end().to_owned();
        // `{"v":…}` without its wrapping.
        let inner = line.strip_prefix("{\"v\":").and_then(|l| l.strip_suffix('}')).unwrap_or("");
        texts.push(Some(visible(inner)));
    }
    Ok(texts.into_iter().collect())
}

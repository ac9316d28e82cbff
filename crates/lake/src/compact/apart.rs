//! Tables that a first version of this program made: their rows lie together, whatever their month. They are
//! put apart once, so that they can be pruned and erased like others.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::{Action, Add, Metadata, MetadataExt, StructType};
use deltalake::{DeltaTable, DeltaTableError};
use futures::StreamExt;
use kenshin_observation::TimeUs;
use kenshin_observation::schema::{BlobRow, CoverageRow, ObservationRow, SaltRow, Table, Taken};

use super::{BATCH_ROWS, Compacted, Values, Written, merging, removals};
use crate::commit::commit;
use crate::error::LakeError;
use crate::files::{MONTH, ORDER};
use crate::store::Lake;
use crate::write;

/// How a table's rows are told apart that do not say so themselves.
struct Telling {
    /// The instant whose month it is.
    time: &'static str,
    /// The mandate.
    mandate: &'static str,
    /// Where these come from, when not from the row.
    join: &'static str,
}

const OF_ITSELF: Telling = Telling { time: "f.t_us", mandate: "f.mandate_id", join: "" };
const OF_ITS_OBSERVATION: Telling = Telling {
    time: "o.t_us",
    mandate: "o.mandate_id",
    join: "LEFT JOIN observed o ON o.batch_id = f.batch_id AND o.row = f.row",
};
const OF_ITS_BATCH: Telling = Telling {
    time: "f.t_from",
    mandate: "coalesce(f.mandate_id, o.mandate_id)",
    join: "LEFT JOIN (SELECT batch_id, min(mandate_id) AS mandate_id FROM observed GROUP BY 1) o ON o.batch_id = f.batch_id",
};

impl Lake {
    /// Puts rows apart in all tables in which they are not; `progress` is told of each.
    pub(super) async fn put_apart(
        &self,
        now: TimeUs,
        progress: &mut impl FnMut(&str, &str, usize),
    ) -> Result<Compacted, LakeError> {
        let mut done = Compacted::default();
        for one in [
            self.put_table_apart::<ObservationRow>(&OF_ITSELF, now, progress).await?,
            self.put_table_apart::<SaltRow>(&OF_ITS_OBSERVATION, now, progress).await?,
            self.put_table_apart::<BlobRow>(&OF_ITSELF, now, progress).await?,
            self.put_table_apart::<CoverageRow>(&OF_ITS_BATCH, now, progress).await?,
        ] {
            done.add(one);
        }
        Ok(done)
    }

    async fn put_table_apart<R: Taken>(
        &self,
        telling: &Telling,
        now: TimeUs,
        progress: &mut impl FnMut(&str, &str, usize),
    ) -> Result<Compacted, LakeError> {
        let failed = |source: DeltaTableError| LakeError::Read { table: R::NAME, source: source.into() };
        let (store, columns) = {
            let mut table = self.tables[R::NAME].write().await;
            table.update_state().await.map_err(failed)?;
            if write::is_apart(&table).map_err(failed)? {
                return Ok(Compacted::default());
            }
            // Columns first, that later versions brought: there the mandate goes.
            if let Some(evolved) = write::evolved::<R>(&table).map_err(failed)? {
                commit(&mut table, vec![evolved], Vec::new(), merging()).await.map_err(failed)?;
            }
            let columns = table.snapshot().map_err(failed)?.snapshot().arrow_schema();
            (table.log_store().object_store(None), columns)
        };
        let files = self.files(R::NAME).await?;
        let version = files.version();
        progress(R::NAME, "of every month", files.count());
        let select: Vec<String> = columns
            .fields()
            .iter()
            .map(|field| match field.name().as_str() {
                "mandate_id" => format!("{} AS mandate_id", telling.mandate),
                name => format!("f.\"{name}\""),
            })
            .collect();
        let mut order = vec![MONTH];
        order.extend(R::APART.iter().filter(|name| **name != MONTH));
        if R::NAME == ObservationRow::NAME {
            order.extend(ORDER);
        }
        let sql = format!(
            "SELECT {}, to_char(to_timestamp_micros({}), '%Y-%m') AS {MONTH} FROM files f {} ORDER BY {}",
            select.join(", "),
            telling.time,
            telling.join,
            order.join(", ")
        );
        let mut rows = self.rows_of(R::NAME, files.as_ref().clone(), &sql, BATCH_ROWS).await?;
        let mut written: Option<Written> = None;
        let (mut adds, mut count): (Vec<Add>, u64) = (Vec::new(), 0);
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            for (values, range) in runs::<R>(&batch).map_err(failed)? {
                if let Some(before) = written.take_if(|written| written.values != values) {
                    let (files, rows) = before.finish().await.map_err(failed)?;
                    (adds, count) = (adds.into_iter().chain(files).collect(), count + rows);
                }
                let told = format!("{version:?} {values:?}");
                let written = written.get_or_insert_with(|| Written {
                    store: store.clone(),
                    values,
                    told,
                    adds: Vec::new(),
                    rows: 0,
                    writer: None,
                });
                let kept: Vec<usize> = (0..batch.num_columns() - 1).collect();
                let piece = batch.slice(range.start, range.len()).project(&kept);
                let piece = piece.map_err(|source| failed(DeltaTableError::Arrow { source }))?;
                written.write(&piece).await.map_err(failed)?;
            }
        }
        if let Some(last) = written {
            let (files, rows) = last.finish().await.map_err(failed)?;
            (adds, count) = (adds.into_iter().chain(files).collect(), count + rows);
        }
        let mut table = self.tables[R::NAME].write().await;
        table.update_state().await.map_err(failed)?;
        if table.version() != version {
            // Somebody wrote in between: what was written here is swept away, and it is done the next time.
            return Ok(Compacted::default());
        }
        let mut actions = removals(&table, |_| true, false, now).map_err(failed)?;
        let done = Compacted {
            files: actions.len() as u64,
            into: adds.len() as u64,
            rows: count,
            bytes_before: actions.iter().map(size).sum(),
            bytes_after: adds.iter().map(|add| add.size.unsigned_abs()).sum(),
        };
        actions.push(Action::Metadata(partitioned::<R>(&table).map_err(failed)?));
        actions.extend(adds.into_iter().map(Action::Add));
        commit(&mut table, actions, Vec::new(), merging()).await.map_err(failed)?;
        // Read anew: what was known of its files had no month.
        let url = table.log_store().root_url().clone();
        *table = DeltaTable::try_from_url(url).await.map_err(failed)?;
        Ok(done)
    }
}

fn size(action: &Action) -> u64 {
    match action {
        Action::Remove(remove) => remove.size.unwrap_or_default().unsigned_abs(),
        _ => 0,
    }
}

/// What the table says of itself, with the columns by which its files are kept apart from now on.
fn partitioned<R: Taken>(table: &DeltaTable) -> Result<Metadata, DeltaTableError> {
    let snapshot = table.snapshot()?;
    let mut fields = snapshot.snapshot().arrow_schema().fields().to_vec();
    fields.push(Arc::new(Field::new(MONTH, DataType::Utf8, true)));
    let schema: StructType =
        (&Schema::new(fields)).try_into_kernel().map_err(|source| DeltaTableError::Arrow { source })?;
    let metadata = snapshot.snapshot().metadata().clone().with_schema(&schema)?;
    let mut metadata = serde_json::to_value(metadata)?;
    metadata["partitionColumns"] = serde_json::json!(R::APART);
    Ok(serde_json::from_value(metadata)?)
}

/// Rows that follow each other and are kept together.
fn runs<R: Taken>(batch: &RecordBatch) -> Result<Vec<(Values, Range<usize>)>, DeltaTableError> {
    let mut columns: HashMap<&str, StringArray> = HashMap::new();
    for name in R::APART {
        let missing = || DeltaTableError::generic(format!("the column `{name}` is not there"));
        let column: &ArrayRef = batch.column_by_name(name).ok_or_else(missing)?;
        let column =
            arrow_cast::cast(column, &DataType::Utf8).map_err(|source| DeltaTableError::Arrow { source })?;
        columns.insert(name, column.as_string::<i32>().clone());
    }
    let values = |row: usize| -> Values {
        let value = |column: &StringArray| column.is_valid(row).then(|| column.value(row).to_owned());
        columns.iter().map(|(name, column)| ((*name).to_owned(), value(column))).collect()
    };
    let mut runs: Vec<(Values, Range<usize>)> = Vec::new();
    for row in 0..batch.num_rows() {
        let of = values(row);
        match runs.last_mut().filter(|(values, _)| *values == of) {
            Some((_, range)) => range.end = row + 1,
            None => runs.push((of, row..row + 1)),
        }
    }
    Ok(runs)
}

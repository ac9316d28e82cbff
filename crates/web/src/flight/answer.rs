//! Rows on their way: as they are found, in the plain types that every client knows.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, IpcMessage, SchemaAsIpc};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use axum::body::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use kenshin_lake::Rows;
use kenshin_observatory::ActError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use crate::Problem;
use crate::api::sql;

/// Batches found and not yet taken at most.
const AHEAD_MAX: usize = 2;

/// Rows as they are found. The turn is held until the last is taken, at most as long as a query may take:
/// whoever takes them more slowly is told that the time is over. When they are no longer taken, the work
/// ends.
pub(super) fn flowing(
    rows: Rows,
    turn: OwnedSemaphorePermit,
) -> BoxStream<'static, Result<FlightData, Status>> {
    let columns = plain(&rows.schema);
    let (found, mut taken) = mpsc::channel(AHEAD_MAX);
    let work = tokio::spawn(async move {
        let _turn = turn;
        match tokio::time::timeout(sql::TIME, hand_on(rows, found)).await {
            Ok(done) => done.map_err(Problem::from),
            Err(_) => {
                let slow = format!("the rows were not all taken within {} s", sql::TIME.as_secs());
                Err(Problem::bad_request(slow).hint("ask for fewer rows, or of fewer columns"))
            }
        }
    });
    let end = stream::once(work).filter_map(async |ended| match ended {
        Ok(Ok(())) => None,
        Ok(Err(problem)) => Some(Err(problem)),
        Err(failed) => Some(Err(Problem::ours(&failed))),
    });
    let rows = stream::poll_fn(move |context| taken.poll_recv(context)).map(Ok).chain(end);
    let plainly = Arc::clone(&columns);
    let rows = rows.map(move |batch: Result<RecordBatch, Problem>| match batch {
        Ok(batch) => plain_batch(&batch, &plainly).map_err(FlightError::from),
        Err(problem) => Err(FlightError::from(Status::from(problem))),
    });
    FlightDataEncoderBuilder::new().with_schema(columns).build(rows).map_err(Status::from).boxed()
}

/// Hands on what is found until nothing more is, or nobody takes it.
async fn hand_on(mut rows: Rows, found: mpsc::Sender<RecordBatch>) -> Result<(), ActError> {
    loop {
        let batch = tokio::select! {
            batch = rows.next() => batch?,
            () = found.closed() => return Ok(()),
        };
        let Some(batch) = batch else { return Ok(()) };
        if found.send(batch).await.is_err() {
            return Ok(());
        }
    }
}

/// Rows that are all there.
pub(super) fn whole(batch: RecordBatch) -> BoxStream<'static, Result<FlightData, Status>> {
    let columns = batch.schema();
    let rows = stream::iter([Ok(batch)]);
    FlightDataEncoderBuilder::new().with_schema(columns).build(rows).map_err(Status::from).boxed()
}

/// Columns as they are written in answers that have no rows.
pub(super) fn written(columns: &Schema) -> Result<Bytes, Problem> {
    let message: Result<IpcMessage, ArrowError> = SchemaAsIpc::new(columns, &Default::default()).try_into();
    message.map(|message| message.0).map_err(|error| Problem::ours(&error))
}

/// The same columns in types that every client knows: text and bytes without views, values in the place
/// of dictionaries, lists with short offsets.
pub(super) fn plain(columns: &Schema) -> SchemaRef {
    let fields: Vec<Field> = columns.fields().iter().map(|field| plain_field(field)).collect();
    Arc::new(Schema::new(fields))
}

fn plain_field(field: &Field) -> Field {
    Field::new(field.name(), plain_type(field.data_type()), field.is_nullable())
}

fn plain_type(kind: &DataType) -> DataType {
    let inner = |field: &FieldRef| Arc::new(plain_field(field));
    match kind {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) => {
            DataType::List(inner(item))
        }
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(inner(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}

fn plain_batch(batch: &RecordBatch, columns: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let cast = batch.columns().iter().zip(columns.fields());
    let cast = cast.map(|(column, field)| arrow_cast::cast(column, field.data_type()));
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(columns), cast.collect::<Result<_, _>>()?, &options)
}

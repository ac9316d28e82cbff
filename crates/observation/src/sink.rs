//! Where sensors put what they observed.

use crate::Batch;

/// A sink could not take a batch.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Full: stop producing until it has drained.
    #[error("the sink is full ({limit} {unit})")]
    Full {
        /// The limit that was reached.
        limit: u64,
        /// Unit of the limit.
        unit: &'static str,
    },
    /// The medium failed.
    #[error("failed to store batch {sequence}")]
    Io {
        /// Sequence of the batch.
        sequence: i64,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
}

/// A bounded place for sealed batches: memory, a spool on disk, the network. Taking the same
/// batch (sensor, sequence) twice has the effect of once.
pub trait Sink: Send {
    /// Takes one batch. When this returns `Ok`, the batch survives a crash of the process as far
    /// as the medium allows.
    fn accept(&mut self, batch: &Batch) -> Result<(), SinkError>;
}

impl Sink for Vec<Batch> {
    fn accept(&mut self, batch: &Batch) -> Result<(), SinkError> {
        if !self.iter().any(|held| {
            held.header.sequence == batch.header.sequence && held.header.sensor_id == batch.header.sensor_id
        }) {
            self.push(batch.clone());
        }
        Ok(())
    }
}

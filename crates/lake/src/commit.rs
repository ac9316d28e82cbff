//! Commits to tables, and what is known of them afterwards without reading it again.

use std::collections::HashMap;

use deltalake::checkpoints::create_checkpoint;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableError};

/// Commits of a table after which its log begins with a checkpoint: to read it, so many commits are read at most.
const CHECKPOINT_COMMITS: u64 = 20;

/// Commits to a table, which is as of this commit afterwards, or of a later one; gives the version of this one.
pub(crate) async fn commit(
    table: &mut DeltaTable,
    actions: Vec<Action>,
    transactions: Vec<Transaction>,
    operation: DeltaOperation,
) -> Result<u64, DeltaTableError> {
    let snapshot = table.snapshot()?.snapshot();
    let properties =
        CommitProperties::default().with_application_transactions(transactions).with_create_checkpoint(false);
    let done = CommitBuilder::from(properties)
        .with_actions(actions)
        .build(Some(snapshot), table.log_store(), operation)
        .await?;
    table.state = Some(done.snapshot);
    if done.version > 0 && done.version.is_multiple_of(CHECKPOINT_COMMITS) {
        create_checkpoint(table, None).await?;
        // What is known of the files lies in a piece for each commit, and each commit goes through all of
        // them. Read from the checkpoint it is one.
        let mut anew = table.clone();
        anew.state = None;
        anew.update_state().await?;
        *table = anew;
    }
    Ok(done.version)
}

/// What a commit says that it does, when it writes rows that are not kept apart.
pub(crate) fn writing(mode: SaveMode) -> DeltaOperation {
    DeltaOperation::Write { mode, partition_by: None, predicate: None }
}

/// The last sequence of each application that one version of a table holds, as far as somebody asked: to
/// find it, all commits behind the last checkpoint are read.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    version: Option<u64>,
    of: HashMap<String, i64>,
}

impl Sequences {
    /// What is known of this version.
    pub(crate) fn get(&self, version: Option<u64>, app: &str) -> Option<i64> {
        self.of.get(app).copied().filter(|_| version.is_some() && self.version == version)
    }

    /// An application's last sequence was read at this version.
    pub(crate) fn read(&mut self, version: Option<u64>, app: &str, sequence: i64) {
        if self.version != version {
            self.of.clear();
        }
        self.version = version;
        self.of.insert(app.to_owned(), sequence);
    }

    /// An application's commit upon version `before` became version `after`. When it is the next one, nobody
    /// else committed in between, and what is known of the others holds.
    pub(crate) fn committed(&mut self, before: Option<u64>, after: Option<u64>, app: &str, sequence: i64) {
        if self.version == before && after == before.map(|version| version + 1) {
            self.version = after;
        }
        self.read(after, app, sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_known_of_one_version_and_go_on_with_commits_that_follow_it() {
        let mut known = Sequences::default();
        assert_eq!(known.get(None, "a"), None);
        known.read(Some(4), "a", 7);
        known.read(Some(4), "b", 0);
        assert_eq!((known.get(Some(4), "a"), known.get(Some(4), "b")), (Some(7), Some(0)));
        assert_eq!((known.get(Some(5), "a"), known.get(Some(4), "c")), (None, None));

        known.committed(Some(4), Some(5), "b", 3);
        assert_eq!((known.get(Some(5), "a"), known.get(Some(5), "b")), (Some(7), Some(3)));
        assert_eq!(known.get(Some(4), "a"), None, "of the version before nothing is known any more");

        // Somebody else's commit lies between, which may be of `a`.
        known.committed(Some(5), Some(7), "b", 4);
        assert_eq!((known.get(Some(7), "a"), known.get(Some(7), "b")), (None, Some(4)));
        // Nor is it known what a version holds that was committed upon one that was not looked at.
        known.read(Some(7), "a", 9);
        known.committed(Some(8), Some(9), "b", 5);
        assert_eq!((known.get(Some(9), "a"), known.get(Some(9), "b")), (None, Some(5)));
    }

    #[test]
    fn of_a_table_that_was_never_read_nothing_is_known() {
        let mut known = Sequences::default();
        known.committed(None, Some(0), "a", 1);
        assert_eq!(known.get(Some(0), "a"), Some(1));
        known.read(None, "a", 0);
        assert_eq!(known.get(None, "a"), None);
    }
}

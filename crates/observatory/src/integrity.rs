//! Looking after the lake's files.

use kenshin_lake::integrity::{self, Report};

use crate::Observatory;
use crate::error::ActError;

impl Observatory {
    /// Looks at every table of the lake; `deep`: to the last row. `progress` is told each table.
    pub async fn verify_lake(&self, deep: bool, progress: impl FnMut(&str)) -> Result<Report, ActError> {
        Ok(integrity::verify(self.settings().lake_location(self.home()), deep, progress).await?)
    }

    /// Takes out of the lake what cannot be read, and makes the current view anew if anything was; what was
    /// found before, and what is wrong still. Nothing is received meanwhile.
    pub async fn repair_lake(&self) -> Result<(Report, Report), ActError> {
        let turn = self.receiving().await?;
        let (before, after) =
            integrity::repair(self.settings().lake_location(self.home()), self.now()).await?;
        drop(turn);
        if before.can_be_repaired() {
            self.rebuild_view().await?;
        }
        Ok((before, after))
    }
}

//! The provider directory as a whole.

use std::collections::HashMap;

use kenshin_casework::{PAGE_MAX, PageRequest, Provider};
use kenshin_observation::ProviderId;

use crate::Observatory;
use crate::error::ActError;

/// Most pages of it.
const PAGES_MAX: usize = 4_096;

impl Observatory {
    /// All providers, those too that are gone from the directory.
    pub async fn all_providers(&self) -> Result<Vec<Provider>, ActError> {
        let (mut known, mut request) = (Vec::new(), Some(PageRequest { after: None, limit: PAGE_MAX }));
        for _ in 0..PAGES_MAX {
            let Some(wanted) = request.take() else { break };
            let found = self.casework().providers(&self.viewer(), &wanted).await?;
            request = PageRequest::following(&found).map(|next| PageRequest { limit: PAGE_MAX, ..next });
            known.extend(found.items);
        }
        Ok(known)
    }

    /// The names of all providers.
    pub async fn names_of_providers(&self) -> Result<HashMap<ProviderId, String>, ActError> {
        let known = self.all_providers().await?;
        Ok(known.into_iter().map(|provider| (provider.provider_id, provider.name)).collect())
    }
}

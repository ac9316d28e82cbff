//! Who looks: the one policy decision, turned into a predicate where rows are read.

use kenshin_observation::{OrgId, ProviderId, words};

use crate::store::Compose;

words!(
    /// What a person may do in an organisation.
    Role, "role" {
        /// Everything, people included.
        Admin = "admin",
        /// Runs surveys, sends notices, decides cases.
        Operator = "operator",
        /// Reads everything, comments and acknowledges.
        Analyst = "analyst",
        /// Sees and answers for the cases of its own prefixes only.
        Provider = "provider",
        /// Sees figures, no rows about single devices.
        Researcher = "researcher",
        /// Reads everything, the audit trail included; changes nothing.
        Auditor = "auditor",
    }
);

/// Who looks. Every read of rows takes one and filters in SQL: what a viewer may not see is not
/// read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// The organisation whose rows are looked at.
    pub org: OrgId,
    /// In which role.
    pub role: Role,
    /// For [`Role::Provider`]: the providers acted for; ignored otherwise.
    pub providers: Vec<ProviderId>,
    /// When there are any: the mandates whose observations are all that is seen. Casework is made of what
    /// every mandate brought, so of it nothing is.
    pub mandates: Vec<String>,
    /// The community outside of the organisation that is looked for: of what mandates brought, as much is
    /// seen as its labels let communities see.
    pub community: Option<String>,
}

impl Viewer {
    /// The acts themselves: sees the whole organisation.
    pub fn system(org: OrgId) -> Self {
        Self { org, role: Role::Operator, providers: Vec::new(), mandates: Vec::new(), community: None }
    }

    /// True when what is seen ends at some mandates.
    pub fn is_limited(&self) -> bool {
        !self.mandates.is_empty() || self.community.is_some()
    }

    /// True when rows of casework about single devices may be shown at all.
    pub fn sees_rows(&self) -> bool {
        self.role != Role::Researcher && !self.is_limited()
    }

    /// True when the rows of every provider may be shown.
    pub fn sees_all_providers(&self) -> bool {
        let everybody = matches!(self.role, Role::Admin | Role::Operator | Role::Analyst | Role::Auditor);
        everybody && !self.is_limited()
    }

    /// True when rows of `provider` may be shown.
    pub fn sees(&self, provider: Option<ProviderId>) -> bool {
        self.sees_all_providers()
            || self.role == Role::Provider
                && !self.is_limited()
                && provider.is_some_and(|id| self.providers.contains(&id))
    }

    /// Appends the predicate over a table whose provider is in `column`, a fixed text such as
    /// ` AND f.provider_id IN `. `org_id` is the caller's part.
    pub(crate) fn restrict(&self, compose: &mut Compose, column_in: &'static str) {
        match self.role {
            _ if self.is_limited() => compose.push_list(column_in, Vec::<String>::new()),
            Role::Admin | Role::Operator | Role::Analyst | Role::Auditor => {}
            Role::Provider => {
                compose.push_list(column_in, self.providers.iter().map(ToString::to_string).collect());
            }
            Role::Researcher => compose.push_list(column_in, Vec::<String>::new()),
        }
    }
}

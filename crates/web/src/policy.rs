//! Who may do what: one table, one function, no exceptions elsewhere.

use std::fmt;

use axum::http::Method;
use kenshin_casework::Viewer;

use crate::Role;
use crate::guard::is_method;

/// Something a person does through this interface. Every route names exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Open to anybody, signed in or not: the public health page, sign-in, the API's description.
    Public,
    /// Read or end one's own session, and change one's own password.
    OwnSession,
    /// Read the figures.
    SeeOverview,
    /// Read surveys and follow their progress.
    SeeSurveys,
    /// Search services and look at hosts.
    Search,
    /// Read when an address was asked, and by which sensor.
    SeeProbes,
    /// Read saved searches and their alerts.
    SeeSearches,
    /// Save searches of one's own, silence and delete them.
    SaveSearches,
    /// Ask the tables by SQL.
    AskSql,
    /// Read findings with their evidence.
    SeeFindings,
    /// Read which devices carry which components.
    SeeComponents,
    /// Read cases with their trail.
    SeeCases,
    /// Read notices as they were sent.
    SeeNotices,
    /// Read the provider directory.
    SeeProviders,
    /// Read mandates in plain words.
    SeeMandates,
    /// Read who did what.
    SeeAudit,
    /// Read for how long the lake keeps what, what is held, and what was erased.
    SeeRetention,
    /// Read which sensors there are.
    SeeSensors,
    /// Make an enrolment token, or retire a sensor.
    ManageSensors,
    /// Read who asked to be left alone.
    SeeOptOuts,
    /// Decide on a request to leave a prefix alone.
    DecideOptOut,
    /// What sensors do, each known by its signature; no person may.
    SensorWork,
    /// Say that a case is being worked on.
    AcknowledgeCase,
    /// Say that a case is wrong.
    DisputeCase,
    /// Close a case with a reason.
    CloseCase,
    /// Ask for a case to be measured again.
    RecheckCase,
}

/// Every route and the action it is. A route without a row is refused to everybody, and a test
/// compares the rows with the API's description.
pub const ROUTES: &[(&str, &str, Action)] = &[
    ("GET", "/healthz", Action::Public),
    ("GET", "/metrics", Action::Public),
    ("GET", "/api/openapi.json", Action::Public),
    ("GET", "/api/v1/session", Action::Public),
    ("POST", "/api/v1/session", Action::Public),
    ("DELETE", "/api/v1/session", Action::OwnSession),
    ("PUT", "/api/v1/session/password", Action::OwnSession),
    ("GET", "/api/v1/health", Action::Public),
    ("GET", "/api/v1/overview", Action::SeeOverview),
    ("GET", "/api/v1/surveys", Action::SeeSurveys),
    ("GET", "/api/v1/surveys/{id}", Action::SeeSurveys),
    ("GET", "/api/v1/surveys/{id}/events", Action::SeeSurveys),
    ("GET", "/api/v1/search", Action::Search),
    ("GET", "/api/v1/search/facets", Action::Search),
    ("GET", "/api/v1/search/fields", Action::Search),
    ("GET", "/api/v1/search/export", Action::Search),
    ("GET", "/api/v1/hosts/{addr}", Action::Search),
    ("GET", "/api/v1/hosts/{addr}/probes", Action::SeeProbes),
    ("GET", "/api/v1/searches", Action::SeeSearches),
    ("POST", "/api/v1/searches", Action::SaveSearches),
    ("GET", "/api/v1/searches/{id}", Action::SeeSearches),
    ("DELETE", "/api/v1/searches/{id}", Action::SaveSearches),
    ("POST", "/api/v1/searches/{id}/check", Action::SaveSearches),
    ("POST", "/api/v1/searches/{id}/enable", Action::SaveSearches),
    ("POST", "/api/v1/searches/{id}/disable", Action::SaveSearches),
    ("POST", "/api/v1/sql", Action::AskSql),
    ("GET", "/api/v1/findings", Action::SeeFindings),
    ("GET", "/api/v1/findings/{key}", Action::SeeFindings),
    ("GET", "/api/v1/components", Action::SeeComponents),
    ("GET", "/api/v1/components/{name}", Action::SeeComponents),
    ("GET", "/api/v1/cases", Action::SeeCases),
    ("GET", "/api/v1/cases/{id}", Action::SeeCases),
    ("POST", "/api/v1/cases/{id}/ack", Action::AcknowledgeCase),
    ("POST", "/api/v1/cases/{id}/dispute", Action::DisputeCase),
    ("POST", "/api/v1/cases/{id}/close", Action::CloseCase),
    ("POST", "/api/v1/cases/{id}/recheck", Action::RecheckCase),
    ("GET", "/api/v1/notices", Action::SeeNotices),
    ("GET", "/api/v1/notices/{id}", Action::SeeNotices),
    ("GET", "/api/v1/notices/{id}/genuine", Action::Public),
    ("GET", "/api/v1/providers", Action::SeeProviders),
    ("GET", "/api/v1/mandates", Action::SeeMandates),
    ("GET", "/api/v1/mandates/{id}", Action::SeeMandates),
    ("GET", "/api/v1/audit", Action::SeeAudit),
    ("GET", "/api/v1/retention", Action::SeeRetention),
    ("GET", "/api/v1/sensors", Action::SeeSensors),
    ("POST", "/api/v1/sensors/tokens", Action::ManageSensors),
    ("POST", "/api/v1/sensors/{id}/retire", Action::ManageSensors),
    ("GET", "/api/v1/opt-outs", Action::SeeOptOuts),
    ("POST", "/api/v1/opt-outs/{id}/decide", Action::DecideOptOut),
    ("POST", "/api/v1/sensor/enrol", Action::Public),
    ("POST", "/api/v1/sensor/lease", Action::SensorWork),
    ("POST", "/api/v1/sensor/jobs/{id}/pulse", Action::SensorWork),
    ("POST", "/api/v1/sensor/jobs/{id}/end", Action::SensorWork),
    ("POST", "/api/v1/sensor/batches", Action::SensorWork),
    ("GET", "/api/v1/sensor/papers/{id}", Action::SensorWork),
    ("POST", "/api/v1/sensor/leave-alone", Action::SensorWork),
];

/// Every method of Arrow Flight and the action it is. One without a row is served to nobody. Those that
/// the lake has no use for are here too: who may not ask is not told what is offered.
pub const CALLS: &[(&str, Action)] = &[
    ("Handshake", Action::Public),
    ("ListFlights", Action::AskSql),
    ("GetFlightInfo", Action::AskSql),
    ("PollFlightInfo", Action::AskSql),
    ("GetSchema", Action::AskSql),
    ("DoGet", Action::AskSql),
    ("DoPut", Action::AskSql),
    ("DoExchange", Action::AskSql),
    ("DoAction", Action::AskSql),
    ("ListActions", Action::AskSql),
];

/// The action of a method of Arrow Flight; `None` for one that the table does not name.
pub fn action_of_call(call: &str) -> Option<Action> {
    CALLS.iter().find(|(name, _)| *name == call).map(|(_, action)| *action)
}

/// The action of a route; `None` for one that the table does not name.
pub fn action_of(method: &Method, route: &str) -> Option<Action> {
    ROUTES
        .iter()
        .find(|(name, path, _)| *path == route && is_method(method, name))
        .map(|(_, _, action)| *action)
}

/// How far a permission reaches. Reading functions turn it into a predicate where rows are read,
/// so that what a person may not see is never fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Rows of the person's organisation.
    Organisation,
    /// Of these, rows of the providers the person belongs to.
    OwnProviders,
    /// Of these, what the mandates brought that the person is limited to.
    OwnMandates,
}

/// What an account is limited to, whatever its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// Nothing.
    None,
    /// What some mandates brought.
    Mandates,
    /// Of that, what labels let a community outside of the organisation see.
    Community,
}

impl Bounds {
    /// Those of somebody who looks.
    pub fn of(viewer: &Viewer) -> Self {
        match viewer.community {
            Some(_) => Self::Community,
            None if viewer.is_limited() => Self::Mandates,
            None => Self::None,
        }
    }
}

/// What the policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// No.
    Refused,
    /// Yes, as far as this.
    Granted(Reach),
}

impl Action {
    /// Every action, in the order of the table.
    pub const ALL: &'static [Self] = &[
        Self::Public,
        Self::OwnSession,
        Self::SeeOverview,
        Self::SeeSurveys,
        Self::Search,
        Self::SeeProbes,
        Self::SeeSearches,
        Self::SaveSearches,
        Self::AskSql,
        Self::SeeFindings,
        Self::SeeComponents,
        Self::SeeCases,
        Self::SeeNotices,
        Self::SeeProviders,
        Self::SeeMandates,
        Self::SeeAudit,
        Self::SeeRetention,
        Self::SeeSensors,
        Self::ManageSensors,
        Self::SeeOptOuts,
        Self::DecideOptOut,
        Self::SensorWork,
        Self::AcknowledgeCase,
        Self::DisputeCase,
        Self::CloseCase,
        Self::RecheckCase,
    ];

    /// The word under which the action stands in the audit trail.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::OwnSession => "own-session",
            Self::SeeOverview => "see-overview",
            Self::SeeSurveys => "see-surveys",
            Self::Search => "search",
            Self::SeeProbes => "see-probes",
            Self::SeeSearches => "see-searches",
            Self::SaveSearches => "save-searches",
            Self::AskSql => "ask-sql",
            Self::SeeFindings => "see-findings",
            Self::SeeComponents => "see-components",
            Self::SeeCases => "see-cases",
            Self::SeeNotices => "see-notices",
            Self::SeeProviders => "see-providers",
            Self::SeeMandates => "see-mandates",
            Self::SeeAudit => "see-audit",
            Self::SeeRetention => "see-retention",
            Self::SeeSensors => "see-sensors",
            Self::ManageSensors => "manage-sensors",
            Self::SeeOptOuts => "see-opt-outs",
            Self::DecideOptOut => "decide-opt-out",
            Self::SensorWork => "sensor-work",
            Self::AcknowledgeCase => "acknowledge-case",
            Self::DisputeCase => "dispute-case",
            Self::CloseCase => "close-case",
            Self::RecheckCase => "recheck-case",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The policy. A `None` role is somebody who has not signed in. Cases, findings, notices, sensors and figures are
/// made of what all mandates bring, so whoever is limited to some searches, and no more. What was asked has no
/// label, so it is not for communities.
///
/// Columns: admin, operator, analyst, provider, researcher, auditor. `O` reaches the whole
/// organisation, `P` the person's own providers, `-` is refused.
pub fn allowed(role: Option<Role>, bounds: Bounds, action: Action) -> Decision {
    use Action as A;
    let decision = allowed_to(role, action);
    let within = match action {
        _ if bounds == Bounds::None || decision == Decision::Refused => return decision,
        A::Public | A::OwnSession | A::SeeMandates => return decision,
        A::Search | A::SeeSearches | A::SaveSearches | A::AskSql => true,
        A::SeeProbes => bounds == Bounds::Mandates,
        _ => false,
    };
    if within { Decision::Granted(Reach::OwnMandates) } else { Decision::Refused }
}

/// What roles may do whom nothing limits.
fn allowed_to(role: Option<Role>, action: Action) -> Decision {
    use Action as A;
    let Some(role) = role else {
        return match action {
            A::Public => Decision::Granted(Reach::Organisation),
            _ => Decision::Refused,
        };
    };
    let row: &[u8; 6] = match action {
        A::Public | A::OwnSession => b"OOOPOO",
        // Researchers see figures over everything, and not one row.
        A::SeeOverview => b"OOOPOO",
        A::SeeSurveys => b"OOO-OO",
        A::Search => b"OOOP-O",
        // Coverage tells of the order and the pace of whole surveys: it is not shared with providers.
        A::SeeProbes => b"OOO--O",
        A::SeeSearches => b"OOOP-O",
        A::SaveSearches => b"OOOP--",
        A::AskSql => b"OOOP-O",
        A::SeeFindings => b"OOOP-O",
        A::SeeComponents => b"OOOP-O",
        A::SeeCases => b"OOOP-O",
        A::SeeNotices => b"OOOP-O",
        A::SeeProviders => b"OOOP-O",
        A::SeeMandates => b"OOOOOO",
        A::SeeAudit => b"OO---O",
        A::SeeRetention => b"OO---O",
        A::SeeSensors => b"OOO--O",
        A::ManageSensors => b"O-----",
        A::SeeOptOuts => b"OOO--O",
        A::DecideOptOut => b"OO----",
        A::SensorWork => b"------",
        A::AcknowledgeCase => b"OOOP--",
        A::DisputeCase => b"OOOP--",
        A::CloseCase => b"OO----",
        A::RecheckCase => b"OO-P--",
    };
    let column = match role {
        Role::Admin => 0,
        Role::Operator => 1,
        Role::Analyst => 2,
        Role::Provider => 3,
        Role::Researcher => 4,
        Role::Auditor => 5,
    };
    match row[column] {
        b'O' => Decision::Granted(Reach::Organisation),
        b'P' => Decision::Granted(Reach::OwnProviders),
        _ => Decision::Refused,
    }
}

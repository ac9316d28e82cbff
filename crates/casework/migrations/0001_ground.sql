-- The ground of casework. One text for SQLite and PostgreSQL: ids and words are TEXT, instants are
-- BIGINT microseconds since 1970, structures are JSON as TEXT, an address is 32 hexadecimal digits
-- (IPv4 mapped into ::ffff:0:0/96), so that text order is address order. Every table has org_id.

CREATE TABLE org (
    org_id      TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    created_us  BIGINT NOT NULL
);

-- People ------------------------------------------------------------------------------------------

CREATE TABLE user_account (
    user_id       TEXT   NOT NULL PRIMARY KEY,
    org_id        TEXT   NOT NULL REFERENCES org (org_id),
    login         TEXT   NOT NULL UNIQUE,
    name          TEXT   NOT NULL,
    role          TEXT   NOT NULL,
    language      TEXT   NOT NULL,
    password_hash TEXT   NOT NULL,           -- argon2id, PHC string
    must_change   BIGINT NOT NULL,           -- 1: the password was given by somebody else
    disabled_us   BIGINT,
    created_us    BIGINT NOT NULL
);
CREATE INDEX user_account_org ON user_account (org_id, user_id);

-- Providers a user of role `provider` acts for.
CREATE TABLE user_provider (
    org_id      TEXT NOT NULL REFERENCES org (org_id),
    user_id     TEXT NOT NULL REFERENCES user_account (user_id),
    provider_id TEXT NOT NULL,
    PRIMARY KEY (user_id, provider_id)
);

CREATE TABLE session (
    token_sha256 TEXT   NOT NULL PRIMARY KEY, -- never the token itself
    org_id       TEXT   NOT NULL REFERENCES org (org_id),
    user_id      TEXT   NOT NULL REFERENCES user_account (user_id),
    csrf         TEXT   NOT NULL,
    created_us   BIGINT NOT NULL,
    expires_us   BIGINT NOT NULL
);
CREATE INDEX session_by_user ON session (user_id);

-- Providers ---------------------------------------------------------------------------------------

CREATE TABLE provider (
    provider_id TEXT   NOT NULL PRIMARY KEY,
    org_id      TEXT   NOT NULL REFERENCES org (org_id),
    name        TEXT   NOT NULL,
    mail        TEXT   NOT NULL,
    language    TEXT   NOT NULL,
    encryption  TEXT   NOT NULL,              -- openpgp | link-only | none
    openpgp_key TEXT,                         -- armoured public key
    created_us  BIGINT NOT NULL,
    updated_us  BIGINT NOT NULL,
    retired_us  BIGINT,                       -- gone from the directory; history keeps pointing here
    UNIQUE (org_id, name)
);

-- What the directory states: prefixes and AS numbers, as written.
CREATE TABLE provider_claim (
    org_id      TEXT   NOT NULL REFERENCES org (org_id),
    provider_id TEXT   NOT NULL REFERENCES provider (provider_id),
    claim       TEXT   NOT NULL,              -- 192.0.2.0/24 or AS64500
    PRIMARY KEY (org_id, claim)
);

-- What it means for addresses: claimed prefixes, and those AS numbers resolve to.
CREATE TABLE provider_prefix (
    org_id      TEXT   NOT NULL REFERENCES org (org_id),
    provider_id TEXT   NOT NULL REFERENCES provider (provider_id),
    prefix      TEXT   NOT NULL,
    first_addr  TEXT   NOT NULL,
    last_addr   TEXT   NOT NULL,
    bits        BIGINT NOT NULL,              -- fixed bits, in IPv6 terms
    origin      TEXT   NOT NULL,              -- directory | AS64500
    PRIMARY KEY (org_id, prefix)
);
CREATE INDEX provider_prefix_range ON provider_prefix (org_id, first_addr, last_addr);
CREATE INDEX provider_prefix_provider ON provider_prefix (provider_id);

-- Which prefixes an AS number announces, from whatever table the operator imports.
CREATE TABLE as_prefix (
    org_id TEXT   NOT NULL REFERENCES org (org_id),
    asn    BIGINT NOT NULL,
    prefix TEXT   NOT NULL,
    PRIMARY KEY (org_id, asn, prefix)
);

-- Addresses whose holders asked to be left alone, or that must not be notified.
CREATE TABLE suppression (
    suppression_id TEXT   NOT NULL PRIMARY KEY,
    org_id         TEXT   NOT NULL REFERENCES org (org_id),
    kind           TEXT   NOT NULL,           -- opt-out | no-notice
    prefix         TEXT   NOT NULL,
    first_addr     TEXT   NOT NULL,
    last_addr      TEXT   NOT NULL,
    reason         TEXT   NOT NULL,
    proof          TEXT,                      -- needed for more than one address
    created_us     BIGINT NOT NULL,
    until_us       BIGINT
);
CREATE INDEX suppression_range ON suppression (org_id, first_addr, last_addr);

-- Mandates, rounds, surveys, jobs -----------------------------------------------------------------

CREATE TABLE mandate (
    org_id     TEXT   NOT NULL REFERENCES org (org_id),
    digest     TEXT   NOT NULL,               -- SHA-256 of the signed text
    mandate_id TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    programme  TEXT   NOT NULL,
    body       TEXT   NOT NULL,               -- the signed text, byte for byte
    signatures TEXT   NOT NULL,               -- JSON: armoured signatures with signers
    added_us   BIGINT NOT NULL,
    revoked_us BIGINT,
    PRIMARY KEY (org_id, digest)
);
CREATE INDEX mandate_id ON mandate (org_id, mandate_id, version);

CREATE TABLE programme (
    org_id     TEXT   NOT NULL REFERENCES org (org_id),
    name       TEXT   NOT NULL,
    created_us BIGINT NOT NULL,
    PRIMARY KEY (org_id, name)
);

-- A survey is one authorised run; with its number it is a round of its programme.
CREATE TABLE survey (
    survey_id      TEXT   NOT NULL PRIMARY KEY,
    org_id         TEXT   NOT NULL REFERENCES org (org_id),
    programme      TEXT   NOT NULL,
    round          BIGINT NOT NULL,
    kind           TEXT   NOT NULL,
    state          TEXT   NOT NULL,
    mandate_digest TEXT   NOT NULL,
    plan           TEXT   NOT NULL,
    progress       TEXT   NOT NULL,
    totals         TEXT   NOT NULL,
    reason         TEXT,                      -- why it stopped or failed
    created_us     BIGINT NOT NULL,
    started_us     BIGINT,
    ended_us       BIGINT,
    assessed_us    BIGINT,
    notified_us    BIGINT,
    UNIQUE (org_id, programme, round),
    FOREIGN KEY (org_id, programme) REFERENCES programme (org_id, name)
);

CREATE TABLE job (
    job_id        TEXT   NOT NULL PRIMARY KEY,
    org_id        TEXT   NOT NULL REFERENCES org (org_id),
    kind          TEXT   NOT NULL,
    dedupe        TEXT   NOT NULL,            -- the same work is enqueued once
    payload       TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    attempts      BIGINT NOT NULL,
    attempts_max  BIGINT NOT NULL,
    not_before_us BIGINT NOT NULL,
    leased_by     TEXT,
    lease         BIGINT NOT NULL,            -- fencing: counts the leases given
    lease_until_us BIGINT,
    result        TEXT,
    error         TEXT,
    created_us    BIGINT NOT NULL,
    updated_us    BIGINT NOT NULL,
    UNIQUE (org_id, kind, dedupe)
);
CREATE INDEX job_ready ON job (state, not_before_us, job_id);

-- Assets and findings -----------------------------------------------------------------------------

-- Append-only truth about which keys and addresses belong to which asset; insight reads and
-- continues it.
CREATE TABLE asset_link (
    org_id    TEXT   NOT NULL REFERENCES org (org_id),
    sequence  BIGINT NOT NULL,                -- from 1, without gaps
    survey_id TEXT   NOT NULL,
    action    TEXT   NOT NULL,                -- link | merge | split | share | unbind
    asset_id  TEXT,
    other_id  TEXT,
    body      TEXT   NOT NULL,                -- the whole record, JSON
    at_us     BIGINT NOT NULL,
    PRIMARY KEY (org_id, sequence)
);

-- How each asset was last seen.
CREATE TABLE asset (
    asset_id    TEXT   NOT NULL PRIMARY KEY,
    org_id      TEXT   NOT NULL REFERENCES org (org_id),
    addr        TEXT   NOT NULL,
    provider_id TEXT,
    keys        TEXT   NOT NULL,
    identity    TEXT   NOT NULL,
    sighting    TEXT   NOT NULL,              -- as insight wrote it, JSON
    merged_into TEXT,
    first_us    BIGINT NOT NULL,
    last_us     BIGINT NOT NULL,
    last_survey TEXT   NOT NULL
);
CREATE INDEX asset_addr ON asset (org_id, addr);
CREATE INDEX asset_merged ON asset (merged_into);

CREATE TABLE finding (
    org_id       TEXT   NOT NULL REFERENCES org (org_id),
    finding_key  TEXT   NOT NULL,
    asset_id     TEXT   NOT NULL,
    kind         TEXT   NOT NULL,
    remedy       TEXT   NOT NULL,
    severity     TEXT   NOT NULL,
    addr         TEXT   NOT NULL,
    port         BIGINT NOT NULL,
    transport    TEXT   NOT NULL,
    provider_id  TEXT,
    product      TEXT,                        -- vendor and product claimed, for lists
    vantage      TEXT,                        -- endpoint it was observed from, JSON
    body         TEXT   NOT NULL,             -- the newest finding, JSON
    identity     TEXT   NOT NULL,             -- what the device was taken for, JSON
    state        TEXT   NOT NULL,             -- present | absent | withdrawn
    first_survey TEXT   NOT NULL,
    first_round  BIGINT NOT NULL,
    first_us     BIGINT NOT NULL,
    last_survey  TEXT   NOT NULL,
    last_round   BIGINT NOT NULL,
    last_us      BIGINT NOT NULL,
    PRIMARY KEY (org_id, finding_key)
);
CREATE INDEX finding_kind ON finding (org_id, kind, finding_key);
CREATE INDEX finding_provider ON finding (org_id, provider_id, finding_key);
CREATE INDEX finding_asset ON finding (org_id, asset_id);

-- Which findings held in which round: figures over time need it.
CREATE TABLE finding_round (
    org_id      TEXT NOT NULL REFERENCES org (org_id),
    survey_id   TEXT NOT NULL,
    finding_key TEXT NOT NULL,
    kind        TEXT NOT NULL,
    provider_id TEXT,
    PRIMARY KEY (org_id, survey_id, finding_key)
);

-- Cases -------------------------------------------------------------------------------------------

-- The truth about cases. Append-only; every other case table is computed from it.
CREATE TABLE case_event (
    org_id  TEXT   NOT NULL REFERENCES org (org_id),
    case_id TEXT   NOT NULL,
    seq     BIGINT NOT NULL,                  -- from 1, without gaps
    at_us   BIGINT NOT NULL,
    actor   TEXT   NOT NULL,                  -- user:<id> or rule:<name>
    kind    TEXT   NOT NULL,
    body    TEXT   NOT NULL,                  -- JSON of the event, versioned
    PRIMARY KEY (case_id, seq)
);
CREATE INDEX case_event_org ON case_event (org_id, case_id, seq);

-- Projection.
CREATE TABLE case_state (
    case_id      TEXT   NOT NULL PRIMARY KEY,
    org_id       TEXT   NOT NULL REFERENCES org (org_id),
    seq          BIGINT NOT NULL,             -- last event applied
    asset_id     TEXT   NOT NULL,
    remedy       TEXT   NOT NULL,
    stage        TEXT   NOT NULL,
    condition    TEXT   NOT NULL,
    close_reason TEXT,
    episode      BIGINT NOT NULL,
    severity     TEXT   NOT NULL,
    arm          TEXT,
    provider_id  TEXT,
    addr         TEXT   NOT NULL,             -- where it is now
    port         BIGINT NOT NULL,
    transport    TEXT   NOT NULL,
    product      TEXT,
    opened_survey TEXT  NOT NULL,
    opened_us    BIGINT NOT NULL,
    notified_us  BIGINT,                      -- first notice of the current episode
    judged_us    BIGINT,
    closed_us    BIGINT,
    state        TEXT   NOT NULL,             -- the whole CaseState, JSON
    UNIQUE (org_id, asset_id, remedy)
);
CREATE INDEX case_state_stage ON case_state (org_id, stage, case_id);
CREATE INDEX case_state_provider ON case_state (org_id, provider_id, case_id);

-- Projection.
CREATE TABLE case_finding (
    org_id      TEXT   NOT NULL REFERENCES org (org_id),
    case_id     TEXT   NOT NULL,
    finding_key TEXT   NOT NULL,
    attached_us BIGINT NOT NULL,
    PRIMARY KEY (case_id, finding_key)
);
CREATE INDEX case_finding_key ON case_finding (org_id, finding_key);

-- Projection: what each survey judged of each case.
CREATE TABLE case_judgement (
    org_id    TEXT   NOT NULL REFERENCES org (org_id),
    case_id   TEXT   NOT NULL,
    survey_id TEXT   NOT NULL,
    condition TEXT   NOT NULL,
    stage     TEXT   NOT NULL,                -- before the judgement
    at_us     BIGINT NOT NULL,
    PRIMARY KEY (case_id, survey_id)
);
CREATE INDEX case_judgement_survey ON case_judgement (org_id, survey_id);

-- Projection: when each episode was opened and closed, for curves over time.
CREATE TABLE case_episode (
    org_id       TEXT   NOT NULL REFERENCES org (org_id),
    case_id      TEXT   NOT NULL,
    opening      BIGINT NOT NULL,             -- counts openings from 1
    episode      BIGINT NOT NULL,
    opened_us    BIGINT NOT NULL,
    notified_us  BIGINT,
    closed_us    BIGINT,
    close_reason TEXT,
    PRIMARY KEY (case_id, opening)
);
CREATE INDEX case_episode_open ON case_episode (org_id, opened_us, closed_us);

-- Notices -----------------------------------------------------------------------------------------

CREATE TABLE notice (
    notice_id   TEXT   NOT NULL PRIMARY KEY,
    org_id      TEXT   NOT NULL REFERENCES org (org_id),
    survey_id   TEXT   NOT NULL,
    provider_id TEXT   NOT NULL,
    part        BIGINT NOT NULL,              -- 1, or more when a mail would be too large
    message_id  TEXT   NOT NULL UNIQUE,
    state       TEXT   NOT NULL,
    protection  TEXT   NOT NULL,              -- openpgp | link-only | none
    language    TEXT   NOT NULL,
    recipient   TEXT   NOT NULL,
    sender      TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    cases       BIGINT NOT NULL,
    findings    BIGINT NOT NULL,
    content     TEXT   NOT NULL,              -- what it says before protection, JSON
    digest      TEXT   NOT NULL,              -- SHA-256 of its attachments
    message     TEXT   NOT NULL,              -- the mail as sent, RFC 5322
    attempts    BIGINT NOT NULL,
    created_us  BIGINT NOT NULL,
    changed_us  BIGINT NOT NULL,
    sent_us     BIGINT,
    UNIQUE (org_id, survey_id, provider_id, part)
);
CREATE INDEX notice_state ON notice (org_id, state, notice_id);

CREATE TABLE notice_case (
    org_id    TEXT NOT NULL REFERENCES org (org_id),
    notice_id TEXT NOT NULL REFERENCES notice (notice_id),
    case_id   TEXT NOT NULL,
    PRIMARY KEY (notice_id, case_id)
);
CREATE INDEX notice_case_case ON notice_case (case_id);

-- Append-only journal of what happened to each notice.
CREATE TABLE notice_delivery (
    org_id    TEXT   NOT NULL REFERENCES org (org_id),
    notice_id TEXT   NOT NULL REFERENCES notice (notice_id),
    seq       BIGINT NOT NULL,
    at_us     BIGINT NOT NULL,
    state     TEXT   NOT NULL,
    detail    TEXT   NOT NULL,
    PRIMARY KEY (notice_id, seq)
);

-- Registries and the trail ------------------------------------------------------------------------

CREATE TABLE intelligence_snapshot (
    org_id      TEXT   NOT NULL REFERENCES org (org_id),
    kind        TEXT   NOT NULL,              -- kev, cve5, endoflife, epss …
    digest      TEXT   NOT NULL,
    as_of       TEXT   NOT NULL,              -- date the source states
    source      TEXT   NOT NULL,
    path        TEXT   NOT NULL,              -- under KENSHIN_HOME/intel
    records     BIGINT NOT NULL,
    imported_us BIGINT NOT NULL,
    PRIMARY KEY (org_id, kind, digest)
);

-- Who did what when; each row's hash covers the one before.
CREATE TABLE audit (
    org_id   TEXT   NOT NULL REFERENCES org (org_id),
    seq      BIGINT NOT NULL,
    at_us    BIGINT NOT NULL,
    actor    TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    object   TEXT   NOT NULL,
    detail   TEXT   NOT NULL,                 -- JSON
    previous TEXT   NOT NULL,
    hash     TEXT   NOT NULL,
    PRIMARY KEY (org_id, seq)
);

CREATE TABLE audit_head (
    org_id TEXT   NOT NULL PRIMARY KEY REFERENCES org (org_id),
    seq    BIGINT NOT NULL,
    hash   TEXT   NOT NULL
);

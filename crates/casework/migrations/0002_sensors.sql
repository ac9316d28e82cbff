-- Sensors apart from the hub: who they are, which parts of surveys they hold, which batches came.

CREATE TABLE sensor (
    sensor_id     TEXT   NOT NULL PRIMARY KEY,
    org_id        TEXT   NOT NULL REFERENCES org (org_id),
    name          TEXT   NOT NULL,
    public_key    TEXT   NOT NULL UNIQUE,     -- Ed25519, hexadecimal; the private one never comes here
    head_sequence BIGINT NOT NULL,            -- last batch of its chain that came
    head_digest   TEXT   NOT NULL,
    enrolled_us   BIGINT NOT NULL,
    seen_us       BIGINT,
    retired_us    BIGINT
);
CREATE INDEX sensor_org ON sensor (org_id, sensor_id);

-- One enrolment each.
CREATE TABLE sensor_token (
    token_sha256 TEXT   NOT NULL PRIMARY KEY, -- never the token itself
    org_id       TEXT   NOT NULL REFERENCES org (org_id),
    name         TEXT   NOT NULL,
    created_us   BIGINT NOT NULL,
    expires_us   BIGINT NOT NULL,
    used_us      BIGINT,
    used_by      TEXT
);

-- Requests that were heard, for as long as their signatures count.
CREATE TABLE sensor_nonce (
    org_id    TEXT   NOT NULL REFERENCES org (org_id),
    sensor_id TEXT   NOT NULL REFERENCES sensor (sensor_id),
    nonce     TEXT   NOT NULL,
    until_us  BIGINT NOT NULL,
    PRIMARY KEY (sensor_id, nonce)
);
CREATE INDEX sensor_nonce_until ON sensor_nonce (until_us);

-- Every batch of every sensor's chain. Of a slice the first batch that comes counts; a later one of
-- another sensor is superseded, and only its header is kept.
CREATE TABLE batch (
    org_id      TEXT   NOT NULL REFERENCES org (org_id),
    sensor_id   TEXT   NOT NULL REFERENCES sensor (sensor_id),
    sequence    BIGINT NOT NULL,
    digest      TEXT   NOT NULL,
    survey_id   TEXT   NOT NULL,
    slice       BIGINT NOT NULL,
    state       TEXT   NOT NULL,              -- received | committed | superseded
    header      TEXT,                         -- of a superseded one, JSON
    received_us BIGINT NOT NULL,
    PRIMARY KEY (sensor_id, sequence)
);
CREATE UNIQUE INDEX batch_slice ON batch (survey_id, slice) WHERE state <> 'superseded';

-- Parts of a survey's present run, each a job that one sensor holds at a time.
CREATE TABLE shard (
    job_id      TEXT   NOT NULL PRIMARY KEY REFERENCES job (job_id),
    org_id      TEXT   NOT NULL REFERENCES org (org_id),
    survey_id   TEXT   NOT NULL REFERENCES survey (survey_id),
    shard_index BIGINT NOT NULL,
    shard_count BIGINT NOT NULL,
    progress    TEXT   NOT NULL               -- newest report, JSON
);
CREATE INDEX shard_survey ON shard (survey_id, shard_index);

-- Who may take a job; a job without a row here is anybody's.
CREATE TABLE job_worker (
    org_id TEXT NOT NULL REFERENCES org (org_id),
    job_id TEXT NOT NULL REFERENCES job (job_id),
    worker TEXT NOT NULL,
    PRIMARY KEY (job_id, worker)
);

-- Requests to leave a prefix alone, which need proof and a person's decision.
CREATE TABLE opt_out_request (
    request_id TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL REFERENCES org (org_id),
    prefix     TEXT   NOT NULL,
    contact    TEXT   NOT NULL,
    words      TEXT   NOT NULL,
    from_addr  TEXT   NOT NULL,               -- where the request came from, as text
    sensor_id  TEXT,                          -- at whose page it was made
    state      TEXT   NOT NULL,               -- open | accepted | declined
    proof      TEXT,
    decided_by TEXT,
    created_us BIGINT NOT NULL,
    decided_us BIGINT
);
CREATE INDEX opt_out_request_state ON opt_out_request (org_id, state, request_id);

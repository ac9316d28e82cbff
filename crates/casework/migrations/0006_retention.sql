-- Legal holds: what is kept whatever retention says. One without an end lasts until it is released.
CREATE TABLE legal_hold (
    hold_id        TEXT   NOT NULL PRIMARY KEY,
    org_id         TEXT   NOT NULL REFERENCES org (org_id),
    mandate_id     TEXT,                       -- all mandates when null
    month_from     TEXT,                       -- such as 2026-04; from the first when null
    month_to       TEXT,                       -- to the last when null
    survey_id      TEXT,
    prefix         TEXT,
    reason         TEXT   NOT NULL,
    held_by        TEXT   NOT NULL,
    created_us     BIGINT NOT NULL,
    released_us    BIGINT,
    released_by    TEXT,
    release_reason TEXT
);
CREATE INDEX legal_hold_org ON legal_hold (org_id, hold_id);

-- Erasures of the lake: journalled before anything is taken away, and finished by whoever comes next.
CREATE TABLE erasure (
    erasure_id    TEXT   NOT NULL PRIMARY KEY,
    org_id        TEXT   NOT NULL REFERENCES org (org_id),
    state         TEXT   NOT NULL,             -- intended | removing | removed | erased | withdrawn
    shelf         TEXT   NOT NULL,             -- JSON: table, month, mandate, class
    policy        TEXT   NOT NULL,             -- JSON: the whole policy that asked for it
    asked_by      TEXT   NOT NULL,
    reason        TEXT,                        -- why it was withdrawn
    proof_sha256  TEXT,                        -- of the statement in the lake
    intended_us   BIGINT NOT NULL,
    removed_us    BIGINT,
    ended_us      BIGINT
);
CREATE INDEX erasure_open ON erasure (org_id, state, erasure_id);

-- Searches that people saved, and what was told of changes of their answers.

CREATE TABLE saved_search (
    search_id      TEXT   NOT NULL PRIMARY KEY,
    org_id         TEXT   NOT NULL REFERENCES org (org_id),
    user_id        TEXT   NOT NULL REFERENCES user_account (user_id), -- as whom it looks
    name           TEXT   NOT NULL,
    query          TEXT   NOT NULL,           -- as the search language writes it
    watch          TEXT   NOT NULL,           -- new | gone | any | count
    threshold      BIGINT,                    -- of count
    mails          TEXT   NOT NULL,           -- addresses, JSON
    webhook        TEXT,
    webhook_secret TEXT,                      -- taken by whoever signs, and given by no read
    interval_s     BIGINT NOT NULL,
    language       TEXT   NOT NULL,
    enabled        BIGINT NOT NULL,
    created_us     BIGINT NOT NULL,
    revision       BIGINT NOT NULL,           -- counts looks: of two hubs that look at once one counts
    looked_us      BIGINT NOT NULL,
    looked_version BIGINT,                    -- of the current view
    services       BIGINT NOT NULL,           -- found at the last look
    alerted_us     BIGINT,
    trouble        TEXT,                      -- why it does not alert
    trouble_detail TEXT,
    UNIQUE (org_id, user_id, name)
);

-- What the next answer is compared with. Apart, because it may be large and lists do not need it.
CREATE TABLE saved_search_standing (
    search_id TEXT NOT NULL PRIMARY KEY REFERENCES saved_search (search_id),
    org_id    TEXT NOT NULL REFERENCES org (org_id),
    standing  TEXT NOT NULL
);

CREATE TABLE alert (
    alert_id   TEXT   NOT NULL PRIMARY KEY,
    org_id     TEXT   NOT NULL REFERENCES org (org_id),
    search_id  TEXT   NOT NULL REFERENCES saved_search (search_id),
    change     TEXT   NOT NULL,               -- counts and the first services, JSON
    created_us BIGINT NOT NULL
);
CREATE INDEX alert_search ON alert (search_id, alert_id);

-- One for each place that is told; journalled with the alert, before anything is sent.
CREATE TABLE alert_delivery (
    org_id     TEXT   NOT NULL REFERENCES org (org_id),
    alert_id   TEXT   NOT NULL REFERENCES alert (alert_id),
    part       BIGINT NOT NULL,
    channel    TEXT   NOT NULL,               -- mail | webhook
    target     TEXT   NOT NULL,
    message_id TEXT   NOT NULL UNIQUE,        -- Message-ID, or the webhook's idempotency key
    sender     TEXT   NOT NULL,
    message    TEXT   NOT NULL,               -- as sent: RFC 5322, or JSON
    job_id     TEXT   NOT NULL UNIQUE REFERENCES job (job_id),
    state      TEXT   NOT NULL,
    attempts   BIGINT NOT NULL,
    detail     TEXT   NOT NULL,               -- what was said last
    changed_us BIGINT NOT NULL,
    sent_us    BIGINT,
    PRIMARY KEY (alert_id, part)
);
CREATE INDEX alert_delivery_state ON alert_delivery (state);

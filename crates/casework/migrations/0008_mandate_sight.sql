-- Accounts that see what was observed under some mandates and nothing else; without a row, under all.
CREATE TABLE user_mandate (
    org_id     TEXT NOT NULL REFERENCES org (org_id),
    user_id    TEXT NOT NULL REFERENCES user_account (user_id),
    mandate_id TEXT NOT NULL,
    PRIMARY KEY (user_id, mandate_id)
);
-- The community outside of the organisation that such an account is for: it sees what labels let it see.
ALTER TABLE user_account ADD COLUMN community TEXT;

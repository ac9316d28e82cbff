-- How soon something must be done about a finding: 0 track, 1 track-closely, 2 attend, 3 act; null for
-- findings of earlier builds. The body has the reasons; this is for sorting.
ALTER TABLE finding ADD COLUMN priority BIGINT;
CREATE INDEX finding_priority ON finding (org_id, priority, finding_key);

-- Findings by priority are sorted by COALESCE(priority, -1), those without one last: an index of the bare
-- column does not serve that.
DROP INDEX finding_priority;
CREATE INDEX finding_urgency ON finding (org_id, (COALESCE(priority, -1)) DESC, finding_key);

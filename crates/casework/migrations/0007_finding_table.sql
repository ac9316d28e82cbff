-- Whoever counts over all findings reads few columns of each, and a finding is two documents: an index that
-- has these columns spares them. The same of the cases that findings are attached to.
CREATE INDEX finding_table ON finding (org_id, finding_key, kind, remedy, severity, priority, state, provider_id, addr, port, transport, first_us, last_us);
DROP INDEX case_finding_key;
CREATE INDEX case_finding_key ON case_finding (org_id, finding_key, case_id);

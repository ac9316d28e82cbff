import type { ReactNode } from "react";
import { Link, useOutletContext } from "react-router";

import type { Schemas } from "../api/client";

/** Leads to a survey, for those who may see surveys; text for the others. */
export function SurveyLink({ id, children }: { id: string; children: ReactNode }) {
  const me = useOutletContext<Schemas["Me"]>();
  if (!me.actions.includes("see-surveys")) return <>{children}</>;
  return <Link to={`/surveys/${encodeURIComponent(id)}`}>{children}</Link>;
}

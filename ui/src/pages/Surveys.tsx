import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Schemas } from "../api/client";
import { useSurveys } from "../api/queries";
import { useFilters } from "../parts/Filters";
import { PageHead } from "../parts/Page";
import { List } from "../parts/Rows";
import { percent } from "../parts/text";
import { Num, Time } from "../parts/values";
import { Plain, Tag } from "../parts/words";

export function SurveyState({ word }: { word: string }) {
  return (
    <Tag strong={word === "running" || word === "failed"}>
      {word === "failed" && <span aria-hidden="true">! </span>}
      <Plain list="surveyState" word={word} />
    </Tag>
  );
}

export function Meter({ progress, label }: { progress: Schemas["Progress"]; label: string }) {
  const done = progress.total > 0 ? Math.min(1, progress.done / progress.total) : 0;
  return (
    <div
      className="meter"
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={progress.total}
      aria-valuenow={progress.done}
    >
      <i style={{ width: `${100 * done}%` }} />
    </div>
  );
}

export function SurveysPage() {
  const { t } = useTranslation();
  const query = useSurveys(useFilters(["after"]));
  return (
    <>
      <PageHead title={t("surveys.title")} />
      <List
        caption={t("surveys.title")}
        query={query}
        id={(row) => row.survey_id}
        empty={{ title: t("surveys.emptyTitle"), text: t("surveys.empty") }}
        columns={[
          {
            name: t("surveys.survey"),
            head: true,
            cell: (row) => (
              <>
                <Link to={`/surveys/${row.survey_id}`}>{t("common.round", { round: row.round })}</Link>
                <span className="under">{row.programme}</span>
              </>
            ),
          },
          { name: t("surveys.kind"), cell: (row) => <Plain list="surveyKind" word={row.kind} /> },
          { name: t("surveys.state"), cell: (row) => <SurveyState word={row.state} /> },
          {
            name: t("surveys.progress"),
            cell: (row) => (
              <>
                <Meter progress={row.progress} label={t("surveys.progress")} />
                <span className="under">{percent(row.progress.done, row.progress.total) ?? "–"}</span>
              </>
            ),
          },
          { name: t("surveys.done"), num: true, cell: (row) => <Num value={row.progress.done} /> },
          { name: t("surveys.sent"), num: true, cell: (row) => <Num value={row.progress.sent} /> },
          { name: t("surveys.answered"), num: true, cell: (row) => <Num value={row.progress.answered} /> },
          { name: t("surveys.started"), cell: (row) => <Time at={row.started_at} /> },
          { name: t("surveys.ended"), cell: (row) => <Time at={row.ended_at} /> },
        ]}
      />
    </>
  );
}

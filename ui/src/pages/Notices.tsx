import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import { useNotices } from "../api/queries";
import { ClearFilters, useFilters, WordChoice } from "../parts/Filters";
import { PageHead } from "../parts/Page";
import { ProviderChoice } from "../parts/ProviderChoice";
import { List } from "../parts/Rows";
import { SurveyLink } from "../parts/SurveyLink";
import { Num, Said, Time } from "../parts/values";
import { Plain, Tag } from "../parts/words";

export const NOTICE_STATES = ["queued", "sending", "sent", "delivery-uncertain", "failed"] as const;

/** Where a delivery stands; what needs a person stands out. */
export function NoticeState({ word }: { word: string }) {
  const needsPerson = word.includes("uncertain") || word === "failed" || word === "refused";
  return (
    <Tag strong={needsPerson}>
      {needsPerson && <span aria-hidden="true">! </span>}
      <Plain list="noticeState" word={word} />
    </Tag>
  );
}

export function NoticesPage() {
  const { t } = useTranslation();
  const filters = useFilters(["after", "provider", "state", "survey"]);
  const query = useNotices(filters);
  return (
    <>
      <PageHead title={t("notices.title")} />
      <div className="filters" role="search">
        <ProviderChoice />
        <WordChoice name="state" label={t("notices.state")} list="noticeState" words={NOTICE_STATES} />
        <ClearFilters />
      </div>
      <List
        caption={t("notices.title")}
        query={query}
        id={(row) => row.notice_id}
        empty={{ title: t("notices.emptyTitle"), text: t("notices.empty"), filtered: t("notices.emptyFiltered") }}
        columns={[
          {
            name: t("notices.subject"),
            head: true,
            cell: (row) => (
              <Link to={`/notices/${row.notice_id}`}>
                <Said value={row.subject} />
              </Link>
            ),
          },
          {
            name: t("notices.provider"),
            cell: (row) => (
              <>
                {row.provider.name}
                <code className="under">{row.recipient}</code>
              </>
            ),
          },
          {
            name: t("notices.round"),
            num: true,
            cell: (row) => <SurveyLink id={row.survey_id}>{row.round ?? "–"}</SurveyLink>,
          },
          { name: t("notices.state"), cell: (row) => <NoticeState word={row.state} /> },
          { name: t("notices.protection"), cell: (row) => <Plain list="protection" word={row.protection} /> },
          { name: t("notices.language"), cell: (row) => <Plain list="language" word={row.language} /> },
          { name: t("notices.cases"), num: true, cell: (row) => <Num value={row.cases} /> },
          { name: t("notices.findings"), num: true, cell: (row) => <Num value={row.findings} /> },
          { name: t("notices.sent"), cell: (row) => <Time at={row.sent_at} /> },
        ]}
      />
    </>
  );
}

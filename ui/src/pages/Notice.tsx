import { useTranslation } from "react-i18next";
import { useParams } from "react-router";

import { useNotice } from "../api/queries";
import { Icon } from "../parts/Icon";
import { Facts, PageHead, Section } from "../parts/Page";
import { Table } from "../parts/Rows";
import { Loaded } from "../parts/states";
import { SurveyLink } from "../parts/SurveyLink";
import { number } from "../parts/text";
import { Bytes, Said, Time } from "../parts/values";
import { Plain } from "../parts/words";
import { useCaseColumns } from "./Cases";
import { NoticeState } from "./Notices";

export function NoticePage() {
  const { t } = useTranslation();
  const { id = "" } = useParams();
  const query = useNotice(id);
  const columns = useCaseColumns(true);
  return (
    <>
      <PageHead
        crumb={{ to: "/notices", text: t("notices.title") }}
        name={t("notices.title")}
        title={query.data ? <Said value={query.data.notice.subject} /> : t("notices.title")}
        lead={query.data?.notice.provider.name}
      />
      <Loaded query={query} lines={14}>
        {({ notice, ...detail }) => (
          <>
            {notice.state.includes("uncertain") && (
              <div className="notice" role="note" style={{ marginBottom: "1rem" }}>
                <Icon name="alert" />
                <span>{t("notices.uncertain")}</span>
              </div>
            )}
            <div className="wide">
              <div>
                <section>
                  <h2 style={{ marginBottom: "0.5rem" }}>{t("notices.text")}</h2>
                  <div className="sheet">
                    <pre className="letter" lang={notice.language} tabIndex={0}>
                      <Said value={detail.text} lines />
                    </pre>
                  </div>
                </section>
                <Section title={t("notices.attachments")}>
                  {detail.attachments.length === 0 ? (
                    <p className="quiet">{t("notices.attachmentsNone")}</p>
                  ) : (
                    detail.attachments.map((attachment) => (
                      <details key={attachment.name} style={{ marginBottom: "0.5rem" }}>
                        <summary>
                          <code>{attachment.name}</code>{" "}
                          <span className="faint small">
                            {number(new Blob([attachment.text]).size)} {t("notices.bytes")}
                          </span>
                        </summary>
                        <Bytes value={attachment.text} lines />
                      </details>
                    ))
                  )}
                </Section>
              </div>
              <aside className="sheet pad" aria-label={t("common.details")}>
                <Facts
                  stack
                  rows={[
                    [t("notices.state"), <NoticeState key="s" word={notice.state} />],
                    [t("notices.recipient"), <code key="r">{notice.recipient}</code>],
                    [t("notices.sender"), <code key="f">{detail.sender}</code>],
                    [
                      t("notices.round"),
                      <SurveyLink key="o" id={notice.survey_id}>
                        {notice.round ? t("common.round", { round: notice.round }) : t("surveys.survey")}
                      </SurveyLink>,
                    ],
                    [t("notices.language"), <Plain key="l" list="language" word={notice.language} />],
                    [t("notices.protection"), <Plain key="p" list="protection" word={notice.protection} />],
                    [t("notices.cases"), number(notice.cases)],
                    [t("notices.findings"), number(notice.findings)],
                    [t("notices.created"), <Time key="c" at={notice.created_at} />],
                    [t("notices.sent"), notice.sent_at && <Time at={notice.sent_at} seconds />],
                    [t("notices.messageId"), <code key="m">{detail.message_id}</code>],
                    [
                      t("notices.digest"),
                      <code key="d" title={detail.digest}>
                        {detail.digest.slice(0, 16)}…
                      </code>,
                    ],
                  ]}
                />
                {detail.deliveries.length > 0 && (
                  <>
                    <h3 style={{ margin: "0.875rem 0 0.25rem" }}>{t("notices.deliveries")}</h3>
                    <ol className="steps">
                      {detail.deliveries.map((delivery, i) => (
                        <li key={i}>
                          <Plain list="noticeState" word={delivery.state} /> <Time at={delivery.at} seconds />
                          {delivery.detail && (
                            <span className="under">
                              <Said value={delivery.detail} />
                            </span>
                          )}
                        </li>
                      ))}
                    </ol>
                  </>
                )}
              </aside>
            </div>
            <Section title={t("notices.casesOf")} aside={t("common.rows", { count: detail.cases.length })}>
              <div className="sheet">
                <Table
                  caption={t("notices.casesOf")}
                  rows={detail.cases}
                  id={(row) => row.case_id}
                  columns={columns}
                />
              </div>
            </Section>
          </>
        )}
      </Loaded>
    </>
  );
}

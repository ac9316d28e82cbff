import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";

import type { Schemas } from "../api/client";
import { useMandate, useMandates } from "../api/queries";
import { useFilters } from "../parts/Filters";
import { Facts, PageHead, Section } from "../parts/Page";
import { List } from "../parts/Rows";
import { Loaded } from "../parts/states";
import { duration, number } from "../parts/text";
import { Bytes, Said, Time } from "../parts/values";
import { Plain, Tag } from "../parts/words";

function Standing({ row }: { row: Schemas["MandateRow"] }) {
  const { t } = useTranslation();
  return (
    <>
      <Tag strong={!row.in_force}>{row.in_force ? t("mandates.inForce") : t("mandates.notInForce")}</Tag>
      {row.refusal && (
        <span className="under">
          <Said value={row.refusal} />
        </span>
      )}
    </>
  );
}

export function MandatesPage() {
  const { t } = useTranslation();
  const query = useMandates(useFilters(["after"]));
  return (
    <>
      <PageHead title={t("mandates.title")} />
      <List
        caption={t("mandates.title")}
        query={query}
        id={(row) => row.digest}
        empty={{ title: t("mandates.emptyTitle"), text: t("mandates.empty") }}
        columns={[
          {
            name: t("mandates.mandate"),
            head: true,
            cell: (row) => (
              <>
                <Link to={`/mandates/${encodeURIComponent(row.mandate_id)}`}>{row.mandate_id}</Link>
                <span className="under">{row.programme}</span>
              </>
            ),
          },
          { name: t("mandates.version"), num: true, cell: (row) => row.version },
          { name: t("mandates.standing"), cell: (row) => <Standing row={row} /> },
          { name: t("mandates.from"), cell: (row) => <Time at={row.valid_from} /> },
          { name: t("mandates.until"), cell: (row) => <Time at={row.valid_until} /> },
          { name: t("mandates.signers"), cell: (row) => <Said value={row.signers.join(", ")} /> },
        ]}
      />
    </>
  );
}

export function MandatePage() {
  const { t } = useTranslation();
  const { id = "" } = useParams();
  const query = useMandate(id);
  return (
    <>
      <PageHead
        crumb={{ to: "/mandates", text: t("mandates.title") }}
        title={query.data?.title || id}
        lead={query.data && <Said value={query.data.authority} />}
      />
      <Loaded query={query} lines={10}>
        {({ mandate, ...detail }) => (
          <div className="wide">
            <div>
              <section>
                <h2 style={{ marginBottom: "0.625rem" }}>{t("mandates.plain")}</h2>
                <ol className="statement">
                  {detail.statement.map((sentence, i) => (
                    <li key={i}>
                      <Said value={sentence} />
                    </li>
                  ))}
                </ol>
              </section>
              <Section title={t("mandates.signedText")}>
                <details>
                  <summary>
                    {t("common.show")} <code className="faint">sha256:{mandate.digest.slice(0, 16)}…</code>
                  </summary>
                  <Bytes value={detail.text} lines />
                </details>
              </Section>
            </div>
            <aside className="sheet pad" aria-label={t("common.details")}>
              <Facts
                stack
                rows={[
                  [t("mandates.standing"), <Standing key="s" row={mandate} />],
                  [t("mandates.from"), mandate.valid_from && <Time at={mandate.valid_from} />],
                  [t("mandates.until"), mandate.valid_until && <Time at={mandate.valid_until} />],
                  [t("surveys.addresses"), detail.targets != null && number(detail.targets)],
                  [t("overview.excludedName"), number(detail.excluded)],
                  [t("surveys.ports"), number(detail.ports)],
                  [t("mandates.exchanges"), detail.exchanges != null && number(detail.exchanges)],
                  [t("mandates.duration"), detail.duration_s != null && duration(detail.duration_s)],
                  [
                    t("surveys.checks"),
                    detail.checks.map((check) => (
                      <span key={check} style={{ display: "block" }}>
                        <Plain list="check" word={check} />
                      </span>
                    )),
                  ],
                  [
                    t("mandates.signers"),
                    mandate.signers.map((signer) => (
                      <span key={signer} style={{ display: "block" }}>
                        <Said value={signer} />
                      </span>
                    )),
                  ],
                  [t("mandates.programme"), mandate.programme],
                  [t("mandates.version"), mandate.version],
                  [
                    t("mandates.digest"),
                    <code key="d" className="said">
                      {mandate.digest}
                    </code>,
                  ],
                ]}
              />
            </aside>
          </div>
        )}
      </Loaded>
    </>
  );
}

import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Schemas } from "../api/client";
import { useOverview } from "../api/queries";
import { Figure, Plot } from "../parts/Figure";
import { Outcome } from "../parts/Outcome";
import { PageHead, Section } from "../parts/Page";
import { Table } from "../parts/Rows";
import { Empty, Loaded } from "../parts/states";
import { SurveyLink } from "../parts/SurveyLink";
import { duration, number, percent } from "../parts/text";
import { Miss, Num, Share, Time } from "../parts/values";

type Overview = Schemas["Overview"];
type Round = Schemas["RoundRow"];

export function OverviewPage() {
  const { t } = useTranslation();
  const query = useOverview();
  const last = query.data?.rounds.at(-1);
  return (
    <>
      <PageHead
        title={t("overview.title")}
        lead={
          last && (
            <>
              {t("overview.lead", { programme: last.programme, round: last.round })} · <Time at={last.at} />
            </>
          )
        }
      />
      <Loaded query={query} lines={12}>
        {(overview) =>
          last ? (
            <Figures overview={overview} last={last} />
          ) : (
            <div className="sheet">
              <Empty title={t("overview.emptyTitle")} text={t("overview.empty")} />
            </div>
          )
        }
      </Loaded>
    </>
  );
}

function Step({ label, value, to, children }: { label: string; value: number; to?: string; children: ReactNode }) {
  return (
    <div>
      <div className="label" title={label}>
        {label}
      </div>
      <div className="value">{to ? <Link to={to}>{number(value)}</Link> : number(value)}</div>
      <div className="of">{children}</div>
    </div>
  );
}

function Figures({ overview, last }: { overview: Overview; last: Round }) {
  const { t } = useTranslation();
  const { cases } = overview;
  const assets = overview.kinds.reduce((sum, kind) => sum + kind.findings, 0);
  const noAddressee = cases.reason["no-addressee"] ?? 0;
  const open = last.cases_open;
  const judged = overview.rounds.some((round) => Object.keys(round.judged).length > 0);
  const of = (count: number, whole: number) => percent(count, whole) ?? t("common.none");
  return (
    <>
      <div className="sheet circle" role="group" aria-label={t("overview.circle")}>
        <Step label={t("overview.surveyed")} value={last.addresses.count}>
          {t("common.of", { of: number(last.addresses.of) })}
          {last.excluded > 0 && <> · {t("overview.excluded", { excluded: number(last.excluded) })}</>}
          <br />
          {t("overview.surveyedOf", { percent: of(last.targets.count, last.targets.of) })}
        </Step>
        <Step label={t("overview.responders")} value={last.responders}>
          {t("overview.respondersOf", { percent: of(last.responders, last.addresses.count) })}
          <br />
          <Miss miss={last.miss} />
        </Step>
        <Step label={t("overview.devices")} value={last.assets}>
          {t("overview.devicesOf", { services: number(last.services) })}
          <br />
          {t("overview.devicesUnknown", { unknown: number(last.assets_unknown) })}
        </Step>
        <Step label={t("overview.findings")} value={assets} to="/findings?state=present">
          {t("overview.findingsOf", { kinds: overview.kinds.length })}
        </Step>
        <Step label={t("overview.cases")} value={cases.total} to="/cases">
          {t("overview.casesOf", { open: number(open) })}
          <br />
          {t("overview.relapsedOf", { relapsed: number(cases.relapsed) })}
        </Step>
        <Step label={t("overview.notified")} value={cases.notified}>
          {t("overview.notifiedOf", { percent: of(cases.notified, cases.total) })}
        </Step>
        <Step label={t("overview.noAddressee")} value={noAddressee} to="/cases?reason=no-addressee">
          {t("overview.noAddresseeOf", { percent: of(noAddressee, cases.total) })}
        </Step>
      </div>

      <div style={{ marginTop: "1.25rem" }}>
        <Outcome
          notified={cases.notified}
          outcome={cases.outcome}
          source={judged ? t("overview.outcomeSource", { round: last.round }) : t("overview.curveSource")}
          remark={judged ? t("overview.outcomeNote") : t("overview.outcomeFirst")}
          aside={
            cases.notice_to_remedy.median_s === null || cases.notice_to_remedy.median_s === undefined
              ? undefined
              : t("overview.median", {
                  duration: duration(cases.notice_to_remedy.median_s),
                  n: number(cases.notice_to_remedy.count),
                  of: number(cases.notice_to_remedy.of),
                })
          }
        />
      </div>

      <div className="two" style={{ marginTop: "1.25rem" }}>
        <Curve rounds={overview.rounds} />
        <Kinds overview={overview} last={last} />
      </div>

      {overview.providers.length > 0 && <Providers overview={overview} />}
      <Rounds rounds={overview.rounds} />
    </>
  );
}

function Curve({ rounds }: { rounds: Round[] }) {
  const { t } = useTranslation();
  const title = t("overview.curveTitle");
  const open = t("overview.curveOpen");
  return (
    <Figure
      id="curve"
      title={title}
      unit={t("overview.curveUnit")}
      source={t("overview.curveSource")}
      table={
        <Table
          caption={title}
          rows={rounds}
          id={(row) => row.survey_id}
          columns={[
            { name: t("surveys.round"), head: true, cell: (row) => t("common.round", { round: row.round }) },
            { name: t("overview.ended"), cell: (row) => <Time at={row.at} /> },
            { name: open, num: true, cell: (row) => <Num value={row.cases_open} /> },
            {
              name: t("overview.coverage"),
              num: true,
              cell: (row) => <Share count={row.targets.count} of={row.targets.of} />,
            },
          ]}
        />
      }
    >
      <Plot
        label={title}
        height={228}
        spec={{
          type: "lines",
          categories: rounds.map((row) => t("common.round", { round: row.round })),
          series: [{ name: open, values: rounds.map((row) => row.cases_open), style: "solid", area: true }],
        }}
      />
    </Figure>
  );
}

function Kinds({ overview, last }: { overview: Overview; last: Round }) {
  const { t } = useTranslation();
  const title = t("overview.kindsTitle");
  const kinds = [...overview.kinds].sort((a, b) => b.findings - a.findings);
  return (
    <Figure
      id="kinds"
      title={title}
      unit={t("overview.kindsUnit")}
      source={t("overview.kindsSource", { round: last.round })}
      table={
        <Table
          caption={title}
          rows={kinds}
          id={(row) => row.kind}
          columns={[
            {
              name: t("overview.kindColumn"),
              head: true,
              cell: (row) => <Link to={`/findings?kind=${row.kind}&state=present`}>{t(`kind.${row.kind}`)}</Link>,
            },
            { name: t("nav.findings"), num: true, cell: (row) => <Num value={row.findings} /> },
            { name: t("surveys.devices"), num: true, cell: (row) => <Num value={row.assets} /> },
            {
              name: t("overview.ofDevices"),
              num: true,
              cell: (row) => <Share count={row.assets} of={last.assets} />,
            },
          ]}
        />
      }
    >
      <Plot
        label={title}
        height={Math.max(120, kinds.length * 30 + 12)}
        spec={{
          type: "bars",
          categories: kinds.map((row) => t(`kind.${row.kind}`)),
          values: kinds.map((row) => row.findings),
          notes: kinds.map((row) =>
            t("overview.kindNote", { assets: number(row.assets), percent: of(row.assets, last.assets) }),
          ),
        }}
      />
    </Figure>
  );
}

function of(count: number, whole: number): string {
  return percent(count, whole) ?? "–";
}

function Providers({ overview }: { overview: Overview }) {
  const { t } = useTranslation();
  const kinds = overview.kinds.map((kind) => kind.kind);
  const link = (row: Schemas["ProviderFigures"], more: string) =>
    row.provider ? `provider=${row.provider.provider_id}${more}` : `no_addressee=true${more}`;
  return (
    <>
    <Section title={t("overview.providersTitle")} aside={t("overview.providersNote")}>
      <div className="sheet">
        <Table
          caption={t("overview.providersTitle")}
          rows={overview.providers}
          id={(row) => row.provider?.provider_id ?? "-"}
          columns={[
            {
              name: t("overview.provider"),
              head: true,
              cell: (row) =>
                row.provider ? row.provider.name : <span className="quiet">{t("common.noAddressee")}</span>,
            },
            ...kinds.map((kind) => ({
              name: <span className="wrap">{t(`kind.${kind}`)}</span>,
              num: true,
              cell: (row: Schemas["ProviderFigures"]) => {
                const count = row.kinds[kind] ?? 0;
                return count === 0 ? (
                  <span className="zero">0</span>
                ) : (
                  <Link to={`/findings?${link(row, `&kind=${kind}&state=present`)}`}>{number(count)}</Link>
                );
              },
            })),
            { name: t("overview.total"), num: true, cell: (row) => <b>{number(row.findings)}</b> },
          ]}
        />
      </div>
    </Section>
    <Section title={t("overview.casesByProvider")} aside={t("overview.casesNote")}>
      <div className="sheet">
        <Table
          caption={t("overview.casesByProvider")}
          rows={overview.providers}
          id={(row) => row.provider?.provider_id ?? "-"}
          columns={[
            {
              name: t("overview.provider"),
              head: true,
              cell: (row) =>
                row.provider ? (
                  <Link to={`/cases?provider=${row.provider.provider_id}`}>{row.provider.name}</Link>
                ) : (
                  <Link to="/cases?reason=no-addressee">{t("common.noAddressee")}</Link>
                ),
            },
            { name: t("nav.cases"), num: true, cell: (row) => <Num value={row.cases} /> },
            { name: t("overview.open"), num: true, cell: (row) => <Num value={row.open} /> },
            { name: t("overview.notified"), num: true, cell: (row) => <Num value={row.notified} /> },
            { name: t("overview.remedied"), num: true, cell: (row) => <Num value={row.remedied} /> },
            {
              name: t("overview.ofNotified"),
              num: true,
              cell: (row) => <Share count={row.remedied} of={row.notified} />,
            },
            { name: t("overview.exposureEnded"), num: true, cell: (row) => <Num value={row.exposure_ended} /> },
            { name: t("condition.unobservable"), num: true, cell: (row) => <Num value={row.unobservable} /> },
          ]}
        />
      </div>
    </Section>
    </>
  );
}

function Rounds({ rounds }: { rounds: Round[] }) {
  const { t } = useTranslation();
  const judged = (row: Round, word: string) => <Num value={row.judged[word] ?? 0} />;
  return (
    <Section title={t("overview.roundsTitle")} aside={t("overview.judgedNote")}>
      <div className="sheet">
        <Table
          caption={t("overview.roundsTitle")}
          rows={[...rounds].reverse()}
          id={(row) => row.survey_id}
          columns={[
            {
              name: t("surveys.round"),
              head: true,
              cell: (row) => (
                <span className="nowrap">
                  <SurveyLink id={row.survey_id}>{t("common.round", { round: row.round })}</SurveyLink>
                  <span className="under">{t(`surveyKind.${row.kind}`)}</span>
                </span>
              ),
            },
            { name: t("overview.ended"), cell: (row) => <Time at={row.at} /> },
            {
              name: t("overview.coverage"),
              num: true,
              cell: (row) => <Share count={row.targets.count} of={row.targets.of} />,
            },
            { name: t("overview.responders"), num: true, cell: (row) => <Num value={row.responders} /> },
            {
              name: <span title={t("overview.vanishedHelp")}>{t("overview.vanished")}</span>,
              num: true,
              cell: (row) => <Share count={row.vanished.count} of={row.vanished.of} />,
            },
            { name: t("nav.findings"), num: true, cell: (row) => <Num value={row.findings} /> },
            { name: t("condition.affected"), num: true, cell: (row) => judged(row, "affected") },
            { name: t("condition.clean"), num: true, cell: (row) => judged(row, "clean") },
            { name: <span className="wrap">{t("condition.service-gone")}</span>, num: true, cell: (row) => judged(row, "service-gone") },
            { name: t("condition.elsewhere"), num: true, cell: (row) => judged(row, "elsewhere") },
            { name: t("condition.replaced"), num: true, cell: (row) => judged(row, "replaced") },
            { name: t("condition.unobservable"), num: true, cell: (row) => judged(row, "unobservable") },
          ]}
        />
      </div>
    </Section>
  );
}

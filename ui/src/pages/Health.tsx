import { useTranslation } from "react-i18next";

import type { Schemas } from "../api/client";
import { useHealth } from "../api/queries";
import { Figure, Plot } from "../parts/Figure";
import { PageHead } from "../parts/Page";
import { Table } from "../parts/Rows";
import { Brand, LanguageSwitch, ThemeSwitch } from "../parts/Shell";
import { Empty, Loaded } from "../parts/states";
import { number, percent } from "../parts/text";
import { Num, Time } from "../parts/values";

type Health = Schemas["Health"];

/** A count, or that it is withheld because it is small. */
function Cell({ cell, of }: { cell: Schemas["Cell"]; of?: Schemas["Cell"] }) {
  const { t } = useTranslation();
  if (cell.count == null) return <span className="faint">{t("common.withheld")}</span>;
  const share = of?.count != null ? percent(cell.count, of.count) : null;
  return (
    <>
      <Num value={cell.count} />
      {share && <span className="faint"> {share}</span>}
    </>
  );
}

export function HealthPage() {
  const { t } = useTranslation();
  const query = useHealth();
  return (
    <div className="bare">
      <div className="barehead">
        <Brand />
        <div className="controls">
          <LanguageSwitch />
          <ThemeSwitch />
        </div>
      </div>
      <main>
        <PageHead
          title={t("health.title")}
          lead={query.data && t("health.lead", { organisation: query.data.organisation })}
        />
        <Loaded query={query} lines={10}>
          {(health) =>
            health.rounds.length === 0 ? (
              <div className="sheet">
                <Empty title={t("health.emptyTitle")} text={t("health.empty")} />
              </div>
            ) : (
              <Figures health={health} />
            )
          }
        </Loaded>
      </main>
    </div>
  );
}

function Figures({ health }: { health: Health }) {
  const { t } = useTranslation();
  const last = health.rounds.at(-1);
  if (!last) return null;
  const { outcome } = health;
  const perThousand = (round: Health["rounds"][number]) =>
    round.affected.count != null && round.responders.count
      ? Math.round((10_000 * round.affected.count) / round.responders.count) / 10
      : null;
  const shown = health.kinds.filter((kind) => kind.assets.count != null);
  const outcomes: [string, Schemas["Cell"]][] = [
    [t("overview.remedied"), outcome.remedied],
    [t("overview.exposureEnded"), outcome.exposure_ended],
    [t("condition.affected"), outcome.affected],
    [t("condition.unobservable"), outcome.unobservable],
  ];
  return (
    <>
      <div className="sheet circle four">
        <div>
          <div className="label">{t("health.addresses")}</div>
          <div className="value">{number(last.addresses)}</div>
          <div className="of">
            {t("health.coverage")} {number(last.coverage_percent, last.coverage_percent === 100 ? 0 : 1)}&#8239;%
          </div>
        </div>
        <div>
          <div className="label">{t("health.responders")}</div>
          <div className="value">{last.responders.count == null ? "–" : number(last.responders.count)}</div>
          <div className="of">
            {last.responders.count == null
              ? t("common.withheld")
              : t("overview.respondersOf", { percent: percent(last.responders.count, last.addresses) ?? "–" })}
          </div>
        </div>
        <div>
          <div className="label">{t("health.affected")}</div>
          <div className="value">{last.affected.count == null ? "–" : number(last.affected.count)}</div>
          <div className="of">
            {last.affected.count == null
              ? t("common.withheld")
              : t("health.perThousand", { rate: number(perThousand(last) ?? 0, 1) })}
          </div>
        </div>
        <div>
          <div className="label">{t("overview.remedied")}</div>
          <div className="value">{outcome.remedied.count == null ? "–" : number(outcome.remedied.count)}</div>
          <div className="of">
            {outcome.notified.count == null
              ? t("common.withheld")
              : t("health.of", { of: number(outcome.notified.count) })}
          </div>
        </div>
      </div>

      <div className="two" style={{ marginTop: "1.25rem" }}>
        <Figure
          id="rounds"
          title={t("health.roundsTitle")}
          unit={t("health.roundsUnit")}
          source={t("health.roundsSource")}
          table={
            <Table
              caption={t("health.roundsTitle")}
              rows={health.rounds}
              id={(row) => String(row.round)}
              columns={[
                { name: t("health.round"), head: true, cell: (row) => t("common.round", { round: row.round }) },
                { name: t("health.ended"), cell: (row) => <Time at={row.ended_at} /> },
                { name: t("health.addresses"), num: true, cell: (row) => <Num value={row.addresses} /> },
                {
                  name: t("health.coverage"),
                  num: true,
                  cell: (row) => `${number(row.coverage_percent, 1)}\u202f%`,
                },
                { name: t("health.responders"), num: true, cell: (row) => <Cell cell={row.responders} /> },
                { name: t("health.affected"), num: true, cell: (row) => <Cell cell={row.affected} /> },
              ]}
            />
          }
        >
          <Plot
            label={t("health.roundsTitle")}
            height={220}
            spec={{
              type: "lines",
              categories: health.rounds.map((row) => t("common.round", { round: row.round })),
              series: [
                { name: t("health.roundsUnit"), values: health.rounds.map(perThousand), style: "solid", area: true },
              ],
            }}
          />
        </Figure>
        <Figure
          id="kinds"
          title={t("health.kindsTitle")}
          unit={t("health.kindsUnit")}
          source={t("health.kindsSource", { round: last.round })}
          table={
            <Table
              caption={t("health.kindsTitle")}
              rows={health.kinds}
              id={(row) => row.kind}
              columns={[
                { name: t("overview.kindColumn"), head: true, cell: (row) => t(`kind.${row.kind}`) },
                { name: t("surveys.devices"), num: true, cell: (row) => <Cell cell={row.assets} /> },
              ]}
            />
          }
        >
          <Plot
            label={t("health.kindsTitle")}
            height={Math.max(120, shown.length * 30 + 12)}
            spec={{
              type: "bars",
              categories: shown.map((row) => t(`kind.${row.kind}`)),
              values: shown.map((row) => row.assets.count ?? 0),
            }}
          />
        </Figure>
      </div>

      <section className="section">
        <div className="sectionhead">
          <h2>{t("health.outcomeTitle")}</h2>
          <span className="small quiet">
            {t("common.source")}: {t("health.outcomeSource")}
          </span>
        </div>
        <div className="sheet">
          <Table
            caption={t("health.outcomeTitle")}
            rows={outcomes}
            id={([name]) => name}
            columns={[
              { name: t("overview.outcomeColumn"), head: true, cell: ([name]) => name },
              { name: t("nav.cases"), num: true, cell: ([, cell]) => <Cell cell={cell} /> },
              {
                name: t("overview.ofNotified"),
                num: true,
                cell: ([, cell]) =>
                  cell.count != null && outcome.notified.count != null
                    ? (percent(cell.count, outcome.notified.count) ?? "–")
                    : "–",
              },
            ]}
          />
        </div>
        <p className="small quiet" style={{ marginTop: "0.5rem" }}>
          {t("overview.outcomeNote")}
        </p>
      </section>

      <p className="small quiet" style={{ marginTop: "2rem" }}>
        {t("health.rule", { threshold: health.threshold })} {t("common.asOf")}: <Time at={health.as_of} />
      </p>
    </>
  );
}

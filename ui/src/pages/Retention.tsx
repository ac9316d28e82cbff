import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Schemas } from "../api/client";
import { useRetention } from "../api/queries";
import { keep } from "../parts/Figure";
import { Icon } from "../parts/Icon";
import { Facts, PageHead, Section } from "../parts/Page";
import { Table, type Column } from "../parts/Rows";
import { Loaded } from "../parts/states";
import { keptFor, proofs, rules, type Proof, type Rule } from "../parts/retention";
import { bytes, csv, written } from "../parts/text";
import { Num, Said, Time } from "../parts/values";

/** For how long what is kept, what holds suspend it, and what was erased, with its proof. */
export function RetentionPage() {
  const { t } = useTranslation();
  const query = useRetention();
  return (
    <>
      <PageHead title={t("retention.title")} lead={t("retention.lead")} />
      <Loaded query={query} lines={12}>
        {(view) => (
          <>
            <Policy view={view} />
            <DueNow rows={view.due} />
            <Holds rows={view.holds} />
            {view.open.length > 0 && <UnderWay rows={view.open} />}
            <Proofs rows={proofs(view.proofs)} fault={view.fault ?? null} />
          </>
        )}
      </Loaded>
    </>
  );
}

/** Rows as a table, and the same as CSV; or a sentence where there are none. */
function Sheet<T>({
  title,
  aside,
  none,
  rows,
  id,
  columns,
  file,
  cells,
  children,
}: {
  title: string;
  aside?: string;
  none: string;
  rows: T[];
  id: (row: T) => string;
  columns: Column<T>[];
  file: string;
  /** Names and values of the file. */
  cells: { names: string[]; row: (row: T) => (string | number)[] };
  children?: React.ReactNode;
}) {
  return (
    <Section
      title={title}
      aside={
        <>
          {aside}{" "}
          {rows.length > 0 && (
            <button
              type="button"
              className="link"
              aria-label={`CSV: ${title}`}
              onClick={() => keep(`kenshin-${file}.csv`, csv([cells.names, ...rows.map(cells.row)]))}
            >
              CSV
            </button>
          )}
        </>
      }
    >
      {children}
      <div className="sheet">
        {rows.length === 0 ? <p className="pad quiet">{none}</p> : <Table caption={title} rows={rows} id={id} columns={columns} />}
      </div>
    </Section>
  );
}

/** A table of the lake, and of blobs the class. */
function What({ table, kind }: { table: string; kind: string | null | undefined }) {
  const { t, i18n } = useTranslation();
  const name = `retention.table.${kind ? `${table}-${kind}` : table}`;
  const code = kind ? `${table}/${kind}` : table;
  return (
    <>
      {i18n.exists(name) ? t(name) : <Said value={code} />}
      <code className="under">
        <Said value={code} />
      </code>
    </>
  );
}

function MandateOf({ id }: { id: string | null | undefined }) {
  const { t } = useTranslation();
  if (!id) return <span className="quiet">{t("retention.everyMandate")}</span>;
  return (
    <Link to={`/mandates/${encodeURIComponent(id)}`}>
      <Said value={id} />
    </Link>
  );
}

function Policy({ view }: { view: Schemas["RetentionView"] }) {
  const { t } = useTranslation();
  const told = (rule: Rule) => {
    if (rule.follows) return t("retention.follows");
    const kept = keptFor(rule.keep);
    return kept === null ? rule.keep : t(`retention.${kept.unit}`, { count: kept.count });
  };
  return (
    <Sheet
      title={t("retention.policy")}
      aside={t("retention.policyAside")}
      none=""
      rows={rules(view)}
      id={(rule) => `${rule.mandate ?? ""} ${rule.table} ${rule.kind ?? ""}`}
      columns={[
        { name: t("retention.what"), head: true, cell: (rule) => <What table={rule.table} kind={rule.kind} /> },
        { name: t("field.mandate"), cell: (rule) => <MandateOf id={rule.mandate} /> },
        { name: t("retention.keep"), cell: (rule) => <Said value={told(rule)} /> },
      ]}
      file="retention"
      cells={{
        names: ["table", "class", "mandate_id", "keep"],
        row: (rule) => [rule.table, rule.kind ?? "", rule.mandate ?? "", rule.follows ? "observations" : rule.keep],
      }}
    />
  );
}

function DueNow({ rows }: { rows: Schemas["DueRow"][] }) {
  const { t } = useTranslation();
  return (
    <Sheet
      title={t("retention.due")}
      aside={t("retention.dueAside")}
      none={t("retention.dueNone")}
      rows={rows}
      id={(row) => [row.table, row.month, row.mandate_id, row.class].join(" ")}
      columns={[
        { name: t("retention.what"), head: true, cell: (row) => <What table={row.table} kind={row.class} /> },
        { name: t("retention.month"), cell: (row) => <span className="nowrap"><Said value={row.month ?? "–"} /></span> },
        { name: t("field.mandate"), cell: (row) => <Said value={row.mandate_id ?? "–"} /> },
        { name: t("retention.rows"), num: true, cell: (row) => <Num value={row.rows} /> },
        { name: t("retention.bytes"), num: true, cell: (row) => bytes(row.bytes) },
        {
          name: t("retention.heldBy"),
          cell: (row) =>
            row.held_by.length === 0 ? <span className="faint">–</span> : <code><Said value={row.held_by.map((id) => `…${id.slice(-6)}`).join(" ")} /></code>,
        },
      ]}
      file="retention-due"
      cells={{
        names: ["table", "class", "month", "mandate_id", "files", "rows", "bytes", "keep", "held_by"],
        row: (row) => [row.table, row.class ?? "", row.month ?? "", row.mandate_id ?? "", row.files, row.rows, row.bytes, row.keep, row.held_by.join(" ")],
      }}
    />
  );
}

function Holds({ rows }: { rows: Schemas["HoldRow"][] }) {
  const { t } = useTranslation();
  const of = (row: Schemas["HoldRow"]) =>
    [
      row.mandate_id && `${t("field.mandate")} ${row.mandate_id}`,
      (row.from || row.to) && `${row.from ?? "…"} – ${row.to ?? "…"}`,
      row.survey_id && `${t("field.survey")} …${row.survey_id.slice(-6)}`,
      row.prefix,
    ]
      .filter(Boolean)
      .join(" · ");
  return (
    <Sheet
      title={t("retention.holds")}
      aside={t("retention.holdsAside")}
      none={t("retention.holdsNone")}
      rows={rows}
      id={(row) => row.hold_id}
      columns={[
        { name: t("retention.held"), head: true, cell: (row) => <Said value={of(row)} /> },
        { name: t("retention.why"), cell: (row) => <Said value={row.reason} /> },
        { name: t("retention.since"), cell: (row) => <Time at={row.created_at} day /> },
        { name: t("retention.id"), cell: (row) => <code title={written(row.hold_id)}>…<Said value={row.hold_id.slice(-6)} /></code> },
      ]}
      file="retention-holds"
      cells={{
        names: ["hold_id", "mandate_id", "from", "to", "survey_id", "prefix", "reason", "created_at"],
        row: (row) => [row.hold_id, row.mandate_id ?? "", row.from ?? "", row.to ?? "", row.survey_id ?? "", row.prefix ?? "", row.reason, row.created_at],
      }}
    />
  );
}

/** How far an erasure has come. */
function OpenState({ word }: { word: string }) {
  const { t, i18n } = useTranslation();
  const key = `erasureState.${word}`;
  return (
    <span className="tag">
      <Said value={i18n.exists(key) ? t(key) : word} />
    </span>
  );
}

function UnderWay({ rows }: { rows: Schemas["ErasureRow"][] }) {
  const { t } = useTranslation();
  return (
    <Sheet
      title={t("retention.open")}
      aside={t("retention.openAside")}
      none=""
      rows={rows}
      id={(row) => row.erasure_id}
      columns={[
        { name: t("retention.id"), head: true, cell: (row) => <code><Said value={row.erasure_id} /></code> },
        { name: t("retention.state"), cell: (row) => <OpenState word={row.state} /> },
        { name: t("retention.intended"), cell: (row) => <Time at={row.intended_at} /> },
        { name: t("retention.removed"), cell: (row) => <Time at={row.removed_at} /> },
      ]}
      file="retention-open"
      cells={{
        names: ["erasure_id", "state", "intended_at", "removed_at"],
        row: (row) => [row.erasure_id, row.state, row.intended_at, row.removed_at ?? ""],
      }}
    />
  );
}

function Proofs({ rows, fault }: { rows: Proof[]; fault: string | null }) {
  const { t } = useTranslation();
  const newest = [...rows].reverse();
  return (
    <Sheet
      title={t("retention.proofs")}
      aside={t("retention.proofsAside")}
      none={t("retention.proofsNone")}
      rows={newest}
      id={(row) => row.sha256}
      columns={[
        { name: t("retention.number"), num: true, cell: (row) => row.number ?? "–" },
        { name: t("retention.what"), head: true, cell: (row) => <What table={row.table} kind={row.kind} /> },
        { name: t("retention.month"), cell: (row) => <span className="nowrap"><Said value={row.month ?? "–"} /></span> },
        { name: t("field.mandate"), cell: (row) => <Said value={row.mandate ?? "–"} /> },
        { name: t("retention.rows"), num: true, cell: (row) => <Num value={row.rows} /> },
        { name: t("retention.erased"), cell: (row) => <Time at={row.erased} /> },
        { name: t("retention.proof"), cell: (row) => <Statement row={row} /> },
      ]}
      file="retention-proofs"
      cells={{
        names: ["number", "table", "class", "month", "mandate_id", "files", "rows", "batches", "unproven", "asked_by", "removed_at", "erased_at", "sha256", "sensor_id", "public_key", "signature", "statement"],
        row: (row) => [
          row.number ?? "", row.table, row.kind ?? "", row.month ?? "", row.mandate ?? "", row.files, row.rows, row.batches, row.unproven, row.asked,
          row.removed ?? "", row.erased ?? "", row.sha256, row.signed.sensor_id, row.signed.public_key, row.signed.signature, row.signed.statement,
        ],
      }}
    >
      {rows.length > 0 && (
        <div className="notice" role={fault ? "alert" : "note"} style={{ marginBottom: "0.5rem" }}>
          <Icon name={fault ? "alert" : "info"} />
          <span>{fault ? <>{t("retention.fault")}: <Said value={fault} /></> : t("retention.sound", { count: rows.length })}</span>
        </div>
      )}
    </Sheet>
  );
}

/** What is signed, by whom, and over which text. */
function Statement({ row }: { row: Proof }) {
  const { t } = useTranslation();
  return (
    <details>
      <summary className="small">
        <code><Said value={row.sha256.slice(0, 10)} />…</code>
      </summary>
      <div className="statement-of">
        <Facts
          stack
          rows={[
            ["SHA-256", <code key="d" className="long"><Said value={row.sha256} /></code>],
            [t("retention.batches"), <Num key="b" value={row.batches} />],
            [t("retention.files"), <Num key="f" value={row.files} />],
            [t("retention.asked"), <Said key="a" value={row.asked} />],
            [t("retention.removed"), <Time key="r" at={row.removed} seconds />],
            [t("retention.key"), <code key="k" className="long"><Said value={row.signed.public_key} /></code>],
            [t("retention.signature"), <code key="s" className="long"><Said value={row.signed.signature} /></code>],
            [t("retention.text"), <code key="t" className="long"><Said value={row.signed.statement} /></code>],
          ]}
        />
      </div>
    </details>
  );
}

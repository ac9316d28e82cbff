// The head of a page and its sections.

import { useEffect, type ReactNode } from "react";
import { Link } from "react-router";

export function PageHead({
  title,
  name,
  lead,
  crumb,
  children,
}: {
  title: ReactNode;
  /** Title of the browser tab, when `title` is more than text. */
  name?: string;
  lead?: ReactNode;
  crumb?: { to: string; text: string };
  children?: ReactNode;
}) {
  const tab = name ?? (typeof title === "string" ? title : "");
  useEffect(() => {
    document.title = tab ? `${tab} – Kenshin` : "Kenshin";
  }, [tab]);
  return (
    <header className="head">
      <div>
        {crumb && (
          <div className="crumbs">
            <Link to={crumb.to}>{crumb.text}</Link>
            <span aria-hidden="true">/</span>
          </div>
        )}
        <h1>{title}</h1>
        {lead && <p className="lead">{lead}</p>}
      </div>
      {children && <div className="controls">{children}</div>}
    </header>
  );
}

export function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
  return (
    <section className="section">
      <div className="sectionhead">
        <h2>{title}</h2>
        {aside && <span className="quiet small">{aside}</span>}
      </div>
      {children}
    </section>
  );
}

/** Name and value pairs; pairs without a value are left out. */
export function Facts({ rows, stack = false }: { rows: [string, ReactNode][]; stack?: boolean }) {
  return (
    <dl className={stack ? "facts stack" : "facts"}>
      {rows
        .filter(([, value]) => value !== null && value !== undefined && value !== false)
        .map(([name, value]) => (
          <div key={name} style={{ display: "contents" }}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

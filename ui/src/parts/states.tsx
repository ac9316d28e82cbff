// Empty, loading and error states.

import { Button } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link, useLocation } from "react-router";

import { Failure } from "../api/client";
import { Icon } from "./Icon";
import { Said } from "./values";

export function Empty({ title, text, children }: { title: string; text: string; children?: ReactNode }) {
  return (
    <div className="state">
      <Icon name="empty" size={36} />
      <h2>{title}</h2>
      <p>{text}</p>
      {children && <div className="more">{children}</div>}
    </div>
  );
}

/** Why what was typed into a form was refused; `own` has the form's own words for a code. */
export function Refused({ error, own = {} }: { error: Error | null; own?: Record<string, string> }) {
  const { t, i18n } = useTranslation();
  if (!error) return null;
  const code = error instanceof Failure ? error.code : "internal";
  const key = `problem.${code}`;
  return (
    <div className="notice" role="alert">
      <Icon name="alert" />
      <span>{own[code] ?? (i18n.exists(key) ? t(key) : t("problem.internal"))}</span>
    </div>
  );
}

export function Loading({ lines = 6 }: { lines?: number }) {
  const { t } = useTranslation();
  return (
    <div role="status" aria-live="polite" className="pad">
      <span className="hidden">{t("common.loading")}</span>
      {Array.from({ length: lines }, (_, i) => (
        <span key={i} className="skeleton" style={{ width: `${92 - ((i * 23) % 48)}%`, marginBottom: "1rem" }} />
      ))}
    </div>
  );
}

/** A sentence for a failure in the reader's language; the server's own words beside it. */
export function Trouble({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t, i18n } = useTranslation();
  const location = useLocation();
  const failure = error instanceof Failure ? error : new Failure({ code: "internal", detail: String(error) });
  const key = `problem.${failure.code}`;
  return (
    <div className="state" role="alert">
      <Icon name="alert" size={36} />
      <h2>{t("problem.title")}</h2>
      <p>{i18n.exists(key) ? t(key) : failure.message}</p>
      {failure.detail && (
        <p className="small faint">
          {t("problem.server")}: <Said value={failure.detail} />
        </p>
      )}
      <div className="more">
        {failure.code === "signed-out" ? (
          <Link to={`/sign-in?to=${encodeURIComponent(location.pathname + location.search)}`}>{t("app.signIn")}</Link>
        ) : (
          retry && (
            <Button variant="default" size="xs" onClick={retry}>
              {t("common.retry")}
            </Button>
          )
        )}
      </div>
    </div>
  );
}

/** Shows a query's data, or the state it is in. */
export function Loaded<T>({
  query,
  lines,
  children,
}: {
  query: UseQueryResult<T, Error>;
  lines?: number;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Trouble error={query.error} retry={() => void query.refetch()} />;
  return <Loading lines={lines} />;
}

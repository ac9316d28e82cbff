// Services as rows: where, what, what it says, who answers for it, since when.

import { useTranslation } from "react-i18next";
import { Link } from "react-router";

import type { Schemas } from "../api/client";
import { Table, type Column } from "../parts/Rows";
import { written } from "../parts/text";
import { Said, Time } from "../parts/values";

export type Service = Schemas["Service"];

/** What tells services apart. */
export function keyOf(service: Service): string {
  return `${service.addr} ${service.transport} ${service.port} ${service.protocol ?? ""}`;
}

/** `port/transport`, and what it speaks. */
export function PortOf({ service }: { service: Service }) {
  return (
    <>
      <span className="nowrap">
        {service.port}/<Said value={service.transport} />
      </span>
      <span className="under">
        <Said value={service.protocol ?? "–"} />
      </span>
    </>
  );
}

/** The device, its version, and the software at this port. */
export function DeviceOf({ service }: { service: Service }) {
  const device = [service.vendor, service.product, service.version].filter(Boolean).join(" ");
  const software = service.software.map((one) => [one.product, one.version].filter(Boolean).join(" ")).join(", ");
  return (
    <div className="roomy">
      {device ? <Said value={device} /> : <span className="faint">–</span>}
      {software && software !== device && (
        <span className="under">
          <Said value={software} />
        </span>
      )}
    </div>
  );
}

/** The most telling line of what it says. */
export function SaysOf({ service }: { service: Service }) {
  const lines = [service.title, service.server, service.cert_subject, service.banner].filter(
    (line): line is string => Boolean(line),
  );
  const [first, second] = lines;
  if (!first) return <span className="faint">–</span>;
  return (
    <div className="says" title={lines.map(written).join("\n")}>
      <Said value={first.slice(0, 100)} />
      {second && (
        <span className="under">
          <Said value={second.slice(0, 100)} />
        </span>
      )}
    </div>
  );
}

/** How it was when it was last asked. */
export function StateOf({ state }: { state: string }) {
  const { t, i18n } = useTranslation();
  const key = `outcome.${state}`;
  return (
    <span className="tag">
      <Said value={i18n.exists(key) ? t(key) : state} />
    </span>
  );
}

export function ServiceTable({
  caption,
  services,
  host = false,
  at = "",
}: {
  caption: string;
  services: Service[];
  /** All are of one host. */
  host?: boolean;
  /** The day by which they were known; hosts are shown as of then too. */
  at?: string;
}) {
  const { t } = useTranslation();
  const columns: (Column<Service> | false)[] = [
    !host && {
      name: t("field.ip"),
      head: true,
      cell: (service) => (
        <div className="owner">
          <Link to={`/hosts/${encodeURIComponent(service.addr)}${at ? `?at=${encodeURIComponent(at)}` : ""}`}>
            <code>{service.addr}</code>
          </Link>
          <span className="under">
            <Said
              value={[service.provider, service.asn ? `AS${service.asn}` : null, service.region ?? service.country]
                .filter(Boolean)
                .join(" · ")}
            />
          </span>
        </div>
      ),
    },
    { name: t("field.port"), head: host, cell: (service) => <PortOf service={service} /> },
    { name: t("search.device"), cell: (service) => <DeviceOf service={service} /> },
    { name: t("search.says"), cell: (service) => <SaysOf service={service} /> },
    {
      name: t("field.seen"),
      cell: (service) => (
        <>
          <Time at={service.seen_at} day />
          <span className="under nowrap">
            {t("search.since")} <Time at={service.first_at} day />
          </span>
          {service.state !== "answered" && <StateOf state={service.state} />}
        </>
      ),
    },
  ];
  return <Table caption={caption} rows={services} id={keyOf} columns={columns.filter((column) => column !== false)} />;
}

// What is otherwise between two states of a host. Pure; tested in test/compare.test.ts.

import type { Schemas } from "../api/client";

type Service = Schemas["Service"];

/** One thing that is otherwise. */
export interface Change {
  /** Which service: address, port, transport, protocol. */
  key: string;
  /** `port/transport protocol`. */
  place: string;
  /** Name of the search field that tells it. */
  field: string;
  /** Null: there was none. */
  before: string | null;
  after: string | null;
}

/** Search fields, and what of a service they tell. */
const TOLD: [string, (service: Service) => string | number | null | undefined][] = [
  ["state", (service) => service.state],
  ["vendor", (service) => service.vendor],
  ["product", (service) => service.product],
  ["version", (service) => service.version],
  ["title", (service) => service.title],
  ["server", (service) => service.server],
  ["status", (service) => service.status],
  ["banner", (service) => service.banner],
  ["tls", (service) => service.tls],
  ["cert-sha256", (service) => service.cert_sha256],
  ["expires", (service) => service.cert_expires_at],
  ["key", (service) => service.key_sha256],
  ["hassh", (service) => service.hassh],
  ["favicon", (service) => service.favicon],
  ["provider", (service) => service.provider],
  ["asn", (service) => service.asn],
  ["country", (service) => service.country],
];

function keyed(services: Service[]): Map<string, Service> {
  return new Map(services.map((service) => [`${service.transport} ${service.port} ${service.protocol ?? ""}`, service]));
}

/** What changed from `before` to `after`, by port; a service that is in one alone changed its state alone. */
export function compareHosts(before: Service[], after: Service[]): Change[] {
  const [old, now] = [keyed(before), keyed(after)];
  const keys = [...new Set([...old.keys(), ...now.keys()])];
  const port = (key: string) => Number(key.split(" ")[1]);
  keys.sort((a, b) => port(a) - port(b) || a.localeCompare(b));
  return keys.flatMap((key) => {
    const [one, other] = [old.get(key), now.get(key)];
    const some = one ?? other;
    if (!some) return [];
    const place = `${some.port}/${some.transport} ${some.protocol ?? ""}`.trim();
    const told = one && other ? TOLD : TOLD.slice(0, 1);
    return told.flatMap(([field, tell]) => {
      const text = (service: Service | undefined) => {
        const value = service && tell(service);
        return value === null || value === undefined ? null : String(value);
      };
      const [was, is] = [text(one), text(other)];
      return was === is ? [] : [{ key, place, field, before: was, after: is }];
    });
  });
}

/** A value and how often each of two queries finds it. */
export interface Pair {
  value: string;
  left: number;
  right: number;
}

/** Two counts beside each other, the most frequent in either first. */
export function compareFacets(left: { value: string; count: number }[], right: { value: string; count: number }[]): Pair[] {
  const pairs = new Map<string, Pair>();
  for (const { value, count } of left) pairs.set(value, { value, left: count, right: 0 });
  for (const { value, count } of right) {
    const pair = pairs.get(value);
    if (pair) pair.right = count;
    else pairs.set(value, { value, left: 0, right: count });
  }
  const most = (pair: Pair) => Math.max(pair.left, pair.right);
  return [...pairs.values()].sort((a, b) => most(b) - most(a) || a.value.localeCompare(b.value));
}

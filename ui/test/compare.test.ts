import { describe, expect, it } from "vitest";

import { compareFacets, compareHosts } from "../src/explore/compare";
import type { Service } from "../src/explore/ServiceTable";

function service(port: number, changes: Partial<Service> = {}): Service {
  return { addr: "192.0.2.1", port, transport: "tcp", protocol: "http", state: "answered", software: [], ...changes } as Service;
}

describe("two states of a host", () => {
  it("differ by what each service told", () => {
    const before = [service(80, { title: "old", version: "1" }), service(23, { protocol: "telnet" }), service(443)];
    const after = [service(8080), service(80, { title: "new", version: "1" }), service(443)];
    expect(compareHosts(before, after).map(({ place, field, before, after }) => [place, field, before, after])).toEqual([
      ["23/tcp telnet", "state", "answered", null],
      ["80/tcp http", "title", "old", "new"],
      ["8080/tcp http", "state", null, "answered"],
    ]);
    expect(compareHosts(before, before)).toEqual([]);
  });
});

describe("two counts", () => {
  it("stand beside each other", () =>
    expect(
      compareFacets([{ value: "a", count: 3 }, { value: "b", count: 9 }], [{ value: "c", count: 5 }, { value: "a", count: 4 }]),
    ).toEqual([
      { value: "b", left: 9, right: 0 },
      { value: "c", left: 0, right: 5 },
      { value: "a", left: 3, right: 4 },
    ]));
});

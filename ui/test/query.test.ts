import { describe, expect, it } from "vitest";

import { bins, has, quoted, term, tokens, wanted, withOnly, withTerm, without } from "../src/explore/query";

describe("a query as it is written", () => {
  it("is split at blanks outside of quotes", () => {
    const texts = (query: string) => tokens(query).map((token) => token.text);
    expect(texts("port:23  country:JP")).toEqual(["port:23", "country:JP"]);
    expect(texts('title:"a \\" b" (x OR -y)')).toEqual(['title:"a \\" b"', "(", "x", "OR", "-y", ")"]);
    expect(texts("-(a b)")).toEqual(["-(", "a", "b", ")"]);
    expect(texts('"never closed')).toEqual(['"never closed']);
    expect(texts(" ")).toEqual([]);
  });

  it("has values in quotes where they are no plain words", () => {
    for (const [value, written] of [
      ["telnet", "telnet"],
      ["WZR-600", "WZR-600"],
      ["2020.1", "2020.1"],
      ["日本", "日本"],
      ["Nishi Net", '"Nishi Net"'],
      ['a"b\\c', '"a\\"b\\\\c"'],
      ["-x", '"-x"'],
      ["a*", '"a*"'],
      ["1..2", '"1..2"'],
      ["<script>", '"<script>"'],
      ["", '""'],
    ] as const)
      expect(quoted(value), value).toBe(written);
  });

  it("takes a term in and out again", () => {
    const telnet = term("protocol", "telnet");
    expect(withTerm("", telnet)).toBe("protocol:telnet");
    expect(withTerm("port:23 ", telnet)).toBe("port:23 protocol:telnet");
    expect(withTerm("port:23 protocol:telnet", telnet)).toBe("port:23 protocol:telnet");
    expect(withTerm("port:23 OR port:24", telnet)).toBe("(port:23 OR port:24) protocol:telnet");
    expect(withTerm("(port:23 OR port:24)", telnet)).toBe("(port:23 OR port:24) protocol:telnet");
    expect(has("port:23 protocol:telnet", telnet)).toBe(true);
    expect(has("port:23 -protocol:telnet", telnet)).toBe(false);
    expect(without("port:23 protocol:telnet x", telnet)).toBe("port:23 x");
    expect(withOnly("first:2026-01-01..2026-02-01 x", "first", "first:2026-03-01..2026-03-02")).toBe(
      "x first:2026-03-01..2026-03-02",
    );
  });

  it("knows what is being written", () => {
    const at = (marked: string) => {
      const place = marked.indexOf("|");
      return wanted(marked.replace("|", ""), place);
    };
    expect(at("po|")).toEqual({ field: null, prefix: "po", start: 0, end: 2 });
    expect(at("port:23 -pro|")).toEqual({ field: null, prefix: "pro", start: 9, end: 12 });
    expect(at("port:23 |")).toEqual({ field: null, prefix: "", start: 8, end: 8 });
    expect(at("protocol:te|l x")).toEqual({ field: "protocol", prefix: "te", start: 9, end: 12 });
    expect(at("port:23,2|")).toEqual({ field: "port", prefix: "2", start: 8, end: 9 });
    expect(at('title:"rou|')).toBe(null);
    expect(at("seen:>3|")).toBe(null);
  });
});

describe("days", () => {
  it("become bins without gaps", () => {
    expect(bins([])).toEqual([]);
    expect(bins([{ value: "2026-03-03", count: 2 }, { value: "2026-03-01", count: 1 }])).toEqual([
      { from: "2026-03-01", to: "2026-03-01", count: 1 },
      { from: "2026-03-02", to: "2026-03-02", count: 0 },
      { from: "2026-03-03", to: "2026-03-03", count: 2 },
    ]);
    const year = bins(
      Array.from({ length: 365 }, (_, i) => ({
        value: new Date(Date.UTC(2026, 0, 1 + i)).toISOString().slice(0, 10),
        count: 1,
      })),
    );
    expect(year.length).toBeLessThanOrEqual(90);
    expect(year.reduce((sum, bin) => sum + bin.count, 0)).toBe(365);
    expect(year.at(-1)?.to).toBe("2026-12-31");
  });
});

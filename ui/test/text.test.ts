import { describe, expect, it } from "vitest";

import { bytes, csv, duration, number, percent, pieces, written } from "../src/parts/text";

describe("numbers", () => {
  it.each([
    [0, 0, "0"],
    [999, 0, "999"],
    [1000, 0, "1\u202f000"],
    [1234567, 0, "1\u202f234\u202f567"],
    [-1234.56, 1, "−1\u202f234.6"],
  ])("%d with %d digits", (value, digits, text) => expect(number(value, digits)).toBe(text));

  it("a share of nothing is no number", () => expect(percent(0, 0)).toBeNull());
  it("nearly all is not all", () => expect(percent(999_999, 1_000_000)).toBe("99.9\u202f%"));
  it("nearly none is not none", () => expect(percent(1, 1_000_000)).toBe("0.1\u202f%"));
  it("all is all", () => expect(percent(7, 7)).toBe("100\u202f%"));
  it("bytes have a unit", () => expect([0, 1023, 1536, 52_428_800].map((n) => bytes(n))).toEqual(["0\u202fB", "1\u202f023\u202fB", "1.5\u202fKiB", "50.0\u202fMiB"]));
  it("durations have two units", () => expect(duration(90_061)).toBe("1\u202fd 1\u202fh"));
});

describe("received text", () => {
  const shown = (text: string) => pieces(text).map((piece) => piece.text).join("");
  it.each([
    ["login: ", "login: "],
    ["\u001b[2J", "\\x1b[2J"],
    ["a\u0000b\u007f\u009b", "a\\x00b\\x7f\\x9b"],
    ["photo\u202egpj.exe", "photo\\u202egpj.exe"],
    ["pay\u200bpal", "pay\\u200bpal"],
    ["\u2066\u2069\ufeff", "\\u2066\\u2069\\ufeff"],
    ["\ud800", "\\ud800"],
    ["\u{e0041}", "\\u{e0041}"],
    ["検診 é 😀", "検診 é 😀"],
    ["one\r\ntwo", "one\\r\\n\ntwo"],
  ])("%j", (received, expected) => expect(shown(received)).toBe(expected));

  it("keeps the line ends of our own texts", () =>
    expect(pieces("a\r\n\tb", true)).toEqual([{ text: "a\n\tb", escaped: false }]));
});

describe("CSV", () => {
  it("keeps what is hostile a text", () =>
    expect(csv([["a", 1], ['x"y,z', -2], ["=1+1", "\r"]])).toBe('a,1\r\n"x""y,z",-2\r\n\'=1+1,\\r\r\n'));
  it.each([
    ["=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"],
    ["+1", "'+1"],
    ["-1", "'-1"],
    ["@SUM(A1)", "'@SUM(A1)"],
    ["＝1+1", "'＝1+1"],
    [" =1+1", "' =1+1"],
    ["\u3000=1+1", "'\u3000=1+1"],
    ["\t=1+1", "\\t=1+1"],
    ["a\n=1+1", "a\\n=1+1"],
    ["photo\u202egpj\u0000", "photo\\u202egpj\\x00"],
  ])("%j", (received, kept) => expect(csv([[received]])).toBe(`${kept}\r\n`));
});

describe("where only text can stand", () => {
  it("writes out what deceives", () => expect(written("a\u202eb\u0007")).toBe("a\\u202eb\\x07"));
});

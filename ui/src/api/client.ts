// Talks to the API. Types come from the OpenAPI document; problems become exceptions.

import createClient from "openapi-fetch";

import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** What the API says when something is wrong, or what we say when it cannot be reached. */
export class Failure extends Error {
  readonly code: string;
  readonly status: number;
  readonly detail: string | null;
  readonly hint: string | null;
  /** The part of the query that is meant, in UTF-16 units. */
  readonly span: readonly [number, number] | null;

  constructor(problem: Partial<Schemas["Problem"]>) {
    super(problem.title ?? "failed");
    this.code = problem.code ?? "unreachable";
    this.status = problem.status ?? 0;
    this.detail = problem.detail ?? null;
    this.hint = problem.hint ?? null;
    const [start, end] = problem.span ?? [];
    this.span = start === undefined || end === undefined ? null : [start, end];
  }
}

let csrf = "";

/** The token of the present session; sent with every request that changes something. */
export function keepToken(token: string): void {
  csrf = token;
}

export const api = createClient<paths>({ baseUrl: "/", credentials: "same-origin" });

api.use({
  onRequest({ request }) {
    if (request.method !== "GET" && csrf) request.headers.set("x-csrf-token", csrf);
    return request;
  },
});

/** The data of an answer, or a {@link Failure}. */
export async function take<T>(
  answer: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  let result;
  try {
    result = await answer;
  } catch {
    throw new Failure({});
  }
  if (result.response.ok) return result.data as T;
  const problem = typeof result.error === "object" && result.error !== null ? result.error : {};
  throw new Failure({ status: result.response.status, code: "internal", ...problem });
}

// What the pages ask for. One hook for each answer of the API.

import { keepPreviousData, QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";

import { api, Failure, keepToken, take, type Schemas } from "./client";

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      // A refusal stays a refusal; only trouble on the way is worth another try.
      retry: (count, error) => count < 2 && error instanceof Failure && (error.status === 0 || error.status === 503),
      refetchOnWindowFocus: true,
    },
  },
});

function useLang(): string {
  return useTranslation().i18n.language;
}

export function useSession() {
  return useQuery({
    queryKey: ["session"],
    staleTime: 60_000,
    queryFn: async () => {
      const state = await take(api.GET("/api/v1/session"));
      keepToken(state.me?.csrf ?? "");
      return state;
    },
  });
}

export function useSignIn() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: Schemas["SignIn"]) => take(api.POST("/api/v1/session", { body })),
    onSuccess: (state) => {
      keepToken(state.me?.csrf ?? "");
      queries.clear();
      queries.setQueryData(["session"], state);
    },
  });
}

export function useChangePassword() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: Schemas["PasswordChange"]) => take(api.PUT("/api/v1/session/password", { body })),
    onSuccess: (state) => {
      keepToken(state.me?.csrf ?? "");
      queries.setQueryData(["session"], state);
    },
  });
}

export function useSignOut() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => take(api.DELETE("/api/v1/session")),
    onSettled: () => {
      keepToken("");
      queries.clear();
      queries.setQueryData(["session"], { me: null });
    },
  });
}

export function useOverview() {
  return useQuery({ queryKey: ["overview"], queryFn: () => take(api.GET("/api/v1/overview")) });
}

export function useHealth() {
  return useQuery({ queryKey: ["health"], queryFn: () => take(api.GET("/api/v1/health")) });
}

type Query = Record<string, string>;

export function useFindings(query: Query) {
  return useQuery({
    queryKey: ["findings", query],
    placeholderData: keepPreviousData,
    queryFn: () => take(api.GET("/api/v1/findings", { params: { query } })),
  });
}

export function useFinding(key: string) {
  const lang = useLang();
  return useQuery({
    queryKey: ["finding", key, lang],
    placeholderData: keepPreviousData,
    queryFn: () => take(api.GET("/api/v1/findings/{key}", { params: { path: { key }, query: { lang } } })),
  });
}

export function useCases(query: Query) {
  return useQuery({
    queryKey: ["cases", query],
    placeholderData: keepPreviousData,
    queryFn: () => take(api.GET("/api/v1/cases", { params: { query } })),
  });
}

export function useCase(id: string) {
  const lang = useLang();
  return useQuery({
    queryKey: ["case", id, lang],
    placeholderData: keepPreviousData,
    queryFn: () => take(api.GET("/api/v1/cases/{id}", { params: { path: { id }, query: { lang } } })),
  });
}

export type CaseAction =
  | { act: "ack" | "dispute"; note: string }
  | { act: "close"; note: string; reason: Schemas["Close"]["reason"] }
  | { act: "recheck" };

export function useCaseAction(id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (action: CaseAction): Promise<{ job_id?: string }> => {
      const params = { path: { id } };
      switch (action.act) {
        case "ack":
          await take(api.POST("/api/v1/cases/{id}/ack", { params, body: { note: action.note } }));
          return {};
        case "dispute":
          await take(api.POST("/api/v1/cases/{id}/dispute", { params, body: { note: action.note } }));
          return {};
        case "close":
          await take(
            api.POST("/api/v1/cases/{id}/close", { params, body: { note: action.note, reason: action.reason } }),
          );
          return {};
        case "recheck":
          return await take(api.POST("/api/v1/cases/{id}/recheck", { params }));
      }
    },
    onSettled: () => {
      for (const key of ["case", "cases", "overview", "surveys"]) void queries.invalidateQueries({ queryKey: [key] });
    },
  });
}

export function useNotices(query: Query) {
  return useQuery({
    queryKey: ["notices", query],
    placeholderData: keepPreviousData,
    queryFn: () => take(api.GET("/api/v1/notices", { params: { query } })),
  });
}

export function useNotice(id: string) {
  return useQuery({
    queryKey: ["notice", id],
    queryFn: () => take(api.GET("/api/v1/notices/{id}", { params: { path: { id } } })),
  });
}

/** Whether a mail with this number and digest came from here; asked without a session. */
export function useGenuine(id: string, digest: string | null) {
  return useQuery({
    queryKey: ["genuine", id, digest],
    enabled: digest !== null,
    queryFn: () =>
      take(api.GET("/api/v1/notices/{id}/genuine", { params: { path: { id }, query: { digest: digest ?? "" } } })),
  });
}

export function useSurveys(query: Query) {
  return useQuery({
    queryKey: ["surveys", query],
    placeholderData: keepPreviousData,
    queryFn: () => take(api.GET("/api/v1/surveys", { params: { query } })),
  });
}

export function useSurvey(id: string) {
  return useQuery({
    queryKey: ["survey", id],
    queryFn: () => take(api.GET("/api/v1/surveys/{id}", { params: { path: { id } } })),
  });
}

export function useMandates(query: Query) {
  const lang = useLang();
  return useQuery({
    queryKey: ["mandates", query, lang],
    placeholderData: keepPreviousData,
    queryFn: () => take(api.GET("/api/v1/mandates", { params: { query: { ...query, lang } } })),
  });
}

export function useMandate(id: string) {
  const lang = useLang();
  return useQuery({
    queryKey: ["mandate", id, lang],
    placeholderData: keepPreviousData,
    queryFn: () => take(api.GET("/api/v1/mandates/{id}", { params: { path: { id }, query: { lang } } })),
  });
}

export function useProviders(query: Query, enabled = true) {
  return useQuery({
    queryKey: ["providers", query],
    enabled,
    placeholderData: keepPreviousData,
    queryFn: () => take(api.GET("/api/v1/providers", { params: { query } })),
  });
}

/** How long an answer about the past is not asked for again. */
const PAST_MS = 300_000;

/** A page of services. */
export function useSearch(query: { q: string; sort?: string; after?: string; limit?: number; at?: string }) {
  return useQuery({
    queryKey: ["search", query],
    placeholderData: keepPreviousData,
    // The past does not change.
    ...(query.at ? { staleTime: PAST_MS } : {}),
    queryFn: () => take(api.GET("/api/v1/search", { params: { query } })),
  });
}

/** How many services a query finds, by fields; `fields` as the API takes them, `at` the day by which it was known. */
export function useFacets(q: string, fields: string, enabled = true, at = "") {
  return useQuery({
    queryKey: ["facets", q, fields, at],
    enabled,
    placeholderData: keepPreviousData,
    ...(at ? { staleTime: PAST_MS } : {}),
    queryFn: () =>
      take(api.GET("/api/v1/search/facets", { params: { query: { q, fields, ...(at ? { at } : {}) } } })),
  });
}

/** The fields that queries can name. */
export function useFields() {
  return useQuery({
    queryKey: ["fields"],
    staleTime: Infinity,
    queryFn: () => take(api.GET("/api/v1/search/fields")),
  });
}

export function useSavedSearches(query: Query) {
  return useQuery({
    queryKey: ["searches", query],
    placeholderData: keepPreviousData,
    queryFn: () => take(api.GET("/api/v1/searches", { params: { query } })),
  });
}

export function useSavedSearch(id: string) {
  return useQuery({
    queryKey: ["saved-search", id],
    queryFn: () => take(api.GET("/api/v1/searches/{id}", { params: { path: { id } } })),
  });
}

export function useSaveSearch() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: Schemas["NewSavedSearch"]) => take(api.POST("/api/v1/searches", { body })),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["searches"] }),
  });
}

export type SearchAction = "check" | "enable" | "disable" | "delete";

export function useSearchAction(id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (action: SearchAction): Promise<{ looked?: Schemas["LookRow"] }> => {
      const params = { path: { id } };
      switch (action) {
        case "check":
          return { looked: await take(api.POST("/api/v1/searches/{id}/check", { params })) };
        case "enable":
          await take(api.POST("/api/v1/searches/{id}/enable", { params }));
          return {};
        case "disable":
          await take(api.POST("/api/v1/searches/{id}/disable", { params }));
          return {};
        case "delete":
          await take(api.DELETE("/api/v1/searches/{id}", { params }));
          queries.removeQueries({ queryKey: ["saved-search", id] });
          return {};
      }
    },
    onSettled: (_data, _error, action) => {
      void queries.invalidateQueries({ queryKey: ["searches"] });
      if (action !== "delete") void queries.invalidateQueries({ queryKey: ["saved-search", id] });
    },
  });
}

/** The answer to a query in SQL. */
export function useSql(sql: string) {
  return useQuery({
    queryKey: ["sql", sql],
    enabled: sql !== "",
    refetchOnWindowFocus: false,
    queryFn: async () => {
      const answer = await take(api.POST("/api/v1/sql", { body: { sql, format: "json" } }));
      return { columns: answer.columns, rows: answer.rows as Record<string, unknown>[] };
    },
  });
}

/** A host, as it was known at an instant; today without one. */
export function useHost(addr: string, at?: string) {
  return useQuery({
    queryKey: ["host", addr, at],
    queryFn: () => take(api.GET("/api/v1/hosts/{addr}", { params: { path: { addr }, query: at ? { at } : {} } })),
  });
}

/** When a host was asked, and by whom. */
export function useProbes(addr: string, enabled: boolean) {
  return useQuery({
    queryKey: ["probes", addr],
    enabled,
    queryFn: () => take(api.GET("/api/v1/hosts/{addr}/probes", { params: { path: { addr } } })),
  });
}

export function useRetention() {
  return useQuery({ queryKey: ["retention"], queryFn: () => take(api.GET("/api/v1/retention")) });
}

export function useAudit(query: Query) {
  return useQuery({
    queryKey: ["audit", query],
    placeholderData: keepPreviousData,
    queryFn: () => take(api.GET("/api/v1/audit", { params: { query } })),
  });
}

// The pages and who may open them.

import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { Navigate, Outlet, Route, Routes, useLocation, useOutletContext } from "react-router";

import type { Schemas } from "./api/client";
import { useSession } from "./api/queries";
import { chooseLanguage, hasChosenLanguage } from "./i18n";
import { PageHead } from "./parts/Page";
import { Frame } from "./parts/Shell";
import { Empty, Loading, Trouble } from "./parts/states";
import { AuditPage } from "./pages/Audit";
import { CasePage } from "./pages/Case";
import { CasesPage } from "./pages/Cases";
import { ComparePage } from "./pages/Compare";
import { FindingPage } from "./pages/Finding";
import { FindingsPage } from "./pages/Findings";
import { GenuinePage } from "./pages/Genuine";
import { HealthPage } from "./pages/Health";
import { HostPage } from "./pages/Host";
import { MandatePage, MandatesPage } from "./pages/Mandates";
import { NoticePage } from "./pages/Notice";
import { NoticesPage } from "./pages/Notices";
import { OverviewPage } from "./pages/Overview";
import { PasswordForm, PasswordPage } from "./pages/Password";
import { ProvidersPage } from "./pages/Providers";
import { RetentionPage } from "./pages/Retention";
import { SavedSearchPage } from "./pages/SavedSearch";
import { SavedSearchesPage } from "./pages/SavedSearches";
import { SearchPage } from "./pages/Search";
import { SignInPage } from "./pages/SignIn";
import { SqlPage } from "./pages/Sql";
import { SurveyPage } from "./pages/Survey";
import { SurveysPage } from "./pages/Surveys";

/** Pages behind the sign-in; whoever is not signed in is led there and back. */
function Inside() {
  const session = useSession();
  const location = useLocation();
  const me = session.data?.me;
  useEffect(() => {
    if (me && !hasChosenLanguage() && (me.language === "ja" || me.language === "en")) chooseLanguage(me.language);
  }, [me]);
  if (session.error && !session.data)
    return <Trouble error={session.error} retry={() => void session.refetch()} />;
  if (!session.data) return <Loading />;
  if (!me && /^\/notices\/[^/]+$/.test(location.pathname) && new URLSearchParams(location.search).has("digest"))
    return <GenuinePage />;
  if (!me) return <Navigate to={`/sign-in?to=${encodeURIComponent(location.pathname + location.search)}`} replace />;
  return (
    <Frame me={me}>
      {me.must_change ? <PasswordForm me={me} /> : <Outlet context={me} />}
    </Frame>
  );
}

/** The figures, or what somebody may see instead. */
function FirstPage() {
  const me = useOutletContext<Schemas["Me"]>();
  return me.actions.includes("see-overview") ? <OverviewPage /> : <Navigate to="/search" replace />;
}

function NotFound() {
  const { t } = useTranslation();
  return (
    <>
      <PageHead title={t("notFound.title")} />
      <div className="sheet">
        <Empty title={t("notFound.title")} text={t("notFound.text")} />
      </div>
    </>
  );
}

export function App() {
  return (
    <Routes>
      <Route path="/sign-in" element={<SignInPage />} />
      <Route path="/health" element={<HealthPage />} />
      <Route element={<Inside />}>
        <Route index element={<FirstPage />} />
        <Route path="/search" element={<SearchPage />} />
        <Route path="/searches" element={<SavedSearchesPage />} />
        <Route path="/searches/:id" element={<SavedSearchPage />} />
        <Route path="/compare" element={<ComparePage />} />
        <Route path="/sql" element={<SqlPage />} />
        <Route path="/hosts/:addr" element={<HostPage />} />
        <Route path="/findings" element={<FindingsPage />} />
        <Route path="/findings/:key" element={<FindingPage />} />
        <Route path="/cases" element={<CasesPage />} />
        <Route path="/cases/:id" element={<CasePage />} />
        <Route path="/notices" element={<NoticesPage />} />
        <Route path="/notices/:id" element={<NoticePage />} />
        <Route path="/surveys" element={<SurveysPage />} />
        <Route path="/surveys/:id" element={<SurveyPage />} />
        <Route path="/mandates" element={<MandatesPage />} />
        <Route path="/mandates/:id" element={<MandatePage />} />
        <Route path="/providers" element={<ProvidersPage />} />
        <Route path="/retention" element={<RetentionPage />} />
        <Route path="/audit" element={<AuditPage />} />
        <Route path="/password" element={<PasswordPage />} />
        <Route path="*" element={<NotFound />} />
      </Route>
    </Routes>
  );
}

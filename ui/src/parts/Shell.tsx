// The frame around the pages: navigation, language, appearance, who is signed in.

import { useMantineColorScheme, type MantineColorScheme } from "@mantine/core";
import { useEffect, useRef, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link, NavLink, useLocation, useNavigate } from "react-router";

import type { Schemas } from "../api/client";
import { useSignOut } from "../api/queries";
import { chooseLanguage, LANGUAGES, type Language } from "../i18n";
import { Icon, Mark, type IconName } from "./Icon";

const PAGES: { to: string; name: IconName; action: string }[] = [
  { to: "/", name: "overview", action: "see-overview" },
  { to: "/search", name: "search", action: "search" },
  { to: "/findings", name: "findings", action: "see-findings" },
  { to: "/cases", name: "cases", action: "see-cases" },
  { to: "/notices", name: "notices", action: "see-notices" },
  { to: "/surveys", name: "surveys", action: "see-surveys" },
  { to: "/mandates", name: "mandates", action: "see-mandates" },
  { to: "/providers", name: "providers", action: "see-providers" },
  { to: "/retention", name: "retention", action: "see-retention" },
  { to: "/audit", name: "audit", action: "see-audit" },
];

export function LanguageSwitch() {
  const { t, i18n } = useTranslation();
  return (
    <div className="toggle" role="group" aria-label={t("app.language")}>
      {(Object.keys(LANGUAGES) as Language[]).map((tag) => (
        <button
          key={tag}
          type="button"
          lang={tag}
          aria-pressed={i18n.language === tag}
          onClick={() => chooseLanguage(tag)}
        >
          {LANGUAGES[tag]}
        </button>
      ))}
    </div>
  );
}

const SCHEMES: { scheme: MantineColorScheme; icon: IconName }[] = [
  { scheme: "auto", icon: "auto" },
  { scheme: "light", icon: "sun" },
  { scheme: "dark", icon: "moon" },
];

export function ThemeSwitch() {
  const { t } = useTranslation();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <div className="toggle" role="group" aria-label={t("app.theme.label")}>
      {SCHEMES.map(({ scheme, icon }) => (
        <button
          key={scheme}
          type="button"
          aria-pressed={colorScheme === scheme}
          aria-label={t(`app.theme.${scheme}`)}
          title={t(`app.theme.${scheme}`)}
          onClick={() => setColorScheme(scheme)}
        >
          <Icon name={icon} size={14} />
        </button>
      ))}
    </div>
  );
}

export function Brand() {
  const { t } = useTranslation();
  return (
    <Link to="/" className="brand">
      <Mark />
      {t("app.name")}
    </Link>
  );
}

export function Frame({ me, children }: { me: Schemas["Me"]; children: ReactNode }) {
  const { t } = useTranslation();
  const signOut = useSignOut();
  const navigate = useNavigate();
  const main = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  // A new page begins at its top. (Nothing is returned: new browsers give a promise here.)
  useEffect(() => {
    window.scrollTo(0, 0);
  }, [pathname]);
  return (
    <div className="frame">
      <a
        className="skip"
        href="#content"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {t("app.skip")}
      </a>
      <header className="side">
        <Brand />
        <nav aria-label={t("app.navigation")}>
          {PAGES.filter((page) => !me.must_change && me.actions.includes(page.action)).map((page) => (
            <NavLink key={page.to} to={page.to} end={page.to === "/"}>
              <Icon name={page.name} />
              {t(`nav.${page.name}`)}
            </NavLink>
          ))}
        </nav>
        <div className="foot">
          <div className="who">
            <b>{me.name}</b>
            <span className="small quiet">
              {t(`role.${me.role}`)} · {me.organisation}
            </span>
            {me.mandates.length > 0 && (
              <span className="small quiet">
                {t(me.community ? "app.shared" : "app.limited", {
                  mandates: me.mandates.join(", "),
                  community: me.community ?? "",
                })}
              </span>
            )}
          </div>
          <div className="controls" style={{ flexWrap: "wrap" }}>
            <LanguageSwitch />
            <ThemeSwitch />
          </div>
          <div className="controls small" style={{ flexWrap: "wrap", rowGap: "0.25rem" }}>
            <Link to="/health">{t("app.publicPage")}</Link>
            <Link to="/password">{t("password.title")}</Link>
            <button
              type="button"
              className="link"
              disabled={signOut.isPending}
              onClick={() => signOut.mutate(undefined, { onSettled: () => void navigate("/sign-in") })}
            >
              {t("app.signOut")}
            </button>
          </div>
        </div>
      </header>
      <main className="main" id="content" tabIndex={-1} ref={main} style={{ outline: "none" }}>
        {children}
      </main>
    </div>
  );
}

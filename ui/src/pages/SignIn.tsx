import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useState, type FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { Link, Navigate, useNavigate, useSearchParams } from "react-router";

import { Failure } from "../api/client";
import { useSession, useSignIn } from "../api/queries";
import { Icon } from "../parts/Icon";
import { PageHead } from "../parts/Page";
import { Brand, LanguageSwitch, ThemeSwitch } from "../parts/Shell";

/** Only a path of ours: a link may not send people elsewhere after they signed in. */
function inside(to: string | null): string {
  return to && /^\/(?![/\\])/.test(to) ? to : "/";
}

export function SignInPage() {
  const { t, i18n } = useTranslation();
  const [params] = useSearchParams();
  const navigate = useNavigate();
  const session = useSession();
  const signIn = useSignIn();
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const to = inside(params.get("to"));
  if (session.data?.me) return <Navigate to={to} replace />;

  const submit = (event: FormEvent) => {
    event.preventDefault();
    signIn.mutate({ login, password }, { onSuccess: () => void navigate(to, { replace: true }) });
  };
  const failure = signIn.error instanceof Failure ? signIn.error : null;
  const key = `problem.${failure?.code}`;
  return (
    <div className="sign-in">
      <div className="bare barehead" style={{ width: "100%", marginBottom: 0, paddingBottom: 0 }}>
        <Brand />
        <div className="controls">
          <LanguageSwitch />
          <ThemeSwitch />
        </div>
      </div>
      <main>
        <form onSubmit={submit}>
          <PageHead title={t("signIn.title")} lead={t("app.tagline")} />
          <TextInput
            label={t("signIn.login")}
            name="login"
            autoComplete="username"
            autoFocus
            required
            withAsterisk={false}
            maxLength={100}
            value={login}
            onChange={(event) => setLogin(event.currentTarget.value)}
          />
          <PasswordInput
            label={t("signIn.password")}
            name="password"
            autoComplete="current-password"
            required
            withAsterisk={false}
            maxLength={1000}
            value={password}
            onChange={(event) => setPassword(event.currentTarget.value)}
          />
          {signIn.error && (
            <div className="notice" role="alert">
              <Icon name="alert" />
              <span>{failure && i18n.exists(key) ? t(key) : t("problem.internal")}</span>
            </div>
          )}
          <Button type="submit" loading={signIn.isPending}>
            {t("signIn.submit")}
          </Button>
          <p className="small faint">{t("signIn.hint")}</p>
          <p className="small">
            <Link to="/health">{t("app.publicPage")}</Link>
          </p>
        </form>
      </main>
    </div>
  );
}

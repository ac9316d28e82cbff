import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useState, type FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { Link, Navigate, useNavigate, useSearchParams } from "react-router";

import { useSession, useSignIn } from "../api/queries";
import { PageHead } from "../parts/Page";
import { Brand, LanguageSwitch, ThemeSwitch } from "../parts/Shell";
import { Refused } from "../parts/states";

/** Only a path of ours: a link may not send people elsewhere after they signed in. */
function inside(to: string | null): string {
  return to && /^\/(?![/\\])/.test(to) ? to : "/";
}

export function SignInPage() {
  const { t } = useTranslation();
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
          <Refused error={signIn.error} />
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

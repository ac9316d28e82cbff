// A password of one's own: the first one was chosen by whoever made the account.

import { Button, PasswordInput } from "@mantine/core";
import { useState, type FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { useOutletContext } from "react-router";

import type { Schemas } from "../api/client";
import { useChangePassword } from "../api/queries";
import { PageHead } from "../parts/Page";
import { Refused } from "../parts/states";

/** As the server has it. */
const LEAST = 10;

export function PasswordPage() {
  const me = useOutletContext<Schemas["Me"]>();
  return <PasswordForm me={me} />;
}

/** Asks for the present password and a new one, typed twice. */
export function PasswordForm({ me }: { me: Schemas["Me"] }) {
  const { t } = useTranslation();
  const change = useChangePassword();
  const [current, setCurrent] = useState("");
  const [first, setFirst] = useState("");
  const [again, setAgain] = useState("");
  // Hints appear when one tries, not while one types.
  const [tried, setTried] = useState(false);
  const short = first.length < LEAST ? t("password.short", { least: LEAST }) : null;
  const same = first !== "" && first === current ? t("password.same") : null;
  const differs = first !== again ? t("password.differs") : null;

  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (short || same || differs) return;
    change.mutate(
      { current, new: first },
      {
        onSuccess: () => {
          setCurrent("");
          setFirst("");
          setAgain("");
          setTried(false);
        },
      },
    );
  };
  return (
    <>
      <PageHead
        title={t("password.title")}
        lead={me.must_change ? t("password.given") : t("password.lead", { login: me.login })}
      />
      <form className="sheet pad stack password" onSubmit={submit} noValidate>
        {/* For password managers: whose password it is. */}
        <input type="text" name="login" autoComplete="username" value={me.login} readOnly hidden />
        <PasswordInput
          label={t("password.current")}
          name="current"
          autoComplete="current-password"
          autoFocus
          required
          withAsterisk={false}
          maxLength={1000}
          value={current}
          onChange={(event) => setCurrent(event.currentTarget.value)}
        />
        <PasswordInput
          label={t("password.new")}
          description={t("password.rule", { least: LEAST })}
          name="new"
          autoComplete="new-password"
          required
          withAsterisk={false}
          maxLength={1000}
          error={tried && (short ?? same)}
          value={first}
          onChange={(event) => setFirst(event.currentTarget.value)}
        />
        <PasswordInput
          label={t("password.again")}
          name="again"
          autoComplete="new-password"
          required
          withAsterisk={false}
          maxLength={1000}
          error={tried && differs}
          value={again}
          onChange={(event) => setAgain(event.currentTarget.value)}
        />
        <Refused error={change.error} own={{ "wrong-password": t("password.wrong") }} />
        {change.isSuccess && <p role="status">{t("password.changed")}</p>}
        <div>
          <Button type="submit" loading={change.isPending}>
            {t("password.submit")}
          </Button>
        </div>
      </form>
    </>
  );
}

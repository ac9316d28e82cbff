// Where the link in a notice leads: whoever got the mail can see that it is genuine, without a
// session and without learning anything else.

import { useTranslation } from "react-i18next";
import { Link, useLocation, useParams, useSearchParams } from "react-router";

import { useGenuine } from "../api/queries";
import { Icon, Mark } from "../parts/Icon";
import { PageHead } from "../parts/Page";
import { Brand, LanguageSwitch, ThemeSwitch } from "../parts/Shell";
import { Loaded } from "../parts/states";

export function GenuinePage() {
  const { t } = useTranslation();
  const { id = "" } = useParams();
  const [params] = useSearchParams();
  const location = useLocation();
  const digest = params.get("digest");
  const query = useGenuine(id, digest);
  return (
    <div className="bare">
      <div className="barehead">
        <Brand />
        <div className="controls">
          <LanguageSwitch />
          <ThemeSwitch />
        </div>
      </div>
      <main>
        <PageHead title={t("genuine.title")} />
        <div className="sheet">
          <Loaded query={query} lines={3}>
            {({ genuine }) => (
              <div className="state">
                {genuine ? <Mark size={36} /> : <Icon name="alert" size={36} />}
                <h2>{genuine ? t("genuine.yes") : t("genuine.no")}</h2>
                <p>{genuine ? t("genuine.yesText") : t("genuine.noText")}</p>
                <p className="small">
                  <code>{id}</code>
                </p>
                <div className="more">
                  <Link to={`/sign-in?to=${encodeURIComponent(location.pathname)}`}>{t("genuine.signIn")}</Link>
                </div>
              </div>
            )}
          </Loaded>
        </div>
      </main>
    </div>
  );
}

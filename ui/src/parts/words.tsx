// The closed lists of words, each with a sign whose shape (never only its colour) differs.

import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";

function Sign({ children }: { children: ReactNode }) {
  return (
    <svg width="12" height="12" viewBox="0 0 12 12" fill="none" aria-hidden="true">
      <g stroke="currentColor" strokeWidth="1.3" strokeLinecap="round" strokeLinejoin="round">
        {children}
      </g>
    </svg>
  );
}

function Word({ sign, strong = false, children }: { sign?: ReactNode; strong?: boolean; children: ReactNode }) {
  return (
    <span className="word" data-strong={strong}>
      {sign}
      {children}
    </span>
  );
}

const LEVELS = ["low", "medium", "high", "critical"];

/** How urgent: as many bars as the level. */
export function Severity({ word }: { word: string }) {
  const { t } = useTranslation();
  const level = LEVELS.indexOf(word);
  const sign = (
    <svg width="14" height="12" viewBox="0 0 14 12" aria-hidden="true">
      {LEVELS.map((name, i) => (
        <rect
          key={name}
          x={i * 3.6}
          y={8 - i * 2.2}
          width="2.4"
          height={3.5 + i * 2.2}
          fill={i <= level ? "currentColor" : "var(--line-2)"}
        />
      ))}
    </svg>
  );
  return (
    <Word sign={sign} strong={level >= 3}>
      {t(`severity.${word}`, word)}
    </Word>
  );
}

const STAGES: Record<string, ReactNode> = {
  open: <circle cx="6" cy="6" r="4.6" />,
  notified: (
    <>
      <circle cx="6" cy="6" r="4.6" />
      <path d="M6 1.4A4.6 4.6 0 0 1 10.6 6H6Z" fill="currentColor" />
    </>
  ),
  acknowledged: (
    <>
      <circle cx="6" cy="6" r="4.6" />
      <path d="M6 1.4a4.6 4.6 0 0 1 0 9.2Z" fill="currentColor" />
    </>
  ),
  disputed: <path d="M6 1 11 6 6 11 1 6ZM6 4.2v2.2m0 1.5v.1" />,
  closed: <circle cx="6" cy="6" r="4.6" fill="currentColor" />,
};

/** How far a case is with people. */
export function Stage({ word }: { word: string }) {
  const { t } = useTranslation();
  return (
    <Word sign={<Sign>{STAGES[word]}</Sign>} strong={word === "disputed"}>
      {t(`stage.${word}`, word)}
    </Word>
  );
}

const CONDITIONS: Record<string, ReactNode> = {
  affected: <path d="M6 1.4 11 10.4H1Z" fill="currentColor" />,
  clean: <path d="M1.5 6.5 4.6 9.6 10.5 2.8" />,
  "service-gone": <path d="M6 1.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6ZM2.7 9.3l6.6-6.6" />,
  unobservable: <path strokeDasharray="1.6 2.1" d="M6 1.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6Z" />,
  elsewhere: <path d="M1 6h9M6.8 2.8 10.4 6 6.8 9.2" />,
  replaced: <path d="M1 4h8.5M7.4 1.6 9.8 4 7.4 6.4M11 8H2.5m2.1-2.4L2.2 8l2.4 2.4" />,
};

/** What a re-check saw. */
export function Condition({ word }: { word: string }) {
  const { t } = useTranslation();
  return (
    <span title={t(`conditionMeaning.${word}`, "")}>
      <Word sign={<Sign>{CONDITIONS[word]}</Sign>} strong={word === "affected"}>
        {t(`condition.${word}`, word)}
      </Word>
    </span>
  );
}

const FINDING_STATES: Record<string, ReactNode> = {
  present: <path d="M6 1.4 11 10.4H1Z" fill="currentColor" />,
  absent: <path strokeDasharray="1.6 2.1" d="M6 1.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6Z" />,
  withdrawn: <path d="M2 6h8" />,
};

/** Whether a finding holds. */
export function FindingState({ word }: { word: string }) {
  const { t } = useTranslation();
  return <Word sign={<Sign>{FINDING_STATES[word]}</Sign>}>{t(`findingState.${word}`, word)}</Word>;
}

/** A word of a list without signs. */
export function Plain({ list, word }: { list: string; word: string }) {
  const { t } = useTranslation();
  return <>{t(`${list}.${word}`, word)}</>;
}

export function Tag({ strong = false, children }: { strong?: boolean; children: ReactNode }) {
  return (
    <span className="tag" data-strong={strong}>
      {children}
    </span>
  );
}

// A few signs, drawn on a 16-pixel grid in the colour of the text. They accompany words and
// never stand for them.

const PATHS = {
  overview: "M2.5 13.5h11M4 11V8m4 3V3.5m4 7.5V6",
  search: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM2 8h12M8 2c2.3 2.2 2.3 9.8 0 12M8 2c-2.3 2.2-2.3 9.8 0 12",
  findings: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9Zm3.3-1.2 3.2 3.2M7 4.8v2.6m0 1.5v.1",
  cases: "M2.5 4.5h4l1.3 1.7h5.7v7h-11Zm0 0v-1h4",
  notices: "M2.5 4h11v8.5h-11Zm0 .5L8 8.8l5.5-4.3",
  surveys: "M8 8 12 4M8 14A6 6 0 1 1 14 8M8 11a3 3 0 1 1 3-3",
  mandates: "M4 2.5h6l2.5 2.5v8.5H4ZM6 7h4.5M6 9.5h4.5M10 2.5V5h2.5",
  providers: "M3 13.5v-8l5-3 5 3v8M6.5 13.5V10h3v3.5M6 7h.1M10 7h.1",
  retention: "M2.5 3.5h11v2.5h-11ZM3.5 6v7h9V6M6.5 8.5h3",
  audit: "M3 3.5h1M3 8h1m-1 4.5h1M6.5 3.5h7M6.5 8h7m-7 4.5h7",
  alert: "M8 2.5 14 13H2ZM8 6.5v3m0 1.7v.1",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12Zm0-6.5v3.7M8 5v.1",
  empty: "M2.5 9.5h3l1 2h3l1-2h3M2.5 9.5l2-6h7l2 6v4h-11Z",
  sun: "M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6ZM8 1.8v1.4m0 9.6v1.4M1.8 8h1.4m9.6 0h1.4M3.6 3.6l1 1m6.8 6.8 1 1m0-8.8-1 1m-6.8 6.8-1 1",
  moon: "M13 9.6A5.6 5.6 0 0 1 6.4 3 5.6 5.6 0 1 0 13 9.6Z",
  auto: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 2v12M9 4.5h2.3M9 7h3.7M9 9.5h3.5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" fill="none" aria-hidden="true">
      <path
        d={PATHS[name]}
        stroke="currentColor"
        strokeWidth={size > 24 ? 0.8 : 1.3}
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}

/** The circle that closes. */
export function Mark({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill="none" aria-hidden="true">
      <g stroke="currentColor" strokeWidth="2.4" strokeLinecap="round" strokeLinejoin="round">
        <path d="M19.6 8.2A8.6 8.6 0 1 0 20.4 13" />
        <path d="M8.2 12.2l2.9 2.9 8.3-8.6" />
      </g>
    </svg>
  );
}

/** What a chart shows; how it looks is Chart.tsx's matter. */
export type ChartSpec =
  | {
      type: "lines";
      categories: string[];
      series: { name: string; values: (number | null)[]; style: "solid" | "dashed"; area?: boolean }[];
    }
  | { type: "bars"; categories: string[]; values: number[]; notes?: string[] };

// Draws with ECharts; only the parts that are used are in the bundle.

import { useComputedColorScheme } from "@mantine/core";
import { BarChart, LineChart } from "echarts/charts";
import { AriaComponent, GridComponent, TooltipComponent } from "echarts/components";
import { init, use, type EChartsCoreOption, type EChartsType } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import { useEffect, useRef } from "react";

import { number } from "../parts/text";
import type { ChartSpec } from "./spec";

use([BarChart, LineChart, GridComponent, TooltipComponent, AriaComponent, SVGRenderer]);

interface Ink {
  ink: string;
  quiet: string;
  line: string;
  accent: string;
  sheet: string;
  font: string;
}

function inks(): Ink {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    ink: read("--ink"),
    quiet: read("--ink-2"),
    line: read("--line"),
    accent: read("--accent"),
    sheet: read("--sheet"),
    font: read("--mantine-font-family"),
  };
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function option(spec: ChartSpec, label: string, ink: Ink): EChartsCoreOption {
  const text = { color: ink.quiet, fontFamily: ink.font, fontSize: 12 };
  const base: EChartsCoreOption = {
    animation: false,
    aria: { enabled: true, label: { description: label } },
    textStyle: { fontFamily: ink.font },
    tooltip: {
      trigger: "axis",
      backgroundColor: ink.sheet,
      borderColor: ink.line,
      borderWidth: 1,
      padding: [6, 10],
      textStyle: { color: ink.ink, fontSize: 12, fontFamily: ink.font },
      axisPointer: spec.type === "bars" ? { type: "shadow", shadowStyle: { opacity: 0.06, color: ink.ink } } : { lineStyle: { color: ink.line } },
      confine: true,
    },
  };
  const value = {
    type: "value" as const,
    minInterval: 1,
    splitNumber: 4,
    axisLabel: { ...text, formatter: (v: number) => number(v) },
    splitLine: { lineStyle: { color: ink.line } },
    axisLine: { show: false },
  };
  const category = {
    type: "category" as const,
    data: spec.categories,
    axisLabel: text,
    axisTick: { show: false },
    axisLine: { lineStyle: { color: ink.line } },
  };
  if (spec.type === "bars") {
    return {
      ...base,
      grid: { left: 8, right: 56, top: 4, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
      xAxis: { ...value, show: false },
      yAxis: { ...category, inverse: true, axisLine: { show: false }, axisLabel: { ...text, color: ink.ink, margin: 12 } },
      series: [
        {
          type: "bar",
          data: spec.values,
          barMaxWidth: 15,
          barMinHeight: 1,
          itemStyle: { color: ink.accent, borderRadius: [0, 2, 2, 0] },
          label: {
            show: true,
            position: "right",
            color: ink.ink,
            fontFamily: ink.font,
            fontSize: 12,
            formatter: (p: { value: number }) => number(p.value),
          },
        },
      ],
      tooltip: {
        ...(base["tooltip"] as object),
        formatter: (items: { name: string; value: number; dataIndex: number }[]) => {
          const item = items[0];
          if (!item) return "";
          const note = spec.notes?.[item.dataIndex];
          return `${escaped(item.name)}<br><b>${number(item.value)}</b>${note ? `<br>${escaped(note)}` : ""}`;
        },
      },
    };
  }
  return {
    ...base,
    grid: { left: 12, right: 24, top: 16, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    xAxis: { ...category, boundaryGap: spec.categories.length < 4 },
    yAxis: value,
    series: spec.series.map((series) => {
      const solid = series.style === "solid";
      // Of two points above each other, the upper one is labelled above, the lower one below.
      const above = (i: number) =>
        spec.series.every((other) => other === series || (other.values[i] ?? 0) <= (series.values[i] ?? 0));
      return {
        type: "line",
        name: series.name,
        data: series.values.map((value, i) => ({ value, label: { position: above(i) ? "top" : "bottom" } })),
        symbol: "circle",
        symbolSize: 7,
        showAllSymbol: true,
        lineStyle: { width: 2, type: series.style, color: solid ? ink.accent : ink.quiet },
        itemStyle: solid
          ? { color: ink.accent }
          : { color: ink.sheet, borderColor: ink.quiet, borderWidth: 1.5 },
        ...(series.area ? { areaStyle: { color: ink.accent, opacity: 0.07 } } : {}),
        label: {
          show: spec.categories.length <= 12,
          color: solid ? ink.ink : ink.quiet,
          fontFamily: ink.font,
          fontSize: 12,
          formatter: (p: { value: number | null }) => (p.value === null ? "" : number(p.value)),
        },
      };
    }),
  };
}

export default function Chart({ spec, label, height }: { spec: ChartSpec; label: string; height: number }) {
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const scheme = useComputedColorScheme();
  useEffect(() => {
    if (!element.current) return;
    const made = init(element.current, null, { renderer: "svg" });
    chart.current = made;
    const watch = new ResizeObserver(() => made.resize());
    watch.observe(element.current);
    return () => {
      watch.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, []);
  useEffect(() => {
    chart.current?.setOption(option(spec, label, inks()), true);
  }, [spec, label, scheme]);
  return <div ref={element} role="img" aria-label={label} style={{ height, margin: "0 0.5rem 0.375rem" }} />;
}

import { createTheme, type MantineColorsTuple } from "@mantine/core";

// Ai (藍): the one accent of the interface. Everything else is ink on paper.
const ai: MantineColorsTuple = [
  "#eef4fa",
  "#dbe7f2",
  "#b6cde4",
  "#8db2d5",
  "#6b9bc8",
  "#4d86bb",
  "#3873ab",
  "#2b5f93",
  "#214d79",
  "#183a5d",
];

export const theme = createTheme({
  primaryColor: "ai",
  primaryShade: { light: 7, dark: 6 },
  colors: { ai },
  defaultRadius: 4,
  cursorType: "pointer",
  fontFamily:
    'system-ui, -apple-system, "Segoe UI", "Hiragino Sans", "Noto Sans JP", "Noto Sans CJK JP", "Yu Gothic UI", sans-serif',
  fontFamilyMonospace:
    'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", "Noto Sans Mono CJK JP", monospace',
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  headings: { fontWeight: "600" },
  focusRing: "auto",
});

// Charts as plain SVG: stacked bars, a week of spans, the timing of attempts.
import { h, keepingFocus, replace, s } from "./dom.js";

const TOP = 8;
const BOTTOM = 22;
const LEFT = 54;
const NAME = 48;

/**
 * Stacked bars that fill their holder. columns: [{ label, title, values: { key: number } }], series: [{ key, label }].
 * The arrow keys move between the bars; each shows its numbers in a tip.
 * @param {Omit<Chart, "hue"> & { hue?: Chart["hue"], height?: number }} chart
 */
export function stackedBars({
  columns,
  series,
  hue = (key) => series.findIndex((one) => one.key === key) + 1,
  format,
  height = 220,
  label,
}) {
  const holder = h("div.chart", { role: "group", "aria-label": label });
  const tip = h("div.tip", { hidden: true, role: "status" });
  let drawn = 0;
  const draw = () => {
    const width = holder.clientWidth;
    if (!width || width === drawn) return;
    drawn = width;
    keepingFocus(holder, () => replace(holder, bars({ columns, series, hue, format, height, width, tip, label }), tip));
  };
  new ResizeObserver(draw).observe(holder);
  queueMicrotask(draw); // when it is in the page, but before anything in it is focused
  return holder;
}

/** @param {Chart & { height: number, width: number, tip: HTMLElement }} drawing */
function bars({ columns, series, hue, format, height, width, tip, label }) {
  const totals = columns.map((column) => sum(series.map(({ key }) => column.values[key] ?? 0)));
  const ticks = niceTicks(Math.max(...totals, 0));
  const top = ticks.at(-1) || 1;
  /** @param {number} value */
  const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - value / top);
  const step = (width - LEFT) / Math.max(columns.length, 1);
  const thickness = Math.max(2, Math.min(44, step * 0.72));
  const every = Math.ceil(columns.length / Math.max(1, Math.floor((width - LEFT) / (1.5 * NAME))));

  const grid = ticks.map((value) => [
    s("line.grid", { x1: LEFT, x2: width, y1: y(value), y2: y(value) }),
    s("text.axis", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, format(value)),
  ]);
  const stacks = columns.map((column, index) => {
    const centre = LEFT + step * (index + 0.5);
    let below = 0;
    const parts = series.map(({ key }) => {
      const value = column.values[key] ?? 0;
      if (!value) return null;
      const part = s("rect", {
        class: `series-${hue(key)}`,
        x: centre - thickness / 2,
        width: thickness,
        y: y(below + value),
        height: Math.max(0.5, y(below) - y(below + value)),
      });
      below += value;
      return part;
    });
    const show = () => showTip({ tip, column, series, hue, format, total: totals[index], centre, width });
    const hide = () => (tip.hidden = true);
    return s(
      "g.column",
      {
        tabindex: index === columns.length - 1 ? "0" : "-1",
        dataset: { key: `${label} ${column.title}` },
        role: "img",
        "aria-label": spoken(column, series, format),
        onfocus: show,
        onblur: hide,
        onpointerenter: show,
        onpointerleave: hide,
        onclick: column.open ?? null,
        onkeydown: (/** @type {KeyboardEvent & { currentTarget: HTMLElement }} */ event) => {
          if (event.key !== "Enter" || !column.open) return walk(event);
          event.preventDefault(); // else it also presses the first button of what opens
          column.open();
        },
        class: column.open ? "opens" : null,
      },
      s("rect.hit", { x: LEFT + step * index, width: step, y: TOP, height: height - TOP - BOTTOM }),
      parts,
    );
  });
  const names = columns.map((column, index) =>
    (columns.length - 1 - index) % every === 0
      ? s("text.axis", nameAt(LEFT + step * (index + 0.5), width, height - 6), column.label)
      : null,
  );
  return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-label": label }, grid, stacks, names);
}

/** @typedef {{ started: number, firstByte: number | null, ended: number | null, failed: boolean }} TimedAttempt */
/**
 * @typedef {{ columns: Column[], series: Series[], hue: (key: string) => number, format: Formatter, label: string }} Chart
 */

/**
 * In the middle below its bar, but not over the edge.
 * @param {number} centre
 * @param {number} width
 * @param {number} y
 */
function nameAt(centre, width, y) {
  return centre > width - NAME / 2 ? { x: width, y, "text-anchor": "end" } : { x: centre, y, "text-anchor": "middle" };
}

/** @param {KeyboardEvent & { currentTarget: HTMLElement }} event */
function walk(event) {
  const { currentTarget: column, key } = event;
  const next = { ArrowRight: column.nextElementSibling, ArrowLeft: column.previousElementSibling };
  const target = key === "ArrowRight" || key === "ArrowLeft" ? next[key] : null;
  if (!(target instanceof SVGElement && target.classList.contains("column"))) return;
  event.preventDefault();
  column.setAttribute("tabindex", "-1");
  target.setAttribute("tabindex", "0");
  target.focus();
}

/** @param {Omit<Chart, "columns" | "label"> & { tip: HTMLElement, column: Column, total: number, centre: number, width: number }} shown */
function showTip({ tip, column, series, hue, format, total, centre, width }) {
  replace(
    tip,
    h("strong", {}, column.title),
    h(
      "dl",
      {},
      [...series]
        .reverse()
        .map(({ key, label }) => [
          h("dt", {}, h("span.swatch", { class: `series-${hue(key)}` }), label),
          h("dd", {}, format(column.values[key] ?? 0)),
        ]),
      series.length > 1 ? [h("dt.total", {}, "Σ"), h("dd.total", {}, format(total))] : null,
    ),
  );
  tip.hidden = false;
  const left = Math.min(Math.max(0, centre - tip.offsetWidth / 2), width - tip.offsetWidth);
  tip.style.left = `${Math.max(0, left)}px`;
}

/**
 * @param {Column} column
 * @param {Series[]} series
 * @param {Formatter} format
 */
const spoken = (column, series, format) =>
  [column.title, ...series.map(({ key, label }) => `${label} ${format(column.values[key] ?? 0)}`)].join(", ");

/**
 * @param {Series[]} series
 * @param {Set<string>} hidden
 * @param {(key: string) => void} onToggle
 */
export function legend(series, hidden, onToggle) {
  return h(
    "div.legend",
    {},
    series.map(({ key, label }, index) =>
      h(
        "button.quiet",
        {
          type: "button",
          "aria-pressed": String(!hidden.has(key)),
          dataset: { key: `legend-${key}` },
          onclick: () => onToggle(key),
        },
        h("span.swatch", { class: `series-${index + 1}` }),
        label,
      ),
    ),
  );
}

/**
 * 0 and up to four round numbers, the last at or above `top`.
 * @param {number} top
 */
export function niceTicks(top) {
  if (top <= 0) return [0];
  const raw = top / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 1.5, 2, 2.5, 3, 4, 5].find((factor) => factor * power >= raw) ?? 10) * power;
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, index) => index * step);
}

/** @param {number[]} numbers */
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/**
 * Rows of spans over seven days. rows: [{ name, label, spans: [{ from, to, place, title }] }], in minutes; days: labels.
 * `marks` of a row begin now: [{ kind, to, title }].
 * @param {{ rows: { name: string, label: string, spans: Span[], marks?: Mark[] }[], days: string[], now: number, label: string }} week
 */
export function weekStrip({ rows, days, now, label }) {
  const minutes = days.length * 1440;
  /** @param {number} value */
  const percent = (value) => `${(100 * value) / minutes}%`;
  return h(
    "div.week",
    { role: "table", "aria-label": label },
    h(
      "div.week-row.week-head",
      { role: "row" },
      h("span.week-name", { role: "columnheader" }),
      h(
        "div.week-days",
        { role: "cell" },
        days.map((day, index) => h("span", { class: index === 0 ? "today" : "" }, day)),
      ),
    ),
    rows.map((row) =>
      h(
        "div.week-row",
        { role: "row" },
        h("span.week-name", { role: "rowheader", title: row.name }, row.name),
        h(
          "div.week-track",
          { role: "cell", "aria-label": row.label },
          row.spans.map((span) => {
            const bar = h("span.span", { class: span.place === 1 ? "first" : "later", title: span.title });
            bar.style.left = percent(span.from);
            bar.style.width = percent(span.to - span.from);
            return bar;
          }),
          (row.marks ?? []).map((mark) => {
            const bar = h("span.mark", { class: mark.kind, title: mark.title });
            bar.style.left = percent(now);
            bar.style.width = percent(Math.max(0, mark.to - now));
            return bar;
          }),
          nowLine(percent(now)),
        ),
      ),
    ),
  );
}

/** @param {string} left */
function nowLine(left) {
  const line = h("span.now", { "aria-hidden": "true" });
  line.style.left = left;
  return line;
}

/**
 * One bar for each attempt on a common scale: waiting for the first byte, then reading.
 * @param {{ attempts: TimedAttempt[], total: number, format: Formatter }} timing
 */
export function timeline({ attempts, total, format }) {
  /** @param {number} value */
  const percent = (value) => `${Math.max(0, Math.min(100, (100 * value) / (total || 1)))}%`;
  return attempts.map(({ started, firstByte, ended, failed }) => {
    const end = ended ?? total;
    const first = firstByte ?? end;
    /** @param {string} kind @param {number} from @param {number} to */
    const part = (kind, from, to) => {
      const bar = h("span", { class: kind });
      bar.style.left = percent(from);
      bar.style.width = percent(to - from);
      return bar;
    };
    return h(
      "div.timeline",
      { role: "img", "aria-label": `${format(started)} – ${format(end)}` },
      part(failed ? "waiting failed" : "waiting", started, first),
      end > first ? part("reading", first, end) : "",
    );
  });
}

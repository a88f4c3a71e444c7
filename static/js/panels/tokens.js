// Token statistics: a period as cards, stacked bars and tables.
import { get, post, query } from "../api.js";
import { legend, stackedBars } from "../chart.js";
import { apartText, costNotes, costText, requestNotes } from "../count_words.js";
import { all, h, replace } from "../dom.js";
import { compact, dayName, isoDay, milliseconds, money, whole } from "../format.js";
import { t } from "../i18n.js";
import { busy, button, confirm, emptyNote, loadInto, note, segments } from "../ui.js";

/**
 * What the page shows: a period, and how the chart and the table present it.
 * @typedef {object} Chosen
 * @property {string} period
 * @property {string} from
 * @property {string} to
 * @property {string} measure
 * @property {string} group
 * @property {Set<string>} hidden
 * @property {string} sort
 */

/** @type {Record<string, number>} */
const PERIODS = { today: 0, week: 6, month: 29 };
const GROUPS = ["model", "upstream", "client", "model_sent", "day"];
/** @type {Record<string, Exclude<keyof TokenStats, "summary">>} */
const TABLES = {
  model: "by_model",
  model_sent: "by_model_sent",
  upstream: "by_upstream",
  client: "by_client",
  day: "daily",
};
const MEASURES = ["tokens", "cost", "requests"];
const TOKEN_SERIES = ["fresh_input_tokens", "cache_creation_tokens", "cache_read_tokens", "output_tokens"];
const REFRESH_MILLISECONDS = 30000;

/** @param {HTMLElement} root */
export function mount(root) {
  /** @type {Chosen} */
  const chosen = {
    period: "week",
    from: isoDay(6),
    to: isoDay(),
    measure: "tokens",
    group: "model",
    hidden: new Set(),
    sort: "total_tokens",
  };
  const content = h("div.panel");
  const load = (quiet = false) => {
    /** @type {() => Promise<TokenStats>} */
    const fetchStats = () => get("/api/token-stats", { from: chosen.from, to: chosen.to });
    /** @type {(stats: TokenStats) => Child} */
    const draw = (stats) => body(stats, chosen, () => replace(content, draw(stats)));
    return loadInto(content, fetchStats, draw, quiet);
  };
  replace(root, h("div.panel", {}, head(chosen, load), content));
  load();
  const timer = setInterval(() => document.hidden || load(true), REFRESH_MILLISECONDS);
  return () => clearInterval(timer);
}

/**
 * @param {Chosen} chosen
 * @param {() => void} load
 */
function head(chosen, load) {
  const from = dateInput("stats.from", chosen.from);
  const to = dateInput("stats.to", chosen.to);
  const range = h("span.row", { hidden: true }, from, h("span.muted", {}, "–"), to);
  const csv = () => `/api/token-stats.csv${query({ from: chosen.from, to: chosen.to, by: chosen.group })}`;
  /** @type {HTMLAnchorElement} */
  const download = h("a.button", { download: "", href: csv(), onclick: () => (download.href = csv()) }, t("stats.csv"));
  /** @param {string} period */
  const pick = (period) => {
    chosen.period = period;
    range.hidden = period !== "range";
    if (period !== "range") Object.assign(chosen, { from: isoDay(PERIODS[period]), to: isoDay() });
    from.value = chosen.from;
    to.value = chosen.to;
    load();
  };
  const ends = /** @type {const} */ ([
    [from, "from"],
    [to, "to"],
  ]);
  for (const [input, name] of ends) {
    input.addEventListener("change", () => {
      if (!input.value) return;
      chosen[name] = input.value;
      if (chosen.from > chosen.to) chosen[name === "from" ? "to" : "from"] = input.value;
      from.value = chosen.from;
      to.value = chosen.to;
      load();
    });
  }
  /** @type {HTMLButtonElement} */
  const reset = button(t("stats.reset"), () => busy(reset, () => resetStatistics(load)));
  return h(
    "div.panel-head",
    {},
    h("h1", {}, t("nav.tokens")),
    h(
      "div.row",
      {},
      segments(
        t("stats.period"),
        ["today", "week", "month", "range"].map((period) => [period, t(`stats.period-${period}`)]),
        chosen.period,
        pick,
      ),
      range,
      download,
      reset,
    ),
  );
}

/**
 * @param {string} label
 * @param {string} value
 */
const dateInput = (label, value) => h("input", { type: "date", "aria-label": t(label), value, class: "date" });

/** @param {() => void} load */
async function resetStatistics(load) {
  if (!(await confirm(t("stats.reset-title"), t("stats.reset-question"), t("stats.reset-confirm")))) return;
  const { copy } = await post("/api/token-stats/reset");
  note(t("stats.reset-done", { copy }), { kind: "good" });
  load();
}

/**
 * @param {TokenStats} stats
 * @param {Chosen} chosen
 * @param {() => void} redraw
 */
function body(stats, chosen, redraw) {
  const apart = apartText(stats.summary);
  const isEmpty = !stats.summary.total_requests && !stats.summary.total_tokens && !apart;
  if (isEmpty) return h("section.card", {}, emptyNote(t("stats.none")));
  return [
    h(
      "section.card",
      { "aria-label": t("stats.totals") },
      cards(stats.summary),
      apart ? h("p.inside.muted", {}, apart) : null,
    ),
    chartCard(stats, chosen, redraw),
    tableCard(stats, chosen, redraw),
  ];
}

/** @param {TokenStats["summary"]} sum */
function cards(sum) {
  const read = sum.total_input_tokens + sum.total_cache_creation_tokens + sum.total_cache_read_tokens;
  const cells = [
    [t("stats.requests"), whole(sum.total_requests), requestNotes(sum)],
    [t("stats.cost"), costText(sum), costNotes(sum)],
    [t("stats.input"), compact(sum.total_input_tokens), t("stats.fresh")],
    [
      t("stats.cache-read"),
      compact(sum.total_cache_read_tokens),
      read ? t("stats.share", { percent: Math.round((100 * sum.total_cache_read_tokens) / read) }) : "",
    ],
    [t("stats.cache-write"), compact(sum.total_cache_creation_tokens), ""],
    [
      t("stats.output"),
      compact(sum.total_output_tokens),
      sum.reasoning_tokens ? t("stats.of-which-reasoning", { count: compact(sum.reasoning_tokens) }) : "",
    ],
    [
      t("stats.first-byte"),
      milliseconds(sum.first_byte_p50_ms),
      sum.first_byte_p95_ms ? t("stats.p95", { time: milliseconds(sum.first_byte_p95_ms) }) : "",
    ],
    [t("stats.speed"), sum.tokens_per_second ? whole(sum.tokens_per_second) : "–", t("stats.tokens-per-second")],
  ];
  return h(
    "dl.numbers",
    {},
    cells.map(([name, value, under]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, value, under ? h("div.under", {}, under) : null)),
    ),
  );
}

// --- chart ---

/**
 * @param {TokenStats} stats
 * @param {Chosen} chosen
 * @param {() => void} redraw
 */
function chartCard(stats, chosen, redraw) {
  const hourly = chosen.from === chosen.to;
  const columns = hourly ? hourColumns(stats.hourly, chosen) : dayColumns(stats.daily, chosen);
  const { series, format } = measures(chosen.measure);
  const shown = series.filter(({ key }) => !chosen.hidden.has(key));
  /** @param {string} key */
  const toggle = (key) => {
    if (!chosen.hidden.delete(key)) chosen.hidden.add(key);
    redrawKeepingFocus(redraw, `legend-${key}`);
  };
  return h(
    "section.card",
    {},
    h(
      "header",
      {},
      h("h2", {}, t(hourly ? "stats.by-hour" : "stats.by-day")),
      h(
        "div.row",
        {},
        series.length > 1 ? legend(series, chosen.hidden, toggle) : null,
        segments(
          t("stats.measure"),
          MEASURES.map((name) => [name, t(`stats.measure-${name}`)]),
          chosen.measure,
          (measure) => {
            chosen.measure = measure;
            redrawKeepingFocus(redraw, `segment-${measure}`);
          },
        ),
      ),
    ),
    h(
      "div.inside",
      {},
      stackedBars({
        columns,
        series: shown,
        hue: (key) => series.findIndex((one) => one.key === key) + 1,
        format,
        label: t(hourly ? "stats.by-hour" : "stats.by-day"),
      }),
    ),
  );
}

/**
 * @param {() => void} redraw
 * @param {string} key
 */
function redrawKeepingFocus(redraw, key) {
  redraw();
  all(document, `[data-key="${key}"]`)[0]?.focus();
}

/**
 * @param {string} measure
 * @returns {{ series: Series[], format: Formatter }}
 */
function measures(measure) {
  if (measure === "cost") return { series: [{ key: "cost", label: t("stats.cost") }], format: money };
  if (measure === "requests") {
    return {
      series: [
        { key: "answered", label: t("stats.answered") },
        { key: "errors", label: t("stats.failures") },
      ],
      format: whole,
    };
  }
  return { series: TOKEN_SERIES.map((key) => ({ key, label: t(`stats.${key}`) })), format: compact };
}

/** @param {TokenCell} cell */
const withAnswered = (cell) => ({ ...cell, answered: cell.requests - (cell.errors ?? 0), cost: cell.cost ?? 0 });

/**
 * @param {Record<string, TokenCell>} daily
 * @param {Chosen} chosen
 */
function dayColumns(daily, { from, to }) {
  /** @type {Column[]} */
  const columns = [];
  const [year, month, day] = from.split("-").map(Number);
  for (let date = new Date(year, month - 1, day); ; date.setDate(date.getDate() + 1)) {
    const name = [date.getFullYear(), date.getMonth() + 1, date.getDate()]
      .map((part) => String(part).padStart(2, "0"))
      .join("-");
    if (name > to || columns.length > 400) return columns;
    columns.push({
      label: dayName(name),
      title: dayName(name, true),
      values: daily[name] ? withAnswered(daily[name]) : {},
    });
  }
}

/**
 * @param {Record<string, TokenCell>} hourly
 * @param {Chosen} chosen
 */
function hourColumns(hourly, { from }) {
  return Array.from({ length: 24 }, (_, hour) => {
    const cell = hourly[`${from}T${String(hour).padStart(2, "0")}`];
    const name = `${String(hour).padStart(2, "0")}:00`;
    return { label: name, title: `${dayName(from, true)} ${name}`, values: cell ? withAnswered(cell) : {} };
  });
}

// --- table ---

/** @type {[string, string, (value: number | null | undefined, cell: TokenCell) => string][]} */
const COLUMNS = [
  ["requests", "stats.requests", whole],
  ["errors", "stats.failures", whole],
  ["fresh_input_tokens", "stats.fresh_input_tokens", compact],
  ["cache_creation_tokens", "stats.cache_creation_tokens", compact],
  ["cache_read_tokens", "stats.cache_read_tokens", compact],
  ["output_tokens", "stats.output_tokens", compact],
  ["total_tokens", "stats.total_tokens", compact],
  ["cost", "stats.cost", (_, cell) => costText(cell)],
];

const DEFINED = new Set(["requests", "errors"]);

/**
 * @param {string} key
 * @param {TokenCell} cell
 */
const notesOf = (key, cell) =>
  key === "cost" ? costNotes(cell) : key === "requests" ? [requestNotes(cell), apartText(cell)].join("\n").trim() : "";

/**
 * @param {TokenStats} stats
 * @param {Chosen} chosen
 * @param {() => void} redraw
 */
function tableCard(stats, chosen, redraw) {
  const cells = Object.entries(stats[TABLES[chosen.group]] ?? {});
  const byName = chosen.sort === "name";
  cells.sort(([one, left], [other, right]) =>
    byName || chosen.group === "day" ? other.localeCompare(one) : (right[chosen.sort] ?? 0) - (left[chosen.sort] ?? 0),
  );
  /** @param {string} key */
  const sort = (key) => {
    chosen.sort = key;
    redrawKeepingFocus(redraw, `sort-${key}`);
  };
  return h(
    "section.card",
    {},
    h(
      "header",
      {},
      h("h2", {}, t(`stats.by-${chosen.group}`)),
      segments(
        t("stats.group"),
        GROUPS.map((name) => [name, t(`stats.group-${name}`)]),
        chosen.group,
        (group) => {
          chosen.group = group;
          redrawKeepingFocus(redraw, `segment-${group}`);
        },
      ),
    ),
    h(
      "div.table-holder",
      {},
      h(
        "table.cards-when-narrow",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, t(`stats.group-${chosen.group}`)),
            COLUMNS.map(([key, label]) =>
              h(
                "th.number",
                {
                  scope: "col",
                  "aria-sort": chosen.sort === key && chosen.group !== "day" ? "descending" : null,
                  title: DEFINED.has(key) ? t(`count.${key}`) : null,
                },
                chosen.group === "day"
                  ? t(label)
                  : h(
                      "button.sort",
                      { type: "button", dataset: { key: `sort-${key}` }, onclick: () => sort(key) },
                      t(label),
                      chosen.sort === key ? " ↓" : "",
                    ),
              ),
            ),
          ),
        ),
        h(
          "tbody",
          {},
          cells.map(([name, cell]) =>
            h(
              "tr",
              {},
              h("td.wrap", {}, chosen.group === "day" ? dayName(name, true) : name),
              COLUMNS.map(([key, label, format]) =>
                h(
                  "td.number",
                  {
                    dataset: { label: t(label) },
                    title: notesOf(key, cell) || null,
                  },
                  format(cell[key], cell),
                ),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

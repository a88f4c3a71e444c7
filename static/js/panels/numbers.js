// All upstreams side by side: success, times, cache, cost, budgets, and what their answers show.
import { costText } from "../count_words.js";
import { config, onConfig } from "../config.js";
import { all, h, replace, section } from "../dom.js";
import { compact, milliseconds, whole } from "../format.js";
import { t } from "../i18n.js";
import { emptyNote, errorNote, loadingNote, segments } from "../ui.js";
import { budgetBars, followNumbers, numbersOf, overallBudget, shareText } from "../upstream_numbers.js";
import { findingsOf, followReports, reportView } from "../upstream_report.js";

/** @typedef {"hours" | "days"} Period */

/** @type {[string, string, (cell: CellNumbers) => string][]} */
const COLUMNS = [
  ["success", "numbers.column-success", (cell) => shareText(cell.success)],
  ["requests", "stats.requests", (cell) => whole(cell.requests)],
  ["first_token_p50_ms", "numbers.column-p50", (cell) => milliseconds(cell.first_token_p50_ms)],
  ["first_token_p95_ms", "numbers.column-p95", (cell) => milliseconds(cell.first_token_p95_ms)],
  [
    "tokens_per_second",
    "numbers.column-speed",
    (cell) => (cell.tokens_per_second === null ? "–" : compact(cell.tokens_per_second)),
  ],
  ["cache_share", "numbers.column-cache", (cell) => shareText(cell.cache_share)],
];

/**
 * @param {HTMLElement} root
 * @param {Record<string, string>} given
 * @returns {Leave}
 */
export function mount(root, given) {
  const chosen = { period: /** @type {Period} */ ("hours"), sort: "cost", name: given.name ?? "" };
  let isLoaded = false;
  const body = h("div", {}, loadingNote());
  const budget = h("div");
  const drawBody = section(body, (/** @type {[string[], ...unknown[]]} names, and what their rows show */ [names]) =>
    names.length ? table(names, chosen, draw) : emptyNote(t("upstreams.none")),
  );
  const draw = () => {
    const known = config();
    if (!known || !isLoaded || body.contains(document.activeElement?.closest("details") ?? null)) return;
    const bars = budgetBars(overallBudget());
    replace(
      budget,
      bars
        ? h("section.card", {}, h("header", {}, h("h2", {}, t("numbers.overall-budget"))), h("div.inside", {}, bars))
        : null,
    );
    const names = known.upstreams.map((one) => one.name);
    drawBody([names, names.map(numbersOf), names.map(findingsOf), chosen.period, chosen.sort]);
    if (chosen.name) {
      const row = all(body, "tr").find((one) => one.dataset.name === chosen.name);
      row?.scrollIntoView({ block: "center" });
      row?.classList.add("marked");
      chosen.name = "";
    }
  };
  replace(
    root,
    h(
      "div.panel",
      {},
      h(
        "div.panel-head",
        {},
        h("h1", {}, t("nav.numbers")),
        h(
          "div.row",
          {},
          segments(
            t("stats.period"),
            [
              ["hours", t("numbers.24-hours")],
              ["days", t("numbers.7-days")],
            ],
            chosen.period,
            (period) => {
              chosen.period = period === "days" ? "days" : "hours";
              draw();
            },
          ),
          h("a.button", { href: "#/upstreams" }, t("nav.upstreams")),
        ),
      ),
      budget,
      h("section.card", { "aria-label": t("nav.numbers") }, body),
      h("p.faint.wrap", {}, t("numbers.explained")),
    ),
  );
  const ends = [
    onConfig(draw, (error) => replace(body, errorNote(error))),
    followReports(draw),
    followNumbers((error) => {
      if (error !== undefined && !isLoaded) {
        replace(body, errorNote(error));
        return;
      }
      isLoaded = true;
      draw();
    }),
  ];
  return () => ends.forEach((end) => end());
}

/**
 * @param {string[]} names
 * @param {{ period: Period, sort: string }} chosen
 * @param {() => void} redraw
 */
function table(names, chosen, redraw) {
  /** @param {string} name */
  const valueOf = (name) => {
    const numbers = numbersOf(name);
    if (chosen.sort === "cost") return numbers?.days.cost ?? -1;
    return Number(/** @type {any} */ (numbers?.[chosen.period])?.[chosen.sort] ?? -1);
  };
  const sorted = chosen.sort === "name" ? names : [...names].sort((one, other) => valueOf(other) - valueOf(one));
  /** @param {string} key @param {string} label @param {string} [title] */
  const head = (key, label, title = "") =>
    h(
      "th",
      {
        scope: "col",
        class: key === "name" ? "" : `number of-${key}`,
        "aria-sort": chosen.sort === key && key !== "name" ? "descending" : null,
        title: title || null,
      },
      h(
        "button.sort",
        {
          type: "button",
          dataset: { key: `sort-${key}` },
          onclick: () => {
            chosen.sort = key;
            redraw();
            all(document, `[data-key="sort-${key}"]`)[0]?.focus();
          },
        },
        label,
        chosen.sort === key && key !== "name" ? " ↓" : "",
      ),
    );
  return h(
    "div.table-holder",
    {},
    h(
      "table.cards-when-narrow.numbers-table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          head("name", t("stats.group-upstream")),
          COLUMNS.map(([key, label]) => head(key, t(label), t(`${label}-help`))),
          h("th.number", { scope: "col" }, t("numbers.column-cost-24")),
          head("cost", t("numbers.column-cost-7")),
        ),
      ),
      h(
        "tbody",
        {},
        sorted.map((name) => row(name, chosen.period)),
      ),
    ),
  );
}

/**
 * @param {string} name
 * @param {Period} period
 */
function row(name, period) {
  const numbers = numbersOf(name);
  const cell = numbers?.[period];
  return h(
    "tr",
    { dataset: { name } },
    h(
      "td.wrap",
      {},
      h("a", { href: `#/requests?upstream=${encodeURIComponent(name)}`, title: t("numbers.its-requests") }, name),
      budgetBars(numbers?.budget),
      reportView(findingsOf(name)),
    ),
    COLUMNS.map(([key, label, text]) =>
      h(
        `td.number.of-${key}`,
        { dataset: { label: t(label) }, title: key === "success" && cell ? attemptsText(cell) : null },
        cell ? text(cell) : "–",
      ),
    ),
    /** @type {const} */ ([
      ["hours", "numbers.column-cost-24"],
      ["days", "numbers.column-cost-7"],
    ]).map(([key, label]) =>
      h("td.number", { dataset: { label: t(label) } }, numbers ? costText({ ...numbers[key] }) : "–"),
    ),
  );
}

/** @param {CellNumbers} cell */
const attemptsText = (cell) => t("numbers.attempts", { ok: whole(cell.ok), failed: whole(cell.failed_attempts) });

// The requests of a conversation in their order, each a column: duration by upstream with failures, tokens, cost.
import { stackedBars } from "./chart.js";
import { h } from "./dom.js";
import { clock, compact, money, seconds, timeOfDay, totalInput } from "./format.js";
import { t } from "./i18n.js";

const HUES = 5;
const FAILED = 6;
const HEIGHT = 130;
const TOKENS = ["fresh_input_tokens", "cache_creation_tokens", "cache_read_tokens", "output_tokens"];

/**
 * @param {RequestRow[]} rows oldest first
 * @param {(row: RequestRow) => unknown} open
 */
export function conversationPlot(rows, open) {
  const upstreams = [...new Set(rows.map((row) => row.upstream || "–"))];
  const byUpstream = [
    ...upstreams.map((name, index) => ({ key: `up ${name}`, label: name, hue: (index % HUES) + 1 })),
    { key: "failed", label: t("outcome.failed"), hue: FAILED },
  ];
  const used = byUpstream.filter(({ key }) => key !== "failed" || rows.some(isFailed));
  const plots = [
    { name: "sessions.plot-duration", series: used, values: durationOf, format: seconds },
    {
      name: "sessions.plot-tokens",
      series: TOKENS.map((key, index) => ({ key, label: t(`stats.${key}`), hue: index + 1 })),
      values: tokensOf,
      format: compact,
    },
    {
      name: "sessions.plot-cost",
      series: [{ key: "cost", label: t("stats.cost"), hue: 1 }],
      values: (/** @type {RequestRow} */ row) => ({ cost: row.cost }),
      format: money,
    },
  ];
  return h(
    "section.card",
    { "aria-label": t("sessions.plot") },
    h("header", {}, h("h2", {}, t("sessions.plot")), h("span.faint", {}, t("sessions.plot-help"))),
    h(
      "div.inside.stack.loose",
      {},
      plots.map(({ name, series, values, format }) =>
        h(
          "div.plot",
          {},
          h("div.row.spread", {}, h("h3", {}, t(name)), series.length > 1 ? key(series) : null),
          stackedBars({
            columns: rows.map((row, index) => ({
              label: timeOfDay(row.at),
              title: titleOf(row, index),
              values: values(row),
              open: () => open(row),
            })),
            series,
            hue: (wanted) => series.find((one) => one.key === wanted)?.hue ?? 1,
            format,
            label: t(name),
            height: HEIGHT,
          }),
        ),
      ),
    ),
  );
}

/** @param {{ label: string, hue: number }[]} series */
const key = (series) =>
  h(
    "div.row.faint",
    {},
    series.map(({ label, hue }) => h("span.row.tight", {}, h("span.swatch", { class: `series-${hue}` }), label)),
  );

/** @param {RequestRow} row */
const isFailed = (row) => row.outcome === "failed" || row.outcome === "truncated";

/** @param {RequestRow} row */
const durationOf = (row) => ({ [isFailed(row) ? "failed" : `up ${row.upstream || "–"}`]: row.duration });

/** @param {RequestRow} row @returns {Record<string, number>} */
function tokensOf({ usage }) {
  if (!usage) return {};
  return {
    fresh_input_tokens: usage.input,
    cache_creation_tokens: usage.cache_write_5m + usage.cache_write_1h,
    cache_read_tokens: usage.cache_read,
    output_tokens: usage.output,
  };
}

/** @param {RequestRow} row @param {number} index */
function titleOf(row, index) {
  const parts = [`${index + 1}`, clock(row.at, true), row.upstream, row.sent || row.model];
  if (row.usage) parts.push(`${compact(totalInput(row.usage))} → ${compact(row.usage.output)}`);
  if (row.outcome !== "ok") parts.push(t(`outcome.${row.outcome}`));
  return parts.filter(Boolean).join(" · ");
}

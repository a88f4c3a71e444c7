// What the upstreams really did: badges with their evidence, for the rows of the upstreams.
import { get } from "./api.js";
import { h } from "./dom.js";
import { money, seconds, whole } from "./format.js";
import { t } from "./i18n.js";
import { badge } from "./ui.js";

const SECONDS_BETWEEN = 60;

/** @type {UpstreamReport[]} */
let reports = [];

/** @param {string} upstream */
export const findingsOf = (upstream) =>
  reports.filter((one) => one.upstream === upstream && (one.findings.length || one.changes.length));

/**
 * Loads the reports now and every minute; returns what ends that.
 * @param {() => void} changed
 */
export function followReports(changed) {
  let isOver = false;
  const load = async () => {
    if (document.hidden) return;
    try {
      const answer = await get("/api/upstream-report");
      reports = answer.reports.map((/** @type {UpstreamReport} */ { upstream, model, findings, changes }) => ({
        upstream,
        model,
        findings,
        changes,
      }));
    } catch {
      return; // the rows stay without it
    }
    if (!isOver) changed();
  };
  load();
  const timer = setInterval(load, SECONDS_BETWEEN * 1000);
  return () => {
    isOver = true;
    clearInterval(timer);
  };
}

/** @param {UpstreamReport[]} found */
export function reportView(found) {
  if (!found.length) return null;
  const kinds = [...new Set(found.flatMap((one) => one.findings.map((finding) => finding.kind)))];
  return h(
    "details.report",
    {},
    h(
      "summary.row.tight",
      { title: t("report.title") },
      kinds.map((kind) => badge(t(`report.${kind}`), "warn")),
      found.some((one) => one.changes.length) ? badge(t("report.changes")) : null,
    ),
    h(
      "ul.skips",
      {},
      found.flatMap((one) => [
        ...one.findings.map((finding) => h("li", {}, evidence(one.model, finding))),
        ...(one.changes.length ? [h("li", {}, changesView(one))] : []),
      ]),
    ),
  );
}

/**
 * @param {string} model
 * @param {Finding} finding
 */
function evidence(model, finding) {
  return h(
    "div.stack.wrap",
    {},
    h("div", {}, h("strong", {}, t("report.of-model", { model })), " ", ...sentences(finding)),
    h("div.faint", {}, sourceText(finding)),
    h("div.faint.mono", {}, t("report.examples", { ids: finding.examples.join(", ") })),
  );
}

/** @param {UpstreamReport} report */
function changesView({ model, changes }) {
  return h(
    "div.stack.wrap",
    {},
    h("div", {}, h("strong", {}, t("report.of-model", { model })), " ", t("report.changes-text")),
    changes.map((change) =>
      h(
        "div.faint",
        {},
        h("span.mono", {}, change.id),
        " ",
        t("report.change", {
          part: change.changed_in,
          byte: whole(change.changed_at),
          tokens: whole(change.tokens),
          cost: money(change.cost),
        }),
      ),
    ),
  );
}

/** @param {Finding} finding */
function sentences({ kind, values }) {
  if (kind === "cache") {
    const text = t("report.cache-text", { ...values, tokens: whole(Number(values.tokens)) });
    return values.cost === null ? [text] : [text, " ", t("report.cache-cost", { cost: money(Number(values.cost)) })];
  }
  if (kind === "speed") {
    const times = Object.fromEntries(["now", "before", "busy"].map((name) => [name, seconds(Number(values[name]))]));
    const key = values.measure === "pace" ? "report.pace-text" : "report.first-token-text";
    return [t(key, { count: values.count, ...times })];
  }
  return [kind === "model" ? t("report.model-text", values) : t("report.tokens-text", values)];
}

/** @param {Finding} finding */
function sourceText({ kind, level, values }) {
  if (level === "stated") return t("report.no-source");
  return t("report.source", { source: kind === "speed" ? t("report.source-itself") : values.source });
}

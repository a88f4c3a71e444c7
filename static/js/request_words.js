// A request in few words: its outcome, its tokens.
import { compact, totalInput } from "./format.js";
import { said, t } from "./i18n.js";
import { badge, dot } from "./ui.js";

/** @type {Record<Outcome, string>} */
const KINDS = { ok: "good", failed: "bad", truncated: "warn", cancelled: "", running: "accent" };

/** @type {Outcome[]} */
export const OUTCOMES = ["running", "ok", "failed", "truncated", "cancelled"];

/** @param {RequestRow} row */
export function outcomeBadge(row) {
  if (row.is_held) return badge(t("outcome.held"), "warn");
  const status = row.outcome === "failed" && row.status ? ` ${row.status}` : "";
  return badge(t(`outcome.${row.outcome}`) + status, KINDS[row.outcome], said(row.error));
}

/** @param {RequestRow} row */
export const outcomeDot = (row) =>
  dot({ ...KINDS, ok: row.attempts > 1 ? "warn" : "good", running: "running", cancelled: "off" }[row.outcome]);

/** @param {Usage | null} usage */
export function tokensText(usage) {
  if (!usage) return "";
  return `${usage.estimated ? "≈ " : ""}${compact(totalInput(usage))} → ${compact(usage.output)}`;
}

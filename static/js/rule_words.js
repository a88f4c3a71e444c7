// A rule in one line: for which requests, and what happens to them.
import { whole } from "./format.js";
import { t } from "./i18n.js";
import { protocolName } from "./ui.js";

export const FLAGS = /** @type {const} */ ([
  "subagent",
  "background",
  "compaction",
  "thinking",
  "web_search",
  "images",
]);

/**
 * One value or a list of them, as a list.
 * @param {string | string[] | undefined} value
 */
export const listOf = (value) => (value === undefined ? [] : Array.isArray(value) ? value : [value]);

/** @param {RouteRule} rule */
export function conditionText({ when = {} }) {
  /** @param {"client" | "model" | "effort" | "project" | "client_key"} name */
  const named = (name) => {
    const values = listOf(when[name]).join(", ");
    return values && t(`when-short.${name}`, { values });
  };
  /** @param {"tokens_over" | "tokens_under"} name */
  const tokens = (name) => {
    const limit = when[name];
    return limit === undefined ? "" : t(`when-short.${name}`, { tokens: whole(limit) });
  };
  const parts = [
    named("client"),
    listOf(when.protocol).map(protocolName).join(", "),
    named("model"),
    ...FLAGS.map((flag) => (typeof when[flag] === "boolean" ? t(`when-short.${flag}.${when[flag]}`) : "")),
    named("effort"),
    tokens("tokens_over"),
    tokens("tokens_under"),
    named("project"),
    named("client_key"),
    listOf(when.weekdays)
      .map((day) => t(`day.${day}`))
      .join(" "),
    when.hours ?? "",
  ];
  return parts.filter(Boolean).join(" · ") || t("rules.every-request");
}

/** @param {RouteRule} rule */
export function effectText(rule) {
  const names = listOf(rule.upstreams).join(", ");
  const parts = [
    names && (rule.only ? t("rules.only-these", { names }) : names),
    rule.model && t("rules.as-model", { model: rule.model }),
    rule.effort && t("rules.with-effort", { effort: rule.effort }),
    rule.max_tokens && t("rules.with-max-tokens", { tokens: whole(rule.max_tokens) }),
  ];
  return parts.filter(Boolean).join(" · ") || t("rules.no-effect");
}

/**
 * The rule that decided, as explain names it: 'rule 2', or 'rule "its name"'.
 * @param {string} rule
 */
export function ruleText(rule) {
  const label = rule.replace(/^rule /, "");
  return /^\d+$/.test(label) ? t("request.rule-number", { rule: label }) : label;
}

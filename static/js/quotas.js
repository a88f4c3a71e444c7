// The quotas of an upstream: how much of each window is used, when it resets, when it may be used up; and its balance.
import { h } from "./dom.js";
import { clock, percent } from "./format.js";
import { said, t } from "./i18n.js";

/**
 * The quotas and balances of an upstream, of each of its keys if it has several; null if it reports none.
 * @param {UpstreamState | undefined} state
 */
export function quotaView(state) {
  const accounts = state?.accounts.length ? state.accounts : state ? [{ ...state, key: "" }] : [];
  const lines = accounts.flatMap(({ key, quotas }) => quotas.map((quota) => line(key, quota)));
  lines.push(...(state?.balances ?? []).map(balanceLine));
  return lines.length ? h("ul.quotas", { "aria-label": t("quotas.title") }, lines) : null;
}

/**
 * @param {string} key
 * @param {Quota} quota
 */
function line(key, quota) {
  const name = [said(key), windowName(quota.window)].filter(Boolean).join(" ");
  const forecast = quota.full_at ? t("quotas.full-at", { time: clock(quota.full_at) }) : null;
  return h(
    "li",
    {},
    h("meter", { min: "0", max: "1", high: "0.85", value: String(quota.used), "aria-label": name }),
    h("span", {}, t("quotas.used", { name, share: percent(quota.used) })),
    h("span.faint", {}, t("quotas.resets", { time: clock(quota.resets_at) })),
    forecast ? h("span.warn", {}, forecast) : null,
  );
}

/** @param {Balance} balance */
function balanceLine({ key, amount, currency, at, fault }) {
  const known = amount === null ? null : h("strong", {}, `${amount.toFixed(2)} ${currency}`);
  return h(
    "li",
    {},
    h("span", {}, [said(key), t("balance.title")].filter(Boolean).join(" ")),
    known,
    fault ? h("span.warn.wrap", {}, said(fault)) : h("span.faint", {}, t("balance.at", { time: clock(at) })),
  );
}

/** @param {string} window */
const windowName = (window) =>
  ["requests", "tokens", "input-tokens", "output-tokens"].includes(window) ? t(`quotas.${window}`) : window;

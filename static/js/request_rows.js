// Requests as the rows of a list: its head, a row, and the dialog that a row opens.
import { upstreamNames } from "./config.js";
import { h } from "./dom.js";
import { agent, clock, isToday, moment, money, seconds } from "./format.js";
import { t } from "./i18n.js";
import { showRequest } from "./request_detail.js";
import { outcomeBadge, outcomeDot, tokensText } from "./request_words.js";
import { badge } from "./ui.js";
import { accountName } from "./upstream_words.js";

const COLUMNS = ["time", "model", "client", "upstream", "outcome", "first", "duration", "tokens", "cost"];

export const requestHead = () =>
  h(
    "div.request-head",
    { "aria-hidden": "true" },
    h("span"),
    COLUMNS.map((name) =>
      h(
        "span",
        { class: `c-${name}${["first", "duration", "tokens", "cost"].includes(name) ? " number" : ""}` },
        t(`requests.column-${name}`),
      ),
    ),
  );

/**
 * @param {RequestRow} row
 * @param {(row: RequestRow) => unknown} onOpen
 * @param {boolean} [isCaptured]
 */
export function requestRow(row, onOpen, isCaptured = false) {
  const renamed = row.sent && row.sent !== row.model;
  return h(
    "div",
    { role: "listitem" },
    h(
      "button.request",
      { type: "button", onclick: () => onOpen(row), dataset: { key: `request-${row.id}` } },
      outcomeDot(row),
      h("span.c-time", { title: moment(row.at) }, clock(row.at, isToday(row.at))),
      h(
        "span.c-model",
        { title: isCaptured ? `${row.model} · ${t("requests.captured")}` : row.model },
        row.model || "–",
        row.kind === "request" ? "" : ` (${t(`kind.${row.kind}`)})`,
        isCaptured ? h("span.faint", {}, ` · ${t("requests.captured")}`) : null,
      ),
      h(
        "span.c-client.muted",
        { title: row.agent },
        row.client ? `${row.client} · ${agent(row.agent)}` : agent(row.agent),
      ),
      h(
        "span.c-upstream",
        { title: `${accountName(row)} ${row.sent}` },
        row.upstream || "–",
        renamed ? h("span.faint", {}, ` ${row.sent}`) : null,
      ),
      h(
        "span.c-outcome",
        {},
        outcomeBadge(row),
        row.marked_calls
          ? badge(t("requests.marked-calls"), "bad", t("requests.marked-calls-help", { count: row.marked_calls }))
          : null,
        row.attempts > 1
          ? h("span.faint", { title: t("requests.attempts", { count: row.attempts }) }, ` ×${row.attempts}`)
          : null,
      ),
      h("span.c-first.number", {}, seconds(row.first_byte)),
      h("span.c-duration.number", {}, seconds(row.duration)),
      h("span.c-tokens.number", {}, tokensText(row.usage) || "–"),
      h("span.c-cost.number", {}, money(row.cost)),
    ),
  );
}

/**
 * Shows a request, then its replay if one was started; `address` is the hash of the page below, without parameters.
 * @param {{ id: string, place?: string }} request
 * @param {string} address
 */
export async function openRequest({ id, place }, address) {
  const back = location.hash.includes("id=") ? address : location.hash;
  const shown = new URLSearchParams(place ? { id, place } : { id });
  if (address === "#/requests") history.replaceState(null, "", `${address}?${shown}`);
  const next = await showRequest(id, upstreamNames(), place);
  if (location.hash.startsWith(address)) history.replaceState(null, "", back);
  if (next) await openRequest({ id: next }, address);
}

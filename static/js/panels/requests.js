// The recent requests, live: filter, open, replay.
import { post } from "../api.js";
import { upstreamNames } from "../config.js";
import { h, keyed, replace } from "../dom.js";
import { agent, clock, money, seconds } from "../format.js";
import { t } from "../i18n.js";
import { live, refresh, subscribe } from "../live.js";
import { showRequest } from "../request_detail.js";
import { OUTCOMES, outcomeBadge, outcomeDot, tokensText } from "../request_words.js";
import { badge, choices, emptyNote, errorNote, loadingNote, protocolName, select, toggle } from "../ui.js";
import { accountName } from "../upstream_words.js";

/** @typedef {{ text: string, client: string, upstream: string, outcome: string }} Filters */

const CLIENTS = ["messages", "responses", "chat"];
const COLUMNS = ["time", "model", "client", "upstream", "outcome", "first", "duration", "tokens", "cost"];

/**
 * @param {HTMLElement} root
 * @param {Record<string, string>} given
 * @returns {Leave}
 */
export function mount(root, given) {
  /** @type {Filters} */
  const filters = { text: "", client: "", upstream: given.upstream ?? "", outcome: given.outcome ?? "" };
  const list = h("div.requests", { role: "list", "aria-label": t("nav.requests") });
  const head = h(
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
  const body = h("div", {}, loadingNote());
  const count = h("span.muted", { "aria-live": "polite" });
  const upstream = h("span");
  const capture = h("span.row");
  let waiting = false;

  const draw = () => {
    waiting = false;
    const rows = live.requests;
    if (!rows) return;
    const shown = rows.filter((row) => fits(row, filters));
    count.textContent =
      shown.length === rows.length
        ? t("requests.count", { count: rows.length })
        : t("requests.count-of", { shown: shown.length, count: rows.length });
    if (!rows.length) replace(body, emptyNote(t("requests.none-yet")));
    else if (!shown.length) replace(body, emptyNote(t("requests.no-match")));
    else if (!list.isConnected) replace(body, head, list);
    keyed(list, shown, (row) => row.id, requestRow);
  };
  // many events at once are one redraw
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(draw);
  };
  /** @param {keyof Filters} name @returns {(value: string) => void} */
  const filter = (name) => (value) => {
    filters[name] = value;
    draw();
  };
  let names = "";
  /** @param {State} state */
  const drawControls = (state) => {
    const known = state.upstreams.map((one) => one.name);
    if (JSON.stringify(known) !== names) {
      names = JSON.stringify(known);
      /** @type {Choices} */
      const options = [
        ["", t("requests.all-upstreams")],
        ...choices(known, (name) => (name.length > 40 ? `${name.slice(0, 40)}…` : name)),
      ];
      replace(
        upstream,
        select(options, filters.upstream, filter("upstream"), { "aria-label": t("requests.column-upstream") }),
      );
    }
    if (state.capture !== undefined && capture.dataset.on !== String(state.capture)) {
      capture.dataset.on = String(state.capture);
      replace(
        capture,
        toggle(state.capture, t("requests.capture"), setCapture, "capture"),
        h("span.muted", { title: t("requests.capture-help") }, t("requests.capture")),
      );
    }
  };

  /** @type {HTMLInputElement} */
  const search = h("input", {
    type: "search",
    placeholder: t("requests.search"),
    "aria-label": t("requests.search"),
    oninput: () => filter("text")(search.value.trim().toLowerCase()),
  });
  replace(
    root,
    h(
      "div.panel",
      {},
      h("div.panel-head", {}, h("h1", {}, t("nav.requests")), h("div.row", {}, count, capture)),
      h(
        "div.filters",
        { role: "search" },
        search,
        select([["", t("requests.all-clients")], ...choices(CLIENTS, protocolName)], "", filter("client"), {
          "aria-label": t("requests.column-client"),
        }),
        upstream,
        select(
          [["", t("requests.all-outcomes")], ...choices(OUTCOMES, (name) => t(`outcome.${name}`))],
          filters.outcome,
          filter("outcome"),
          { "aria-label": t("requests.column-outcome") },
        ),
      ),
      h("section.card", { "aria-label": t("nav.requests") }, body),
    ),
  );
  const ends = [
    subscribe("requests", soon),
    subscribe("state", drawControls),
    subscribe("link", (linked) => linked === false && !live.requests && replace(body, errorNote(new Error("offline")))),
  ];
  /** @param {Record<string, string>} wanted */
  const again = (wanted) => wanted.id && open(wanted.id);
  again(given);
  /** @type {Leave} */
  const leave = () => ends.forEach((end) => end());
  leave.again = again;
  return leave;
}

/** @param {boolean} on */
async function setCapture(on) {
  await post("/api/capture", { on });
  await refresh();
}

/**
 * @param {RequestRow} row
 * @param {Filters} filters
 */
function fits(row, { text, client, upstream, outcome }) {
  return (
    (!client || row.protocol === client) &&
    (!upstream || row.upstream === upstream) &&
    (!outcome || row.outcome === outcome) &&
    (!text ||
      `${row.model} ${row.sent} ${row.upstream} ${row.agent} ${row.client} ${row.session} ${row.error ?? ""} ${row.id}`
        .toLowerCase()
        .includes(text))
  );
}

/** @param {RequestRow} row */
function requestRow(row) {
  const renamed = row.sent && row.sent !== row.model;
  return h(
    "div",
    { role: "listitem" },
    h(
      "button.request",
      { type: "button", onclick: () => open(row.id) },
      outcomeDot(row),
      h("span.c-time", {}, clock(row.at, true)),
      h(
        "span.c-model",
        { title: row.model },
        row.model || "–",
        row.kind === "request" ? "" : ` (${t(`kind.${row.kind}`)})`,
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

/** @param {string} id */
async function open(id) {
  if (location.hash !== `#/requests?id=${id}`)
    history.replaceState(null, "", `#/requests?id=${encodeURIComponent(id)}`);
  const next = await showRequest(id, upstreamNames());
  if (location.hash.startsWith("#/requests")) history.replaceState(null, "", "#/requests");
  if (next) open(next);
}

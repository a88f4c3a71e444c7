// The first steps of someone new, on the overview until the first request was seen.
import { get } from "./api.js";
import { adopt, currentOptions, previewSetup } from "./client_setup.js";
import { loaded } from "./config.js";
import { h, section } from "./dom.js";
import { clock } from "./format.js";
import { t } from "./i18n.js";
import { live, subscribe } from "./live.js";
import { actionButton, button } from "./ui.js";
import { editUpstream } from "./upstream_editor.js";
import { testUpstream } from "./upstream_test.js";

const STORED = "first-run";
/**
 * @typedef {{ onlyDemo: boolean, upstream: UpstreamState | null, tested: boolean, clients: ClientSetup[],
 *   request: RequestRow | null }} Progress
 */

/** A section that guides through four steps; empty for everyone who has sent requests before. */
export function firstRun() {
  const element = h("div");
  /** @type {ClientSetup[]} */
  let clients = [];
  let isShown = false;
  const draw = section(element, (/** @type {Progress | null} */ progress) =>
    progress ? guide(progress, loadClients, finish) : null,
  );
  const update = () => live.state && draw(isShown ? progressOf(live.state, live.requests ?? [], clients) : null);
  const loadClients = async () => {
    clients = (await get("/api/clients")).clients;
    update();
  };
  const finish = () => {
    remember();
    isShown = false;
    update();
  };
  const begin = async () => {
    if (await isFamiliar()) return remember();
    isShown = true;
    await loadClients();
  };
  if (!isRemembered()) begin().catch(() => null);
  const ends = [subscribe("state", update), subscribe("requests", update)];
  return { element, end: () => ends.forEach((end) => end()) };
}

/** Whether there ever was a request, and an upstream is there to answer more. */
async function isFamiliar() {
  const [state, journal] = await Promise.all([get("/api/state"), get("/api/journal", { limit: 1 })]);
  return journal.requests.length > 0 && !isOnlyDemo(state);
}

/** @param {State} state */
const isOnlyDemo = (state) => state.upstreams.length > 0 && state.upstreams.every((one) => one.demo);

/**
 * @param {State} state
 * @param {RequestRow[]} rows
 * @param {ClientSetup[]} clients
 * @returns {Progress}
 */
function progressOf(state, rows, clients) {
  const own = state.upstreams.filter((one) => !one.demo);
  const names = own.map((one) => one.name);
  const answered = rows.filter((row) => row.outcome === "ok" && names.includes(row.upstream));
  return {
    onlyDemo: isOnlyDemo(state),
    upstream: own[0] ?? null,
    tested: answered.length > 0,
    clients,
    request: answered.find((row) => row.kind === "request") ?? null,
  };
}

/**
 * @param {Progress} progress
 * @param {() => Promise<void>} reload
 * @param {() => void} finish
 */
function guide({ onlyDemo, upstream, tested, clients, request }, reload, finish) {
  const isSetUp = request !== null || clients.some((one) => one.state === "ours");
  return h(
    "section.card.guide",
    { "aria-label": t("guide.title") },
    h(
      "header",
      {},
      h("h2", {}, t("guide.title")),
      button(t(request ? "guide.finish" : "guide.hide"), finish, { kind: "small", key: "guide-finish" }),
    ),
    h(
      "div.inside.stack",
      {},
      onlyDemo ? h("p", {}, t("overview.only-demo")) : null,
      h(
        "ol.guide-steps",
        {},
        step(upstream !== null, "guide.upstream", upstream ? null : upstreamActions(clients, reload)),
        step(tested, "guide.test", upstream && !tested ? testAction(upstream.name) : null),
        step(isSetUp, "guide.client", isSetUp ? null : clientActions(clients, reload)),
        step(request !== null, request ? "guide.seen" : "guide.request", request ? seen(request) : null),
      ),
    ),
  );
}

/**
 * @param {boolean} isDone
 * @param {string} key
 * @param {Child} actions
 */
const step = (isDone, key, actions) =>
  h(
    "li",
    { class: isDone ? "done" : "", dataset: { step: key.replace("guide.", "") } },
    h(
      "div.row",
      {},
      h("span", {}, t(key)),
      isDone ? h("span.good", {}, h("span", { "aria-hidden": "true" }, "✓ "), t("guide.done")) : null,
      actions,
    ),
  );

/**
 * @param {ClientSetup[]} clients
 * @param {() => Promise<void>} reload
 */
const upstreamActions = (clients, reload) => [
  button(
    t("upstreams.add"),
    async () => {
      await loaded();
      await editUpstream(null);
    },
    { kind: "primary small", key: "guide-add" },
  ),
  clients
    .filter((one) => one.endpoint)
    .map((one) =>
      actionButton(
        t("adopt.add-long", { title: one.title, url: one.endpoint?.base_url ?? "" }),
        async () => {
          await adopt(one);
          await reload();
        },
        { kind: "small", key: `guide-adopt-${one.client}` },
      ),
    ),
];

/** @param {string} name */
const testAction = (name) =>
  button(
    t("upstreams.test"),
    async () => {
      const { upstreams } = await loaded();
      const entry = upstreams.find((one) => one.name === name);
      testUpstream({ name, protocol: entry?.protocol, models: entry?.models });
    },
    { kind: "primary small", key: "guide-test" },
  );

/**
 * @param {ClientSetup[]} clients
 * @param {() => Promise<void>} reload
 */
const clientActions = (clients, reload) => [
  clients
    .filter((one) => one.state !== "unreadable")
    .map((one) =>
      actionButton(one.title, () => previewSetup(one, "apply", currentOptions(one), reload), {
        kind: "small",
        key: `guide-set-up-${one.client}`,
      }),
    ),
  h("a", { href: "#/clients" }, t("overview.set-up-client")),
];

/** @param {RequestRow} row */
const seen = (row) => [
  h("span.wrap", {}, `${clock(row.at, true)} · ${row.model} → ${row.upstream}`),
  h("a", { href: `#/requests?id=${encodeURIComponent(row.id)}` }, t("guide.open")),
];

function isRemembered() {
  try {
    return localStorage.getItem(STORED) === "done";
  } catch {
    return false;
  }
}

function remember() {
  try {
    localStorage.setItem(STORED, "done");
  } catch {
    // storage is disabled: the next page looks again
  }
}

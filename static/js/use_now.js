// "Use now": an upstream answers first from the next request on, until it is undone or its time is over.
import { post } from "./api.js";
import { h } from "./dom.js";
import { moment } from "./format.js";
import { t } from "./i18n.js";
import { refresh } from "./live.js";
import { actionButton, button, clientName, dialog, select } from "./ui.js";

/** @type {ProtocolName[]} */
const CLIENTS = ["messages", "responses", "chat"];
/** @typedef {{ clients: ProtocolName[], upstream: string, until: Time | null }} Used */
const HOUR = 3600;
/** @type {[string, string][]} */
const TIMES = [
  ["", "use.until-undone"],
  [`${HOUR / 2}`, "use.30-minutes"],
  [`${2 * HOUR}`, "use.2-hours"],
  [`${8 * HOUR}`, "use.8-hours"],
];

/**
 * @param {string | null} upstream null: the order of the settings applies again
 * @param {string | null} [client] null: all that it serves
 * @param {number | null} [seconds]
 */
export async function useNow(upstream, client = null, seconds = null) {
  await post("/api/use", { upstream, client, seconds });
  await refresh();
}

/**
 * The clients that use this upstream now.
 * @param {Uses | undefined} uses
 * @param {string} name
 */
export const clientsUsing = (uses, name) => CLIENTS.filter((client) => uses?.[client]?.upstream === name);

/**
 * What is used now, with a button that undoes it; null if nothing is. Clients that one click has set are one line.
 * @param {Uses} uses
 */
export function usesBanner(uses) {
  /** @type {Map<string, Used>} */
  const groups = new Map();
  for (const client of CLIENTS) {
    const use = uses[client];
    if (!use) continue;
    const key = JSON.stringify(use);
    groups.set(key, { ...use, clients: [...(groups.get(key)?.clients ?? []), client] });
  }
  if (!groups.size) return null;
  return h(
    "div.banner.accent-line.stack",
    {},
    [...groups.values()].map((used) =>
      h(
        "p.row",
        {},
        h("span.wrap", {}, useText(used)),
        actionButton(t("undo"), () => undo(used.clients), { kind: "small", key: `undo-use-${used.clients[0]}` }),
      ),
    ),
  );
}

/** @param {ProtocolName[]} clients */
export const undo = (clients) => Promise.all(clients.map((client) => useNow(null, client)));

/** @param {Used} used */
function useText({ clients, upstream, until }) {
  const isAll = clients.length === CLIENTS.length;
  const values = {
    client: isAll ? t("use.all-clients") : clients.map(clientName).join(", "),
    name: upstream,
    count: clients.length,
  };
  return until === null ? t("use.on", values) : t("use.on-until", { ...values, time: moment(until) });
}

/** @returns {Choices} */
const clientChoices = () => [
  ["", t("use.all-clients")],
  ...CLIENTS.map((one) => /** @type {const} */ ([one, clientName(one)])),
];

/**
 * Asks for which clients and for how long.
 * @param {string} name
 */
export function useDialog(name) {
  let client = "";
  let seconds = "";
  return dialog(
    t("use.title"),
    (close) => ({
      body: h(
        "div.stack.loose",
        {},
        h("p.muted.wrap", {}, t("use.help", { name })),
        h(
          "label.field",
          {},
          h("span", {}, t("explain.client")),
          select(clientChoices(), client, (chosen) => (client = chosen)),
        ),
        h(
          "label.field",
          {},
          h("span", {}, t("use.time")),
          select(
            TIMES.map(([key, words]) => [key, t(words)]),
            seconds,
            (chosen) => (seconds = chosen),
          ),
        ),
      ),
      footer: [
        button(t("cancel"), () => close()),
        actionButton(t("use.now"), async () => (await useNow(name, client || null, Number(seconds) || null), close()), {
          kind: "primary",
        }),
      ],
    }),
    { kind: "small" },
  );
}

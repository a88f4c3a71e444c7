// "Use now": an upstream answers first from the next request on, until it is undone or its time is over.
import { post } from "./api.js";
import { h } from "./dom.js";
import { moment } from "./format.js";
import { t } from "./i18n.js";
import { refresh } from "./live.js";
import { actionButton, button, clientName, dialog, select } from "./ui.js";

/** @type {ProtocolName[]} */
const CLIENTS = ["messages", "responses", "chat"];
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
 * What is used now, with a button that undoes it; null if nothing is.
 * @param {Uses} uses
 */
export function usesBanner(uses) {
  const used = CLIENTS.flatMap((client) => {
    const use = uses[client];
    return use ? [{ client, ...use }] : [];
  });
  if (!used.length) return null;
  return h(
    "div.banner.accent-line",
    {},
    used.map(({ client, upstream, until }) =>
      h(
        "p.row",
        {},
        h("span.wrap", {}, useText(client, upstream, until)),
        actionButton(t("undo"), () => useNow(null, client), { kind: "small", key: `undo-use-${client}` }),
      ),
    ),
  );
}

/**
 * @param {ProtocolName} client
 * @param {string} name
 * @param {Time | null} until
 */
const useText = (client, name, until) =>
  until === null
    ? t("use.on", { client: clientName(client), name })
    : t("use.on-until", { client: clientName(client), name, time: moment(until) });

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

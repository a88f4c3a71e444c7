// Setting up clients: preview as a diff, apply, undo; keys for clients; snippets to paste.
import { get } from "../api.js";
import { adopt, currentOptions, previewSetup, saidLines } from "../client_setup.js";
import { onConfig, save } from "../config.js";
import { h, replace } from "../dom.js";
import { t, translated } from "../i18n.js";
import { subscribe } from "../live.js";
import {
  actionButton,
  badge,
  button,
  confirm,
  copyButton,
  dialog,
  emptyNote,
  errorNote,
  loadInto,
  messageOf,
  note,
} from "../ui.js";

const KINDS = { ours: "good", other: "warn", absent: "", unreadable: "bad" };

/** @param {HTMLElement} root */
export function mount(root) {
  const clients = h("div.stack.loose");
  const keys = h("div");
  const urls = h("div");
  replace(
    root,
    h(
      "div.panel",
      {},
      h("div.panel-head", {}, h("div", {}, h("h1", {}, t("nav.clients")), h("p", {}, t("clients.intro")))),
      clients,
      h("section.card", { "aria-label": t("clients.urls") }, h("header", {}, h("h2", {}, t("clients.urls"))), urls),
      keys,
    ),
  );
  const load = () =>
    loadInto(
      clients,
      () => get("/api/clients"),
      (/** @type {{ clients: ClientSetup[] }} */ answer) => answer.clients.map((client) => card(client, load)),
    );
  load();
  const ends = [
    onConfig(
      (known) => replace(keys, keysCard(known)),
      (error) => replace(keys, errorNote(error)),
    ),
    subscribe("state", (state) => !urls.hasChildNodes() && replace(urls, urlList(state.urls))),
  ];
  return () => ends.forEach((end) => end());
}

/**
 * @param {ClientSetup} client
 * @param {() => void} reload
 */
function card(client, reload) {
  const options = client.options.map(optionField);
  const chosen = () => Object.fromEntries(options.map((one) => [one.name, one.read()]));
  const unreadable = client.state === "unreadable";
  return h(
    "section.card",
    { "aria-label": client.title, dataset: { client: client.client } },
    h(
      "header",
      {},
      h("div.row", {}, h("h2", {}, client.title), badge(t(`clients.state-${client.state}`), KINDS[client.state])),
      h("code.muted.cut", { title: client.path }, client.path),
    ),
    h(
      "div.inside.stack.loose",
      {},
      client.endpoint ? adoption(client, reload) : null,
      saidLines(client.detail, { class: unreadable ? "bad" : "muted" }),
      options.length
        ? h(
            "div.stack",
            {},
            options.map((one) => one.element),
          )
        : null,
      h(
        "div.row",
        {},
        actionButton(
          t(client.undoable ? "clients.update" : "clients.set-up"),
          () => previewSetup(client, "apply", chosen(), reload),
          { kind: "primary", disabled: unreadable },
        ),
        client.undoable ? actionButton(t("clients.undo"), () => previewSetup(client, "undo", {}, reload)) : null,
      ),
      h(
        "details",
        {},
        h("summary", {}, t("clients.by-hand")),
        h("div.stack", {}, h("pre.code", { tabindex: "0" }, client.snippet), h("div", {}, copyButton(client.snippet))),
      ),
    ),
  );
}

/**
 * @param {ClientSetup} client
 * @param {() => void} reload
 */
function adoption(client, reload) {
  const adopted = async () => {
    await adopt(client);
    reload();
  };
  return h(
    "p.row",
    {},
    h("span.wrap", {}, t("adopt.offer", { title: client.title, url: client.endpoint?.base_url ?? "" })),
    actionButton(t("adopt.add"), adopted, { kind: "small" }),
  );
}

/** @param {ClientOption} option */
function optionField(option) {
  const help = translated(`option.${option.name}`) || option.help;
  if (option.type === "flag") {
    const box = h("input", { type: "checkbox", checked: option.default === true });
    return {
      name: option.name,
      element: h("label.check", {}, box, h("span", {}, h("code", {}, option.label), h("span.muted", {}, ` ${help}`))),
      read: () => box.checked,
    };
  }
  const input = h("input", { type: "text", value: String(option.default ?? ""), spellcheck: "false" });
  return {
    name: option.name,
    element: h("label.field", {}, h("span", {}, h("code", {}, option.label), h("span.muted", {}, ` ${help}`)), input),
    read: () => input.value,
  };
}

/** @param {Record<string, string>} urls */
function urlList(urls) {
  return h(
    "ul.lines",
    {},
    Object.entries(urls).map(([client, url]) =>
      h(
        "li",
        {},
        h("div.grow", {}, h("div", {}, t(`client.${client}`)), h("code.muted.wrap", {}, url)),
        copyButton(url),
      ),
    ),
  );
}

// --- client keys ---

/** @param {Config} known */
function keysCard(known) {
  /** @param {Config["client_keys"][number]} key */
  const remove = async ({ id, label }) => {
    if (await confirm(t("keys.remove"), t("keys.remove-question", { label }), t("delete")))
      await save("/api/client-keys/remove", { id });
  };
  return h(
    "section.card",
    { "aria-label": t("keys.title") },
    h(
      "header",
      {},
      h("h2", {}, t("keys.title")),
      actionButton(t("keys.add"), () => addKey(!known.client_keys.length), { key: "add-key" }),
    ),
    known.client_keys.length
      ? h(
          "ul.lines",
          {},
          known.client_keys.map((key) =>
            h(
              "li",
              {},
              h("div.grow.wrap", {}, key.label || t("keys.unnamed")),
              actionButton(t("delete"), () => remove(key), { kind: "small" }),
            ),
          ),
        )
      : emptyNote(t("keys.none")),
  );
}

/** @param {boolean} isFirst before it, no client needs a key */
async function addKey(isFirst) {
  /** @type {ClientSetup[]} */
  const clients = isFirst ? (await get("/api/clients")).clients : [];
  const affected = clients.filter((one) => one.state === "ours");
  const label = h("input", {
    type: "text",
    autofocus: true,
    "aria-label": t("keys.label"),
    placeholder: t("keys.label-example"),
  });
  const warning = isFirst
    ? h(
        "div.banner",
        {},
        h("p", {}, t("keys.first")),
        affected.length
          ? h("p", {}, t("keys.first-set-up", { clients: titles(affected), count: affected.length }))
          : null,
      )
    : null;
  return dialog(
    t("keys.add"),
    (close) => {
      const body = h("div.stack.loose", {}, warning, h("p.muted", {}, t("keys.help")), label);
      /** @type {HTMLButtonElement} */
      const add = actionButton(
        t("keys.create"),
        async () => {
          try {
            const { key } = await save("/api/client-keys/add", { label: label.value.trim() });
            replace(
              body,
              h("p", {}, t("keys.once")),
              h("div.row", {}, h("code.wrap", {}, key), copyButton(key)),
              affected.length ? updates(affected) : null,
            );
            add.remove();
          } catch (error) {
            note(messageOf(error), { kind: "bad" });
          }
        },
        { kind: "primary" },
      );
      return { body, footer: [button(t("close"), () => close()), add] };
    },
    { kind: "small" },
  );
}

/** @param {ClientSetup[]} clients */
const titles = (clients) => clients.map((one) => one.title).join(", ");

/**
 * Set-up clients are refused from now on, until their files have the key.
 * @param {ClientSetup[]} clients
 */
function updates(clients) {
  const rows = clients.map((client) => {
    /** @type {HTMLButtonElement} */
    const update = actionButton(t("keys.update-client", { title: client.title }), () =>
      previewSetup(client, "apply", currentOptions(client), () =>
        replace(row, t("keys.updated", { title: client.title })),
      ),
    );
    const row = h("div", {}, update);
    return row;
  });
  return h("div.banner.stack", {}, h("p", {}, t("keys.update", { count: clients.length })), rows);
}

// Setting up clients: preview as a diff, apply, undo; keys for clients; snippets to paste.
import { get, post } from "../api.js";
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
  diffView,
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
      client.detail ? h("p.wrap", { class: unreadable ? "bad" : "muted" }, client.detail) : null,
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
          () => preview(client, "apply", chosen(), reload),
          { kind: "primary", disabled: unreadable },
        ),
        client.undoable ? actionButton(t("clients.undo"), () => preview(client, "undo", {}, reload)) : null,
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

/**
 * @param {ClientSetup} client
 * @param {"apply" | "undo"} action
 * @param {object} options
 * @param {() => void} reload
 */
async function preview(client, action, options, reload) {
  const plan = await post("/api/clients/preview", { client: client.client, action, options });
  /** @param {Close<void>} close */
  const act = async (close) => {
    const { path, backup } = await post(`/api/clients/${action}`, {
      client: client.client,
      options,
      revision: plan.revision,
    });
    close();
    note(backup ? t("clients.written-backup", { path, backup }) : t("clients.written", { path }), { kind: "good" });
    reload();
  };
  await dialog(
    t(action === "apply" ? "clients.preview-apply" : "clients.preview-undo", { title: client.title }),
    (close) => ({
      body: h(
        "div.stack.loose",
        {},
        h("p.muted.wrap", {}, t("clients.preview-help", { path: plan.path })),
        plan.note ? h("p.warn.wrap", {}, plan.note) : null,
        plan.changes ? diffView(plan.diff) : h("p", {}, t("clients.nothing-to-change")),
      ),
      footer: [
        button(t("cancel"), () => close()),
        plan.changes
          ? actionButton(t(action === "apply" ? "clients.apply" : "clients.undo"), () => act(close), {
              kind: "primary",
            })
          : null,
      ],
    }),
  );
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
    h("header", {}, h("h2", {}, t("keys.title")), actionButton(t("keys.add"), addKey, { key: "add-key" })),
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

function addKey() {
  const label = h("input", {
    type: "text",
    autofocus: true,
    "aria-label": t("keys.label"),
    placeholder: t("keys.label-example"),
  });
  return dialog(
    t("keys.add"),
    (close) => {
      const body = h("div.stack.loose", {}, h("p.muted", {}, t("keys.help")), label);
      /** @type {HTMLButtonElement} */
      const add = actionButton(
        t("keys.create"),
        async () => {
          try {
            const { key } = await save("/api/client-keys/add", { label: label.value.trim() });
            replace(body, h("p", {}, t("keys.once")), h("div.row", {}, h("code.wrap", {}, key), copyButton(key)));
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

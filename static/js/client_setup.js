// The set-up of a client: a preview of the change, then writing it.
import { post } from "./api.js";
import { loaded, save } from "./config.js";
import { h } from "./dom.js";
import { said, t } from "./i18n.js";
import { actionButton, button, dialog, diffView, note } from "./ui.js";

/**
 * @param {ClientSetup} client
 * @param {"apply" | "undo"} action
 * @param {object} options
 * @param {() => void} reload
 */
export async function previewSetup(client, action, options, reload) {
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
        saidLines(plan.note, { class: "warn" }),
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

/**
 * Each line of what the daemon says, as a paragraph.
 * @param {string} text
 * @param {{ class: string }} attributes
 */
export const saidLines = (text, attributes) =>
  text ? text.split("\n").map((line) => h("p.wrap", attributes, said(line))) : null;

/**
 * The options of a set-up as they are now.
 * @param {ClientSetup} client
 */
export const currentOptions = (client) => Object.fromEntries(client.options.map((one) => [one.name, one.default]));

/**
 * Adds the endpoint in the client's file as an upstream.
 * @param {ClientSetup} client
 */
export async function adopt(client) {
  await loaded();
  const { name } = await save("/api/clients/adopt", { client: client.client });
  note(t("upstreams.added", { name }), { kind: "good" });
}

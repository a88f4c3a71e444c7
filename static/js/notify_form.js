// Where notifications go: the address, what is reported, and a test.
import { post } from "./api.js";
import { h, replace } from "./dom.js";
import { said, t } from "./i18n.js";
import { actionButton, field, group } from "./ui.js";

const KINDS = ["switch", "cooldown", "held", "recovered", "budget", "quota"];

/**
 * The address is shown without its path, and stays as it is while that is not edited.
 * @param {NotifySettings} stored
 * @param {NotifySettings} defaults
 */
export function notifyForm(stored, defaults) {
  const url = h("input.mono", {
    type: "text",
    value: stored.url ?? "",
    placeholder: "https://ntfy.sh/topic-of-my-own",
    spellcheck: "false",
    autocomplete: "off",
  });
  const on = stored.on ?? defaults.on ?? KINDS;
  const boxes = KINDS.map((kind) => ({ kind, box: h("input", { type: "checkbox", checked: on.includes(kind) }) }));
  const result = h("p", { role: "status" });
  const test = async () => {
    const { ok, detail } = await post("/api/notify/test");
    replace(result, h("span.wrap", { class: ok ? "good" : "bad" }, ok ? t("notify.sent") : said(detail)));
  };
  const [program] = stored.command ?? [];
  return {
    element: h(
      "div.stack.loose",
      {},
      field(t("notify.url"), url, { help: t("notify.url-help"), path: "notify.url" }),
      h("p.muted.wrap", {}, program ? t("notify.command", { program }) : t("notify.command-help")),
      group(
        t("notify.on"),
        h(
          "div.checks",
          {},
          boxes.map(({ kind, box }) => h("label.check", {}, box, t(`notify.${kind}`))),
        ),
        { path: "notify.on" },
      ),
      h("div.row", {}, actionButton(t("notify.test"), test, { kind: "small", title: t("notify.test-help") }), result),
    ),
    changes: () => {
      /** @type {NotifySettings} */
      const changed = {};
      const chosen = boxes.filter(({ box }) => box.checked).map(({ kind }) => kind);
      if (url.value.trim() !== (stored.url ?? "")) changed.url = url.value.trim();
      if (chosen.join() !== on.join()) changed.on = chosen;
      return changed;
    },
  };
}

// Fetch the names of an upstream's models, and put them or a suggested mapping into its form.
import { h, newId, replace } from "./dom.js";
import { t } from "./i18n.js";
import { actionButton, button, messageOf } from "./ui.js";

/**
 * A button, what was found, and a datalist of the names for inputs.
 * @param {() => Promise<FoundModels>} ask
 * @param {{ map: (pairs: [string, string][]) => void, list: (names: string[]) => void }} use
 */
export function modelNames(ask, use) {
  const names = h("datalist", { id: newId("models") });
  const result = h("div.stack", { "aria-live": "polite" });
  const fetch = async () => {
    try {
      const found = await ask();
      replace(
        names,
        found.models.map((name) => h("option", { value: name })),
      );
      replace(result, report(found, use));
    } catch (error) {
      replace(result, h("p.bad.wrap", {}, messageOf(error)));
    }
  };
  const element = h(
    "div.stack",
    {},
    h("div", {}, actionButton(t("models.fetch"), fetch, { kind: "small" })),
    result,
    names,
  );
  return { element, listId: names.id };
}

/**
 * @param {FoundModels} found
 * @param {{ map: (pairs: [string, string][]) => void, list: (names: string[]) => void }} use
 */
function report({ models, suggested }, use) {
  const pairs = Object.entries(suggested);
  return [
    h("p", {}, t("models.found", { count: models.length })),
    h("details", {}, h("summary", {}, t("models.show-names")), h("p.mono.wrap", {}, models.join(", "))),
    pairs.length
      ? [
          h("p", {}, t("models.suggested")),
          h(
            "ul.plain",
            {},
            pairs.map(([from, to]) => h("li.mono.wrap", {}, `${from} → ${to}`)),
          ),
          h(
            "div",
            {},
            button(t("models.use-suggested"), () => use.map(pairs), { kind: "small" }),
          ),
        ]
      : models.length
        ? [
            h("p.muted", {}, t("models.no-mapping")),
            h(
              "div",
              {},
              button(t("models.use-list"), () => use.list(models), { kind: "small" }),
            ),
          ]
        : null,
  ];
}

/**
 * A name to test with: one that clients request, if the upstream has it.
 * @param {FoundModels} found
 */
export function usualName({ models, suggested }) {
  const own = models.find((name) => /^(claude|gpt)-/.test(name));
  return suggested["claude-sonnet-*"] ?? own ?? models[0] ?? "";
}

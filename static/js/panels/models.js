// Model rules in their order, the upstream of a model, and prices.
import { get } from "../api.js";
import { difference, mountDraft, orNull } from "../draft.js";
import { all, h, replace } from "../dom.js";
import { said, t } from "../i18n.js";
import { live } from "../live.js";
import { busy, button, choices, errorNote, icon, moveButtons, protocolName, select } from "../ui.js";

/** @type {ProtocolName[]} */
const CLIENTS = ["messages", "chat", "responses"];
const PRICES = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"];
const EDITED = ["from", "to", "clients"];

/** @param {HTMLElement} root */
export function mount(root) {
  const shell = h("div");
  replace(root, shell, h("div.panel.after", {}, tryCard()));
  return mountDraft(shell, t("nav.models"), t("models.intro"), build);
}

/**
 * @param {Config} config
 * @param {() => void} touched
 * @returns {Draft}
 */
function build(config, touched) {
  const stored = { model_rules: config.model_rules ?? [], prices: config.prices ?? {} };
  const rules = ruleRows(stored.model_rules, touched);
  const prices = priceRows(stored.prices, touched);
  return {
    content: [
      h(
        "section.card",
        { "aria-label": t("models.rules") },
        h("header", {}, h("h2", {}, t("models.rules"))),
        h("div.inside.stack.loose", {}, h("p.muted", {}, t("models.rules-help")), rules.element),
      ),
      h(
        "section.card",
        { "aria-label": t("models.prices") },
        h("header", {}, h("h2", {}, t("models.prices"))),
        h("div.inside.stack.loose", {}, h("p.muted", {}, t("models.prices-help")), prices.element),
      ),
    ],
    changes: () => orNull(difference({ model_rules: rules.read(), prices: prices.read() }, stored)),
  };
}

// --- rules ---

/**
 * @param {ModelRule[]} stored
 * @param {() => void} touched
 */
function ruleRows(stored, touched) {
  const rows = h("div.stack");
  /** @type {WeakMap<Element, () => ModelRule>} */
  const readers = new WeakMap();
  const number = () => all(rows, ":scope > *").forEach((row, index) => (row.dataset.path = `model_rules[${index}]`));
  /** @param {ModelRule} rule */
  const add = (rule) => {
    const from = input(rule.from ?? "", t("models.requested"));
    const to = input(rule.to ?? "", t("models.upstream"));
    const chosen = rule.clients?.length === 1 ? rule.clients[0] : rule.clients && rule.clients.length < 3 ? "some" : "";
    /** @type {Choices} */
    const some = chosen === "some" ? [["some", (rule.clients ?? []).map(protocolName).join(", ")]] : [];
    const clients = select([["", t("models.all-clients")], ...choices(CLIENTS, protocolName), ...some], chosen, null, {
      "aria-label": t("field.clients"),
    });
    /** @type {HTMLElement} */
    const row = h(
      "div.rule-row",
      { dataset: { path: "" } },
      from,
      h("span.arrow.faint", { "aria-hidden": "true" }, icon("arrow")),
      to,
      clients,
      h(
        "span.row.tight",
        {},
        moveButtons(() => row, changed),
        button("", () => removeRow(row), { kind: "quiet", iconName: "close", title: t("editor.remove-row") }),
      ),
      h("p.wrong", { hidden: true }),
    );
    const others = Object.fromEntries(Object.entries(rule).filter(([name]) => !EDITED.includes(name)));
    readers.set(row, () => ({
      from: from.value.trim(),
      to: to.value.trim(),
      ...(clients.value === "some"
        ? { clients: rule.clients }
        : clients.value
          ? { clients: [clients.value] }
          : rule.clients?.length === 3
            ? { clients: rule.clients }
            : {}),
      ...others,
    }));
    rows.append(row);
    number();
    return row;
  };
  const changed = () => (number(), touched());
  /** @param {HTMLElement} row */
  const removeRow = (row) => (row.remove(), changed());
  stored.forEach(add);
  const more = button(t("models.add-rule"), () => (add({}).querySelector("input")?.focus(), touched()), {
    kind: "small",
  });
  return {
    element: h("div.stack", {}, rows, h("div", {}, more)),
    read: () =>
      [...rows.children]
        .map((row) => inOrder(readers.get(row)?.() ?? {}, stored))
        .filter((rule) => rule.from || rule.to),
  };
}

/**
 * A rule with its members in the order they have in the file, so that an unchanged rule compares equal.
 * @param {ModelRule} rule
 * @param {ModelRule[]} stored
 * @returns {ModelRule}
 */
function inOrder(rule, stored) {
  const twin = stored.find((one) => one.from === rule.from && one.to === rule.to);
  const order = Object.keys(twin ?? {});
  return Object.fromEntries(Object.entries(rule).sort(([one], [other]) => place(order, one) - place(order, other)));
}

/**
 * @param {string[]} order
 * @param {string} name
 */
const place = (order, name) => (order.includes(name) ? order.indexOf(name) : order.length);

/**
 * @param {string} value
 * @param {string} label
 */
const input = (value, label) =>
  h("input.mono", {
    type: "text",
    value,
    placeholder: label,
    "aria-label": label,
    spellcheck: "false",
    autocomplete: "off",
  });

// --- prices ---

/**
 * @param {Record<string, Price>} stored
 * @param {() => void} touched
 */
function priceRows(stored, touched) {
  const rows = h("tbody");
  /** @type {WeakMap<Element, () => [string, Price]>} */
  const readers = new WeakMap();
  /** @param {string} pattern @param {Price} price */
  const add = (pattern, price) => {
    const name = input(pattern, t("models.pattern"));
    const parts = PRICES.map(
      (part) =>
        /** @type {const} */ ([
          part,
          h("input", {
            type: "number",
            min: "0",
            step: "any",
            value: price[part] ?? "",
            "aria-label": t(`price.${part}`),
          }),
        ]),
    );
    /** @type {HTMLElement} */
    const row = h(
      "tr",
      {},
      h("td", {}, name),
      parts.map(([part, control]) => h("td", { dataset: { label: t(`price.${part}`) } }, control)),
      h(
        "td",
        {},
        button("", () => (row.remove(), touched()), {
          kind: "quiet",
          iconName: "close",
          title: t("editor.remove-row"),
        }),
      ),
    );
    const others = Object.fromEntries(Object.entries(price).filter(([part]) => !PRICES.includes(part)));
    readers.set(row, () => [
      name.value.trim(),
      {
        ...Object.fromEntries(
          parts.filter(([, control]) => control.value !== "").map(([part, control]) => [part, Number(control.value)]),
        ),
        ...others,
      },
    ]);
    rows.append(row);
    return row;
  };
  Object.entries(stored).forEach(([pattern, price]) => add(pattern, price));
  const table = h(
    "div.table-holder",
    { dataset: { path: "prices" } },
    h(
      "table.cards-when-narrow",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, t("models.pattern")),
          PRICES.map((part) => h("th", { scope: "col" }, t(`price.${part}`))),
          h("th"),
        ),
      ),
      rows,
    ),
    h("p.wrong", { hidden: true }),
  );
  const show = () => (table.hidden = !rows.children.length);
  show();
  const more = button(
    t("models.add-price"),
    () => {
      const row = add("", {});
      show();
      row.querySelector("input")?.focus();
      touched();
    },
    { kind: "small" },
  );
  return {
    element: h("div.stack", {}, table, h("div", {}, more)),
    read: () =>
      Object.fromEntries(
        [...rows.children].map((row) => readers.get(row)?.() ?? ["", {}]).filter(([pattern]) => pattern),
      ),
  };
}

// --- where does a model go? ---

function tryCard() {
  const model = input(live.state?.routes.messages.model ?? "claude-sonnet-4-5", t("explain.model"));
  const answer = h("div.stack", { "aria-live": "polite" });
  const explain = async () => {
    try {
      /** @type {Route[]} */
      const routes = await Promise.all(CLIENTS.map((client) => get("/api/explain", { client, model: model.value })));
      replace(answer, routes.map(outcome));
    } catch (error) {
      replace(answer, errorNote(error));
    }
  };
  /** @type {HTMLButtonElement} */
  const go = button(t("explain.run"), () => busy(go, explain), { kind: "primary" });
  return h(
    "section.card",
    { "aria-label": t("models.try") },
    h("header", {}, h("h2", {}, t("models.try"))),
    h(
      "form.inside.stack.loose",
      { onsubmit: (event) => (event.preventDefault(), busy(go, explain)) },
      h("p.muted", {}, t("models.try-help")),
      h("div.row", {}, h("span.grow", {}, model), go),
      answer,
    ),
  );
}

/** @param {Route} route */
function outcome(route) {
  const first = route.candidates[0];
  const because = route.skipped.map((skip) => `${skip.upstream}: ${said(skip.text)}`).join(" · ");
  return h(
    "div.row",
    {},
    h("strong", {}, protocolName(route.client)),
    first
      ? h("span.wrap", {}, `${first.upstream} → `, h("code", {}, first.model))
      : h("span.bad.wrap", { title: because }, `${t("overview.no-candidate")} ${because}`),
  );
}

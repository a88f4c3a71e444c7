// What Switchyard does when an upstream fails, and how long each step may take: each setting with its default.
import { difference, mountDraft, orNull } from "../draft.js";
import { all, h } from "../dom.js";
import { t, translated } from "../i18n.js";
import { notifyForm } from "../notify_form.js";
import { button, field, group, moveButtons, select } from "../ui.js";

/**
 * @typedef {object} NumberField
 * @property {string} name
 * @property {HTMLElement} element
 * @property {() => number | undefined} read
 */

const ACTIONS = ["switch", "retry", "rescue", "return"];
const GROUPS = {
  cooldown: ["error_threshold", "cooldown_start_seconds", "cooldown_seconds", "max_cooldown_seconds"],
  waiting: ["hold_seconds", "total_seconds", "queue_seconds", "keep_alive_seconds"],
  sessions: ["session_hours", "return_to_primary_minutes"],
};
const BUDGETS = ["day_soft", "day_hard", "month_soft", "month_hard"];
const NETWORK = ["connect", "connect_timeout", "read", "first_byte_timeout", "idle_timeout", "protocol"];

/** @param {HTMLElement} root */
export function mount(root) {
  return mountDraft(root, t("nav.failover"), t("failover.intro"), build);
}

const LISTS = /** @type {const} */ (["allowed_hosts", "allowed_origins"]);

/** @param {string} text */
function linesOf(text) {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}

/**
 * @param {Config} config
 * @param {() => void} touched
 * @returns {Draft}
 */
function build(config, touched) {
  const stored = {
    failover: /** @type {FailoverSettings} */ (config.failover ?? {}),
    timeouts: config.timeouts ?? {},
    budget: config.budget ?? {},
    allowed_hosts: config.allowed_hosts ?? [],
    allowed_origins: config.allowed_origins ?? [],
    max_body_megabytes: config.max_body_megabytes,
    warm_connections: config.warm_connections ?? true,
  };
  const defaults = config.defaults;
  const failover = Object.values(GROUPS)
    .flat()
    .map((name) => numberOf("failover", name, stored.failover, defaults.failover));
  const byName = new Map(failover.map((one) => [one.name, one.element]));
  const timeouts = ["connect", "first_byte", "idle"].map((name) =>
    numberOf("timeouts", name, stored.timeouts, defaults.timeouts),
  );
  const budget = BUDGETS.map((name) => numberOf("budget", name, stored.budget, defaults.budget));
  const notify = notifyForm(config.notify ?? {}, defaults.notify);
  const statuses = statusRows(stored.failover.on_status ?? {}, defaults.failover.on_status, touched);
  const errors = errorRows(stored.failover.on_error ?? {}, defaults.failover.on_error);
  const texts = textRows(stored.failover.on_text ?? [], touched);
  const allowed = LISTS.map((name) => ({
    name,
    element: h("textarea.mono", { rows: "2", spellcheck: "false" }, stored[name].join("\n")),
  }));
  const megabytes = h("input", {
    type: "number",
    min: "1",
    max: "1024",
    value: stored.max_body_megabytes ?? "",
    placeholder: "64",
  });
  const warm = h("input", { type: "checkbox", checked: stored.warm_connections });

  const read = () => ({
    failover: {
      ...others(stored.failover, failover),
      ...values(failover),
      ...some("on_status", statuses.read(), stored.failover),
      ...some("on_error", errors.read(), stored.failover),
      ...some("on_text", texts.read(), stored.failover),
    },
    timeouts: { ...others(stored.timeouts, timeouts), ...values(timeouts) },
    budget: { ...others(stored.budget, budget), ...values(budget) },
  });
  const changes = () => {
    const now = read();
    /** @type {Record<string, unknown>} */
    const changed = {};
    for (const section of /** @type {const} */ (["failover", "timeouts", "budget"])) {
      const inner = difference(now[section], stored[section]);
      if (Object.keys(inner).length) changed[section] = inner;
    }
    const notified = notify.changes();
    if (Object.keys(notified).length) changed.notify = notified;
    for (const { name, element } of allowed) {
      const lines = linesOf(element.value);
      if (JSON.stringify(lines) !== JSON.stringify(stored[name])) changed[name] = lines;
    }
    const limit = megabytes.value === "" ? undefined : Number(megabytes.value);
    if (limit !== stored.max_body_megabytes) changed.max_body_megabytes = limit ?? null;
    if (warm.checked !== stored.warm_connections) changed.warm_connections = warm.checked ? null : false;
    return orNull(changed);
  };
  return {
    changes,
    content: [
      h(
        "div.columns.even",
        {},
        card(
          "failover.timeouts",
          h(
            "div.stack.loose",
            {},
            timeouts.map((one) => one.element),
          ),
        ),
        card(
          "failover.cooldown",
          h(
            "div.stack.loose",
            {},
            GROUPS.cooldown.map((name) => byName.get(name)),
          ),
        ),
      ),
      h(
        "div.columns.even",
        {},
        card("failover.on-status", statuses.element),
        card("failover.on-error", errors.element),
      ),
      card("failover.on-text", h("div.stack.loose", {}, h("p.muted", {}, t("failover.on-text-help")), texts.element)),
      card(
        "failover.actions",
        h(
          "dl.pairs",
          {},
          ACTIONS.map((action) => [h("dt", {}, t(`action.${action}`)), h("dd", {}, t(`action-help.${action}`))]),
        ),
      ),
      h(
        "div.columns.even",
        {},
        card(
          "failover.waiting",
          h(
            "div.stack.loose",
            {},
            GROUPS.waiting.map((name) => byName.get(name)),
          ),
        ),
        card(
          "failover.sessions",
          h(
            "div.stack.loose",
            {},
            GROUPS.sessions.map((name) => byName.get(name)),
          ),
        ),
      ),
      h(
        "div.columns.even",
        {},
        card(
          "failover.budget",
          h(
            "div.stack.loose",
            {},
            h("p.muted", {}, t("failover.budget-help")),
            h(
              "div.fields",
              {},
              budget.map((one) => one.element),
            ),
          ),
        ),
        card(
          "failover.incoming",
          h(
            "div.stack.loose",
            {},
            field(t("setting.max_body_megabytes"), megabytes, {
              help: t("setting-help.max_body_megabytes"),
              path: "max_body_megabytes",
            }),
            h(
              "div.field",
              { dataset: { path: "warm_connections" } },
              h("label.check", {}, warm, t("setting.warm_connections")),
              h("p.help", {}, t("setting-help.warm_connections")),
            ),
            allowed.map(({ name, element }) =>
              field(t(`setting.${name}`), element, { help: t(`setting-help.${name}`), path: name }),
            ),
          ),
        ),
      ),
      card("notify.title", notify.element),
    ],
  };
}

/**
 * @param {string} title
 * @param {Child} content
 */
const card = (title, content) =>
  h("section.card", { "aria-label": t(title) }, h("header", {}, h("h2", {}, t(title))), h("div.inside", {}, content));

/**
 * @param {string} section
 * @param {string} name
 * @param {Record<string, unknown>} stored
 * @param {Record<string, unknown>} defaults
 * @returns {NumberField}
 */
function numberOf(section, name, stored, defaults) {
  const input = h("input", {
    type: "number",
    min: "0",
    step: "any",
    value: String(stored[name] ?? ""),
    placeholder: defaults[name] === 0 ? "–" : String(defaults[name]),
  });
  const text = [
    translated(`setting-help.${name}`),
    section === "budget" ? "" : t("failover.default", { value: defaults[name] }),
  ]
    .filter(Boolean)
    .join(" ");
  return {
    name,
    element: field(t(`setting.${name}`), input, { help: text, path: `${section}.${name}` }),
    read: () => (input.value === "" ? undefined : Number(input.value)),
  };
}

/** @param {NumberField[]} fields */
const values = (fields) =>
  Object.fromEntries(fields.map((one) => [one.name, one.read()]).filter(([, value]) => value !== undefined));

/**
 * Members that this form does not show stay as they are.
 * @param {Record<string, unknown>} stored
 * @param {NumberField[]} fields
 */
const others = (stored, fields) =>
  Object.fromEntries(
    Object.entries(stored).filter(
      ([name]) => !fields.some((one) => one.name === name) && !["on_status", "on_error", "on_text"].includes(name),
    ),
  );

/**
 * A table or a list, unless it is empty and was not in the file.
 * @param {string} name
 * @param {object} table
 * @param {Record<string, unknown>} stored
 */
const some = (name, table, stored) =>
  Object.keys(table).length || stored[name] !== undefined ? { [name]: table } : {};

/**
 * @param {string} value
 * @param {string} label
 */
const actionSelect = (value, label) =>
  select(
    ACTIONS.map((action) => [action, t(`action.${action}`)]),
    value,
    null,
    { "aria-label": label },
  );

/**
 * @param {Record<string, string>} stored
 * @param {Record<string, string>} defaults
 * @param {() => void} touched
 */
function statusRows(stored, defaults, touched) {
  const rows = h("div.stack");
  /** @type {WeakMap<Element, { read: () => [string, string], isKept: () => boolean }>} */
  const readers = new WeakMap();
  /** @param {string} status @param {string} action @param {boolean} fixed */
  const add = (status, action, fixed) => {
    const input = h("input.mono", {
      type: "text",
      value: status,
      placeholder: "429, 5xx",
      "aria-label": t("failover.status"),
    });
    const label = status === "default" ? h("span", {}, t("failover.any-other")) : h("code", {}, status);
    const choice = actionSelect(action, t("failover.action-for", { what: status }));
    /** @type {HTMLElement} */
    const row = h(
      "div.pair-row",
      {},
      fixed ? label : input,
      h("span.arrow.faint", { "aria-hidden": "true" }, "→"),
      choice,
      fixed
        ? h("span")
        : button("", () => (row.remove(), touched()), {
            kind: "quiet",
            iconName: "close",
            title: t("editor.remove-row"),
          }),
    );
    readers.set(row, {
      read: () => [fixed ? status : input.value.trim(), choice.value],
      isKept: () => (fixed ? choice.value !== defaults[status] || status in stored : input.value.trim() !== ""),
    });
    rows.append(row);
    return row;
  };
  for (const status of new Set([
    ...Object.keys(defaults).filter((key) => key !== "default"),
    ...Object.keys(stored).filter((key) => key !== "default"),
    "default",
  ])) {
    add(status, stored[status] ?? defaults[status] ?? "switch", status in defaults);
  }
  const more = button(
    t("failover.add-status"),
    () => (add("", "switch", false).querySelector("input")?.focus(), touched()),
    { kind: "small" },
  );
  return {
    element: group(t("failover.on-status-help"), h("div.stack", {}, rows, h("div", {}, more)), {
      help: t("failover.on-status-note"),
      path: "failover.on_status",
    }),
    read: () => {
      const kept = [...rows.children].flatMap((row) => {
        const reader = readers.get(row);
        return reader?.isKept() ? [reader.read()] : [];
      });
      return ordered(Object.fromEntries(kept), stored);
    },
  };
}

/**
 * Rules for the text of an error, in their order: the first that matches takes effect.
 * @param {TextRule[]} stored
 * @param {() => void} touched
 */
function textRows(stored, touched) {
  const rows = h("div.stack");
  /** @type {WeakMap<Element, () => TextRule>} */
  const readers = new WeakMap();
  const number = () =>
    all(rows, ":scope > *").forEach((row, index) => (row.dataset.path = `failover.on_text[${index}]`));
  const changed = () => (number(), touched());
  /** @param {TextRule} rule */
  const add = (rule) => {
    const words = t("failover.text");
    const text = h("input", {
      type: "text",
      value: rule.match ?? "",
      placeholder: words,
      "aria-label": words,
      autocomplete: "off",
    });
    const choice = actionSelect(rule.action ?? "switch", t("failover.action-for-text"));
    const remove = button("", () => (row.remove(), changed()), {
      kind: "quiet",
      iconName: "close",
      title: t("editor.remove-row"),
    });
    /** @type {HTMLElement} */
    const row = h(
      "div.text-row",
      { dataset: { path: "" } },
      text,
      h("span.arrow.faint", { "aria-hidden": "true" }, "→"),
      choice,
      h(
        "span.row.tight",
        {},
        moveButtons(() => row, changed),
        remove,
      ),
      h("p.wrong", { hidden: true }),
    );
    readers.set(row, () => ({ ...rule, match: text.value, action: choice.value }));
    rows.append(row);
    number();
    return row;
  };
  stored.forEach(add);
  const more = button(t("failover.add-text"), () => (add({}).querySelector("input")?.focus(), changed()), {
    kind: "small",
  });
  return {
    element: h("div.stack", {}, rows, h("div", {}, more)),
    read: () => [...rows.children].map((row) => readers.get(row)?.() ?? {}),
  };
}

/**
 * @param {Record<string, string>} stored
 * @param {Record<string, string>} defaults
 */
function errorRows(stored, defaults) {
  const choices = [...NETWORK, "default"].map(
    (kind) =>
      /** @type {const} */ ([kind, actionSelect(stored[kind] ?? defaults[kind] ?? "switch", t(`error-kind.${kind}`))]),
  );
  const rows = choices.map(([kind, choice]) =>
    h(
      "div.pair-row",
      {},
      h("span", {}, t(`error-kind.${kind}`)),
      h("span.arrow.faint", { "aria-hidden": "true" }, "→"),
      choice,
      h("span"),
    ),
  );
  return {
    element: group(t("failover.on-error-help"), h("div.stack", {}, rows), { path: "failover.on_error" }),
    read: () =>
      ordered(
        Object.fromEntries(
          choices
            .filter(([kind, choice]) => choice.value !== defaults[kind] || kind in stored)
            .map(([kind, choice]) => [kind, choice.value]),
        ),
        stored,
      ),
  };
}

/**
 * In the order of the file, so that an unchanged table compares equal.
 * @param {Record<string, string>} table
 * @param {Record<string, string>} stored
 */
function ordered(table, stored) {
  const names = [
    ...Object.keys(stored).filter((name) => name in table),
    ...Object.keys(table).filter((name) => !(name in stored)),
  ];
  return Object.fromEntries(names.map((name) => [name, table[name]]));
}

// The form of one rule. A field that is empty is not set; members that the form does not know stay as they are.
import { h } from "./dom.js";
import { t, translated } from "./i18n.js";
import { FLAGS, listOf } from "./rule_words.js";
import { button, choices, field, group, moveButtons, protocolName, select } from "./ui.js";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const PROTOCOLS = ["messages", "responses", "chat"];

/**
 * Returns the form, and the rule as the file would hold it. `touched` is called for changes that are no input.
 * @param {RouteRule} rule
 * @param {Config} known
 * @param {() => void} touched
 */
export function ruleForm(rule, known, touched) {
  const when = rule.when ?? {};
  const name = textField("name", rule.name);
  const conditions = conditionFields(when, known);
  const effects = effectFields(rule, known, touched);
  const read = () => {
    const changed = merged(when, conditions);
    const own = merged(rule, [name]);
    if (Object.keys(changed).length || rule.when !== undefined) own.when = changed;
    return /** @type {RouteRule} */ (merged(own, effects));
  };
  const element = h(
    "div.stack.loose",
    {},
    name.element,
    part(t("rules.when"), t("rules.when-help"), conditions),
    part(t("rules.then"), t("rules.then-help"), effects),
  );
  return { element, read };
}

/**
 * @param {string} title
 * @param {string} help
 * @param {FormField[]} fields
 */
const part = (title, help, fields) =>
  h(
    "section.stack",
    { "aria-label": title },
    h("h3", {}, title),
    h("p.help", {}, help),
    h(
      "div.fields.rule-fields",
      {},
      fields.map((one) => one.element),
    ),
  );

/**
 * The stored members with those of the fields; a field without a value leaves no member but an empty one that was there.
 * @param {Record<string, unknown>} stored
 * @param {FormField[]} fields
 */
function merged(stored, fields) {
  const made = { ...stored };
  for (const { name, read } of fields) {
    const value = read();
    if (value !== undefined) made[name] = value;
    else if (!isEmpty(made[name])) delete made[name];
  }
  return made;
}

/** @param {unknown} value */
const isEmpty = (value) => !value || (Array.isArray(value) && !value.length);

/**
 * @param {Condition} when
 * @param {Config} known
 * @returns {FormField[]}
 */
function conditionFields(when, known) {
  const keys = known.client_keys.map((key) => key.label).join("\n");
  return [
    patternsField("client", when.client, "claude-code\ncodex"),
    patternsField("model", when.model, "claude-*-haiku*"),
    patternsField("project", when.project, "~/company/*"),
    patternsField("client_key", when.client_key, keys || t("when.any")),
    ...FLAGS.map((flag) => flagField(flag, when[flag])),
    numberField("when.tokens_over", "tokens_over", when.tokens_over),
    numberField("when.tokens_under", "tokens_under", when.tokens_under),
    hoursField(when.hours),
    checksField("protocol", when.protocol, choices(PROTOCOLS, protocolName)),
    checksField("effort", when.effort, choices(known.efforts, String)),
    checksField(
      "weekdays",
      when.weekdays,
      choices(DAYS, (day) => t(`day.${day}`)),
    ),
  ];
}

/**
 * @param {RouteRule} rule
 * @param {Config} known
 * @param {() => void} touched
 * @returns {FormField[]}
 */
function effectFields(rule, known, touched) {
  const efforts = select([["", t("rules.unchanged")], ...choices(known.efforts, String)], rule.effort ?? "");
  return [
    upstreamsField(rule, known, touched),
    onlyField(rule.only),
    textField("model", rule.model, t("rules.unchanged")),
    {
      name: "effort",
      element: member(field(t("rule.effort"), efforts, { help: translated("rule-help.effort") }), "effort"),
      read: () => efforts.value || undefined,
    },
    numberField("rule.max_tokens", "max_tokens", rule.max_tokens, t("rules.unchanged")),
  ];
}

/**
 * The element with its path in the rule; the panel adds the number of the rule.
 * @template {HTMLElement} Made
 * @param {Made} element
 * @param {string} path
 */
function member(element, path) {
  element.dataset.member = path;
  return element;
}

/**
 * The element over the whole width of a narrow page.
 * @template {HTMLElement} Made
 * @param {Made} element
 */
function broad(element) {
  element.classList.add("broad");
  return element;
}

/**
 * @param {string} name
 * @param {string | undefined} value
 * @param {string} [placeholder]
 * @returns {FormField}
 */
function textField(name, value, placeholder = "") {
  const input = h("input", { type: "text", value: value ?? "", placeholder, spellcheck: "false", autocomplete: "off" });
  return {
    name,
    element: member(field(t(`rule.${name}`), input, { help: translated(`rule-help.${name}`) }), name),
    read: () => (input.value.trim() === "" ? undefined : input.value),
  };
}

/**
 * One pattern in each line.
 * @param {string} name
 * @param {string | string[] | undefined} value
 * @param {string} placeholder
 * @returns {FormField}
 */
function patternsField(name, value, placeholder) {
  const area = h("textarea.mono", { rows: "2", spellcheck: "false", placeholder }, listOf(value).join("\n"));
  return {
    name,
    element: broad(member(field(t(`when.${name}`), area, { help: translated(`when-help.${name}`) }), `when.${name}`)),
    read: () =>
      oneOrMore(
        area.value
          .split("\n")
          .map((line) => line.trim())
          .filter(Boolean),
        value,
      ),
  };
}

/**
 * A single value is written as a text, unless the file has a list.
 * @param {string[]} values
 * @param {string | string[] | undefined} stored
 */
const oneOrMore = (values, stored) =>
  values.length === 0 ? undefined : values.length === 1 && !Array.isArray(stored) ? values[0] : values;

/**
 * @param {string} name
 * @param {boolean | undefined} value
 * @returns {FormField}
 */
function flagField(name, value) {
  const choice = select(
    ["any", "yes", "no"].map((key) => [key, t(`when.${key}`)]),
    typeof value === "boolean" ? (value ? "yes" : "no") : "any",
  );
  return {
    name,
    element: member(field(t(`when.${name}`), choice, { help: translated(`when-help.${name}`) }), `when.${name}`),
    read: () => (choice.value === "any" ? undefined : choice.value === "yes"),
  };
}

/**
 * @param {string} words
 * @param {string} name
 * @param {number | undefined} value
 * @param {string} [placeholder]
 * @returns {FormField}
 */
function numberField(words, name, value, placeholder = "") {
  const input = h("input", { type: "number", min: "0", step: "1", value: value ?? "", placeholder });
  const [section] = words.split(".");
  return {
    name,
    element: member(
      field(t(words), input, { help: translated(words.replace(".", "-help.")) }),
      section === "when" ? words : name,
    ),
    read: () => (input.value === "" ? undefined : Number(input.value)),
  };
}

/**
 * @param {string | undefined} value
 * @returns {FormField}
 */
function hoursField(value) {
  const input = h("input", { type: "text", value: value ?? "", placeholder: "08:00-18:00", autocomplete: "off" });
  return {
    name: "hours",
    element: member(field(t("when.hours"), input, { help: t("when-help.hours") }), "when.hours"),
    read: () => (input.value.trim() === "" ? undefined : input.value),
  };
}

/**
 * Boxes of which none, or any, may be checked.
 * @param {string} name
 * @param {string | string[] | undefined} value
 * @param {Choices} options
 * @returns {FormField}
 */
function checksField(name, value, options) {
  const stored = listOf(value);
  const boxes = options.map(([key, label]) => ({
    key,
    label,
    box: h("input", { type: "checkbox", checked: stored.includes(key) }),
  }));
  const element = group(
    t(`when.${name}`),
    h(
      "div.checks",
      {},
      boxes.map(({ box, label }) => h("label.check", {}, box, label)),
    ),
    { help: translated(`when-help.${name}`) },
  );
  element.classList.add("whole");
  const read = () => {
    const chosen = boxes.filter(({ box }) => box.checked).map(({ key }) => key);
    const isUnchanged = chosen.length === stored.length && chosen.every((key) => stored.includes(key));
    if (isUnchanged && chosen.length) return value;
    return name === "weekdays" ? (chosen.length ? chosen : undefined) : oneOrMore(chosen, value);
  };
  return { name, element: member(element, `when.${name}`), read };
}

/**
 * @param {boolean | undefined} value
 * @returns {FormField}
 */
function onlyField(value) {
  const box = h("input", { type: "checkbox", checked: value === true });
  const element = member(
    h(
      "div.field.whole",
      {},
      h("label.check", {}, box, t("rule.only")),
      h("p.help", {}, t("rule-help.only")),
      h("p.wrong", { hidden: true }),
    ),
    "only",
  );
  return { name: "only", element, read: () => box.checked || undefined };
}

/**
 * The upstreams in their order.
 * @param {RouteRule} rule
 * @param {Config} known
 * @param {() => void} touched
 * @returns {FormField}
 */
function upstreamsField(rule, known, touched) {
  const names = known.upstreams.map((one) => one.name);
  const rows = h("div.stack");
  /** @type {WeakMap<Element, HTMLSelectElement>} */
  const chosen = new WeakMap();
  const values = () => [...rows.children].map((row) => chosen.get(row)?.value ?? "");
  /** @param {string} name */
  const add = (name) => {
    const gone = names.includes(name) ? [] : [/** @type {const} */ ([name, t("rules.gone", { name })])];
    const choice = select([...choices(names, String), ...gone], name, null, { "aria-label": t("rule.upstream") });
    /** @type {HTMLElement} */
    const row = h(
      "div.upstream-row",
      {},
      choice,
      h(
        "span.row.tight",
        {},
        moveButtons(() => row, touched),
        button("", () => (row.remove(), more.focus(), touched()), {
          kind: "quiet",
          iconName: "close",
          title: t("editor.remove-row"),
        }),
      ),
    );
    chosen.set(row, choice);
    rows.append(row);
    return choice;
  };
  listOf(rule.upstreams).forEach(add);
  const more = button(
    t("rules.add-upstream"),
    () => (add(names.find((name) => !values().includes(name)) ?? names[0] ?? "").focus(), touched()),
    { kind: "small" },
  );
  const element = group(t("rule.upstreams"), h("div.stack", {}, rows, h("div", {}, more)), {
    help: t("rule-help.upstreams"),
  });
  element.classList.add("whole");
  return {
    name: "upstreams",
    element: member(element, "upstreams"),
    read: () => (rows.children.length ? values() : undefined),
  };
}

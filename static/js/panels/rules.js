// The rules in their order: the first that matches a request decides.
import { difference, mountDraft, orNull } from "../draft.js";
import { all, debounced, h, replace } from "../dom.js";
import { t } from "../i18n.js";
import { ruleForm } from "../rule_editor.js";
import { matchesSection } from "../rule_matches.js";
import { conditionText, effectText } from "../rule_words.js";
import { badge, button, emptyNote, moveButtons } from "../ui.js";

const TRY_MILLISECONDS = 350;

/** @typedef {{ read: () => RouteRule, tried: () => void }} Row what the list needs of the form of a rule */

/** @param {HTMLElement} root */
export function mount(root) {
  return mountDraft(root, t("nav.rules"), t("rules.intro"), build);
}

/**
 * @param {Config} known
 * @param {() => void} touched
 * @returns {Draft}
 */
function build(known, touched) {
  const stored = { routes: known.routes ?? [] };
  const rules = ruleList(stored.routes, known, touched);
  return {
    content: h("section.card", { "aria-label": t("nav.rules") }, rules.element),
    changes: () => orNull(difference({ routes: rules.read() }, stored)),
  };
}

/**
 * @param {RouteRule[]} stored
 * @param {Config} known
 * @param {() => void} touched
 */
function ruleList(stored, known, touched) {
  const list = h("ol.rules");
  const none = emptyNote(t("rules.none"));
  /** @type {WeakMap<Element, Row>} */
  const rows = new WeakMap();
  const read = () => [...list.children].map((item) => rows.get(item)?.read() ?? {});
  /** Numbers the rules, and gives each field its path in the errors of the API. */
  const number = () => {
    none.hidden = list.children.length > 0;
    all(list, ":scope > li").forEach((item, index) => {
      item.dataset.path = `routes[${index}]`;
      for (const one of all(item, "[data-member]")) one.dataset.path = `routes[${index}].${one.dataset.member}`;
      for (const place of all(item, ".rule-number")) place.textContent = `${index + 1}`;
    });
  };
  const changed = () => {
    number();
    touched();
    for (const item of list.children) rows.get(item)?.tried();
  };
  /** @param {HTMLElement} item */
  const remove = (item) => {
    const next = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    changed();
    (next?.querySelector("button") ?? more).focus();
  };
  /** @param {RouteRule} rule */
  const add = (rule) => {
    const item = ruleItem(rule, known, { changed, remove, rules: read });
    rows.set(item.element, item);
    list.append(item.element);
    number();
    return item;
  };
  stored.forEach(add);
  number();
  const more = button(t("rules.add"), () => (add({}).open(), changed()), { kind: "primary" });
  return { element: [none, list, h("div.inside", {}, more)], read };
}

/**
 * One rule: a line that opens its form.
 * @param {RouteRule} rule
 * @param {Config} known
 * @param {{ changed: () => void, remove: (item: HTMLElement) => void, rules: () => RouteRule[] }} list
 */
function ruleItem(rule, known, { changed, remove, rules }) {
  const form = ruleForm(rule, known, changed);
  const matches = matchesSection();
  const words = h("span.rule-words");
  const body = h("div.rule-body.stack.loose", { hidden: true }, form.element, matches.element);
  const load = debounced(() => {
    if (!element.isConnected || body.hidden) return;
    matches.load(rules(), [...(element.parentElement?.children ?? [])].indexOf(element) + 1);
  }, TRY_MILLISECONDS);
  const describe = () => {
    const now = form.read();
    replace(
      words,
      now.name?.trim() ? h("strong.wrap", {}, now.name) : null,
      h("span.wrap", {}, conditionText(now)),
      h("span.muted.wrap", {}, `→ ${effectText(now)}`),
    );
  };
  /** @param {boolean} isOpen */
  const show = (isOpen) => {
    body.hidden = !isOpen;
    opener.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) load();
  };
  const opener = h(
    "button.rule-opener",
    { type: "button", "aria-expanded": "false", title: t("rules.edit"), onclick: () => show(Boolean(body.hidden)) },
    h("span.rule-number"),
    words,
    badge(t("rules.has-errors"), "bad rule-faults"),
  );
  /** @type {HTMLElement} */
  const element = h(
    "li.rule",
    { oninput: () => tried(), onchange: () => tried(), dataset: { path: "" } },
    h(
      "div.rule-head",
      {},
      opener,
      h(
        "span.row.tight",
        {},
        moveButtons(() => element, changed),
        button("", () => remove(element), { kind: "quiet", iconName: "close", title: t("rules.delete") }),
      ),
    ),
    h("p.wrong", { hidden: true }),
    body,
  );
  const tried = () => {
    describe();
    load();
  };
  describe();
  const open = () => {
    show(true);
    body.querySelector("input")?.focus();
  };
  return { element, read: form.read, tried, open };
}

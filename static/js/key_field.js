// The key of an entry in its form, or several: a stored key is never shown, only kept or replaced.
import { h, replace } from "./dom.js";
import { t } from "./i18n.js";
import { actionButton, button, group } from "./ui.js";

const TYPED = ["literal", "env", "keyring"];

/**
 * The fields `key` and `keys`, of which an entry has one. `moveKey()` puts a stored literal key into the system keychain
 * and returns what the entry contains then; null: not offered.
 * @param {StoredKey | undefined} stored
 * @param {StoredKey[] | undefined} several
 * @param {(() => Promise<StoredKey>) | null} moveKey
 * @param {boolean} [isNew] an entry that is being added most often gets a key that is pasted
 * @returns {FormField[]}
 */
export function keyFields(stored, several, moveKey, isNew = false) {
  /** @type {string} */
  let kind = several ? "several" : (stored?.kind ?? "none");
  const input = h("input", {
    type: "password",
    name: "key",
    autocomplete: "off",
    autofocus: isNew,
    "aria-label": t("field.key"),
  });
  const choose = h("select", { name: "key-kind", "aria-label": t("key-choice.label") });
  const mover = actionButton(
    t("editor.move-key"),
    async () => {
      if (!moveKey) return;
      stored = await moveKey();
      kind = stored.kind;
      start();
      choose.focus();
    },
    { kind: "small" },
  );
  const offer = h("div", {}, mover);
  const rows = keyRows(several, stored);
  const list = group(t("field.keys"), rows.element, { help: t("help.keys"), path: "keys" });
  const adapt = () => {
    input.hidden = !TYPED.includes(choose.value);
    input.type = choose.value === "literal" ? "password" : "text";
    input.placeholder = choose.value === "env" ? "NAME_OF_VARIABLE" : "";
    offer.hidden = !moveKey || choose.value !== "keep";
    list.hidden = choose.value !== "several";
  };
  const start = () => {
    const kinds = [...(kind === "literal" ? ["keep"] : []), ...TYPED, "several", "client", "none"];
    replace(
      choose,
      kinds.map((name) => h("option", { value: name }, t(`key-choice.${name}`))),
    );
    choose.value = isNew ? "literal" : kind === "literal" ? "keep" : kind;
    input.value = ["env", "keyring"].includes(kind) ? (stored?.name ?? "") : "";
    adapt();
  };
  choose.addEventListener("change", () => {
    input.value = (choose.value === kind && stored?.name) || "";
    adapt();
    if (document.activeElement !== choose) return;
    if (!input.hidden) input.focus();
    if (!list.hidden) rows.focus();
  });
  start();
  const hasOne = () => stored && stored.kind !== "none";
  /** @type {Record<string, () => string | null | undefined>} */
  const values = {
    keep: () => undefined,
    literal: () => (isNew && !input.value ? undefined : input.value.trim()),
    env: () => `env:${input.value}`,
    keyring: () => `keyring:${input.value}`,
    several: () => (hasOne() ? null : undefined),
    client: () => "client",
    none: () => (kind === "none" && !stored ? undefined : ""),
  };
  const unchanged = () => choose.value === kind && input.value === (stored?.name ?? "");
  const content = h("div.stack", {}, choose, input, offer, list);
  return [
    {
      name: "key",
      required: true,
      element: group(t("field.key"), content, { help: t("help.key"), path: "key" }),
      read: () => (unchanged() ? undefined : values[choose.value]?.()),
    },
    {
      name: "keys",
      required: true,
      element: list,
      read: () => (choose.value === "several" ? rows.read() : several ? null : undefined),
    },
  ];
}

/**
 * One row for each key, as it stands in the file. A stored one is sent as its position, or as true if it is the only one.
 * @param {StoredKey[] | undefined} several
 * @param {StoredKey | undefined} single
 */
function keyRows(several, single) {
  const rows = h("div.stack");
  /** @type {WeakMap<Element, () => string | number | true>} */
  const readers = new WeakMap();
  /** @param {StoredKey} [key] @param {number | true} [place] */
  const add = (key, place) => {
    const known = key?.name ? `${key.kind}:${key.name}` : "";
    const isHidden = key?.kind === "literal" && place !== undefined;
    const input = h("input.mono", {
      type: known ? "text" : "password",
      value: known,
      name: "keys",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: isHidden ? t("editor.stored") : "sk-…, env:NAME, keyring:NAME",
    });
    /** @type {HTMLElement} */
    const row = h(
      "div.row",
      {},
      input,
      button("", () => remove(row), closing),
    );
    input.classList.add("grow");
    readers.set(row, () => (isHidden && input.value === "" && place !== undefined ? place : input.value.trim()));
    rows.append(row);
    label();
    return input;
  };
  const label = () =>
    rows
      .querySelectorAll("input")
      .forEach((input, index) => input.setAttribute("aria-label", t("editor.key-number", { number: index + 1 })));
  const closing = { kind: "quiet", iconName: "close", title: t("editor.remove-row") };
  /** @param {HTMLElement} row */
  const remove = (row) => {
    row.remove();
    label();
    rows.dispatchEvent(new Event("input", { bubbles: true }));
  };
  if (several) several.forEach((key, place) => add(key, place));
  else if (single && !["none", "client"].includes(single.kind)) add(single, true);
  while (rows.children.length < 2 && !several) add();
  const read = () => [...rows.children].map((row) => readers.get(row)?.()).filter((value) => value !== "");
  const before = JSON.stringify(read());
  return {
    element: h(
      "div.stack",
      {},
      rows,
      h(
        "div",
        {},
        button(t("editor.add-key"), () => add().focus(), { kind: "small" }),
      ),
    ),
    focus: () => rows.querySelector("input")?.focus(),
    read: () => (several && JSON.stringify(read()) === before ? undefined : read()),
  };
}

// The components of all panels: badges, buttons, fields, dialogs, notes.
import { ApiError } from "./api.js";
import { all, append, focusOn, h, keepingFocus, newId, replace, whenReleased } from "./dom.js";
import { said, t, translated } from "./i18n.js";

const NOTE_MILLISECONDS = 8000;

/** @param {unknown} error */
export function messageOf(error) {
  if (error instanceof ApiError && error.faults.length) return error.faults.map(faultLine).join(" · ");
  const message = error instanceof Error ? error.message : String(error);
  return message === "offline" ? t("error.offline") : said(message);
}

// --- small things ---

/**
 * @param {string} text
 * @param {string} [kind]
 * @param {string} [title]
 */
export const badge = (text, kind = "", title = "") => h("span.badge", { class: kind, title: title || null }, text);

/** @param {string} kind */
export const dot = (kind) => h("span.dot", { class: kind, "aria-hidden": "true" });

/** @param {string} name */
export function icon(name) {
  return h("span.icon", { class: `icon-${name}`, "aria-hidden": "true" });
}

/**
 * @param {string} label
 * @param {Listener<MouseEvent>} onclick
 * @param {ButtonOptions} [options]
 */
export function button(
  label,
  onclick,
  { kind = "", key = null, title = null, iconName = null, disabled = false } = {},
) {
  const content = iconName ? [icon(iconName), label && h("span", {}, label)] : label;
  return h(
    "button",
    {
      type: "button",
      class: kind,
      onclick,
      title,
      "aria-label": label ? null : title,
      disabled,
      dataset: key ? { key } : {},
    },
    content,
  );
}

/**
 * Two buttons that move the row they stand in up and down among its siblings.
 * @param {() => HTMLElement} rowOf
 * @param {() => void} moved
 */
export function moveButtons(rowOf, moved) {
  return [-1, 1].map((step) => {
    const words = t(step < 0 ? "upstreams.move-up" : "upstreams.move-down");
    const made = button(
      step < 0 ? "↑" : "↓",
      (event) => {
        const row = rowOf();
        const other = step < 0 ? row.previousElementSibling : row.nextElementSibling;
        if (!other) return;
        if (step < 0) other.before(row);
        else other.after(row);
        event.currentTarget.focus();
        moved();
      },
      { kind: "quiet small", title: words },
    );
    made.setAttribute("aria-label", words);
    return made;
  });
}

/**
 * A button that is busy while its action runs and shows its error.
 * @param {string} label
 * @param {() => unknown} action
 * @param {ButtonOptions} [options]
 */
export function actionButton(label, action, options) {
  /** @type {HTMLButtonElement} */
  const made = button(label, () => busy(made, action), options);
  return made;
}

/**
 * Runs the action while the control is marked as busy; errors become a note.
 * @param {HTMLElement} control
 * @param {() => unknown} action
 */
export async function busy(control, action) {
  if (control.getAttribute("aria-busy") === "true") return;
  control.setAttribute("aria-busy", "true");
  try {
    await action();
  } catch (error) {
    note(messageOf(error), { kind: "bad" });
  } finally {
    control.removeAttribute("aria-busy");
  }
}

/**
 * @param {string | (() => string)} text
 * @param {string} [label]
 * @param {string | null} [key]
 */
export function copyButton(text, label = t("copy"), key = null) {
  const made = button(
    label,
    async () => {
      await copyText(typeof text === "function" ? text() : text);
      made.classList.add("done");
      replace(made, t("copied"));
      setTimeout(() => {
        made.classList.remove("done");
        replace(made, label);
      }, 1500);
    },
    { kind: "quiet small", key },
  );
  return made;
}

/** @param {string} text */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea.off-screen", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/**
 * An on/off switch; `change(on)` may fail, then it goes back.
 * @param {boolean} on
 * @param {string} label
 * @param {(on: boolean) => unknown} change
 * @param {string | null} [key]
 */
export function toggle(on, label, change, key = null) {
  /** @type {HTMLButtonElement} */
  const made = h("button.switch", {
    type: "button",
    role: "switch",
    "aria-checked": String(on),
    "aria-label": label,
    title: label,
    dataset: key ? { key } : {},
    onclick: () => busy(made, () => change(made.getAttribute("aria-checked") !== "true")),
  });
  return made;
}

// --- states of a panel ---

export const loadingNote = () =>
  h("p.state", { role: "status" }, h("span.spinner", { "aria-hidden": "true" }), t("loading"));

/**
 * @param {string} text
 * @param {...Child} actions
 */
export const emptyNote = (text, ...actions) =>
  h("div.state", {}, h("p", {}, text), actions.length ? h("p", {}, actions) : null);

/**
 * @param {unknown} error
 * @param {() => unknown} [retry]
 */
export function errorNote(error, retry) {
  return h(
    "div.state.bad",
    { role: "alert" },
    h("p", {}, messageOf(error)),
    retry ? h("p", {}, button(t("retry"), retry)) : null,
  );
}

/**
 * The newest load of each element.
 * @type {WeakMap<HTMLElement, { shown: string }>}
 */
const loads = new WeakMap();

/**
 * Shows the loading note, then what `draw` makes of the loaded value, or the error with a button to retry.
 * An answer that comes after a later load has begun is dropped. If quiet, the element stays until the value has changed.
 * @template Loaded
 * @param {HTMLElement} element
 * @param {() => Promise<Loaded>} load
 * @param {(loaded: Loaded) => Child} draw
 * @param {boolean} [isQuiet]
 */
export async function loadInto(element, load, draw, isQuiet = false) {
  const own = { shown: isQuiet ? (loads.get(element)?.shown ?? "") : "" };
  loads.set(element, own);
  /** @param {() => Child} content */
  const show = (content) => loads.get(element) === own && replace(element, content());
  if (!isQuiet) show(loadingNote);
  try {
    const loaded = await load();
    const text = JSON.stringify(loaded);
    whenReleased(element, () => {
      if (text === own.shown || loads.get(element) !== own) return;
      own.shown = text;
      keepingFocus(element, () => replace(element, draw(loaded)));
    });
  } catch (error) {
    if (!isQuiet) show(() => errorNote(error, () => loadInto(element, load, draw)));
  }
}

// --- notes ---

/**
 * @param {string} text
 * @param {{ kind?: string, action?: Action | null }} [options]
 */
export function note(text, { kind = "", action = null } = {}) {
  const shelf =
    document.getElementById("notes") ?? h("div.notes", { id: "notes", role: "status", "aria-live": "polite" });
  // an open dialog makes everything outside it inert
  const host = [...document.querySelectorAll("dialog[open]")].pop() ?? document.body;
  host.append(shelf);
  // said again, it is news again, but once: two saves in a row are no two "Saved."
  for (const older of [...shelf.children]) if (older.querySelector("span")?.textContent === text) older.remove();
  const made = h("div.note", { class: kind }, h("span", {}, text));
  const close = () => made.remove();
  if (action) {
    made.append(
      button(action.label, async () => {
        close();
        try {
          await action.run();
        } catch (error) {
          note(messageOf(error), { kind: "bad" });
        }
      }),
    );
  }
  made.append(button("", close, { kind: "quiet", iconName: "close", title: t("close") }));
  let timer = setTimeout(close, NOTE_MILLISECONDS);
  const stay = () => clearTimeout(timer);
  const leave = () => (timer = setTimeout(close, NOTE_MILLISECONDS));
  for (const kind of ["mouseenter", "focusin"]) made.addEventListener(kind, stay);
  for (const kind of ["mouseleave", "focusout"]) made.addEventListener(kind, leave);
  shelf.append(made);
}

const CONTROLS = "a, button, input, label, select, summary, textarea";

/** On a screen without hover, a tap on what is no control shows its title, unless it is there in full. */
export function showTitlesOnTap() {
  addEventListener("click", ({ target }) => {
    if (!(target instanceof Element) || target.closest(CONTROLS) || !matchMedia("(hover: none)").matches) return;
    const titled = target.closest("[title]");
    const title = titled?.getAttribute("title");
    if (!titled || !title || (titled.textContent?.includes(title) && titled.scrollWidth <= titled.clientWidth)) return;
    note(title);
  });
}

// --- dialogs ---

/**
 * How each open dialog is closed, the last opened one at the end.
 * @type {(() => Promise<void>)[]}
 */
const dismissals = [];

/** Closes every open dialog, the last one first; false if one of them may not be closed. */
export async function dismissDialogs() {
  while (dismissals.length) {
    const last = dismissals.at(-1);
    await last?.();
    if (dismissals.at(-1) === last) return false;
  }
  return true;
}

/**
 * Opens a modal dialog. `build(close)` returns { body, footer }; `mayClose()` may refuse (a promise of false).
 * Resolves with what was given to `close`.
 * @template [Result=void]
 * @param {string} title
 * @param {(close: Close<Result>, dismiss: () => Promise<void>) => { body: Child, footer?: Child }} build
 * @param {{ kind?: string, mayClose?: () => boolean | Promise<boolean> }} [options]
 * @returns {Promise<Result | undefined>}
 */
export function dialog(title, build, { kind = "", mayClose = () => true } = {}) {
  const returnTo = document.activeElement;
  const headline = newId("title");
  return new Promise((resolve) => {
    const element = h("dialog", { class: kind, "aria-labelledby": headline });
    /** @param {Result} [value] */
    const close = (value) => {
      const shelf = element.querySelector("#notes");
      if (shelf) document.body.append(shelf);
      element.close();
      element.remove();
      if (dismissals.includes(dismiss)) dismissals.splice(dismissals.indexOf(dismiss), 1);
      if (returnTo instanceof HTMLElement) {
        if (returnTo.isConnected) returnTo.focus();
        else if (returnTo.dataset.key) focusOn(document.body, returnTo.dataset.key); // redrawn meanwhile
      }
      resolve(value);
    };
    const dismiss = async () => {
      if (await mayClose()) close(undefined);
    };
    const { body, footer } = build(close, dismiss);
    append(element, [
      h(
        "header",
        {},
        h("h2", { id: headline }, title),
        button("", dismiss, { kind: "quiet", iconName: "close", title: t("close") }),
      ),
      h("div.dialog-body", {}, body),
      footer ? h("footer", {}, footer) : null,
    ]);
    element.addEventListener("cancel", (event) => {
      event.preventDefault();
      dismiss();
    });
    element.addEventListener("mousedown", (event) => {
      if (event.target === element) dismiss();
    });
    document.body.append(element);
    dismissals.push(dismiss);
    element.showModal();
    all(element, "[autofocus]")[0]?.focus();
  });
}

/**
 * @param {string} title
 * @param {string} text
 * @param {string} label
 * @param {string} [kind]
 */
export async function confirm(title, text, label, kind = "bad") {
  const answer = await dialog(
    title,
    (/** @type {Close<boolean>} */ close) => ({
      body: h("p", {}, text),
      footer: [
        button(t("cancel"), () => close(false)),
        h("button", { type: "button", class: kind, autofocus: true, onclick: () => close(true) }, label),
      ],
    }),
    { kind: "small" },
  );
  return answer === true;
}

// --- menus ---

/**
 * A button that opens a list of actions: [{ label, run, kind }].
 * @param {string} label
 * @param {(Action | null)[]} items
 * @param {string | null} [key]
 */
export function menu(label, items, key = null) {
  /** @type {HTMLElement | null} */
  let list = null;
  const opener = button("", () => (list ? close() : open()), { kind: "quiet", iconName: "more", title: label, key });
  opener.setAttribute("aria-haspopup", "menu");
  opener.setAttribute("aria-expanded", "false");
  const holder = h("span.menu", {}, opener);

  /** @param {PointerEvent} event */
  const outside = (event) => {
    if (event.target instanceof Node && !holder.contains(event.target)) close(false);
  };
  function close(refocus = true) {
    list?.remove();
    list = null;
    opener.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside, true);
    if (refocus) opener.focus();
    holder.dispatchEvent(new Event("menuclose", { bubbles: true }));
  }
  function open() {
    const opened = h(
      "div.menu-list",
      { role: "menu", onkeydown: move },
      items
        .filter((item) => item !== null)
        .map((item) =>
          h(
            "button",
            {
              type: "button",
              role: "menuitem",
              class: item.kind ?? "",
              onclick: () => (close(), busy(opener, async () => item.run())),
            },
            item.label,
          ),
        ),
    );
    list = opened;
    holder.append(opened);
    opener.setAttribute("aria-expanded", "true");
    document.addEventListener("pointerdown", outside, true);
    all(opened, "button")[0]?.focus();
    opened.scrollIntoView({ block: "nearest" }); // a finger that scrolls outside it would close it
  }
  /** @param {KeyboardEvent} event */
  function move(event) {
    const entries = list ? all(list, "button") : [];
    const at = entries.findIndex((entry) => entry === document.activeElement);
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1 };
    const next = steps[event.key];
    if (next !== undefined) {
      event.preventDefault();
      entries[(next + entries.length) % entries.length]?.focus();
    } else if (event.key === "Escape" || event.key === "Tab") {
      if (event.key === "Escape") event.preventDefault();
      event.stopPropagation();
      close(event.key === "Escape");
    }
  }
  return holder;
}

// --- fields ---

/**
 * A labelled control with help and errors below; `path` is its path in the errors of the API.
 * @param {string} label
 * @param {HTMLElement} control
 * @param {{ help?: string, path?: string, optional?: string }} [options]
 */
export function field(label, control, { help = "", path = "", optional = "" } = {}) {
  const id = control.id || newId("field");
  control.id = id;
  const helpId = help ? `${id}-help` : null;
  const wrong = h("p.wrong", { id: `${id}-wrong`, hidden: true });
  control.setAttribute("aria-describedby", [helpId, wrong.id].filter(Boolean).join(" "));
  return h(
    "div.field",
    { dataset: { path } },
    h("label", { for: id }, label, optional ? h("span.faint", {}, ` ${optional}`) : null),
    control,
    help ? h("p.help", { id: helpId }, help) : null,
    wrong,
  );
}

/**
 * A group of controls under one name (checkboxes, a list of rows).
 * @param {string} label
 * @param {Child} content
 * @param {{ help?: string, path?: string }} [options]
 */
export function group(label, content, { help = "", path = "" } = {}) {
  return h(
    "fieldset.field",
    { dataset: { path } },
    h("legend", {}, label),
    content,
    help ? h("p.help", {}, help) : null,
    h("p.wrong", { hidden: true }),
  );
}

/**
 * Shows each error below its field; returns those that have no field in the form.
 * @param {HTMLElement} form
 * @param {Fault[]} faults
 */
export function showFieldErrors(form, faults) {
  const fields = all(form, "[data-path]");
  for (const field of fields) showErrors(field, []);
  /** @type {Map<HTMLElement, Fault[]>} */
  const found = new Map();
  /** @type {Fault[]} */
  const rest = [];
  for (const fault of faults) {
    const fitting = fields.filter((field) => pathOf(field) && covers(pathOf(field), fault.path));
    const best = fitting.sort((one, other) => pathOf(other).length - pathOf(one).length)[0];
    if (best) found.set(best, [...(found.get(best) ?? []), fault]);
    else rest.push(fault);
  }
  for (const [field, own] of found) showErrors(field, own);
  return rest;
}

/** @param {HTMLElement} field */
const pathOf = (field) => field.dataset.path ?? "";

/**
 * @param {string} field
 * @param {string} path
 */
const covers = (field, path) =>
  path === field || ([".", "["].includes(path.slice(field.length)[0]) && path.startsWith(field));

/**
 * @param {HTMLElement} field
 * @param {Fault[]} faults
 */
function showErrors(field, faults) {
  const wrong = all(field, ":scope > .wrong")[0];
  if (!wrong) return;
  wrong.textContent = faults.map(faultText).join(" · ");
  wrong.hidden = faults.length === 0;
  const control = field.querySelector("input,select,textarea");
  if (faults.length) control?.setAttribute("aria-invalid", "true");
  else control?.removeAttribute("aria-invalid");
}

/**
 * One error of the settings with its path.
 * @param {Fault} fault
 */
export const faultLine = (fault) => `${fault.path}: ${faultText(fault)}`;

/**
 * One error of the settings as a sentence.
 * @param {Fault} fault
 */
export function faultText(fault) {
  const sentence = translated(`error-sentence.${fault.expected}`) || missingText(fault);
  if (sentence) return sentence;
  const found = fault.found ? t("error.found", { found: translated(`found.${fault.found}`) || fault.found }) : "";
  return t("error.field", { expected: expectedText(fault.expected), found });
}

/**
 * "Enter a name." for a name that is missing; "" for any other error.
 * @param {Fault} fault
 */
function missingText({ path, expected, found }) {
  if (found !== '""' && found !== "nothing") return "";
  const member = path.split(".").at(-1);
  return translated(`enter.${member}`) || (expected === NOT_EMPTY ? t("enter.value") : "");
}

/**
 * The daemon's own words in English; for other languages they are looked up with # for each number.
 * @param {string} expected
 * @returns {string}
 */
function expectedText(expected) {
  /** @type {string[]} */
  const numbers = expected.match(NUMBER) ?? [];
  const whole = translated(`expected.${expected.replace(NUMBER, "#")}`);
  if (whole) return whole.replace(/#/g, () => numbers.shift() ?? "");
  if (expected.startsWith(ONE_OF) && translated("expected.one of"))
    return t("expected.one of", { values: expected.slice(ONE_OF.length) });
  const parts = expected.split(" or ");
  return parts.length > 1 && translated("expected.or") ? parts.map(expectedText).join(t("expected.or")) : expected;
}

const NUMBER = /\d+(\.\d+)?/g;
const ONE_OF = "one of ";
const NOT_EMPTY = "text that is not empty";

/**
 * @param {Choices} options
 * @param {string} value
 * @param {((value: string) => unknown) | null} [onchange]
 * @param {Props} [props]
 */
export function select(options, value, onchange = null, props = {}) {
  /** @type {HTMLSelectElement} */
  const made = h(
    "select",
    { onchange: onchange && (() => onchange(made.value)), ...props },
    options.map(([key, label]) => h("option", { value: key }, label)),
  );
  made.value = value;
  return made;
}

/**
 * Each value with its label.
 * @param {readonly string[]} values
 * @param {(value: string) => string} labelOf
 * @returns {[string, string][]}
 */
export const choices = (values, labelOf) => values.map((value) => [value, labelOf(value)]);

/**
 * Tabs-like choice of one: [[value, label]].
 * @param {string} label
 * @param {Choices} options
 * @param {string} value
 * @param {(value: string) => void} onchange
 */
export function segments(label, options, value, onchange) {
  const holder = h("div.segments", { role: "radiogroup", "aria-label": label });
  /** @param {string} chosen */
  const draw = (chosen) =>
    replace(
      holder,
      options.map(([key, text]) =>
        h(
          "button",
          {
            type: "button",
            role: "radio",
            "aria-checked": String(key === chosen),
            tabindex: key === chosen ? "0" : "-1",
            dataset: { key: `segment-${key}` },
            onclick: () => pick(key),
            onkeydown: move,
          },
          text,
        ),
      ),
    );
  /** @param {string} key */
  function pick(key) {
    if (key === value) return;
    value = key;
    draw(key);
    all(holder, "[aria-checked=true]")[0]?.focus();
    onchange(key);
  }
  /** @param {KeyboardEvent} event */
  function move(event) {
    /** @type {Record<string, number>} */
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    const at = options.findIndex(([key]) => key === value);
    pick(options[(at + step + options.length) % options.length][0]);
  }
  draw(value);
  return holder;
}

/**
 * The lines of a unified diff, coloured.
 * @param {string} text
 */
export function diffView(text) {
  /** @type {Record<string, string>} */
  const kinds = { "+": "added", "-": "removed", "@": "position" };
  const lines = text.replace(/\n$/, "").split("\n");
  return h(
    "pre.diff",
    { tabindex: "0" },
    lines.map((line, index) =>
      h(
        "span",
        {
          class:
            (index > 1 && kinds[line[0]]) ||
            (index < 2 && /^(---|\+\+\+)/.test(line) ? "position" : (kinds[line[0]] ?? "")),
        },
        `${line}\n`,
      ),
    ),
  );
}

// --- words ---

/** @param {string} protocol */
export const protocolName = (protocol) => t(`protocol.${protocol}`);
/** @param {string} protocol */
export const clientName = (protocol) => t(`client.${protocol}`);

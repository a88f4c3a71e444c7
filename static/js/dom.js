// Builds and updates the page. Text is never parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * h("button.quiet", { onclick, disabled }, "text", child): an element; null and false children are left out.
 * @template {string} Tag
 * @param {Tag} tag
 * @param {Props | null} [props]
 * @param {...Child} children
 * @returns {ElementOf<Tag>}
 */
export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  return /** @type {any} */ (filled(document.createElement(name), classes, props, children));
}

/**
 * The same for SVG elements.
 * @param {string} tag
 * @param {Props | null} [props]
 * @param {...Child} children
 */
export function s(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  return filled(document.createElementNS(SVG, name), classes, props, children);
}

/**
 * @template {HTMLElement | SVGElement} Made
 * @param {Made} element
 * @param {string[]} classes
 * @param {Props | null | undefined} props
 * @param {Child[]} children
 */
function filled(element, classes, props, children) {
  if (classes.length) element.classList.add(...classes);
  for (const [name, value] of Object.entries(props ?? {})) setProp(element, name, value);
  append(element, children);
  return element;
}

/**
 * @param {any} element
 * @param {string} name
 * @param {any} value
 */
function setProp(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "class") element.classList.add(...value.split(" ").filter(Boolean));
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name === "value") element.value = value;
  else if (name === "checked") element.checked = value;
  else element.setAttribute(name, value === true ? "" : value);
}

/**
 * @param {Element} element
 * @param {Child} children
 */
export function append(element, children) {
  if (Array.isArray(children)) for (const child of children) append(element, child);
  else if (children instanceof Node) element.append(children);
  else if (children !== null && children !== undefined && children !== false) element.append(String(children));
}

/**
 * @template {Element} Kept
 * @param {Kept} element
 * @param {...Child} children
 */
export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/**
 * A section that is redrawn only when its value has changed, so that focus and selection survive.
 * @template Value
 * @param {HTMLElement} element
 * @param {(value: Value) => Child} draw
 * @returns {(value: Value) => void}
 */
export function section(element, draw) {
  /** @type {string | undefined} */
  let shown;
  return (value) =>
    whenReleased(element, () => {
      const text = JSON.stringify(value);
      if (text === shown) return;
      shown = text;
      keepingFocus(element, () => replace(element, draw(value)));
    });
}

/**
 * What the pointer or the space bar is pressed on: redrawn before its click, it loses the click, or another row gets it.
 * @type {Node | null}
 */
let pressed = null;
let isDragging = false;
/** The click of a finger comes some time after its release, and none comes of a press that moves. */
const CLICK_MILLISECONDS = 500;
let awaitingClick = 0;
/**
 * The last redraw of each element that waits for the click.
 * @type {Map<Element, () => void>}
 */
const postponed = new Map();

/**
 * Redraws now, or after the click if something within the element is pressed.
 * @param {Element} element
 * @param {() => void} redraw
 */
export function whenReleased(element, redraw) {
  if (element.contains(pressed)) {
    postponed.set(element, redraw);
    return;
  }
  postponed.delete(element);
  redraw();
}

/** @param {Event} event */
function press({ target }) {
  clearTimeout(awaitingClick);
  pressed = target instanceof Node ? target : null;
}

function release() {
  clearTimeout(awaitingClick);
  pressed = null;
  isDragging = false;
  // what listens to the click comes first
  setTimeout(() => {
    const redraws = [...postponed];
    postponed.clear();
    for (const [element, redraw] of redraws) whenReleased(element, redraw);
  });
}

addEventListener("pointerdown", press, true);
addEventListener("pointerup", () => (awaitingClick = setTimeout(release, CLICK_MILLISECONDS)), true);
addEventListener("click", release, true);
addEventListener("keydown", (event) => event.key === " " && press(event), true);
addEventListener("keyup", ({ key }) => key === " " && release(), true);
addEventListener("dragstart", () => (isDragging = true), true);
addEventListener("dragend", release, true);
addEventListener("contextmenu", release, true); // a menu of the system takes the release
// also the beginning of a drag cancels the pointer
addEventListener("pointercancel", () => isDragging || release(), true);
// the release was lost: to another window, or with the row that was dragged
addEventListener("pointermove", ({ buttons }) => pressed && !buttons && release(), true);

addEventListener(
  "keydown",
  (event) => {
    // a held Enter presses once: what it opens, such as the question before a deletion, is not answered by it
    if (event.key !== "Enter" || !event.repeat || event.target instanceof HTMLTextAreaElement) return;
    event.preventDefault();
    event.stopPropagation();
  },
  true,
);

/**
 * Redraws and puts the focus back on the control with the same data-key.
 * @param {HTMLElement} element
 * @param {() => void} redraw
 */
export function keepingFocus(element, redraw) {
  const key = focusedKey(element);
  redraw();
  // a chart is drawn once it has its place
  if (key) queueMicrotask(() => document.activeElement === document.body && focusOn(element, key));
}

/** @param {HTMLElement} element */
function focusedKey(element) {
  const focused = document.activeElement;
  return isFocusable(focused) && element.contains(focused) ? focused.dataset.key : undefined;
}

/**
 * @param {HTMLElement} element
 * @param {string} key
 */
export const focusOn = (element, key) =>
  [...element.querySelectorAll("[data-key]")]
    .filter(isFocusable)
    .find((found) => found.dataset.key === key)
    ?.focus();

/**
 * @param {Element | null} element
 * @returns {element is HTMLElement | SVGElement}
 */
function isFocusable(element) {
  return element instanceof HTMLElement || element instanceof SVGElement;
}

/**
 * The HTML elements below `parent` that a selector finds.
 * @param {ParentNode} parent
 * @param {string} selector
 * @returns {HTMLElement[]}
 */
export const all = (parent, selector) =>
  [...parent.querySelectorAll(selector)].filter((one) => one instanceof HTMLElement);

/**
 * The one that has to be there.
 * @param {string} id
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * What each row was made of.
 * @type {WeakMap<HTMLElement, string>}
 */
const versions = new WeakMap();

/** @param {HTMLElement} parent */
const rowsOf = (parent) => [...parent.children].filter((child) => child instanceof HTMLElement);

/**
 * Makes the children of `parent` the rows of the items, in their order; rows of unchanged items are kept.
 * @template Item
 * @param {HTMLElement} parent
 * @param {Item[]} items
 * @param {(item: Item) => string} keyOf
 * @param {(item: Item) => HTMLElement} create
 */
export function keyed(parent, items, keyOf, create) {
  whenReleased(parent, () => updateRows(parent, items, keyOf, create));
}

/**
 * @template Item
 * @param {HTMLElement} parent
 * @param {Item[]} items
 * @param {(item: Item) => string} keyOf
 * @param {(item: Item) => HTMLElement} create
 */
function updateRows(parent, items, keyOf, create) {
  const old = new Map(rowsOf(parent).map((row) => [row.dataset.row, row]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const version = JSON.stringify(item);
    let row = old.get(key);
    old.delete(key);
    if (!row || versions.get(row) !== version) {
      const fresh = create(item);
      fresh.dataset.row = key;
      versions.set(fresh, version);
      if (row) {
        const hasFocus = row.contains(document.activeElement);
        const key = focusedKey(row);
        if (row === next) next = fresh;
        row.replaceWith(fresh);
        if (key) focusOn(fresh, key);
        else if (hasFocus) fresh.querySelector("button")?.focus();
      }
      row = fresh;
    }
    if (row === next) next = row.nextElementSibling;
    else parent.insertBefore(row, next);
  }
  for (const row of old.values()) row.remove();
}

/**
 * @template {unknown[]} Arguments
 * @param {(...args: Arguments) => unknown} action
 * @param {number} milliseconds
 * @returns {(...args: Arguments) => void}
 */
export function debounced(action, milliseconds) {
  /** @type {number | undefined} */
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...args), milliseconds);
  };
}

let lastId = 0;
/** @param {string} prefix */
export const newId = (prefix) => `${prefix}-${++lastId}`;

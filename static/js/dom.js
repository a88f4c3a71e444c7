// Builds and updates the page. Text is never parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

/** h("button.quiet", { onclick, disabled }, "text", child): an element; null and false children are left out. */
export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  return filled(document.createElement(name), classes, props, children);
}

/** The same for SVG elements. */
export function s(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  return filled(document.createElementNS(SVG, name), classes, props, children);
}

function filled(element, classes, props, children) {
  if (classes.length) element.classList.add(...classes);
  for (const [name, value] of Object.entries(props ?? {})) setProp(element, name, value);
  append(element, children);
  return element;
}

function setProp(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "class") element.classList.add(...value.split(" ").filter(Boolean));
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name === "value") element.value = value;
  else if (name === "checked") element.checked = value;
  else element.setAttribute(name, value === true ? "" : value);
}

export function append(element, children) {
  for (const child of [children].flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** A section that is redrawn only when its value has changed, so that focus and selection survive. */
export function section(element, draw) {
  let shown;
  return (value) => {
    const text = JSON.stringify(value);
    if (text === shown) return;
    shown = text;
    keepingFocus(element, () => replace(element, draw(value)));
  };
}

/** Redraws and puts the focus back on the control with the same data-key. */
function keepingFocus(element, redraw) {
  const key = focusedKey(element);
  redraw();
  if (key) focusOn(element, key);
}

const focusedKey = (element) =>
  element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;

const focusOn = (element, key) =>
  [...element.querySelectorAll("[data-key]")].find((found) => found.dataset.key === key)?.focus();

/** Makes the children of `parent` the rows of the items, in their order; rows of unchanged items are kept. */
export function keyed(parent, items, keyOf, create) {
  const old = new Map([...parent.children].map((child) => [child.dataset.row, child]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const version = JSON.stringify(item);
    let row = old.get(key);
    old.delete(key);
    if (!row || row.rowVersion !== version) {
      const fresh = create(item);
      fresh.dataset.row = key;
      fresh.rowVersion = version;
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
    if (row === next) next = next.nextElementSibling;
    else parent.insertBefore(row, next);
  }
  for (const row of old.values()) row.remove();
}

export function debounced(action, milliseconds) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...args), milliseconds);
  };
}

let lastId = 0;
export const newId = (prefix) => `${prefix}-${++lastId}`;

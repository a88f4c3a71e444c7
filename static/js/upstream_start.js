// The presets of a new upstream: a known service fills in its URL, its protocol and its name.
import { h, newId, replace } from "./dom.js";
import { t } from "./i18n.js";
import { group, select } from "./ui.js";

/** @param {Vendor} vendor */
const titleOf = (vendor) => vendor.title || t(`vendor.${vendor.id}`);

/**
 * The choice of a service for a form without an entry; a key that is typed chooses the service that issues such keys.
 * @param {Vendor[]} vendors
 */
export function vendorChoice(vendors) {
  const urls = h("datalist", { id: newId("urls") });
  const choose = select(
    [["", t("vendor.choose")], ...vendors.map((one) => /** @type {[string, string]} */ ([one.id, titleOf(one)]))],
    "",
    () => fill(),
    { "aria-label": t("vendor.label") },
  );
  let given = { name: "", url: "" };
  const fill = () => {
    const vendor = vendors.find((one) => one.id === choose.value);
    const form = choose.closest("form");
    if (!vendor || !form) return;
    const [name, url] = [controlOf(form, "name"), controlOf(form, "base_url")];
    url.setAttribute("list", urls.id);
    replace(
      urls,
      vendor.urls.map((one) => h("option", { value: one })),
    );
    const next = { name: vendor.title, url: vendor.urls[0] ?? "" };
    if (name.value === given.name) name.value = next.name;
    if (url.value === given.url || next.url) url.value = next.url;
    given = next;
    controlOf(form, "protocol").value = vendor.protocol;
    controlOf(form, "server").value = vendor.server;
    const kind = controlOf(form, "key-kind");
    if (!vendor.needs_key || kind.value === "none") {
      kind.value = vendor.needs_key ? "literal" : "none";
      kind.dispatchEvent(new Event("change"));
    }
    form.dispatchEvent(new Event("input"));
  };
  /** @param {string} key */
  const recognize = (key) => {
    const vendor = vendors.find((one) => one.key_prefix && key.startsWith(one.key_prefix));
    if (!vendor || choose.value) return;
    choose.value = vendor.id;
    fill();
  };
  /** @param {HTMLFormElement} form */
  const watch = (form) => {
    form.addEventListener("input", ({ target }) => {
      if (target instanceof HTMLInputElement && target.name === "key") recognize(target.value.trim());
    });
    form.addEventListener("change", ({ target }) => {
      if (!(target instanceof HTMLInputElement) || target.name !== "base_url") return;
      const [name, host] = [controlOf(form, "name"), hostOf(target.value)];
      if (name.value || !host) return;
      name.value = given.name = host;
    });
  };
  return { element: group(t("vendor.label"), h("div.stack", {}, choose, urls), { help: t("vendor.help") }), watch };
}

/** @param {string} url */
function hostOf(url) {
  try {
    return new URL(url).hostname;
  } catch {
    return "";
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {string} name
 */
export function controlOf(form, name) {
  const found = form.elements.namedItem(name);
  if (found instanceof HTMLInputElement || found instanceof HTMLSelectElement) return found;
  throw new Error(`the form has no field ${name}`);
}

// The texts of the page, in the language of the user.
import { staticJson } from "./api.js";

const LANGUAGES = ["en", "zh"];
/** @type {Record<string, string>} */
let words = {};
let plurals = new Intl.PluralRules("en");

export let language = "en";

export async function loadLanguage() {
  language = chosen() ?? (navigator.language?.toLowerCase().startsWith("zh") ? "zh" : "en");
  plurals = new Intl.PluralRules(language);
  words = await staticJson(`/i18n/${language}.json`);
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

/**
 * The text of this key with {name} filled in. A number as `count` chooses the plural form, where the text has several.
 * @param {string} key
 * @param {Record<string, unknown>} [values]
 */
export function t(key, values = {}) {
  const form = typeof values.count === "number" ? `${key}.${plurals.select(values.count)}` : key;
  const text = words[form] ?? words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/**
 * The text of a key, or "" without one: sentences of the daemon need none in English.
 * @param {string} key
 */
export const translated = (key) => words[key] ?? "";

/** @param {string} name */
export function chooseLanguage(name) {
  try {
    localStorage.setItem("language", name);
  } catch {
    // storage is disabled: the choice is lost with the next page
  }
  location.reload();
}

function chosen() {
  try {
    const name = localStorage.getItem("language");
    return name && LANGUAGES.includes(name) ? name : null;
  } catch {
    return null;
  }
}

// The words of the page, in the reader's language.
import { staticJson } from "./api.js";

const LANGUAGES = ["en", "zh"];
let words = {};

export let language = "en";

export async function loadLanguage() {
  language = chosen() ?? (navigator.language?.toLowerCase().startsWith("zh") ? "zh" : "en");
  words = await staticJson(`/i18n/${language}.json`);
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}

/** The text of this key with {name} filled in; for a count of one its own form, where it has one. */
export function t(key, values = {}) {
  const text = (values.count === 1 && words[`${key}.one`]) || (words[key] ?? key);
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** The text of a key that need not be there; "" then. Sentences of the daemon stand for themselves in English. */
export const translated = (key) => words[key] ?? "";

export function chooseLanguage(name) {
  try {
    localStorage.setItem("language", name);
  } catch {
    // storage is switched off: the choice cannot be kept
  }
  location.reload();
}

function chosen() {
  try {
    const name = localStorage.getItem("language");
    return LANGUAGES.includes(name) ? name : null;
  } catch {
    return null;
  }
}

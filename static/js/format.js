// Formats numbers, times and amounts.
import { language, t } from "./i18n.js";

const locale = () => (language === "zh" ? "zh-CN" : "en-GB");
/** @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/** @param {Intl.NumberFormatOptions} options */
function numbers(options) {
  const key = JSON.stringify(options);
  const format = formats.get(key) ?? new Intl.NumberFormat("en", options);
  formats.set(key, format);
  return format;
}

/**
 * 1234567 -> "1.23M"
 * @param {number | null | undefined} count
 */
export function compact(count) {
  if (count === null || count === undefined) return "–";
  if (Math.abs(count) < 10000) return numbers({ maximumFractionDigits: 0 }).format(count);
  return numbers({ notation: "compact", maximumSignificantDigits: 3 })
    .format(count)
    .toLowerCase()
    .replace("m", "M")
    .replace("b", "B");
}

/** @param {number | null | undefined} count */
export function whole(count) {
  return count === null || count === undefined ? "–" : numbers({ maximumFractionDigits: 0 }).format(count);
}

/**
 * 0.4567 -> "46%"
 * @param {number} share
 */
export const percent = (share) => `${Math.round(100 * share)}%`;

/**
 * Money, with the digits that matter.
 * @param {number | null | undefined} amount
 */
export function money(amount) {
  if (amount === null || amount === undefined) return "–";
  if (amount > 0 && amount < 0.00005) return "<$0.0001";
  const digits = amount !== 0 && Math.abs(amount) < 0.1 ? 4 : 2;
  return `$${numbers({ minimumFractionDigits: digits, maximumFractionDigits: digits }).format(amount)}`;
}

/**
 * Seconds -> "840 ms", "1.84 s", "12.3 s", "2 m 05 s"
 * @param {number | null | undefined} value
 */
export function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  if (value < 10) return `${value.toFixed(2)} s`;
  if (value < 60) return `${value.toFixed(1)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} m ${String(Math.floor(value % 60)).padStart(2, "0")} s`;
  return `${Math.floor(value / 3600)} h ${String(Math.floor((value % 3600) / 60)).padStart(2, "0")} m`;
}

/**
 * Seconds as a stopwatch shows them: 42 -> "0:42", 3700 -> "1:01:40"
 * @param {number} value
 */
export function stopwatch(value) {
  const total = Math.max(0, Math.floor(value));
  const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  /** @param {number} part */
  const two = (part) => String(part).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** @param {number | null | undefined} value */
export const milliseconds = (value) => seconds(value === null || value === undefined ? null : value / 1000);

/**
 * "14:05" of a moment in seconds since 1970; with the day in front if it is another one.
 * @param {Time | null | undefined} at
 * @param {boolean} [withSeconds]
 */
export function clock(at, withSeconds = false) {
  if (!at) return "–";
  const date = new Date(at * 1000);
  const time = date.toLocaleTimeString(locale(), {
    hour: "2-digit",
    minute: "2-digit",
    second: withSeconds ? "2-digit" : undefined,
    hour12: false,
  });
  return sameDay(date, new Date())
    ? time
    : `${date.toLocaleDateString(locale(), { day: "numeric", month: "short" })} ${time}`;
}

/** @param {Time} at */
export const isToday = (at) => sameDay(new Date(at * 1000), new Date());

/**
 * "14:05", whatever the day.
 * @param {Time} at
 */
export const timeOfDay = (at) =>
  new Date(at * 1000).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit", hour12: false });

/** @param {Time} at */
export function moment(at) {
  return new Date(at * 1000).toLocaleString(locale(), { dateStyle: "medium", timeStyle: "medium", hour12: false });
}

/**
 * "2026-11-21" -> "21 Nov"
 * @param {string} day
 * @param {boolean} [withWeekday]
 */
export function dayName(day, withWeekday = false) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date).toLocaleDateString(locale(), {
    day: "numeric",
    month: "short",
    weekday: withWeekday ? "short" : undefined,
  });
}

/** The local date as "2026-11-21", some days before today. */
export function isoDay(daysAgo = 0) {
  const date = new Date();
  date.setDate(date.getDate() - daysAgo);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()]
    .map((part) => String(part).padStart(2, "0"))
    .join("-");
}

/** @param {number} count */
export const bytes = (count) => (count < 1024 ? `${count} B` : `${(count / 1024).toFixed(1)} KB`);

/**
 * "codex_cli_rs/0.169.0 (...)" -> "codex_cli_rs 0.169.0"
 * @param {string | null | undefined} text
 */
export function agent(text) {
  return (text ?? "").split(" ")[0].replace("/", " ") || t("requests.unknown-client");
}

/** @param {Usage} usage */
export const totalInput = (usage) => usage.input + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h;

/**
 * @param {Date} one
 * @param {Date} other
 */
function sameDay(one, other) {
  return one.toDateString() === other.toDateString();
}

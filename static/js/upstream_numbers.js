// What each upstream has done in the last 24 hours and seven days: as a line of its row, as bars of its budgets.
import { get } from "./api.js";
import { costText } from "./count_words.js";
import { h } from "./dom.js";
import { milliseconds, money, whole } from "./format.js";
import { t } from "./i18n.js";

const SECONDS_BETWEEN = 60;
const PERIODS = /** @type {const} */ (["day", "month"]);

/** @type {AllNumbers} */
let all = { budget: null, upstreams: [] };

/** @param {string} upstream */
export const numbersOf = (upstream) => all.upstreams.find((one) => one.name === upstream);
export const overallBudget = () => all.budget;

/**
 * Loads the numbers now and every minute; returns what ends that.
 * @param {(error?: unknown) => void} changed
 */
export function followNumbers(changed) {
  let isOver = false;
  const load = async () => {
    if (document.hidden) return;
    try {
      all = await get("/api/upstream-numbers");
    } catch (error) {
      if (!isOver) changed(error);
      return; // what is shown stays
    }
    if (!isOver) changed();
  };
  load();
  const timer = setInterval(load, SECONDS_BETWEEN * 1000);
  return () => {
    isOver = true;
    clearInterval(timer);
  };
}

/**
 * 0.9987 -> "99.8%": never rounded up to a success that was not complete.
 * @param {number | null} share
 */
export const shareText = (share) => (share === null ? "–" : `${Math.floor(1000 * share + 1e-6) / 10}%`);

/** @param {CellNumbers} cell */
export const firstTokenText = (cell) =>
  cell.first_token_p50_ms === null
    ? ""
    : t("numbers.first-token", {
        p50: milliseconds(cell.first_token_p50_ms),
        p95: milliseconds(cell.first_token_p95_ms),
      });

/**
 * The line in the row of an upstream, of the last 24 hours, else of the last seven days.
 * @param {UpstreamNumbers | undefined} numbers
 */
export function numbersLine(numbers) {
  if (!numbers || !(numbers.days.requests || numbers.days.failed_attempts)) return null;
  const isRecent = numbers.hours.requests + numbers.hours.failed_attempts > 0;
  const cell = isRecent ? numbers.hours : numbers.days;
  const parts = [
    cell.success === null ? "" : t("numbers.success", { share: shareText(cell.success) }),
    firstTokenText(cell),
    cell.tokens_per_second === null ? "" : t("numbers.speed", { count: whole(cell.tokens_per_second) }),
    cell.cache_share === null ? "" : t("numbers.cache", { share: shareText(cell.cache_share) }),
    numbers.days.cost === null
      ? ""
      : t("numbers.cost", { day: costText({ ...numbers.hours }), week: costText({ ...numbers.days }) }),
  ];
  return h(
    "a.facts.numbers-line",
    {
      href: `#/numbers?name=${encodeURIComponent(numbers.name)}`,
      title: t(isRecent ? "numbers.of-24-hours" : "numbers.of-7-days"),
    },
    parts.filter(Boolean).map((part) => h("span", {}, part)),
  );
}

/**
 * One bar for each limited period: what is spent, with a mark at the soft limit.
 * @param {BudgetUse | null | undefined} budget
 */
export function budgetBars(budget) {
  if (!budget) return null;
  return h(
    "div.budgets",
    {},
    PERIODS.map((period) => {
      const use = budget[period];
      if (!use) return null;
      const most = use.hard || use.soft;
      const kind = use.hard && use.spent >= use.hard ? "full" : use.soft && use.spent >= use.soft ? "near" : "";
      const text = t(`numbers.budget-${period}`, { spent: money(use.spent), limit: money(most) });
      const bar = h("span.used", { class: kind });
      bar.style.width = `${Math.min(100, (100 * use.spent) / most)}%`;
      const track = h("div.budget-track", { role: "img", "aria-label": text }, bar);
      if (use.soft && use.hard) {
        const mark = h("span.soft", { title: t("numbers.soft-limit", { limit: money(use.soft) }) });
        mark.style.left = `${Math.min(100, (100 * use.soft) / use.hard)}%`;
        track.append(mark);
      }
      return h("div.budget", {}, h("span.muted", {}, text), track);
    }),
  );
}

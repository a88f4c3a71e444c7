// What is counted, in words: the same on the overview and on the page of statistics. The definitions are `count.NAME`.

import { money, whole } from "./format.js";
import { t } from "./i18n.js";

const ENDS = ["cancelled", "truncated", "held"];
const APART = ["tests", "activations", "replays"];

/**
 * The numbers under "Requests".
 * @param {CountCell} cell
 */
export const requestNotes = (cell) =>
  [["failed", cell.errors], ...ENDS.map((name) => [name, cell[name]])]
    .filter(([, count]) => count)
    .map(([name, count]) => t(`stats.${name}`, { count: whole(Number(count)) }))
    .join(" · ");

/**
 * The numbers under "Cost".
 * @param {CountCell} cell
 */
export const costNotes = (cell) =>
  ["unpriced", "local"]
    .filter((name) => cell[name])
    .map((name) => t(`stats.${name}`, { count: whole(cell[name]) }))
    .join(" · ");

/**
 * The cost of a cell; what has no price is never shown as free.
 * @param {CountCell} cell
 */
export function costText(cell) {
  if (cell.cost === null || cell.cost === undefined) return cell.unpriced ? t("stats.unpriced-short") : "–";
  return `${money(cell.cost)}${cell.unpriced ? " +" : ""}`;
}

/**
 * What is not a request of a client; "" if there was nothing.
 * @param {CountCell} cell
 */
export function apartText(cell) {
  const list = APART.filter((name) => cell[name])
    .map((name) => {
      const failed = cell[`failed_${name}`];
      return (
        t(`stats.${name}`, { count: whole(cell[name]) }) +
        (failed ? ` (${t("stats.failed", { count: whole(failed) })})` : "")
      );
    })
    .join(", ");
  return list && t("stats.apart", { list });
}

// The dashboard: one panel at a time, chosen by the hash of the URL.
import { part } from "./api.js";
import { followRevision } from "./config.js";
import { byId, replace } from "./dom.js";
import { drawFrame, PANELS } from "./frame.js";
import { loadLanguage } from "./i18n.js";
import { dismissDialogs, errorNote, loadingNote } from "./ui.js";

const main = byId("main");
/** @type {Leave | null} */
let leave = null;
let shown = "";
/** What was wanted last: an earlier load of a panel that ends later shows nothing. */
let newest = {};

/**
 * "#/requests?id=x7" -> ["requests", { id: "x7" }]
 * @returns {[string, Record<string, string>]}
 */
function address() {
  const [name = "", search] = location.hash.replace(/^#\/?/, "").split("?");
  return [PANELS.includes(name) ? name : "overview", Object.fromEntries(new URLSearchParams(search))];
}

/** @param {(name: string) => void} mark */
async function show(mark) {
  const [name, given] = address();
  if (!(await dismissDialogs())) {
    history.replaceState(null, "", `#/${shown}`);
    return;
  }
  if (name === shown && leave?.again) {
    leave.again(given);
    return;
  }
  if (leave?.mayLeave && !(await leave.mayLeave())) {
    history.replaceState(null, "", `#/${shown}`);
    mark(shown);
    return;
  }
  leave?.();
  leave = null;
  shown = name;
  const own = (newest = {});
  mark(name);
  replace(main, loadingNote());
  try {
    const panel = await part(() => import(`./panels/${name}.js`));
    if (newest !== own) return;
    replace(main);
    leave = panel.mount(main, given) ?? null;
  } catch (error) {
    replace(
      main,
      errorNote(error, () => show(mark)),
    );
  }
}

await loadLanguage();
const mark = drawFrame(address()[0]);
followRevision();
// before the first panel is loaded, so that no click is lost meanwhile
window.addEventListener("hashchange", () => show(mark));
await show(mark);

// A form for a part of the settings file: tracks changes, checks them during input, saves them with the revision.
import { post, problemOf } from "./api.js";
import { config, onConfig, reload, save } from "./config.js";
import { debounced, h, replace } from "./dom.js";
import { t } from "./i18n.js";
import { busy, button, confirm, errorNote, faultLine, loadingNote, messageOf, note, showFieldErrors } from "./ui.js";

const CHECK_MILLISECONDS = 250;

/**
 * Fills `root` with a form. `build(config, touched)` returns { content, changes } where `changes()` is what
 * differs from the file (null: nothing). Returns the panel's leave function with its guard.
 * @param {HTMLElement} root
 * @param {string} title
 * @param {string} intro
 * @param {(config: Config, touched: () => void) => Draft} build
 * @returns {Leave}
 */
export function mountDraft(root, title, intro, build) {
  const body = h("div", {}, loadingNote());
  const bar = h("div.save-bar", { hidden: true });
  const rest = h("div.stack.bad", { role: "alert" });
  // apart from `rest`, so that no later check takes away why a save was refused
  const refusal = h("div.stack.bad", { role: "alert" });
  /** @type {Draft | null} */
  let form = null;
  /** @type {string | null} */
  let revision = null;

  const changes = () => form?.changes() ?? null;
  /** @param {BeforeUnloadEvent} event */
  const guard = (event) => changes() && event.preventDefault();
  let checks = 0;
  const check = debounced(async () => {
    const own = ++checks;
    const changed = changes();
    bar.hidden = !changed;
    if (!changed) {
      showFieldErrors(body, []);
      replace(rest);
      return;
    }
    try {
      const { faults } = await post("/api/settings/check", { changes: changed });
      if (own !== checks) return;
      replace(
        rest,
        showFieldErrors(body, faults).map((fault) => h("p.wrap", {}, faultLine(fault))),
      );
    } catch (error) {
      if (own === checks) replace(rest, h("p", {}, messageOf(error)));
    }
  }, CHECK_MILLISECONDS);

  /** @param {Config} known */
  function draw(known) {
    revision = known.revision;
    const built = build(known, () => check());
    form = built;
    replace(
      body,
      h(
        "form.stack.loose",
        {
          oninput: () => check(),
          onchange: () => check(),
          onsubmit: (event) => (event.preventDefault(), busy(saving, submit)),
        },
        built.content,
      ),
    );
    bar.hidden = true;
    replace(rest);
    replace(refusal);
  }
  function drawAgain() {
    const known = config();
    if (known) draw(known);
  }
  async function submit() {
    const changed = changes();
    if (!changed) return;
    replace(refusal);
    try {
      await save("/api/settings", { changes: changed, revision });
    } catch (error) {
      const { faults, status } = problemOf(error);
      const others = showFieldErrors(body, faults).map((fault) => h("p.wrap", {}, faultLine(fault)));
      replace(rest, others);
      if (!faults.length) replace(refusal, h("p.wrap", {}, messageOf(error)));
      if (status === 409) refusal.append(button(t("draft.reload"), drawAgain, { kind: "small" }));
      return;
    }
    drawAgain();
    note(t("saved"), { kind: "good" });
  }
  const saving = button(t("save"), () => busy(saving, submit), { kind: "primary" });
  replace(bar, h("span.muted", {}, t("draft.unsaved")), h("span.grow"), button(t("draft.revert"), drawAgain), saving);
  replace(
    root,
    h(
      "div.panel",
      {},
      h("div.panel-head", {}, h("div", {}, h("h1", {}, title), intro ? h("p", {}, intro) : null)),
      body,
      rest,
      refusal,
      bar,
    ),
  );

  const stale = h("p.warn", {}, t("draft.changed-elsewhere"));
  const end = onConfig(
    (known) => {
      if (!form || !changes()) draw(known);
      else if (known.revision !== revision && !stale.isConnected) bar.prepend(stale);
    },
    (error) =>
      replace(
        body,
        errorNote(error, () => reload().catch(() => null)),
      ),
  );
  window.addEventListener("beforeunload", guard);
  /** @type {Leave} */
  const leave = () => {
    end();
    window.removeEventListener("beforeunload", guard);
  };
  leave.mayLeave = () => !changes() || confirm(t("editor.unsaved-title"), t("editor.unsaved"), t("editor.discard"));
  return leave;
}

/**
 * The members of `now` that differ from `then`; a member that is gone is null.
 * @param {Record<string, unknown>} now
 * @param {Record<string, unknown>} then
 */
export function difference(now, then) {
  /** @type {Record<string, unknown>} */
  const changed = {};
  for (const name of new Set([...Object.keys(now), ...Object.keys(then)])) {
    if (JSON.stringify(now[name]) !== JSON.stringify(then[name])) changed[name] = now[name] ?? null;
  }
  return changed;
}

/** @param {Record<string, unknown>} changed */
export const orNull = (changed) => (Object.keys(changed).length ? changed : null);

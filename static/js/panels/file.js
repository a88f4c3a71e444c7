// The settings file itself: its errors, its history with differences, restore, import, export.
import { get, post } from "../api.js";
import { isLegacyFormat } from "../api_names.js";
import { onConfig, reload as reloadConfig, save } from "../config.js";
import { h, replace, section } from "../dom.js";
import { bytes, moment } from "../format.js";
import { said, t } from "../i18n.js";
import { refresh, subscribe } from "../live.js";
import {
  actionButton,
  badge,
  button,
  confirm,
  dialog,
  diffView,
  emptyNote,
  faultText,
  loadInto,
  loadingNote,
  note,
} from "../ui.js";

/** @param {HTMLElement} root */
export function mount(root) {
  const state = h("div.inside.stack");
  const history = h("div", {}, loadingNote());
  replace(
    root,
    h(
      "div.panel",
      {},
      h(
        "div.panel-head",
        {},
        h("div", {}, h("h1", {}, t("nav.file")), h("p", {}, t("file.intro"))),
        h(
          "div.row",
          {},
          actionButton(t("file.reload"), reloadFile),
          actionButton(t("file.export"), () => exportDialog()),
          button(t("file.import"), () => importDialog(), { kind: "primary" }),
        ),
      ),
      h("section.card", { "aria-label": t("file.state") }, h("header", {}, h("h2", {}, t("file.state"))), state),
      h("section.card", { "aria-label": t("file.history") }, h("header", {}, h("h2", {}, t("file.history"))), history),
    ),
  );
  const drawState = section(state, fileState);
  const load = () =>
    loadInto(
      history,
      () => get("/api/history"),
      (answer) => versions(answer, load),
    );
  let revision = "";
  let isFaulty = false;
  const ends = [
    subscribe("state", (known) => {
      drawState({ ...known.file, revision: known.revision });
      // the settings in use are kept when the file becomes faulty
      if (known.file.faults.length > 0 !== isFaulty) load();
      isFaulty = known.file.faults.length > 0;
    }),
    onConfig((known) => {
      if (known.revision !== revision) load();
      revision = known.revision;
    }, load),
  ];
  return () => ends.forEach((end) => end());
}

/** @param {FileState & { revision: string }} state */
function fileState({ revision, ...file }) {
  const { path, faults, warnings } = file;
  return [
    h(
      "div.row",
      {},
      faults.length ? badge(t("file.errors", { count: faults.length }), "bad") : badge(t("file.valid"), "good"),
      isLegacyFormat(file) ? badge(t("file.legacy-format"), "warn") : null,
      h("code.wrap", {}, path),
      h("span.faint", {}, t("file.revision", { revision })),
    ),
    faults.length ? h("p", {}, t("file.last-valid")) : null,
    faults.length
      ? h(
          "ul.plain",
          {},
          faults.map((fault) =>
            h(
              "li.bad.wrap",
              {},
              h("code", {}, fault.path),
              fault.line ? ` (${t("error.position", { ...fault })})` : "",
              ": ",
              faultText(fault),
            ),
          ),
        )
      : null,
    isLegacyFormat(file) ? h("p.muted", {}, t("overview.legacy-format")) : null,
    warnings.length
      ? h(
          "ul.plain",
          {},
          warnings.map((warning) => h("li.muted.wrap", {}, said(warning))),
        )
      : null,
  ];
}

async function reloadFile() {
  const { faults } = await post("/api/reload");
  await Promise.all([refresh(), reloadConfig()]);
  note(faults?.length ? t("file.errors", { count: faults.length }) : t("file.reloaded"), {
    kind: faults?.length ? "bad" : "good",
  });
}

// --- history ---

/**
 * @param {{ versions: Version[], revision: string }} history
 * @param {() => void} load
 */
function versions({ versions: kept, revision }, load) {
  if (!kept.length) return emptyNote(t("file.no-history"));
  return h(
    "ul.lines",
    {},
    kept.map((version) =>
      h(
        "li",
        {},
        h("div.grow", {}, h("div", {}, moment(version.time)), h("div.faint", {}, bytes(version.size))),
        actionButton(t("file.diff"), () => showDiff(version, revision, load), { kind: "small" }),
        actionButton(t("file.restore"), () => restore(version, revision, load), { kind: "small" }),
      ),
    ),
  );
}

/**
 * @param {Version} version
 * @param {string} revision
 * @param {() => void} load
 */
async function showDiff(version, revision, load) {
  const { diff } = await get("/api/history/diff", { from: version.id, to: "current" });
  await dialog(
    t("file.diff-title", { time: moment(version.time) }),
    (close) => ({
      body: h(
        "div.stack",
        {},
        h("p.muted", {}, t("file.diff-help")),
        diff.trim() ? diffView(diff) : h("p", {}, t("file.same")),
      ),
      footer: [
        button(t("close"), () => close()),
        actionButton(t("file.restore"), async () => (await restore(version, revision, load)) && close(), {
          kind: "primary",
        }),
      ],
    }),
    { kind: "wide" },
  );
}

/**
 * @param {Version} version
 * @param {string} revision
 * @param {() => void} load
 */
async function restore(version, revision, load) {
  if (
    !(await confirm(
      t("file.restore"),
      t("file.restore-question", { time: moment(version.time) }),
      t("file.restore"),
      "primary",
    ))
  )
    return false;
  await save("/api/history/restore", { version: version.id, revision });
  note(t("file.restored", { time: moment(version.time) }), { kind: "good" });
  load();
  return true;
}

// --- import and export ---

function importDialog() {
  const text = h("textarea.mono", {
    rows: "8",
    spellcheck: "false",
    "aria-label": t("file.import-text"),
    placeholder: '{"upstreams": [...]}',
  });
  const pick = h("input", {
    type: "file",
    accept: ".json,.yaml,.yml,.env,.sql,application/json",
    "aria-label": t("file.import-file"),
  });
  const report = h("div.stack", { "aria-live": "polite" });
  pick.addEventListener("change", async () => {
    const file = pick.files?.[0];
    if (!file) return;
    text.value = await file.text();
    replace(report);
  });
  return dialog(t("file.import"), (close) => {
    const preview = async () => replace(report, importReport(await post("/api/import?dry_run=1", text.value)));
    const run = async () => {
      const done = await post("/api/import", text.value);
      await reloadConfig();
      close();
      note(t("file.imported", { count: done.added.length }), { kind: "good" });
    };
    text.addEventListener("input", () => replace(report));
    return {
      body: h("div.stack.loose", {}, h("p.muted", {}, t("file.import-help")), pick, text, report),
      footer: [
        button(t("cancel"), () => close()),
        actionButton(t("file.import-preview"), preview),
        actionButton(t("file.import-run"), run, { kind: "primary" }),
      ],
    };
  });
}

/** @param {ImportReport} report */
function importReport({ added, identical = [], renamed, origins = [], settings = [], notes }) {
  return [
    h("p", {}, h("strong", {}, t("file.import-would", { count: added.length }))),
    origins.length ? h("ul.plain", {}, origins.filter((one) => added.includes(one.to)).map(originLine)) : null,
    settings.length
      ? h(
          "ul.plain",
          {},
          settings.map((text) => h("li.wrap", {}, text)),
        )
      : null,
    identical.length ? h("p.muted.wrap", {}, t("file.import-identical", { names: identical.join(", ") })) : null,
    renamed.length
      ? h(
          "ul.plain",
          {},
          renamed.map((one) => h("li.warn.wrap", {}, `${one.from} → ${one.to}`)),
        )
      : null,
    notes.length
      ? h(
          "ul.plain",
          {},
          notes.map((text) => h("li.muted.wrap", {}, said(text))),
        )
      : null,
  ];
}

/** @param {ImportOrigin} origin */
function originLine({ from, to, protocol, url, enabled }) {
  return h(
    "li.wrap",
    {},
    h("span.muted", {}, `${from} → `),
    to,
    h("span.muted", {}, ` · ${t(`protocol.${protocol}`)} · ${url}`),
    enabled ? null : h("span.warn", {}, ` · ${t("file.import-off")}`),
  );
}

function exportDialog() {
  const keys = h("input", { type: "checkbox" });
  return dialog(
    t("file.export"),
    (close) => ({
      body: h(
        "div.stack.loose",
        {},
        h("p.muted", {}, t("file.export-help")),
        h("label.check", {}, keys, t("file.export-keys")),
      ),
      footer: [
        button(t("cancel"), () => close()),
        actionButton(
          t("file.export"),
          async () => {
            download("switchyard.json", JSON.stringify(await post("/api/export", { keys: keys.checked }), null, 2));
            close();
          },
          { kind: "primary" },
        ),
      ],
    }),
    { kind: "small" },
  );
}

/**
 * @param {string} name
 * @param {string} text
 */
function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

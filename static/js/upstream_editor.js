// The form of one upstream: checked by the daemon during input, saved field by field.
import { post } from "./api.js";
import { config, save } from "./config.js";
import { append, debounced, h, replace } from "./dom.js";
import { t, translated } from "./i18n.js";
import {
  actionButton,
  busy,
  button,
  confirm,
  dialog,
  faultLine,
  field,
  group,
  messageOf,
  note,
  protocolName,
  select,
  showFieldErrors,
} from "./ui.js";
import { testUpstream } from "./upstream_test.js";

const CHECK_MILLISECONDS = 250;
const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const CLIENTS = ["messages", "chat", "responses"];
const SERVERS = [
  "auto",
  "anthropic",
  "openai",
  "azure",
  "vllm",
  "llama.cpp",
  "ollama",
  "lmstudio",
  "tgi",
  "fastchat",
  "deepseek",
];
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** Opens the form for an entry, or for a new one (null). Resolves with the saved name and protocol, or undefined. */
export function editUpstream(original) {
  const entry = original ?? { protocol: "messages" };
  let revision = config().revision;
  const defaults = config().defaults.upstream;
  const moveKey = async () => {
    const answer = await save("/api/upstreams/move-key", { name: original.name, revision });
    revision = answer.revision;
    note(t("editor.key-moved", { name: answer.key.name }), { kind: "good" });
    return answer.key;
  };
  const fields = allFields(entry, defaults, original && config().keyring ? moveKey : null);
  const before = fields.map(({ read }) => read());
  const changes = () =>
    Object.fromEntries(
      fields
        .map((one, index) => [one.name, one.read(), before[index]])
        .filter(([, now, then]) => !same(now, then))
        .map(([name, now]) => [name, now ?? null]),
    );
  const whole = () =>
    Object.fromEntries(fields.map((one) => [one.name, one.read()]).filter(([, value]) => value !== undefined));
  let finished = false;
  const guard = (event) => !finished && Object.keys(changes()).length && event.preventDefault();
  window.addEventListener("beforeunload", guard);

  return dialog(
    original ? t("editor.title", { name: original.name }) : t("editor.title-new"),
    (close, dismiss) => {
      const rest = h("div.stack.bad", { role: "alert" });
      const url = h("p.help.wrap", { "aria-live": "polite" });
      const form = h("form.stack.loose", {
        novalidate: true,
        oninput: () => check(),
        onchange: () => check(),
        onsubmit: (event) => (event.preventDefault(), busy(saving, submit)),
      });
      const check = debounced(async () => {
        try {
          const answer = await post("/api/upstreams/check", { name: original?.name, entry: whole() });
          if (!form.isConnected) return;
          const touched = answer.faults.filter(
            (fault) => original || form.classList.contains("tried") || wasTouched(form, fault.path),
          );
          replace(
            rest,
            showFieldErrors(form, touched).map((fault) => h("p.wrap", {}, faultLine(fault))),
          );
          url.textContent = answer.url ? t("editor.final-url", { url: answer.url }) : "";
          fields.find((one) => one.name === "timeouts").expect(answer.timeouts ?? {});
        } catch (error) {
          replace(rest, h("p", {}, messageOf(error)));
        }
      }, CHECK_MILLISECONDS);
      const submit = async () => {
        form.classList.add("tried");
        const changed = changes();
        if (original && !Object.keys(changed).length) {
          finished = true;
          return close(undefined);
        }
        try {
          if (original) await save("/api/upstreams/update", { name: original.name, changes: changed, revision });
          else await save("/api/upstreams/add", { entry: whole(), revision: config().revision });
        } catch (error) {
          replace(
            rest,
            showFieldErrors(form, error.faults).map((fault) => h("p.wrap", {}, faultLine(fault))),
          );
          if (!error.faults.length) replace(rest, h("p.wrap", {}, messageOf(error)));
          const first = form.querySelector("[aria-invalid=true]");
          first?.closest("details")?.setAttribute("open", "");
          (first ?? rest).focus?.();
          return;
        }
        finished = true;
        const { name, protocol, models } = whole();
        close({ name, protocol, models });
        if (original) note(t("saved"), { kind: "good" });
      };
      const saving = h(
        "button.primary",
        { type: "submit", onclick: (event) => (event.preventDefault(), busy(saving, submit)) },
        t("save"),
      );
      const test = button(t("editor.test"), () =>
        testUpstream({
          name: original?.name,
          entry: whole(),
          protocol: whole().protocol,
          models: whole().models,
          useUrl: (better) => {
            form.querySelector("[name=base_url]").value = better;
            check();
          },
        }),
      );
      form.addEventListener("focusout", (event) => event.target.name && (event.target.dataset.touched = "1"));
      layout(form, fields, url, entry);
      form.append(rest);
      check();
      return { body: form, footer: [test, h("span.grow"), button(t("cancel"), dismiss), saving] };
    },
    {
      mayClose: async () =>
        finished ||
        !Object.keys(changes()).length ||
        confirm(t("editor.unsaved-title"), t("editor.unsaved"), t("editor.discard")),
    },
  ).finally(() => window.removeEventListener("beforeunload", guard));
}

/** A new form shows no errors for fields that are still empty. */
function wasTouched(form, path) {
  const control = form.querySelector(`[name="${CSS.escape(path.split(/[.[]/)[0])}"]`);
  return !control || control.dataset.touched || control.value !== "";
}

const ADVANCED = {
  schedule: ["weekdays", "hours", "activation"],
  traffic: ["clients", "max_concurrency", "requests_per_minute", "context_window", "price_multiplier", "budget"],
  connection: ["auth", "api_version", "headers", "user_agent", "proxy", "timeouts", "server", "capabilities"],
};
const BASIC = ["name", "base_url", "protocol", "key", "role", "priority", "models", "model", "note"];

function layout(form, fields, url, entry) {
  const elements = new Map(fields.map((one) => [one.name, one.element]));
  elements.get("base_url").append(url);
  append(
    form,
    h(
      "div.fields",
      {},
      BASIC.map((name) => elements.get(name)),
    ),
  );
  for (const [section, names] of Object.entries(ADVANCED)) {
    const used = names.some((name) => entry[name] !== undefined && !(name === "clients" && entry.clients.length === 3));
    form.append(
      h(
        "details",
        { open: used },
        h("summary", {}, h("strong", {}, t(`editor.${section}`))),
        h(
          "div.fields",
          {},
          names.map((name) => elements.get(name)),
        ),
      ),
    );
  }
}

// --- fields: { name, element, read } ---

function allFields(entry, defaults, moveKey) {
  const word = (name) => t(`field.${name}`);
  const text = (name, options = {}) =>
    textField(name, entry[name], { label: word(name), help: helpOf(name), ...options });
  const number = (name, options = {}) =>
    numberField(name, entry[name], { label: word(name), help: helpOf(name), fallback: defaults[name], ...options });
  const choice = (name, options) =>
    choiceField(name, entry[name], { label: word(name), help: helpOf(name), fallback: defaults[name], options });
  return [
    text("name", { required: true, wide: true }),
    text("base_url", { required: true, wide: true, mono: true, placeholder: "https://api.example.com" }),
    {
      ...choice(
        "protocol",
        CLIENTS.map((name) => [name, t(`protocol-long.${name}`)]),
      ),
      required: true,
    },
    keyField(entry.key, moveKey),
    choice(
      "role",
      ["primary", "backup", "rescue"].map((role) => [role, t(`role-long.${role}`)]),
    ),
    number("priority", { min: 1, max: 100 }),
    modelsField(entry.models),
    text("model"),
    text("note", { wide: true }),
    checksField(
      "weekdays",
      entry.weekdays,
      DAYS.map((day) => [day, t(`day.${day}`)]),
    ),
    text("hours", { placeholder: "08:00-23:30" }),
    activationField(entry.activation),
    checksField(
      "clients",
      entry.clients,
      CLIENTS.map((name) => [name, protocolName(name)]),
    ),
    number("max_concurrency", { min: 0 }),
    number("requests_per_minute", { min: 0 }),
    number("context_window", { min: 0 }),
    number("price_multiplier", { min: 0, step: "any" }),
    numbersField("budget", entry.budget, ["day_soft", "day_hard", "month_soft", "month_hard"]),
    choice(
      "auth",
      ["auto", "bearer", "x-api-key", "api-key"].map((auth) => [auth, t(`auth.${auth}`)]),
    ),
    text("api_version"),
    headersField(entry.headers),
    text("user_agent"),
    text("proxy", { mono: true, placeholder: "socks5://127.0.0.1:1080" }),
    numbersField("timeouts", entry.timeouts, ["connect", "first_byte", "idle"]),
    choice(
      "server",
      SERVERS.map((name) => [name, name === "auto" ? t("server.auto") : name]),
    ),
    jsonField("capabilities", entry.capabilities),
  ].map((one) => (one.required ? one : { ...one, read: unlessDefault(one.read, entry[one.name], defaults[one.name]) }));
}

/** A value that equals the default is left out of the file, unless it was there before. */
const unlessDefault = (read, stored, fallback) => () => {
  const value = read();
  return stored === undefined && same(value, fallback) ? undefined : value;
};

const helpOf = (name) => translated(`help.${name}`);

function textField(name, value, { label, help, wide = false, mono = false, placeholder = "", required = false }) {
  const input = h("input", {
    type: "text",
    name,
    value: value ?? "",
    placeholder,
    class: mono ? "mono" : "",
    spellcheck: "false",
    autocomplete: "off",
  });
  const element = field(label, input, { help, path: name });
  if (wide) element.classList.add("whole");
  return {
    name,
    element,
    required,
    read: () => (input.value === "" && value === undefined && !required ? undefined : input.value),
  };
}

function numberField(name, value, { label, help, fallback, min, max, step = 1 }) {
  const input = h("input", { type: "number", name, min, max, step, value: value ?? "", placeholder: fallback ?? "" });
  return {
    name,
    element: field(label, input, { help, path: name }),
    read: () => (input.value === "" ? undefined : Number(input.value)),
  };
}

function choiceField(name, value, { label, help, fallback, options }) {
  const input = select(options, value ?? fallback, null, { name });
  return { name, element: field(label, input, { help, path: name }), read: () => input.value };
}

/** `moveKey()` puts a stored literal key into the system keychain and returns what the entry contains then; null: not offered. */
function keyField(stored, moveKey) {
  let kind = stored?.kind ?? "none";
  const input = h("input", { type: "password", name: "key", autocomplete: "off", "aria-label": t("field.key") });
  const choose = h("select", { "aria-label": t("key-choice.label") });
  const mover = actionButton(
    t("editor.move-key"),
    async () => {
      stored = await moveKey();
      kind = stored.kind;
      start();
      choose.focus();
    },
    { kind: "small" },
  );
  const offer = h("div", {}, mover);
  const adapt = () => {
    input.hidden = !["literal", "env", "keyring"].includes(choose.value);
    input.type = choose.value === "literal" ? "password" : "text";
    input.placeholder = choose.value === "env" ? "NAME_OF_VARIABLE" : "";
    offer.hidden = !moveKey || choose.value !== "keep";
  };
  const start = () => {
    const kinds = [...(kind === "literal" ? ["keep"] : []), "literal", "env", "keyring", "client", "none"];
    replace(
      choose,
      kinds.map((name) => h("option", { value: name }, t(`key-choice.${name}`))),
    );
    choose.value = kind === "literal" ? "keep" : kind;
    input.value = ["env", "keyring"].includes(kind) ? stored.name : "";
    adapt();
  };
  choose.addEventListener("change", () => {
    input.value = (choose.value === kind && stored?.name) || "";
    adapt();
    if (!input.hidden) input.focus();
  });
  start();
  const values = {
    keep: () => undefined,
    literal: () => input.value,
    env: () => `env:${input.value}`,
    keyring: () => `keyring:${input.value}`,
    client: () => "client",
    none: () => (kind === "none" && !stored ? undefined : ""),
  };
  const unchanged = () => choose.value === kind && input.value === (stored?.name ?? "");
  return {
    name: "key",
    required: true,
    element: group(t("field.key"), h("div.stack", {}, choose, input, offer), { help: t("help.key"), path: "key" }),
    read: () => (unchanged() ? undefined : values[choose.value]()),
  };
}

function checksField(name, value, options) {
  const boxes = options.map(([key, label]) => [
    key,
    h("input", { type: "checkbox", name, checked: (value ?? options.map(([each]) => each)).includes(key) }),
    label,
  ]);
  const element = group(
    t(`field.${name}`),
    h(
      "div.checks",
      {},
      boxes.map(([, box, label]) => h("label.check", {}, box, label)),
    ),
    { help: helpOf(name), path: name },
  );
  element.classList.add("whole");
  return {
    name,
    element,
    read: () => {
      const chosen = boxes.filter(([, box]) => box.checked).map(([key]) => key);
      return chosen.length === options.length && value === undefined ? undefined : chosen;
    },
  };
}

/** Rows of two texts. */
function pairRows(pairs, { first, second, add, secret = false }) {
  const rows = h("div.stack");
  const addRow = (left = "", right = "") => {
    const stored = right === true;
    const row = h(
      "div.pair-row",
      {},
      h("input", {
        type: "text",
        value: left,
        "aria-label": first,
        placeholder: first,
        spellcheck: "false",
        autocomplete: "off",
        class: "mono",
        name: "pair",
      }),
      h("span.arrow.faint", { "aria-hidden": "true" }, secret ? ":" : "→"),
      h("input", {
        type: "text",
        value: stored ? "" : right,
        "aria-label": second,
        placeholder: stored ? t("editor.stored") : second,
        spellcheck: "false",
        autocomplete: "off",
        class: "mono",
        name: "pair",
      }),
      button(
        "",
        () => {
          row.remove();
          rows.dispatchEvent(new Event("input", { bubbles: true }));
        },
        { kind: "quiet", iconName: "close", title: t("editor.remove-row") },
      ),
    );
    row.storedRight = stored;
    rows.append(row);
    return row;
  };
  pairs.forEach(([left, right]) => addRow(left, right));
  const more = button(add, () => addRow().querySelector("input").focus(), { kind: "small" });
  const read = () =>
    [...rows.children]
      .map((row) => {
        const [left, right] = row.querySelectorAll("input");
        return [left.value.trim(), right.value === "" && row.storedRight ? true : right.value.trim()];
      })
      .filter(([left]) => left);
  return { element: h("div.stack", {}, rows, h("div", {}, more)), read };
}

function modelsField(value) {
  const kind = value === undefined || !Object.keys(value).length ? "all" : Array.isArray(value) ? "list" : "map";
  const names = h(
    "textarea.mono",
    {
      name: "models",
      rows: "4",
      spellcheck: "false",
      "aria-label": t("models.list"),
      placeholder: "claude-sonnet-4-5-*\ngpt-4o",
    },
    kind === "list" ? value.join("\n") : "",
  );
  const pairs = pairRows(kind === "map" ? Object.entries(value) : [["", ""]], {
    first: t("models.requested"),
    second: t("models.upstream"),
    add: t("models.add"),
  });
  const choose = select(
    ["all", "list", "map"].map((name) => [name, t(`models.${name}-long`)]),
    kind,
    () => adapt(),
    { "aria-label": t("field.models") },
  );
  const adapt = () => {
    names.hidden = choose.value !== "list";
    pairs.element.hidden = choose.value !== "map";
  };
  adapt();
  const element = group(t("field.models"), h("div.stack", {}, choose, names, pairs.element), {
    help: t("help.models"),
    path: "models",
  });
  element.classList.add("whole");
  const lists = {
    all: () => (value === undefined ? undefined : {}),
    list: () =>
      names.value
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean),
    map: () => Object.fromEntries(pairs.read()),
  };
  return { name: "models", element, read: () => lists[choose.value]() };
}

function headersField(value) {
  const pairs = pairRows(Object.entries(value ?? {}), {
    first: t("headers.name"),
    second: t("headers.value"),
    add: t("headers.add"),
    secret: true,
  });
  const element = group(t("field.headers"), pairs.element, { help: t("help.headers"), path: "headers" });
  element.classList.add("whole");
  return {
    name: "headers",
    element,
    read: () => {
      const read = Object.fromEntries(pairs.read());
      return value === undefined && !Object.keys(read).length ? undefined : read;
    },
  };
}

function numbersField(name, value, parts) {
  const inputs = parts.map((part) => [
    part,
    h("input", { type: "number", min: "0", step: "any", name, value: value?.[part] ?? "" }),
  ]);
  const element = group(
    t(`field.${name}`),
    h(
      "div.fields",
      {},
      inputs.map(([part, input]) => field(t(`field.${name}.${part}`), input, { path: `${name}.${part}` })),
    ),
    { help: helpOf(name), path: name },
  );
  element.classList.add("whole");
  return {
    name,
    element,
    /** Shows the values in effect where no value is entered. */
    expect: (values) => inputs.forEach(([part, input]) => (input.placeholder = values[part] ?? "")),
    read: () => {
      const read = Object.fromEntries(
        inputs.filter(([, input]) => input.value !== "").map(([part, input]) => [part, Number(input.value)]),
      );
      return value === undefined && !Object.keys(read).length ? undefined : read;
    },
  };
}

function activationField(value) {
  const at = h("input", { type: "text", name: "activation", value: value?.at ?? "", placeholder: "08:00" });
  const advance = h("input", {
    type: "number",
    name: "activation",
    min: "0",
    max: "1439",
    value: value?.advance_minutes ?? "",
    placeholder: "0",
  });
  const element = group(
    t("field.activation"),
    h(
      "div.fields",
      {},
      field(t("field.activation.at"), at, { path: "activation.at" }),
      field(t("field.activation.advance_minutes"), advance, { path: "activation.advance_minutes" }),
    ),
    { help: t("help.activation"), path: "activation" },
  );
  element.classList.add("whole");
  return {
    name: "activation",
    element,
    read: () =>
      at.value.trim()
        ? { at: at.value.trim(), ...(advance.value === "" ? {} : { advance_minutes: Number(advance.value) }) }
        : undefined,
  };
}

function jsonField(name, value) {
  const input = h(
    "textarea.mono",
    { name, rows: "3", spellcheck: "false", placeholder: '{"images": false}' },
    value ? JSON.stringify(value, null, 2) : "",
  );
  const element = field(t(`field.${name}`), input, { help: helpOf(name), path: name });
  element.classList.add("whole");
  return {
    name,
    element,
    read: () => {
      if (!input.value.trim()) return undefined;
      try {
        return JSON.parse(input.value);
      } catch {
        return input.value;
      }
    },
  };
}

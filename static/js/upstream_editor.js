// The form of one upstream: checked by the daemon during input, saved field by field.
import { post, problemOf } from "./api.js";
import { config, save } from "./config.js";
import { all, append, debounced, h, replace } from "./dom.js";
import { said, t, translated } from "./i18n.js";
import { keyFields } from "./key_field.js";
import { modelNames } from "./model_names.js";
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
import { controlOf, vendorChoice } from "./upstream_start.js";
import { testUpstream } from "./upstream_test.js";

const CHECK_MILLISECONDS = 250;
const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const CLIENTS = ["messages", "chat", "responses"];
/** @param {unknown} one @param {unknown} other */
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/**
 * Opens the form for an entry, or for a new one (null). Resolves with the saved name and protocol, or undefined.
 * @param {Entry | null} original
 * @returns {Promise<UpstreamSummary | undefined>}
 */
export function editUpstream(original) {
  const known = config();
  if (!known) throw new Error("the settings are not loaded yet");
  /** @type {Partial<Entry>} */
  const entry = original ?? { protocol: "messages" };
  let { revision } = known;
  const moveKey = async () => {
    const answer = await save("/api/upstreams/move-key", { name: entry.name, revision });
    revision = answer.revision;
    note(t("editor.key-moved", { name: answer.key.name }), { kind: "good" });
    return answer.key;
  };
  const fetchNames = () => post("/api/upstreams/models", { name: original?.name, entry: draft() });
  const fields = allFields(entry, known, original && known.keyring ? moveKey : null, fetchNames);
  const vendor = original ? null : vendorChoice(known.vendors);
  const before = fields.map(({ read }) => read());
  const changes = () =>
    Object.fromEntries(
      fields
        .map((one, index) => [one.name, one.read(), before[index]])
        .filter(([, now, then]) => !same(now, then))
        .map(([name, now]) => [name, now ?? null]),
    );
  /** @returns {Record<string, unknown>} */
  const whole = () =>
    Object.fromEntries(fields.map((one) => [one.name, one.read()]).filter(([, value]) => value !== undefined));
  /** For a test, which needs no name yet. */
  const draft = () => ({ ...whole(), name: whole().name || t("editor.title-new") });
  const summary = () => {
    const { name = "", protocol, models } = /** @type {Partial<Entry>} */ (whole());
    return { name, protocol, models };
  };
  let finished = false;
  /** @param {BeforeUnloadEvent} event */
  const guard = (event) => !finished && Object.keys(changes()).length && event.preventDefault();
  window.addEventListener("beforeunload", guard);

  return dialog(
    original ? t("editor.title", { name: original.name }) : t("editor.title-new"),
    (/** @type {Close<UpstreamSummary>} */ close, dismiss) => {
      const rest = h("div.stack.bad", { role: "alert" });
      // apart from `rest`, so that no later check takes away why a save was refused
      const refusal = h("div.stack.bad", { role: "alert" });
      const url = h("div.help.wrap", { "aria-live": "polite" });
      /** @type {HTMLFormElement} */
      const form = h("form.stack.loose", {
        novalidate: true,
        oninput: () => check(),
        onchange: () => check(),
        onsubmit: (event) => (event.preventDefault(), busy(saving, submit)),
      });
      let checks = 0;
      const check = debounced(async () => {
        const own = ++checks;
        try {
          const answer = await post("/api/upstreams/check", { name: original?.name, entry: whole() });
          if (own !== checks || !form.isConnected) return;
          const touched = answer.faults.filter(
            (/** @type {Fault} */ fault) =>
              original || form.classList.contains("tried") || wasTouched(form, fault.path),
          );
          replace(
            rest,
            showFieldErrors(form, touched).map((fault) => h("p.wrap", {}, faultLine(fault))),
          );
          const { official } = answer;
          replace(
            url,
            answer.url ? h("span", {}, t("editor.final-url", { url: answer.url })) : null,
            official
              ? h("p", {}, t("editor.official", { host: official.host, families: official.families.join(", ") }))
              : null,
            answer.warnings.map((/** @type {string} */ warning) => h("p", {}, said(warning))),
          );
          fields.find((one) => one.name === "timeouts")?.expect?.(answer.timeouts ?? {});
        } catch (error) {
          if (own === checks) replace(rest, h("p", {}, messageOf(error)));
        }
      }, CHECK_MILLISECONDS);
      const submit = async () => {
        form.classList.add("tried");
        replace(refusal);
        const changed = changes();
        if (original && !Object.keys(changed).length) {
          finished = true;
          return close(undefined);
        }
        try {
          if (original) await save("/api/upstreams/update", { name: original.name, changes: changed, revision });
          else await save("/api/upstreams/add", { entry: whole(), revision: config()?.revision });
        } catch (error) {
          const { faults } = problemOf(error);
          const others = showFieldErrors(form, faults).map((fault) => h("p.wrap", {}, faultLine(fault)));
          replace(rest, others);
          if (!faults.length) replace(refusal, h("p.wrap", {}, messageOf(error)));
          const first = all(form, "[aria-invalid=true]")[0];
          first?.closest("details")?.setAttribute("open", "");
          first?.focus();
          return;
        }
        finished = true;
        close(summary());
        if (original) note(t("saved"), { kind: "good" });
      };
      /** @type {HTMLButtonElement} */
      const saving = h(
        "button.primary",
        { type: "submit", onclick: (event) => (event.preventDefault(), busy(saving, submit)) },
        t("save"),
      );
      const test = button(t("editor.test"), () =>
        testUpstream({
          ...summary(),
          name: original?.name,
          entry: draft(),
          findProtocol: !original,
          useUrl: (better, protocol) => {
            controlOf(form, "base_url").value = better;
            if (protocol) controlOf(form, "protocol").value = protocol;
            check();
          },
        }),
      );
      form.addEventListener("focusout", ({ target }) => {
        if (isControl(target) && target.name) target.dataset.touched = "1";
      });
      layout(form, fields, url, entry, vendor?.element);
      vendor?.watch(form);
      form.append(rest, refusal);
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

/**
 * A new form shows no errors for fields that are still empty.
 * @param {HTMLElement} form
 * @param {string} path
 */
function wasTouched(form, path) {
  const [name = ""] = path.split(/[.[]/);
  const control = form.querySelector(`[name="${CSS.escape(name)}"]`);
  return !isControl(control) || control.dataset.touched || control.value !== "";
}

/**
 * @param {unknown} element
 * @returns {element is Control}
 */
const isControl = (element) =>
  element instanceof HTMLInputElement || element instanceof HTMLSelectElement || element instanceof HTMLTextAreaElement;

const ADVANCED = {
  schedule: ["weekdays", "hours", "activation"],
  traffic: [
    "clients",
    "max_concurrency",
    "requests_per_minute",
    "context_window",
    "price_multiplier",
    "budget",
    "leave_at_percent",
    "balance",
  ],
  connection: [
    "auth",
    "api_version",
    "headers",
    "user_agent",
    "proxy",
    "tls",
    "timeouts",
    "server",
    "local",
    "capabilities",
  ],
  calls: ["trust", "on_suspicion"],
};
const START = ["key", "vendor", "base_url", "name"];
const BASIC = ["name", "base_url", "protocol", "key", "role", "priority", "weight", "models", "model", "note"];

/**
 * @param {HTMLFormElement} form
 * @param {FormField[]} fields
 * @param {HTMLElement} url
 * @param {Partial<Entry>} entry
 * @param {HTMLElement} [vendor] of a new entry, whose key comes first
 */
function layout(form, fields, url, entry, vendor) {
  const elements = new Map(fields.map((one) => [one.name, one.element]));
  if (vendor) elements.set("vendor", vendor);
  const order = vendor ? [...START, ...BASIC.filter((name) => !START.includes(name))] : BASIC;
  elements.get("base_url")?.append(url);
  append(
    form,
    h(
      "div.fields",
      {},
      order.map((name) => elements.get(name)),
    ),
  );
  for (const [section, names] of Object.entries(ADVANCED)) {
    const used = names.some(
      (name) => entry[name] !== undefined && !(name === "clients" && entry.clients?.length === 3),
    );
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

// --- fields ---

/**
 * @typedef {{ wide?: boolean, mono?: boolean, placeholder?: string, required?: boolean }} TextOptions
 * @typedef {{ min?: number, max?: number, step?: number | "any" }} NumberOptions
 * @typedef {{ label: string, help: string }} Words
 */

/**
 * @param {Partial<Entry>} entry
 * @param {Config} known
 * @param {(() => Promise<StoredKey>) | null} moveKey
 * @param {() => Promise<FoundModels>} fetchNames
 * @returns {FormField[]}
 */
function allFields(entry, known, moveKey, fetchNames) {
  const defaults = known.defaults.upstream;
  /** @param {string} name */
  const word = (name) => t(`field.${name}`);
  /** @param {string} name @param {TextOptions} [options] */
  const text = (name, options = {}) =>
    textField(name, entry[name], { label: word(name), help: helpOf(name), ...options });
  /** @param {string} name @param {NumberOptions} [options] */
  const number = (name, options = {}) =>
    numberField(name, entry[name], { label: word(name), help: helpOf(name), fallback: defaults[name], ...options });
  /** @param {string} name @param {Choices} options */
  const choice = (name, options) =>
    choiceField(name, entry[name], { label: word(name), help: helpOf(name), fallback: defaults[name], options });
  /** @type {FormField[]} */
  const fields = [
    text("name", { required: true, wide: true }),
    text("base_url", { required: true, wide: true, mono: true, placeholder: "https://api.example.com" }),
    {
      ...choice(
        "protocol",
        CLIENTS.map((name) => [name, t(`protocol-long.${name}`)]),
      ),
      required: true,
    },
    ...keyFields(entry.key, entry.keys, moveKey, entry.name === undefined),
    choice(
      "role",
      ["primary", "backup", "rescue"].map((role) => [role, t(`role-long.${role}`)]),
    ),
    number("priority", { min: 1, max: 100 }),
    number("weight", { min: 1, max: 100 }),
    modelsField(entry.models, fetchNames),
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
    number("leave_at_percent", { min: 0, max: 100 }),
    switchField(
      choice(
        "balance",
        ["false", "true"].map((value) => [value, t(`balance.${value}`)]),
      ),
    ),
    choice(
      "trust",
      ["normal", "low"].map((trust) => [trust, t(`trust.${trust}`)]),
    ),
    choice(
      "on_suspicion",
      ["mark", "hold"].map((action) => [action, t(`on-suspicion.${action}`)]),
    ),
    choice(
      "auth",
      ["auto", "bearer", "x-api-key", "api-key"].map((auth) => [auth, t(`auth.${auth}`)]),
    ),
    text("api_version"),
    headersField(entry.headers),
    text("user_agent"),
    text("proxy", { mono: true, placeholder: "socks5://127.0.0.1:1080" }),
    jsonField("tls", entry.tls, '{"ca": "~/company-ca.pem"}'),
    numbersField("timeouts", entry.timeouts, ["connect", "first_byte", "idle"]),
    choice(
      "server",
      known.servers.map((name) => [name, name === "auto" ? t("server.auto") : name]),
    ),
    localField(
      choice(
        "local",
        ["auto", "true", "false"].map((value) => [value, t(`local.${value}`)]),
      ),
    ),
    jsonField("capabilities", entry.capabilities, '{"images": false}'),
  ];
  return fields.map((one) =>
    one.required ? one : { ...one, read: unlessDefault(one.read, entry[one.name], defaults[one.name]) },
  );
}

/**
 * A value that equals the default is left out of the file, unless it was there before.
 * @param {() => unknown} read
 * @param {unknown} stored
 * @param {unknown} fallback
 */
const unlessDefault = (read, stored, fallback) => () => {
  const value = read();
  return stored === undefined && same(value, fallback) ? undefined : value;
};

/** @param {string} name */
const helpOf = (name) => translated(`help.${name}`);

/**
 * @param {string} name
 * @param {unknown} value
 * @param {Words & TextOptions} options
 * @returns {FormField}
 */
function textField(name, value, { label, help, wide = false, mono = false, placeholder = "", required = false }) {
  const input = h("input", {
    type: "text",
    name,
    value: String(value ?? ""),
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

/**
 * @param {string} name
 * @param {unknown} value
 * @param {Words & NumberOptions & { fallback: unknown }} options
 * @returns {FormField}
 */
function numberField(name, value, { label, help, fallback, min, max, step = 1 }) {
  const input = h("input", {
    type: "number",
    name,
    min,
    max,
    step,
    value: String(value ?? ""),
    placeholder: String(fallback ?? ""),
  });
  return {
    name,
    element: field(label, input, { help, path: name }),
    read: () => (input.value === "" ? undefined : Number(input.value)),
  };
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {Words & { fallback: unknown, options: Choices }} options
 * @returns {FormField}
 */
function choiceField(name, value, { label, help, fallback, options }) {
  const input = select(options, String(value ?? fallback), null, { name });
  return { name, element: field(label, input, { help, path: name }), read: () => input.value };
}

/**
 * @param {FormField} chosen
 * @returns {FormField}
 */
const switchField = (chosen) => ({ ...chosen, read: () => chosen.read() === "true" });

/**
 * `true` and `false` are no texts in the file.
 * @param {FormField} chosen
 * @returns {FormField}
 */
function localField(chosen) {
  const read = () => {
    const value = chosen.read();
    return value === "auto" ? value : value === "true";
  };
  return { ...chosen, read };
}

/**
 * @param {string} name
 * @param {string[] | undefined} value
 * @param {Choices} options
 * @returns {FormField}
 */
function checksField(name, value, options) {
  const boxes = options.map(([key, label]) => ({
    key,
    box: h("input", { type: "checkbox", name, checked: value === undefined || value.includes(key) }),
    label,
  }));
  const element = group(
    t(`field.${name}`),
    h(
      "div.checks",
      {},
      boxes.map(({ box, label }) => h("label.check", {}, box, label)),
    ),
    { help: helpOf(name), path: name },
  );
  element.classList.add("whole");
  return {
    name,
    element,
    read: () => {
      const chosen = boxes.filter(({ box }) => box.checked).map(({ key }) => key);
      return chosen.length === options.length && value === undefined ? undefined : chosen;
    },
  };
}

/**
 * Rows of two texts.
 * @param {[string, string | true][]} pairs
 * @param {{ first: string, second: string, add: string, secret?: boolean, list?: string }} options
 */
function pairRows(pairs, { first, second, add, secret = false, list = "" }) {
  const rows = h("div.stack");
  /** @type {WeakMap<Element, () => [string, string | true]>} */
  const readers = new WeakMap();
  /** @param {string} [left] @param {string | true} [right] true: a stored value that is not shown */
  const addRow = (left = "", right = "") => {
    const isStored = right === true;
    const name = pairInput(left, first, first);
    const value = pairInput(isStored ? "" : right, second, isStored ? t("editor.stored") : second);
    if (list) value.setAttribute("list", list);
    /** @type {HTMLElement} */
    const row = h(
      "div.pair-row",
      {},
      name,
      h("span.arrow.faint", { "aria-hidden": "true" }, secret ? ":" : "→"),
      value,
      button(
        "",
        () => {
          row.remove();
          rows.dispatchEvent(new Event("input", { bubbles: true }));
        },
        { kind: "quiet", iconName: "close", title: t("editor.remove-row") },
      ),
    );
    readers.set(row, () => [name.value.trim(), value.value === "" && isStored ? true : value.value.trim()]);
    rows.append(row);
    return name;
  };
  pairs.forEach(([left, right]) => addRow(left, right));
  const more = button(add, () => addRow().focus(), { kind: "small" });
  const read = () => [...rows.children].map((row) => readers.get(row)?.() ?? ["", ""]).filter(([left]) => left);
  /** @param {[string, string][]} wanted */
  const set = (wanted) => {
    rows.replaceChildren();
    wanted.forEach(([left, right]) => addRow(left, right));
  };
  return { element: h("div.stack", {}, rows, h("div", {}, more)), read, set };
}

/**
 * @param {string} value
 * @param {string} label
 * @param {string} placeholder
 */
const pairInput = (value, label, placeholder) =>
  h("input.mono", {
    type: "text",
    value,
    "aria-label": label,
    placeholder,
    spellcheck: "false",
    autocomplete: "off",
    name: "pair",
  });

/**
 * @param {Models | undefined} value
 * @param {() => Promise<FoundModels>} fetchNames
 * @returns {FormField}
 */
function modelsField(value, fetchNames) {
  const isList = Array.isArray(value);
  const kind = !value || !Object.keys(value).length ? "all" : isList ? "list" : "map";
  const names = h(
    "textarea.mono",
    {
      name: "models",
      rows: "4",
      spellcheck: "false",
      "aria-label": t("models.list"),
      placeholder: "claude-sonnet-4-5-*\ngpt-4o",
    },
    isList ? value.join("\n") : "",
  );
  /** @param {string} wanted @param {() => void} fill */
  const choosing = (wanted, fill) => {
    choose.value = wanted;
    fill();
    adapt();
    element.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const found = modelNames(fetchNames, {
    map: (wanted) => choosing("map", () => pairs.set(wanted)),
    list: (wanted) => choosing("list", () => (names.value = wanted.join("\n"))),
  });
  const pairs = pairRows(value && kind === "map" ? Object.entries(value) : [["", ""]], {
    first: t("models.requested"),
    second: t("models.upstream"),
    add: t("models.add"),
    list: found.listId,
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
  const element = group(t("field.models"), h("div.stack", {}, choose, names, pairs.element, found.element), {
    help: t("help.models"),
    path: "models",
  });
  element.classList.add("whole");
  /** @type {Record<string, () => unknown>} */
  const lists = {
    all: () => (value === undefined ? undefined : {}),
    list: () =>
      names.value
        .split("\n")
        .map((line) => line.trim())
        .filter(Boolean),
    map: () => Object.fromEntries(pairs.read()),
  };
  return { name: "models", element, read: () => lists[choose.value]?.() };
}

/**
 * @param {Record<string, true> | undefined} value
 * @returns {FormField}
 */
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

/**
 * @param {string} name
 * @param {Numbers | undefined} value
 * @param {string[]} parts
 * @returns {FormField}
 */
function numbersField(name, value, parts) {
  const inputs = parts.map((part) => ({
    part,
    input: h("input", { type: "number", min: "0", step: "any", name, value: value?.[part] ?? "" }),
  }));
  const element = group(
    t(`field.${name}`),
    h(
      "div.fields",
      {},
      inputs.map(({ part, input }) => field(t(`field.${name}.${part}`), input, { path: `${name}.${part}` })),
    ),
    { help: helpOf(name), path: name },
  );
  element.classList.add("whole");
  return {
    name,
    element,
    /** Shows the values in effect where no value is entered. */
    expect: (values) => inputs.forEach(({ part, input }) => (input.placeholder = String(values[part] ?? ""))),
    read: () => {
      const read = Object.fromEntries(
        inputs.filter(({ input }) => input.value !== "").map(({ part, input }) => [part, Number(input.value)]),
      );
      return value === undefined && !Object.keys(read).length ? undefined : read;
    },
  };
}

/**
 * @param {Entry["activation"]} value
 * @returns {FormField}
 */
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

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string} placeholder
 * @returns {FormField}
 */
function jsonField(name, value, placeholder) {
  const input = h(
    "textarea.mono",
    { name, rows: "3", spellcheck: "false", placeholder },
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

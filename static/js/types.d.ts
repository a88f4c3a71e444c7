// The types of the dashboard: first what the API returns (docs/api.md), then what the modules hand to each other.

type ProtocolName = "messages" | "chat" | "responses";
/** Seconds since 1970. */
type Time = number;

// --- GET /api/state ---

interface Fault {
  path: string;
  expected: string;
  found: string;
  line: number | null;
  column: number | null;
  message: string;
}

interface FileState {
  path: string;
  legacy: boolean;
  faults: Fault[];
  warnings: string[];
}

interface Candidate {
  upstream: string;
  key: string;
  model: string;
  protocol: ProtocolName;
  role: string;
  why: string;
  used: boolean;
  unlikely: string;
  body: string;
  first_byte: number;
}

interface Skip {
  upstream: string;
  reason: string;
  text: string;
  until: Time | null;
}

interface HeldTarget {
  upstream: string;
  model: string;
  requests: number;
  next_try: Time | null;
}

interface Route {
  client: ProtocolName;
  model: string;
  at: Time | null;
  candidates: Candidate[];
  rescues: Candidate[];
  skipped: Skip[];
  last_resort: boolean;
  rule: string;
  held_for: { upstream: string; model: string; not_before: Time | null }[];
  held: HeldTarget[];
}

type Routes = Record<ProtocolName, Route>;

/** What answers first now because you chose it, for each client that has one. */
type Uses = Partial<Record<ProtocolName, { upstream: string; until: Time | null }>>;

interface Cooldown {
  errors: number;
  until: Time | null;
  reason: string;
}

/** A window of a quota: the used share from 0 to 1, and when it is used up at the pace of the last hour. */
interface Quota {
  window: string;
  used: number;
  resets_at: Time;
  full_at: Time | null;
}

interface AccountState extends Cooldown {
  state: string;
  quotas: Quota[];
  models: (Cooldown & { model: string })[];
  under_way: number;
}

/** The remaining credit that the service reports for a key. */
interface Balance {
  key: string;
  amount: number | null;
  currency: string | null;
  at: Time;
  fault: string;
}

interface UpstreamState extends AccountState {
  balances: Balance[];
  name: string;
  protocol: ProtocolName;
  role: string;
  enabled: boolean;
  demo: boolean;
  accounts: (AccountState & { name: string; key: string })[];
  missing: string[];
  simulation: { mode: string; until: Time } | null;
  activation: { at: string; next: Time | null; last: Time | null; ok: boolean; detail: string | null } | null;
}

/** Why a tool call is suspicious; `about` is the address or the file. */
interface CallReason {
  code: string;
  about: string;
}

interface WaitingCall {
  id: string;
  request: string;
  protocol: ProtocolName;
  client: string;
  agent: string;
  model: string;
  session: string;
  upstream: string;
  tool: string;
  arguments: string;
  reasons: CallReason[];
  since: Time;
  until: Time;
}

interface MarkedCall {
  tool: string;
  upstream: string;
  action: string;
  unknown: boolean;
  reasons: CallReason[];
}

interface HeldRequest {
  id: string;
  protocol: ProtocolName;
  client: string;
  agent: string;
  model: string;
  session: string;
  since: Time;
  until: Time;
  next_try: Time | null;
  queued: boolean;
  upstreams: { upstream: string; model: string; reason: string; tries: number }[];
}

/** The counts that docs/statistics.md defines. */
interface Counts {
  requests: number;
  errors: number;
  cancelled: number;
  truncated: number;
  held: number;
  estimated: number;
  priced: number;
  unpriced: number;
  local: number;
  tests: number;
  failed_tests: number;
  activations: number;
  failed_activations: number;
  replays: number;
  failed_replays: number;
}

interface Today extends TokenCell {
  day: string;
  requests: number;
  input: number;
  cache_read: number;
  cache_write: number;
  output: number;
  reasoning: number;
}

interface State {
  version: string;
  boot: string;
  started_at: Time;
  now: Time;
  revision: string;
  capture: CaptureState;
  urls: Record<ProtocolName, string>;
  file: FileState;
  problems: string[];
  notices: string[];
  routes: Routes;
  uses: Uses;
  upstreams: UpstreamState[];
  held: HeldRequest[];
  waiting_calls: WaitingCall[];
  running: RequestRow[];
  today: Today;
}

// --- GET /api/configs ---

interface StoredKey {
  kind: "none" | "literal" | "env" | "keyring" | "client";
  name?: string;
}

/** A list of names, or upstream models by requested model. */
type Models = string[] | Record<string, string>;

type Timeouts = { connect?: number; first_byte?: number; idle?: number };

/** An entry of the file: only fields that are set. */
interface Entry {
  name: string;
  url: string;
  base_url: string;
  protocol?: ProtocolName;
  key?: StoredKey;
  keys?: StoredKey[];
  role?: string;
  priority?: number;
  models?: Models;
  model?: string;
  note?: string;
  enabled?: boolean;
  weekdays?: string[];
  hours?: string;
  activation?: { at?: string; advance_minutes?: number };
  clients?: string[];
  budget?: Record<string, number>;
  headers?: Record<string, true>;
  timeouts?: Timeouts;
  capabilities?: object;
  [field: string]: unknown;
}

interface ModelRule {
  from?: string;
  to?: string;
  clients?: string[];
  [field: string]: unknown;
}

interface TextRule {
  match?: string;
  action?: string;
  [field: string]: unknown;
}

/** What a request must be like for a rule: only what is set. */
interface Condition {
  client?: string | string[];
  protocol?: string | string[];
  model?: string | string[];
  subagent?: boolean;
  background?: boolean;
  compaction?: boolean;
  thinking?: boolean;
  effort?: string | string[];
  web_search?: boolean;
  images?: boolean;
  tokens_over?: number;
  tokens_under?: number;
  project?: string | string[];
  client_key?: string | string[];
  weekdays?: string[];
  hours?: string;
  [field: string]: unknown;
}

interface RouteRule {
  name?: string;
  when?: Condition;
  upstreams?: string[];
  only?: boolean;
  model?: string;
  effort?: string;
  max_tokens?: number;
  [field: string]: unknown;
}

type Price = Record<string, number>;

/** Numbers by name; a name without one is not set. */
type Numbers = Record<string, number | undefined>;

interface FailoverSettings {
  on_status?: Record<string, string>;
  on_error?: Record<string, string>;
  on_text?: TextRule[];
  [field: string]: unknown;
}

interface NotifySettings {
  url?: string;
  command?: string[];
  on?: string[];
}

interface Defaults {
  notify: NotifySettings;
  upstream: Record<string, unknown>;
  failover: FailoverSettings & { on_status: Record<string, string>; on_error: Record<string, string> };
  timeouts: Numbers;
  budget: Numbers;
}

interface Config {
  revision: string;
  legacy: boolean;
  upstreams: Entry[];
  model_rules?: ModelRule[];
  routes?: RouteRule[];
  failover?: FailoverSettings;
  timeouts?: Numbers;
  client_keys: { id: string; label: string }[];
  prices?: Record<string, Price>;
  budget?: Numbers;
  notify?: NotifySettings;
  allowed_hosts?: string[];
  allowed_origins?: string[];
  max_body_megabytes?: number;
  warm_connections?: boolean;
  keyring: boolean;
  /** the values of `server` */
  servers: string[];
  vendors: Vendor[];
  /** the values of `effort` */
  efforts: string[];
  defaults: Defaults;
}

// --- GET /api/requests, GET /api/requests/{id} ---

interface Usage {
  input: number;
  cache_read: number;
  cache_write_5m: number;
  cache_write_1h: number;
  output: number;
  reasoning: number;
  estimated: boolean;
  tier: string;
  searches: number;
}

type Outcome = "running" | "ok" | "failed" | "truncated" | "cancelled";

interface RequestRow {
  id: string;
  at: Time;
  kind: string;
  client: string;
  agent: string;
  session: string;
  thread: string;
  project: string;
  rule: string;
  protocol: ProtocolName;
  stream: boolean;
  model: string;
  upstream: string;
  key: string;
  sent: string;
  outcome: Outcome;
  status: number | null;
  attempts: number;
  first_byte: number | null;
  duration: number | null;
  held: number;
  is_held: boolean;
  usage: Usage | null;
  cost: number | null;
  local: boolean;
  losses: number;
  marked_calls: number;
  error: string | null;
}

interface JournalRow extends RequestRow {
  place: string;
}

interface JournalPage {
  requests: JournalRow[];
  next: string | null;
  reached: Time | null;
}

// --- GET /api/conversations, GET /api/upstream-numbers ---

interface CellNumbers {
  requests: number;
  errors: number;
  ok: number;
  failed_attempts: number;
  success: number | null;
  first_token_p50_ms: number | null;
  first_token_p95_ms: number | null;
  tokens_per_second: number | null;
  input: number;
  cache_read: number;
  cache_write: number;
  output: number;
  cache_share: number | null;
  seconds: number;
  cost: number | null;
  unpriced: number;
  local: number;
}

interface TalkSums extends CellNumbers {
  began: Time;
  ended: Time;
  project: string;
  agent: string;
  model: string;
  by_upstream: Record<string, number>;
}

interface Conversation extends TalkSums {
  session: string;
}

interface ProjectSums extends TalkSums {
  conversations: number;
}

interface Conversations {
  conversations: Conversation[];
  projects: ProjectSums[];
  count: number;
  project_count: number;
}

type BudgetUse = Partial<Record<"day" | "month", { spent: number; soft: number; hard: number }>>;

interface UpstreamNumbers {
  name: string;
  hours: CellNumbers;
  days: CellNumbers;
  cost_by_day: Record<string, number>;
  budget: BudgetUse | null;
}

interface AllNumbers {
  budget: BudgetUse | null;
  upstreams: UpstreamNumbers[];
}

interface Attempt {
  upstream: string;
  key: string;
  model: string;
  protocol: ProtocolName;
  url: string;
  why: string;
  body: string;
  started: number;
  status: number | null;
  first_byte: number | null;
  ended: number | null;
  failure: { kind: string; message: string } | null;
  verdict: string;
}

interface RequestDetail {
  row: RequestRow;
  attempts: Attempt[];
  skipped: { upstream: string; text: string }[];
  losses: { field: string; why: string }[];
  marked_calls: MarkedCall[];
  error: { type: string; status: number; message: string } | null;
  price: { multiplier: number; source: string; tier: string; fees: number } | null;
  facts: Facts | null;
  answered: Answered | null;
  captured: { request: boolean; sent: number } | null;
}

/** What rules may name of a request. */
interface Facts {
  program: string;
  client_key: string;
  subagent: boolean;
  background: boolean;
  compaction: boolean;
  thinking: boolean;
  effort: string;
  web_search: boolean;
  images: boolean;
  tokens: number;
}

/** What was found of one upstream and model. */
interface Finding {
  kind: "model" | "tokens" | "cache" | "speed";
  level: "confirmed" | "stated";
  text: string;
  values: Record<string, string | number | null>;
  examples: string[];
}

interface UpstreamReport {
  upstream: string;
  model: string;
  findings: Finding[];
  changes: PromptChange[];
}

/** A request whose client had changed the prompt before its end, so that less of it could be read from the cache. */
interface PromptChange {
  id: string;
  at: Time;
  changed_in: string;
  changed_at: number;
  tokens: number;
  cost: number | null;
}

interface Answered {
  model: string;
  fingerprint: string;
  input_reported: number | null;
  input_estimated: number;
  cache_share: number | null;
  input_before: number | null;
  cache_expected: number | null;
  changed_in: string;
  changed_at: number | null;
  added_estimated: number[] | null;
  first_token: number | null;
  tokens_per_second: number | null;
}

/** What is captured; `requests` are ids, the oldest first. */
interface CaptureState {
  mode: "off" | "next" | "errors" | "all";
  requests: string[];
}

// --- GET /api/requests/{id}/capture ---

type Change = "same" | "changed" | "renamed" | "joined" | "dropped" | "added";

/** The beginning of a text of this length. */
interface ShownText {
  text: string;
  length: number;
}

interface CapturedPart extends ShownText {
  role: string;
  kind: string;
  name: string;
  members: (ShownText & { name: string })[];
}

interface ComparedHeader {
  name: string;
  change: Change;
  received: string | null;
  sent: string | null;
}

interface ComparedMember {
  name: string;
  change: Change;
  sent_as: string;
  why: string;
  received: ShownText | null;
  sent: ShownText | null;
}

interface ComparedPart {
  change: Change;
  received: CapturedPart | null;
  sent: CapturedPart | null;
  differs_at: number | null;
  members: ComparedMember[];
}

interface CapturedEvent extends ShownText {
  at: number;
  event: string;
}

interface CapturedAnswer {
  status: number;
  at: number;
  headers: { name: string; value: string }[];
  bytes: number;
  truncated: boolean;
  stream: boolean;
  parts: CapturedPart[];
  error: string;
  stop: string;
  events: CapturedEvent[];
  left_off: number;
}

interface CapturedAttempt {
  attempt: number | null;
  upstream: string;
  key: string;
  protocol: ProtocolName;
  url: string;
  at: number;
  bytes: number | null;
}

interface Capture {
  sent: CapturedAttempt[];
  number: number;
  protocol: ProtocolName;
  query: string;
  bytes: number | null;
  headers: ComparedHeader[];
  compared: boolean;
  fields: ComparedMember[];
  tools: ComparedPart[];
  messages: ComparedPart[];
  left_off: number;
  losses: { field: string; why: string }[];
  answer: CapturedAnswer | null;
  delivered: CapturedAnswer | null;
  curl: string;
}

// --- the other answers ---

interface RuleMatch {
  id: string;
  at: Time;
  protocol: ProtocolName;
  agent: string;
  model: string;
  upstream: string;
  decided_by: number;
}

interface RuleMatches {
  tried: number;
  matches: RuleMatch[];
}

interface WeekPlan {
  start: string;
  days: string[];
  now: number;
  model: string;
  rows: { upstream: string; spans: { from: number; to: number; place: number }[] }[];
}

interface CountCell extends Partial<Counts> {
  cost?: number | null;
  [measure: string]: any;
}

interface TokenCell extends CountCell {
  requests: number;
}

interface TokenStats {
  summary: Record<string, number>;
  daily: Record<string, TokenCell>;
  hourly: Record<string, TokenCell>;
  by_model: Record<string, TokenCell>;
  by_model_sent: Record<string, TokenCell>;
  by_upstream: Record<string, TokenCell>;
  by_client: Record<string, TokenCell>;
}

interface Version {
  id: string;
  time: Time;
  size: number;
}

interface ImportReport {
  added: string[];
  identical?: string[];
  renamed: { from: string; to: string }[];
  origins?: ImportOrigin[];
  settings?: string[];
  notes: string[];
}

interface ImportOrigin {
  from: string;
  to: string;
  protocol: ProtocolName;
  url: string;
  enabled: boolean;
}

interface ClientOption {
  name: string;
  type: string;
  label: string;
  help: string;
  default: string | boolean | null;
}

interface Vendor {
  id: string;
  title: string;
  urls: string[];
  protocol: ProtocolName;
  server: string;
  needs_key: boolean;
  key_prefix: string;
}

/** POST /api/upstreams/models */
interface FoundModels {
  models: string[];
  suggested: Record<string, string>;
}

interface ClientSetup {
  client: string;
  title: string;
  path: string;
  state: "ours" | "other" | "absent" | "unreadable";
  detail: string;
  undoable: boolean;
  options: ClientOption[];
  /** where its file points without Switchyard, if no upstream has that address */
  endpoint: { base_url: string; protocol: ProtocolName; has_key: boolean } | null;
  snippet: string;
}

interface ConnectionTest {
  ok: boolean;
  url: string;
  working_url: string | null;
  working_protocol: ProtocolName | null;
  answer_form: ProtocolName | null;
  model: string;
  answer: string;
  latency_ms: number;
  steps: { step: string; ok: boolean; ms: number; detail: string }[];
}

// --- the page ---

type Child = Node | string | number | boolean | null | undefined | Child[];

/** An event that a listener set by h() receives. */
type Listener<E extends Event> = (event: E & { currentTarget: HTMLElement; target: HTMLElement }) => unknown;

interface Props {
  class?: string | null;
  dataset?: Record<string, string>;
  value?: string | number | null;
  checked?: boolean;
  onclick?: Listener<MouseEvent> | null;
  onchange?: Listener<Event> | null;
  oninput?: Listener<Event> | null;
  onsubmit?: Listener<SubmitEvent> | null;
  onkeydown?: Listener<KeyboardEvent> | null;
  onfocus?: Listener<FocusEvent> | null;
  onblur?: Listener<FocusEvent> | null;
  onpointerenter?: Listener<PointerEvent> | null;
  onpointerleave?: Listener<PointerEvent> | null;
  ondragstart?: Listener<DragEvent> | null;
  [attribute: string]: unknown;
}

/** The element for a tag such as "button" or "button.quiet.small". */
type ElementOf<Tag extends string> = Tag extends `${infer Name}.${string}` ? ElementNamed<Name> : ElementNamed<Tag>;
type ElementNamed<Name extends string> = Name extends keyof HTMLElementTagNameMap
  ? HTMLElementTagNameMap[Name]
  : HTMLElement;

type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
/** Values with their labels. */
type Choices = (readonly [string, string])[];

interface ButtonOptions {
  kind?: string;
  key?: string | null;
  title?: string | null;
  iconName?: string | null;
  disabled?: boolean;
}

interface Action {
  label: string;
  kind?: string;
  run: () => unknown;
}

type Close<Result> = (value?: Result) => void;

/** What a panel returns: the function that ends it, and what it does before that. */
interface Leave {
  (): void;
  again?: (given: Record<string, string>) => unknown;
  mayLeave?: () => boolean | Promise<boolean>;
}

interface Draft {
  content: Child;
  changes: () => Record<string, unknown> | null;
}

/** A field of a form: its element, and its value as the file would hold it (undefined: not set). */
interface FormField {
  name: string;
  element: HTMLElement;
  read: () => unknown;
  required?: boolean;
  expect?: (values: Record<string, unknown>) => void;
}

interface UpstreamSummary {
  name: string;
  protocol?: string;
  models?: Models;
}

interface Span {
  from: number;
  to: number;
  place: number;
  title: string;
}

/** What begins now in the week of an upstream, until the minute `to`. */
interface Mark {
  kind: string;
  to: number;
  title: string;
}

interface Column {
  label: string;
  title: string;
  values: Record<string, number | null | undefined>;
  /** by click and Enter */
  open?: () => unknown;
}

interface Series {
  key: string;
  label: string;
}

type Formatter = (value: number | null | undefined) => string;

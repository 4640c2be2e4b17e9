// The Test panel beside an operation, and the Test tab: credentials, values, running, and what came of it.
import { focusSoon } from "../lib/page.js";
import { listOf, mappingOf, pointerOf, textOf } from "../lib/pointer.js";
import { exactTime, pretty, spelledBytes, spelledMs, timeAgo } from "../lib/words.js";
import { curlOf } from "./curl.js";
import { explained } from "./explanations.js";
import { sampleOf } from "./runs.js";
import { schemaOf } from "./schemas.js";
import { typedValue } from "./values.js";

const OUTCOMES = { pass: ["Passed", "ok"], fail: ["Failed", "bad"], skip: ["Skipped", "dim"] };
const RUN_STATES = { running: ["Running", "warn"], passed: ["Passed", "ok"], failed: ["Failed", "bad"], cancelled: ["Stopped", "dim"], interrupted: ["Interrupted", "dim"] };
const STEP_KINDS = { connectivity: "Reach the system", authentication: "Sign in to it" };

function bodyText(body) {
  if (!body) return "";
  if (body.text === null || body.text === undefined) return `${spelledBytes(body.size)}, not kept`;
  if (body.encoding === "json" && !body.truncated) {
    try {
      return pretty(JSON.parse(body.text));
    } catch {
      return body.text;
    }
  }
  return body.text;
}

const headerLines = (headers) => listOf(headers).map(([name, value]) => `${name}: ${value}`).join("\n");

export function registerTesting(Alpine, builder, runs) {
  const { state } = runs;
  const parameters = (operation) => listOf(mappingOf(operation).parameters);

  Alpine.data("testValues", () => ({
    get rows() { return parameters(builder.operation); },
    get none() { return !this.rows.length; },
    name(row) { return textOf(mappingOf(row).name); },
    label(row) { return this.name(row) || "unnamed"; },
    isOptional(row) { return !(mappingOf(row).required || mappingOf(row).location === "path"); },
    placeholder(row) { return mappingOf(row).default === undefined ? "" : textOf(mappingOf(row).default); },
    value(row) { return textOf(sampleOf(builder.operation)[this.name(row)]); },
    pointer(row) { return builder.at("sample", this.name(row)); },
    set(row, event) {
      if (!this.name(row)) return;
      builder.write(builder.at("sample", this.name(row)), typedValue(event.target.value, mappingOf(row).type));
    },
  }));

  Alpine.data("testCredentials", () => ({
    values: {},
    editing: false,
    problem: "",
    busy: false,
    init() {
      Alpine.effect(() => ["operations", "test"].includes(builder.state.tab) && this.needed && runs.loadKept());
    },
    get fields() { return Object.entries(mappingOf(builder.read("/credential_schema") ?? builder.page.defaults.credentials[builder.text("/auth_type")])); },
    get needed() { return this.fields.length > 0; },
    get kept() { return state.kept; },
    get shown() { return this.needed && (this.editing || !state.kept); },
    name(entry) { return entry[0]; },
    label(entry) { return mappingOf(entry[1]).label || entry[0]; },
    optional(entry) { return mappingOf(entry[1]).required === false; },
    type(entry) { const field = mappingOf(entry[1]); return field.type === "password" || field.sensitive ? "password" : "text"; },
    help(entry) { return mappingOf(entry[1]).help ?? ""; },
    value(entry) { return this.values[entry[0]] ?? mappingOf(entry[1]).default ?? ""; },
    set(entry, event) { this.values = { ...this.values, [entry[0]]: event.target.value }; },
    get keptWords() {
      const fields = Object.entries(state.kept?.fields ?? {}).map(([name, shown]) => `${name} ${shown}`).join(", ");
      return fields || "Kept";
    },
    get keptUntil() { return state.kept ? `Forgotten ${timeAgo(state.kept.expires_at)}` : ""; },
    get keptExactly() { return exactTime(state.kept?.expires_at); },
    edit() { this.editing = true; },
    async save() {
      this.busy = true;
      this.problem = "";
      const values = Object.fromEntries(this.fields.map((entry) => [entry[0], this.value(entry)]).filter(([, value]) => value !== ""));
      try {
        await runs.keep(values);
        this.values = {};
        this.editing = false;
      } catch (error) {
        const more = error.errors?.map((each) => each.problem ?? each.message).filter(Boolean).join(" ");
        this.problem = `${error.message} ${more ?? ""}`.trim();
      }
      this.busy = false;
    },
    async forget() {
      try {
        await runs.forget();
      } catch (error) {
        this.problem = error.message;
      }
    },
    get saveWords() { return this.busy ? "Sealing" : "Use for tests"; },
  }));

  Alpine.data("testRun", () => ({
    view: "response",
    get running() { return state.running; },
    get runWords() { return state.running ? "Running" : "Run test"; },
    get allWords() { return state.running ? "Running" : "Run all tests"; },
    get operationName() { return textOf(builder.operation.operation); },
    get cannotRun() { return state.running || !builder.operations.length; },
    run() { runs.start([this.operationName]); },
    runAll() { runs.start(null); },
    runNamed(name) { runs.start([name]); },
    stop() { runs.stop(); },
    onKey(event) {
      if ((event.ctrlKey || event.metaKey) && event.key === "Enter" && !this.cannotRun) {
        event.preventDefault();
        this.run();
      }
    },
    get problem() { return state.problem; },
    get problems() { return listOf(state.problems).map((each) => each.message ?? each.problem ?? each.reason).filter(Boolean).slice(0, 8); },
    get steps() { return state.steps; },
    get started() { return state.steps.length > 0; },
    stepName(step) { return step.operation ?? STEP_KINDS[step.kind]; },
    stepTime(step) { return step.duration_ms === null || step.duration_ms === undefined ? "" : spelledMs(step.duration_ms); },
    stepWords(step) {
      if (!step.outcome) return step.seq ? "Running" : "Waits";
      const status = step.status_code ? ` ${step.status_code}` : "";
      return `${OUTCOMES[step.outcome][0]}${status}`;
    },
    stepClass(step) { return `pill ${step.outcome ? OUTCOMES[step.outcome][1] : "dim"}`; },
    stepReason(step) { return step.reason ?? ""; },
    attempts(step) {
      return listOf(step.attempts).length < 2 ? [] : listOf(step.attempts).map((attempt, index) => ({
        key: index,
        words: `Attempt ${index + 1}: ${attempt.status_code ?? attempt.error}, ${spelledMs(attempt.duration_ms)}${attempt.waited_ms ? `, waited ${spelledMs(attempt.waited_ms)} before` : ""}`,
      }));
    },
    parts(step) { return listOf(step.parts); },
    partWords(part) { return `${part.name.toUpperCase()} ${part.outcome === "pass" ? spelledMs(part.duration_ms ?? 0) : (part.reason ?? part.outcome)}`; },
    partClass(part) { return part.outcome === "fail" ? "bad" : "dim"; },
    isOperation(step) { return step.kind === "operation" && !state.running && step.outcome !== "skip"; },
    showStep(step) { runs.showOperation(step.operation); },
    isShown(step) { return state.shown === step.operation && Boolean(step.operation); },
    get fix() { return explained(state.steps.find((step) => step.outcome === "fail") ?? null); },
    goFix() { builder.goTo(this.fix.pointer(builder)); },

    // what one operation sent and got
    get result() { return state.exchange; },
    get hasResult() { return state.exchange !== null; },
    get resultTitle() { return state.exchange?.operation ?? ""; },
    get exchange() { return state.exchange?.exchange ?? null; },
    get hasExchange() { return this.exchange !== null; },
    get summary() {
      const step = state.exchange;
      if (!step) return "";
      const { response } = this.exchange ?? {};
      const attempts = listOf(step.attempts).length;
      return [step.status_code ? `${step.status_code}` : "No response", step.duration_ms ? spelledMs(step.duration_ms) : "",
        response?.body ? spelledBytes(response.body.size) : "", attempts > 1 ? `attempt ${attempts}` : ""].filter(Boolean).join(", ");
    },
    get summaryClass() { return `pill ${state.exchange?.outcome ? OUTCOMES[state.exchange.outcome][1] : "dim"}`; },
    selected(view) { return this.view === view ? "true" : "false"; },
    notView(view) { return this.view !== view; },
    choose(view) { this.view = view; },
    get requestText() {
      const { request } = this.exchange ?? {};
      if (!request) return "No request was sent.";
      const body = bodyText(request.body);
      return `${request.method} ${request.url}\n${headerLines(request.headers)}${body ? `\n\n${body}` : ""}`;
    },
    get responseText() { return this.exchange?.response ? bodyText(this.exchange.response.body) || "No body." : "There was no response."; },
    get responseHeaders() { return this.exchange?.response ? `${this.exchange.response.status_code}\n${headerLines(this.exchange.response.headers)}` : "There was no response."; },
    get curl() { return this.exchange ? curlOf(this.exchange.request) : ""; },
    get schemaWords() {
      const step = state.exchange;
      if (step?.schema_valid === true) return "The response is as the schema says.";
      if (step?.schema_valid === false) return "The response is not as the schema says:";
      return "The response was not checked: there is no schema, or no JSON.";
    },
    get schemaErrors() { return listOf(state.exchange?.schema_errors); },
    copied: "",
    async copy(text) {
      await navigator.clipboard.writeText(text);
      this.copied = "Copied";
      setTimeout(() => { this.copied = ""; }, 2000);
    },
    copyCurl() { this.copy(this.curl); },
    get canUseAsSchema() { return this.exchange?.response?.body?.encoding === "json" && !this.exchange.response.body.truncated; },
    useAsSchema() {
      const index = builder.operations.findIndex((each) => mappingOf(each).operation === state.exchange.operation);
      if (index < 0) return;
      builder.write(pointerOf("operations", index, "response_schema"), schemaOf(JSON.parse(this.exchange.response.body.text)), `schema-${Date.now()}`);
      builder.toast("The response is the schema now.", { undo: true });
    },

    // history
    loadHistory() { runs.loadHistory(); },
    get history() { return state.history; },
    get noHistory() { return state.historyLoaded && !state.history.length; },
    rowWords(row) { return `${row.passed} passed, ${row.failed} failed, ${row.skipped} skipped`; },
    rowState(row) { return RUN_STATES[row.state][0]; },
    rowClass(row) { return `pill ${RUN_STATES[row.state][1]}`; },
    rowTime(row) { return timeAgo(row.started_at); },
    rowExactly(row) { return `${exactTime(row.started_at)}, by ${row.actor}, revision ${row.revision}`; },
    showRun(row) { runs.show(row.run_id, ""); focusSoon("#run-title"); },

    // the list of the Test tab
    get operations() { return builder.operations.map((each) => mappingOf(each)); },
    get noOperations() { return !builder.operations.length; },
    method(each) { return textOf(each.method); },
    methodClass(each) { return `method ${textOf(each.method)}`; },
    stepOf(each) { return state.steps.find((step) => step.operation === each.operation); },
    outcomeWords(each) { const step = this.stepOf(each); return step ? this.stepWords(step) : ""; },
    outcomeClass(each) { const step = this.stepOf(each); return step ? this.stepClass(step) : ""; },
    edit(each) { builder.selectOperation(each.operation); builder.open("operations"); },
  }));
}

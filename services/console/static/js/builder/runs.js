// Test runs of the draft: started, followed step by step, stopped, looked at later.
import { API, at, call, getJson } from "../lib/api.js";
import { announce } from "../lib/page.js";
import { listOf, mappingOf } from "../lib/pointer.js";

/** The values that an operation is tested with: its sample, typed as its parameters say. */
export function sampleOf(operation) {
  return mappingOf(mappingOf(operation).sample);
}

export class Runs {
  constructor(Alpine, builder) {
    this.builder = builder;
    this.path = `${at("connectors", builder.page.slug)}/tests`;
    this.state = Alpine.reactive({
      run: null, steps: [], running: false, problem: "", began: 0, shown: "", exchange: null, history: [], historyLoaded: false,
      kept: null, keptLoaded: false,
    });
    this.source = null;
  }

  get query() {
    return { owner: this.builder.page.owner };
  }

  /** Test the draft as it is on the screen: `operations` by name, all idempotent ones where it is null. */
  async start(operations) {
    const { state, builder } = this;
    if (state.running) return;
    Object.assign(state, { running: true, problem: "", steps: [], run: null, exchange: null, shown: "", began: Date.now() });
    announce("The test runs.");
    try {
      if (!(await builder.autosave.now())) throw new Error(`The draft is not saved (${builder.saveWords}). The test runs what is saved; mend that first.`);
      const body = { ...(operations ? { operations } : {}), ...(state.kept ? { credentials_id: state.kept.id } : {}) };
      const started = await call("POST", this.path, { body, query: this.query });
      this.startedId = started.run_id;
      this.follow(started.run_id, operations?.length === 1 ? operations[0] : "");
    } catch (error) {
      this.failed(error);
    }
  }

  failed(error) {
    this.state.problem = error.message;
    this.state.problems = error.errors ?? [];
    this.state.running = false;
    announce(error.message);
  }

  follow(id, shown) {
    this.source?.close();
    const source = new EventSource(`${API}${this.path}/${id}/events?${new URLSearchParams(this.query)}`);
    this.source = source;
    source.addEventListener("progress", (event) => this.progressed(JSON.parse(event.data)));
    source.addEventListener("done", () => this.finish(id, shown));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED && this.state.running) this.finish(id, shown);
    });
  }

  /** One step began or ended. */
  progressed({ step }) {
    const { state } = this;
    const index = state.steps.findIndex((each) => each.number === step.number);
    if (index < 0) state.steps = [...state.steps, step].sort((one, other) => one.number - other.number);
    else state.steps = state.steps.with(index, step);
  }

  async finish(id, shown) {
    this.source?.close();
    this.source = null;
    try {
      await this.show(id, shown);
      const { passed, failed, skipped } = this.state.run;
      announce(`The test has ended: ${passed} passed, ${failed} failed, ${skipped} skipped.`);
    } catch (error) {
      this.failed(error);
    }
    this.state.running = false;
    this.state.historyLoaded = false;
  }

  /** A run as it was kept, with what one operation sent and got. */
  async show(id, operation) {
    const run = await getJson(`${this.path}/${id}`, this.query);
    this.state.run = run;
    this.state.steps = run.steps;
    const named = listOf(run.steps).filter((step) => step.kind === "operation");
    const first = named.find((step) => step.operation === operation) ?? named.find((step) => step.outcome === "fail") ?? named[0];
    if (first) await this.showOperation(first.operation);
  }

  async showOperation(operation) {
    this.state.shown = operation;
    this.state.exchange = null;
    const run = await getJson(`${this.path}/${this.state.run.run_id}`, { ...this.query, operation });
    if (this.state.shown !== operation) return;
    const step = listOf(run.steps).find((each) => each.operation === operation);
    this.state.exchange = step ?? null;
  }

  async stop() {
    if (this.state.run === null && !this.source) return;
    const id = this.state.run?.run_id ?? this.startedId;
    try {
      await call("POST", `${this.path}/${id}/cancel`, { query: this.query });
    } catch (error) {
      this.state.problem = error.message;
    }
  }

  async loadHistory() {
    if (this.state.historyLoaded) return;
    this.state.historyLoaded = true;
    try {
      this.state.history = (await getJson(this.path, { ...this.query, limit: 50 })).runs;
    } catch {
      this.state.historyLoaded = false;
    }
  }

  // ---- test credentials --------------------------------------------------------------------------------
  async loadKept() {
    if (this.state.keptLoaded) return;
    this.state.keptLoaded = true;
    try {
      const { credentials } = await getJson("/test-credentials", { ...this.query, connector: this.builder.page.slug });
      this.state.kept = credentials[0] ?? null;
    } catch {
      this.state.keptLoaded = false;
    }
  }

  async keep(values) {
    await this.builder.autosave.now();
    const path = `${at("connectors", this.builder.page.slug)}/test-credentials`;
    this.state.kept = await call("POST", path, { body: { credentials: values }, query: this.query });
  }

  async forget() {
    await call("DELETE", at("test-credentials", this.state.kept.id), { query: this.query });
    this.state.kept = null;
  }
}

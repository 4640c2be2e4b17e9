// One connector: what it does, its operations to read and to try, its versions, and who uses it.
import { API, at, call, getJson } from "../lib/api.js";
import { announce, pageData } from "../lib/page.js";
import { listOf, mappingOf, textOf } from "../lib/pointer.js";
import { pretty, spelledMs } from "../lib/words.js";
import { outlineOf } from "../builder/schemas.js";
import { typedValue } from "../builder/values.js";
import { capitalised, healthClassOf, stateClassOf, times } from "./lists.js";

const MOVES = { deprecate: "Deprecate", unpublish: "Unpublish", retire: "Retire", rollback: "Roll back" };

function parameterShown(operation, row, index) {
  const required = row.location === "path" || (row.required && row.default === undefined);
  return {
    id: `try-${operation}-${index}`, name: textOf(row.name), location: row.location, type: row.type ?? "string",
    description: row.description ?? "", default: textOf(row.default), optional: !required, need: required ? "required" : "",
  };
}

function operationShown(each) {
  const operation = mappingOf(each);
  const name = textOf(operation.operation);
  return {
    name, title: operation.display_name || name, description: operation.description ?? "", method: operation.method,
    methodClass: `method ${operation.method}`, path: operation.path, sample: mappingOf(operation.sample),
    parameters: listOf(operation.parameters).map((row, index) => parameterShown(name, mappingOf(row), index)),
    outline: outlineOf(mappingOf(operation.response_schema)),
  };
}

export function connector() {
  const { slug, owner, versions, latest } = pageData();
  const path = at("connectors", slug);
  return {
    document: {},
    problem: "",
    values: {},
    results: {},
    running: false,
    connections: [],
    loaded: false,
    chosen: null,
    move: "deprecate",
    notes: "",
    moveProblem: "",
    moving: false,
    async init() {
      try {
        const found = latest ? await getJson(`${path}/versions/latest`, { owner }) : await getJson(`${path}/draft`, { owner });
        this.document = found.document;
      } catch (error) {
        this.problem = error.message;
      }
      try {
        const { connections } = await getJson("/connections", { connector: slug });
        this.connections = connections.map((row) => ({
          key: row.id, name: row.name, origin: row.origin, address: `/connections/${slug}/${row.name}`,
          health: capitalised(row.health.state), healthClass: healthClassOf(row.health.state),
        }));
      } catch {
        this.connections = [];
      }
      this.loaded = true;
    },
    get icon() { const icon = textOf(this.document.icon); return icon.startsWith("data:image/") ? icon : ""; },
    get description() { return textOf(this.document.description); },
    get documentation() { const address = textOf(this.document.documentation_url); return /^https?:\/\//.test(address) ? address : ""; },
    get operations() { return listOf(this.document.operations).map(operationShown); },
    get noOperations() { return this.loaded && !this.operations.length; },
    get versions() {
      return [...versions].reverse().map((each) => ({
        version: each.version, state: capitalised(each.state), stateClass: stateClassOf(each.state), ...times(each.published_at),
        scope: each.scope === "catalogue" ? "for all" : "for its owner",
        export: `${API}${path}/export?${new URLSearchParams({ ...(owner ? { owner } : {}), version: each.version })}`,
      }));
    },
    get noVersions() { return !versions.length; },
    get noConnections() { return this.loaded && !this.connections.length; },

    // try it
    given(operation, row) { return textOf(this.values[`${operation.name}/${row.name}`] ?? operation.sample[row.name]); },
    give(operation, row, event) { this.values[`${operation.name}/${row.name}`] = event.target.value; },
    get runWords() { return this.running ? "Running" : "Run"; },
    async run(operation) {
      this.running = true;
      const given = operation.parameters.map((row) => [row.name, typedValue(this.given(operation, row), row.type)]);
      const parameters = Object.fromEntries(given.filter(([, value]) => value !== undefined));
      try {
        const result = await call("POST", `${path}/operations/${encodeURIComponent(operation.name)}/execute`, { body: { parameters } });
        this.results = { ...this.results, [operation.name]: { result } };
      } catch (error) {
        this.results = { ...this.results, [operation.name]: { error } };
      }
      announce(this.resultWords(operation));
      this.running = false;
    },
    hasResult(operation) { return operation.name in this.results; },
    resultWords(operation) {
      const { result, error } = this.results[operation.name] ?? {};
      return result ? `${result.status_code}, ${spelledMs(result.duration_ms)}` : (error?.code ?? "");
    },
    resultClass(operation) {
      const { result } = this.results[operation.name] ?? {};
      return `pill ${result && result.status_code < 300 ? "ok" : "bad"}`;
    },
    resultText(operation) {
      const { result, error } = this.results[operation.name] ?? {};
      if (error) return [error.message, ...error.errors.map((each) => `${each.name ?? ""} ${each.problem ?? ""}`.trim())].join("\n");
      return result ? (result.response_encoding === "json" ? pretty(result.response) : textOf(result.response)) : "";
    },

    // the life of a version
    get chosenVersion() { return this.chosen?.version ?? ""; },
    get moveWords() { return this.moving ? "Working" : MOVES[this.move]; },
    ask(version) {
      this.chosen = version;
      this.moveProblem = "";
      this.$refs.change.showModal();
    },
    close() { this.$refs.change.close(); },
    async change() {
      this.moving = true;
      try {
        await call("POST", `${path}/${this.move}`, { body: { version: this.chosen.version, notes: this.notes }, query: { owner } });
        location.reload();
      } catch (error) {
        this.moveProblem = error.message;
        this.moving = false;
      }
    },
  };
}

// Connections: the list, a new one, and one with its health, circuits and credentials.
import { at, call, getJson } from "../lib/api.js";
import { announce, pageData } from "../lib/page.js";
import { exactTime, spelledMs, timeAgo } from "../lib/words.js";
import { problemWords, withCredentials } from "./credential_form.js";
import { capitalised, filterOf, healthClassOf, listing, times } from "./lists.js";

const CIRCUIT_TONES = { closed: "ok", open: "bad", "half-open": "warn" };

const connectionShown = (row) => ({
  ...row, ...times(row.created_at), initial: row.connector[0].toUpperCase(), policy: row.version_policy,
  address: `/connections/${row.connector}/${row.name}`,
  health: capitalised(row.health.state), healthClass: healthClassOf(row.health.state),
});

export const connections = () => listing({
  path: "/connections", names: ["connector"], rowsOf: (answer) => answer.connections.map(connectionShown),
});

export function newConnection() {
  return withCredentials({
    slug: filterOf("connector"),
    connectors: [],
    name: "default",
    problem: "",
    busy: false,
    async init() {
      try {
        const { connectors } = await getJson("/connectors", { limit: 500 });
        this.connectors = connectors.filter((row) => row.latest_version || row.draft_revision);
        if (this.slug) await this.loadForm();
      } catch (error) {
        this.problem = error.message;
      }
    },
    isChosen(each) { return each.slug === this.slug; },
    choose(event) {
      this.slug = event.target.value;
      this.loadForm();
    },
    async loadForm() {
      this.form = null;
      this.problem = "";
      this.values = {};
      if (!this.slug) return;
      try {
        this.form = await getJson(`${at("connectors", this.slug)}/credential-form`);
      } catch (error) {
        this.problem = error.message;
      }
    },
    get hasForm() { return this.form !== null; },
    get sealed() { return this.fields.some((field) => field.sensitive); },
    get needsConsent() { return this.form?.needs_consent === true; },
    get words() { return this.busy ? "Creating" : "Create connection"; },
    async make() {
      this.busy = true;
      this.problem = "";
      try {
        await call("POST", "/connections", { body: { connector: this.slug, name: this.name, credentials: this.given } });
        location.assign(`/connections/${this.slug}/${this.name}`);
      } catch (error) {
        this.problem = problemWords(error);
        this.busy = false;
      }
    },
  });
}

function circuitShown(circuit) {
  const details = circuit.state === "closed"
    ? `${circuit.failures} failures in a row of ${circuit.threshold || "any number"}`
    : `${circuit.cause || "failures"}; the next test request in ${spelledMs(circuit.retry_after_ms)}`;
  return {
    key: circuit.operation ?? "", words: circuit.operation ?? "All operations", state: capitalised(circuit.state),
    stateClass: `pill ${CIRCUIT_TONES[circuit.state]}`,
    details: circuit.cooldown_ms ? `${details}; waits ${spelledMs(circuit.cooldown_ms)} as the system has asked` : details,
    limits: (circuit.limits ?? []).map((limit) => ({
      key: limit.of, words: `${limit.used} of ${limit.rate} permits in ${spelledMs(limit.window_ms)}${limit.waiting ? `, ${limit.waiting} wait` : ""} (${limit.of})`,
    })),
  };
}

const PING_TONES = { pass: "ok", fail: "bad", skip: "dim" };

const pingStepShown = (step) => ({
  name: { dns: "DNS", tcp: "TCP", tls: "TLS", http: "HTTP", auth: "Credentials" }[step.step], reason: step.reason ?? "", outcome: capitalised(step.outcome),
  outcomeClass: `pill ${PING_TONES[step.outcome] ?? "dim"}`, took: step.duration_ms ? spelledMs(step.duration_ms) : "",
});

const POLL_MS = 5000;

export function connection() {
  const { slug, name } = pageData();
  const path = at("connections", slug, name);
  return withCredentials({
    found: null,
    circuits: [],
    problem: "",
    busy: false,
    loaded: false,
    async init() {
      await this.load();
      await this.loadForm({ quiet: true });
      setInterval(() => document.visibilityState === "visible" && !this.problem && this.load(), POLL_MS);
    },
    async load() {
      try {
        this.found = await getJson(path);
        this.problem = "";
      } catch (error) {
        this.problem = error.message;
        return;
      }
      try {
        this.circuits = (await getJson(`${path}/circuits`)).circuits.map(circuitShown);
      } catch {
        this.circuits = [];
      }
      this.loaded = true;
    },
    get health() { return capitalised(this.found?.health.state ?? "unchecked"); },
    get healthClass() { return healthClassOf(this.found?.health.state); },
    get facts() {
      const { found } = this;
      if (!found) return [];
      const time = (instant) => ({ value: timeAgo(instant), exactly: exactTime(instant) });
      return [
        { words: "Address", value: found.origin || "none" }, { words: "Follows", value: `version ${found.version_policy} of ${found.owner}` },
        { words: "Made by", value: found.created_by }, { words: "Made", ...time(found.created_at) },
        ...(found.rotated_at ? [{ words: "Credentials of", value: found.rotated_by }, { words: "Since", ...time(found.rotated_at) }] : []),
        ...(found.health.since ? [{ words: "Health since", ...time(found.health.since) }] : []),
        ...(found.health.cause ? [{ words: "Because of", value: found.health.cause }] : []),
      ];
    },
    get shownFields() { return Object.entries(this.found?.fields ?? {}).map(([field, value]) => ({ name: field, value })); },
    get noCircuits() { return this.loaded && !this.circuits.length; },
    async loadForm({ quiet = false } = {}) {
      if (this.form || !this.found) return;
      try {
        this.form = await getJson(`${path}/credential-form`);
      } catch (error) {
        if (!quiet) this.problem = error.message;
      }
    },
    get rotateWords() { return this.busy ? "Sealing" : "Use these from now on"; },
    async rotate() {
      await this.doing(() => call("POST", `${path}/rotate`, { body: { credentials: this.given } }), "The credentials are used from now on.");
      this.values = {};
    },
    pinging: false,
    pinged: null,
    get pingWords() { return this.pinging ? "Pinging" : "Ping"; },
    async ping() {
      this.pinging = true;
      await this.doing(async () => { this.pinged = await call("POST", `${path}/ping`); }, "The ping is through.");
      this.pinging = false;
    },
    get pingOutcome() { return capitalised(this.pinged?.outcome); },
    get pingClass() { return `pill ${this.pinged?.outcome === "online" ? "ok" : "bad"}`; },
    get pingSteps() { return (this.pinged?.steps ?? []).map(pingStepShown); },
    get needsConsent() { return this.form?.needs_consent === true; },
    async authorize() {
      try {
        const { url } = await call("POST", `${path}/authorize`, { body: { return_to: location.pathname } });
        location.assign(url);
      } catch (error) {
        this.problem = error.message;
      }
    },
    async reset() {
      await this.doing(() => call("POST", `${path}/circuits/reset`), "The circuits are closed.");
    },
    async doing(act, words) {
      this.busy = true;
      try {
        await act();
        announce(words);
        await this.load();
      } catch (error) {
        this.problem = problemWords(error);
      }
      this.busy = false;
    },
    askDelete() { this.$refs.confirm.showModal(); },
    keep() { this.$refs.confirm.close(); },
    async remove() {
      this.$refs.confirm.close();
      try {
        await call("DELETE", path);
        location.assign("/connections");
      } catch (error) {
        this.problem = error.message;
      }
    },
  });
}

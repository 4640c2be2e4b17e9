// What lists of the console have in common: filters that stand in the address, pages, and how values read.
import { getJson } from "../lib/api.js";
import { exactTime, timeAgo } from "../lib/words.js";

const STATE_TONES = { draft: "", published: "ok", deprecated: "warn", unpublished: "dim", retired: "dim" };

export const stateClassOf = (state) => `pill ${STATE_TONES[state] ?? "dim"}`;
const HEALTH_TONES = { healthy: "ok", degraded: "warn", auth_error: "bad", offline: "bad" };

export const healthClassOf = (state) => `pill ${HEALTH_TONES[state] ?? "dim"}`;
export const capitalised = (text) => String(text ?? "").replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
export const times = (instant) => ({ ago: instant ? timeAgo(instant) : "", exactly: instant ? exactTime(instant) : "" });

export const filterOf = (name) => new URLSearchParams(location.search).get(name) ?? "";

export function keepFilters(filters) {
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value));
  history.replaceState({}, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
}

/** A list component: `path`, `names` of filters, `rowsOf(answer)`, `nextOf(answer)`, and the cursor's name. */
export function listing({ path, names = [], rowsOf, nextOf = (answer) => answer.next_after, cursor = "after", fixed = () => ({}) }) {
  return {
    rows: [],
    next: null,
    busy: true,
    loaded: false,
    problem: "",
    filters: Object.fromEntries(names.map((name) => [name, filterOf(name)])),
    init() {
      this.load();
    },
    get filtered() { return Object.values(this.filters).some(Boolean); },
    get empty() { return this.loaded && !this.rows.length && !this.problem; },
    get hasMore() { return this.next !== null && this.next !== undefined; },
    filter(name) { return this.filters[name]; },
    set(name, event) {
      this.filters[name] = event.target.value;
      this.load();
    },
    clear() {
      for (const name of names) this.filters[name] = "";
      this.load();
    },
    async load() {
      keepFilters(this.filters);
      this.asked = JSON.stringify(this.filters);
      const { asked } = this;
      this.busy = true;
      try {
        const answer = await getJson(path, { ...fixed(), ...this.filters });
        if (asked !== this.asked) return;
        this.rows = rowsOf(answer);
        this.next = nextOf(answer);
        this.problem = "";
      } catch (error) {
        this.problem = error.message;
      }
      this.busy = false;
      this.loaded = true;
    },
    async more() {
      const answer = await getJson(path, { ...fixed(), ...this.filters, [cursor]: this.next });
      this.rows = [...this.rows, ...rowsOf(answer)];
      this.next = nextOf(answer);
    },
  };
}

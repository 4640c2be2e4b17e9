// The catalogue: the enterprise's own connectors and those for all.
import { getJson } from "../lib/api.js";
import { capitalised, filterOf, keepFilters, stateClassOf, times } from "./lists.js";

const shown = (row) => ({
  key: `${row.owner}.${row.slug}`,
  ...row,
  ...times(row.changed_at),
  icon: row.icon ?? "",
  initial: (row.name.trim()[0] ?? "?").toUpperCase(),
  version: row.latest_version ?? "",
  state: capitalised(row.state),
  stateClass: stateClassOf(row.state),
  address: `/connectors/${row.slug}?owner=${row.owner}`,
});

export function catalogue() {
  return {
    search: filterOf("search"),
    type: filterOf("type"),
    state: filterOf("state"),
    rows: [],
    next: [],
    busy: true,
    loaded: false,
    problem: "",
    init() { this.load(); },
    setSearch(event) { this.search = event.target.value.trim(); this.apply(); },
    setType(event) { this.type = event.target.value; this.apply(); },
    setState(event) { this.state = event.target.value; this.apply(); },
    clear() {
      this.search = "";
      this.type = "";
      this.state = "";
      this.apply();
    },
    get filters() { return { search: this.search, type: this.type, state: this.state }; },
    get filtered() { return Boolean(this.search || this.type || this.state); },
    get empty() { return this.loaded && !this.rows.length && !this.problem; },
    get emptyTitle() { return this.filtered ? "Nothing fits" : "No connectors yet"; },
    get emptyWords() {
      return this.filtered ? "No connector has all of these words, this type and this state."
        : "A connector turns the HTTP API of a system into operations that others can call, with its credentials, limits and outages taken care of.";
    },
    get hasMore() { return this.next.length > 0; },
    apply() {
      keepFilters(this.filters);
      this.load();
    },
    /** The enterprise's list holds the catalogue; the platform's holds its drafts, for those who may see them. */
    async load() {
      const { filters } = this;
      this.asked = JSON.stringify(filters);
      const { asked } = this;
      this.busy = true;
      const me = await getJson("/me").catch(() => ({ owners: [] }));
      const lists = me.owners.includes("platform") && me.enterprise !== "platform" ? [undefined, "platform"] : [undefined];
      try {
        const answers = await Promise.all(lists.map((owner) => getJson("/connectors", { ...filters, owner })));
        if (asked !== this.asked) return;
        const found = new Map(answers.flatMap((answer) => answer.connectors).map((row) => [`${row.owner}.${row.slug}`, row]));
        this.rows = [...found.values()].sort((one, other) => one.name.localeCompare(other.name)).map(shown);
        this.next = answers.map((answer, index) => ({ owner: lists[index], after: answer.next_after })).filter((each) => each.after);
        this.problem = "";
      } catch (error) {
        this.problem = error.message;
      }
      this.busy = false;
      this.loaded = true;
    },
    async more() {
      const answers = await Promise.all(this.next.map((each) => getJson("/connectors", { ...this.filters, ...each })));
      const known = new Set(this.rows.map((row) => row.key));
      this.rows = [...this.rows, ...answers.flatMap((answer) => answer.connectors).map(shown).filter((row) => !known.has(row.key))];
      this.next = answers.map((answer, index) => ({ owner: this.next[index].owner, after: answer.next_after })).filter((each) => each.after);
    },
  };
}

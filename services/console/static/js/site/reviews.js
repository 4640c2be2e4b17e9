// Reviews: the queue, and one with its template and what was said.
import { at, call, getJson } from "../lib/api.js";
import { pageData } from "../lib/page.js";
import { pretty } from "../lib/words.js";
import { capitalised, listing, times } from "./lists.js";

const REVIEW_TONES = { open: "warn", approved: "ok", rejected: "bad", superseded: "dim" };
const reviewClassOf = (state) => `pill ${REVIEW_TONES[state] ?? "dim"}`;

export const reviews = () => listing({
  path: "/reviews", names: ["state"], cursor: "before", nextOf: (answer) => answer.next_before,
  rowsOf: (answer) => answer.reviews.map((row) => ({
    ...row, ...times(row.requested_at), initial: row.slug[0].toUpperCase(), by: row.authors.join(", "),
    state: capitalised(row.state), stateClass: reviewClassOf(row.state), address: `/reviews/${row.id}`,
  })),
});

export function review() {
  const path = at("reviews", pageData().id);
  return {
    found: null,
    text: "",
    problem: "",
    busy: false,
    init() { this.load(); },
    async load() {
      try {
        this.found = await getJson(path);
      } catch (error) {
        this.problem = error.message;
      }
    },
    get loaded() { return this.found !== null; },
    get title() { return this.found ? `Review of ${this.found.document.name ?? this.found.slug}` : "Review"; },
    get state() { return capitalised(this.found?.state); },
    get stateClass() { return reviewClassOf(this.found?.state); },
    get open() { return this.found?.state === "open"; },
    get about() { return this.found ? `${this.found.slug} of ${this.found.owner}, revision ${this.found.revision}, by ${this.found.authors.join(", ")}` : ""; },
    get notes() { return this.found?.notes ?? ""; },
    get document() { return this.found ? pretty(this.found.document) : ""; },
    get comments() { return (this.found?.comments ?? []).map((each, index) => ({ ...each, key: index, ...times(each.at) })); },
    get noComments() { return !this.comments.length; },
    say() { this.send("comments", { text: this.text }); },
    approve() { this.send("approve", { comment: this.text }); },
    reject() { this.send("reject", { comment: this.text }); },
    async send(what, body) {
      this.busy = true;
      this.problem = "";
      try {
        await call("POST", `${path}/${what}`, { body });
        this.text = "";
        await this.load();
      } catch (error) {
        this.problem = error.message;
      }
      this.busy = false;
    },
  };
}

// Publish: what is still needed, what is different, and the version that comes of it.
import { at, call, getJson } from "../lib/api.js";
import { announce } from "../lib/page.js";
import { textOf } from "../lib/pointer.js";

const BUMPS = { major: ["Breaking", "bad"], minor: ["New", "ok"], patch: ["Words", "dim"] };
const ITEMS = {
  template: "A template without problems", scope: "May be published for this scope", auth: "Authentication", operations: "Operations", resilience: "Resilience",
  name: "Name", slug: "Slug", type: "Type", description: "Description", base_url: "Base URL", icon: "Icon", documentation_url: "Documentation URL",
  response_schema: "response schema", test: "tested with success",
};

/** What an item of the gate is called: `overview.name`, `operations.get_weather.test`. */
export function itemWordsOf(item) {
  const parts = item.split(".");
  const last = ITEMS[parts.at(-1)] ?? parts.at(-1).replaceAll("_", " ");
  return parts[0] === "operations" && parts.length > 2 ? `${parts.slice(1, -1).join(".")}: ${last.replace(/^./, (first) => first.toLowerCase())}` : last;
}

export function registerPublishing(Alpine, builder) {
  const { state, page } = builder;
  const path = at("connectors", page.slug);

  Alpine.data("publishing", () => ({
    scope: page.scopes[0]?.scope ?? "enterprise",
    scopes: page.scopes,
    notes: "",
    bump: "",
    checklist: null,
    difference: null,
    problem: "",
    problems: [],
    busy: false,
    published: null,
    init() {
      Alpine.effect(() => {
        if (state.tab === "publish" && (state.saving === "saved" || state.digest)) this.load(state.digest, this.scope);
      });
    },
    async load() {
      if (state.tab !== "publish") return;
      try {
        await builder.autosave.now();
        const query = { owner: page.owner };
        const [checklist, difference] = await Promise.all([
          getJson(`${path}/checklist`, { ...query, scope: this.scope }),
          state.connector?.versions?.length ? getJson(`${path}/diff`, query).catch(() => null) : null,
        ]);
        this.checklist = checklist;
        this.difference = difference;
        this.problem = "";
      } catch (error) {
        this.problem = error.message;
      }
    },
    chooseScope(scope) { this.scope = scope; this.load(); },
    isScope(scope) { return this.scope === scope; },
    scopeClass(scope) { return this.scope === scope ? "choice chosen" : "choice"; },
    get noScope() { return !page.scopes.length; },
    get loaded() { return this.checklist !== null; },
    get items() { return this.checklist?.items ?? []; },
    get publishable() { return this.checklist?.publishable === true; },
    get openItems() { return this.items.filter((item) => item.required && !item.passed).length; },
    get verdict() {
      if (!this.checklist) return "Checking";
      return this.publishable ? "Everything that is needed is there." : `${this.openItems} of ${this.items.length} still to do.`;
    },
    get open() { return this.items.filter((item) => !item.passed); },
    get done() { return this.items.filter((item) => item.passed); },
    get doneWords() { return `${this.done.length} done`; },
    itemName(item) { return itemWordsOf(item.item); },
    itemWords(item) { return item.passed ? "Done" : item.required ? "Needed" : "Recommended"; },
    itemClass(item) { return `pill ${item.passed ? "ok" : item.required ? "bad" : "dim"}`; },
    itemReason(item) { return item.passed ? "" : (item.reason ?? ""); },
    canGo(item) { return !item.passed; },
    goWords(item) { return this.isTest(item) ? "Go to Test" : "Mend it"; },
    isTest(item) { return item.item.endsWith(".test"); },
    go(item) {
      if (this.isTest(item)) builder.open("test");
      else builder.goTo(item.path || "/name");
    },
    get first() { return !state.connector?.versions?.length; },
    get changes() { return this.difference?.changes ?? []; },
    get hasChanges() { return this.changes.length > 0; },
    get noChanges() { return !this.first && this.difference !== null && !this.changes.length; },
    get moreChanges() { return this.difference?.more ?? 0; },
    changeWords(change) { return BUMPS[change.bump][0]; },
    changeClass(change) { return `pill ${BUMPS[change.bump][1]}`; },
    get breaking() { return this.changes.filter((change) => change.bump === "major").length; },
    get breakingWords() { return this.breaking ? `${this.breaking} of these can break what uses the connector. Connections stay on their major version until their owners change that.` : ""; },
    get nextVersion() {
      if (this.first) return "1.0.0";
      if (this.noChanges) return "Nothing new";
      const next = this.difference?.next_version;
      const last = state.connector?.latest_version;
      if (!this.bump || !last) return next ?? "";
      const [major, minor, patch] = last.split(".").map(Number);
      const asked = { major: [major + 1, 0, 0], minor: [major, minor + 1, 0], patch: [major, minor, patch + 1] }[this.bump];
      const computed = (next ?? last).split(".").map(Number);
      const larger = asked.some((part, index) => part > computed[index] && asked.slice(0, index).every((each, at) => each === computed[at])) ? asked : computed;
      return larger.join(".");
    },
    get lastVersion() { return state.connector?.latest_version ?? ""; },
    get cannotPublish() { return !this.publishable || this.busy || this.noChanges || this.noScope; },
    get publishTitle() { return this.noChanges ? "Nothing is different from the last version" : this.publishable ? "" : "The checklist has open items"; },
    get reviewed() { return this.scope === "catalogue" && page.owner !== "platform"; },
    get publishWords() {
      if (this.busy) return "Publishing";
      if (this.noChanges) return "Publish";
      return this.reviewed ? "Submit for review" : `Publish ${this.nextVersion}`;
    },
    get question() {
      const who = this.scope === "catalogue" ? "every enterprise" : `the enterprise ${page.owner}`;
      if (this.reviewed) return "A Platform Admin looks at it before it enters the catalogue. You can go on editing meanwhile.";
      return `Version ${this.nextVersion} of ${textOf(builder.title)} will be there for ${who}. A published version stays as it is for good.`;
    },
    ask() { this.$refs.confirm.showModal(); },
    cancel() { this.$refs.confirm.close(); },
    async publish() {
      this.$refs.confirm.close();
      this.busy = true;
      this.problem = "";
      this.problems = [];
      try {
        const body = { scope: this.scope, notes: this.notes, ...(this.bump ? { bump: this.bump } : {}) };
        this.published = await call("POST", `${path}/publish`, { body, query: { owner: page.owner } });
        state.connector = await getJson(path, { owner: page.owner });
        this.notes = "";
        announce(this.publishedWords);
        await this.load();
      } catch (error) {
        this.problem = error.message;
        this.problems = (error.errors ?? []).map((each) => each.reason ?? each.message).filter(Boolean);
      }
      this.busy = false;
    },
    get publishedWords() {
      if (!this.published) return "";
      if (this.published.review) return "Submitted for review. It enters the catalogue once a Platform Admin has approved it.";
      return this.published.changed ? `Version ${this.published.version} is published.` : `This is version ${this.published.version} already; nothing was changed.`;
    },
    get connectorAddress() { return `/connectors/${page.slug}`; },
    get reviewAddress() { return `/reviews/${this.published?.review ?? ""}`; },
    get inReview() { return Boolean(this.published?.review); },
  }));
}

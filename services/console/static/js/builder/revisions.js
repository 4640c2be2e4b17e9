// Versions: what was published, every revision of the draft, and going back to one.
import { at, call, getJson } from "../lib/api.js";
import { exactTime, timeAgo } from "../lib/words.js";

const VERSION_TONES = { published: "ok", deprecated: "warn", unpublished: "dim", retired: "dim" };
const BUMP_TONES = { major: "bad", minor: "ok", patch: "dim" };

export function registerRevisions(Alpine, builder) {
  const { state, page } = builder;
  const path = at("connectors", page.slug);
  const query = { owner: page.owner };

  Alpine.data("revisions", () => ({
    revisions: [],
    next: null,
    problem: "",
    before: "",
    after: "draft",
    difference: null,
    init() {
      this.before = state.connector?.latest_version ?? "draft";
      Alpine.effect(() => {
        if (state.tab === "versions") this.load(state.revision);
      });
    },
    async load() {
      try {
        const found = await getJson(`${path}/draft/history`, { ...query, limit: 50 });
        this.revisions = found.revisions;
        this.next = found.next_before;
        this.problem = "";
      } catch (error) {
        this.problem = error.message;
      }
    },
    get hasMore() { return this.next !== null; },
    async more() {
      const found = await getJson(`${path}/draft/history`, { ...query, limit: 50, before: this.next });
      this.revisions = [...this.revisions, ...found.revisions];
      this.next = found.next_before;
    },
    revisionWords(row) { return row.changed.length ? row.changed.slice(0, 6).join(", ") : "the beginning"; },
    ago(row) { return timeAgo(row.saved_at ?? row.published_at); },
    exactly(row) { return exactTime(row.saved_at ?? row.published_at); },
    isCurrent(row) { return row.revision === state.revision; },
    restoredWords(row) { return row.restored_from ? `of revision ${row.restored_from}` : ""; },
    async restore(row) {
      try {
        await builder.autosave.now();
        const draft = await getJson(`${path}/draft`, { ...query, revision: row.revision });
        builder.change(() => draft.document);
        await builder.autosave.now();
        builder.toast(`The draft is as it was in revision ${row.revision}.`, { undo: true });
        this.load();
      } catch (error) {
        this.problem = error.message;
      }
    },

    get versions() { return [...(state.connector?.versions ?? [])].reverse(); },
    get noVersions() { return !this.versions.length; },
    stateClass(version) { return `pill ${VERSION_TONES[version.state]}`; },
    stateWords(version) { return version.state.replace(/^./, (first) => first.toUpperCase()); },
    exportAddress(version) { return `/api/v1${path}/export?${new URLSearchParams({ ...query, version: version.version })}`; },
    async restoreVersion(version) {
      try {
        await builder.autosave.now();
        const found = await getJson(`${path}${at("versions", version.version)}`, query);
        builder.change(() => found.document);
        await builder.autosave.now();
        builder.toast(`The draft is as version ${version.version}.`, { undo: true });
      } catch (error) {
        this.problem = error.message;
      }
    },

    get names() { return ["draft", ...this.versions.map((each) => each.version)]; },
    isBefore(name) { return this.before === name; },
    async compare() {
      try {
        this.difference = await getJson(`${path}/diff`, { ...query, before: this.before, after: this.after });
        this.problem = "";
      } catch (error) {
        this.problem = error.message;
      }
    },
    get compared() { return this.difference !== null; },
    get changes() { return this.difference?.changes ?? []; },
    get same() { return this.compared && !this.changes.length; },
    changeClass(change) { return `pill ${BUMP_TONES[change.bump]}`; },
  }));
}

// The Builder's state in one place: the document with its history, how saving stands, what is wrong, what is chosen.
import { listOf, mappingOf, patched, pointerOf, textOf } from "../lib/pointer.js";
import { announce } from "../lib/page.js";
import { Autosave, SAVE_WORDS } from "./autosave.js";
import { DocumentHistory } from "./history.js";
import { problemsBeneath, problemsOn, tabOf } from "./problems.js";

export const TABS = ["overview", "auth", "operations", "resilience", "test", "publish", "source", "versions"];
const TAB_WORDS = {
  overview: "Overview", auth: "Auth & Credentials", operations: "Operations", resilience: "Resilience", test: "Test",
  publish: "Publish", source: "Source", versions: "Versions",
};
const TOAST_MS = 10_000;

export class Builder {
  constructor(Alpine, page) {
    this.page = page;
    this.state = Alpine.reactive({
      document: {}, etag: null, revision: 0, digest: "", errors: [], warnings: [], saving: "saved", refusal: "",
      theirs: null, conflicts: [], canUndo: false, canRedo: false, tab: page.tab, selected: 0, toast: null,
      connector: page.connector,
    });
    this.history = new DocumentHistory(this.state, () => this.autosave.changed());
    this.autosave = new Autosave(this.state, {
      slug: page.slug, owner: page.owner, onSaved: (document) => this.history.replace(document),
      onTheirs: (document) => this.history.become(document),
    });
    this.history.begin(page.draft.document);
    this.autosave.begin(page.draft);
    this.selectOperation(page.operation);
    window.addEventListener("popstate", () => this.followAddress());
  }

  // ---- the document ------------------------------------------------------------------------------------
  read(pointer) {
    return this.history.read(pointer);
  }

  text(pointer) {
    return textOf(this.read(pointer));
  }

  write(pointer, value, group) {
    this.history.write(pointer, value, group);
  }

  /** One step of several changes: `change(document)` answers the next document. */
  change(change, group = null) {
    this.history.become(change(this.state.document), group);
  }

  undo() {
    this.history.undo();
    this.afterStep("Undone");
  }

  redo() {
    this.history.redo();
    this.afterStep("Redone");
  }

  /** What had the focus may be gone. */
  afterStep(words) {
    this.keepSelection();
    announce(words);
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (document.activeElement === document.body) document.getElementById("main").focus();
    }));
  }

  // ---- problems ----------------------------------------------------------------------------------------
  get errors() {
    return this.state.errors;
  }

  get warnings() {
    return this.state.warnings;
  }

  errorsOn(tab) {
    return problemsOn(this.state.errors, tab).length;
  }

  errorsBeneath(pointer) {
    return problemsBeneath(this.state.errors, pointer).length;
  }

  /** Apply a way to mend a problem; the focus goes to the field where the problem was. */
  mend(fix) {
    const field = document.activeElement?.closest(".field")?.querySelector("[data-pointer]");
    this.change((before) => patched(before, fix.patch));
    announce(`${fix.label}: done`);
    field?.focus();
  }

  /** Go to the field of a pointer, or to the nearest thing around it. */
  goTo(pointer) {
    const tab = tabOf(pointer);
    const found = /^\/operations\/(\d+)/.exec(pointer);
    if (found) this.state.selected = Number(found[1]);
    this.open(tab);
    requestAnimationFrame(() => requestAnimationFrame(() => {
      for (let at = pointer; at; at = at.slice(0, at.lastIndexOf("/"))) {
        const field = document.querySelector(`[data-pointer="${CSS.escape(at)}"]`);
        if (field && field.offsetParent !== null) {
          field.closest("details")?.setAttribute("open", "");
          field.focus();
          field.scrollIntoView({ block: "center" });
          return;
        }
      }
      document.getElementById("main").focus();
    }));
  }

  nextProblem() {
    const errors = this.state.errors;
    if (!errors.length) {
      announce("No problems");
      return;
    }
    const here = document.activeElement?.dataset.pointer;
    const index = errors.findIndex((each) => each.pointer === here);
    this.goTo(errors[(index + 1) % errors.length].pointer);
  }

  // ---- operations --------------------------------------------------------------------------------------
  get operations() {
    return listOf(this.state.document.operations);
  }

  get operation() {
    return mappingOf(this.operations[this.state.selected]);
  }

  at(...parts) {
    return pointerOf("operations", this.state.selected, ...parts);
  }

  selectOperation(name) {
    const index = this.operations.findIndex((each) => mappingOf(each).operation === name);
    this.state.selected = index < 0 ? 0 : index;
  }

  select(index) {
    this.state.selected = index;
    this.showAddress();
  }

  keepSelection() {
    this.state.selected = Math.max(0, Math.min(this.state.selected, this.operations.length - 1));
  }

  // ---- tabs and addresses ------------------------------------------------------------------------------
  get title() {
    return this.text("/name") || this.page.slug;
  }

  open(tab, { replace = false } = {}) {
    const changed = this.state.tab !== tab;
    this.state.tab = tab;
    this.showAddress(replace || !changed);
    if (changed) {
      window.scrollTo(0, 0);
      announce(TAB_WORDS[tab]);
    }
  }

  addressOf(tab) {
    const base = `/connectors/${this.page.slug}/${tab}`;
    const owner = new URLSearchParams(location.search).has("owner") ? `?owner=${this.page.owner}` : "";
    const name = textOf(this.operation.operation);
    return tab === "operations" && name ? `${base}/${encodeURIComponent(name)}${owner}` : `${base}${owner}`;
  }

  showAddress(replace = true) {
    const address = this.addressOf(this.state.tab);
    if (address !== location.pathname + location.search) history[replace ? "replaceState" : "pushState"]({}, "", address);
    this.showTitle();
  }

  showTitle() {
    document.title = `${TAB_WORDS[this.state.tab]} · ${this.title} · DIBOP`;
  }

  followAddress() {
    const [, , , tab, name] = location.pathname.split("/");
    this.state.tab = TABS.includes(tab) ? tab : "overview";
    if (name) this.selectOperation(decodeURIComponent(name));
    this.showTitle();
  }

  // ---- messages ----------------------------------------------------------------------------------------
  get saveWords() {
    return SAVE_WORDS[this.state.saving];
  }

  /** A message at the bottom, with Undo where the last step can be taken back. */
  toast(message, { undo = false } = {}) {
    this.state.toast = { message, undo };
    announce(message);
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => {
      this.state.toast = null;
    }, TOAST_MS);
  }

  closeToast() {
    this.state.toast = null;
  }
}

// The frame around the tabs: top bar, tab row, keys, and what to do where others have changed the draft meanwhile.
import { focusSoon, storedValue, storeValue } from "../lib/page.js";
import { deepFrozen } from "../lib/pointer.js";
import { TABS } from "./builder.js";

const CONNECTOR_STATES = {
  draft: ["Draft", ""], in_review: ["In review", "warn"], published: ["Published", "ok"], deprecated: ["Deprecated", "dim"],
  unpublished: ["Unpublished", "dim"], retired: ["Retired", "dim"],
};
const SAVE_TONES = { offline: "warn", elsewhere: "warn", signed_out: "bad", refused: "bad" };

export function registerShell(Alpine, builder) {
  const { state } = builder;

  Alpine.data("shell", () => ({
    keysShown: false,
    backup: null,
    init() {
      this.backup = this.leftBehind();
      Alpine.effect(() => builder.showTitle());
      performance.mark("dibop-interactive");
      document.documentElement.dataset.ready = "true";
    },
    get title() { return builder.title; },
    get words() { return builder.saveWords; },
    get tone() { return `save-state ${SAVE_TONES[state.saving] ?? ""}`; },
    get refusal() { return state.refusal; },
    get refused() { return state.saving === "refused"; },
    get signedOut() { return state.saving === "signed_out"; },
    get elsewhere() { return state.saving === "elsewhere"; },
    get status() { return (CONNECTOR_STATES[state.connector?.state] ?? CONNECTOR_STATES.draft)[0]; },
    get statusClass() { return `pill ${(CONNECTOR_STATES[state.connector?.state] ?? CONNECTOR_STATES.draft)[1]}`; },
    get cannotUndo() { return !state.canUndo; },
    get cannotRedo() { return !state.canRedo; },
    get cannotSave() { return state.saving === "saved" || state.saving === "saving" || state.saving === "elsewhere"; },
    undo() { builder.undo(); },
    redo() { builder.redo(); },
    save() { builder.autosave.now(); },
    notTab(tab) { return state.tab !== tab; },
    current(tab) { return state.tab === tab ? "page" : false; },
    address(tab) { return builder.addressOf(tab); },
    open(tab, event) {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      builder.open(tab);
    },
    count(tab) { return builder.errorsOn(tab); },
    countWords(tab) { return builder.errorsOn(tab) === 1 ? "1 problem" : `${builder.errorsOn(tab)} problems`; },
    get toast() { return state.toast; },
    get toastWords() { return state.toast?.message ?? ""; },
    get toastUndo() { return state.toast?.undo ?? false; },
    undoToast() { builder.undo(); builder.closeToast(); },
    closeToast() { builder.closeToast(); },

    // Others have saved meanwhile.
    get conflictWords() {
      const by = state.theirs?.saved_by;
      return by ? `${by} saved revision ${state.theirs.revision} while you were editing. Nothing of yours is lost.` : "";
    },
    get conflicts() { return state.conflicts; },
    keepMine() { builder.autosave.keepMine(); },
    merge() { builder.autosave.mergeBoth(); },
    takeTheirs() {
      builder.autosave.takeTheirs();
      builder.toast("Their version is shown now.", { undo: true });
    },
    signIn() { window.open("/sign-in", "_blank"); },

    // What this browser kept when the page went before all was saved.
    leftBehind() {
      try {
        const kept = deepFrozen(JSON.parse(storedValue(builder.autosave.backupKey)));
        return kept && JSON.stringify(kept.document) !== JSON.stringify(state.document) ? kept : null;
      } catch {
        return null;
      }
    },
    restoreBackup() {
      builder.change(() => this.backup.document);
      this.backup = null;
    },
    dropBackup() {
      storeValue(builder.autosave.backupKey, null);
      this.backup = null;
    },

    onKey(event) {
      const command = event.ctrlKey || event.metaKey;
      const inEditor = event.target.closest?.(".cm-editor");
      if (event.altKey && /^[1-8]$/.test(event.key)) {
        event.preventDefault();
        builder.open(TABS[Number(event.key) - 1]);
        focusSoon("#main");
      } else if (command && event.key.toLowerCase() === "s") {
        event.preventDefault();
        this.save();
      } else if (command && event.key.toLowerCase() === "z" && !inEditor) {
        event.preventDefault();
        if (event.shiftKey) builder.redo();
        else builder.undo();
      } else if (command && event.key.toLowerCase() === "y" && !inEditor) {
        event.preventDefault();
        builder.redo();
      } else if (event.key === "F8") {
        event.preventDefault();
        builder.nextProblem();
      } else if (event.key === "?" && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && !inEditor) {
        this.$refs.keys.showModal();
      }
    },
    closeKeys() { this.$refs.keys.close(); },
  }));
}

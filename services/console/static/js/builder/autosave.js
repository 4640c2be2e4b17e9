// Saves the draft by itself, and says truly how that stands.
import { ApiError, at, call, getJson, OfflineError } from "../lib/api.js";
import { storeValue } from "../lib/page.js";
import { deepFrozen } from "../lib/pointer.js";

const QUIET_MS = 700;
const RETRY_MS = 2500;

export const SAVE_WORDS = {
  saved: "Saved",
  unsaved: "Unsaved changes",
  saving: "Saving",
  offline: "Not saved: offline, will retry",
  elsewhere: "Changed elsewhere",
  signed_out: "Not saved: signed out",
  refused: "Not saved",
};

/** `state` is observed: `document`, `saving` (a key of SAVE_WORDS), `etag`, `errors`, `warnings`, `refusal`, `theirs`. */
export class Autosave {
  constructor(state, { slug, owner, onSaved, onTheirs }) {
    this.state = state;
    this.slug = slug;
    this.owner = owner;
    this.onSaved = onSaved;
    this.onTheirs = onTheirs;
    this.path = `${at("connectors", slug)}/draft`;
    this.timer = 0;
    this.running = null;
    window.addEventListener("online", () => this.dirty && this.soon(0));
    window.addEventListener("offline", () => {
      if (this.dirty) this.say("offline");
    });
    document.addEventListener("visibilitychange", () => document.hidden && this.dirty && this.soon(0));
    window.addEventListener("beforeunload", (event) => {
      this.keepHere();
      if (this.dirty) event.preventDefault();
    });
  }

  get backupKey() {
    return `dibop.unsaved.${this.owner}.${this.slug}`;
  }

  get dirty() {
    return this.saved !== this.state.document;
  }

  /** The server's document as it stands. */
  begin(draft) {
    this.saved = this.state.document;
    this.take(draft);
    this.say("saved");
  }

  changed() {
    if (!this.dirty) {
      if (this.state.saving === "unsaved") this.say("saved");
      return;
    }
    if (this.state.saving === "elsewhere") return;
    if (this.state.saving !== "offline") this.say("unsaved");
    this.keepHere();
    this.soon(QUIET_MS);
  }

  soon(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), ms);
  }

  /** Save at once what is unsaved. True where all is saved afterwards. */
  async now() {
    clearTimeout(this.timer);
    while (this.running) await this.running;
    if (!this.dirty) return true;
    if (this.state.saving === "elsewhere") return false;
    this.running = this.save().finally(() => {
      this.running = null;
    });
    return this.running;
  }

  async save({ merge = false } = {}) {
    const sent = this.state.document;
    this.say("saving");
    try {
      const draft = await call("PUT", this.path, {
        body: sent,
        headers: this.state.etag ? { "If-Match": this.state.etag } : {},
        query: { owner: this.owner, merge: merge || undefined },
      });
      this.take(draft);
      const untouched = this.state.document === sent;
      this.saved = sent;
      if (draft.document && untouched) {
        this.onSaved(draft.document);
        this.saved = this.state.document;
      }
      if (this.dirty) {
        this.say("unsaved");
        this.soon(QUIET_MS);
      } else {
        this.say("saved");
        storeValue(this.backupKey, null);
      }
      return !this.dirty;
    } catch (error) {
      await this.failed(error);
      return false;
    }
  }

  async failed(error) {
    this.keepHere();
    if (error instanceof OfflineError || (error instanceof ApiError && error.status >= 500)) {
      this.say("offline");
      this.soon(RETRY_MS);
    } else if (error.status === 401) {
      this.say("signed_out");
    } else if (error.status === 412 || error.status === 409) {
      this.state.conflicts = error.errors;
      try {
        this.state.theirs = deepFrozen(await getJson(this.path, { owner: this.owner }));
        this.say("elsewhere");
      } catch {
        this.say("offline");
        this.soon(RETRY_MS);
      }
    } else {
      this.state.refusal = error.message;
      this.say("refused");
    }
  }

  /** After a conflict: keep mine over theirs, or put both together (what both changed is refused again). */
  async keepMine() {
    this.state.etag = this.state.theirs.etag;
    this.say("unsaved");
    return this.now();
  }

  async mergeBoth() {
    this.say("unsaved");
    return this.save({ merge: true });
  }

  takeTheirs() {
    const { theirs } = this.state;
    this.saved = theirs.document;
    this.take(theirs);
    this.say("saved");
    this.onTheirs(theirs.document);
    storeValue(this.backupKey, null);
  }

  take(draft) {
    this.state.etag = draft.etag;
    this.state.revision = draft.revision;
    this.state.digest = draft.digest;
    this.state.errors = draft.errors;
    this.state.warnings = draft.warnings;
    this.state.theirs = null;
    this.state.refusal = "";
  }

  say(saving) {
    this.state.saving = saving;
  }

  /** A copy in this browser, for when the page goes before the server has it. */
  keepHere() {
    if (this.dirty) storeValue(this.backupKey, JSON.stringify({ etag: this.state.etag, document: this.state.document }));
  }
}

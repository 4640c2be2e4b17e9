// The document that is edited, and every state it had: undo and redo go over all of it, whatever has changed it.
import { deepFrozen, documentWith, valueAt } from "../lib/pointer.js";

const MOST_STEPS = 500;
const PAUSE_MS = 1000;

/** `state` is observed by the page: `document` is replaced, never changed. `onChange` hears of every new state. */
export class DocumentHistory {
  constructor(state, onChange, clock = () => Date.now()) {
    this.state = state;
    this.onChange = onChange;
    this.clock = clock;
    this.past = [];
    this.future = [];
    this.group = null;
    this.changedAt = 0;
  }

  /** Begin with a document; there is nothing to undo then. */
  begin(document) {
    this.past = [];
    this.future = [];
    this.replace(document);
  }

  /** Another document from the server, which is no step of the person's. */
  replace(document) {
    this.state.document = deepFrozen(document);
    this.group = null;
    this.tell();
  }

  read(pointer) {
    return valueAt(this.state.document, pointer);
  }

  /** Put `value` at a pointer; undefined removes. Changes of one group without a pause between are one step. */
  write(pointer, value, group = pointer) {
    if (value === valueAt(this.state.document, pointer)) return;
    this.become(documentWith(this.state.document, pointer, value), group);
  }

  /** A step to another document. Without a group it stands alone. */
  become(document, group = null) {
    if (document === this.state.document) return;
    const now = this.clock();
    const same = group !== null && group === this.group && now - this.changedAt < PAUSE_MS;
    if (!same) {
      this.past.push(this.state.document);
      if (this.past.length > MOST_STEPS) this.past.shift();
    }
    this.future = [];
    this.group = group;
    this.changedAt = now;
    this.state.document = deepFrozen(document);
    this.tell();
    this.onChange();
  }

  undo() {
    this.step(this.past, this.future);
  }

  redo() {
    this.step(this.future, this.past);
  }

  step(from, to) {
    if (!from.length) return;
    to.push(this.state.document);
    this.state.document = from.pop();
    this.group = null;
    this.tell();
    this.onChange();
  }

  tell() {
    this.state.canUndo = this.past.length > 0;
    this.state.canRedo = this.future.length > 0;
  }
}

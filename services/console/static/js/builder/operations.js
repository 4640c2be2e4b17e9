// Operations: the list, and the one that is edited.
import { focusSoon } from "../lib/page.js";
import { listOf, mappingOf, pointerOf, textOf } from "../lib/pointer.js";
import { identifierFrom } from "../lib/words.js";
import { problemsAt, sentenceOf } from "./problems.js";

const IDEMPOTENT = ["GET", "PUT", "DELETE"];

function unusedName(operations, wanted) {
  const taken = operations.map((each) => mappingOf(each).operation);
  if (!taken.includes(wanted)) return wanted;
  let number = 2;
  while (taken.includes(`${wanted}_${number}`)) number += 1;
  return `${wanted}_${number}`;
}

export function registerOperations(Alpine, builder) {
  const { state } = builder;
  const change = (next) => builder.change((document) => ({ ...document, operations: next(listOf(document.operations)) }));

  Alpine.data("operationList", () => ({
    get operations() { return builder.operations; },
    get none() { return !builder.operations.length; },
    name(index) { return textOf(mappingOf(builder.operations[index]).operation) || "unnamed"; },
    method(index) { return textOf(mappingOf(builder.operations[index]).method) || "?"; },
    methodClass(index) { return `method ${this.method(index)}`; },
    current(index) { return state.selected === index ? "true" : false; },
    rowClass(index) { return state.selected === index ? "operation chosen" : "operation"; },
    count(index) { return builder.errorsBeneath(pointerOf("operations", index)); },
    select(index) { builder.select(index); },
    add() {
      const name = unusedName(builder.operations, "new_operation");
      change((all) => [...all, { operation: name, description: "", method: "GET", path: "/", parameters: [] }]);
      builder.select(builder.operations.length - 1);
      focusSoon("#operation-name");
      document.activeElement?.blur();
    },
    onKey(index, event) {
      if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
      event.preventDefault();
      this.move(index, event.key === "ArrowUp" ? -1 : 1);
    },
    move(index, by) {
      const to = index + by;
      if (to < 0 || to >= builder.operations.length) return;
      change((all) => all.toSpliced(index, 1).toSpliced(to, 0, all[index]));
      builder.select(to);
      focusSoon(`.operation-list li:nth-child(${to + 1}) button`);
    },
  }));

  Alpine.data("operation", () => ({
    get present() { return Boolean(builder.operations.length); },
    get absent() { return !builder.operations.length; },
    get operation() { return builder.operation; },
    get heading() { return textOf(builder.operation.display_name) || textOf(builder.operation.operation) || "Operation"; },
    at(part) { return builder.at(part); },
    get isFirst() { return state.selected === 0; },
    get isLast() { return state.selected >= builder.operations.length - 1; },
    setName(event) {
      builder.write(builder.at("operation"), event.target.value);
      builder.showAddress();
    },
    tidyName(event) {
      const tidy = identifierFrom(event.target.value) || event.target.value;
      if (tidy !== event.target.value) this.setName({ target: { value: tidy } });
    },
    duplicate() {
      const copy = { ...builder.operation };
      delete copy.health_check;
      copy.operation = unusedName(builder.operations, textOf(copy.operation) || "operation");
      change((all) => all.toSpliced(state.selected + 1, 0, copy));
      builder.select(state.selected + 1);
      focusSoon("#operation-name");
    },
    remove() {
      const name = textOf(builder.operation.operation);
      change((all) => all.toSpliced(state.selected, 1));
      builder.keepSelection();
      builder.showAddress();
      builder.toast(`Operation ${name} deleted.`, { undo: true });
      focusSoon(builder.operations.length ? ".operation.chosen" : "#add-operation");
    },
    moveUp() { this.move(-1); },
    moveDown() { this.move(1); },
    move(by) {
      const to = state.selected + by;
      const from = state.selected;
      change((all) => all.toSpliced(from, 1).toSpliced(to, 0, all[from]));
      builder.select(to);
    },
    get needsIdempotent() { return !IDEMPOTENT.includes(textOf(builder.operation.method)); },
    get hasBody() { return listOf(builder.operation.parameters).some((each) => mappingOf(each).location === "body"); },
    get overrides() { return Object.keys(mappingOf(builder.operation.resilience)).length; },
    overridePointer(name) { return builder.at("resilience", name); },
    inherited(name) { const value = builder.read(pointerOf("resilience", name)) ?? builder.page.defaults.resilience[name]; return `as the connector: ${value}`; },
    get problem() { return problemsAt(builder.errors, pointerOf("operations", state.selected)).map(sentenceOf).join(" "); },
  }));
}

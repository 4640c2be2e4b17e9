// `x-field="pointer"` ties a control to a place in the document, with its label, help and problems.
// Modifiers: number, flag (checkbox), optional (empty removes it), json (a JSON value), lines (one value a line),
// show (another handler writes).
import { textOf } from "../lib/pointer.js";
import { fixFor } from "./fixes.js";
import { problemsAt, sentenceOf } from "./problems.js";

let made = 0;

const READERS = {
  number: (text) => (text.trim() === "" ? undefined : Number.isFinite(Number(text)) ? Number(text) : text),
  json: (text) => {
    try {
      return text.trim() === "" ? undefined : JSON.parse(text);
    } catch {
      return text;
    }
  },
  lines: (text) => {
    const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
    return lines.length ? lines : undefined;
  },
};

const WRITERS = {
  json: (value) => (value === undefined ? "" : typeof value === "string" && !isJson(value) ? value : JSON.stringify(value, null, 2)),
  lines: (value) => (Array.isArray(value) ? value.join("\n") : textOf(value)),
};

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export function registerFields(Alpine, builder) {
  Alpine.directive("field", (el, { expression, modifiers }, { evaluateLater, effect, cleanup }) => {
    const kind = ["number", "json", "lines"].find((each) => modifiers.includes(each));
    const checkbox = el.type === "checkbox" || el.type === "radio";
    const evaluate = evaluateLater(expression);
    const frame = tieToLabel(el);
    let pointer = "";

    const show = () => evaluate((found) => {
      pointer = found;
      el.dataset.pointer = pointer;
      const value = builder.read(pointer);
      if (checkbox) el.checked = value === undefined ? "default" in el.dataset : value === true;
      else {
        const text = value === undefined ? (el.dataset.default ?? "") : (WRITERS[kind] ?? textOf)(value);
        const same = kind && document.activeElement === el && JSON.stringify(READERS[kind](el.value)) === JSON.stringify(value);
        if (el.value !== text && !same) setValue(el, text);
      }
      showProblems(el, frame, builder, pointer);
    });
    effect(show);

    if (modifiers.includes("show")) return;
    const take = () => {
      let value;
      if (checkbox) value = el.checked ? true : "default" in el.dataset ? false : undefined;
      else if (kind) value = READERS[kind](el.value);
      else value = el.value === "" && modifiers.includes("optional") ? undefined : el.value;
      if (value === undefined && kind === "number" && !modifiers.includes("optional")) value = el.value;
      builder.write(pointer, value);
    };
    const type = checkbox || el.tagName === "SELECT" ? "change" : "input";
    el.addEventListener(type, take);
    cleanup(() => el.removeEventListener(type, take));
  });
}

function setValue(el, text) {
  if (el.tagName === "SELECT" && text && ![...el.options].some((option) => option.value === text)) {
    el.add(new Option(text, text));
  }
  el.value = text;
}

/** Its label and help; the place where problems go. */
function tieToLabel(el) {
  const frame = el.closest(".field");
  made += 1;
  el.id ||= `field-${made}`;
  const label = frame?.querySelector(":scope > label");
  if (label && !label.htmlFor) label.htmlFor = el.id;
  const help = frame?.querySelector(":scope > .help");
  if (help) help.id ||= `${el.id}-help`;
  return { frame, help, told: null };
}

function showProblems(el, place, builder, pointer) {
  const errors = problemsAt(builder.errors, pointer);
  const warnings = errors.length ? [] : problemsAt(builder.warnings, pointer);
  const found = [...errors, ...warnings];
  if (errors.length) el.setAttribute("aria-invalid", "true");
  else el.removeAttribute("aria-invalid");
  if (place.frame && (found.length || place.told)) {
    place.told ??= place.frame.appendChild(problemNode(el));
    place.told.hidden = !found.length;
    place.told.classList.toggle("warning", !errors.length);
    place.told.replaceChildren(...found.flatMap((problem) => problemParts(problem, builder)));
  }
  const describing = [place.help?.id, found.length ? place.told?.id : null].filter(Boolean);
  if (describing.length) el.setAttribute("aria-describedby", describing.join(" "));
  else el.removeAttribute("aria-describedby");
}

function problemNode(el) {
  const node = document.createElement("p");
  node.id = `${el.id}-problem`;
  node.className = "problem";
  return node;
}

export function problemParts(problem, builder) {
  const text = document.createElement("span");
  text.textContent = sentenceOf(problem);
  const fix = fixFor(problem, builder.state.document);
  if (!fix) return [text];
  const button = document.createElement("button");
  button.type = "button";
  button.className = "link accent";
  button.textContent = fix.label;
  button.addEventListener("click", () => builder.mend(fix));
  return [text, button];
}

// Resilience: seven settings, and a drawing of what they mean.
import { pointerOf } from "../lib/pointer.js";
import { spelledSeconds } from "../lib/words.js";

const MAX_DELAY_SECONDS = 60;
const GROWTH = { none: () => 1, linear: (repeat) => repeat, exponential: (repeat) => 2 ** (repeat - 1) };
const WIDTH = 360;
const SVG = "http://www.w3.org/2000/svg";

/** Attempts and waits of a request that never gets an answer, in seconds: `{spans: [{kind, from, to}], total}`. */
export function worstCase({ timeout_seconds: timeout, max_retries: repeats, retry_delay_seconds: delay, retry_backoff: backoff }) {
  const spans = [];
  let at = 0;
  for (let attempt = 0; attempt <= repeats; attempt += 1) {
    if (attempt) {
      const wait = Math.min(delay * (GROWTH[backoff] ?? GROWTH.exponential)(attempt), MAX_DELAY_SECONDS);
      spans.push({ kind: "wait", from: at, to: at + wait });
      at += wait;
    }
    spans.push({ kind: "attempt", number: attempt + 1, from: at, to: at + timeout });
    at += timeout;
  }
  return { spans, total: at };
}

function drawn(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function timeline({ spans, total }) {
  const x = (seconds) => (total ? (seconds / total) * WIDTH : 0);
  const parts = [];
  for (const { kind, number, from, to } of spans) {
    const width = Math.max(x(to) - x(from), 1);
    if (kind === "attempt") {
      parts.push(drawn("rect", { x: x(from), y: 12, width: Math.max(width - 1, 1), height: 28, rx: 4, class: "attempt" }));
      if (width > 14) parts.push(drawn("text", { x: x(from) + width / 2, y: 31, class: "in-bar", "text-anchor": "middle" }, String(number)));
    } else {
      parts.push(drawn("line", { x1: x(from), x2: x(to), y1: 26, y2: 26, class: "wait" }));
      if (width > 24) parts.push(drawn("text", { x: x(from) + width / 2, y: 20, class: "note", "text-anchor": "middle" }, spelledSeconds(to - from)));
    }
  }
  parts.push(drawn("line", { x1: 0, x2: WIDTH, y1: 50, y2: 50, class: "axis" }));
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const anchor = part === 0 ? "start" : part === 1 ? "end" : "middle";
    parts.push(drawn("text", { x: part * WIDTH, y: 66, class: "note", "text-anchor": anchor }, spelledSeconds(part * total)));
  }
  return parts;
}

function circuit({ threshold, recovery }) {
  const shown = Math.min(threshold, 8);
  const parts = [];
  for (let failure = 0; failure < shown; failure += 1) {
    parts.push(drawn("circle", { cx: 9 + failure * 18, cy: 26, r: 7, class: "failure" }));
    parts.push(drawn("text", { x: 9 + failure * 18, y: 30, class: "in-mark", "text-anchor": "middle" }, "×"));
  }
  const start = 9 + shown * 18;
  if (threshold > shown) parts.push(drawn("text", { x: start - 4, y: 30, class: "note" }, `… ${threshold}`));
  const open = start + (threshold > shown ? 30 : 2);
  const end = WIDTH - 70;
  parts.push(drawn("rect", { x: open, y: 12, width: Math.max(end - open, 40), height: 28, rx: 4, class: "open" }));
  parts.push(drawn("text", { x: (open + end) / 2, y: 31, class: "open-words", "text-anchor": "middle" }, `open ${spelledSeconds(recovery)}`));
  parts.push(drawn("circle", { cx: end + 14, cy: 26, r: 7, class: "probe" }));
  parts.push(drawn("text", { x: end + 26, y: 30, class: "note" }, "one test"));
  return parts;
}

export function registerResilience(Alpine, builder) {
  const { resilience: defaults } = builder.page.defaults;
  const valueOf = (name) => builder.read(pointerOf("resilience", name)) ?? defaults[name];
  const numberOf = (name) => (Number.isFinite(Number(valueOf(name))) ? Number(valueOf(name)) : defaults[name]);

  /** `x-drawing="name"`: redraws itself when the settings change. */
  const DRAWINGS = {
    timeline: () => timeline(worst()),
    circuit: () => circuit({ threshold: numberOf("circuit_breaker_threshold"), recovery: numberOf("circuit_breaker_recovery_seconds") }),
  };
  const worst = () => worstCase({
    timeout_seconds: numberOf("timeout_seconds"),
    max_retries: Math.max(0, Math.min(10, Math.trunc(numberOf("max_retries")))),
    retry_delay_seconds: Math.max(0, numberOf("retry_delay_seconds")),
    retry_backoff: valueOf("retry_backoff"),
  });
  Alpine.directive("drawing", (el, { expression }, { effect }) => {
    effect(() => el.replaceChildren(...DRAWINGS[expression]()));
  });

  Alpine.data("resilience", () => ({
    at(name) { return pointerOf("resilience", name); },
    changed(name) {
      const value = builder.read(pointerOf("resilience", name));
      return value !== undefined && value !== defaults[name];
    },
    defaultWords(name) { return `Reset to ${defaults[name]}`; },
    reset(name) { builder.write(pointerOf("resilience", name), undefined); },
    get total() {
      const { total } = worst();
      return total >= 120 ? `${Math.floor(total / 60)} min ${Math.round(total % 60)} s` : spelledSeconds(total);
    },
    get attempts() { const count = worst().spans.filter((span) => span.kind === "attempt").length; return count === 1 ? "one attempt" : `${count} attempts`; },
    get rateWords() {
      const rate = numberOf("rate_limit_per_minute");
      if (rate === 0) return "No limit: requests are sent as they come.";
      const every = 60 / rate;
      return `At most ${rate} requests in a minute for each connection, one every ${spelledSeconds(every)} on average. Others wait their turn.`;
    },
    get noCircuit() { return numberOf("circuit_breaker_threshold") === 0; },
    get circuitWords() {
      const threshold = numberOf("circuit_breaker_threshold");
      if (threshold === 0) return "The circuit never opens: requests go on, however often they fail.";
      return `After ${threshold} failures in a row nothing is sent for ${spelledSeconds(numberOf("circuit_breaker_recovery_seconds"))}. Then one test request decides whether the circuit closes again.`;
    },
    get warnings() {
      const found = [];
      const { total } = worst();
      if (total > 120) found.push(`A caller may wait ${this.total} for a system that does not answer. Shorten the timeout, or repeat less often.`);
      if (numberOf("max_retries") > 0 && numberOf("retry_delay_seconds") === 0) found.push("Repeats follow at once. A system that is overloaded recovers sooner with a delay between.");
      if (numberOf("rate_limit_per_minute") === 0) found.push("Nothing keeps callers from sending more than the system allows.");
      return found;
    },
  }));
}

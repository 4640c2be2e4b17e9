// The call log, with a plot of how long calls took and how they ended.
import { counted, spelledMs } from "../lib/words.js";
import { capitalised, listing, times } from "./lists.js";

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
const PLOT = { width: 720, height: 100, most: 120 };
const CALL_TONES = { succeeded: "ok", failed: "warn" };
const toneOf = (outcome) => CALL_TONES[outcome] ?? "bad";

const callShown = (row) => ({
  ...row, ...times(row.started_at), tone: toneOf(row.outcome), outcomeClass: `pill ${toneOf(row.outcome)}`,
  result: row.status ?? capitalised(row.outcome.replaceAll("-", " ")), took: spelledMs(row.duration_ms),
  details: [
    row.connection ? `connection ${row.connection}` : "", row.version ? `version ${row.version}` : "", row.caller ? `by ${row.caller}` : "",
    row.attempts > 1 ? `${row.attempts} attempts` : "", row.waited_ms >= 1 ? `waited ${spelledMs(row.waited_ms)}` : "",
    row.retry_stopped ? `stopped: ${row.retry_stopped}` : "", row.schema_valid === false ? "not as its schema" : "", row.request_id,
  ].filter(Boolean).join(", "),
});

export function calls() {
  const base = listing({
    path: "/calls", names: ["connector", "operation", "connection", "outcome", "status", "request_id"],
    rowsOf: (answer) => answer.calls.map(callShown),
  });
  return Object.defineProperty(base, "plotWords", {
    get() {
      const durations = this.rows.map((row) => row.duration_ms).sort((one, other) => one - other);
      if (!durations.length) return "";
      return `${counted(durations.length, "call")}, half of them within ${spelledMs(durations[Math.floor(durations.length / 2)])}, the slowest ${spelledMs(durations.at(-1))}`;
    },
    enumerable: true,
    configurable: true,
  });
}

/** `x-plot="rows"`: the newest calls from right to left; a square root keeps quick ones visible beside slow ones. */
export function registerPlot(Alpine) {
  Alpine.directive("plot", (el, { expression }, { evaluateLater, effect }) => {
    const evaluate = evaluateLater(expression);
    effect(() => evaluate((rows) => {
      const shown = rows.slice(0, PLOT.most).reverse();
      const most = Math.max(...shown.map((row) => row.duration_ms), 1);
      const step = PLOT.width / Math.max(shown.length, 40);
      el.replaceChildren(...shown.map((row, index) => {
        const height = Math.max(3, Math.sqrt(row.duration_ms / most) * PLOT.height);
        const bar = document.createElementNS(SVG_NAMESPACE, "rect");
        const attributes = { x: index * step, y: PLOT.height - height + 10, width: Math.max(step - 2, 1), height, rx: 2, class: `call ${row.tone}` };
        for (const [name, value] of Object.entries(attributes)) bar.setAttribute(name, value);
        const title = document.createElementNS(SVG_NAMESPACE, "title");
        title.textContent = `${row.connector} / ${row.operation}: ${row.result}, ${row.took}`;
        bar.append(title);
        return bar;
      }));
    }));
  });
}

// The audit log and the state of the system.
import { getJson } from "../lib/api.js";
import { pageData } from "../lib/page.js";
import { spelledBytes } from "../lib/words.js";
import { capitalised, listing, times } from "./lists.js";

const spelled = (value) => (typeof value === "object" && value !== null ? JSON.stringify(value) : String(value));

export const audit = () => listing({
  path: "/audit", names: ["noun", "identifier", "enterprise"], cursor: "before", nextOf: (answer) => answer.next_before,
  rowsOf: (answer) => answer.entries.map((row) => ({
    ...row, ...times(row.at), initial: row.noun[0].toUpperCase(), what: `${capitalised(row.action.split(".").at(-1))} ${row.noun} ${row.identifier}`,
    details: Object.entries(row.details).map(([name, value]) => `${name.replaceAll("_", " ")}: ${spelled(value)}`).join(", "),
  })),
});

export function status() {
  return {
    services: [],
    streams: [],
    problem: "",
    parts: [],
    keys: [],
    keysProblem: "",
    async init() {
      const part = (name, fine) => ({ name, state: fine ? "Answers" : "Does not answer", stateClass: `pill ${fine ? "ok" : "bad"}` });
      try {
        const ready = await (await fetch("/health/ready")).json();
        this.parts = [part("This console", ready.ready), part("NATS", ready.nats), part("Redis", ready.redis)];
      } catch {
        this.parts = [part("This console", false)];
      }
      if (!pageData().platform) return;
      try {
        const found = await getJson("/status");
        const told = (metadata) => Object.entries(metadata).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`).join(", ");
        this.services = found.services.map((each) => ({ ...each, told: told(each.metadata) }));
        this.streams = found.streams.map((each) => ({
          name: each.name, messages: each.messages ?? each.error, size: each.bytes === null ? "" : spelledBytes(each.bytes), consumers: each.consumers ?? "",
        }));
      } catch (error) {
        this.problem = error.message;
      }
      try {
        this.keys = (await getJson("/keys")).uses;
      } catch (error) {
        this.keysProblem = error.message;
      }
    },
  };
}

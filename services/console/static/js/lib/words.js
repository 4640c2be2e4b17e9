// Values as people read them.

export function slugFrom(name) {
  const plain = name.normalize("NFKD").replaceAll(/[^\x00-\x7f]/g, "").toLowerCase();
  return plain.replaceAll(/[^a-z0-9]+/g, "-").replace(/^[-0-9]+/, "").replace(/-+$/, "").slice(0, 63).replace(/-+$/, "");
}

export function identifierFrom(name) {
  return slugFrom(name).replaceAll("-", "_");
}

const STEPS = [[60, "second"], [60, "minute"], [24, "hour"], [7, "day"], [4.35, "week"], [12, "month"], [Infinity, "year"]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export function timeAgo(instant, now = Date.now()) {
  let amount = (new Date(instant).getTime() - now) / 1000;
  if (Number.isNaN(amount)) return "";
  if (Math.abs(amount) < 5) return "just now";
  for (const [size, unit] of STEPS) {
    if (Math.abs(amount) < size) return relative.format(Math.round(amount), unit);
    amount /= size;
  }
  return "";
}

export function exactTime(instant) {
  const date = new Date(instant);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

export const spelledSeconds = (seconds) => (seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${+seconds.toFixed(seconds < 10 ? 1 : 0)} s`);
export const spelledMs = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`);
export function spelledBytes(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
export const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
export const pretty = (value) => JSON.stringify(value, null, 2);

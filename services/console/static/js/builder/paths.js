// Placeholders of a path and the path parameters that fill them.
import { listOf, mappingOf } from "../lib/pointer.js";

const PLACEHOLDER = /\{([A-Za-z_][\w.-]*)\}/g;

export const placeholdersOf = (path) => [...String(path ?? "").matchAll(PLACEHOLDER)].map((found) => found[1]);

const isOfPath = (parameter) => mappingOf(parameter).location === "path";
const isUntouched = (parameter) =>
  Object.keys(parameter).every((key) => ["name", "location", "type", "required"].includes(key) || parameter[key] === "");

/** An operation with another path: a renamed placeholder renames its parameter, a new one makes its own. */
export function withPath(operation, path) {
  const before = placeholdersOf(operation.path);
  const after = placeholdersOf(path);
  let parameters = listOf(operation.parameters);
  let sample = operation.sample;
  const gone = before.filter((name) => !after.includes(name));
  const fresh = after.filter((name) => !before.includes(name));
  if (gone.length === 1 && fresh.length === 1 && before.length === after.length) {
    const [from, to] = [gone[0], fresh[0]];
    parameters = parameters.map((each) => (isOfPath(each) && each.name === from ? { ...each, name: to } : each));
    if (sample && from in sample) {
      sample = Object.fromEntries(Object.entries(sample).map(([name, value]) => [name === from ? to : name, value]));
    }
  }
  for (const name of after) {
    if (!parameters.some((each) => isOfPath(each) && each.name === name)) {
      parameters = [...parameters, { name, location: "path", type: "string", required: true }];
    }
  }
  return { ...operation, path, ...(parameters.length || operation.parameters ? { parameters } : {}), ...(sample ? { sample } : {}) };
}

/** An operation without path parameters that its path has no place for, unless somebody has written about them. */
export function withoutDangling(operation) {
  const names = placeholdersOf(operation.path);
  const parameters = listOf(operation.parameters);
  const left = parameters.filter((each) => !isOfPath(each) || names.includes(each.name) || !isUntouched(each));
  return left.length === parameters.length ? operation : { ...operation, parameters: left };
}

/** A path with a placeholder renamed. */
export const pathRenamed = (path, from, to) => String(path ?? "").replaceAll(`{${from}}`, `{${to}}`);

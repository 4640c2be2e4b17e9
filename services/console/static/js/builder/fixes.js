// Ways to mend a problem at once, where the document leaves no doubt about it.
import { listOf, mappingOf, pointerOf, valueAt } from "../lib/pointer.js";
import { placeholdersOf } from "./paths.js";

const PATH = /^\/operations\/(\d+)\/path$/;
const PARAMETER = /^\/operations\/(\d+)\/parameters\/(\d+)\/name$/;

/** `{label, patch}`, a JSON Patch; null where a person has to decide. */
export function fixFor(problem, document) {
  return problem.fix ?? missingParameters(problem.pointer, document) ?? danglingParameter(problem.pointer, document);
}

function missingParameters(pointer, document) {
  const found = PATH.exec(pointer);
  if (!found) return null;
  const operation = mappingOf(valueAt(document, pointerOf("operations", found[1])));
  const parameters = listOf(operation.parameters);
  const given = parameters.filter((each) => mappingOf(each).location === "path").map((each) => each.name);
  const missing = placeholdersOf(operation.path).filter((name) => !given.includes(name));
  if (!missing.length) return null;
  const rows = missing.map((name) => ({ name, location: "path", type: "string", required: true }));
  const path = pointerOf("operations", found[1], "parameters");
  return { label: `Add ${missing.join(", ")}`, patch: [{ op: "replace", path, value: [...parameters, ...rows] }] };
}

function danglingParameter(pointer, document) {
  const found = PARAMETER.exec(pointer);
  if (!found) return null;
  const operation = mappingOf(valueAt(document, pointerOf("operations", found[1])));
  const parameter = mappingOf(listOf(operation.parameters)[found[2]]);
  if (parameter.location !== "path" || placeholdersOf(operation.path).includes(parameter.name)) return null;
  return { label: "Remove the parameter", patch: [{ op: "remove", path: pointer.slice(0, pointer.lastIndexOf("/")) }] };
}

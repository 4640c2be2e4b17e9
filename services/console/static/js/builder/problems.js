// What the server finds wrong: at its field, counted on its tab, and one after the other by F8.
import { pointerParts } from "../lib/pointer.js";

const AUTH = new Set([
  "auth_type", "credential_schema", "header_name", "query_parameter", "key_prefix", "grant_type", "scopes", "token_url",
  "authorization_url", "token_auth_method", "pkce", "scope_separator", "token_parameters", "authorization_parameters",
  "expired_token",
]);

export function tabOf(pointer) {
  const [first] = pointerParts(pointer);
  if (AUTH.has(first)) return "auth";
  return first === "operations" || first === "resilience" ? first : "overview";
}

export const problemsOn = (problems, tab) => problems.filter((each) => tabOf(each.pointer) === tab);

/** Problems of exactly this field. A missing field is told at its parent by some rules and at itself by others. */
export const problemsAt = (problems, pointer) => problems.filter((each) => each.pointer === pointer);

/** Problems at or beneath a pointer. */
export const problemsBeneath = (problems, pointer) =>
  problems.filter((each) => each.pointer === pointer || each.pointer.startsWith(`${pointer}/`));

export function sentenceOf(problem) {
  const message = problem.message.replace(/[.:]?$/, ".");
  return (problem.mend ? `${message} ${problem.mend}` : message).replaceAll("\u0060", "");
}

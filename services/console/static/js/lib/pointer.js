// JSON pointers (RFC 6901) into documents that are never changed in place: each change is a new document.

export function pointerParts(pointer) {
  if (!pointer) return [];
  return pointer.slice(1).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

export function pointerOf(...parts) {
  return parts.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** What stands at a pointer; undefined where nothing does. */
export function valueAt(document, pointer) {
  let value = document;
  for (const part of pointerParts(pointer)) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
}

/** A document with `value` at a pointer, undefined to remove it; mappings on the way are made, what is none is replaced. */
export function documentWith(document, pointer, value) {
  const set = (node, parts) => {
    if (!parts.length) return value;
    const [part, ...rest] = parts;
    if (Array.isArray(node)) {
      const next = [...node];
      if (rest.length || value !== undefined) next[Number(part)] = set(node[Number(part)], rest);
      else next.splice(Number(part), 1);
      return next;
    }
    const base = node !== null && typeof node === "object" ? node : {};
    if (!rest.length && value === undefined) {
      const { [part]: _removed, ...left } = base;
      return left;
    }
    return { ...base, [part]: set(base[part], rest) };
  };
  return set(document, pointerParts(pointer));
}

/** A document after a JSON Patch (RFC 6902) of add, remove and replace. */
export function patched(document, patch) {
  let next = document;
  for (const { op, path, value } of patch) {
    const parts = pointerParts(path);
    const last = parts.at(-1);
    const parent = valueAt(next, pointerOf(...parts.slice(0, -1)));
    if (op === "add" && Array.isArray(parent)) {
      const at = last === "-" ? parent.length : Number(last);
      next = documentWith(next, pointerOf(...parts.slice(0, -1)), parent.toSpliced(at, 0, value));
    } else {
      next = documentWith(next, path, op === "remove" ? undefined : value);
    }
  }
  return next;
}

/** Frozen through and through, so that it is never changed in place and costs no observation. */
export function deepFrozen(value) {
  if (value !== null && typeof value === "object" && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFrozen);
  }
  return value;
}

export const listOf = (value) => (Array.isArray(value) ? value : []);
export const mappingOf = (value) => (value !== null && typeof value === "object" && !Array.isArray(value) ? value : {});
export const textOf = (value) => (value === undefined || value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));

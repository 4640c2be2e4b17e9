// JSON Schemas (2020-12) made from what a system answered.

export function schemaOf(value) {
  if (value === null) return { type: "null" };
  if (Array.isArray(value)) {
    const items = value.map(schemaOf).reduce((one, other) => (one ? unified(one, other) : other), null);
    return items ? { type: "array", items } : { type: "array" };
  }
  if (typeof value === "object") {
    const properties = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, schemaOf(each)]));
    return { type: "object", properties, required: Object.keys(value) };
  }
  if (typeof value === "number") return { type: Number.isInteger(value) ? "integer" : "number" };
  return { type: typeof value };
}

const typesOf = (schema) => (Array.isArray(schema.type) ? schema.type : schema.type ? [schema.type] : []);

/** A schema that takes what either takes. */
export function unified(one, other) {
  let types = [...new Set([...typesOf(one), ...typesOf(other)])];
  if (types.includes("number")) types = types.filter((type) => type !== "integer");
  const merged = { ...one, ...other, type: types.length === 1 ? types[0] : types };
  if (one.properties || other.properties) {
    merged.properties = { ...one.properties };
    for (const [name, schema] of Object.entries(other.properties ?? {})) {
      merged.properties[name] = one.properties?.[name] ? unified(one.properties[name], schema) : schema;
    }
    const both = (schema) => (schema.properties ? (schema.required ?? []) : null);
    const [mine, theirs] = [both(one), both(other)];
    merged.required = mine && theirs ? mine.filter((name) => theirs.includes(name)) : (mine ?? theirs);
  }
  if (one.items || other.items) merged.items = one.items && other.items ? unified(one.items, other.items) : (one.items ?? other.items);
  return merged;
}

/** What a schema says of each path, as rows for a person: `[{path, type, required, description}]`. */
export function outlineOf(schema, path = "", required = true, depth = 0) {
  if (!schema || typeof schema !== "object" || depth > 12) return [];
  const type = typesOf(schema).join(" or ") || (schema.$ref ? "reference" : "any");
  const rows = path ? [{ path, type, required, description: schema.description ?? "" }] : [];
  for (const [name, each] of Object.entries(schema.properties ?? {})) {
    rows.push(...outlineOf(each, path ? `${path}.${name}` : name, (schema.required ?? []).includes(name), depth + 1));
  }
  if (schema.items) rows.push(...outlineOf(schema.items, `${path}[]`, true, depth + 1).slice(schema.items.properties ? 1 : 0));
  return rows;
}

// Values that people type, as the JSON that they stand for.

/** What a person typed for a parameter, as JSON of its type; text where it is none. */
export function typedValue(text, type) {
  if (text === "") return undefined;
  if (type === "string" || type === undefined) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

// Inputs for the credentials of a connection, as a connector asks for them; values go to the server and nowhere else.
import { mappingOf } from "../lib/pointer.js";

export function fieldsOf(form) {
  return Object.entries(mappingOf(form?.fields)).map(([name, field]) => ({
    name,
    id: `credential-${name}`,
    label: field.label || name,
    help: field.help ?? "",
    optional: field.required === false,
    type: field.type === "password" || field.sensitive ? "password" : "text",
    default: field.default ?? "",
    sensitive: field.sensitive || field.type === "password",
  }));
}

export const credentialInputs = {
  form: null,
  values: {},
  get fields() { return fieldsOf(this.form); },
  value(field) { return this.values[field.name] ?? field.default; },
  give(field, event) { this.values[field.name] = event.target.value; },
  get given() {
    return Object.fromEntries(this.fields.map((field) => [field.name, this.value(field)]).filter(([, value]) => value !== ""));
  },
};

/** A component with the credential inputs in it; getters stay getters. */
export function withCredentials(component) {
  return Object.defineProperties({ ...credentialInputs }, {
    ...Object.getOwnPropertyDescriptors(credentialInputs), ...Object.getOwnPropertyDescriptors({ values: {} }),
    ...Object.getOwnPropertyDescriptors(component),
  });
}

export function problemWords(error) {
  const more = error.errors?.map((each) => each.problem ?? each.message).filter(Boolean).join(" ") ?? "";
  return `${error.message} ${more}`.trim();
}

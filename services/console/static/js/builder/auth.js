// Auth & Credentials: how requests are authenticated, and what a connection must bring for it.
import { documentWith, listOf, mappingOf, pointerOf, textOf } from "../lib/pointer.js";
import { focusSoon } from "../lib/page.js";
import { problemsAt, sentenceOf } from "./problems.js";

const BELONGS = {
  api_key: ["header_name", "query_parameter", "key_prefix"],
  oauth2: ["grant_type", "scopes", "token_url", "authorization_url", "token_auth_method", "pkce", "scope_separator",
    "token_parameters", "authorization_parameters", "expired_token"],
};
const KINDS = [
  { kind: "none", title: "None", words: "Anyone may call it." },
  { kind: "api_key", title: "API key", words: "A key in a header or the query." },
  { kind: "basic", title: "Basic", words: "User name and password." },
  { kind: "bearer", title: "Bearer token", words: "A fixed token in the Authorization header." },
  { kind: "oauth2", title: "OAuth 2.0", words: "Tokens that are fetched and renewed by themselves." },
];
const MASK = "••••";

export function registerAuth(Alpine, builder) {
  const { page } = builder;
  /** What other kinds had, so that choosing them again brings it back. */
  const kept = {};

  const kindNow = () => builder.text("/auth_type");
  const fieldsNow = () => {
    const written = builder.read("/credential_schema");
    return Object.entries(mappingOf(written ?? page.defaults.credentials[kindNow()]));
  };
  const writeFields = (entries, group) => builder.write("/credential_schema", Object.fromEntries(entries), group);

  Alpine.data("auth", () => ({
    kinds: KINDS,
    get kind() { return kindNow(); },
    get isApiKey() { return kindNow() === "api_key"; },
    get isOauth() { return kindNow() === "oauth2"; },
    get isCode() { return kindNow() === "oauth2" && builder.text("/grant_type") === "authorization_code"; },
    get hasFields() { return kindNow() !== "none" && kindNow() !== ""; },
    chosen(kind) { return kindNow() === kind; },
    cardClass(kind) { return kindNow() === kind ? "choice chosen" : "choice"; },
    choose(kind) {
      const before = kindNow();
      if (before === kind) return;
      builder.change((document) => {
        const mine = [...(BELONGS[before] ?? []), "credential_schema"];
        kept[before] = Object.fromEntries(mine.filter((name) => name in document).map((name) => [name, document[name]]));
        const next = Object.fromEntries(Object.entries(document).filter(([name]) => !mine.includes(name)));
        const start = kept[kind] ?? (kind === "oauth2" ? { grant_type: "client_credentials" } : {});
        return { ...next, auth_type: kind, ...start };
      });
    },

    // api_key: in a header or in the query
    get place() { return builder.read("/query_parameter") === undefined ? "header" : "query"; },
    get inHeader() { return this.place === "header"; },
    get inQuery() { return this.place === "query"; },
    choosePlace(place) {
      builder.change((document) => {
        const { header_name: header, query_parameter: query, ...rest } = document;
        kept.header = header ?? kept.header;
        kept.query = query ?? kept.query;
        if (place === "query") return { ...rest, query_parameter: kept.query ?? "api_key" };
        return kept.header ? { ...rest, header_name: kept.header } : rest;
      });
    },

    get grant() { return builder.text("/grant_type"); },
    setGrant(event) { builder.write("/grant_type", event.target.value); },
    get scopes() { const value = builder.read("/scopes"); return Array.isArray(value) ? value.join(" ") : textOf(value); },
    setScopes(event) { builder.write("/scopes", event.target.value === "" ? undefined : event.target.value); },

    // the credential fields
    get rows() { return fieldsNow().map(([name]) => name); },
    get ownFields() { return builder.read("/credential_schema") !== undefined; },
    rowPointer(index, part) { const [name] = fieldsNow()[index] ?? [""]; return pointerOf("credential_schema", name, ...(part ? [part] : [])); },
    cell(index, part) { return textOf(mappingOf(fieldsNow()[index]?.[1])[part]); },
    cellFlag(index, part) {
      const field = mappingOf(fieldsNow()[index]?.[1]);
      return part === "required" ? field.required !== false : field[part] === true || field.type === "password";
    },
    isPassword(index) { return this.cell(index, "type") === "password"; },
    typeOf(index) { return this.cell(index, "type") || "string"; },
    rename(index, event) {
      const name = event.target.value.trim();
      const entries = fieldsNow();
      if (!name || entries.some(([each], at) => each === name && at !== index)) {
        event.target.value = entries[index][0];
        return;
      }
      writeFields(entries.map(([each, field], at) => [at === index ? name : each, field]), `credential-name-${index}`);
    },
    set(index, part, event) {
      const value = event.target.type === "checkbox" ? event.target.checked : event.target.value;
      const entries = fieldsNow().map(([name, field], at) => {
        if (at !== index) return [name, field];
        const next = documentWith(field, pointerOf(part), value === "" ? undefined : value);
        return [name, part === "type" && value === "password" ? { ...next, sensitive: true } : next];
      });
      writeFields(entries, `credential-${index}-${part}`);
    },
    addField() {
      const taken = fieldsNow().map(([name]) => name);
      let number = 1;
      while (taken.includes(`field_${number}`)) number += 1;
      writeFields([...fieldsNow(), [`field_${number}`, { label: `Field ${number}`, type: "string", required: true, sensitive: false }]]);
      focusSoon(".rows.credentials .grid input");
    },
    removeField(index) {
      writeFields(fieldsNow().filter((_, at) => at !== index));
      builder.toast("Field removed.", { undo: true });
    },
    resetFields() { builder.write("/credential_schema", undefined); },
    problem(index) {
      const [name] = fieldsNow()[index] ?? [""];
      const prefix = pointerOf("credential_schema", name);
      return builder.errors.filter((each) => each.pointer === prefix || each.pointer.startsWith(`${prefix}/`)).map(sentenceOf).join(" ");
    },
    get schemaProblem() { return problemsAt(builder.errors, "/credential_schema").map(sentenceOf).join(" "); },

    // previews
    label(index) { return this.cell(index, "label") || this.rows[index]; },
    previewType(index) { return this.isPassword(index) ? "password" : "text"; },
    get sent() {
      const kind = kindNow();
      const prefix = builder.text("/key_prefix");
      if (kind === "api_key" && this.inQuery) return `GET …?${builder.text("/query_parameter")}=${prefix}${MASK}`;
      if (kind === "api_key") return `${builder.text("/header_name") || page.defaults.header_name}: ${prefix}${MASK}`;
      if (kind === "basic") return `Authorization: Basic ${MASK}`;
      if (kind === "bearer" || kind === "oauth2") return `Authorization: Bearer ${MASK}`;
      return kind === "none" ? "No credential is sent." : "Choose how requests are authenticated.";
    },
    get tokenRequest() {
      if (kindNow() !== "oauth2") return [];
      const scopes = listOf(builder.read("/scopes")).join(" ") || builder.text("/scopes");
      const post = builder.text("/token_auth_method") === "post";
      return [
        `POST ${builder.text("/token_url") || "{token_url}"}`,
        ...(post ? [] : [`Authorization: Basic ${MASK}`]),
        "Content-Type: application/x-www-form-urlencoded",
        "",
        [`grant_type=${builder.text("/grant_type") || "client_credentials"}`, ...(post ? [`client_id=…&client_secret=${MASK}`] : []),
          ...(scopes ? [`scope=${encodeURIComponent(scopes)}`] : [])].join("&"),
      ];
    },
    get tokenText() { return this.tokenRequest.join("\n"); },
  }));
}

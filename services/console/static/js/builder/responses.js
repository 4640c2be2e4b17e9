// The response schema of an operation, as text, and made from a sample response.
import { announce } from "../lib/page.js";
import { mappingOf } from "../lib/pointer.js";
import { pretty } from "../lib/words.js";
import { outlineOf, schemaOf, unified } from "./schemas.js";

export function registerResponses(Alpine, builder) {
  const { state } = builder;

  Alpine.data("responseSchema", () => ({
    text: "",
    textProblem: "",
    sampleShown: false,
    sample: "",
    sampleProblem: "",
    init() {
      Alpine.effect(() => this.show(builder.read(builder.at("response_schema")), state.selected));
    },
    /** The document's schema, unless what is typed means the same. */
    show(schema) {
      const text = schema === undefined ? "" : pretty(schema);
      try {
        if (this.text.trim() && JSON.stringify(JSON.parse(this.text)) === JSON.stringify(schema)) return;
      } catch {
        if (document.activeElement === this.$refs.text) return;
      }
      this.text = text;
      this.textProblem = "";
    },
    take(event) {
      this.text = event.target.value;
      if (!this.text.trim()) {
        this.textProblem = "";
        builder.write(builder.at("response_schema"), undefined);
        return;
      }
      try {
        builder.write(builder.at("response_schema"), JSON.parse(this.text));
        this.textProblem = "";
      } catch (error) {
        this.textProblem = `This is not JSON yet: ${error.message}. The last schema that was is kept.`;
      }
    },
    tidy() {
      if (!this.textProblem && this.text.trim()) this.text = pretty(builder.read(builder.at("response_schema")));
    },
    get pointer() { return builder.at("response_schema"); },
    get textInvalid() { return this.textProblem ? "true" : false; },
    get outline() { return outlineOf(mappingOf(builder.read(builder.at("response_schema")))); },
    get hasOutline() { return this.outline.length > 0; },
    requiredWords(row) { return row.required ? "always" : "sometimes"; },
    get problems() {
      const prefix = builder.at("response_schema");
      return builder.errors.filter((each) => each.pointer.startsWith(`${prefix}/`))
        .map((each) => `${each.pointer.slice(prefix.length)}: ${each.message}`);
    },
    get hasSchema() { return builder.read(builder.at("response_schema")) !== undefined; },
    showSample() {
      this.sampleShown = !this.sampleShown;
      this.sampleProblem = "";
      if (this.sampleShown) this.$nextTick(() => this.$refs.sample.focus());
    },
    fromSample(merge) {
      try {
        const made = schemaOf(JSON.parse(this.sample));
        const present = builder.read(builder.at("response_schema"));
        builder.write(builder.at("response_schema"), merge && present ? unified(mappingOf(present), made) : made, `schema-${Date.now()}`);
        this.sampleShown = false;
        this.sample = "";
        announce("The schema was made from the sample.");
      } catch (error) {
        this.sampleProblem = `The sample is no JSON: ${error.message}. Paste the body of a response.`;
      }
    },
    replaceBySample() { this.fromSample(false); },
    mergeSample() { this.fromSample(true); },
  }));
}

// Source: the same document as text. Either view can be edited; each shows what the other has changed.
import { pageData, styleNonce } from "../lib/page.js";
import { mappingOf, pointerParts } from "../lib/pointer.js";
import { pretty } from "../lib/words.js";

export function registerSource(Alpine, builder) {
  const { state } = builder;
  let editor = null;
  let tools = null;
  let shownDocument = null;

  Alpine.data("source", () => ({
    language: "yaml",
    problem: "",
    loading: true,
    init() {
      Alpine.effect(() => {
        if (state.tab !== "source") return;
        const { document } = state;
        const { errors } = state;
        this.show(document, errors);
      });
    },
    async show(document, errors) {
      if (!tools) tools = await import(pageData().editor);
      if (!editor) {
        if (this.$refs.editor.childElementCount) return;
        editor = tools.createEditor({
          parent: this.$refs.editor, text: this.written(document), language: this.language, nonce: styleNonce(),
          label: "The template as text", onChange: (text) => this.take(text),
        });
        shownDocument = document;
        this.loading = false;
      } else if (document !== shownDocument && document === state.document) {
        editor.setText(this.written(document));
        shownDocument = document;
        this.problem = "";
      }
      this.mark(errors);
    },
    written(document) { return this.language === "yaml" ? tools.writeYaml(document) : pretty(document); },
    take(text) {
      const { value, problems } = tools.readYaml(text);
      if (problems.length) {
        this.problem = `Line ${problems[0].line}: ${problems[0].message}. The form shows the last state that could be read.`;
        editor.mark(problems);
        return;
      }
      if (mappingOf(value) !== value) {
        this.problem = "A template is a mapping of names to values.";
        return;
      }
      this.problem = "";
      shownDocument = value;
      builder.change(() => value, "source");
      shownDocument = state.document;
    },
    mark(errors) {
      if (this.problem || !editor) return;
      const text = editor.text();
      editor.mark(errors.map((each) => ({ line: tools.lineOf(text, pathOf(each.pointer, state.document)), message: each.message })));
    },
    choose(language) {
      if (language === this.language) return;
      this.language = language;
      editor?.setLanguage(language);
      if (!this.problem) editor?.setText(this.written(state.document));
    },
    chosen(language) { return this.language === language ? "true" : "false"; },
    get lines() { return state.errors.slice(0, 50); },
    get hasProblems() { return state.errors.length > 0; },
    go(problem) { editor?.goToLine(tools.lineOf(editor.text(), pathOf(problem.pointer, state.document))); },
    download() {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([editor.text()], { type: "text/plain" }));
      link.download = `${builder.page.slug}.${this.language === "yaml" ? "yaml" : "json"}`;
      link.click();
      URL.revokeObjectURL(link.href);
    },
  }));
}

/** A pointer as a path of keys and numbers. */
function pathOf(pointer, document) {
  let node = document;
  return pointerParts(pointer).map((part) => {
    const key = Array.isArray(node) ? Number(part) : part;
    node = node?.[key];
    return key;
  });
}

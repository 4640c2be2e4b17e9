// The text editor of the console: CodeMirror 6 for YAML and JSON, and reading and writing of YAML.
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { json } from "@codemirror/lang-json";
import { yaml } from "@codemirror/lang-yaml";
import { bracketMatching, foldGutter, foldKeymap, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { LineCounter, parseDocument, stringify } from "yaml";

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--accent)" },
  { tag: [tags.string, tags.content], color: "var(--text)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "var(--warn)" },
  { tag: tags.comment, color: "var(--dim)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.bracket], color: "var(--dim)" },
]);

const look = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--card)", fontSize: "12.5px" },
  "&.cm-focused": { outline: "none" },
  ".cm-content": { caretColor: "var(--text)", fontFamily: "var(--mono)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--card)", color: "var(--dim)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--soft) 55%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 25%, transparent)",
  },
  ".cm-tooltip, .cm-panels": { backgroundColor: "var(--card)", color: "var(--text)", border: "1px solid var(--line)" },
  ".cm-diagnostic": { fontFamily: "var(--font)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--soft)", color: "var(--dim)", border: "none" },
});

/** Make an editor inside `parent`. `onChange(text)` is called for what a person types, not for `setText`. */
export function createEditor({ parent, text, language, label, nonce, onChange }) {
  const languages = { json: json(), yaml: yaml() };
  const chosen = new Compartment();
  let quiet = false;
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        EditorView.cspNonce.of(nonce),
        EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
        EditorView.lineWrapping,
        EditorState.tabSize.of(2),
        chosen.of(languages[language]),
        lineNumbers(), foldGutter(), history(), drawSelection(), indentOnInput(), bracketMatching(),
        highlightActiveLine(), highlightSelectionMatches(), lintGutter(),
        syntaxHighlighting(colours), look,
        keymap.of([...defaultKeymap, ...historyKeymap, ...foldKeymap, ...searchKeymap]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !quiet) onChange(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    setText(next) {
      if (next === view.state.doc.toString()) return;
      quiet = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
      quiet = false;
    },
    setLanguage(name) {
      view.dispatch({ effects: chosen.reconfigure(languages[name]) });
    },
    /** Mark problems: `[{line, message}]`, lines from 1. */
    mark(problems) {
      const diagnostics = problems.map(({ line, message }) => {
        const found = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines));
        return { from: found.from, to: found.to, severity: "error", message };
      });
      view.dispatch(setDiagnostics(view.state, diagnostics));
    },
    goToLine(line) {
      const found = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines));
      view.dispatch({ selection: { anchor: found.from }, scrollIntoView: true });
      view.focus();
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

/** Read YAML (or JSON, which is YAML): `{value, problems: [{line, message}]}`; no value where there are problems. */
export function readYaml(text) {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: true, uniqueKeys: true, version: "1.2" });
  const problems = document.errors.map((error) => ({
    line: lines.linePos(error.pos[0]).line,
    message: error.message.split("\n")[0],
  }));
  if (problems.length) return { value: undefined, problems };
  try {
    return { value: document.toJS({ maxAliasCount: 100 }), problems };
  } catch (error) {
    return { value: undefined, problems: [{ line: 1, message: error.message }] };
  }
}

/** The line, from 1, where the value of a path of keys and indexes stands; 1 where there is none. */
export function lineOf(text, path) {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true);
    if (node?.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

export function writeYaml(value) {
  return stringify(value, { lineWidth: 110, version: "1.2", aliasDuplicateObjects: false });
}

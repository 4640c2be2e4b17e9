// The parameters of an operation: a table whose path parameters follow the path.
import { focusSoon } from "../lib/page.js";
import { documentWith, listOf, mappingOf, pointerOf, textOf } from "../lib/pointer.js";
import { pathRenamed, placeholdersOf, withoutDangling, withPath } from "./paths.js";
import { problemsBeneath, sentenceOf } from "./problems.js";

const INPUTS = ".rows.parameters > .grid";

/** Rows of a table that was pasted: CSV or TSV, header lines ("Name: value"), or a query string; null for other text. */
export function pastedRows(text) {
  const trimmed = text.trim();
  const lines = trimmed.split(/\r?\n/).filter((line) => line.trim());
  if (lines.length === 1 && /^[^\s=&?]*\??[^\s=&]+=[^&]*(&[^=&]+=[^&]*)+$/.test(trimmed)) {
    return [...new URLSearchParams(trimmed.slice(trimmed.indexOf("?") + 1))]
      .map(([name, sample]) => ({ name, location: "query", sample }));
  }
  if (lines.length < 2) return null;
  if (lines.every((line) => /^[\w-]+:\s/.test(line))) {
    return lines.map((line) => ({ name: line.slice(0, line.indexOf(":")), location: "header", sample: line.slice(line.indexOf(":") + 1).trim() }));
  }
  const separator = lines.every((line) => line.includes("\t")) ? "\t" : lines.every((line) => line.includes(",")) ? "," : null;
  if (!separator) return null;
  const cells = lines.map((line) => line.split(separator).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1")));
  if (/^name$/i.test(cells[0][0])) cells.shift();
  return cells.map(([name, location, type, required, description]) => ({
    name,
    location: ["query", "path", "header", "body"].includes(location) ? location : "query",
    type: ["string", "number", "integer", "boolean", "array", "object"].includes(type) ? type : "string",
    required: /^(true|yes|1|required)$/i.test(required ?? ""),
    description: description ?? "",
  }));
}

export function registerParameters(Alpine, builder) {
  const { state } = builder;
  const rows = () => listOf(builder.operation.parameters);
  const changeOperation = (next, group) => builder.change(
    (document) => documentWith(document, pointerOf("operations", state.selected), next(mappingOf(document.operations[state.selected]))), group,
  );
  const changeRows = (next) => changeOperation((operation) => ({ ...operation, parameters: next(listOf(operation.parameters)) }));

  Alpine.data("pathField", () => ({
    take(event) { changeOperation((operation) => withPath(operation, event.target.value), builder.at("path")); },
    leave() {
      const tidy = withoutDangling(builder.operation);
      if (tidy !== builder.operation) changeOperation(() => tidy, builder.at("path"));
    },
  }));

  Alpine.data("parameters", () => ({
    opened: {},
    get rows() { return rows(); },
    get none() { return !rows().length; },
    get total() { return rows().length; },
    at(index, part) { return builder.at("parameters", index, part); },
    name(index) { return textOf(mappingOf(rows()[index]).name); },
    isPath(index) { return mappingOf(rows()[index]).location === "path"; },
    isBody(index) { return mappingOf(rows()[index]).location === "body"; },
    /** A name that stands in the path is renamed there too. */
    rename(index, event) {
      const from = this.name(index);
      const to = event.target.value;
      const inPath = this.isPath(index) && from && to && placeholdersOf(builder.operation.path).includes(from);
      changeOperation((operation) => {
        const next = documentWith(operation, pointerOf("parameters", index, "name"), to);
        const sample = mappingOf(operation.sample);
        if (from in sample) {
          next.sample = Object.fromEntries(Object.entries(sample).map(([name, value]) => [name === from ? to : name, value]));
        }
        return inPath ? { ...next, path: pathRenamed(operation.path, from, to) } : next;
      }, this.at(index, "name"));
    },
    setLocation(index, event) {
      const location = event.target.value;
      changeRows((all) => all.map((each, at) => (at !== index ? each
        : { ...each, location, ...(location === "path" ? { required: true } : {}) })));
    },
    add() {
      changeRows((all) => [...all, { name: "", location: "query", type: "string", required: false, description: "" }]);
      focusSoon(`${INPUTS} input`, document.querySelector(`${INPUTS}:last-of-type`) ?? document);
      focusSoon(`${INPUTS}:last-of-type .name input`);
    },
    remove(index) {
      const { name } = mappingOf(rows()[index]);
      changeOperation((operation) => {
        const { [name]: _sample, ...sample } = mappingOf(operation.sample);
        return { ...operation, parameters: listOf(operation.parameters).toSpliced(index, 1), ...(operation.sample ? { sample } : {}) };
      });
      builder.toast(name ? `Parameter ${name} removed.` : "Parameter removed.", { undo: true });
      focusSoon(rows().length ? `${INPUTS}:nth-of-type(${Math.min(index, rows().length - 1) + 2}) .remove` : "#add-parameter");
    },
    onKey(index, event) {
      if (event.altKey && ["ArrowUp", "ArrowDown"].includes(event.key)) {
        event.preventDefault();
        const to = index + (event.key === "ArrowUp" ? -1 : 1);
        if (to < 0 || to >= rows().length) return;
        const { pointer } = event.target.dataset;
        changeRows((all) => all.toSpliced(index, 1).toSpliced(to, 0, all[index]));
        if (pointer) focusSoon(`[data-pointer="${pointer.replace(`/parameters/${index}/`, `/parameters/${to}/`)}"]`);
      } else if (event.key === "Enter" && event.target.matches(".description input") && index === rows().length - 1) {
        event.preventDefault();
        this.add();
      }
    },
    paste(index, event) {
      const found = pastedRows(event.clipboardData.getData("text"));
      if (!found) return;
      event.preventDefault();
      changeOperation((operation) => {
        const present = listOf(operation.parameters);
        const taken = new Set(present.map((each) => mappingOf(each).name).filter(Boolean));
        const fresh = found.filter(({ name }) => name && !taken.has(name));
        const samples = Object.fromEntries(fresh.filter((each) => each.sample).map((each) => [each.name, each.sample]));
        const made = fresh.map(({ sample: _sample, ...each }) => ({ type: "string", required: false, description: "", ...each }));
        const at = mappingOf(present[index]).name ? index + 1 : index;
        const parameters = present.toSpliced(at, at === index ? 1 : 0, ...made);
        return { ...operation, parameters, ...(Object.keys(samples).length ? { sample: { ...mappingOf(operation.sample), ...samples } } : {}) };
      });
      builder.toast(`${found.length} rows pasted.`, { undo: true });
    },
    moreShown(index) { return this.opened[`${state.selected}/${index}`] === true; },
    toggleMore(index) { this.opened[`${state.selected}/${index}`] = !this.moreShown(index); },
    moreWords(index) { return this.moreShown(index) ? "Less" : "More"; },
    problem(index) {
      const cells = ["name", "location", "type", "required", "description", "default", "enum", "schema"];
      const prefix = builder.at("parameters", index);
      const shown = cells.map((cell) => `${prefix}/${cell}`);
      return problemsBeneath(builder.errors, prefix).filter((each) => !shown.includes(each.pointer)).map(sentenceOf).join(" ");
    },
  }));
}

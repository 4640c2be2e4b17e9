// Overview: who the external system is.
import { announce } from "../lib/page.js";
import { at, call } from "../lib/api.js";
import { slugFrom } from "../lib/words.js";
import { sentenceOf, tabOf } from "./problems.js";

const MAX_ICON_BYTES = 256 * 1024;
const TABS_WITH_PROBLEMS = { overview: "Overview", auth: "Auth & Credentials", operations: "Operations", resilience: "Resilience" };

export function registerOverview(Alpine, builder) {
  const { state } = builder;

  Alpine.data("overview", () => ({
    iconProblem: "",
    renaming: false,
    newSlug: "",
    slugProblem: "",
    get icon() { return builder.text("/icon"); },
    get hasIcon() { return this.icon.startsWith("data:image/"); },
    get initial() { return (builder.title.trim()[0] ?? "?").toUpperCase(); },
    async takeIcon(event) {
      const file = event.target.files[0];
      event.target.value = "";
      if (!file) return;
      if (!["image/png", "image/svg+xml"].includes(file.type)) {
        this.iconProblem = `${file.name} is no PNG or SVG. Choose an image of one of these kinds.`;
      } else if (file.size > MAX_ICON_BYTES) {
        this.iconProblem = `${file.name} has ${Math.ceil(file.size / 1024)} KB; up to 256 KB are taken. Choose a smaller one.`;
      } else {
        this.iconProblem = "";
        const reader = new FileReader();
        reader.addEventListener("load", () => builder.write("/icon", reader.result));
        reader.readAsDataURL(file);
      }
      if (this.iconProblem) announce(this.iconProblem);
    },
    pickIcon() { this.$refs.iconFile.click(); },
    removeIcon() { builder.write("/icon", undefined); },

    get slug() { return builder.page.slug; },
    get fixed() { return Boolean(state.connector?.versions?.length); },
    beginRename() {
      this.newSlug = slugFrom(builder.title);
      this.renaming = true;
      this.slugProblem = "";
    },
    cancelRename() { this.renaming = false; },
    /** Another slug is another draft: a copy under the new one, and the old one deleted. */
    async rename() {
      const slug = this.newSlug.trim();
      if (slug === builder.page.slug) {
        this.renaming = false;
        return;
      }
      try {
        if (!(await builder.autosave.now())) throw new Error("The draft is not saved yet. Save it first.");
        await call("POST", `${at("connectors", builder.page.slug)}/duplicate`, {
          body: { new_slug: slug, name: builder.title, owner: builder.page.owner },
        });
        await call("DELETE", at("connectors", builder.page.slug), {
          headers: { "If-Match": state.etag }, query: { owner: builder.page.owner },
        });
        location.assign(`/connectors/${slug}/overview`);
      } catch (error) {
        this.slugProblem = error.message;
      }
    },

    get problems() {
      return [...state.errors.map((each) => ({ ...each, tone: "bad" })), ...state.warnings.map((each) => ({ ...each, tone: "warn" }))];
    },
    get none() { return !this.problems.length; },
    tabWords(problem) { return TABS_WITH_PROBLEMS[tabOf(problem.pointer)]; },
    sentence(problem) { return sentenceOf(problem); },
    go(problem) { builder.goTo(problem.pointer || "/name"); },
    get steps() {
      const done = {
        name: builder.text("/name") && builder.text("/description"),
        address: builder.text("/base_url"),
        auth: builder.text("/auth_type"),
        operations: builder.operations.length,
        tested: state.connector?.latest_version,
      };
      return [
        { key: "name", words: "Name and description", tab: "overview", done: Boolean(done.name) },
        { key: "address", words: "Base URL", tab: "overview", done: Boolean(done.address) },
        { key: "auth", words: "How requests are authenticated", tab: "auth", done: Boolean(done.auth) && !builder.errorsOn("auth") },
        { key: "operations", words: "At least one operation", tab: "operations", done: Boolean(done.operations) && !builder.errorsOn("operations") },
        { key: "publish", words: "Tested and published", tab: "publish", done: Boolean(done.tested) },
      ];
    },
    stepMark(step) { return step.done ? "Done" : "To do"; },
    stepClass(step) { return step.done ? "pill ok" : "pill dim"; },
    goStep(step) { builder.open(step.tab); },
  }));
}

// A new connector: blank, from a text, or as a copy of another.
import { at, call, getJson } from "../lib/api.js";
import { slugFrom } from "../lib/words.js";

export function create() {
  return {
    name: "",
    slug: "",
    ownSlug: false,
    type: "General",
    start: "blank",
    text: "",
    copied: "",
    connectors: [],
    problem: "",
    busy: false,
    get isText() { return this.start === "text"; },
    get isCopy() {
      if (this.start === "copy" && !this.asked) this.loadConnectors();
      return this.start === "copy";
    },
    get words() { return this.busy ? "Creating" : "Create connector"; },
    async loadConnectors() {
      this.asked = true;
      this.connectors = (await getJson("/connectors", { limit: 500 }).catch(() => ({ connectors: [] }))).connectors;
    },
    setName(event) {
      this.name = event.target.value;
      if (!this.ownSlug) this.slug = slugFrom(this.name);
    },
    setSlug(event) {
      this.slug = event.target.value;
      this.ownSlug = this.slug !== "";
    },
    /** The name that stands in a pasted text, until the person has typed one. */
    readName() {
      const found = /^\s*"?name"?\s*:\s*"?([^"\n,]+)/m.exec(this.text);
      if (found && !this.named) {
        this.name = found[1].trim();
        if (!this.ownSlug) this.slug = /^\s*"?slug"?\s*:\s*"?([a-z0-9-]+)/m.exec(this.text)?.[1] ?? slugFrom(this.name);
      }
    },
    async make() {
      this.problem = "";
      if (!this.name.trim() && this.start !== "copy") {
        this.problem = "A connector needs a name. Give it the one that people know the system by.";
      } else if (!this.slug) {
        this.problem = "No slug can be made from this name. Write one with the letters a to z.";
      }
      if (this.problem) return;
      this.busy = true;
      const owner = this.$refs.owner.value;
      try {
        if (this.start === "copy") {
          await call("POST", `${at("connectors", this.copied.trim())}/duplicate`, { body: { new_slug: this.slug, owner, ...(this.name.trim() ? { name: this.name.trim() } : {}) } });
        } else {
          await call("PUT", `${at("connectors", this.slug)}/draft`, { body: await this.document(), query: { owner }, headers: { "If-None-Match": "*" } });
        }
        location.assign(`/connectors/${this.slug}/overview?owner=${owner}`);
      } catch (error) {
        this.problem = error.message;
        this.busy = false;
      }
    },
    async document() {
      const own = { name: this.name.trim(), slug: this.slug };
      if (this.start !== "text") return { ...own, type: this.type, description: "", base_url: "", auth_type: "none", operations: [], resilience: {} };
      const checked = await call("POST", "/templates/check", { body: { source: this.text } });
      if (!checked.document) throw new Error(checked.errors[0]?.message ?? "This is no template.");
      return { ...checked.document, ...own };
    },
  };
}

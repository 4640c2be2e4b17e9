// The Builder's page.
import Alpine from "vendor/alpine.js";
import { registerAuth } from "./builder/auth.js";
import { Builder } from "./builder/builder.js";
import { registerFields } from "./builder/fields.js";
import { registerOperations } from "./builder/operations.js";
import { registerOverview } from "./builder/overview.js";
import { registerParameters } from "./builder/parameters.js";
import { registerPublishing } from "./builder/publishing.js";
import { registerResilience } from "./builder/resilience.js";
import { registerResponses } from "./builder/responses.js";
import { registerRevisions } from "./builder/revisions.js";
import { Runs } from "./builder/runs.js";
import { registerShell } from "./builder/shell.js";
import { registerSource } from "./builder/source.js";
import { registerTesting } from "./builder/testing.js";
import { pageData, themeSwitch } from "./lib/page.js";

const builder = new Builder(Alpine, pageData());
const runs = new Runs(Alpine, builder);

Alpine.data("themeSwitch", themeSwitch);
registerFields(Alpine, builder);
registerShell(Alpine, builder);
registerOverview(Alpine, builder);
registerAuth(Alpine, builder);
registerOperations(Alpine, builder);
registerParameters(Alpine, builder);
registerResponses(Alpine, builder);
registerResilience(Alpine, builder);
registerTesting(Alpine, builder, runs);
registerPublishing(Alpine, builder);
registerSource(Alpine, builder);
registerRevisions(Alpine, builder);
Alpine.start();

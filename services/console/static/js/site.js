// Every page but the Builder's.
import Alpine from "vendor/alpine.js";
import { themeSwitch } from "./lib/page.js";
import { calls, registerPlot } from "./site/calls.js";
import { catalogue } from "./site/catalogue.js";
import { connection, connections, newConnection } from "./site/connections.js";
import { connector } from "./site/connector.js";
import { create } from "./site/create.js";
import { review, reviews } from "./site/reviews.js";
import { signIn, signOut } from "./site/sign_in.js";
import { audit, status } from "./site/system.js";

const components = {
  audit, calls, catalogue, connection, connections, connector, create, newConnection, review, reviews, signIn, signOut, status, themeSwitch,
};
for (const [name, component] of Object.entries(components)) Alpine.data(name, component);
registerPlot(Alpine);
Alpine.start();
document.documentElement.dataset.ready = "true";

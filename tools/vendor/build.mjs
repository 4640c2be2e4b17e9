// Copies and bundles what the console ships of others, and writes down what it is: `node build.mjs OUTPUT TESTS`.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const [output, tests] = process.argv.slice(2);
const installed = JSON.parse(readFileSync("node_modules/.package-lock.json", "utf8")).packages;

function described(name) {
  const at = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(join(at, "package.json"), "utf8"));
  return { package: name, version, integrity: installed[at].integrity, licence: license };
}

function licenceText(name) {
  for (const file of ["LICENSE", "LICENSE.md", "LICENSE.txt"]) {
    try {
      return readFileSync(join("node_modules", name, file), "utf8").trim();
    } catch {
      continue;
    }
  }
  return "";
}

function put(folder, file, content, packages) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, file), content);
  return { file, sha256: createHash("sha256").update(content).digest("hex"), packages: packages.map(described) };
}

function write(folder, files) {
  const names = [...new Set(files.flatMap((each) => each.packages.map((one) => one.package)))].sort();
  const texts = names.map((name) => `${name}\n${"-".repeat(name.length)}\n${licenceText(name)}\n`);
  writeFileSync(join(folder, "LICENCES.txt"), texts.join("\n"));
  writeFileSync(join(folder, "vendor.json"), `${JSON.stringify({ files }, null, 2)}\n`);
}

const bundled = await build({
  entryPoints: ["editor.js"], bundle: true, format: "esm", minify: true, write: false, metafile: true,
  legalComments: "none", target: "es2022",
});
const inEditor = [...new Set(Object.keys(bundled.metafile.inputs)
  .map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1]).filter(Boolean))].sort();
const fonts = "node_modules/@fontsource-variable/inter/files";

write(output, [
  put(output, "alpine.js", readFileSync("node_modules/@alpinejs/csp/dist/module.esm.min.js"), ["@alpinejs/csp"]),
  put(output, "editor.js", bundled.outputFiles[0].contents, inEditor),
  put(output, "inter-latin.woff2", readFileSync(`${fonts}/inter-latin-wght-normal.woff2`), ["@fontsource-variable/inter"]),
  put(output, "inter-latin-ext.woff2", readFileSync(`${fonts}/inter-latin-ext-wght-normal.woff2`), ["@fontsource-variable/inter"]),
]);
write(tests, [put(tests, "axe.min.js", readFileSync("node_modules/axe-core/axe.min.js"), ["axe-core"])]);

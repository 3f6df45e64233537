// Copies the players from node_modules into dist, where the binary embeds them, with their licences. Fails when a file is
// not the one whose integrity players.json states, since the same value guards the copy on the CDN.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
mkdirSync(dist, { recursive: true });
const licences = new Set();
for (const { file, package: name, version, path, integrity } of JSON.parse(readFileSync(join(here, "players.json"), "utf8"))) {
  const root = join(here, "node_modules", name);
  const installed = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;
  if (installed !== version) throw new Error(`${name} is ${installed}, players.json wants ${version}: run npm ci`);
  const digest = "sha384-" + createHash("sha384").update(readFileSync(join(root, path))).digest("base64");
  if (digest !== integrity) throw new Error(`${name} ${path} is ${digest}, players.json wants ${integrity}`);
  copyFileSync(join(root, path), join(dist, file));
  if (licences.has(name)) continue;
  licences.add(name);
  for (const licence of ["LICENSE", "LICENSE.md"]) {
    if (existsSync(join(root, licence))) copyFileSync(join(root, licence), join(dist, `${name}.LICENSE.txt`));
  }
}

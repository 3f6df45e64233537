// Plays URLs in headless Chromium, all at once, each in a page of its own, and prints one line of JSON per job.
//
// Usage: node play.mjs '{"seconds":60,"startTimeoutMs":20000,"jobs":[{"name":"hls","player":"hlsjs","url":"http://..."}]}'
//
// Players: hlsjs, dashjs, mss (dash.js with its MSS part), shaka, and page (a page that plays by itself; "url" is the page's).
// The exit status is 0 when every job could be run; whether one played well is in its report.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { dirname, join } from "node:path";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const libraries = {
  hlsjs: ["hls.js/dist/hls.min.js"],
  dashjs: ["dashjs/dist/modern/umd/dash.mediaplayer.min.js"],
  mss: ["dashjs/dist/modern/umd/dash.mediaplayer.min.js", "dashjs/dist/modern/umd/dash.mss.min.js"],
  shaka: ["shaka-player/dist/shaka-player.compiled.js"],
};

// serve offers the player page and the libraries on a port of the kernel's choice.
async function serve() {
  const files = new Map([["/player.html", "player.html"], ["/measure.js", "measure.js"]]);
  for (const list of Object.values(libraries)) for (const f of list) files.set("/" + f, join("node_modules", f));
  const server = createServer(async (req, res) => {
    const file = files.get(req.url);
    if (!file) return res.writeHead(404).end();
    const type = file.endsWith(".html") ? "text/html" : "text/javascript";
    res.writeHead(200, { "Content-Type": type }).end(await readFile(join(here, file)));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return server;
}

// play runs one job in a page of its own and returns its report.
async function play(browser, origin, job, spec) {
  const context = await browser.newContext({ viewport: { width: 360, height: 220 } });
  const page = await context.newPage();
  const refused = [], complaints = [];
  page.on("response", (r) => { if (r.status() >= 400) refused.push(r.status() + " " + r.url()); });
  page.on("requestfailed", (r) => complaints.push(r.failure()?.errorText + " " + r.url()));
  page.on("pageerror", (e) => complaints.push(String(e)));
  const seconds = job.seconds ?? spec.seconds, timeout = job.startTimeoutMs ?? spec.startTimeoutMs ?? 20000;
  let report;
  try {
    if (job.player === "page") {
      report = await watchPage(page, job.url, seconds, timeout);
    } else {
      await page.goto(origin + "/player.html");
      for (const f of libraries[job.player]) await page.addScriptTag({ url: "/" + f });
      report = await page.evaluate((a) => run(...a), [job.player, job.url, seconds, timeout]);
    }
    if (job.screenshot) await page.screenshot({ path: job.screenshot });
  } finally {
    await context.close();
  }
  return { name: job.name, player: job.player, url: job.url, ...report, refused: refused.slice(0, 50), complaints: complaints.slice(0, 50) };
}

// watchPage measures the first <video> of a page that plays by itself.
async function watchPage(page, url, seconds, timeout) {
  // From the page's own origin, since its Content-Security-Policy may allow nothing else.
  await page.route("**/measure.js", (route) => route.fulfill({ path: join(here, "measure.js"), contentType: "text/javascript" }));
  await page.goto(url);
  await page.waitForSelector("video", { state: "attached", timeout });
  await page.addScriptTag({ url: new URL("measure.js", url).href });
  return page.evaluate(
    ([s, t]) => measure(document.querySelector("video"), newReport(), s, t, performance.now()), [seconds, timeout]);
}

const spec = JSON.parse(process.argv[2]);
const server = await serve();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required", "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
  ],
});
try {
  const origin = "http://127.0.0.1:" + server.address().port;
  await Promise.all(spec.jobs.map(async (job) => {
    console.log(JSON.stringify(await play(browser, origin, job, spec)));
  }));
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
}

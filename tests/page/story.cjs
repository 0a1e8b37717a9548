// The page in a browser, on a job with a model and a slow output: what people do with it, and what they must not be able to do.
//
//   node story.cjs BINARY FOLDER      CHROMIUM names the browser; screenshots go to FOLDER

const assert = require("node:assert");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const { chromium } = require("playwright-core");

const [binary, shots] = process.argv.slice(2);
const TOKEN = "anna-0123456789abcdef";
const models = path.join(__dirname, "../models");

// A hostile name: were it markup anywhere, it would run.
const HOSTILE = "<img src=x onerror=hacked=1>";

// Takes rows, and one in 400 only after a third of a second: that record is the slow one.
function receiver() {
  let taken = 0;
  const server = http.createServer((request, answer) => {
    request.resume();
    request.on("end", () => {
      taken += 1;
      setTimeout(() => answer.end(), taken % 400 === 0 ? 350 : 0);
    });
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

async function started(folder, port) {
  fs.writeFileSync(path.join(folder, "tokens"), `anna ${TOKEN}\n`);
  fs.copyFileSync(path.join(models, "steady-1.onnx"), path.join(folder, "fraud.onnx"));
  fs.writeFileSync(path.join(folder, "job.sql"), `SET jobName = 'payments';
SET checkpointLocation = '${folder}/checkpoints';
SET checkpointInterval = '200 ms';
CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '300', numPartitions '2');
CREATE MODEL fraud USING onnx OPTIONS (path '${folder}/fraud.onnx');
CREATE TABLE hook USING http OPTIONS (url 'http://127.0.0.1:${port}/rows', headers 'X-Note: ${HOSTILE}');
CREATE TABLE counted USING noop;
INSERT INTO hook SELECT value, '${HOSTILE}' AS note, predict('fraud', named_struct('amount', value)) AS score FROM ticks;
SET outputMode = 'update';
INSERT INTO counted SELECT value % 50 AS card, count(*) AS many FROM ticks GROUP BY value % 50;
`);
  const arguments_ = ["run", "job.sql", "--http", "127.0.0.1:0", "--token-file", "tokens"];
  const job = spawn(binary, arguments_, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  const url = await new Promise((done, failed) => {
    job.stderr.on("data", (data) => {
      said += data;
      const found = /metrics and probes at (http:\S+)/.exec(said);
      if (found) done(found[1]);
    });
    job.on("exit", () => failed(new Error(`the job ended: ${said}`)));
  });
  return { job, url, said: () => said };
}

// As with the mouse, without it.
async function press(target) {
  await target.focus();
  await target.page().keyboard.press("Enter");
}

const FIRST_PAINT_MS = 300;
const SLOW_LINK_MS = 1000;
// Beside other tests a machine of two processors is slower than the page: THALWEG_PAGE_PATIENCE=1 holds the aims themselves.
const PATIENCE = Number(process.env.THALWEG_PAGE_PATIENCE ?? 5);

// The page once more over 1.6 Mbit/s with 150 ms for a round trip, nothing cached: when the job's state stands there. The best of some
// tries, as what else runs on the machine only adds.
async function onASlowLink(page) {
  const link = await page.context().newCDPSession(page);
  await link.send("Network.enable");
  await link.send("Network.setCacheDisabled", { cacheDisabled: true });
  const speed = { downloadThroughput: 1.6e6 / 8, uploadThroughput: 0.75e6 / 8 };
  await link.send("Network.emulateNetworkConditions", { offline: false, latency: 150, ...speed });
  const tries = [];
  for (let number = 0; number < 3; number += 1) {
    await page.reload({ waitUntil: "commit" });
    await page.waitForFunction(() => document.querySelector("#section-hook")?.innerText.includes("running"), null, { polling: 10 });
    tries.push(await page.evaluate(() => performance.now()));
  }
  await link.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await link.detach();
  return Math.min(...tries);
}

async function story(page, url, said) {
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => { if (/Content Security Policy|TypeError/.test(message.text())) wrong.push(message.text()); });
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));

  // A token is asked for; a wrong one is refused, the right one opens the page. Keyboard only.
  await page.goto(url);
  await page.locator("#token-dialog[open]").waitFor();
  await page.keyboard.type("wrong-0123456789abcdef");
  await page.keyboard.press("Enter");
  await page.getByText("not one of the file").waitFor();
  await page.keyboard.type(TOKEN);
  await page.keyboard.press("Enter");
  const hook = page.locator("#section-hook");
  await hook.getByText("running", { exact: true }).waitFor();
  await page.getByText("live", { exact: true }).waitFor();

  // First paint, as the browser measures it.
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  const usable = await onASlowLink(page);
  console.log(`first paint ${Math.round(paint)} ms, usable over 1.6 Mbit/s and 150 ms in ${Math.round(usable)} ms`);
  assert.ok(paint <= FIRST_PAINT_MS * PATIENCE, `first paint after ${paint} ms`);
  assert.ok(usable <= SLOW_LINK_MS * PATIENCE, `usable after ${usable} ms`);
  await page.getByText("live", { exact: true }).waitFor();

  // The slow record: its place, and that the delivery took the time.
  const slow = hook.getByRole("row", { name: /ticks\/[01] at \d+.*delivery: ([3-9]\d\d\.\d\d ms|\d+\.\d\d s)/ }).first();
  await slow.waitFor({ timeout: 60000 });
  console.log(`the slow record: ${await slow.innerText()}`);

  // A step says what it does, by keyboard.
  const step = hook.locator("svg g[role=button]").nth(1);
  await step.focus();
  await page.keyboard.press("Enter");
  assert.equal(await step.getAttribute("aria-pressed"), "true");
  assert.match(await hook.locator(".shown").innerText(), /project|predict/);
  await page.locator("#section-counted").getByText(/50 keys/).first().waitFor();

  // All by keyboard. Pause: nothing is read any more, and the page says so. Resume: it goes on.
  const total = () => page.evaluate(async () => {
    const answer = await fetch("/metrics");
    return Number(/thalweg_records_in_total\{query="hook"\} (\d+)/.exec(await answer.text())[1]);
  });
  await press(hook.getByRole("button", { name: "Pause" }));
  await hook.getByText("paused", { exact: true }).waitFor();
  const stood = await total();
  await page.waitForFunction((at) => Number(document.documentElement.dataset.shown) > at + 2500, Date.now());
  assert.equal(await total(), stood);
  await page.screenshot({ path: path.join(shots, "paused.png"), fullPage: true });
  await press(hook.getByRole("button", { name: "Resume" }));
  await hook.getByText("running", { exact: true }).waitFor();
  await page.waitForFunction((at) => Number(document.documentElement.dataset.shown) > at + 1500, Date.now());
  assert.ok(await total() > stood);

  // Another version of the model (its file is chosen in the browser's own dialog), one that does not fit, and back.
  const model = page.locator("#models");
  await model.getByLabel("Another version").setInputFiles(path.join(models, "steady-2.onnx"));
  await press(model.getByRole("button", { name: "Swap" }));
  await model.getByText("version steady-2 is in force").waitFor();
  await model.getByLabel("Another version").setInputFiles(path.join(models, "other_input.onnx"));
  await press(model.getByRole("button", { name: "Swap" }));
  await model.locator("output").getByText("amount").waitFor();
  await press(model.getByRole("button", { name: "Roll back" }));
  await model.getByText("version fraud is in force").waitFor();
  for (const line of ["what query hook, before not paused, after paused", "what model fraud"]) {
    assert.ok(said().includes(`who anna, ${line}`), line);
  }

  // Light and dark, wide and narrow.
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => { details.open = true; }));
  await page.screenshot({ path: path.join(shots, "light.png"), fullPage: true });
  await press(page.getByRole("button", { name: "Dark" }));
  assert.ok(await page.evaluate(() => document.documentElement.classList.contains("dark")));
  await page.screenshot({ path: path.join(shots, "dark.png"), fullPage: true });
  await page.setViewportSize({ width: 420, height: 800 });
  await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth);
  await page.screenshot({ path: path.join(shots, "narrow.png") });

  // What is written in the job is text and nothing else; nobody else was asked; the secret is not shown.
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator("main img").count(), 0);
  assert.deepEqual(asked.filter((address) => !address.startsWith(url)), []);
  assert.ok(!said().includes(TOKEN));
  assert.deepEqual(wrong, []);
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "thalweg-page-"));
  const server = await receiver();
  const { job, url, said } = await started(folder, server.address().port);
  const ended = new Promise((done) => job.on("exit", done));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu"],
  });
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  page.setDefaultTimeout(20000);
  try {
    await story(page, url, said);
    console.log("the story of the page: as told");
  } catch (error) {
    await page.screenshot({ path: path.join(shots, "failed.png"), fullPage: true });
    console.error(said().split("\n").filter((line) => !line.includes("progress")).slice(-20).join("\n"));
    console.error(error);
    process.exitCode = 1;
  } finally {
    await browser.close();
    job.kill("SIGTERM");
    await ended;
    server.close();
    server.closeAllConnections();
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

main().catch((error) => { console.error(error); process.exit(1); });

// What a person would look at: the page loads without an error, its numbers move, a plan is shown before a
// switchover, and a server that is killed is shown as down within two seconds.
"use strict";
const { chromium } = require("playwright-core");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const assert = require("node:assert");

const report = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const images = process.argv[3];
const url = `http://${report.host}:${report.http_port}/`;

// Traffic, with the client that is there.
function load() {
  const text = "SELECT SLEEP(0.004); SELECT 1; DO 0; SELECT COUNT(*) FROM information_schema.character_sets; SELECT 2;\n".repeat(20000);
  const client = spawn("mysql", [`-h${report.host}`, `-P${report.port}`, `-u${report.user}`, `-p${report.password}`, "--force", report.database], { stdio: ["pipe", "ignore", "ignore"] });
  client.stdin.on("error", () => {});
  client.on("error", () => {});
  client.stdin.end(text);
  return client;
}

(async () => {
  const clients = [load(), load(), load()];
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  const errors = [];
  const open = async options => {
    const page = await (await browser.newContext(options)).newPage();
    page.on("console", message => message.type() === "error" && errors.push(message.text()));
    page.on("pageerror", error => errors.push(String(error)));
    await page.addInitScript(token => sessionStorage.setItem("splitrail.token", token), report.http_token);
    await page.goto(url);
    return page;
  };
  try {
    const desk = await open({ viewport: { width: 1380, height: 1040 }, colorScheme: "light" });
    await desk.getByText("all servers up").waitFor({ timeout: 20000 });
    const statements = () => desk.locator("#glance dd").first().innerText();
    await desk.waitForFunction(() => /[1-9]/.test(document.querySelector("#glance dd").textContent), null, { timeout: 15000 });
    const first = await statements();
    await desk.waitForFunction(old => document.querySelector("#glance dd").innerText !== old, first, { timeout: 15000 });
    const phone = await open({ viewport: { width: 390, height: 844 }, colorScheme: "dark", deviceScaleFactor: 2 });
    await phone.getByText("all servers up").waitFor({ timeout: 20000 });
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
    assert(wide <= 390, `the page is ${wide} wide on a phone of 390`);
    await desk.getByRole("button", { name: "Make db2 the primary" }).click();
    await desk.locator("dialog ol.plan li").first().waitFor({ timeout: 5000 });
    await desk.keyboard.press("Escape");
    await desk.locator("dialog").waitFor({ state: "hidden" });
    if (images) {
      await desk.waitForTimeout(45000);
      await desk.screenshot({ path: `${images}/dashboard.png` });
      await phone.screenshot({ path: `${images}/dashboard-phone.png` });
    }
    const victim = report.servers.find(server => server.name === "db3");
    const killed = Date.now();
    process.kill(victim.pid, "SIGKILL");
    await desk.locator('g[data-server="db3"][data-condition="down"]').waitFor({ timeout: 10000 });
    const took = Date.now() - killed;
    console.log(`a dead server was shown after ${took} ms`);
    assert(took < 2000 || process.env.SLOW, `it took ${took} ms`);
    assert.deepStrictEqual(errors, []);
    console.log("the dashboard works");
  } finally {
    clients.forEach(client => client.kill());
    await browser.close();
  }
})().catch(error => { console.error(error); process.exit(1); });

// What a person would do: the page loads without an error and moves, a statement is explained, a switchover is clicked
// through with its plan shown first, and a server that is killed is shown as down within two seconds.
"use strict";
const { chromium } = require("playwright-core");
const { spawn, execFileSync } = require("node:child_process");
const fs = require("node:fs");
const assert = require("node:assert");

const report = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const images = process.argv[3];
const url = `http://${report.host}:${report.http_port}/`;
const options = [`-h${report.host}`, `-P${report.port}`, `-u${report.user}`, `-p${report.password}`, report.database];

const SCHEMA = `
CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(40), city VARCHAR(40), KEY (city));
CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, customer INT NOT NULL, total DECIMAL(10, 2), placed DATETIME, KEY (customer));
INSERT INTO customers WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i, CONCAT('customer ', i), CONCAT('city ', i MOD 20) FROM n;
INSERT INTO orders (customer, total, placed) SELECT id, id * 3, NOW() FROM customers;`;

// A shop's traffic, in small portions: mostly reads.
function load(pause) {
  const client = spawn("mysql", ["--force", ...options], { stdio: ["pipe", "ignore", "ignore"] });
  const some = most => 1 + Math.floor(Math.random() * most);
  const kinds = [
    [40, () => `SELECT id, name, city FROM customers WHERE id = ${some(500)};`],
    [25, () => `SELECT id, total, placed FROM orders WHERE customer = ${some(500)} ORDER BY placed DESC LIMIT 10;`],
    [12, () => `SELECT c.name, SUM(o.total) FROM customers c JOIN orders o ON o.customer = c.id WHERE c.city = 'city ${some(19)}' GROUP BY c.name;`],
    [8, () => `INSERT INTO orders (customer, total, placed) VALUES (${some(500)}, ${some(90)}, NOW());`],
    [6, () => `BEGIN; SELECT total FROM orders WHERE id = ${some(500)} FOR UPDATE; UPDATE orders SET total = total + 1 WHERE id = ${some(500)}; COMMIT;`],
    [5, () => `SELECT COUNT(*) FROM orders WHERE placed > NOW() - INTERVAL 1 DAY;`],
  ];
  const all = kinds.reduce((sum, [share]) => sum + share, 0);
  const one = () => { let at = Math.random() * all; return kinds.find(([share]) => (at -= share) < 0)[1](); };
  const timer = setInterval(() => client.stdin.write(Array.from({ length: 6 }, one).join("\n") + "\n"), pause);
  client.stdin.on("error", () => {});
  client.on("error", () => {});
  return { kill: () => { clearInterval(timer); client.kill(); } };
}

// A session that keeps its connection, and says why.
function hold() {
  const client = spawn("mysql", ["--force", "--unbuffered", ...options], { stdio: ["pipe", "ignore", "ignore"] });
  client.stdin.on("error", () => {});
  client.stdin.write("SELECT GET_LOCK('nightly report', 0);\nBEGIN;\nSELECT * FROM orders WHERE id = 1;\n");
  return client;
}

(async () => {
  execFileSync("mysql", options, { input: SCHEMA, stdio: ["pipe", "ignore", "inherit"] });
  const clients = [load(40), load(45), load(50), load(60)], holder = hold();
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  const errors = [];
  const open = async (options, start = "") => {
    const page = await (await browser.newContext(options)).newPage();
    page.on("console", message => message.type() === "error" && errors.push(message.text()));
    page.on("pageerror", error => errors.push(String(error)));
    await page.goto(url + start);
    return page;
  };
  try {
    const desk = await open({ viewport: { width: 1380, height: 1040 }, colorScheme: "light" }, `#token=${report.http_token}`);
    await desk.getByText("all servers up").waitFor({ timeout: 20000 });
    assert(!desk.url().includes(report.http_token), "the token stays in the address");
    const statements = () => desk.locator("#glance dd").first().innerText();
    await desk.waitForFunction(() => /[1-9]/.test(document.querySelector("#glance dd").textContent), null, { timeout: 15000 });
    const first = await statements();
    await desk.waitForFunction(old => document.querySelector("#glance dd").innerText !== old, first, { timeout: 15000 });

    const top = desk.locator("#digests tbody tr");
    await top.filter({ hasText: "FROM customers WHERE id = ?" }).first().waitFor({ timeout: 15000 });
    await desk.locator("#sessions").getByText("named lock").first().waitFor({ timeout: 15000 });
    await desk.getByRole("checkbox", { name: "holding only" }).check();
    await desk.waitForFunction(() => document.querySelectorAll("#sessions tbody tr").length < 5, null, { timeout: 5000 });
    await desk.getByRole("checkbox", { name: "holding only" }).uncheck();
    await top.filter({ hasText: "FROM customers WHERE id = ?" }).getByRole("button").first().click();
    await desk.locator("#explained").getByText("it only reads data").first().waitFor({ timeout: 5000 });
    await desk.evaluate(() => { document.getElementById("explain").statement.value = ""; document.getElementById("explained").replaceChildren(); });

    const phone = await open({ viewport: { width: 390, height: 844 }, colorScheme: "dark", deviceScaleFactor: 2 }, `#token=${report.http_token}`);
    await phone.getByText("all servers up").waitFor({ timeout: 20000 });
    await phone.locator("#digests tbody tr").first().waitFor({ timeout: 15000 });
    const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
    assert(wide <= 390, `the page is ${wide} wide on a phone of 390`);

    await desk.getByRole("button", { name: "Make db2 the primary" }).click();
    await desk.locator("dialog ol.plan li").first().waitFor({ timeout: 5000 });
    await desk.keyboard.press("Escape");
    await desk.locator("dialog").waitFor({ state: "hidden" });
    assert.strictEqual(await desk.locator('g[data-server="db1"][data-role="primary"]').count(), 1, "nothing has happened yet");
    if (images) {
      await desk.waitForTimeout(30000);
      await desk.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
      await desk.screenshot({ path: `${images}/dashboard.png`, fullPage: true });
      await desk.getByRole("button", { name: "Dark" }).click();
      await desk.evaluate(() => document.activeElement.blur());
      await desk.screenshot({ path: `${images}/dashboard-dark.png` });
      await desk.getByRole("button", { name: "Light" }).click();
      await phone.screenshot({ path: `${images}/dashboard-phone.png` });
    }

    // Its transaction would be waited for.
    holder.kill();
    await desk.locator("#sessions").getByText("named lock").waitFor({ state: "hidden", timeout: 15000 });
    await desk.getByRole("button", { name: "Make db2 the primary" }).click();
    await desk.locator("dialog ol.plan li").first().waitFor({ timeout: 5000 });
    if (images) await desk.screenshot({ path: `${images}/dashboard-plan.png` });
    await desk.getByRole("button", { name: "Switch over" }).click();
    await desk.locator("#dialog-why").getByText(/db2 is the primary; writes waited/).waitFor({ timeout: 30000 });
    console.log(await desk.locator("#dialog-why").innerText());
    await desk.getByRole("button", { name: "Close" }).click();
    await desk.locator('g[data-server="db2"][data-role="primary"][data-condition="up"]').waitFor({ timeout: 10000 });
    await desk.locator("#failovers details").getByText("switchover").first().waitFor({ timeout: 10000 });
    await desk.getByText("all servers up").waitFor({ timeout: 20000 });

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
    [...clients, holder].forEach(client => client.kill());
    await browser.close();
  }
})().catch(error => { console.error(error); process.exit(1); });

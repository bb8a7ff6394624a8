'use strict';
// Runs the tests of one folder against one server and tells each as it starts and ends (see
// harness/supervise.py). A test may also note what it saw; what was seen direct is what must be
// seen through the proxy, so that differences nobody thought to assert show as well.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const mysql = require('mysql2');
const promise = require('mysql2/promise');

const LIMIT = 45_000;
const events = fs.openSync(process.env.CLIENTS_EVENTS, 'a');
const done = new Set(fs.readFileSync(process.env.CLIENTS_DONE, 'utf8').split('\n'));
const settings = JSON.parse(process.env.CLIENTS_SETTINGS);
const expected = settings.expected && fs.existsSync(settings.expected) ? JSON.parse(fs.readFileSync(settings.expected)) : {};
const observed = fs.existsSync(settings.observed) ? JSON.parse(fs.readFileSync(settings.observed)) : {};

function tell(event) {
  fs.writeSync(events, JSON.stringify(event) + '\n');
}

function plain(value) {
  return JSON.parse(JSON.stringify(value, (key, item) => {
    if (typeof item === 'bigint') return `${item}n`;
    if (item && item.type === 'Buffer' && Array.isArray(item.data)) return `hex:${Buffer.from(item.data).toString('hex')}`;
    return item === undefined ? null : item;
  }));
}

// What a column's definition says, all but the bytes it came in.
function field(column) {
  const said = {};
  for (const key of ['name', 'orgName', 'table', 'orgTable', 'schema', 'db', 'characterSet', 'columnLength', 'columnType', 'type', 'flags', 'decimals', 'encoding']) {
    if (column[key] !== undefined) said[key] = column[key];
  }
  return said;
}

// One test's hands: connections that are closed for it, assertions, and what it noted.
class Test {
  constructor() {
    this.mariadb = settings.flavour === 'mariadb';
    this.settings = settings;
    this.assert = assert;
    this.mysql = mysql;
    this.promise = promise;
    this.seen = {};
    this.open = [];
  }

  options(more = {}) {
    const { host, port, user, password, database } = settings;
    return { host, port, user, password, database, connectTimeout: 20_000, ...more };
  }

  async connect(more) {
    const connection = await promise.createConnection(this.options(more));
    connection.on('error', () => {});
    this.open.push(() => connection.destroy());
    return connection;
  }

  pool(more) {
    const pool = promise.createPool(this.options(more));
    this.open.push(() => pool.end());
    return pool;
  }

  note(label, value) {
    this.seen[label] = plain(value);
  }

  // Notes rows or headers together with the columns' definitions.
  result(label, [rows, fields]) {
    const columns = Array.isArray(fields) ? fields.map((one) => (Array.isArray(one) ? one.map(field) : one && field(one))) : fields;
    this.note(label, { rows, columns });
    return rows;
  }

  async error(label, work) {
    try {
      await work;
    } catch (error) {
      const { errno, code, sqlState, message, fatal } = error;
      this.note(label, { errno, code, sqlState, message: message.replace(/\b\d{1,3}(\.\d{1,3}){3}(:\d+)?/g, 'ADDRESS'), fatal });
      return error;
    }
    assert.fail(`${label}: no error`);
  }

  async close() {
    for (const end of this.open.reverse()) {
      await Promise.race([Promise.resolve(end()).catch(() => {}), new Promise((next) => setTimeout(next, 2000).unref())]);
    }
  }
}

// Where two observations differ, in words that fit on a line.
function difference(before, now, place = '') {
  if (before === now) return [];
  const nested = (value) => value !== null && typeof value === 'object';
  if (!nested(before) || !nested(now)) {
    const short = (value) => String(JSON.stringify(value)).slice(0, 200);
    return [`${place}: direct ${short(before)}, now ${short(now)}`];
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...keys].flatMap((key) => difference(before[key], now[key], place ? `${place}.${key}` : key));
}

function within(limit, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${limit} ms`)), limit);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function one(name, body) {
  tell({ start: name });
  const test = new Test();
  let status = 'pass';
  let why = '';
  try {
    await within(LIMIT, body(test));
    observed[name] = test.seen;
    fs.writeFileSync(settings.observed, JSON.stringify(observed));
    const differ = expected[name] ? difference(expected[name], test.seen) : [];
    if (differ.length) throw new Error(differ.slice(0, 5).join('; '));
  } catch (error) {
    status = error.skip ? 'skip' : 'fail';
    why = String(error.message || error).replace(/\s+/g, ' ');
    console.error(name, error);
  }
  await test.close();
  tell({ end: name, status, why });
}

async function main() {
  const folder = path.join(__dirname, 'tests');
  for (const file of fs.readdirSync(folder).sort()) {
    const tests = require(path.join(folder, file));
    for (const [name, body] of Object.entries(tests)) {
      const full = `${path.basename(file, '.js')}: ${name}`;
      if (!done.has(full)) await one(full, body);
    }
  }
  tell({ finished: true });
  process.exit(0);
}

process.on('unhandledRejection', (error) => console.error('unhandled', error));
process.on('uncaughtException', (error) => console.error('uncaught', error));
main();

'use strict';
// Sizes: packets of and around 0xffffff in both directions, big parameters, plain, TLS, compressed.

const crypto = require('node:crypto');
const WHOLE = 0xffffff;
const WAYS = { plain: {}, compressed: { compress: true }, tls: { ssl: { rejectUnauthorized: false } }, both: { compress: true, ssl: { rejectUnauthorized: false } } };
const tests = {};

// MD5 is no longer a function of every server.
function digest(data) {
  return crypto.createHash('sha256').update(data).digest('hex');
}

for (const [way, options] of Object.entries(WAYS)) {
  tests[`results around 16 MiB, ${way}`] = async (t) => {
    const connection = await t.connect(options);
    // A row of one column of n bytes is n + 4 bytes long once it needs a four-byte length.
    for (const size of [WHOLE - 5, WHOLE - 4, WHOLE - 3, WHOLE, WHOLE * 2 - 4]) {
      const [[row]] = await connection.query(`SELECT REPEAT('x', ${size}) x`);
      t.assert.equal(row.x.length, size);
      const [[again]] = await connection.query('SELECT 1 one');
      t.assert.equal(again.one, 1);
    }
  };
  tests[`statements around 16 MiB, ${way}`] = async (t) => {
    const connection = await t.connect(options);
    const head = "SELECT SHA2('";
    const tail = "', 256) h";
    // Before the text comes the command, and with query attributes two bytes more. Of 0xffffff - 3 to
    // - 1 bytes this client makes two packets, the second of them one too many, which no server bears.
    const before = t.mariadb ? 1 : 3;
    // Compressed it errs for some more sizes.
    const sizes = options.compress ? [WHOLE - 100, WHOLE + 100, WHOLE * 2 + 100] : [WHOLE - 4, WHOLE, WHOLE + 1, WHOLE + 2, WHOLE * 2 - 4, WHOLE * 2, WHOLE * 2 + 1];
    for (const size of sizes) {
      const data = 'y'.repeat(size - before - head.length - tail.length);
      const [[row]] = await connection.query(head + data + tail);
      t.assert.equal(row.h, digest(data));
    }
  };
  tests[`parameters around 16 MiB, ${way}`] = async (t) => {
    const connection = await t.connect(options);
    const statement = await connection.prepare('SELECT SHA2(?, 256) h, LENGTH(?) l');
    for (const length of [WHOLE - 50, WHOLE - 15, WHOLE, WHOLE + 10]) {
      const data = crypto.randomBytes(length);
      const [[row]] = await statement.execute([data, 'x']);
      t.assert.equal(row.h, digest(data));
    }
  };
}

tests['a parameter of 64 MB'] = async (t) => {
  const connection = await t.connect();
  const data = Buffer.alloc(64 * 1024 * 1024, 'abc');
  const [[row]] = await connection.execute('SELECT SHA2(?, 256) h', [data]);
  t.assert.equal(row.h, digest(data));
};
tests['a value of 64 MB there and back'] = async (t) => {
  const connection = await t.connect();
  await connection.query('CREATE TEMPORARY TABLE large (b LONGBLOB)');
  const data = crypto.randomBytes(64 * 1024 * 1024);
  await connection.execute('INSERT INTO large VALUES (?)', [data]);
  const [[row]] = await connection.execute('SELECT b FROM large');
  t.assert.equal(digest(row.b), digest(data));
};
tests['more than max_allowed_packet'] = async (t) => {
  const admin = await t.connect();
  const [[{ size }]] = await admin.query('SELECT @@global.max_allowed_packet size');
  await admin.query('SET GLOBAL max_allowed_packet = 1048576');
  try {
    const connection = await t.connect();
    const [[row]] = await connection.query('SELECT @@max_allowed_packet m');
    if (row.m === 1048576) {
      let errno = 0;
      await connection.query(`SELECT LENGTH('${'x'.repeat(3 * 1048576)}')`).catch((error) => { errno = error.errno || error.code; });
      t.assert.ok(errno);
    }
    t.note('new sessions', row.m);
  } finally {
    await admin.query(`SET GLOBAL max_allowed_packet = ${size}`);
  }
};
tests['small packets in a row, compressed'] = async (t) => {
  const connection = await t.connect({ compress: true });
  for (const size of [0, 1, 49, 50, 51, 100, 1000, 16384, 65535, 65536]) {
    const data = crypto.randomBytes(size);
    const [[row]] = await connection.execute('SELECT HEX(?) v', [data]);
    t.assert.equal(row.v.toLowerCase(), data.toString('hex'));
  }
};
tests['statements of every small size'] = async (t) => {
  const connection = await t.connect();
  for (let size = 0; size < 600; size += 1) {
    const data = 'q'.repeat(size);
    const [[row]] = await connection.query(`SELECT '${data}' v`);
    t.assert.equal(row.v, data);
  }
  const [[row]] = await connection.query(`SELECT '${'é'.repeat(125)}' v`);
  t.assert.equal(row.v.length, 125);
};

module.exports = tests;

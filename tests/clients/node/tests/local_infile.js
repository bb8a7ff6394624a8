'use strict';
// LOAD DATA LOCAL INFILE: the one command in which the server asks and the client sends.

const { Readable } = require('node:stream');

async function load(t, source, more = {}, tail = '') {
  const connection = await t.connect(more.options);
  await connection.query('CREATE TEMPORARY TABLE loaded (a INT, b TEXT)');
  const sql = `LOAD DATA LOCAL INFILE 'any name' INTO TABLE loaded FIELDS TERMINATED BY ',' LINES TERMINATED BY '\\n'${tail}`;
  return { connection, work: connection.query({ sql, infileStreamFactory: source }) };
}

const rows = (count) => Readable.from((function* lines() {
  for (let n = 0; n < count; n += 1) yield Buffer.from(`${n},row number ${n}\n`);
})());

const tests = {
  async 'a few rows'(t) {
    const { connection, work } = await load(t, () => rows(3));
    t.result('loaded', await work);
    t.result('rows', await connection.query('SELECT * FROM loaded'));
  },
  async 'nothing at all'(t) {
    const { connection, work } = await load(t, () => Readable.from([]));
    t.result('loaded', await work);
    t.result('rows', await connection.query('SELECT COUNT(*) c FROM loaded'));
  },
  async 'warnings'(t) {
    const { connection, work } = await load(t, () => Readable.from([Buffer.from('1\n'), Buffer.from('x,y,z\n')]), {}, ' IGNORE 0 LINES');
    await work.then((result) => t.result('loaded', result), (error) => t.note('error', { errno: error.errno, message: error.message }));
    t.result('warnings', await connection.query('SHOW WARNINGS'));
  },
  async 'into a table that is not there'(t) {
    const connection = await t.connect();
    await t.error('no table', connection.query({ sql: "LOAD DATA LOCAL INFILE 'f' INTO TABLE no_such_table", infileStreamFactory: () => rows(5) }));
    t.result('alive', await connection.query('SELECT 1'));
  },
  async 'within several statements'(t) {
    const connection = await t.connect({ multipleStatements: true });
    await connection.query('CREATE TEMPORARY TABLE loaded (a INT, b TEXT)');
    t.result('all', await connection.query({ sql: "SELECT 1; LOAD DATA LOCAL INFILE 'f' INTO TABLE loaded FIELDS TERMINATED BY ','; SELECT COUNT(*) c FROM loaded", infileStreamFactory: () => rows(10) }));
  },
  async 'refused by the server'(t) {
    const admin = await t.connect();
    await admin.query('SET GLOBAL local_infile = 0');
    try {
      const { connection, work } = await load(t, () => rows(3));
      await t.error('refused', work);
      t.result('alive', await connection.query('SELECT 1'));
    } finally {
      await admin.query('SET GLOBAL local_infile = 1');
    }
  },
  async 'refused by the client'(t) {
    const connection = await t.connect({ flags: ['-LOCAL_FILES'] });
    await connection.query('CREATE TEMPORARY TABLE loaded (a INT, b TEXT)');
    await t.error('refused', connection.query({ sql: "LOAD DATA LOCAL INFILE 'f' INTO TABLE loaded", infileStreamFactory: () => rows(3) }));
  },
};

for (const [way, options] of Object.entries({ plain: {}, compressed: { compress: true }, tls: { ssl: { rejectUnauthorized: false } } })) {
  tests[`two hundred thousand rows, ${way}`] = async (t) => {
    const { connection, work } = await load(t, () => rows(200000), { options });
    t.result('loaded', await work);
    t.result('sum', await connection.query('SELECT COUNT(*) c, SUM(a) s, MAX(LENGTH(b)) m FROM loaded'));
  };
}

module.exports = tests;

'use strict';
// The binary protocol: statements' lives, parameters of every type, and what a change of schema does.

module.exports = {
  async 'prepared once, executed often'(t) {
    const connection = await t.connect();
    const statement = await connection.prepare('SELECT ? + ? AS total');
    for (let n = 0; n < 200; n += 1) {
      const [[row]] = await statement.execute([n, 1]);
      t.assert.equal(Number(row.total), n + 1);
    }
    await statement.close();
  },
  async 'five hundred open statements'(t) {
    const connection = await t.connect({ maxPreparedStatements: 1000 });
    for (let n = 0; n < 500; n += 1) {
      const [[row]] = await connection.execute(`SELECT ${n} AS n, ? AS p`, [n]);
      t.assert.equal(row.n, n);
    }
    for (let n = 0; n < 500; n += 50) {
      const [[row]] = await connection.execute(`SELECT ${n} AS n, ? AS p`, [n]);
      t.assert.equal(row.n, n);
    }
  },
  async 'more statements than the client keeps'(t) {
    const connection = await t.connect({ maxPreparedStatements: 8 });
    for (let n = 0; n < 100; n += 1) {
      const [[row]] = await connection.execute(`SELECT ${n % 20} AS n`);
      t.assert.equal(row.n, n % 20);
    }
  },
  async 'parameters change their type'(t) {
    const connection = await t.connect();
    const statement = await connection.prepare('SELECT ? AS v');
    const values = [1, 'text', 1.5, null, true, Buffer.from([0, 255]), new Date(Date.UTC(2026, 1, 3, 4, 5, 6)), { a: [1] }, '', -1, 'ü'.repeat(300), null];
    for (const [index, value] of values.entries()) {
      t.result(`value ${index}`, await statement.execute([value]));
    }
  },
  async 'wrong number of parameters'(t) {
    const connection = await t.connect();
    await t.error('too few', connection.execute('SELECT ?, ?', [1]));
    t.result('alive', await connection.query('SELECT 1'));
  },
  async 'errors when preparing'(t) {
    const connection = await t.connect();
    for (const text of ['SELEC ?', 'SELECT * FROM no_such_table WHERE a = ?', 'SELECT 1; SELECT 2', '']) await t.error(text || 'empty', connection.prepare(text));
    t.result('alive', await connection.execute('SELECT 1 one'));
  },
  async 'errors when executing'(t) {
    const connection = await t.connect();
    await connection.query('CREATE TEMPORARY TABLE strict_one (a TINYINT NOT NULL PRIMARY KEY)');
    const statement = await connection.prepare('INSERT INTO strict_one VALUES (?)');
    await statement.execute([1]);
    await t.error('duplicate', statement.execute([1]));
    await t.error('range', statement.execute([1000]));
    await t.error('null', statement.execute([null]));
    t.result('after', await statement.execute([2]));
    t.result('rows', await connection.execute('SELECT * FROM strict_one'));
  },
  async 'the table changes under a statement'(t) {
    const connection = await t.connect();
    const other = await t.connect();
    await connection.query('DROP TABLE IF EXISTS changing');
    await connection.query("CREATE TABLE changing (a INT, b VARCHAR(10) DEFAULT 'b')");
    await connection.query('INSERT INTO changing (a) VALUES (1)');
    const statement = await connection.prepare('SELECT * FROM changing WHERE a = ?');
    t.result('before', await statement.execute([1]));
    await other.query('ALTER TABLE changing ADD c INT DEFAULT 3, MODIFY b TEXT');
    t.result('after', await statement.execute([1]));
    await other.query('ALTER TABLE changing DROP b');
    t.result('after drop', await statement.execute([1]));
    await other.query('DROP TABLE changing');
    await t.error('gone', statement.execute([1]));
  },
  async 'the schema changes under a statement'(t) {
    const connection = await t.connect();
    await connection.query('CREATE DATABASE IF NOT EXISTS node_other');
    const statement = await connection.prepare('SELECT DATABASE() d');
    t.result('first', await statement.execute([]));
    await connection.query('USE node_other');
    t.result('second', await statement.execute([]));
    await connection.query('DROP DATABASE node_other');
  },
  async 'variables change under a statement'(t) {
    const connection = await t.connect();
    const statement = await connection.prepare("SELECT @@sql_mode m, @@time_zone z, @v v, NOW() > '2020-01-01' n");
    t.result('first', await statement.execute([]));
    await connection.query("SET sql_mode = 'ANSI', time_zone = '+05:30', @v = 7");
    t.result('second', await statement.execute([]));
  },
  async 'statements that are prepared though they return nothing'(t) {
    const connection = await t.connect();
    await connection.execute('DROP TABLE IF EXISTS bin_made');
    t.result('create', await connection.execute('CREATE TABLE bin_made (id INT PRIMARY KEY AUTO_INCREMENT, a INT)'));
    t.result('insert', await connection.execute('INSERT INTO bin_made (a) VALUES (?), (?)', [1, 2]));
    t.result('update', await connection.execute('UPDATE bin_made SET a = ?', [2]));
    t.result('set', await connection.execute('SET @q = ?', [4]));
    t.result('begin', await connection.query('START TRANSACTION'));
    t.result('commit', await connection.execute('COMMIT'));
    t.result('drop', await connection.execute('DROP TABLE bin_made'));
  },
  async 'a thousand parameters'(t) {
    const connection = await t.connect();
    const values = Array.from({ length: 1000 }, (_, n) => (n % 3 ? n : n % 2 ? null : `s${n}`));
    const [[row]] = await connection.execute(`SELECT ${values.map((_, n) => `? AS c${n}`).join(', ')}`, values);
    t.assert.equal(Object.keys(row).length, 1000);
    t.assert.equal(row.c4, 4);
    t.assert.equal(row.c3, null);
  },
  async 'sixty-five thousand parameters'(t) {
    const connection = await t.connect();
    const values = Array.from({ length: 65535 }, (_, n) => n % 7);
    const [[row]] = await connection.execute(`SELECT COUNT(*) c FROM (SELECT 1 WHERE 1 IN (${values.map(() => '?')})) x`, values);
    t.assert.equal(row.c, 1);
    await t.error('one too many', connection.execute(`SELECT 1 IN (${values.map(() => '?')}, ?)`, [...values, 1]));
  },
  async 'streams of binary rows'(t) {
    const connection = await t.connect();
    await connection.query(t.mariadb ? 'SET max_recursive_iterations = 200000' : 'SET cte_max_recursion_depth = 200000');
    const stream = connection.connection.execute('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i FROM n', [30000]).stream({ highWaterMark: 7 });
    let rows = 0;
    for await (const row of stream) rows += row.i > 0 ? 1 : 0;
    t.assert.equal(rows, 30000);
  },
  async 'two connections, the same text'(t) {
    const [one, two] = [await t.connect(), await t.connect()];
    await one.query('SET @who = 1');
    await two.query('SET @who = 2');
    for (let n = 0; n < 20; n += 1) {
      const [[[a]], [[b]]] = await Promise.all([one.execute('SELECT @who w, ? n', [n]), two.execute('SELECT @who w, ? n', [n])]);
      t.assert.deepEqual([Number(a.w), Number(b.w), Number(a.n)], [1, 2, n]);
    }
  },
};

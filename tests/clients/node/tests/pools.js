'use strict';
// Pools as applications use them: many sessions at once, handed round, ended in the middle.

module.exports = {
  async 'two thousand statements over twenty connections'(t) {
    const pool = t.pool({ connectionLimit: 20 });
    const all = await Promise.all(Array.from({ length: 2000 }, (_, n) => (n % 2 ? pool.query(`SELECT ${n} n`) : pool.execute('SELECT ? n', [n]))));
    t.assert.ok(all.every(([[row]], n) => Number(row.n) === n));
  },
  async 'a hundred connections, each with its own state'(t) {
    const pool = t.pool({ connectionLimit: 100 });
    const all = await Promise.all(Array.from({ length: 100 }, () => pool.getConnection()));
    await Promise.all(all.map((one, n) => one.query(`SET @own = ${n}, SESSION group_concat_max_len = ${1000 + n}`)));
    for (let round = 0; round < 3; round += 1) {
      const seen = await Promise.all(all.map((one) => one.query('SELECT @own o, @@group_concat_max_len g, CONNECTION_ID() c')));
      seen.forEach(([[row]], n) => t.assert.deepEqual([Number(row.o), row.g, row.c], [n, 1000 + n, all[n].threadId]));
    }
    all.forEach((one) => one.release());
  },
  async 'transactions at once'(t) {
    const pool = t.pool({ connectionLimit: 20 });
    await pool.query('DROP TABLE IF EXISTS till');
    await pool.query('CREATE TABLE till (id INT PRIMARY KEY, amount INT)');
    await pool.query('INSERT INTO till VALUES (1, 0)');
    await Promise.all(Array.from({ length: 200 }, async () => {
      const connection = await pool.getConnection();
      await connection.beginTransaction();
      const [[row]] = await connection.query('SELECT amount FROM till WHERE id = 1 FOR UPDATE');
      await connection.execute('UPDATE till SET amount = ? WHERE id = 1', [row.amount + 1]);
      await connection.commit();
      connection.release();
    }));
    t.result('sum', await pool.query('SELECT amount FROM till'));
    await pool.query('DROP TABLE till');
  },
  async 'own writes are read at once'(t) {
    const pool = t.pool({ connectionLimit: 10 });
    await pool.query('DROP TABLE IF EXISTS own_writes');
    await pool.query('CREATE TABLE own_writes (id INT PRIMARY KEY AUTO_INCREMENT, v INT)');
    await Promise.all(Array.from({ length: 10 }, async () => {
      const connection = await pool.getConnection();
      for (let n = 0; n < 50; n += 1) {
        const [header] = await connection.execute('INSERT INTO own_writes (v) VALUES (?)', [n]);
        const [[row]] = await connection.execute('SELECT v FROM own_writes WHERE id = ?', [header.insertId]);
        t.assert.equal(row.v, n);
        const [[last]] = await connection.query('SELECT LAST_INSERT_ID() id');
        t.assert.equal(last.id, header.insertId);
      }
      connection.release();
    }));
    await pool.query('DROP TABLE own_writes');
  },
  async 'connections ended in the middle'(t) {
    const pool = t.pool({ connectionLimit: 10 });
    for (let round = 0; round < 30; round += 1) {
      const connection = await pool.getConnection();
      connection.query('SELECT SLEEP(0.1), REPEAT("x", 100000)').catch(() => {});
      connection.destroy();
    }
    const [[row]] = await pool.query('SELECT 1 one');
    t.assert.equal(row.one, 1);
  },
  async 'cluster of two pools'(t) {
    const cluster = t.promise.createPoolCluster();
    t.open.push(() => cluster.end());
    cluster.add('A', t.options());
    cluster.add('B', t.options());
    for (const name of ['A', 'B', '*']) {
      const connection = await cluster.getConnection(name);
      const [[row]] = await connection.query('SELECT 1 one');
      t.assert.equal(row.one, 1);
      connection.release();
    }
  },
};

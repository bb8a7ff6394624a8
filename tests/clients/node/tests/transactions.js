'use strict';
// Transactions: what is seen, what is undone, how they fail.

async function table(t, connection) {
  await connection.query('DROP TABLE IF EXISTS ledger');
  await connection.query('CREATE TABLE ledger (id INT PRIMARY KEY, amount INT) ENGINE=InnoDB');
  await connection.query('INSERT INTO ledger VALUES (1, 100), (2, 100)');
}

module.exports = {
  async 'commit and rollback'(t) {
    const [one, two] = [await t.connect(), await t.connect()];
    await table(t, one);
    t.result('begin', await one.query('BEGIN'));
    t.result('write', await one.query('UPDATE ledger SET amount = 50 WHERE id = 1'));
    t.result('own', await one.query('SELECT * FROM ledger'));
    t.result('other', await two.query('SELECT * FROM ledger'));
    t.result('rollback', await one.query('ROLLBACK'));
    t.result('undone', await one.query('SELECT * FROM ledger'));
    await one.beginTransaction();
    await one.execute('UPDATE ledger SET amount = ? WHERE id = ?', [70, 2]);
    await one.commit();
    t.result('other then', await two.query('SELECT * FROM ledger'));
  },
  async 'autocommit off'(t) {
    const [one, two] = [await t.connect(), await t.connect()];
    await table(t, one);
    t.result('off', await one.query('SET autocommit = 0'));
    t.result('read', await one.query('SELECT * FROM ledger'));
    await two.query('UPDATE ledger SET amount = 1 WHERE id = 1');
    t.result('repeatable', await one.query('SELECT * FROM ledger'));
    await one.query('COMMIT');
    t.result('fresh', await one.query('SELECT * FROM ledger'));
    await one.query('UPDATE ledger SET amount = 2 WHERE id = 1');
    t.result('on commits', await one.query('SET autocommit = 1'));
    t.result('other', await two.query('SELECT * FROM ledger'));
  },
  async 'savepoints'(t) {
    const connection = await t.connect();
    await table(t, connection);
    await connection.query('START TRANSACTION');
    await connection.query('UPDATE ledger SET amount = 1');
    await connection.query('SAVEPOINT here');
    await connection.query('UPDATE ledger SET amount = 2');
    await connection.query('ROLLBACK TO SAVEPOINT here');
    t.result('rows', await connection.query('SELECT * FROM ledger'));
    await t.error('unknown', connection.query('ROLLBACK TO SAVEPOINT nowhere'));
    await connection.query('RELEASE SAVEPOINT here');
    await connection.query('COMMIT');
  },
  async 'isolation levels'(t) {
    const [one, two] = [await t.connect(), await t.connect()];
    for (const level of ['READ UNCOMMITTED', 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE']) {
      await table(t, one);
      await one.query(`SET TRANSACTION ISOLATION LEVEL ${level}`);
      await one.query('START TRANSACTION');
      await one.query('SELECT * FROM ledger WHERE id = 1');
      await two.query('SET innodb_lock_wait_timeout = 1');
      await two.query('BEGIN');
      await two.query('UPDATE ledger SET amount = 7 WHERE id = 1').catch((error) => t.note(`${level} lock`, error.errno));
      t.result(`${level} dirty`, await one.query('SELECT amount FROM ledger WHERE id = 1'));
      await two.query('COMMIT');
      t.result(`${level} again`, await one.query('SELECT amount FROM ledger WHERE id = 1'));
      await one.query('COMMIT');
    }
    await one.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY');
    t.result('session', await one.query(t.mariadb ? 'SELECT @@tx_isolation i, @@tx_read_only r' : 'SELECT @@transaction_isolation i, @@transaction_read_only r'));
  },
  async 'read only'(t) {
    const connection = await t.connect();
    await table(t, connection);
    await connection.query('START TRANSACTION READ ONLY');
    const error = await t.error('refused', connection.query('UPDATE ledger SET amount = 1'));
    t.assert.equal(error.errno, 1792);
    t.result('status', await connection.query('SELECT 1'));
    await connection.query('COMMIT');
    t.result('snapshot', await connection.query('START TRANSACTION WITH CONSISTENT SNAPSHOT'));
    await connection.query('ROLLBACK');
  },
  async 'a deadlock'(t) {
    const [one, two] = [await t.connect(), await t.connect()];
    await table(t, one);
    await one.query('BEGIN');
    await two.query('BEGIN');
    await one.query('UPDATE ledger SET amount = 1 WHERE id = 1');
    await two.query('UPDATE ledger SET amount = 2 WHERE id = 2');
    const results = await Promise.allSettled([one.query('UPDATE ledger SET amount = 1 WHERE id = 2'), two.query('UPDATE ledger SET amount = 2 WHERE id = 1')]);
    const failed = results.filter((result) => result.status === 'rejected').map((result) => result.reason);
    t.assert.equal(failed.length, 1);
    t.note('error', { errno: failed[0].errno, state: failed[0].sqlState, message: failed[0].message });
    await one.query('COMMIT');
    await two.query('COMMIT');
  },
  async 'a lock wait that takes too long'(t) {
    const [one, two] = [await t.connect(), await t.connect()];
    await table(t, one);
    await one.query('BEGIN');
    t.result('for update', await one.query('SELECT * FROM ledger WHERE id = 1\nFOR UPDATE'));
    await two.query('SET innodb_lock_wait_timeout = 1');
    await t.error('timeout', two.query('UPDATE ledger SET amount = 9 WHERE id = 1'));
    await t.error('nowait', two.query('SELECT * FROM ledger WHERE id = 1 FOR UPDATE NOWAIT'));
    t.result('skip', await two.query('SELECT * FROM ledger WHERE id <= 2 FOR UPDATE SKIP LOCKED'));
    await one.query('ROLLBACK');
  },
  async 'implicit commits'(t) {
    const [one, two] = [await t.connect(), await t.connect()];
    await table(t, one);
    await one.query('BEGIN');
    await one.query('UPDATE ledger SET amount = 3');
    await one.query('CREATE TABLE IF NOT EXISTS commits_implicitly (a INT)');
    t.result('seen', await two.query('SELECT * FROM ledger'));
    t.result('nothing to undo', await one.query('ROLLBACK'));
    await one.query('DROP TABLE commits_implicitly');
    await one.query('BEGIN');
    await one.query('UPDATE ledger SET amount = 4');
    t.result('begin again', await one.query('BEGIN'));
    t.result('seen again', await two.query('SELECT * FROM ledger'));
    await one.query('ROLLBACK');
  },
  async 'chain and release'(t) {
    const connection = await t.connect();
    await table(t, connection);
    await connection.query('BEGIN');
    t.result('chain', await connection.query('COMMIT AND CHAIN'));
    await connection.query('UPDATE ledger SET amount = 5');
    t.result('rollback chain', await connection.query('ROLLBACK AND CHAIN NO RELEASE'));
    await connection.query('COMMIT');
    await connection.query('BEGIN');
    await connection.query('COMMIT RELEASE');
    await t.error('gone', connection.query('SELECT 1').then(() => t.assert.fail('still there')));
  },
  async 'XA'(t) {
    const connection = await t.connect();
    await table(t, connection);
    await connection.query("XA START 'suite'");
    await connection.query('UPDATE ledger SET amount = 6 WHERE id = 1');
    t.result('end', await connection.query("XA END 'suite'"));
    t.result('prepare', await connection.query("XA PREPARE 'suite'"));
    t.result('recover', await connection.query('XA RECOVER'));
    t.result('commit', await connection.query("XA COMMIT 'suite'"));
    t.result('rows', await connection.query('SELECT * FROM ledger'));
    await t.error('unknown', connection.query("XA COMMIT 'never'"));
  },
  async 'a client gone in a transaction'(t) {
    const [one, two] = [await t.connect(), await t.connect()];
    await table(t, two);
    await one.query('BEGIN');
    await one.query('UPDATE ledger SET amount = 0');
    one.destroy();
    await two.query('SET innodb_lock_wait_timeout = 10');
    t.result('freed', await two.query('UPDATE ledger SET amount = amount + 1'));
    t.result('undone', await two.query('SELECT * FROM ledger'));
  },
  async 'a quit in a transaction'(t) {
    const [one, two] = [await t.connect(), await t.connect()];
    await table(t, two);
    await one.query('BEGIN');
    await one.query('UPDATE ledger SET amount = 0');
    await one.end();
    await two.query('SET innodb_lock_wait_timeout = 10');
    t.result('undone', await two.query('SELECT * FROM ledger FOR UPDATE'));
  },
};

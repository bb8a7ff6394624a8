'use strict';
// What a session keeps between statements, and what it loses when it is told to.

module.exports = {
  async 'user variables of every type'(t) {
    const connection = await t.connect();
    await connection.query("SET @i = 1, @s = 'ü', @d = 1.5, @n = NULL, @f = 1e3, @b = X'00ff', @j = JSON_OBJECT('a', 1)");
    t.result('variables', await connection.query('SELECT @i, @s, @d, @n, @f, @b, @j, @never'));
    t.result('assigned in a select', await connection.query('SELECT @i := @i + 5 x'));
    t.result('after', await connection.query('SELECT @i'));
    t.result('into', await connection.query('SELECT 8, 9 INTO @x, @y'));
    t.result('from into', await connection.query('SELECT @x, @y'));
  },
  async 'system variables'(t) {
    const connection = await t.connect();
    const sets = ["sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", "time_zone = '-03:00'", 'SESSION sort_buffer_size = 524288', '@@session.lock_wait_timeout = 77', "NAMES latin1 COLLATE latin1_bin",
      'CHARACTER SET utf8mb4', 'group_concat_max_len = 99', 'max_statement_time = 30', 'max_execution_time = 30000', 'foreign_key_checks = OFF', 'unique_checks = 0', 'SQL_SAFE_UPDATES = 1', 'div_precision_increment = 7',
      "lc_time_names = 'de_DE'", 'auto_increment_increment = 3', 'timestamp = 1700000000', 'insert_id = 500', 'rand_seed1 = 5, rand_seed2 = 6'];
    for (const text of sets) {
      try {
        t.result(text, await connection.query(`SET ${text}`));
      } catch (error) {
        t.note(text, { errno: error.errno, message: error.message });
      }
    }
    t.result('now', await connection.query('SELECT @@sql_mode, @@time_zone, @@sort_buffer_size, @@lock_wait_timeout, @@character_set_client, @@collation_connection, @@group_concat_max_len, @@foreign_key_checks, @@unique_checks, @@sql_safe_updates, @@auto_increment_increment, NOW() n'));
    t.result('quotes', await connection.query('SELECT "sql_mode" = \'a\\b\' FROM (SELECT 1 AS "sql_mode") x'));
    t.result('day', await connection.query("SELECT DATE_FORMAT('2026-03-01', '%W %M') w, 1/3 third, RAND() r"));
    t.result('other session', await (await t.connect()).query('SELECT @@sql_mode, @@time_zone, @@foreign_key_checks'));
  },
  async 'temporary tables'(t) {
    const connection = await t.connect();
    await connection.query('CREATE TEMPORARY TABLE mine (a INT)');
    await connection.execute('INSERT INTO mine VALUES (?)', [1]);
    t.result('rows', await connection.query('SELECT * FROM mine'));
    await t.error('not of others', (await t.connect()).query('SELECT * FROM mine'));
    await connection.query('DROP TEMPORARY TABLE mine');
    await t.error('gone', connection.query('SELECT * FROM mine'));
  },
  async 'a temporary table made in a procedure'(t) {
    const connection = await t.connect();
    await connection.query('DROP PROCEDURE IF EXISTS makes_one');
    await connection.query('CREATE PROCEDURE makes_one() BEGIN CREATE TEMPORARY TABLE made_inside (a INT); INSERT INTO made_inside VALUES (42); END');
    await connection.execute('CALL makes_one()');
    for (let n = 0; n < 5; n += 1) t.result(`rows ${n}`, await connection.query('SELECT * FROM made_inside'));
  },
  async 'GET_LOCK'(t) {
    const [one, two] = [await t.connect(), await t.connect()];
    t.result('got', await one.query("SELECT GET_LOCK('suite', 1) l"));
    t.result('not got', await two.query("SELECT GET_LOCK('suite', 0) l, IS_FREE_LOCK('suite') f"));
    await one.query('SELECT 1');
    t.result('still not', await two.query("SELECT GET_LOCK('suite', 0) l"));
    t.result('released', await one.query("SELECT RELEASE_LOCK('suite') r"));
    t.result('got then', await two.query("SELECT GET_LOCK('suite', 1) l"));
    await two.end();
    t.result('free at the end', await one.query("SELECT GET_LOCK('suite', 5) l"));
  },
  async 'LOCK TABLES'(t) {
    const [one, two] = [await t.connect(), await t.connect()];
    await one.query('DROP TABLE IF EXISTS locked_one');
    await one.query('CREATE TABLE locked_one (a INT)');
    await one.query('LOCK TABLES locked_one WRITE');
    await one.query('INSERT INTO locked_one VALUES (1)');
    await t.error('not locked', one.query('SELECT * FROM mysql.user LIMIT 1'));
    await two.query('SET lock_wait_timeout = 1');
    await t.error('waits', two.query('SELECT * FROM locked_one'));
    await one.query('UNLOCK TABLES');
    t.result('rows', await two.query('SELECT * FROM locked_one'));
    await one.query('DROP TABLE locked_one');
  },
  async 'LAST_INSERT_ID, ROW_COUNT and FOUND_ROWS'(t) {
    const connection = await t.connect();
    await connection.query('CREATE TEMPORARY TABLE numbered (id INT PRIMARY KEY AUTO_INCREMENT, a INT)');
    await connection.query('INSERT INTO numbered (a) VALUES (1), (2), (3)');
    t.result('count', await connection.query('SELECT ROW_COUNT() c'));
    t.result('id', await connection.query('SELECT LAST_INSERT_ID() id'));
    await connection.execute('INSERT INTO numbered (a) VALUES (?)', [4]);
    t.result('id prepared', await connection.execute('SELECT LAST_INSERT_ID() AS other_name'));
    t.result('set', await connection.query('SELECT LAST_INSERT_ID(1234) id'));
    t.result('get', await connection.query('SELECT LAST_INSERT_ID() id'));
    await connection.query('SELECT SQL_CALC_FOUND_ROWS * FROM numbered LIMIT 1');
    t.result('found', await connection.query('SELECT FOUND_ROWS() f'));
    await connection.query('UPDATE numbered SET a = LAST_INSERT_ID(a + 100) WHERE id = 1');
    t.result('by update', await connection.query('SELECT LAST_INSERT_ID() id, @@last_insert_id l, @@identity i'));
  },
  async 'warnings and diagnostics'(t) {
    const connection = await t.connect();
    t.result('cast', await connection.query("SELECT CAST('12x' AS SIGNED) n, 1/0 z"));
    t.result('warnings', await connection.query('SHOW WARNINGS'));
    t.result('count', await connection.query('SHOW COUNT(*) WARNINGS'));
    t.result('variables', await connection.query('SELECT @@warning_count w, @@error_count e'));
    await connection.query('SELECT * FROM no_such_table').catch(() => {});
    t.result('errors', await connection.query('SHOW ERRORS'));
    await connection.query('SELECT * FROM no_such_table').catch(() => {});
    t.result('diagnostics', await connection.query('GET DIAGNOSTICS CONDITION 1 @state = RETURNED_SQLSTATE, @text = MESSAGE_TEXT'));
    t.result('read', await connection.query('SELECT @state, @text'));
    await connection.execute("SELECT CAST('13y' AS SIGNED) n");
    t.result('warnings of prepared', await connection.query('SHOW WARNINGS'));
  },
  async 'USE and COM_INIT_DB'(t) {
    const connection = await t.connect();
    await connection.query('CREATE DATABASE IF NOT EXISTS node_second');
    t.result('use', await connection.query('USE node_second'));
    t.result('now', await connection.query('SELECT DATABASE() d'));
    await connection.query('CREATE TABLE IF NOT EXISTS here (a INT)');
    t.result('unqualified', await connection.query('SELECT COUNT(*) c FROM here'));
    await connection.query('DROP DATABASE node_second');
    t.result('none', await connection.query('SELECT DATABASE() d'));
  },
  async 'text PREPARE'(t) {
    const connection = await t.connect();
    await connection.query("PREPARE adds FROM 'SELECT ? + ? AS total'");
    await connection.query('SET @a = 1, @b = 2');
    for (let n = 0; n < 3; n += 1) t.result(`total ${n}`, await connection.query('EXECUTE adds USING @a, @b'));
    await connection.query('DEALLOCATE PREPARE adds');
    await t.error('gone', connection.query('EXECUTE adds USING @a, @b'));
    await connection.query("PREPARE sets FROM 'SET @@session.group_concat_max_len = 64'");
    await connection.query('EXECUTE sets');
    t.result('set inside', await connection.query('SELECT @@group_concat_max_len g'));
  },
  async 'HANDLER'(t) {
    const connection = await t.connect();
    await connection.query('DROP TABLE IF EXISTS handled');
    await connection.query('CREATE TABLE handled (a INT PRIMARY KEY)');
    await connection.query('INSERT INTO handled VALUES (1), (2), (3)');
    await connection.query('HANDLER handled OPEN');
    t.result('first', await connection.query('HANDLER handled READ FIRST'));
    t.result('next', await connection.query('HANDLER handled READ NEXT'));
    await connection.query('HANDLER handled CLOSE');
    await t.error('closed', connection.query('HANDLER handled READ NEXT'));
    await connection.query('DROP TABLE handled');
  },
  async 'reset connection'(t) {
    const connection = await t.connect();
    await connection.query("SET @left = 1, sql_mode = '', time_zone = '+01:00', autocommit = 0");
    await connection.query('CREATE TEMPORARY TABLE left_over (a INT)');
    await connection.query("SELECT GET_LOCK('reset', 1)");
    const id = connection.threadId;
    await connection.reset();
    t.assert.equal((await connection.query('SELECT CONNECTION_ID() id'))[0][0].id, id);
    t.result('variables', await connection.query('SELECT @left, @@sql_mode, @@time_zone, @@autocommit, DATABASE()'));
    await t.error('table', connection.query('SELECT * FROM left_over'));
    t.result('lock', await (await t.connect()).query("SELECT GET_LOCK('reset', 3) l"));
  },
  async 'change user'(t) {
    const connection = await t.connect();
    await connection.query("DROP USER IF EXISTS 'second'@'%'");
    await connection.query("CREATE USER 'second'@'%' IDENTIFIED BY 'Second-2'");
    await connection.query(`GRANT ALL ON \`${t.settings.database}\`.* TO 'second'@'%'`);
    await connection.query('SET @left = 1, autocommit = 0');
    const statement = await connection.prepare('SELECT 1');
    await connection.changeUser({ user: 'second', password: 'Second-2', database: t.settings.database });
    t.result('who', await connection.query('SELECT CURRENT_USER() c, @left l, @@autocommit a, DATABASE() d'));
    await t.error('statements are gone', statement.execute([]));
    await connection.changeUser({ user: t.settings.user, password: t.settings.password, database: 'mysql' });
    t.result('back', await connection.query('SELECT CURRENT_USER() c, DATABASE() d'));
    await connection.changeUser({ database: t.settings.database });
    t.result('only the database', await connection.query('SELECT DATABASE() d'));
  },
  async 'change user refused'(t) {
    const connection = await t.connect();
    const error = await t.error('wrong password', connection.changeUser({ user: t.settings.user, password: 'wrong' }));
    t.assert.equal(error.errno, 1045);
  },
  async 'KILL and KILL QUERY'(t) {
    const [one, two] = [await t.connect(), await t.connect()];
    const slow = t.error('interrupted', one.query('SELECT SLEEP(20) s FROM (SELECT 1 UNION SELECT 2) x WHERE SLEEP(20) = 0'));
    await new Promise((next) => setTimeout(next, 500));
    await two.query(`KILL QUERY ${one.threadId}`);
    await slow.catch((error) => t.note('no error', String(error)));
    t.result('alive', await one.query('SELECT 1'));
    const dying = one.query('SELECT SLEEP(20)').then(() => 'no error', (error) => error.code);
    await new Promise((next) => setTimeout(next, 500));
    await two.query(`KILL ${one.threadId}`);
    t.assert.notEqual(await dying, 'no error');
    await t.error('oneself', two.query('KILL CONNECTION_ID()').then(() => two.query('SELECT 1')));
  },
  async 'processlist shows the session'(t) {
    const connection = await t.connect();
    const [rows] = await connection.query('SELECT USER, DB, COMMAND FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()');
    t.note('row', rows);
    const [list] = await connection.query('SHOW PROCESSLIST');
    t.assert.ok(list.some((row) => row.Id === connection.threadId));
  },
  async 'the server ends an idle session'(t) {
    const connection = await t.connect();
    await connection.query('SET wait_timeout = 1');
    await new Promise((next) => setTimeout(next, 3000));
    await t.error('gone', connection.query('SELECT 1').then(() => t.assert.fail('still there')));
  },
};

'use strict';
// The text protocol: types, several results, procedures, headers, errors and their order.

const COLUMNS = [
  ['t', 'TINYINT', -128], ['tu', 'TINYINT UNSIGNED', 255], ['s', 'SMALLINT', -32768], ['m', 'MEDIUMINT', 8388607],
  ['i', 'INT', -2147483648], ['iz', 'INT(8) UNSIGNED ZEROFILL', 42], ['b', 'BIGINT', '-9223372036854775808'],
  ['bu', 'BIGINT UNSIGNED', '18446744073709551615'], ['f', 'FLOAT', 1.5], ['d', 'DOUBLE', -2.2250738585072014e-308],
  ['n', 'DECIMAL(65,30)', '12345678901234567890123456789012345.123456789012345678901234567890'], ['y', 'YEAR', 2026],
  ['da', 'DATE', '2026-02-28'], ['ti', 'TIME(6)', '-838:59:58.123456'], ['dt', 'DATETIME(6)', '9999-12-31 23:59:59.999999'],
  ['ts', 'TIMESTAMP(3) NULL', '2038-01-19 03:14:06.999'], ['c', 'CHAR(10)', 'ä'], ['v', 'VARCHAR(255)', '\u{1f980} crab'],
  ['bi', 'BINARY(4)', Buffer.from([0, 1, 2, 255])], ['vb', 'VARBINARY(300)', Buffer.alloc(300, 7)], ['tx', 'TEXT', 'x'.repeat(65535)],
  ['mb', 'MEDIUMBLOB', Buffer.alloc(70000, 9)], ['e', "ENUM('a','b','ü')", 'ü'], ['se', "SET('x','y','z')", 'x,z'],
  ['bt', 'BIT(17)', 65537], ['j', 'JSON', '{"a": [1, null, "ß"]}'], ['l', 'LONGTEXT', ''], ['nu', 'INT', null],
];

async function everything(t) {
  const connection = await t.connect({ supportBigNumbers: true, bigNumberStrings: true, dateStrings: true });
  await connection.query(`CREATE TEMPORARY TABLE everything (id INT PRIMARY KEY AUTO_INCREMENT, ${COLUMNS.map(([name, type]) => `\`${name}\` ${type}`).join(', ')})`);
  return connection;
}

module.exports = {
  COLUMNS: undefined,
  async 'every type, text'(t) {
    const connection = await everything(t);
    const values = COLUMNS.map(([, , value]) => value);
    t.result('insert', await connection.query(`INSERT INTO everything (${COLUMNS.map(([name]) => `\`${name}\``)}) VALUES (?)`, [values]));
    t.result('select', await connection.query('SELECT * FROM everything'));
  },
  async 'every type, prepared'(t) {
    const connection = await everything(t);
    const values = COLUMNS.map(([, , value]) => value);
    t.result('insert', await connection.execute(`INSERT INTO everything (${COLUMNS.map(([name]) => `\`${name}\``)}) VALUES (${values.map(() => '?')})`, values));
    t.result('select', await connection.execute('SELECT * FROM everything'));
    t.result('nulls', await connection.execute('SELECT NULL a, ? b', [null]));
  },
  async 'expressions of every kind'(t) {
    const connection = await t.connect();
    t.result('row', await connection.query("SELECT 1, -1.5, 1e10, 'text', NULL, TRUE, X'00ff', b'101', DATE'2026-01-01', TIME'10:00:00', 1+1 AS `a b`, @@autocommit, POINT(1,2)"));
    t.result('empty', await connection.query('SELECT 1 AS one FROM DUAL WHERE FALSE'));
    t.result('empty string and null', await connection.query("SELECT '' a, NULL b, '' c"));
  },
  async 'four thousand columns'(t) {
    const connection = await t.connect();
    const [[row], fields] = await connection.query(`SELECT ${Array.from({ length: 4000 }, (_, n) => `${n} AS c${n}`).join(', ')}`);
    t.assert.equal(fields.length, 4000);
    t.assert.equal(row.c3999, 3999);
    const [[again]] = await connection.execute(`SELECT ${Array.from({ length: 4000 }, (_, n) => `${n} AS c${n}`).join(', ')}`);
    t.assert.equal(again.c3999, 3999);
  },
  async 'a hundred thousand rows'(t) {
    const connection = await t.connect();
    const query = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i, HEX(i) h FROM n';
    await connection.query(t.mariadb ? 'SET max_recursive_iterations = 200000' : 'SET cte_max_recursion_depth = 200000');
    for (const how of ['query', 'execute']) {
      const [rows] = await connection[how](query);
      t.assert.equal(rows.length, 100000);
      t.assert.equal(rows[99999].i, 100000);
    }
  },
  async 'headers of writes'(t) {
    const connection = await t.connect();
    await connection.query('CREATE TEMPORARY TABLE counted (id INT PRIMARY KEY AUTO_INCREMENT, a INT)');
    t.result('insert', await connection.query('INSERT INTO counted (a) VALUES (1), (2), (3)'));
    t.result('update none', await connection.query('UPDATE counted SET a = 1 WHERE id = 1'));
    t.result('update', await connection.query('UPDATE counted SET a = 9'));
    t.result('replace', await connection.query('REPLACE INTO counted VALUES (1, 5), (77, 6)'));
    t.result('upsert', await connection.query('INSERT INTO counted VALUES (77, 6) ON DUPLICATE KEY UPDATE a = a + 1'));
    t.result('insert ignore', await connection.query('INSERT IGNORE INTO counted VALUES (77, 6), (78, 1)'));
    t.result('warnings', await connection.query('SHOW WARNINGS'));
    t.result('delete', await connection.query('DELETE FROM counted'));
    t.result('big id', await connection.query('CREATE TEMPORARY TABLE big (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT)'));
    await connection.query('INSERT INTO big VALUES (9223372036854775900)');
    t.result('big insert', await connection.query('INSERT INTO big VALUES (NULL)'));
  },
  async 'several statements'(t) {
    const connection = await t.connect({ multipleStatements: true });
    t.result('results', await connection.query('SELECT 1 a; DO 1; SELECT 2 b, 3 c; SET @x = 5; SELECT @x; SELECT 1 WHERE FALSE'));
    t.result('comments', await connection.query('SELECT 1; -- and no more\n'));
    t.result('empty at the end', await connection.query('SELECT 1;;'.slice(0, -1)));
    await t.error('not allowed', (await t.connect()).query('SELECT 1; SELECT 2'));
  },
  async 'several statements, one wrong'(t) {
    const connection = await t.connect({ multipleStatements: true });
    await connection.query('CREATE TEMPORARY TABLE half (a INT PRIMARY KEY)');
    await t.error('second', connection.query('INSERT INTO half VALUES (1); INSERT INTO half VALUES (1); INSERT INTO half VALUES (2)'));
    t.result('rows', await connection.query('SELECT * FROM half'));
    await t.error('syntax', connection.query('SELECT 1; SELEC 2; SELECT 3'));
    t.result('alive', await connection.query('SELECT 4'));
  },
  async 'two hundred statements at once'(t) {
    const connection = await t.connect({ multipleStatements: true });
    const [rows] = await connection.query(Array.from({ length: 200 }, (_, n) => `SELECT ${n} n`).join(';'));
    t.assert.deepEqual(rows.map(([row]) => row.n), Array.from({ length: 200 }, (_, n) => n));
  },
  async 'procedures'(t) {
    const connection = await t.connect();
    await connection.query('DROP PROCEDURE IF EXISTS speaks');
    await connection.query("CREATE PROCEDURE speaks(IN a INT, OUT b INT, INOUT c VARCHAR(20)) BEGIN SELECT a; SELECT a + 1 x, 'y' y; SET b = a * 2; SET c = CONCAT(c, '!'); END");
    t.result('text', await connection.query("SET @c = 'hi'"));
    t.result('call', await connection.query('CALL speaks(5, @b, @c)'));
    t.result('out', await connection.query('SELECT @b, @c'));
    t.result('prepared', await connection.execute('CALL speaks(?, @b, @c)', [6]));
    t.result('out again', await connection.execute('SELECT @b, @c'));
    await connection.query('DROP PROCEDURE IF EXISTS fails_late');
    await connection.query("CREATE PROCEDURE fails_late() BEGIN SELECT 1; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'late', MYSQL_ERRNO = 3333; END");
    const error = await t.error('signal', connection.query('CALL fails_late()'));
    t.assert.equal(error.errno, 3333);
    t.result('alive', await connection.query('SELECT 1'));
  },
  async 'functions and triggers'(t) {
    const connection = await t.connect();
    await connection.query('DROP TABLE IF EXISTS watched, kept');
    await connection.query('CREATE TABLE watched (a INT)');
    await connection.query('CREATE TABLE kept (a INT)');
    await connection.query('CREATE TRIGGER keeps AFTER INSERT ON watched FOR EACH ROW INSERT INTO kept VALUES (NEW.a * 10)');
    await connection.query('INSERT INTO watched VALUES (1), (2)');
    t.result('kept', await connection.query('SELECT * FROM kept ORDER BY a'));
    await connection.query('DROP FUNCTION IF EXISTS writes');
    await connection.query('CREATE FUNCTION writes(x INT) RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO kept VALUES (x); RETURN x + 1; END');
    t.result('writes', await connection.query('SELECT writes(99)'));
    t.result('kept again', await connection.query('SELECT * FROM kept ORDER BY a'));
    await connection.query('DROP TABLE watched, kept');
  },
  async 'errors as the server says them'(t) {
    const connection = await t.connect();
    const wrong = {
      syntax: 'SELEC 1', table: 'SELECT * FROM no_such_table', column: 'SELECT no_such_column', schema: 'USE no_such_schema',
      function: 'SELECT no_such_function()', procedure: 'CALL no_such_procedure()', division: "SELECT CAST('x' AS JSON)",
      empty: ';', variable: 'SET no_such_variable = 1', value: "SET autocommit = 'maybe'", global: 'SET SESSION max_connections = 1',
      unicode: "SELECT * FROM `tafel_ä_\u{1f980}`", long: `SELECT ${'x'.repeat(300)}`, kill: 'KILL 4294967295',
    };
    for (const [name, text] of Object.entries(wrong)) {
      if (name === 'division' && t.mariadb) continue;
      await t.error(name, connection.query(text));
      if (name !== 'empty') await t.error(`${name} prepared`, connection.execute(text));
    }
    t.result('alive', await connection.query('SELECT 1'));
  },
  async 'constraint errors'(t) {
    const connection = await t.connect();
    await connection.query('DROP TABLE IF EXISTS child, parent');
    await connection.query('CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(5) NOT NULL UNIQUE)');
    await connection.query('CREATE TABLE child (id INT PRIMARY KEY, parent_id INT, CONSTRAINT of_parent FOREIGN KEY (parent_id) REFERENCES parent (id), CONSTRAINT positive CHECK (id > 0))');
    await connection.query("INSERT INTO parent VALUES (1, 'a')");
    await t.error('duplicate', connection.query("INSERT INTO parent VALUES (1, 'b')"));
    await t.error('duplicate name', connection.execute('INSERT INTO parent VALUES (?, ?)', [2, 'a']));
    await t.error('too long', connection.execute('INSERT INTO parent VALUES (?, ?)', [2, 'abcdefgh']));
    await t.error('null', connection.query('INSERT INTO parent VALUES (3, NULL)'));
    await t.error('foreign', connection.query('INSERT INTO child VALUES (1, 99)'));
    await t.error('check', connection.query('INSERT INTO child VALUES (-1, 1)'));
    await connection.query('DROP TABLE child, parent');
  },
  async 'an error in the middle of a result'(t) {
    const connection = await t.connect();
    await connection.query('CREATE TEMPORARY TABLE mined (a INT)');
    await connection.query(`INSERT INTO mined VALUES ${Array.from({ length: 5000 }, (_, n) => `(${n})`)}`);
    await t.error('late', connection.query('SELECT a, (SELECT 1 UNION SELECT IF(a = 4999, 2, 1)) FROM mined'));
    t.result('alive', await connection.query('SELECT 1'));
    await t.error('late prepared', connection.execute('SELECT a, (SELECT 1 UNION SELECT IF(a = 4999, 2, 1)) FROM mined'));
    t.result('alive still', await connection.query('SELECT 1'));
  },
  async 'SHOW, EXPLAIN, DESCRIBE and more'(t) {
    const connection = await t.connect();
    await connection.query('DROP TABLE IF EXISTS shown');
    await connection.query("CREATE TABLE shown (id INT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(10) DEFAULT 'x' COMMENT 'a comment', KEY by_a (a)) COMMENT 'table'");
    for (const text of ['SHOW CREATE TABLE shown', 'DESCRIBE shown', 'SHOW FULL COLUMNS FROM shown', 'SHOW TABLES LIKE "sho%"', 'EXPLAIN SELECT * FROM shown WHERE id = 1',
      'SHOW VARIABLES LIKE "autocommit"', 'CHECK TABLE shown', 'ANALYZE TABLE shown', 'SHOW CHARACTER SET LIKE "utf8mb4"', 'CHECKSUM TABLE shown', 'HELP "no such topic"']) {
      t.result(text, await connection.query(text));
    }
    await connection.query('DROP TABLE shown');
  },
  async 'rows as arrays, nested and typed'(t) {
    const connection = await t.connect();
    t.result('arrays', await connection.query({ sql: 'SELECT 1 a, 2 a, 3 b', rowsAsArray: true }));
    t.result('nested', await connection.query({ sql: "SELECT * FROM (SELECT 1 a) x JOIN (SELECT 2 a) y", nestTables: '_' }));
    t.result('named', await (await t.connect({ namedPlaceholders: true })).execute('SELECT :x a, :y b, :x c', { x: 1, y: 'two' }));
  },
  async 'a stream read slowly'(t) {
    const connection = await t.connect();
    await connection.query(t.mariadb ? 'SET max_recursive_iterations = 200000' : 'SET cte_max_recursion_depth = 200000');
    const stream = connection.connection.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, REPEAT('z', 500) z FROM n").stream({ highWaterMark: 5 });
    let rows = 0;
    for await (const row of stream) {
      rows += 1;
      t.assert.equal(row.i, rows);
      if (rows % 2000 === 0) await new Promise((next) => setTimeout(next, 50));
    }
    t.assert.equal(rows, 20000);
  },
  async 'statements queued without waiting'(t) {
    const connection = await t.connect();
    const all = await Promise.all(Array.from({ length: 300 }, (_, n) => (n % 2 ? connection.query(`SELECT ${n} n`) : connection.execute('SELECT ? n', [n]))));
    t.assert.deepEqual(all.map(([[row]]) => Number(row.n)), Array.from({ length: 300 }, (_, n) => n));
  },
};
delete module.exports.COLUMNS;

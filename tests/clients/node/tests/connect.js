'use strict';
// Logging in: accounts, plugins, TLS, compression, attributes, and the ways it fails.

const TLS = { ssl: { rejectUnauthorized: false } };
const plugins = (t) => (t.mariadb ? ['mysql_native_password'] : ['caching_sha2_password', 'sha256_password']);

async function account(t, name, plugin, password) {
  const admin = await t.connect();
  await admin.query(`DROP USER IF EXISTS '${name}'@'%'`);
  const how = t.mariadb ? `IDENTIFIED VIA ${plugin} USING PASSWORD('${password}')` : `IDENTIFIED WITH ${plugin} BY '${password}'`;
  await admin.query(`CREATE USER '${name}'@'%' ${how}`);
  await admin.query(`GRANT ALL ON \`${t.settings.database}\`.* TO '${name}'@'%'`);
  return admin;
}

module.exports = {
  async 'version, charset and status of the handshake'(t) {
    const connection = await t.connect();
    const hello = connection.connection._handshakePacket;
    t.note('handshake', {
      version: hello.serverVersion, protocol: hello.protocolVersion, charset: hello.characterSet,
      status: hello.statusFlags, plugin: hello.authPluginName,
    });
    const [[row]] = await connection.query('SELECT VERSION() v');
    t.assert.ok(hello.serverVersion.endsWith(row.v) || hello.serverVersion.includes(row.v.split('-')[0]));
  },
  async 'thread id is CONNECTION_ID()'(t) {
    const connection = await t.connect();
    const [[row]] = await connection.query('SELECT CONNECTION_ID() id');
    t.assert.equal(row.id, connection.threadId);
  },
  async 'connection ids differ'(t) {
    const all = await Promise.all(Array.from({ length: 10 }, () => t.connect()));
    t.assert.equal(new Set(all.map((one) => one.threadId)).size, 10);
  },
  async 'no database'(t) {
    const connection = await t.connect({ database: undefined });
    t.result('database', await connection.query('SELECT DATABASE() d'));
    await t.error('no database selected', connection.query('SELECT * FROM nothing_here'));
  },
  async 'wrong password'(t) {
    const error = await t.error('refused', t.connect({ password: 'wrong' }));
    t.assert.equal(error.errno, 1045);
  },
  async 'empty password where there is one'(t) {
    const error = await t.error('refused', t.connect({ password: '' }));
    t.assert.equal(error.errno, 1045);
  },
  async 'unknown user'(t) {
    await t.error('refused', t.connect({ user: 'nobody_at_all', password: 'x' }));
  },
  async 'unknown database'(t) {
    const error = await t.error('refused', t.connect({ database: 'no_such_schema' }));
    t.assert.equal(error.errno, 1049);
  },
  async 'a database that may not be used'(t) {
    const admin = await account(t, 'narrow', plugins(t)[0], 'narrow');
    await admin.query('CREATE DATABASE IF NOT EXISTS closed_to_narrow');
    const error = await t.error('refused', t.connect({ user: 'narrow', password: 'narrow', database: 'closed_to_narrow' }));
    t.assert.equal(error.errno, 1044);
  },
  async 'TLS'(t) {
    const connection = await t.connect(TLS);
    const [[row]] = await connection.query("SHOW STATUS LIKE 'Ssl_version'");
    t.assert.match(row.Value, /^TLSv1\.[23]$/);
    t.result('row', await connection.query('SELECT 1 one'));
  },
  async 'TLS 1.2 alone'(t) {
    const connection = await t.connect({ ssl: { rejectUnauthorized: false, maxVersion: 'TLSv1.2' } });
    const [[row]] = await connection.query("SHOW STATUS LIKE 'Ssl_version'");
    t.assert.equal(row.Value, 'TLSv1.2');
  },
  async 'TLS with a wrong password'(t) {
    await t.error('refused', t.connect({ ...TLS, password: 'wrong' }));
  },
  async 'TLS and compression'(t) {
    const connection = await t.connect({ ...TLS, compress: true });
    const [[row]] = await connection.query("SELECT REPEAT('x', 100000) x");
    t.assert.equal(row.x.length, 100000);
  },
  async 'compression is on'(t) {
    const connection = await t.connect({ compress: true });
    t.result('status', await connection.query("SHOW STATUS LIKE 'Compression'"));
  },
  async 'compression is off'(t) {
    const connection = await t.connect();
    t.result('status', await connection.query("SHOW STATUS LIKE 'Compression'"));
  },
  async 'every plugin, plain and TLS'(t) {
    for (const plugin of plugins(t)) {
      await account(t, `by_${plugin}`.slice(0, 32), plugin, 'Secret-1');
      for (const more of [{}, TLS, {}]) {
        const connection = await t.connect({ user: `by_${plugin}`.slice(0, 32), password: 'Secret-1', ...more });
        t.result(`${plugin} ${Object.keys(more)}`, await connection.query('SELECT CURRENT_USER() who'));
      }
    }
  },
  async 'empty password'(t) {
    await account(t, 'unlocked', plugins(t)[0], '');
    const connection = await t.connect({ user: 'unlocked', password: '' });
    t.result('who', await connection.query('SELECT CURRENT_USER() who'));
    await t.error('a password where there is none', t.connect({ user: 'unlocked', password: 'some' }));
  },
  async 'a long password with odd letters'(t) {
    const password = `pä§§ wörd ${'x'.repeat(150)} \u{1f511}`;
    await account(t, 'longpass', plugins(t)[0], password);
    const connection = await t.connect({ user: 'longpass', password });
    t.result('who', await connection.query('SELECT CURRENT_USER() who'));
    await t.error('cut short', t.connect({ user: 'longpass', password: password.slice(0, -1) }));
  },
  async 'a password changed meanwhile'(t) {
    const admin = await account(t, 'changing', plugins(t)[0], 'first');
    await t.connect({ user: 'changing', password: 'first' });
    await admin.query("SET PASSWORD FOR 'changing'@'%' = " + (t.mariadb ? "PASSWORD('second')" : "'second'"));
    await t.connect({ user: 'changing', password: 'second' });
    await t.error('the old one', t.connect({ user: 'changing', password: 'first' }));
    await t.connect({ user: 'changing', password: 'second' });
  },
  async 'an account dropped meanwhile'(t) {
    const admin = await account(t, 'leaving', plugins(t)[0], 'bye');
    await t.connect({ user: 'leaving', password: 'bye' });
    await admin.query("DROP USER 'leaving'@'%'");
    await t.error('gone', t.connect({ user: 'leaving', password: 'bye' }));
  },
  async 'an account locked meanwhile'(t) {
    const admin = await account(t, 'locking', plugins(t)[0], 'in');
    await t.connect({ user: 'locking', password: 'in' });
    await admin.query("ALTER USER 'locking'@'%' ACCOUNT LOCK");
    await t.error('locked', t.connect({ user: 'locking', password: 'in' }));
    await admin.query("ALTER USER 'locking'@'%' ACCOUNT UNLOCK");
    await t.connect({ user: 'locking', password: 'in' });
  },
  async 'an expired password'(t) {
    const admin = await account(t, 'expired', plugins(t)[0], 'old');
    await admin.query("ALTER USER 'expired'@'%' PASSWORD EXPIRE");
    let connection;
    try {
      connection = await t.connect({ user: 'expired', password: 'old' });
    } catch (error) {
      t.note('at login', error.errno);
      return;
    }
    await t.error('at the first statement', connection.query('SELECT 1'));
  },
  async 'only over TLS'(t) {
    const admin = await account(t, 'tlsonly', plugins(t)[0], 'tls');
    await admin.query("ALTER USER 'tlsonly'@'%' REQUIRE SSL");
    await t.connect({ user: 'tlsonly', password: 'tls', ...TLS });
    await t.error('plain', t.connect({ user: 'tlsonly', password: 'tls' }));
  },
  async 'not from this host'(t) {
    const admin = await t.connect();
    await admin.query("DROP USER IF EXISTS 'faraway'@'192.0.2.1'");
    await admin.query("CREATE USER 'faraway'@'192.0.2.1' IDENTIFIED BY 'far'");
    await t.error('refused', t.connect({ user: 'faraway', password: 'far' }));
  },
  async 'connection attributes arrive'(t) {
    const connection = await t.connect({ connectAttributes: { program_name: 'suite', colour: 'blau grün', empty: '' } });
    const [rows] = await connection.query(
      'SELECT ATTR_NAME name, ATTR_VALUE value FROM performance_schema.session_connect_attrs WHERE PROCESSLIST_ID = CONNECTION_ID() ' +
      "AND ATTR_NAME IN ('program_name', 'colour', 'empty', '_client_name') ORDER BY 1");
    t.note('attributes', rows);
  },
  async 'character sets at login'(t) {
    for (const charset of ['utf8mb4_general_ci', 'latin1_swedish_ci', 'utf8mb4_bin', 'utf8mb4_unicode_520_ci']) {
      const connection = await t.connect({ charset });
      t.result(charset, await connection.query("SELECT @@character_set_client a, @@character_set_connection b, @@character_set_results c, @@collation_connection d, 'é' e, LENGTH('é') f"));
    }
  },
  async 'FOUND_ROWS and other flags'(t) {
    for (const flags of [['FOUND_ROWS'], ['-FOUND_ROWS'], ['IGNORE_SPACE'], ['INTERACTIVE']]) {
      const connection = await t.connect({ flags });
      await connection.query('CREATE TEMPORARY TABLE flagged (a INT)');
      await connection.query('INSERT INTO flagged VALUES (1), (1), (2)');
      t.result(`${flags} update`, await connection.query('UPDATE flagged SET a = 1'));
      t.result(`${flags} mode`, await connection.query('SELECT @@sql_mode mode, @@wait_timeout = @@interactive_timeout same'));
    }
  },
  async 'ping and quit'(t) {
    const connection = await t.connect();
    await connection.ping();
    await connection.query('SELECT 1');
    await connection.ping();
    await connection.end();
  },
  async 'a hundred logins'(t) {
    for (let round = 0; round < 10; round += 1) {
      const all = await Promise.all(Array.from({ length: 10 }, () => t.promise.createConnection(t.options())));
      await Promise.all(all.map((one) => one.query('SELECT 1')));
      await Promise.all(all.map((one) => one.end()));
    }
  },
  async 'a client that hangs up'(t) {
    for (let round = 0; round < 20; round += 1) {
      const connection = await t.connect();
      connection.query('SELECT SLEEP(0.2)').catch(() => {});
      connection.destroy();
    }
    t.result('alive', await (await t.connect()).query('SELECT 1'));
  },
};

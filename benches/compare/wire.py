"""A MySQL client small enough to hold five thousand of: log in, run a text query, stay.

It exists so that the comparison needs nothing beyond the standard library, and so that an
idle client costs this side little while the proxy's side is being measured.
"""

import asyncio
import struct

import auth

LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41 = 1, 8, 0x200
TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH = 0x2000, 0x8000, 0x80000
CAPABILITIES = LONG_PASSWORD | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH
UTF8MB4 = 45
COM_QUIT, COM_QUERY = b"\x01", b"\x03"


class ServerError(Exception):
    """An ERR packet, as the server worded it."""


class Connection:
    """One logged-in connection; its owner closes it with `close`."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.sequence = reader, writer, 0

    async def read(self):
        header = await self.reader.readexactly(4)
        self.sequence = (header[3] + 1) % 256
        payload = await self.reader.readexactly(int.from_bytes(header[:3], "little"))
        if payload[:1] == b"\xff":
            raise ServerError(f"{struct.unpack_from('<H', payload, 1)[0]}: {payload[9:].decode(errors='replace')}")
        return payload

    def write(self, payload):
        self.writer.write(len(payload).to_bytes(3, "little") + bytes([self.sequence]) + payload)
        self.sequence = (self.sequence + 1) % 256

    async def query(self, sql):
        """The rows of a text query; an empty list when it has none."""
        self.sequence = 0
        self.write(COM_QUERY + sql.encode())
        first = await self.read()
        if first[0] == 0:
            return []
        for _ in range(first[0] + 1):  # the columns and the EOF after them
            await self.read()
        rows = []
        while True:
            packet = await self.read()
            if packet[0] == 0xFE and len(packet) < 9:
                return rows
            rows.append(_fields(packet))

    async def close(self):
        try:
            self.sequence = 0
            self.write(COM_QUIT)
            await self.writer.drain()
        except OSError:
            pass  # already gone, which is what was wanted
        self.writer.close()


async def connect(endpoint, user, password, database=""):
    """Connects to `(host, port)` and logs in, over plain TCP."""
    reader, writer = await asyncio.open_connection(*endpoint)
    connection = Connection(reader, writer)
    try:
        nonce, plugin = _greeting(await connection.read())
        connection.write(_login(user, auth.scramble(plugin, password, nonce), database, plugin))
        await _authenticate(connection, plugin, password, nonce)
    except BaseException:
        writer.close()
        raise
    return connection


def run(endpoint, user, password, *statements):
    """Runs the statements on one connection and returns the last one's rows."""

    async def all_of_them():
        connection = await connect(endpoint, user, password)
        rows = []
        for statement in statements:
            rows = await connection.query(statement)
        await connection.close()
        return rows

    return asyncio.run(asyncio.wait_for(all_of_them(), 30))


async def _authenticate(connection, plugin, password, nonce):
    while True:
        packet = await connection.read()
        if packet[0] == 0x00:
            return
        if packet[0] == 0xFE:  # another method, with its own nonce
            name, _, nonce = packet[1:].partition(b"\0")
            plugin, nonce = name.decode(), nonce.rstrip(b"\0")
            connection.write(auth.scramble(plugin, password, nonce))
        elif packet == b"\x01\x04":  # not in the server's cache: full authentication
            connection.write(b"\x02")
            key = (await connection.read())[1:]
            connection.write(auth.encrypt_password(key, password, nonce))
        elif packet != b"\x01\x03":
            raise ServerError(f"unexpected packet while logging in: {packet[:16]!r}")


def _greeting(packet):
    version_end = packet.index(b"\0")
    at = version_end + 5
    first, at = packet[at : at + 8], at + 8 + 1 + 2 + 1 + 2 + 2
    length = max(13, packet[at] - 8)
    at += 1 + 10
    second, at = packet[at : at + length], at + length
    plugin = packet[at:].split(b"\0")[0].decode() or "mysql_native_password"
    return (first + second).rstrip(b"\0")[:20], plugin


def _login(user, answer, database, plugin):
    capabilities = CAPABILITIES | (CONNECT_WITH_DB if database else 0)
    packet = struct.pack("<IIB23x", capabilities, 1 << 24, UTF8MB4) + user.encode() + b"\0"
    packet += bytes([len(answer)]) + answer
    if database:
        packet += database.encode() + b"\0"
    return packet + plugin.encode() + b"\0"


def _fields(packet):
    """The columns of a text row; good for the short values that the harness asks for."""
    values, at = [], 0
    while at < len(packet):
        if packet[at] == 0xFB:
            values.append(None)
            at += 1
            continue
        length, start = packet[at], at + 1
        if length == 0xFC:
            length, start = struct.unpack_from("<H", packet, start)[0], start + 2
        values.append(packet[start : start + length].decode(errors="replace"))
        at = start + length
    return values

"""The client's half of the two password methods, in the standard library alone.

The idle-client measure logs in thousands of times over plain TCP, on servers whose accounts
are mysql_native_password (MariaDB) or caching_sha2_password (MySQL). Over plain TCP the latter
needs RSA once per account, so this holds just enough of it: a public key and OAEP.
"""

import base64
import hashlib
import os


def scramble(plugin, password, nonce):
    """The first answer to the server's nonce; an empty password answers with nothing."""
    if not password:
        return b""
    if plugin == "mysql_native_password":
        return _native(password.encode(), nonce)
    if plugin == "caching_sha2_password":
        return _caching_sha2(password.encode(), nonce)
    raise ValueError(f"authentication plugin {plugin!r} is not spoken here")


def encrypt_password(pem, password, nonce):
    """The whole password under the server's public key, as full authentication wants it."""
    modulus, exponent = _public_key(pem)
    clear = password.encode() + b"\0"
    hidden = bytes(byte ^ nonce[at % len(nonce)] for at, byte in enumerate(clear))
    size = (modulus.bit_length() + 7) // 8
    padded = int.from_bytes(_oaep(hidden, size), "big")
    return pow(padded, exponent, modulus).to_bytes(size, "big")


def _native(password, nonce):
    once = hashlib.sha1(password).digest()
    twice = hashlib.sha1(once).digest()
    return _xor(once, hashlib.sha1(nonce + twice).digest())


def _caching_sha2(password, nonce):
    once = hashlib.sha256(password).digest()
    twice = hashlib.sha256(once).digest()
    return _xor(once, hashlib.sha256(twice + nonce).digest())


def _xor(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


def _mask(seed, length):
    """MGF1 with SHA-1, the hash that the servers' OAEP uses."""
    blocks = (hashlib.sha1(seed + count.to_bytes(4, "big")).digest() for count in range(length // 20 + 1))
    return b"".join(blocks)[:length]


def _oaep(message, size):
    label = hashlib.sha1(b"").digest()
    data = label + b"\0" * (size - len(message) - 42) + b"\x01" + message
    seed = os.urandom(20)
    masked_data = _xor(data, _mask(seed, len(data)))
    masked_seed = _xor(seed, _mask(masked_data, 20))
    return b"\0" + masked_seed + masked_data


def _public_key(pem):
    """Modulus and exponent from a PEM SubjectPublicKeyInfo."""
    body = b"".join(line for line in pem.splitlines() if line and not line.startswith(b"-----"))
    outer, _ = _der(base64.b64decode(body), 0x30)
    _, after_algorithm = _der(outer, 0x30)
    bits, _ = _der(after_algorithm, 0x03)
    numbers, _ = _der(bits[1:], 0x30)
    modulus, rest = _der(numbers, 0x02)
    exponent, _ = _der(rest, 0x02)
    return int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")


def _der(data, tag):
    """The content of the element at the front of `data`, and what follows it."""
    if data[0] != tag:
        raise ValueError("the server's public key is not in the expected form")
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    return data[start : start + length], data[start + length :]

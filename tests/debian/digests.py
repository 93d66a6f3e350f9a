"""Digests of the standard library over many lengths, and what else the C modules of Python do with bytes."""
import base64
import binascii
import hashlib
import hmac
import struct
import zlib

block = bytes(i * 7 & 0xFF for i in range(4096))
for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "blake2b", "blake2s"):
    digest = hashlib.new(name)
    for length in range(0, 4096, 61):
        digest.update(block[:length])
    print(name, digest.hexdigest())
print(hashlib.shake_128(block).hexdigest(20))
print(hmac.new(b"key", block, "sha256").hexdigest())
print(hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 200).hex())

packed = zlib.compress(block * 16, 6)
print(len(packed), zlib.decompress(packed) == block * 16, zlib.crc32(block), zlib.adler32(block))
encoded = base64.b64encode(block)
print(encoded[:40], base64.b85encode(block[:33]), binascii.crc_hqx(block, 0))
print(struct.pack("<bhiqfd", -1, -2, -3, -4, 0.5, 0.25).hex(), struct.unpack(">HIQ", block[:14]))

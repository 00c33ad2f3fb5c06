"""Computes peapod.json with libsodium and hashlib alone, from the layouts of docs/PEAPOD.md: none of our C++ is in it.

Usage: peapod.py > peapod.json
The vectors of version 1 state what HKTITAN/PeaToPea c85a76f writes; those of version 2 are ours.
"""
import ctypes
import hashlib
import hmac
import json
import struct

s = ctypes.CDLL("libsodium.so.23")
s.sodium_init()


def pub(sk):
    o = ctypes.create_string_buffer(32)
    s.crypto_scalarmult_base(o, sk)
    return o.raw


def dh(sk, pk):
    o = ctypes.create_string_buffer(32)
    assert s.crypto_scalarmult(o, sk, pk) == 0
    return o.raw


def seal(key, n, plain):
    nonce = bytes(4) + struct.pack("<Q", n)
    c = ctypes.create_string_buffer(len(plain) + 16)
    size = ctypes.c_ulonglong()
    s.crypto_aead_chacha20poly1305_ietf_encrypt(c, ctypes.byref(size), plain, ctypes.c_ulonglong(len(plain)), None,
                                                ctypes.c_ulonglong(0), None, nonce, key)
    return c.raw[: size.value]


def u(fmt, v):
    return struct.pack("<" + fmt, v)


def sl(b):
    return u("Q", len(b)) + b


def frame(p):
    return u("I", len(p)) + p


def record(key, n, plain):
    c = seal(key, n, plain)
    return u("I", len(c)) + c


def device(pk):
    return hashlib.sha256(pk).digest()[:16]


skA, skB = bytes(range(0x01, 0x21)), bytes(range(0x41, 0x61))
ekA, ekB = bytes(range(0x81, 0xA1)), bytes(range(0xC1, 0xE1))
pkA, pkB = pub(skA), pub(skB)
idA, idB = device(pkA), device(pkB)
shared = dh(skA, pkB)
assert shared == dh(skB, pkA)
code, doc = hashlib.sha256(b"peapod-session-v1" + shared).digest(), hashlib.sha256(shared).digest()
tid, url, payload = bytes(range(16)), b"http://192.0.2.10:8000/f", b"hello chunk"
chunk = tid + u("Q", 0) + u("Q", 262144)
frames = {
    "beacon_a": u("I", 0) + b"\x01" + sl(idA) + sl(pkA) + u("H", 45679),
    "response_b": u("I", 1) + b"\x01" + sl(idB) + sl(pkB) + u("H", 45679),
    "join_a": u("I", 2) + sl(idA),
    "leave_a": u("I", 3) + sl(idA),
    "heartbeat_a": u("I", 4) + sl(idA),
    "request_url": u("I", 5) + chunk + b"\x01" + sl(url),
    "request_none": u("I", 5) + chunk + b"\x00",
    "data": u("I", 6) + tid + u("Q", 0) + u("Q", 11) + hashlib.sha256(payload).digest() + sl(payload),
    "nack": u("I", 7) + chunk,
}
frames = {k: frame(v) for k, v in frames.items()}

# Version 2.
secret = bytes(range(0xE0, 0x100))
beacon2 = u("I", 0) + b"\x02" + sl(idA) + sl(pkA) + u("H", 45679)
mac = hashlib.blake2b(beacon2, digest_size=32, key=secret).digest()[:16]
hello_a, hello_b = b"\x02" + idA + pkA + pub(ekA), b"\x02" + idB + pkB + pub(ekB)


def hkdf2(salt, ikm):
    prk = hmac.new(salt, ikm, hashlib.blake2b).digest()
    one = hmac.new(prk, b"\x01", hashlib.blake2b).digest()
    return one, hmac.new(prk, one + b"\x02", hashlib.blake2b).digest()


def hardened(pod_secret):
    ikm = dh(ekA, pub(ekB)) + dh(ekA, pkB) + dh(skA, pub(ekB)) + shared
    salt = hashlib.blake2b(b"peapod-session-v2" + pod_secret + hello_a + hello_b).digest()
    return [k[:32] for k in hkdf2(salt, ikm)]


def hardened_vector(pod_secret):
    forth, back = hardened(pod_secret or bytes(32))
    second = hashlib.blake2b(b"peapod-rekey-v2", digest_size=32, key=forth).digest()
    beat_b = frame(u("I", 4) + sl(idB))
    return {"pod_secret": pod_secret.hex() if pod_secret else None, "forth": forth.hex(), "back": back.hex(),
            "record_a0": record(forth, 0, frames["heartbeat_a"]).hex(), "record_b0": record(back, 0, beat_b).hex(),
            "record_a65536": record(second, 65536, frames["heartbeat_a"]).hex()}


print(json.dumps({
    "sk_a": skA.hex(), "pk_a": pkA.hex(), "id_a": idA.hex(), "sk_b": skB.hex(), "pk_b": pkB.hex(), "id_b": idB.hex(),
    "shared": shared.hex(), "key_code": code.hex(), "key_doc": doc.hex(), "transfer": tid.hex(), "url": url.decode(),
    "payload": payload.decode(), "frames": {k: v.hex() for k, v in frames.items()},
    "hello_a": (b"\x01" + idA + pkA).hex(), "hello_b": (b"\x01" + idB + pkB).hex(),
    "record_heartbeat_a0": record(code, 0, frames["heartbeat_a"]).hex(),
    "record_request_none1": record(code, 1, frames["request_none"]).hex(),
    "record_doc_heartbeat_a0": record(doc, 0, frames["heartbeat_a"]).hex(),
    "v2": {"ephemeral_a": ekA.hex(), "ephemeral_b": ekB.hex(), "hello_a": hello_a.hex(), "hello_b": hello_b.hex(),
           "beacon_secret": secret.hex(), "beacon": frame(beacon2).hex(), "beacon_proved": frame(beacon2 + mac).hex(),
           "sessions": [hardened_vector(None), hardened_vector(secret)]},
}, indent=1))

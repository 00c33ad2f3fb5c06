"""Makes fuzzing seeds: every hex string of the recorded vectors as bytes, every scenario file as it is.

Usage: seeds.py VECTORS SCENARIOS OUT
"""
import hashlib
import json
import pathlib
import re
import sys

vectors, scenarios, out = map(pathlib.Path, sys.argv[1:])
out.mkdir(parents=True, exist_ok=True)


def keep(data: bytes) -> None:
    (out / hashlib.sha1(data).hexdigest()).write_bytes(data)


def walk(value) -> None:
    if isinstance(value, dict):
        for child in value.values():
            walk(child)
    elif isinstance(value, list):
        for child in value:
            walk(child)
    elif isinstance(value, str) and len(value) % 2 == 0 and 2 <= len(value) <= 4096 and re.fullmatch("[0-9a-f]+", value):
        keep(bytes.fromhex(value))


for file in sorted(vectors.rglob("*.json")):
    walk(json.loads(file.read_text()))
for file in sorted(scenarios.rglob("*.json")):
    keep(file.read_bytes()[:4096])
for file in sorted((scenarios.parent / "node/wasm/guests").glob("*.wasm")):
    if file.stat().st_size <= 4096:
        keep(file.read_bytes())
# Relays that go well, three bytes a step (relay_fuzz.cc): from them the fuzzer learns to break them. One that we carry, by an address and by a
# name; one that is carried for us.
keep(bytes.fromhex("000002 030000 000402 0900ff 00060e 0900ff 040000 000802 050000"))
keep(bytes.fromhex("000007 060001 030000 000407 070010 0900ff 050001"))
keep(bytes.fromhex("0b0000 000301 0c0000 000501 0d00ff 000701 000901 0e0000 0f0000"))

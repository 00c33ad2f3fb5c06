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

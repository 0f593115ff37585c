#!/usr/bin/env python3
"""Every row of the policy rules, NP-1 ... NP-19 and CNP-1 ... CNP-9, has a test named after its id (NP-8_NP-15.scn, TEST(_, NP_6_...)).

tools/policy_ids.py     which row is held by nothing; exit 1 when one is and docs/design/policy.md does not list it under "Not there yet"
"""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
ROWS = [f"NP-{n}" for n in range(1, 20)] + [f"CNP-{n}" for n in range(1, 10)]


def rows_in(name):
    return {f"{kind}-{number}" for kind, number in re.findall(r"(?<![A-Za-z])(C?NP)[-_](\d+)", name)}


def held():
    out = {row: [] for row in ROWS}
    places = [path.name for path in (root / "tests/scenarios").glob("*NP-*.scn")]
    for folder in ("src", "tests"):
        for path in (root / folder).rglob("*_test.cc"):
            places += [f"{path.relative_to(root)}: {name}" for name in re.findall(r"^TEST\w*\(\w+, (C?NP_\w+)\)", path.read_text(), re.M)]
    for place in sorted(places):
        for row in rows_in(place):
            out.setdefault(row, []).append(place)
    return out


missing = rows_in((root / "docs/design/policy.md").read_text().split("## Not there yet", 1)[-1])
bad = 0
for row, places in held().items():
    if row not in ROWS:
        print(f"{row}: there is no such row ({places[0]})")
        bad = 1
    elif not places and row not in missing:
        print(f"{row}: no test is named after it, and docs/design/policy.md does not list it as missing")
        bad = 1
print(f"policy rows: {sum(bool(places) for row, places in held().items() if row in ROWS)} of {len(ROWS)} have tests of their name")
sys.exit(bad)

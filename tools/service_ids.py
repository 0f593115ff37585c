#!/usr/bin/env python3
"""Every row of the Service rules, SVC-A1 ... A16 and SVC-D1 ... D31, has a test named after its id.

tools/service_ids.py            which row is held by what; exit 1 when one is held by nothing and docs/design/services.md does not
                                list it under "Not there yet"
tools/service_ids.py LINES      from lines "ok NAME", "failed NAME", "skipped NAME" of tests that ran: what became of each row
"""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
ROWS = [f"A{n}" for n in range(1, 17)] + [f"D{n}" for n in range(1, 32)]


def rows_in(name):
    return {"".join(found) for found in re.findall(r"SVC[-_]([AD])(\d+)", name)}


def held():
    out = {row: [] for row in ROWS}
    places = [path.name for path in (root / "tests/scenarios").glob("SVC-*.scn")]
    for folder in ("src", "tests"):
        for path in (root / folder).rglob("*_test.cc"):
            places += [f"{path.relative_to(root)}: {name}" for name in re.findall(r"^TEST\w*\(\w+, (SVC_\w+)\)", path.read_text(), re.M)]
    for place in sorted(places):
        for row in rows_in(place):
            out.setdefault(row, []).append(place)
    return out


def missing_by_design():
    text = (root / "docs/design/services.md").read_text()
    return rows_in(text.split("## Not there yet", 1)[-1])


def check():
    bad = 0
    for row, places in held().items():
        listed = row in missing_by_design()
        if row not in ROWS:
            print(f"SVC-{row}: there is no such row ({places[0]})")
            bad += 1
        elif not places and not listed:
            print(f"SVC-{row}: no test is named after it, and docs/design/services.md does not list it as missing")
            bad += 1
    print(f"service rows: {sum(bool(places) for places in held().values())} of {len(ROWS)} have tests of their name")
    return 1 if bad else 0


def report(path):
    seen = {row: {"ok": 0, "failed": 0, "skipped": 0} for row in ROWS}
    for line in pathlib.Path(path).read_text().splitlines():
        outcome, name = line.split(" ", 1)
        for row in rows_in(name):
            seen[row][outcome] += 1
    missing = missing_by_design()
    print("Services by row (tests that passed; failed, skipped):")
    for row in ROWS:
        counts = seen[row]
        words = [f"{counts['ok']} passed"] if counts["ok"] else []
        words += [f"{counts[what]} {what}" for what in ("failed", "skipped") if counts[what]]
        if row in missing:
            words.append("in part missing (docs/design/services.md)")
        print(f"  SVC-{row:<4} {', '.join(words) or 'not run at this level'}")


if len(sys.argv) > 1:
    report(sys.argv[1])
else:
    sys.exit(check())

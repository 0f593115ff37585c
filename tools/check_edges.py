#!/usr/bin/env python3
"""Holds the includes against the house (DESIGN: rooms, doors, edges).

The allowed edges are the DEPS of carrick_room() in CMakeLists.txt. A room may include another only if it is in its DEPS, and,
unless that is a value room (base, net, k8s, desired's tables), only a header at the top of its folder.
Prints one line a violation and exits 1; 0 when the house is in order; 2 when it found nothing to check.
"""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
VALUE_ROOMS = {"base", "net", "k8s", "desired"}
FORBIDDEN_NAMES = {"common", "util", "utils", "core", "helpers", "misc"}


def edges():
    text = (root / "CMakeLists.txt").read_text()
    out = {}
    for name, rest in re.findall(r"carrick_room\((\w+)([^)]*)\)", text):
        deps = re.search(r"DEPS ([^A-Z)]*)", rest)
        out[name] = set(deps.group(1).split()) if deps else set()
    return out


def main():
    allowed, problems, checked = edges(), [], 0
    for path in sorted((root / "src").rglob("*")):
        relative = path.relative_to(root / "src")
        if path.is_dir():
            if path.name in FORBIDDEN_NAMES:
                problems.append(f"src/{relative}: a room is never called {path.name}")
            continue
        if path.suffix not in (".h", ".cc"):
            continue
        room = relative.parts[0]
        if room not in allowed:
            problems.append(f"src/{relative}: {room} is not a room of CMakeLists.txt")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#include "([^"]+)"', line)
            if not match:
                continue
            checked += 1
            other = match.group(1).split("/")[0]
            if other == room or other not in allowed:
                continue
            if other not in allowed[room]:
                problems.append(f"src/{relative}:{number}: {room} may not include {other}")
            elif other not in VALUE_ROOMS and match.group(1).count("/") > 1:
                problems.append(f"src/{relative}:{number}: {match.group(1)} is not a door of {other}")
    for problem in problems:
        print(problem)
    if not checked:
        print("no include found: the check is broken")
        return 2
    print(f"edges: {checked} includes checked, {len(problems)} forbidden")
    return 1 if problems else 0


sys.exit(main())

# Sourced by run.sh: docs/guide/kubectl.md against a lab, block by block. A line "# says: REGEX" is what its output must hold.
ln -sf "$kubectl" "$work/bin/kubectl"
rm -rf "$work/guide"; mkdir -p "$work/guide"
awk -v dir="$work/guide" '/^```sh$/ {n++; inside = 1; next} /^```$/ {inside = 0} inside {print > sprintf("%s/%02d.sh", dir, n)}' ../../docs/guide/kubectl.md
# "! command" must fail: bash lets its success pass, so it is said twice.
replay() { bash -euo pipefail -c "fails() { if \"\$@\"; then echo \"succeeded: \$*\"; exit 9; fi; }; $(sed 's/^! /fails /' "$1")"; }
export -f replay
for block in "$work/guide"/??.sh; do
  check "guide-$(basename "$block" .sh)" "$(sed -n 's/^# says: //p' "$block")" bash -c "replay '$block'"
done
rm -f "$work/bin/kubectl"

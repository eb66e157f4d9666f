#!/usr/bin/env bash
# Programs that some tests drive: a browser for the live page, ffmpeg and GStreamer for sources. Whatever is missing is
# installed where apt-get may (as root on Debian or Ubuntu); elsewhere those tests skip and say why.
set -u

missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    missing+=(chromium)
command -v ffmpeg >/dev/null || missing+=(ffmpeg)
command -v gst-launch-1.0 >/dev/null ||
    missing+=(gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good)
# A program's first start reads a hundred libraries (GStreamer's also searches its plugins): tens of seconds on a cold,
# busy machine, and more than a camera may take to answer. So each is started once, before any test waits for one.
start() {
    local program
    for program in chromium chromium-browser google-chrome ffmpeg gst-inspect-1.0; do
        case $program in ffmpeg) option=-version ;; *) option=--version ;; esac
        command -v "$program" >/dev/null && timeout 120 "$program" "$option" >/dev/null 2>&1 </dev/null
    done
    command -v gst-inspect-1.0 >/dev/null && timeout 120 gst-inspect-1.0 >/dev/null 2>&1 </dev/null
    return 0
}

[ ${#missing[@]} -eq 0 ] && start && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "tests that need ${missing[*]} will be skipped; to run them: sudo apt-get install ${missing[*]}"
    exit 0
fi
echo "Installing for the tests: ${missing[*]} ..."
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt-get update -q >"$log" 2>&1
if ! apt-get install -q -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
    echo "they cannot be installed, so tests that need them will be skipped: $(grep -m 1 '^E:' "$log")"
fi
start
exit 0

#!/usr/bin/env bash
# Does a machine with nothing but Python, its venv module and make get from a clone to poses?
#
# usage (as root, on Debian or Ubuntu with debootstrap, git and pip):
#   tests/bare_root.sh [FOLDER [COMMAND...]]
#
# Makes a minimal system (debootstrap minbase + python3, python3-venv, make) in FOLDER, or takes the one that is already
# there, clones the committed state of this repository into it and runs COMMAND (make demo) in a chroot. Without FOLDER
# the system is temporary and removed at the end.
# The mirror and the release are the machine's own (apt's and /etc/os-release), and so is pip's configuration.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)

if [ "$(id -u)" != 0 ]; then
    echo "bare_root.sh: chroot needs root; run it with sudo" >&2
    exit 2
fi
if ! command -v debootstrap >/dev/null; then
    echo "bare_root.sh: debootstrap is missing; apt-get install debootstrap" >&2
    exit 2
fi

if [ $# -gt 0 ]; then
    root=$1
    shift
    temporary=
else
    root=$(mktemp -d)
    temporary=yes
fi
[ $# -gt 0 ] || set -- make demo

clean_up() {
    for folder in dev/shm proc; do
        umount "$root/$folder" 2>/dev/null || true
    done
    [ -z "$temporary" ] || rm -rf --one-file-system "$root"
}
trap clean_up EXIT

if [ ! -x "$root/usr/bin/make" ]; then
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' | awk -v release="$release" '$2 == release {print $1; exit}')
    debootstrap --variant=minbase --include=python3,python3-venv,make "$release" "$root" "$mirror"
fi

# What this machine needs to reach its package index: name resolution, pip's configuration and the certificates named
# there. On a machine with a direct line these are empty or the defaults.
copy() {
    mkdir -p "$root$(dirname "$1")"
    cp -L "$1" "$root$1"
}
settings=()
for name in $(compgen -e | grep -E '^(PIP_.*|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|(http|https|no)_proxy|(HTTP|HTTPS|NO)_PROXY)$' || true); do
    settings+=("$name=${!name}")
    [ ! -f "${!name}" ] || copy "${!name}"
done
for file in /etc/resolv.conf /etc/hosts $(python3 -m pip config debug | sed -n 's/^ *\(.*\), exists: True$/\1/p'); do
    copy "$file"
done

mkdir -p "$root/proc" "$root/dev/shm"
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
mountpoint -q "$root/dev/shm" || mount -t tmpfs tmpfs "$root/dev/shm"

rm -rf "$root/root/gcpose-trt"
git clone --quiet --no-hardlinks "$repository" "$root/root/gcpose-trt"
echo "bare_root.sh: $(git -C "$repository" rev-parse --short HEAD) on $(sed -n 's/^PRETTY_NAME=//p' "$root/etc/os-release"): $*"
chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "${settings[@]}" \
    /bin/sh -c 'cd /root/gcpose-trt && exec "$@"' sh "$@"

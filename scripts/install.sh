#!/usr/bin/env bash
# Installs what is missing of what a target needs, where it may; else says what to install.
#
#   scripts/install.sh THING=PACKAGE[,PACKAGE...] ...
#
# THING is a command, or the path of a file; the Debian packages behind it are installed only when it is not
# there. Servers that come with a package are neither started nor left to start at boot.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin

say() { echo "install: $*" >&2; }

is_there() {
    case $1 in
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

missing=()
for need in "$@"; do
    thing=${need%%=*}
    IFS=, read -r -a packages <<<"${need#*=}"
    is_there "$thing" || missing+=("${packages[@]}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

privileged() { "$@"; }
if ! command -v apt-get >/dev/null; then
    say "this machine has no apt; install what Debian calls: ${missing[*]}"
    exit 1
elif [ "$(id -u)" != 0 ]; then
    # Without a terminal nobody could answer sudo's question.
    if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        privileged() { sudo "$@"; }
    else
        say "not root and no sudo; have this done: apt-get install --no-install-recommends ${missing[*]}"
        exit 1
    fi
fi

# A package's scripts ask this file before they start a service; 101 forbids it.
policy=/usr/sbin/policy-rc.d
forbid_services() {
    [ -e "$policy" ] && return
    printf '#!/bin/sh\nexit 101\n' | privileged tee "$policy" >/dev/null
    privileged chmod 755 "$policy"
    trap 'privileged rm -f "$policy"' EXIT
}

say "installing ${missing[*]}"
had_mariadb=no
is_there mariadbd && had_mariadb=yes
forbid_services
privileged apt-get -qq update >&2
privileged env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "${missing[@]}" >&2
if [ "$had_mariadb" = no ] && is_there mariadbd && command -v systemctl >/dev/null; then
    privileged systemctl disable mariadb >/dev/null 2>&1 || true
fi

#!/usr/bin/env bash
# Unpacks MySQL's current server, client programs and router beside the build, for the sandbox and the tests.
#
# The packages are Debian unstable's, with every library they depend on (the C library too), fetched by apt with
# its own lists and state: nothing is installed and the system's apt is not touched. No root needed. Where the
# system's apt sources name no Debian mirror (Ubuntu), the newest MySQL of those sources is taken instead.
#
#   SPLITRAIL_SERVERS        where to unpack (default: target/servers of this repository)
#   SPLITRAIL_DEBIAN_MIRROR  a Debian mirror to use instead of the one in the system's apt sources
#   SPLITRAIL_DEBIAN_SUITE   the suite to take (default: sid)
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
servers=${SPLITRAIL_SERVERS:-$repository/target/servers}
suite=${SPLITRAIL_DEBIAN_SUITE:-sid}
# Raised when what is unpacked changes, so that older folders are made anew.
layout=1

say() { echo "servers: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

# The first Debian archive among the system's sources; security and other side archives do not carry the suite.
system_mirror() {
    local files=(/etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources)
    cat "${files[@]}" 2>/dev/null |
        sed -nE -e 's/^[[:space:]]*deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+).*/\2/p' \
            -e 's/^URIs:[[:space:]]*([^[:space:]]+).*/\1/p' |
        grep -E '/debian/?$' | head -n 1
}

write_apt_configuration() {
    local mirror=$1 list=/etc/apt/sources.list parts=/etc/apt/sources.list.d keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=""
    [ -e "$keyring" ] && signed="[signed-by=$keyring]"
    mkdir -p "$apt"/{lists/partial,archives/partial,etc/empty,state}
    : >"$apt/state/status"
    if [ -n "$mirror" ]; then
        list=$apt/etc/sources.list parts=$apt/etc/empty
        echo "deb $signed $mirror $suite main" >"$list"
    fi
    cat >"$apt/etc/apt.conf" <<CONF
Dir::State "$apt/state";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/state/status";
Dir::State::extended_states "$apt/state/extended_states";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
Dir::Etc::sourcelist "$list";
Dir::Etc::sourceparts "$parts";
Dir::Etc::preferences "$apt/etc/none";
Dir::Etc::preferencesparts "$apt/etc/empty";
Dir::Log "$apt/state";
Debug::NoLocking "true";
APT::Install-Recommends "false";
APT::Sandbox::User "";
APT::Update::Post-Invoke { };
DPkg::Post-Invoke { };
Acquire::Languages "none";
Acquire::Retries "3";
CONF
}

# The newest package of that name, which some distributions end with a version.
newest() {
    apt-cache search --names-only "^$1(-[0-9.]+)?\$" | cut -d ' ' -f 1 | sort -V | tail -n 1
}

fetch() {
    local mirror=$1 name package packages=()
    write_apt_configuration "$mirror"
    export APT_CONFIG=$apt/etc/apt.conf
    say "fetching MySQL from ${mirror:+$suite of }${mirror:-the apt sources of this machine}"
    apt-get -qq update >&2 || fail "apt cannot read the lists"
    for name in mysql-server-core mysql-client-core mysql-router; do
        package=$(newest "$name")
        [ -n "$package" ] && packages+=("$package")
    done
    case "${packages[*]:-}" in
    mysql-server-core*) ;;
    *) fail "no mysql-server-core there: set SPLITRAIL_DEBIAN_MIRROR to a Debian mirror" ;;
    esac
    # With an empty status file everything is to be installed, so apt names the whole closure.
    apt-get -qq -y --download-only --no-install-recommends install "${packages[@]}" >&2 ||
        fail "apt cannot download ${packages[*]}"
}

unpack() {
    local fresh=$servers/mysql.new
    rm -rf "$fresh"
    mkdir -p "$fresh/root"
    say "unpacking into $servers/mysql"
    # Merged /usr: the packages still ship a few files under /lib.
    mkdir -p "$fresh/root/usr/"{bin,sbin,lib,lib64}
    local folder
    for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$fresh/root/$folder"; done
    local archive
    for archive in "$apt"/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$archive" | tar -x --keep-directory-symlink -C "$fresh/root" \
            --no-same-owner --exclude './dev/*' --exclude './usr/share/doc/*' --exclude './usr/share/man/*' \
            --exclude './usr/share/locale/*'
    done
    write_wrappers "$fresh"
    rm -rf "$servers/mysql"
    mv "$fresh" "$servers/mysql"
}

# Each program runs under the unpacked dynamic loader, so that it never meets the system's libraries.
write_wrappers() {
    local fresh=$1 root=$1/root
    local loader library program path extra
    loader=$(cd "$root" && find usr/lib usr/lib64 -name 'ld-linux*.so.*' | head -n 1)
    [ -n "$loader" ] || fail "no dynamic loader among the unpacked packages"
    library=$(dirname "$(cd "$root" && find usr/lib -name 'libc.so.6' | head -n 1)")
    mkdir -p "$fresh/bin"
    for program in mysqld mysql mysqladmin mysqlbinlog mysqldump mysqlcheck mysqlshow mysqlslap mysqlrouter; do
        path=$(cd "$root" && find usr/sbin usr/bin -name "$program" | head -n 1)
        [ -n "$path" ] || continue
        extra=""
        if [ "$program" = mysqld ]; then
            extra='--no-defaults --basedir="$root/usr" --plugin-dir="$root/usr/lib/mysql/plugin"'
            extra+=' --lc-messages-dir="$root/usr/share/mysql" --character-sets-dir="$root/usr/share/mysql/charsets"'
            extra+=' --secure-file-priv='
        fi
        cat >"$fresh/bin/$program" <<WRAPPER
#!/bin/sh
root=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")/root
libraries=\$root/$library:\$root/usr/lib/mysql:\$root/usr/lib/mysql/private:\$root/$library/mysqlrouter:\$root/$library/mysqlrouter/private
exec "\$root/$loader" --library-path "\$libraries" --argv0 "\$0" "\$root/$path" $extra "\$@"
WRAPPER
        chmod +x "$fresh/bin/$program"
    done
}

main() {
    local stamp=$servers/mysql/stamp wanted
    wanted="$layout $suite $(uname -m)"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        fail "this needs apt and dpkg (Debian or Ubuntu); elsewhere put a MySQL 8.0, 8.4 or 9 server in PATH"
    local mirror=${SPLITRAIL_DEBIAN_MIRROR:-$(system_mirror || true)}
    mkdir -p "$servers"
    apt=$(cd "$servers" && pwd)/apt
    rm -rf "$apt/archives"
    fetch "$mirror"
    unpack
    rm -rf "$apt"
    "$servers/mysql/bin/mysqld" --version >&2 || fail "the unpacked server does not start"
    echo "$wanted" >"$stamp"
}

main

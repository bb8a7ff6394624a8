#!/usr/bin/env bash
# Unpacks servers beside the build, for the sandbox and the tests: MySQL's server, client programs and router.
#
#   scripts/servers.sh [mysql|mariadb|mysql-tests ...]      default: mysql
#
# The packages are Debian unstable's, with every library they depend on (the C library too), fetched by apt with
# its own lists and state: nothing is installed and the system's apt is not touched. No root needed. Where the
# system's apt sources name no Debian mirror (Ubuntu), the newest of those sources is taken instead.
# MariaDB is unpacked only when asked for; otherwise the sandbox uses the installed one. `mysql-tests` is the server once
# more with its own regression tests (`make regression`).
#
#   SPLITRAIL_SERVERS        where to unpack (default: target/servers of this repository)
#   SPLITRAIL_DEBIAN_MIRROR  a Debian mirror to use instead of the one in the system's apt sources
#   SPLITRAIL_DEBIAN_SUITE   the suite to take (default: sid)
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
servers=${SPLITRAIL_SERVERS:-$repository/target/servers}
suite=${SPLITRAIL_DEBIAN_SUITE:-sid}
# Raised when what is unpacked of a flavour changes, so that older folders are made anew.
layout_of() {
    case $1 in
    mysql | mysql-tests) echo 1 ;;
    mariadb) echo 2 ;;
    esac
}

say() { echo "servers: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

# Names of packages, without the version that some distributions end them with; the server comes first.
packages_of() {
    case $1 in
    mysql) echo mysql-server-core mysql-client-core mysql-router ;;
    mariadb) echo mariadb-server-core mariadb-server mariadb-client-core mariadb-client mariadb-backup ;;
    mysql-tests) echo mysql-server-core mysql-client-core mysql-testsuite ;;
    *) fail "no such flavour: $1 (mysql, mariadb, mysql-tests)" ;;
    esac
}

programs_of() {
    case $1 in
    mysql) echo mysqld mysql mysqladmin mysqlbinlog mysqldump mysqlcheck mysqlshow mysqlslap mysqlrouter ;;
    mariadb)
        echo mariadbd mariadb mariadb-admin mariadb-binlog mariadb-dump my_print_defaults resolveip mariadb-backup mbstream
        ;;
    mysql-tests)
        echo mysqld mysql mysqladmin mysqlbinlog mysqldump mysqlcheck mysqlimport mysqlshow mysqlslap mysql_config_editor \
            mysql_migrate_keyring mysql_secure_installation mysql_test_event_tracking mysql_tzinfo_to_sql my_print_defaults \
            perror innochecksum ibd2sdi myisamchk myisamlog myisampack myisam_ftdump mysqltest mysqltest_safe_process \
            mysqlxtest mysql_client_test mysql_keyring_encryption_test comp_err
        ;;
    esac
}

# The first Debian archive among the system's sources; security and other side archives do not carry the suite.
system_mirror() {
    local files=(/etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources)
    cat "${files[@]}" 2>/dev/null |
        sed -nE -e 's/^[[:space:]]*deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+).*/\2/p' \
            -e 's/^URIs:[[:space:]]*([^[:space:]]+).*/\1/p' |
        grep -E '/debian/?$' | head -n 1
}

# Given as an option it is read after the system's own, whose proxies are wanted and whose hooks are not.
write_apt_configuration() {
    local mirror=$1 list=/etc/apt/sources.list parts=/etc/apt/sources.list.d
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=""
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
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Acquire::Languages "none";
Acquire::Retries "3";
CONF
}

# The newest package of that name.
newest() {
    apt-cache -c "$apt/etc/apt.conf" search --names-only "^$1(-[0-9.]+)?\$" | cut -d ' ' -f 1 | sort -V | tail -n 1
}

fetch() {
    local flavour=$1 mirror=$2 name package packages=()
    write_apt_configuration "$mirror"
    say "fetching $flavour from ${mirror:+$suite of }${mirror:-the apt sources of this machine}"
    apt-get -c "$apt/etc/apt.conf" -qq update >&2 || fail "apt cannot read the lists"
    for name in $(packages_of "$flavour"); do
        package=$(newest "$name")
        [ -n "$package" ] && packages+=("$package")
    done
    case ${packages[0]:-} in
    *-server-core*) ;;
    *) fail "no $flavour server there: set SPLITRAIL_DEBIAN_MIRROR to a Debian mirror" ;;
    esac
    # With an empty status file everything is to be installed, so apt names the whole closure.
    apt-get -c "$apt/etc/apt.conf" -qq -y --download-only --no-install-recommends install "${packages[@]}" >&2 ||
        fail "apt cannot download ${packages[*]}"
}

unpack() {
    local flavour=$1 fresh=$servers/$1.new folder archive
    rm -rf "$fresh"
    say "unpacking into $servers/$flavour"
    # Merged /usr: some packages still ship files under /lib.
    mkdir -p "$fresh/root/usr/"{bin,sbin,lib,lib64}
    for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$fresh/root/$folder"; done
    for archive in "$apt"/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$archive" | tar -x --keep-directory-symlink -C "$fresh/root" \
            --no-same-owner --exclude './dev/*' --exclude './usr/share/doc/*' --exclude './usr/share/man/*' \
            --exclude './usr/share/locale/*'
    done
    write_wrappers "$flavour" "$fresh"
    rm -rf "${servers:?}/$flavour"
    mv "$fresh" "$servers/$flavour"
}

# What a server must be told because it is not where it was built to be.
places_of() {
    case $1 in
    mysqld)
        echo '--no-defaults --basedir="$root/usr" --plugin-dir="$root/usr/lib/mysql/plugin"' \
            '--lc-messages-dir="$root/usr/share/mysql" --character-sets-dir="$root/usr/share/mysql/charsets"' \
            '--secure-file-priv='
        ;;
    mariadbd)
        echo '--no-defaults --basedir="$root/usr" --plugin-dir="$root/usr/lib/mysql/plugin"' \
            '--lc-messages-dir="$root/usr/share/mysql" --character-sets-dir="$root/usr/share/mysql/charsets"'
        ;;
    esac
}

# Each program runs under the unpacked dynamic loader, so that it never meets the system's libraries.
write_wrappers() {
    local flavour=$1 fresh=$2 root=$2/root loader library program path binary options tests=
    [ "$flavour" = mysql-tests ] && tests=usr/lib/mysql-test/bin
    loader=$(cd "$root" && find usr/lib usr/lib64 -name 'ld-linux*.so.*' | head -n 1)
    [ -n "$loader" ] || fail "no dynamic loader among the unpacked packages"
    library=$(dirname "$(cd "$root" && find usr/lib -name 'libc.so.6' | head -n 1)")
    mkdir -p "$fresh/bin"
    for program in $(programs_of "$flavour"); do
        path=$(cd "$root" && find usr/sbin usr/bin $tests -name "$program" | head -n 1)
        [ -n "$path" ] || continue
        binary=$path
        if [ "$flavour" != mysql ]; then
            # Scripts of theirs start programs where they are: they get the loader there too.
            binary=$path.unwrapped
            mv "$root/$path" "$root/$binary"
            write_wrapper "$root/$path" "/$path" "" "$binary" ""
        fi
        [ "$flavour" = mysql-tests ] || options=$(places_of "$program")
        write_wrapper "$fresh/bin/$program" "/bin/$program" /root "$binary" "${options:-}"
    done
    [ "$flavour" = mariadb ] || return 0
    cat >"$fresh/bin/mariadb-install-db" <<'WRAPPER'
#!/bin/sh
root=$(dirname "$(dirname "$(readlink -f "$0")")")/root
exec "$root/usr/bin/mariadb-install-db" --no-defaults --basedir="$root/usr" "$@"
WRAPPER
    chmod +x "$fresh/bin/mariadb-install-db"
}

# The folder `root` is found from the wrapper's own place: that, less $2, plus $3.
write_wrapper() {
    local file=$1 place=$2 inside=$3 binary=$4 options=$5
    cat >"$file" <<WRAPPER
#!/bin/sh
here=\$(readlink -f "\$0")
root=\${here%"$place"}$inside
libraries=\$root/$library:\$root/usr/lib/mysql/private:\$root/usr/lib/mysql-test/lib:\$root/$library/mysqlrouter/private
exec "\$root/$loader" --library-path "\$libraries" --argv0 "\$0" "\$root/$binary" $options "\$@"
WRAPPER
    chmod +x "$file"
}

provide() {
    local flavour=$1 stamp=$servers/$1/stamp wanted mirror server
    wanted="$(layout_of "$flavour") $suite $(uname -m)"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        fail "this needs apt and dpkg (Debian, Ubuntu); elsewhere install a $flavour server"
    mirror=${SPLITRAIL_DEBIAN_MIRROR:-$(system_mirror || true)}
    apt=$servers/apt
    rm -rf "$apt/archives"
    fetch "$flavour" "$mirror"
    unpack "$flavour"
    rm -rf "$apt"
    server=$(programs_of "$flavour")
    "$servers/$flavour/bin/${server%% *}" --version >&2 || fail "the unpacked server does not start"
    echo "$wanted" >"$stamp"
}

mkdir -p "$servers"
servers=$(cd "$servers" && pwd)
# Two at a time would trip over each other.
exec 9>"$servers/lock"
flock 9
for flavour in "${@:-mysql}"; do
    provide "$flavour"
done

#!/bin/bash
# Makes the Debian package of a binary that is built already, with dpkg-deb alone.
#   scripts/package.sh [BINARY] [FOLDER FOR THE PACKAGE]
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:-target/package/splitrail}
output=${2:-target/package}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
architecture=$(dpkg --print-architecture)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

install -D -m 755 "$binary" "$root/usr/bin/splitrail"
install -D -m 644 deploy/systemd/splitrail.service "$root/lib/systemd/system/splitrail.service"
# Its owner and group are set when it is installed: it may get passwords.
install -D -m 640 deploy/debian/proxy.yaml "$root/etc/splitrail/proxy.yaml"
install -D -m 755 deploy/reclone/mariadb "$root/usr/share/splitrail/reclone-mariadb"
install -D -m 644 proxy.yaml "$root/usr/share/doc/splitrail/examples/proxy.yaml"
install -D -m 644 deploy/debian/copyright "$root/usr/share/doc/splitrail/copyright"
gzip -9nc CHANGELOG.md > "$root/usr/share/doc/splitrail/changelog.gz"
for page in docs/*.md; do
    install -D -m 644 "$page" "$root/usr/share/doc/splitrail/$(basename "$page")"
done

# The binary knows its own command line.
put() { install -d "$(dirname "$2")" && "$binary" $1 > "$2"; }
put "completions bash" "$root/usr/share/bash-completion/completions/splitrail"
put "completions zsh" "$root/usr/share/zsh/vendor-completions/_splitrail"
put "completions fish" "$root/usr/share/fish/vendor_completions.d/splitrail.fish"
manual=$root/usr/share/man/man1
put man "$manual/splitrail.1"
for command in run init convert check ctl status top setup schema completions man sandbox; do
    put "man $command" "$manual/splitrail-$command.1"
done
gzip -9n "$manual"/*.1

# The newest symbols that it wants; none are found in a binary that is linked to nothing.
glibc=$(objdump -T "$binary" 2>/dev/null | { grep -o 'GLIBC_[0-9.]*' || true; } | sed s/GLIBC_// | sort -Vu | tail -n 1) || true
install -d "$root/DEBIAN"
install -m 755 deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm "$root/DEBIAN/"
echo /etc/splitrail/proxy.yaml > "$root/DEBIAN/conffiles"
cat > "$root/DEBIAN/control" <<CONTROL
Package: splitrail
Version: $version
Architecture: $architecture
Maintainer: The splitrail authors <splitrail@localhost>
Depends: libc6${glibc:+ (>= $glibc)}, libgcc-s1, zlib1g, adduser
Section: database
Priority: optional
Installed-Size: $(du -sk "$root" | cut -f1)
Description: read/write-splitting proxy for MySQL and MariaDB
 Clients connect to it as they would to the server: writes go to the primary,
 reads to replicas, and nobody can tell it from the server itself.
CONTROL

mkdir -p "$output"
package="$output/splitrail_${version}_${architecture}.deb"
dpkg-deb --root-owner-group --build "$root" "$package" >/dev/null
echo "$package"

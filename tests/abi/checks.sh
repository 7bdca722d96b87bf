# For the scripts beside it: `check NAME COMMAND...` runs a command and counts, `checked` closes with the counts.
passed=0
failed=0

check() {
  name=$1
  shift
  if "$@" >"$out/log" 2>&1; then
    echo "ok     $name"
    passed=$((passed + 1))
  else
    echo "FAILED $name"
    sed 's/^/       /' "$out/log"
    failed=$((failed + 1))
  fi
}

checked() {
  echo "$1: $passed passed, $failed failed"
  test "$failed" -eq 0
}

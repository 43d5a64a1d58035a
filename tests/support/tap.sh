# SPDX-License-Identifier: MIT
# For test scripts: . "$DARI_SOURCE/tests/support/tap.sh", then check each case, then finish. The
# script runs in an empty folder of its own, which is removed at the end.
# shellcheck shell=sh

tap_number=0
tap_failed=0
tap_directory=$(mktemp -d)
trap 'rm -rf "$tap_directory"' EXIT
cd "$tap_directory" || exit 1
mkdir work .tap
cd work || exit 1
out=$tap_directory/.tap/out # what the last run wrote to standard output
err=$tap_directory/.tap/err # and to standard error
status=0                    # and its exit code

# run COMMAND...: fills in out, err and status.
run() {
    status=0
    "$@" >"$out" 2>"$err" </dev/null || status=$?
}

# check NAME COMMAND...: a case that passes where the command succeeds.
check() {
    tap_number=$((tap_number + 1))
    tap_name=$1
    shift
    if "$@" >"$tap_directory/.tap/check" 2>&1; then
        echo "ok $tap_number - $tap_name"
    else
        echo "not ok $tap_number - $tap_name"
        echo "# failed: $*"
        sed 's/^/# /' "$tap_directory/.tap/check"
        echo "# the last run: exit $status"
        sed 's/^/#   /' "$out" "$err"
        tap_failed=1
    fi
}

# skip NAME REASON
skip() {
    tap_number=$((tap_number + 1))
    echo "ok $tap_number - $1 # SKIP $2"
}

# exits STATUS [TEXT]: the last run ended so, and its standard error has the text.
exits() {
    [ "$status" = "$1" ] && { [ $# = 1 ] || grep -qF -e "$2" "$err"; }
}

# says TEXT...: the last run's standard output has each of them.
says() {
    for tap_text in "$@"; do
        grep -qF -e "$tap_text" "$out" || return 1
    done
}

# finish: the plan, and the exit code.
finish() {
    echo "1..$tap_number"
    exit "$tap_failed"
}

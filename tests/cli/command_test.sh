#!/bin/sh
# SPDX-License-Identifier: MIT
# The command `dari` itself: verbs, help, version, and what goes wrong around them.
set -u
: "${DARI:?}" "${DARI_SOURCE:?}"
. "$DARI_SOURCE/tests/support/tap.sh"

run "$DARI" --version
check "--version names the version" says "dari 0."
check "--version exits 0" exits 0

run "$DARI"
check "no command is a usage error" exits 2 "a command is missing"

run "$DARI" frobnicate
check "an unknown command is a usage error" exits 2 "'frobnicate' is no command"

run "$DARI" help
check "help lists the commands" says "gen " "help "

run "$DARI" --help
check "--help is help" says "gen " "help "

run "$DARI" help gen
check "help gen has the options" says "-o DIR" "--strings=span" "-MD"

run "$DARI" gen --help
check "gen --help is help gen" says "-o DIR" "--strings=span" "-MD"

run "$DARI" help frobnicate
check "help of an unknown command is a usage error" exits 2 "'frobnicate' is no command"

status=0
"$DARI" help >/dev/full 2>"$err" || status=$?
check "a full standard output is an error" exits 1 "No space left on device"

# Every option that `dari gen` has is in its manual and its help.
documented() {
    "$DARI" help gen >help
    for option in o I D MD; do
        grep -q "^\.It Fl $option\b" "$DARI_SOURCE/man/dari-gen.1" &&
            grep -q -e "^  -$option " help || return 1
    done
    for option in prefix extern strings sizes; do
        grep -q "^\.It Fl -$option\b" "$DARI_SOURCE/man/dari-gen.1" &&
            grep -q -e "^  --$option" help || return 1
    done
}
check "every option is in the manual and the help" documented

manual_is_clean() {
    # A warning is a fault of the source; that other manuals are not installed is none.
    [ -z "$(mandoc -Tlint -Wwarning "$DARI_SOURCE"/man/*.1 2>&1 | grep -v mandoc.db)" ]
}
if command -v mandoc >/dev/null; then
    check "the manuals are well-formed" manual_is_clean
else
    skip "the manuals are well-formed" "no mandoc"
fi

finish

#!/bin/sh
# SPDX-License-Identifier: MIT
# The model of the ring holds, whoever dies; and it fails once any one fence, second look, wake-up or
# hang-up is taken out of it: so each of them is needed, and the model would notice.
. "$DARI_SOURCE/tests/support/tap.sh"

model=$DARI_SOURCE/tests/model/ring.pml

# verify OPTION...: has spin look at every state of the model; its errors are in out.
verify() {
    rm -f pan pan.*
    run spin "$@" -a "$model"
    [ "$status" = 0 ] || return 1
    run "${CC:-cc}" -O1 -DSAFETY -w -o pan pan.c
    [ "$status" = 0 ] || return 1
    run ./pan -m100000
}

holds() {
    verify "$@" && says "errors: 0" && ! says "max search depth too small"
}

fails() {
    verify "$@" && says "invalid end state (" && says "errors: 1"
}

if ! command -v spin >/dev/null; then
    skip "the model" "spin is not installed"
    finish
    exit
fi
check "no wake-up is lost" holds -DNOBODY_DIES
check "nor where the reader dies" holds -DDEATH=0
check "nor where the writer dies" holds -DDEATH=1
for part in FENCE_PUBLISH FENCE_SLEEP FENCE_READ FENCE_WAIT LOOK_SLEEP LOOK_WAIT WAKE_PUBLISH WAKE_READ; do
    check "without $part it fails" fails -DNO_$part
done
check "without a hang-up the writer waits for a dead reader" fails -DDEATH=0 -DNO_HANG_UP
check "without a hang-up the reader waits for a dead writer" fails -DDEATH=1 -DNO_HANG_UP
finish

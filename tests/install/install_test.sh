#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs by the front door into a folder, and builds and runs a program against what is there, as
# somebody does who has never seen the tree.
set -u
: "${DARI_SOURCE:?}" "${CC:=cc}"
. "$DARI_SOURCE/tests/support/tap.sh"

stage=$PWD/stage
prefix=$stage/opt/dari
# A folder of its own for building: the one that the tests come from stays as it is.
run env -u DESTDIR -u MAKEFLAGS -u MAKELEVEL make -C "$DARI_SOURCE" BUILD="$PWD/build" \
    PREFIX=/opt/dari DESTDIR="$stage" install
check "make install PREFIX= DESTDIR=" exits 0

library=$(dirname "$(find "$stage" -name libdari.a)")
check "the command" [ -x "$prefix/bin/dari" ]
check "the shared library" [ "$library/libdari.so.0" -ef "$library/libdari.so.0.1.0" ]
check "the name to link by" [ -e "$library/libdari.so" ]
headers=$(cd "$DARI_SOURCE/include/dari" && ls -- *.h)
check "the headers" [ "$(ls "$prefix/include/dari")" = "$headers" ]
check "the manuals" [ -e "$prefix/share/man/man1/dari.1" -a -e "$prefix/share/man/man1/dari-gen.1" ]
check "nothing beside the prefix" [ "$(cd "$stage" && find . -type f ! -path './opt/dari/*')" = "" ]

# pkg-config as where the library is installed in its place.
PKG_CONFIG_PATH=$library/pkgconfig
export PKG_CONFIG_PATH
package() {
    pkg-config --define-variable=prefix="$prefix" "$@" dari
}
run package --modversion
check "dari.pc: the version" says 0.1.0
run package --variable=dari
check "dari.pc: the variable dari names the compiler" [ "$(cat "$out")" = "$prefix/bin/dari" ]

cp "$DARI_SOURCE/tests/install/outside.x" "$DARI_SOURCE/tests/install/program.c" .
run "$(package --variable=dari)" gen outside.x
check "the installed compiler" exits 0

# build OUTPUT LINK-ARGUMENT...
build() {
    program=$1
    shift
    # shellcheck disable=SC2046,SC2086
    run $CC -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror program.c outside.c \
        $(package --cflags) "$@" -o "$program"
}

build shared $(package --libs)
check "a program with the shared library builds" exits 0
run env LD_LIBRARY_PATH="$library" ./shared
check "and runs" says right
check "it needs libdari.so.0" grep -q 'libdari\.so\.0' shared
build static -Wl,-Bstatic $(package --static --libs) -Wl,-Bdynamic
check "a program with the static library builds" exits 0
run ./static
check "and runs without libdari.so" says right

finish

#!/bin/sh
# SPDX-License-Identifier: MIT
# What is generated for hard names, and for all that the language has, is C11 and a C++17 header, without
# a warning, for the compiler that CC names and its C++ sister.
set -u
: "${DARI:?}" "${DARI_SOURCE:?}"
. "$DARI_SOURCE/tests/support/tap.sh"

c=${CC:-gcc}
case $c in
*clang*) cxx=clang++ ;;
*) cxx=g++ ;;
esac
flags="-Wall -Wextra -Wpedantic -Wconversion -Wno-unknown-pragmas -Werror -fsyntax-only -I$DARI_SOURCE/include -I."

# compiles STEM
compiles() {
    # shellcheck disable=SC2086
    $c -std=c11 $flags "$1.c" && echo "#include \"$1.h\"" | $cxx -x c++ -std=c++17 $flags -
}

# try FOLDER OPTION...: every file of the folder.
try() {
    folder=$1
    shift
    rm -rf -- *
    for file in "$DARI_SOURCE/tests/$folder"/*.x; do
        run "$DARI" gen "$@" "$file"
        check "$folder/$(basename "$file") is taken${1:+ with $*}" exits 0
    done
    for file in "$DARI_SOURCE/tests/$folder"/*.x; do
        run compiles "$(basename "$file" .x)"
        check "$folder/$(basename "$file") is good C and C++${1:+ with $*}" exits 0
    done
}

try golden/c
try golden/c --strings=span
try golden/c --prefix p_
try codec
finish

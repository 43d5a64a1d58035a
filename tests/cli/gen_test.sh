#!/bin/sh
# SPDX-License-Identifier: MIT
# `dari gen` as a command: options, outputs, and every way in which they can fail.
set -u
: "${DARI:?}" "${DARI_SOURCE:?}"
. "$DARI_SOURCE/tests/support/tap.sh"

cat >calc.x <<'X'
struct pair { int a; int b; };
program CALC { version CALC_V1 { int ADD(pair) = 1; } = 1; } = 0x20000101;
X
echo 'struct broken { nowhere x; };' >broken.x

both() {
    [ -s "$1.h" ] && [ -s "$1.c" ]
}
# nothing DIR STEM: not even a temporary file is there.
nothing() {
    [ -z "$(find "$1" -maxdepth 1 -name "$2*" ! -name '*.x' ! -name '*.idl' -print)" ]
}

run "$DARI" gen calc.x
check "writes both files" both calc
check "is silent on success" [ ! -s "$err" -a ! -s "$out" ]
check "leaves no temporary file" [ "$(find . -name 'calc.*' | wc -l)" = 3 ]
umask 022
run "$DARI" gen calc.x
check "the mode follows the umask" [ "$(stat -c %a calc.h calc.c | sort -u)" = 644 ]

cp calc.h first.h
touch -d '2020-01-01' calc.h calc.c
run "$DARI" gen calc.x
check "the same input gives the same bytes" cmp calc.h first.h
check "outputs are rewritten though unchanged" [ calc.h -nt calc.x ]
rm calc.h calc.c first.h

mkdir out
run "$DARI" gen -o out calc.x
check "-o DIR" both out/calc
run "$DARI" gen -o out/ calc.x
check "-o DIR/" both out/calc

cp calc.x other.idl
run "$DARI" gen -o out other.idl
check "other endings than .x" both out/other
cp calc.x noending
run "$DARI" gen -o out noending
check "no ending at all" both out/noending

cp calc.x second.x
rm -f out/*
run "$DARI" gen -o out calc.x second.x
check "several files: the first" both out/calc
check "several files: the second" both out/second

mkdir sub
cp calc.x sub/calc.x
rm -f out/*
run "$DARI" gen -o out calc.x sub/calc.x
check "two files of one stem are a usage error" \
    exits 2 "calc.x and sub/calc.x would both be written to calc.h"
check "and nothing is written" nothing out calc

rm -f out/*
run "$DARI" gen -o out broken.x
check "an error has its place" exits 1 "broken.x:1:17: error: "
check "an error has its line and caret" grep -q '\^' "$err"
check "an error leaves no output" nothing out broken
check "no colour in a file" [ -z "$(tr -dc '\033' <"$err")" ]
for name in ping_1 ping_1_start ping_1_done ping_1_oneway put_ping_1 finish_ping_1 serve_ping_1; do
    echo "struct $name { int x; };
program P { version V { void PING(int) = 1; } = 1; } = 1;" >clash.x
    run "$DARI" gen -o out clash.x
    check "a type called like a function of a procedure: $name" exits 1 "'$name' would be the name"
done
for name in inline_size_one plain_decode_string; do
    echo "struct one { string s<>; }; struct all { one ones<>; }; const $name = 1;
program P { version V { string PING(string) = 1; } = 1; } = 1;" >clash.x
    run "$DARI" gen -o out clash.x
    check "a constant called like a function of the generated file: $name" exits 1 "'$name' would be the name"
    check "with a note at the other definition" grep -q "clash.x:[12]:[0-9]*: note: " "$err"
done
for name in 'const memcpy = 1' 'enum e { index = 1 }' 'struct strlen { int x; }' 'const uint32_t = 1' 'const dari_put_u32 = 1'; do
    echo "$name;" >clash.x
    run "$DARI" gen -o out clash.x
    check "a name of the C library or of dari: $name" exits 1 "clash.x:1:"
    check "and what helps" grep -q -e "--prefix" "$err"
    run "$DARI" gen --prefix p_ -o out clash.x
    check "with a prefix it is one like others" exits 0
done
for text in 'struct s { int a; hyper NULL; };' 'union u switch (int SIZE_MAX) { case 1: int a; };' \
    'union u switch (int a) { case 1: int b; default: int DARI_LATER; };' 'struct s { int errno; };' \
    'program P { version V { int F(int, int offsetof) = 1; } = 1; } = 1;' \
    'program P { version V { int ERRNO(int) = 1; } = 1; } = 1;'; do
    echo "$text" >clash.x
    run "$DARI" gen -o out clash.x
    check "a member called like a macro of C or dari: $text" exits 1 "no member can have the name"
    name=$(sed -n 's/.* let -D \([A-Za-z_0-9]*\)=NAME.*/\1/p' "$err")
    run "$DARI" gen -o out -D "$name=other" clash.x
    check "it is called otherwise by the option that the message names" exits 0
done
for text in 'const EOF = 1;' 'const INT_MAX = "x";' 'enum e { EINVAL = 22 };' 'const SIGTERM = 2;' \
    'const __x = 1;' 'struct _X { int a; };'; do
    echo "$text" >clash.x
    run "$DARI" gen -o out clash.x
    check "a macro of C's headers: $text" exits 1 "is a name of the C library"
done
echo 'const SIGINT = 2;' >clash.x
run "$DARI" gen -o out clash.x
check "a constant that is what the macro is gives way to it" grep -q '#ifndef SIGINT' out/clash.h
echo 'const twice = "x"; const Twice = 1; struct xdr_size_s { int a; }; struct s { int twice<>; };' >clash.x
run "$DARI" gen -o out clash.x
check "a string has its name to itself" exits 1 "'xdr_size_s' would be the name"
sed -i 's/xdr_size_s/q/; s/Twice = 1/xdr_size_q = "y"/' clash.x
run "$DARI" gen -o out clash.x
check "and is a definition like others" exits 1 "clash.x:1:51: error: in C, 'xdr_size_q'"
for text in 'struct s { int class; int class_; };' 'struct s { int int32_t_; hyper int32_t; };' \
    'union s switch (int a) { case 1: int new; default: int new_; };' \
    'program P { version V { int NEW(int) = 1; int new_(int) = 2; } = 1; } = 1;' \
    'program P { version V { int F(int new_, int new) = 1; } = 1; } = 1;'; do
    echo "$text" >clash.x
    run "$DARI" gen -o out clash.x
    check "members that would have one name: $text" exits 1 "would be the name of this member"
done
echo 'struct add_1 { int a; };' >clashes.x
printf '#include "clashes.x"\nprogram P { version V { int ADD(int) = 1; } = 1; } = 1;\n' >clash.x
run "$DARI" gen -o out clash.x
check "names of an included file count" exits 1 "clash.x:2:29: error: in C, 'add_1' would be"
check "and have the note" grep -q "clashes.x:1:8: note: " "$err"
echo "program P { version V { int INDEX(int) = 1; int index(int) = 2; int exit(int) = 3; } = 2; } = 1;
program Q { version W { int memcpy(int) = 1; } = 1; } = 2;" >clash.x
run "$DARI" gen -o out clash.x
check "procedures that differ in case alone have one stub" exits 1 "index_2' would be the name"
sed -i 's/int INDEX(int) = 1; //' clash.x
run "$DARI" gen -o out clash.x
check "procedures may be called like functions of the C library" exits 0
check "and have no constants then" [ "$(grep -c 'enum { \(index\|memcpy\) =' out/clash.h)" = 0 ]
rm -f out/*
echo old >out/broken.h
run "$DARI" gen -o out broken.x
check "an error leaves an old output as it was" [ "$(cat out/broken.h)" = old ]
run "$DARI" gen -o out broken.x calc.x
check "other files are compiled beside a broken one" both out/calc
check "but the exit code tells" exits 1

run "$DARI" gen absent.x
check "a missing file is named" exits 1 "absent.x"
check "and why" grep -q "No such file or directory" "$err"
run "$DARI" gen sub
check "a folder is no interface file" exits 1 "sub"
run "$DARI" gen
check "no file is a usage error" exits 2 "an interface file is missing"
run "$DARI" gen --frobnicate calc.x
check "an unknown option is a usage error" exits 2 "frobnicate"
run "$DARI" gen -o
check "an option without its value is a usage error" exits 2 "option requires an argument"
run "$DARI" gen -MM calc.x
check "-M takes D only" exits 2 "use -MD"
run "$DARI" gen --strings=fast calc.x
check "--strings takes span only" exits 2 "use --strings=span"
for define in '' '=1' 1A '1A=2' 'A-B' 'A B=1' 'F(x)=x'; do
    run "$DARI" gen -D "$define" calc.x
    check "-D needs a name: '$define'" exits 2 "-D: '$define' defines no name"
done

run "$DARI" gen -o absent calc.x
check "a missing directory is named" exits 1 "cannot write absent/calc.h: No such file or directory"
run "$DARI" gen -o calc.x calc.x
check "a directory that is a file is named" exits 1 "cannot write calc.x/calc.h: Not a directory"
mkdir locked
chmod a-w locked
if [ "$(id -u)" != 0 ]; then
    run "$DARI" gen -o locked calc.x
elif command -v setpriv >/dev/null; then
    # Root may write anywhere: the case is run as somebody else, who may look in here.
    chmod a+x "$tap_directory" && cp "$DARI" dari-copy
    run setpriv --reuid=65534 --regid=65534 --clear-groups ./dari-copy gen -o locked calc.x
fi
check "a directory without write permission is named" \
    exits 1 "cannot write locked/calc.h: Permission denied"

rm -f out/*
mkdir out/calc.c
run "$DARI" gen -o out calc.x
check "an output that is a folder is named" exits 1 "cannot write out/calc.c: Is a directory"
check "no temporary file stays behind" [ -z "$(find out -type f -name 'calc.*.*')" ]
check "and the other output is not put in place" [ ! -e out/calc.h ]
rmdir out/calc.c

# A limit on the size of files stands for a full disk: writing fails half-way.
rm -f out/*
full_disk() {
    # Through a pipe, because the limit holds for the file of the messages too.
    {
        (trap '' XFSZ && ulimit -f 0 && exec "$DARI" gen -o out calc.x) 2>&1
        echo $? >code
    } | cat >&2
    return "$(cat code)"
}
run full_disk
check "a failed write is named" exits 1 "cannot write out/calc.c: File too large"
check "a failed write leaves nothing" nothing out calc

cp calc.x calc.h
run "$DARI" gen calc.h
check "an input is never overwritten" exits 1 "calc.h would be overwritten"
check "it is as it was" cmp calc.x calc.h
rm calc.h

# Preprocessor options.
cat >options.x <<'X'
#include "part.x"
#ifdef WIDE
typedef part options_type<WIDE>;
#else
typedef part options_type;
#endif
X
echo 'struct part { int a; };' >sub/part.x
rm -f out/*
run "$DARI" gen -o out options.x
check "an included file that is nowhere is an error" exits 1 "part.x"
run "$DARI" gen -I sub -o out options.x
check "-I DIR finds it" both out/options
check "it is included, not repeated" grep -q '#include "part.h"' out/options.h
run "$DARI" gen -Isub -DWIDE=7 -o out options.x
check "-D NAME=VALUE" grep -q '\bitems;' out/options.h

# Headers that were made of interface files.
rm -f out/*
mkdir made
printf '%%#include <made/part.h>\nstruct whole { part a; };\n' >made/whole.x
echo 'struct part { int a; };' >made/part.x
run "$DARI" gen -MD -o out made/whole.x
check "a type of the interface file beside a header" grep -q '^#include "part.h"' out/whole.h
check "the line stands for the include" [ "$(grep -c 'include.*part' out/whole.h)" = 1 ]
check "the outputs depend on it" grep -q 'made/part.x' out/whole.d
rm -f out/*
run "$DARI" gen --extern part -o out made/whole.x
check "with --extern the header is left to the user" grep -q '^#include <made/part.h>' out/whole.h
rm made/part.x
run "$DARI" gen -o out made/whole.x
check "without the file the error names the option" exits 1 "needs --extern part"

# Dependency files.
rm -f out/*
run "$DARI" gen -I sub -MD -o out options.x
printf 'out/options.h out/options.c: \\\n  options.x \\\n  sub/part.x\n' >expected
check "-MD names outputs and inputs" cmp out/options.d expected
mkdir 'a b'
cp calc.x 'a b/ca$lc.x'
run "$DARI" gen -MD -o 'a b' 'a b/ca$lc.x'
check "-MD writes paths as make reads them" \
    [ "$(head -n 1 'a b/ca$lc.d')" = 'a\ b/ca$$lc.h a\ b/ca$$lc.c: \' ]
run "$DARI" gen -MD calc.x
printf 'calc.h calc.c: \\\n  calc.x\n' >expected
check "-MD in the current directory" cmp calc.d expected

# Names and types.
rm -f out/*
run "$DARI" gen --prefix my_ -o out calc.x
check "--prefix" grep -q 'my_add_1(' out/calc.h
run "$DARI" gen --prefix __ -o out calc.x
check "a prefix that makes names which C keeps" exits 1 "calc.x:1:8: error: '__pair' is a name of"
echo 'struct holder { foreign x; };' >extern.x
run "$DARI" gen -o out extern.x
check "a type declared nowhere is an error" exits 1 "foreign"
run "$DARI" gen --extern foreign -o out extern.x
check "--extern" exits 0
echo 'struct named { string name<8>; };' >span.x
run "$DARI" gen --strings=span -o out span.x
check "--strings=span" grep -q 'dari_text name' out/span.h

# What the types cost.
rm -f out/*
run "$DARI" gen --sizes -o out calc.x
check "--sizes prints a line a type" says "pair 8 8 "
check "--sizes writes nothing" nothing out calc
run "$DARI" gen --sizes broken.x
check "--sizes of a broken file is an error" exits 1 "broken.x:1:17: error: "

# Time grows with the input, not with its square.
{
    echo 'union wide switch (int number) {'
    seq 60000 | sed 's/.*/case &: int arm&;/'
    echo '};'
} >wide.x
# Processor time, which other work on the machine does not add to.
run sh -c 'ulimit -t 30 && exec "$0" gen wide.x' "$DARI"
check "a union of 60,000 arms takes no minutes" exits 0

finish

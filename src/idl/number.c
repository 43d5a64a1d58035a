/* SPDX-License-Identifier: MIT */
#include "idl/number.h"

#include <string.h>

static unsigned digit_of(char byte)
{
    if (byte >= '0' && byte <= '9')
        return (unsigned)(byte - '0');
    if (byte >= 'a' && byte <= 'f')
        return (unsigned)(byte - 'a') + 10;
    if (byte >= 'A' && byte <= 'F')
        return (unsigned)(byte - 'A') + 10;
    return 16;
}

di_number_fault di_number_read(const char *text, size_t length, int suffixes, uint64_t *ret_value,
                               size_t *ret_suffix)
{
    unsigned base = 10;
    size_t at = 0;
    if (length > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        at = 2;
    } else if (text[0] == '0') {
        base = 8;
    }
    size_t start = at;
    uint64_t value = 0;
    for (; at < length && digit_of(text[at]) < base; at++) {
        if (value > (UINT64_MAX - digit_of(text[at])) / base)
            return DI_NUMBER_TOO_LARGE;
        value = value * base + digit_of(text[at]);
    }
    if (at < length && base == 8 && digit_of(text[at]) < 10)
        return DI_NUMBER_NOT_OCTAL;
    if (at == start)
        return DI_NUMBER_NO_DIGITS;
    *ret_suffix = length - at;
    while (suffixes && at < length && strchr("uUlL", text[at]))
        at++;
    if (at < length)
        return DI_NUMBER_LETTERS;
    *ret_value = value;
    return DI_NUMBER_FINE;
}

const char *di_number_fault_text(di_number_fault fault)
{
    switch (fault) {
    case DI_NUMBER_NOT_OCTAL:
        return "a number that begins with 0 is octal and has no digit 8 or 9";
    case DI_NUMBER_NO_DIGITS:
        return "a number that begins with 0x needs hexadecimal digits";
    case DI_NUMBER_LETTERS:
        return "a number may not go on with letters or a fraction";
    case DI_NUMBER_TOO_LARGE:
        return "the number does not fit 64 bits";
    case DI_NUMBER_FINE:
        break;
    }
    return "";
}

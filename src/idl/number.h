/* SPDX-License-Identifier: MIT */
/* Digits to numbers: octal, decimal and hexadecimal, up to 64 bits. */
#ifndef DI_IDL_NUMBER_H
#define DI_IDL_NUMBER_H

#include <stddef.h>
#include <stdint.h>

typedef enum di_number_fault {
    DI_NUMBER_FINE,
    DI_NUMBER_NOT_OCTAL, /* 08 */
    DI_NUMBER_NO_DIGITS, /* 0x */
    DI_NUMBER_LETTERS,   /* 12abc, or a suffix where `suffixes` is 0 */
    DI_NUMBER_TOO_LARGE  /* beyond 64 bits */
} di_number_fault;

/* The number in `length` bytes that begin with a digit. With `suffixes`, C's u and l may follow it;
 * *ret_suffix is the length of what follows. */
di_number_fault di_number_read(const char *text, size_t length, int suffixes, uint64_t *ret_value,
                               size_t *ret_suffix);

/* A fault in words. */
const char *di_number_fault_text(di_number_fault fault);

#endif

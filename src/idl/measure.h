/* SPDX-License-Identifier: MIT */
/* How types contain each other: cycles, recursion, tails, and what values take on the wire. */
#ifndef DI_IDL_MEASURE_H
#define DI_IDL_MEASURE_H

#include "idl/check.h"

/* Reports types that contain themselves by value, and typedefs that lead nowhere. */
bool di_check_cycles(di_checker *checker);

/* Fills measure, recursive and tail of all types. To be called where there are no cycles. */
void di_measure_types(di_checker *checker);

#endif

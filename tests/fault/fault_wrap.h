/* SPDX-License-Identifier: MIT */
/* What stand-ins are made with. */
#ifndef DARI_TEST_FAULT_WRAP_H
#define DARI_TEST_FAULT_WRAP_H

#include "fault/fault.h"

/* What is to happen to this call: false, nothing. Where it is to fail, errno is set. */
bool fault_strikes(enum fault_call call, enum fault_effect *ret_effect);

/* For calls that can only fail. */
bool fault_fails(enum fault_call call);

/* WRAP(type, name, (parameters), (arguments), what it is, what it returns on failure) */
#define WRAP(type, name, parameters, arguments, call, failure)          \
    type __real_##name parameters;                                      \
    type __wrap_##name parameters;                                      \
    type __wrap_##name parameters                                       \
    {                                                                   \
        return fault_fails(call) ? (failure) : __real_##name arguments; \
    }

#endif

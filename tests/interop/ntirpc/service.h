/* SPDX-License-Identifier: MIT */
/* What ntirpc wants of a program before it does anything: threads, and memory for requests. */
#ifndef INTEROP_NTIRPC_SERVICE_H
#define INTEROP_NTIRPC_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

/* `flags`: of svc_init, beside that it uses epoll. */
bool begin_service(uint32_t flags);

#endif

/* SPDX-License-Identifier: MIT */
/* All of dari: include this one, and the headers that `dari gen` wrote. */
#ifndef DARI_DARI_H
#define DARI_DARI_H

#include <dari/auth.h>
#include <dari/call.h>
#include <dari/cancel.h>
#include <dari/client.h>
#include <dari/counters.h>
#include <dari/error.h>
#include <dari/loan.h>
#include <dari/pipe.h>
#include <dari/server.h>
#include <dari/spin.h>
#include <dari/xdr.h>

#endif

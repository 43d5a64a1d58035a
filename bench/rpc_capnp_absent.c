/* SPDX-License-Identifier: MIT */
/* In the place of Cap'n Proto, where it is not installed: its rows say so. */
#include "rpc.h"

const rpc_subject rpc_capnp = {.name = "capnproto"};

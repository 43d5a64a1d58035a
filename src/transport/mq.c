/* SPDX-License-Identifier: MIT */
#include "transport/mq.h"

const di_transport di_mq_transport = {
    .prefix = "mq:",
    .connect = di_mq_connect,
    .listen = di_mq_listen,
};

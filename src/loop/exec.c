/* SPDX-License-Identifier: MIT */
/* Connecting to a program that is given by its arguments: these have an address of their own. */
#include "transport/exec.h"

#include <dari/client.h>
#include <dari/error.h>

int dari_connect_program(char *const arguments[], const dari_client_options *options,
                         dari_client **ret_client)
{
    if (!arguments || !arguments[0] || !*arguments[0])
        return DARI_INVALID;
    dari_client_options allowing = options ? *options : (dari_client_options){0};
    allowing.exec.allowed = true;
    di_text address = {0};
    di_exec_format(&address, arguments);
    int error = address.failed ? DARI_NO_MEMORY : dari_connect(address.data, &allowing, ret_client);
    di_text_free(&address);
    return error;
}

/* SPDX-License-Identifier: MIT */
#include <dari/error.h>

#include <stddef.h>

typedef struct error_entry {
    int error;
    const char *name;
    const char *text;
} error_entry;

static const error_entry entries[] = {
    {DARI_OK, "DARI_OK", "no error"},
    {DARI_NO_MEMORY, "DARI_NO_MEMORY", "out of memory"},
    {DARI_INVALID, "DARI_INVALID", "an argument is outside the function's contract"},
    {DARI_ERRNO, "DARI_ERRNO", "a system call failed"},
    {DARI_LIMIT, "DARI_LIMIT", "larger than the limit"},
    {DARI_DEADLINE, "DARI_DEADLINE", "the deadline passed"},
    {DARI_FORKED, "DARI_FORKED", "the handle belongs to the parent of this process"},
    {DARI_GENERATOR, "DARI_GENERATOR",
     "the generated code was made for another version of the library; generate it again"},
    {DARI_CANCELLED, "DARI_CANCELLED", "cancelled"},
    {DARI_FULL, "DARI_FULL", "too much waits to be sent, or is lent"},
    {DARI_DEADLOCK, "DARI_DEADLOCK", "this thread would wait for what it has to do itself"},
    {DARI_ADDRESS, "DARI_ADDRESS", "the address cannot be read, or names nothing"},
    {DARI_SCHEME, "DARI_SCHEME", "the address begins with an unknown scheme"},
    {DARI_REFUSED, "DARI_REFUSED", "nobody listens there"},
    {DARI_CLOSED, "DARI_CLOSED", "the other side closed the connection"},
    {DARI_IN_USE, "DARI_IN_USE", "the address has a living owner"},
    {DARI_PERMISSION, "DARI_PERMISSION", "the system does not allow it"},
    {DARI_NOT_REGISTERED, "DARI_NOT_REGISTERED", "rpcbind does not know the program"},
    {DARI_RPCBIND, "DARI_RPCBIND", "rpcbind does not do what it was asked"},
    {DARI_LAYOUT, "DARI_LAYOUT", "the other side has another version of shared memory or queues"},
    {DARI_PROTOCOL, "DARI_PROTOCOL", "the other side breaks the rules of shared memory or queues"},
    {DARI_TRUNCATED, "DARI_TRUNCATED", "the message ends inside the value"},
    {DARI_TRAILING, "DARI_TRAILING", "bytes are left after the value"},
    {DARI_BOUND, "DARI_BOUND", "longer than the interface declares"},
    {DARI_ENUM, "DARI_ENUM", "not a value of the enumeration"},
    {DARI_BOOL, "DARI_BOOL", "neither 0 nor 1"},
    {DARI_PADDING, "DARI_PADDING", "the padding is not zero"},
    {DARI_NUL, "DARI_NUL", "a zero byte inside the string"},
    {DARI_ARM, "DARI_ARM", "the union has no arm for the discriminant"},
    {DARI_RANGE, "DARI_RANGE", "the number does not fit its type"},
    {DARI_MISSING, "DARI_MISSING", "a null pointer where a value must be"},
    {DARI_BUDGET, "DARI_BUDGET", "needs more memory than a message may take"},
    {DARI_DEPTH, "DARI_DEPTH", "nested deeper than allowed"},
    {DARI_RPC_MISMATCH, "DARI_RPC_MISMATCH", "the server speaks another version of RPC"},
    {DARI_AUTH, "DARI_AUTH", "the server refused the credential"},
    {DARI_PROGRAM_UNAVAILABLE, "DARI_PROGRAM_UNAVAILABLE", "the server does not have the program"},
    {DARI_PROGRAM_MISMATCH, "DARI_PROGRAM_MISMATCH",
     "the server does not have this version of the program"},
    {DARI_PROCEDURE_UNAVAILABLE, "DARI_PROCEDURE_UNAVAILABLE",
     "the server does not have the procedure"},
    {DARI_GARBAGE_ARGUMENTS, "DARI_GARBAGE_ARGUMENTS", "the server cannot decode the arguments"},
    {DARI_SYSTEM_ERROR, "DARI_SYSTEM_ERROR", "the server failed"},
    {DARI_BAD_REPLY, "DARI_BAD_REPLY", "the reply is not an RPC reply"},
};

static const error_entry *find(int error)
{
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        if (entries[i].error == error)
            return &entries[i];
    return NULL;
}

const char *dari_error_name(int error)
{
    const error_entry *entry = find(error);
    return entry ? entry->name : "DARI_?";
}

const char *dari_error_text(int error)
{
    const error_entry *entry = find(error);
    return entry ? entry->text : "unknown error";
}

/* SPDX-License-Identifier: MIT */
/* One of two programs of different machines that call each other.
 *
 *   peer serve ADDRESS    serves there until SIGTERM; prints the address
 *   peer call ADDRESS     calls what is served there; prints what went well
 *
 * The server gives every value of every type of an interface file back; the client sends random
 * ones and compares. That is one program with a procedure for each type, made of the same table
 * that the codec tests use. The other program is calc.x, with the stubs that `dari gen` wrote. */
#include "calc.h"
#include "codec.h"

#include <dari/dari.h>
#include <dari/interface.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REFLECT_PROGRAM = 0x20000104,
    REFLECT_VERSION = 1,
    ROUNDS = 20,
    ADDITIONS = 200,
    LOAN = 200000
};

/* Decodes a value of the type that the procedure is for, and encodes it again. */
static int reflect(dari_request *request, const void *unused)
{
    (void)unused;
    const codec_entry *codec = &codec_under_test.codecs[dari_request_procedure(request) - 1];
    dari_decoder *decoder = dari_request_decoder(request);
    void *value = dari_request_take(request, codec->size_in_memory);
    if (!value)
        return DARI_NO_MEMORY;
    const uint8_t *at = codec->decode(decoder, dari_request_arguments(request), value);
    if (dari_decoder_finish(decoder, at) < 0)
        return DARI_GARBAGE_ARGUMENTS;
    dari_encoder *encoder = dari_request_encoder(request);
    uint8_t *result = dari_request_reserve(request, codec->size(encoder, value));
    if (result)
        codec->encode(encoder, result, value);
    return dari_request_reply(request);
}

static dari_interface make_interface(dari_procedure *procedures)
{
    for (size_t i = 0; i < codec_under_test.count; i++)
        procedures[i] = (dari_procedure){
            .number = (uint32_t)i + 1, .name = codec_under_test.codecs[i].name, .serve = reflect};
    return (dari_interface){.generator = DARI_GENERATOR_NEWEST,
                            .program = REFLECT_PROGRAM,
                            .version = REFLECT_VERSION,
                            .name = codec_under_test.name,
                            .procedures = procedures,
                            .procedure_count = (uint32_t)codec_under_test.count};
}

static int add(dari_request *request, const my_pair *arg, int32_t *ret)
{
    (void)request;
    return __builtin_add_overflow(arg->a, arg->b, ret) ? DARI_RANGE : 0;
}

static int echo(dari_request *request, const my_bytes *arg, my_bytes *ret)
{
    (void)request;
    *ret = *arg;
    return 0;
}

static const my_calc_1_handlers handlers = {.add = add, .echo = echo};

static dari_server *server; /* for the signal handler */

static void stop(int signal)
{
    (void)signal;
    dari_server_stop(server);
}

static int serve(const char *address, const dari_interface *interface)
{
    const dari_server_options options = {.shm_loan_max = LOAN, .shm_read_loans = true};
    int status = dari_server_create(&options, &server);
    if (status == 0)
        status = dari_server_add(server, interface, NULL, NULL);
    if (status == 0)
        status = my_calc_1_serve(server, &handlers, NULL);
    if (status == 0)
        status = dari_server_listen(server, address);
    if (status < 0) {
        fprintf(stderr, "%s\n", server ? dari_server_message(server) : dari_error_text(status));
    } else {
        signal(SIGTERM, stop);
        printf("%s\n", dari_server_address(server, 0));
        fflush(stdout);
        status = dari_server_run(server);
    }
    dari_server_destroy(server);
    return status;
}

/* Sends a random value and compares what comes back by the model. */
static int call_reflect(dari_client *client, const dari_interface *interface, uint32_t index,
                        uint64_t seed, dari_call *call)
{
    const codec_entry *codec = &codec_under_test.codecs[index];
    model_random random;
    model_rendering sent = {0}, got = {0};
    dari_exchange exchange;
    model_random_seed(&random, seed);
    void *value = model_random_take(&random, codec->size_in_memory);
    void *back = model_random_take(&random, codec->size_in_memory);
    model_random_fill(&random, codec->type, value, MODEL_PARTS_DEFAULT);
    model_render(&sent, codec->type, value);
    dari_exchange_begin(&exchange, client, interface, index, call);
    uint8_t *argument = dari_exchange_reserve(&exchange, codec->size(&exchange.encoder, value));
    if (argument)
        codec->encode(&exchange.encoder, argument, value);
    const uint8_t *result = dari_exchange_send(&exchange);
    if (result)
        result = codec->decode(&exchange.decoder, result, back);
    int status = dari_exchange_end(&exchange, result);
    if (status == 0 && (!model_render(&got, codec->type, back) || got.size != sent.size ||
                        memcmp(got.bytes, sent.bytes, got.size) != 0))
        status = DARI_BAD_REPLY;
    if (status < 0)
        fprintf(stderr, "%s, seed %llu: %s\n", codec->name, (unsigned long long)seed,
                dari_call_message(call));
    dari_call_reset(call);
    model_rendering_free(&sent);
    model_rendering_free(&got);
    model_random_free(&random);
    return status;
}

static int call_all(dari_client *client, const dari_interface *interface, dari_call *call)
{
    int status = 0;
    for (uint32_t i = 0; i < codec_under_test.count; i++)
        for (uint64_t round = 0; round < ROUNDS && status == 0; round++)
            status = call_reflect(client, interface, i, 1 + round, call);
    if (status == 0)
        printf("%s: %zu types reflected\n", codec_under_test.name, codec_under_test.count);
    return status;
}

static void take_sum(void *user, const int32_t *sum, dari_call *call)
{
    int64_t *total = user;
    *total += sum ? *sum : 0;
    dari_call_end(call);
}

/* Large data in memory of dari_loan, twice: over shm: the other machine reads it there. */
static int call_with_loan(dari_client *client, dari_call *call)
{
    void *memory;
    my_bytes back;
    int status = dari_loan(client, LOAN, &memory);
    for (int i = 0; i < 2 && status == 0; i++) {
        memset(memory, 0x33 + i, LOAN);
        status = my_echo_1(client, &(my_bytes){LOAN, memory}, &back, call);
        if (status == 0 && (back.size != LOAN || memcmp(back.data, memory, LOAN) != 0))
            status = DARI_BAD_REPLY;
        dari_call_reset(call);
    }
    return status;
}

/* Calls in flight, one answered with an error, and one with much in it. */
static int call_calc(dari_client *client, dari_call *call)
{
    static dari_call calls[ADDITIONS];
    static uint8_t much[60000];
    int64_t total = 0;
    int32_t sum;
    my_bytes back;
    for (int32_t i = 0; i < ADDITIONS; i++)
        if (my_add_1_start(client, &(my_pair){-i, 1000000}, &calls[i], take_sum, &total) < 0)
            return -1;
    int status = dari_client_wait(client, UINT64_MAX);
    if (status < 0 || total != ADDITIONS * INT64_C(1000000) - ADDITIONS * (ADDITIONS - 1) / 2)
        return -1;
    if (my_add_1(client, &(my_pair){INT32_MAX, 1}, &sum, call) != DARI_SYSTEM_ERROR)
        return -1;
    memset(much, 0x5a, sizeof much);
    status = my_echo_1(client, &(my_bytes){sizeof much, much}, &back, call);
    if (status < 0 || back.size != sizeof much || memcmp(back.data, much, sizeof much) != 0)
        return -1;
    printf("calc: %d sums\n", ADDITIONS);
    return 0;
}

static int call(const char *address, const dari_interface *interface)
{
    dari_call call = {0};
    dari_client *client = NULL;
    int status = dari_connect(address, &(dari_client_options){.call = &call, .shm_loan_size = LOAN},
                              &client);
    if (status < 0)
        fprintf(stderr, "%s\n", dari_call_message(&call));
    if (status == 0)
        status = call_all(client, interface, &call);
    if (status == 0 && (status = call_calc(client, &call)) < 0)
        fprintf(stderr, "calc: a wrong answer, or none: %s\n", dari_call_message(&call));
    /* A datagram has no room for that. */
    if (status == 0 && strncmp(address, "udp:", 4) != 0 &&
        (status = call_with_loan(client, &call)) < 0)
        fprintf(stderr, "loan: a wrong answer, or none: %s\n", dari_call_message(&call));
    dari_call_end(&call);
    dari_client_close(client);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    dari_procedure *procedures = calloc(codec_under_test.count, sizeof *procedures);
    dari_interface interface = make_interface(procedures);
    int status =
        strcmp(argv[1], "serve") == 0 ? serve(argv[2], &interface) : call(argv[2], &interface);
    free(procedures);
    return status < 0;
}

/* SPDX-License-Identifier: MIT */
/* Calls in flight that wait for a connection. Each keeps its message, as it is sent. */
#include "loop/client.h"
#include "loop/exchange.h"

#include <dari/error.h>

#include <stdlib.h>
#include <string.h>

int di_flight_make_room(di_flight *flight, size_t size)
{
    if (flight->memory_size >= size)
        return 0;
    uint8_t *memory = malloc(size);
    if (!memory)
        return DARI_NO_MEMORY;
    free(flight->memory);
    flight->memory = memory;
    flight->memory_size = size;
    return 0;
}

void di_flight_keep(di_flight *flight, const uint8_t *message, size_t size)
{
    memcpy(flight->memory, message, size);
    flight->kept_size = size;
}

void di_flight_ground(dari_client *client, di_flight *flight, di_flight *next)
{
    di_flights *flights = &client->flights;
    di_flight *previous = next ? next->previous_grounded : flights->last_grounded;
    flight->grounded = true;
    flight->exchange.delayed = true;
    flight->next_grounded = next;
    flight->previous_grounded = previous;
    if (previous)
        previous->next_grounded = flight;
    else
        flights->grounded = flight;
    if (next)
        next->previous_grounded = flight;
    else
        flights->last_grounded = flight;
    flights->grounded_size += flight->kept_size;
}

void di_flight_unground(dari_client *client, di_flight *flight)
{
    di_flights *flights = &client->flights;
    flight->grounded = false;
    if (flight->previous_grounded)
        flight->previous_grounded->next_grounded = flight->next_grounded;
    else
        flights->grounded = flight->next_grounded;
    if (flight->next_grounded)
        flight->next_grounded->previous_grounded = flight->previous_grounded;
    else
        flights->last_grounded = flight->previous_grounded;
    flights->grounded_size -= flight->kept_size;
}

bool di_flight_can_stay(const dari_client *client, const di_flight *flight)
{
    if (client->reconnect.never || flight->kept_size == 0)
        return false;
    return flight->grounded || di_channel_sent(&client->channel) < flight->after ||
           di_reconnect_may_repeat(client, &flight->exchange, client->broken);
}

void di_flights_launch(dari_client *client)
{
    di_channel *channel = &client->channel;
    for (di_flight *flight; (flight = client->flights.grounded);) {
        uint8_t *room;
        int error = di_channel_reserve(channel, flight->kept_size, &room);
        if (error == DARI_LIMIT)
            di_exchange_too_large(&flight->exchange, flight->kept_size);
        if (error < 0) {
            di_flight_fail(client, flight, error);
            continue;
        }
        di_flight_unground(client, flight);
        client->repeated += flight->exchange.repeats > 0;
        memcpy(room, flight->memory, flight->kept_size);
        flight->before = channel->committed;
        di_exchange_prioritize(&flight->exchange);
        di_channel_commit(channel, room, flight->kept_size);
        flight->after = channel->committed;
        di_flight_resend(client, flight, flight->memory, flight->kept_size);
    }
}

// SPDX-License-Identifier: MIT
// Cap'n Proto's side, as its "easy" interface has it: a two-party connection, promises, and the
// event loop of each process's thread.
#include "calls.capnp.h"
#include "rpc.h"

#include <capnp/ez-rpc.h>
#include <kj/debug.h>

#include <cstdio>
#include <string>

namespace
{
class Server final : public Calls::Server
{
    kj::Promise<void> nothing(NothingContext) override
    {
        return kj::READY_NOW;
    }
};

std::string address_of(const rpc_place &place)
{
    if (place.scheme == RPC_UNIX)
        return std::string("unix:") + place.path;
    return "127.0.0.1:" + std::to_string(place.port);
}

// Runs `work`, and tells of what it throws.
template <typename Work> bool run(Work &&work)
{
    auto exception = kj::runCatchingExceptions(work);
    KJ_IF_MAYBE (failure, exception) {
        fprintf(stderr, "bench: capnproto: %s\n", kj::str(*failure).cStr());
        return false;
    }
    return true;
}

void serve(rpc_place *place, int ready)
{
    run([&] {
        capnp::EzRpcServer server(kj::heap<Server>(), address_of(*place).c_str());
        place->port = static_cast<uint16_t>(server.getPort().wait(server.getWaitScope()));
        rpc_server_ready(place, ready);
        kj::NEVER_DONE.wait(server.getWaitScope());
    });
}

struct Client {
    explicit Client(const std::string &address) : rpc(address.c_str()), calls(rpc.getMain<Calls>())
    {
    }

    capnp::EzRpcClient rpc;
    Calls::Client calls;
};

bool nothing(void *context, uint64_t rounds, uint64_t)
{
    Client &client = *static_cast<Client *>(context);
    return run([&] {
        for (uint64_t round = 0; round < rounds; round++)
            client.calls.nothingRequest().send().wait(client.rpc.getWaitScope());
    });
}

void *open_client(const rpc_place *place)
{
    Client *client = nullptr;
    run([&] { client = new Client(address_of(*place)); });
    // Connecting is a promise, too: one call sees it kept.
    if (client && !nothing(client, 1, 0)) {
        delete client;
        return nullptr;
    }
    return client;
}

void close_client(void *context)
{
    delete static_cast<Client *>(context);
}

// One of the calls in flight: each makes the next one once it is answered.
kj::Promise<void> one_after_another(Client &client, uint64_t &left)
{
    if (left == 0)
        return kj::READY_NOW;
    left--;
    return client.calls.nothingRequest().send().then(
        [&client, &left](auto &&) { return one_after_another(client, left); });
}

bool pipelined(void *context, uint64_t rounds, uint64_t)
{
    Client &client = *static_cast<Client *>(context);
    return run([&] {
        uint64_t left = rounds;
        auto flights = kj::heapArrayBuilder<kj::Promise<void>>(RPC_IN_FLIGHT);
        for (unsigned i = 0; i < RPC_IN_FLIGHT; i++)
            flights.add(one_after_another(client, left));
        kj::joinPromises(flights.finish()).wait(client.rpc.getWaitScope());
    });
}
} // namespace

const rpc_subject rpc_capnp = {
    "capnproto", RPC_ANY, serve, open_client, close_client, nothing, pipelined, nullptr, nullptr,
};

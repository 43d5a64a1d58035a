/* SPDX-License-Identifier: MIT */
/* bench [-o FILE] [-f PART] [--dari PATH] [--rpcgen PATH] [--nfs SCRIPT --examples FOLDER]
 * Measures all rows, or those whose name contains PART, prints the table and writes FILE. Fails
 * where an output is wrong, never because a target is missed. */
#include "codec.h"
#include "compiler.h"
#include "latency.h"
#include "measure.h"
#include "nfs.h"
#include "rpc.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [-o FILE] [-f PART] [--dari PATH] [--rpcgen PATH]"
            " [--nfs SCRIPT --examples FOLDER]\n",
            program);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"output", required_argument, NULL, 'o'},
        {"filter", required_argument, NULL, 'f'},
        {"dari", required_argument, NULL, 'd'},
        {"rpcgen", required_argument, NULL, 'r'},
        {"nfs", required_argument, NULL, 'n'},
        {"examples", required_argument, NULL, 'e'},
        {NULL, 0, NULL, 0},
    };
    static measure_report report;
    const char *output = NULL;
    const char *dari = "dari";
    const char *rpcgen = "rpcgen";
    const char *nfs = NULL;
    const char *examples = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "o:f:", options, NULL)) != -1) {
        if (option == 'o')
            output = optarg;
        else if (option == 'f')
            report.only = optarg;
        else if (option == 'd')
            dari = optarg;
        else if (option == 'r')
            rpcgen = optarg;
        else if (option == 'n')
            nfs = optarg;
        else if (option == 'e')
            examples = optarg;
        else
            return usage(argv[0]);
    }
    if (optind != argc)
        return usage(argv[0]);
    bool right = codec_rows(&report);
    right &= rpc_rows(&report);
    right &= latency_rows(&report);
    right &= compiler_rows(&report, dari, rpcgen);
    if (nfs && examples)
        right &= nfs_rows(&report, nfs, examples);
    measure_print(&report);
    if (output && !measure_write(&report, output)) {
        perror(output);
        return 1;
    }
    return right ? 0 : 1;
}

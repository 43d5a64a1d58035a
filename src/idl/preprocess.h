/* SPDX-License-Identifier: MIT */
/* Files to tokens: directives are obeyed, macros expanded, `%` lines kept as tokens.
 *
 * Two environments are read at once, the header (RPC_HDR defined) and the source (RPC_XDR defined).
 * A group of an #if is kept where it is active in either. */
#ifndef DI_IDL_PREPROCESS_H
#define DI_IDL_PREPROCESS_H

#include "idl/lex.h"
#include "idl/source.h"

/* How deep files may include others. */
#define DI_INCLUDE_DEPTH 32u

/* The tokens of the file and of what it includes, up to a DI_TOKEN_END: a di_token_stream. */
const di_token *di_preprocess(di_compilation *compilation, di_source *source);

/* The tokens of a file without the macros that are defined from outside. */
const di_token *di_tokens_of(di_compilation *compilation, di_source *source);

#endif

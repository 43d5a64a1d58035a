/* SPDX-License-Identifier: MIT */
#include "idl/diagnostic.h"

#include "base/text.h"
#include "idl/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *format_text(di_compilation *compilation, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0), nonnull(2)));

static const char *format_text(di_compilation *compilation, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = di_take(compilation, (size_t)(size < 0 ? 0 : size) + 1, 1);
    if (size > 0)
        vsnprintf(text, (size_t)size + 1, format, arguments);
    return text;
}

static void append(di_compilation *compilation, di_severity severity, di_span span,
                   const char *text)
{
    di_diagnostic *diagnostic = di_take(compilation, 1, sizeof *diagnostic);
    diagnostic->severity = severity;
    diagnostic->position = span.position;
    diagnostic->length = span.length ? span.length : 1;
    diagnostic->text = text;
    if (compilation->last_diagnostic)
        compilation->last_diagnostic->next = diagnostic;
    else
        compilation->first_diagnostic = diagnostic;
    compilation->last_diagnostic = diagnostic;
}

/* Counts an error. The one past the limit ends the compilation. */
static void count_error(di_compilation *compilation)
{
    compilation->muted = false;
    if (compilation->error_count++ < DI_ERROR_LIMIT)
        return;
    append(compilation, DI_ERROR, (di_span){0}, "too many errors: giving up");
    di_escape(compilation, DI_ESCAPE_FATAL);
}

/* The innermost macros, and the one that stands in the text. */
static void explain_macros(di_compilation *compilation, const di_expansion *innermost)
{
    unsigned depth = 0;
    for (const di_expansion *e = innermost; e; e = e->outer, depth++)
        if (e->definition.position.source && (depth < DI_EXPANSIONS_SHOWN || !e->outer))
            di_note(compilation, e->definition, "this is what the macro '%s' stands for", e->name);
}

/* The notes on how the text at a place came there. */
static void explain(di_compilation *compilation, di_span span)
{
    explain_macros(compilation, span.expansion);
    const di_source *source = span.position.source;
    if (source == compilation->explained)
        return;
    compilation->explained = source;
    while (source && source->included_at.position.source) {
        const char *slash = strrchr(source->path, '/');
        di_note(compilation, source->included_at, "'%s' is included here",
                slash ? slash + 1 : source->path);
        source = source->included_at.position.source;
    }
}

void di_error(di_compilation *compilation, di_span span, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    count_error(compilation);
    append(compilation, DI_ERROR, span, format_text(compilation, format, arguments));
    va_end(arguments);
    explain(compilation, span);
}

void di_warning(di_compilation *compilation, di_span span, const char *format, ...)
{
    compilation->muted = compilation->warning_count >= DI_WARNING_LIMIT;
    if (compilation->muted)
        return;
    compilation->warning_count++;
    va_list arguments;
    va_start(arguments, format);
    append(compilation, DI_WARNING, span, format_text(compilation, format, arguments));
    va_end(arguments);
    explain(compilation, span);
}

void di_note(di_compilation *compilation, di_span span, const char *format, ...)
{
    if (compilation->muted)
        return;
    va_list arguments;
    va_start(arguments, format);
    append(compilation, DI_NOTE, span, format_text(compilation, format, arguments));
    va_end(arguments);
}

_Noreturn void di_fatal(di_compilation *compilation, di_span span, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    count_error(compilation);
    append(compilation, DI_ERROR, span, format_text(compilation, format, arguments));
    va_end(arguments);
    explain(compilation, span);
    di_escape(compilation, DI_ESCAPE_FATAL);
}

/* How many bytes the UTF-8 character at `at` takes; 0 where there is none, or one that a terminal
 * could take for a command. */
static size_t printable_size(const unsigned char *at, const unsigned char *end)
{
    if (*at < 0x80)
        return *at == '\t' || (*at >= 0x20 && *at != 0x7f);
    size_t size = *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
    if (*at < 0xc2 || *at > 0xf4 || (size_t)(end - at) < size)
        return 0;
    if (*at == 0xc2 && at[1] < 0xa0)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

/* Appends text from the input so that it cannot upset a terminal; `blank` gives blanks as wide. */
static void append_line(di_text *out, const char *line, size_t size, bool blank)
{
    const unsigned char *at = (const unsigned char *)line, *end = at + size;
    while (at < end) {
        size_t shown = printable_size(at, end);
        if (blank)
            di_text_append(out, *at == '\t' ? "\t" : " ", 1);
        else if (shown)
            di_text_append(out, (const char *)at, shown);
        else
            di_text_append(out, "?", 1);
        at += shown ? shown : 1;
    }
}

/* Appends the source line and the caret below it. */
static void append_excerpt(di_text *out, const di_diagnostic *diagnostic)
{
    di_position position = diagnostic->position;
    size_t size;
    const char *line = di_source_line(position.source, position.line, &size);
    size_t column = position.column - 1 < size ? position.column - 1 : size;
    size_t start = column > DI_LINE_SHOWN / 2 ? column - DI_LINE_SHOWN / 2 : 0;
    size_t shown = size - start < DI_LINE_SHOWN ? size - start : DI_LINE_SHOWN;
    if (size <= DI_LINE_SHOWN) {
        start = 0;
        shown = size;
    }
    size_t marked = diagnostic->length;
    if (marked > start + shown - column)
        marked = start + shown - column;

    di_text_format(out, "%5u | ", position.line);
    append_line(out, line + start, shown, false);
    di_text_append(out, "\n      | ", 9);
    append_line(out, line + start, column - start, true);
    di_text_append(out, "^", 1);
    for (size_t i = 1; i < marked; i++)
        di_text_append(out, "~", 1);
    di_text_append(out, "\n", 1);
}

char *di_diagnostic_format(const di_diagnostic *diagnostic)
{
    static const char *const severities[] = {"error", "warning", "note"};
    di_text out = {0};
    if (diagnostic->position.source) {
        const char *path = diagnostic->position.source->path;
        append_line(&out, path, strlen(path), false);
        di_text_format(&out, ":%u:%u: ", diagnostic->position.line, diagnostic->position.column);
    }
    di_text_format(&out, "%s: ", severities[diagnostic->severity]);
    append_line(&out, diagnostic->text, strlen(diagnostic->text), false);
    di_text_append(&out, "\n", 1);
    if (diagnostic->position.source)
        append_excerpt(&out, diagnostic);
    if (out.failed) {
        di_text_free(&out);
        return NULL;
    }
    return out.data;
}

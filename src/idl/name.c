/* SPDX-License-Identifier: MIT */
#include "idl/name.h"

#include "base/text.h"
#include "idl/compilation.h"

#include <string.h>

static const struct {
    const char *text;
    di_word word;
} words[] = {
    {"bool", DI_WORD_BOOL},
    {"case", DI_WORD_CASE},
    {"const", DI_WORD_CONST},
    {"default", DI_WORD_DEFAULT},
    {"double", DI_WORD_DOUBLE},
    {"enum", DI_WORD_ENUM},
    {"float", DI_WORD_FLOAT},
    {"hyper", DI_WORD_HYPER},
    {"int", DI_WORD_INT},
    {"opaque", DI_WORD_OPAQUE},
    {"program", DI_WORD_PROGRAM},
    {"quadruple", DI_WORD_QUADRUPLE},
    {"string", DI_WORD_STRING},
    {"struct", DI_WORD_STRUCT},
    {"switch", DI_WORD_SWITCH},
    {"typedef", DI_WORD_TYPEDEF},
    {"union", DI_WORD_UNION},
    {"unsigned", DI_WORD_UNSIGNED},
    {"version", DI_WORD_VERSION},
    {"void", DI_WORD_VOID},
    {"char", DI_WORD_CHAR},
    {"long", DI_WORD_LONG},
    {"namespace", DI_WORD_NAMESPACE},
    {"short", DI_WORD_SHORT},
};

static void insert(di_name_table *table, di_name *name)
{
    size_t at = name->hash & (table->size - 1);
    while (table->slots[at])
        at = (at + 1) & (table->size - 1);
    table->slots[at] = name;
}

static void enlarge(di_compilation *compilation)
{
    di_name_table *table = &compilation->names;
    di_name_table larger = {.size = table->size ? table->size * 2 : 1024, .count = table->count};
    larger.slots = di_take(compilation, larger.size, sizeof *larger.slots);
    for (size_t i = 0; i < table->size; i++) {
        if (table->slots[i])
            insert(&larger, table->slots[i]);
    }
    *table = larger;
}

di_name *di_name_of(di_compilation *compilation, const char *text, size_t length)
{
    di_name_table *table = &compilation->names;
    uint32_t hash = di_text_hash(text, length);
    for (size_t at = hash & (table->size - 1); table->slots[at];
         at = (at + 1) & (table->size - 1)) {
        di_name *name = table->slots[at];
        if (name->hash == hash && name->length == length && !memcmp(name->text, text, length))
            return name;
    }
    if (table->count >= table->size / 2)
        enlarge(compilation);
    di_name *name = di_take(compilation, 1, sizeof *name);
    name->text = di_copy(compilation, text, length);
    name->length = (uint32_t)length;
    name->hash = hash;
    insert(table, name);
    table->count++;
    return name;
}

void di_names_start(di_compilation *compilation)
{
    enlarge(compilation);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        di_name_of(compilation, words[i].text, strlen(words[i].text))->word = words[i].word;
}

bool di_name_reserved(const di_name *name)
{
    return name->word != DI_WORD_NONE && name->word < DI_WORD_CHAR;
}

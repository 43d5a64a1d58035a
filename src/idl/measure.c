/* SPDX-License-Identifier: MIT */
/* Types are nodes of a graph, their declarations its edges. Both walks over it keep their way in
 * the nodes: a file cannot drive them into deep recursion. */
#include "idl/measure.h"

enum { UNSEEN, OPEN, DONE };

/* How many types on the way of a cycle a message names. */
#define CYCLE_SHOWN 8u

typedef bool (*edge_filter)(const di_node *node, const di_declaration *part);

const di_type *di_resolve(const di_type *type)
{
    while (type->kind == DI_TYPEDEF && type->declaration->shape == DI_PLAIN)
        type = type->declaration->type;
    return type;
}

static uint64_t add(uint64_t one, uint64_t other)
{
    return one > UINT64_MAX - other ? UINT64_MAX : one + other;
}

static uint64_t multiply(uint64_t one, uint64_t other)
{
    return other && one > UINT64_MAX / other ? UINT64_MAX : one * other;
}

/* The bytes that `count` bytes take with their padding. */
static uint64_t padded(uint32_t count)
{
    return ((uint64_t)count + 3) & ~UINT64_C(3);
}

di_measure di_measure_declaration(const di_declaration *declaration)
{
    const di_type *type = declaration->type;
    bool bytes = type->kind == DI_OPAQUE || type->kind == DI_STRING;
    di_measure measure = type->measure;
    switch (declaration->shape) {
    case DI_PLAIN:
        break;
    case DI_FIXED:
        measure.minimum =
            bytes ? padded(declaration->size) : multiply(measure.minimum, declaration->size);
        measure.maximum =
            bytes ? padded(declaration->size) : multiply(measure.maximum, declaration->size);
        measure.fixed = bytes || measure.fixed;
        break;
    case DI_VARIABLE:
        if (measure.maximum && declaration->size == UINT32_MAX)
            measure.maximum = UINT64_MAX;
        else if (bytes)
            measure.maximum = 4 + padded(declaration->size);
        else
            measure.maximum = add(4, multiply(measure.maximum, declaration->size));
        measure.minimum = 4;
        measure.fixed = false;
        measure.holds_memory = true;
        break;
    case DI_OPTIONAL:
        measure.maximum = add(4, measure.maximum);
        measure.minimum = 4;
        measure.fixed = false;
        measure.holds_memory = true;
        break;
    }
    return measure;
}

static bool by_value(const di_node *node, const di_declaration *part)
{
    (void)node;
    return part->shape == DI_PLAIN || part->shape == DI_FIXED;
}

static bool between_typedefs(const di_node *node, const di_declaration *part)
{
    return node->type.kind == DI_TYPEDEF && part->type->kind == DI_TYPEDEF;
}

/* The next type to visit from a node along an edge that the filter lets pass. NULL: none is left.
 */
static di_node *next_node(di_node *node, edge_filter filter)
{
    while (node->at < node->part_count) {
        const di_declaration *part = node->parts[node->at++];
        di_node *other = di_node_of(part->type);
        if (other && filter(node, part))
            return other;
    }
    return NULL;
}

/* Reports that the way from `first` to `last` leads back to `first`. */
static void report_cycle(di_checker *checker, const di_node *first, const di_node *last)
{
    unsigned shown = 0;
    di_error(checker->compilation, first->span, "the type '%s' contains itself", first->type.name);
    for (const di_node *via = last; via != first && shown < CYCLE_SHOWN; via = via->from, shown++)
        di_note(checker->compilation, via->span, "by way of '%s'", via->type.name);
}

static void start_walk(di_checker *checker)
{
    for (di_node *node = checker->nodes; node; node = node->next) {
        node->state = UNSEEN;
        node->at = 0;
        node->from = NULL;
    }
}

/* Visits what can be reached from `root` along the edges that the filter lets pass, and calls
 * `leave` (may be NULL) for each node after those that it leads to. Reports cycles. */
static bool visit(di_checker *checker, di_node *root, edge_filter filter,
                  void (*leave)(di_checker *, di_node *))
{
    bool fine = true;
    root->state = OPEN;
    for (di_node *node = root; node;) {
        di_node *other = next_node(node, filter);
        if (!other) {
            node->state = DONE;
            if (leave)
                leave(checker, node);
            node = node->from;
        } else if (other->state == OPEN) {
            report_cycle(checker, other, node);
            fine = false;
        } else if (other->state == UNSEEN) {
            other->state = OPEN;
            other->from = node;
            node = other;
        }
    }
    return fine;
}

static bool walk(di_checker *checker, edge_filter filter, void (*leave)(di_checker *, di_node *))
{
    bool fine = true;
    start_walk(checker);
    for (di_node *node = checker->nodes; node; node = node->next) {
        if (node->state == UNSEEN)
            fine = visit(checker, node, filter, leave) && fine;
    }
    return fine;
}

bool di_check_cycles(di_checker *checker)
{
    return walk(checker, by_value, NULL) && walk(checker, between_typedefs, NULL);
}

/* Roughly the bytes of memory of a plain value. */
static uint64_t extent_of_type(const di_type *type)
{
    const di_node *node = di_node_of(type);
    if (node)
        return node->extent;
    switch (type->kind) {
    case DI_OPAQUE:
    case DI_CHAR:
    case DI_UNSIGNED_CHAR:
        return 1;
    case DI_SHORT:
    case DI_UNSIGNED_SHORT:
        return 2;
    case DI_QUADRUPLE:
        return 16;
    default:
        return 8;
    }
}

static uint64_t extent_of_declaration(const di_declaration *declaration)
{
    uint64_t extent = extent_of_type(declaration->type);
    switch (declaration->shape) {
    case DI_PLAIN:
        return extent;
    case DI_FIXED:
        return multiply(extent ? extent : 1, declaration->size);
    default:
        return 16; /* a pointer and a count */
    }
}

/* Sets what follows from what a type holds by value: all but the maximum. */
static void measure_struct(di_node *node)
{
    di_measure total = {.fixed = true};
    for (size_t i = 0; i < node->part_count; i++) {
        di_measure measure = di_measure_declaration(node->parts[i]);
        total.minimum = add(total.minimum, measure.minimum);
        total.fixed &= measure.fixed;
        total.holds_memory |= measure.holds_memory;
        total.checked |= measure.checked;
        total.checked |= measure.checked;
        node->extent = add(node->extent, extent_of_declaration(node->parts[i]));
    }
    node->type.measure = total;
}

/* A union's first part is the discriminant. */
static void measure_union(di_node *node)
{
    di_measure all = {.minimum = UINT64_MAX, .fixed = true, .checked = true};
    uint64_t most = 0;
    for (size_t i = 1; i < node->part_count; i++) {
        di_measure measure = di_measure_declaration(node->parts[i]);
        uint64_t extent = extent_of_declaration(node->parts[i]);
        all.fixed &= measure.fixed && (i == 1 || measure.minimum == all.minimum);
        if (measure.minimum < all.minimum)
            all.minimum = measure.minimum;
        all.holds_memory |= measure.holds_memory;
        if (extent > most)
            most = extent;
    }
    all.minimum = add(4, all.minimum);
    node->type.measure = all;
    node->extent = add(8, most);
}

/* Counts the levels below a node, whose parts have theirs, and refuses too many. */
static void measure_depth(di_checker *checker, di_node *node)
{
    for (size_t i = 0; i < node->part_count; i++) {
        const di_node *part = di_node_of(node->parts[i]->type);
        if (part && by_value(node, node->parts[i]) && part->depth >= node->depth)
            node->depth = part->depth + 1;
    }
    if (node->depth <= DI_VALUE_DEPTH_LIMIT)
        return;
    di_error(checker->compilation, node->span, "'%s' holds types in one another more than %u deep",
             node->type.name, DI_VALUE_DEPTH_LIMIT);
    node->depth = 0; /* said once */
}

static void measure_node(di_checker *checker, di_node *node)
{
    measure_depth(checker, node);
    if (node->type.kind == DI_ENUM) {
        node->type.measure =
            (di_measure){.minimum = 4, .maximum = 4, .fixed = true, .checked = true};
        node->extent = 4;
    } else if (node->type.kind == DI_STRUCT) {
        measure_struct(node);
    } else if (node->type.kind == DI_UNION) {
        measure_union(node);
    } else {
        node->type.measure = di_measure_declaration(node->parts[0]);
        node->extent = extent_of_declaration(node->parts[0]);
    }
    if (node->extent <= DI_FIXED_LIMIT)
        return;
    di_error(checker->compilation, node->span,
             "a value of '%s' takes more than %u bytes of memory, whatever it holds",
             node->type.name, (unsigned)DI_FIXED_LIMIT);
    node->extent = 0; /* said once */
}

/* The last member of a struct, where it is a pointer to the next element of a list. */
static const di_declaration *find_tail(const di_node *node)
{
    if (node->type.kind != DI_STRUCT)
        return NULL;
    const di_declaration *last = node->parts[node->part_count - 1], *pointer = last;
    while (pointer->shape == DI_PLAIN && pointer->type->kind == DI_TYPEDEF)
        pointer = pointer->type->declaration;
    if (pointer->shape != DI_OPTIONAL || di_resolve(pointer->type) != &node->type)
        return NULL;
    return last;
}

static bool not_tail(const di_node *node, const di_declaration *part)
{
    return part != node->type.tail;
}

/* Sets the maximum of a node whose parts have theirs. */
static void measure_maximum(di_node *node, bool circle)
{
    uint64_t maximum = node->type.kind == DI_UNION || node->type.kind == DI_ENUM ? 4 : 0, most = 0;
    for (size_t i = node->type.kind == DI_UNION; i < node->part_count; i++) {
        di_measure measure = di_measure_declaration(node->parts[i]);
        if (node->type.kind != DI_UNION)
            maximum = add(maximum, measure.maximum);
        else if (measure.maximum > most)
            most = measure.maximum;
    }
    if (circle || node->type.tail)
        maximum = UINT64_MAX;
    node->type.measure.maximum = add(maximum, most);
}

/* Takes a component off the stack, down to `first`. Those below it have their maximum. */
static di_node *leave_component(di_node *top, di_node *first)
{
    bool circle = top != first || first->type.recursive;
    for (;;) {
        di_node *node = top;
        top = node->stacked;
        node->state = DONE;
        node->type.recursive = circle;
        measure_maximum(node, circle);
        if (node == first)
            return top;
    }
}

/* Tarjan's algorithm: finds the components (types that contain each other) behind `root`, those
 * that others contain first. `count` numbers the nodes as they are seen. */
static void visit_components(di_node *root, uint32_t *count)
{
    di_node *stack = NULL, *node = root, *entered = root;
    while (node) {
        if (entered) {
            node->state = OPEN;
            node->index = node->lowest = ++*count;
            node->stacked = stack;
            stack = node;
        }
        entered = NULL;
        di_node *other = next_node(node, not_tail);
        if (other && other->state == UNSEEN) {
            other->from = node;
            node = entered = other;
        } else if (other && other->state == OPEN) {
            if (other->index < node->lowest)
                node->lowest = other->index;
            node->type.recursive |= other == node;
        } else if (!other) {
            if (node->lowest == node->index)
                stack = leave_component(stack, node);
            di_node *from = node->from;
            if (from && node->lowest < from->lowest)
                from->lowest = node->lowest;
            node = from;
        }
    }
}

void di_measure_types(di_checker *checker)
{
    uint32_t count = 0;
    walk(checker, by_value, measure_node);
    for (di_node *node = checker->nodes; node; node = node->next)
        node->type.tail = find_tail(node);
    start_walk(checker);
    for (di_node *node = checker->nodes; node; node = node->next) {
        if (node->state == UNSEEN)
            visit_components(node, &count);
    }
}

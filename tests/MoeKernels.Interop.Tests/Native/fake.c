/*
 * A library without a device that writes down what is freed, and when. Entry points that are not
 * here are weak ones of a generated file; they return MOEK_E_INTERNAL.
 */
#include <stdlib.h>
#include <string.h>

#include "moek/moek.h"

struct moek_context {
    moek_context_desc desc;
};

static char journal[1 << 16];
static _Thread_local char last_text[4096];
static _Thread_local moek_status last_status;
static char planned_text[4096];
static moek_status planned_status;

static void note(const char* what) {
    if (strlen(journal) + strlen(what) + 2 < sizeof journal) strcat(strcat(journal, what), " ");
}

/* Makes the next creating call fail. */
MOEK_API void fake_fail(moek_status status, const char* text) {
    planned_status = status;
    strncpy(planned_text, text, sizeof planned_text - 1);
}

/* What was freed since the last call, in order. */
MOEK_API const char* fake_journal(void) {
    static char taken[sizeof journal];
    strcpy(taken, journal);
    journal[0] = 0;
    return taken;
}

static moek_status failed(moek_status status, const char* text) {
    strcpy(last_text, text);
    return last_status = status;
}

static moek_status create(void** object, size_t bytes) {
    moek_status status = planned_status;
    planned_status = MOEK_OK;
    *object = NULL;
    if (status != MOEK_OK) return failed(status, planned_text);
    *object = calloc(1, bytes);
    return MOEK_OK;
}

static moek_status release(const moek_context* context, void* object, const char* what) {
    if (context == NULL) return failed(MOEK_E_ARGUMENT, "context is null");
    note(what);
    free(object);
    return MOEK_OK;
}

uint32_t moek_abi(void) {
    return MOEK_ABI_MAJOR << 16 | MOEK_ABI_MINOR;
}

const char* moek_version(void) {
    return "0.0.0-fake";
}

moek_status moek_last_error(char* text, size_t* needed, size_t capacity) {
    if (needed != NULL) *needed = strlen(last_text) + 1;
    if (text != NULL && capacity > 0) {
        strncpy(text, last_text, capacity - 1);
        text[capacity - 1] = 0;
    }
    return last_status;
}

void moek_context_desc_init(moek_context_desc* desc) {
    memset(desc, 0, sizeof *desc);
    desc->struct_size = sizeof *desc;
}

moek_status moek_context_create(moek_context** context, const moek_context_desc* desc) {
    moek_status status = create((void**)context, sizeof **context);
    if (status == MOEK_OK && desc->device != 0) {
        free(*context);
        *context = NULL;
        return failed(MOEK_E_NO_DEVICE, "there is one device, number 0");
    }
    if (status == MOEK_OK) (*context)->desc = *desc;
    return status;
}

void moek_context_destroy(moek_context* context) {
    release(context, context, "context");
}

moek_status moek_alloc(void** pointer, moek_context* context, uint64_t bytes) {
    if (context->desc.alloc == NULL || bytes == 0) {
        moek_status status = create(pointer, bytes + 1);
        if (bytes == 0) {
            free(*pointer);
            *pointer = NULL;
        }
        return status;
    }
    *pointer = context->desc.alloc(bytes, context->desc.user);
    return *pointer != NULL ? MOEK_OK : failed(MOEK_E_MEMORY, "the allocator gave nothing");
}

moek_status moek_free(moek_context* context, void* pointer) {
    if (context->desc.free_ == NULL) return release(context, pointer, "memory");
    note("memory");
    context->desc.free_(pointer, context->desc.user);
    return MOEK_OK;
}

moek_status moek_host_alloc(void** pointer, moek_context* context, uint64_t bytes) {
    (void)context;
    return create(pointer, bytes + 1);
}

moek_status moek_host_free(moek_context* context, void* pointer) {
    return release(context, pointer, "host");
}

moek_status moek_stream_create(void** stream, moek_context* context) {
    (void)context;
    return create(stream, 1);
}

moek_status moek_stream_destroy(moek_context* context, void* stream) {
    return release(context, stream, "stream");
}

moek_status moek_event_create(void** event, moek_context* context) {
    (void)context;
    return create(event, 1);
}

moek_status moek_event_destroy(moek_context* context, void* event) {
    return release(context, event, "event");
}

/* Each of the three holds the desc it was made from, so that tests can look at what arrived. */
#define OBJECT(name)                                                                                                \
    struct moek_##name {                                                                                            \
        const moek_context* context;                                                                                \
        moek_##name##_desc desc;                                                                                    \
    };                                                                                                              \
    moek_status moek_##name##_create(moek_##name** object, moek_context* context, const moek_##name##_desc* desc) { \
        moek_status status = create((void**)object, sizeof **object);                                               \
        if (status != MOEK_OK) return status;                                                                       \
        (*object)->context = context;                                                                               \
        (*object)->desc = *desc;                                                                                    \
        return MOEK_OK;                                                                                             \
    }                                                                                                               \
    void moek_##name##_destroy(moek_##name* object) {                                                               \
        release(object->context, object, #name);                                                                    \
    }

OBJECT(weights)
OBJECT(experts)
OBJECT(layer)

/* The experts that a layer was made from. */
MOEK_API const moek_experts* fake_routed(const moek_layer* layer) {
    return layer->desc.routed;
}

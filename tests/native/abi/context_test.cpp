// Contexts, device memory, streams and events through the C ABI, with everything a caller can get wrong.
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "expect.hpp"

using namespace moek::test;

namespace {

struct Context {
    Context() { EXPECT_OK(moek_context_create(&handle, nullptr)); }
    ~Context() { moek_context_destroy(handle); }
    operator moek_context*() const { return handle; }
    moek_context* handle = nullptr;
};

struct Pool {
    int allocated = 0;
    int freed = 0;
    bool exhausted = false;
    size_t shift = 0;
};

void* pool_alloc(uint64_t bytes, void* user) {
    auto* pool = static_cast<Pool*>(user);
    if (pool->exhausted) return nullptr;
    pool->allocated++;
    void* pointer = nullptr;
    if (cudaMalloc(&pointer, bytes + 256) != cudaSuccess) return nullptr;
    return static_cast<char*>(pointer) + pool->shift;
}

void pool_free(void* pointer, void* user) {
    auto* pool = static_cast<Pool*>(user);
    pool->freed++;
    cudaFree(static_cast<char*>(pointer) - pool->shift);
}

}  // namespace

HOST_CASE(versions_and_names) {
    CHECK_EQ(moek_abi() >> 16, static_cast<uint32_t>(MOEK_ABI_MAJOR));
    CHECK(std::strlen(moek_version()) > 0);
    CHECK(std::strcmp(moek_status_name(MOEK_E_NONFINITE), "MOEK_E_NONFINITE") == 0);
    CHECK(std::strcmp(moek_status_name(static_cast<moek_status>(-99)), "unknown") == 0);
    CHECK(std::strcmp(moek_status_name(static_cast<moek_status>(1)), "unknown") == 0);
    int32_t count = 0;
    EXPECT_OK(moek_device_count(&count));
    CHECK(count >= 1);
}

HOST_CASE(context_reports_the_device) {
    Context context;
    moek_device_info info{};
    info.struct_size = sizeof info;
    EXPECT_OK(moek_context_info(&info, context));
    CHECK_EQ(info.emulated, MOEK_EMULATED);
    CHECK(MOEK_EMULATED ? info.capability == 90 : info.capability >= 80);
    CHECK(info.total_bytes >= info.free_bytes && info.free_bytes > 0);
    CHECK((std::strstr(info.name, "emulated") != nullptr) == (MOEK_EMULATED != 0));
    info.struct_size = 8;
    EXPECT_STATUS(moek_context_info(&info, context), MOEK_E_ABI, "struct_size");
    EXPECT_STATUS(moek_context_info(nullptr, context), MOEK_E_ARGUMENT, "info");
    EXPECT_STATUS(moek_context_info(&info, nullptr), MOEK_E_ARGUMENT, "context");
}

HOST_CASE(context_refuses_what_it_does_not_know) {
    moek_context* context = nullptr;
    moek_context_desc desc;
    moek_context_desc_init(&desc);
    EXPECT_STATUS(moek_context_create(nullptr, &desc), MOEK_E_ARGUMENT, "context");
    desc.device = 777;
    EXPECT_STATUS(moek_context_create(&context, &desc), MOEK_E_NO_DEVICE, "777");
    CHECK(context == nullptr);
    desc.device = 0;
    desc.flags = 4;
    EXPECT_STATUS(moek_context_create(&context, &desc), MOEK_E_ARGUMENT, "flags");
    desc.flags = 0;
    desc.alloc = pool_alloc;
    EXPECT_STATUS(moek_context_create(&context, &desc), MOEK_E_ARGUMENT, "free_");
    desc.alloc = nullptr;
    desc.struct_size = 4;
    EXPECT_STATUS(moek_context_create(&context, &desc), MOEK_E_ABI, "struct_size");

    // A newer caller whose addition is not used is served; one that uses it is not.
    struct Newer {
        moek_context_desc known;
        uint64_t unknown;
    } newer{};
    moek_context_desc_init(&newer.known);
    newer.known.struct_size = sizeof newer;
    EXPECT_OK(moek_context_create(&context, &newer.known));
    moek_context_destroy(context);
    newer.unknown = 1;
    EXPECT_STATUS(moek_context_create(&context, &newer.known), MOEK_E_ABI, "byte");
    moek_context_destroy(nullptr);
}

EMULATED_CASE(old_devices_are_refused) {
    cuemu::config.capability_major = 7;
    cuemu::config.capability_minor = 5;
    moek_context* context = nullptr;
    EXPECT_STATUS(moek_context_create(&context, nullptr), MOEK_E_UNSUPPORTED, "7.5");
    cuemu::config.capability_major = 9;
    cuemu::config.capability_minor = 0;
}

HOST_CASE(copies_arrive_when_the_stream_was_waited_for) {
    Context context;
    void* stream = nullptr;
    EXPECT_OK(moek_stream_create(&stream, context));
    void* device = nullptr;
    EXPECT_OK(moek_alloc(&device, context, 1024));
    std::vector<unsigned char> in(1024), out(1024, 1);
    for (size_t i = 0; i < in.size(); i++) in[i] = static_cast<unsigned char>(i * 7);
    EXPECT_OK(moek_copy_in(device, context, in.data(), in.size(), stream));
    EXPECT_OK(moek_fill(static_cast<char*>(device) + 512, context, 0xAB, 512, stream));
    EXPECT_OK(moek_copy(static_cast<char*>(device) + 256, context, device, 256, stream));
    EXPECT_OK(moek_copy_out(out.data(), context, device, out.size(), stream));
    EXPECT_OK(moek_stream_synchronize(context, stream));
    for (size_t i = 0; i < 512; i++) CHECK_EQ(out[i], in[i % 256]);
    for (size_t i = 512; i < 1024; i++) CHECK_EQ(out[i], 0xAB);
    EXPECT_OK(moek_free(context, device));
    EXPECT_OK(moek_stream_destroy(context, stream));
}

HOST_CASE(events_order_streams) {
    Context context;
    void *first = nullptr, *second = nullptr, *event = nullptr, *device = nullptr;
    EXPECT_OK(moek_stream_create(&first, context));
    EXPECT_OK(moek_stream_create(&second, context));
    EXPECT_OK(moek_event_create(&event, context));
    EXPECT_OK(moek_alloc(&device, context, 64));
    unsigned char out[64] = {};
    EXPECT_OK(moek_fill(device, context, 5, 64, first));
    EXPECT_OK(moek_event_record(context, event, first));
    EXPECT_OK(moek_event_wait(context, event, second));
    EXPECT_OK(moek_copy_out(out, context, device, 64, second));
    EXPECT_OK(moek_stream_synchronize(context, second));
    CHECK_EQ(out[63], 5);
    EXPECT_OK(moek_event_synchronize(context, event));
    float milliseconds = -1;
    EXPECT_OK(moek_event_elapsed(&milliseconds, context, event, event));
    CHECK(milliseconds >= 0);
    EXPECT_STATUS(moek_event_record(context, nullptr, first), MOEK_E_ARGUMENT, "event");
    EXPECT_OK(moek_event_destroy(context, event));
    EXPECT_OK(moek_stream_destroy(context, first));
    EXPECT_OK(moek_stream_destroy(context, second));
    EXPECT_OK(moek_free(context, device));
}

HOST_CASE(copies_refuse_wrong_memory) {
    Context context;
    void* device = nullptr;
    EXPECT_OK(moek_alloc(&device, context, 256));
    char host[256] = {};
    EXPECT_STATUS(moek_copy_in(host, context, host, 256, nullptr), MOEK_E_ARGUMENT, "target is not device memory");
    EXPECT_STATUS(moek_copy_out(host, context, host, 256, nullptr), MOEK_E_ARGUMENT, "source is not device memory");
    EXPECT_STATUS(moek_copy_in(nullptr, context, host, 256, nullptr), MOEK_E_ARGUMENT, "target");
    EXPECT_STATUS(moek_copy_in(device, context, nullptr, 256, nullptr), MOEK_E_ARGUMENT, "source");
    EXPECT_STATUS(moek_copy(static_cast<char*>(device) + 128, context, device, 129, nullptr), MOEK_E_ARGUMENT,
                  "overlap");
    EXPECT_STATUS(moek_fill(device, context, 256, 1, nullptr), MOEK_E_ARGUMENT, "value");
    EXPECT_STATUS(moek_copy_in(device, nullptr, host, 1, nullptr), MOEK_E_ARGUMENT, "context");
    EXPECT_OK(moek_copy_in(nullptr, context, nullptr, 0, nullptr));
    EXPECT_STATUS(moek_free(context, host), MOEK_E_ARGUMENT, "pointer");
    // The context works on.
    EXPECT_OK(moek_fill(device, context, 1, 256, nullptr));
    EXPECT_OK(moek_stream_synchronize(context, nullptr));
    EXPECT_OK(moek_free(context, device));
    EXPECT_OK(moek_free(context, nullptr));
}

EMULATED_CASE(running_out_of_memory_is_a_status) {
    Context context;
    void* device = nullptr;
    cuemu::config.fail_allocation = 1;
    EXPECT_STATUS(moek_alloc(&device, context, 4096), MOEK_E_MEMORY, "4096");
    CHECK(device == nullptr);
    EXPECT_OK(moek_alloc(&device, context, 4096));
    EXPECT_OK(moek_free(context, device));
    EXPECT_STATUS(moek_alloc(&device, context, uint64_t{1} << 60), MOEK_E_MEMORY, "allocating");
    EXPECT_OK(moek_alloc(&device, context, 0));
    CHECK(device == nullptr);
}

HOST_CASE(the_callers_allocator_is_used_and_checked) {
    Pool pool;
    moek_context_desc desc;
    moek_context_desc_init(&desc);
    desc.alloc = pool_alloc;
    desc.free_ = pool_free;
    desc.user = &pool;
    moek_context* context = nullptr;
    EXPECT_OK(moek_context_create(&context, &desc));
    void* device = nullptr;
    EXPECT_OK(moek_alloc(&device, context, 100));
    EXPECT_OK(moek_free(context, device));
    pool.exhausted = true;
    EXPECT_STATUS(moek_alloc(&device, context, 100), MOEK_E_MEMORY, "allocator");
    pool.exhausted = false;
    pool.shift = 64;
    EXPECT_STATUS(moek_alloc(&device, context, 100), MOEK_E_ARGUMENT, "aligned");
    moek_context_destroy(context);
    CHECK_EQ(pool.allocated, pool.freed);
}

HOST_CASE(texts_belong_to_their_thread) {
    EXPECT_STATUS(moek_context_info(nullptr, nullptr), MOEK_E_ARGUMENT, "null");
    size_t needed = 0;
    char small[5];
    CHECK_EQ(moek_last_error(small, &needed, sizeof small), MOEK_E_ARGUMENT);
    CHECK_EQ(std::strlen(small), size_t{4});
    CHECK(needed > sizeof small);
    moek_status other = MOEK_E_INTERNAL;
    std::thread([&] { other = moek_last_error(nullptr, nullptr, 0); }).join();
    CHECK_EQ(other, MOEK_OK);
    int32_t count = 0;
    EXPECT_OK(moek_device_count(&count));
    CHECK_EQ(moek_last_error(nullptr, nullptr, 0), MOEK_OK);
}

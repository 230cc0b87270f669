// What every benchmark needs: the device through the C ABI, memory, times, result lines.
#pragma once
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/call.hpp"
#include "moek/moek.h"

namespace moek::bench {

// A call of the library or of CUDA failed, or a result is not what the reference says.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void require(moek_status status, const char* call);
void require(cudaError_t error, const char* call);
#define MOEK_REQUIRE(call) ::moek::bench::require(call, #call)

struct Options {
    bool tiny = false;  // shapes that the emulator runs in seconds
    std::string only;   // part of the names to run; empty for all
    int samples = 25;
};

// The device, its stream and what it was measured to reach.
class Device {
public:
    Device();
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    moek_context* context = nullptr;
    void* stream = nullptr;
    moek_device_info info{};
    uint64_t l2_bytes = 0;
    // Measured at the start (roof.hpp), 0 before that.
    double read_bytes_per_second = 0;
    double bf16_flops_per_second = 0;

    void wait() { MOEK_REQUIRE(moek_stream_synchronize(context, stream)); }
    Launch launch() const;
};

// Device memory.
class Memory {
public:
    Memory() = default;
    Memory(Device& device, uint64_t bytes) : device_(&device), bytes_(bytes) {
        MOEK_REQUIRE(moek_alloc(&pointer_, device.context, bytes));
    }
    Memory(Memory&& other) noexcept { *this = std::move(other); }
    Memory& operator=(Memory&& other) noexcept {
        std::swap(device_, other.device_);
        std::swap(pointer_, other.pointer_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Memory() {
        if (pointer_ != nullptr) moek_free(device_->context, pointer_);
    }

    template <class T>
    static Memory of(Device& device, const std::vector<T>& values) {
        Memory memory(device, values.size() * sizeof(T));
        memory.write(values.data(), values.size() * sizeof(T));
        return memory;
    }
    // `bytes` made of `period` over and over: large stacks from a small host array.
    template <class T>
    static Memory repeat(Device& device, const std::vector<T>& period, uint64_t bytes) {
        Memory memory(device, bytes);
        memory.fill(period.data(), period.size() * sizeof(T));
        return memory;
    }

    template <class T = void>
    T* get() const {
        return static_cast<T*>(pointer_);
    }
    uint64_t bytes() const { return bytes_; }

    template <class T>
    std::vector<T> read() const {
        std::vector<T> values(bytes_ / sizeof(T));
        MOEK_REQUIRE(moek_copy_out(values.data(), device_->context, pointer_, bytes_, device_->stream));
        device_->wait();
        return values;
    }

private:
    void write(const void* source, uint64_t bytes);
    void fill(const void* period, uint64_t bytes);

    Device* device_ = nullptr;
    void* pointer_ = nullptr;
    uint64_t bytes_ = 0;
};

// Microseconds of one call.
struct Times {
    double median = 0, p10 = 0, p90 = 0;
    bool graph = false;
};

// Times `queue`, which queues call number i on the device's stream. Calls rotate through `rotation` sets of data, so
// that no set is still in the second-level cache when its turn comes again. On CUDA the calls of a sample are one
// graph, which leaves the host's launches out; `direct` queues them one by one.
Times time_calls(Device& device, const Options& options, int rotation, const std::function<void(int)>& queue,
                 bool direct = false);

// Sets of `bytes` that overflow the second-level cache four times, at least 2.
int rotation_for(const Device& device, uint64_t bytes);

// One measured case; prints a line of JSON.
struct Result {
    std::string what;    // what ran: "codebook", "qmoe", "layer" ...
    std::string model;   // whose shape
    std::string detail;  // the variant
    std::vector<int64_t> shape;
    int64_t tokens = 0;
    double weights = 0;  // weights times tokens that they met
    double bytes = 0;    // that must move at least once
    double flops = 0;    // of tensor cores; 0 where none are used
};

// Least microseconds: bytes at the measured read rate or flops at the measured tensor rate, whichever takes longer.
double floor_us(const Device& device, const Result& result);
void print(const Device& device, const Result& result, const Times& times);
// A plain line: {"what": ..., "KEY": value}.
void print_value(const std::string& what, const std::string& key, double value);
void print_failure(const std::string& what, const std::string& text);

// Runs a case unless its name is left out by --only; a failure becomes a line of its own. Names are "what/model/...".
void run_case(const Options& options, const std::string& name, const std::function<void()>& body);
int failed_cases();

// The rooms.
void run_roofs(Device& device, const Options& options);
void run_packed(Device& device, const Options& options);
void run_dense(Device& device, const Options& options);
void run_layers(Device& device, const Options& options);
void run_router(Device& device, const Options& options);
void run_attention(Device& device, const Options& options);

}  // namespace moek::bench

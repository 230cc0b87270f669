#include "bench.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>

namespace moek::bench {
namespace {

int num_failed = 0;

double percentile(const std::vector<double>& sorted, double part) {
    const double place = part * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Times summary(std::vector<double> samples, bool graph) {
    std::sort(samples.begin(), samples.end());
    return {percentile(samples, 0.5), percentile(samples, 0.1), percentile(samples, 0.9), graph};
}

// JSON text: what we print has no control characters but the line ends of failure texts.
std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        result += c == '\n' ? ' ' : c;
    }
    return result + "\"";
}

class Event {
public:
    explicit Event(Device& device) : device_(device) { MOEK_REQUIRE(moek_event_create(&event_, device.context)); }
    ~Event() { moek_event_destroy(device_.context, event_); }
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    void record() { MOEK_REQUIRE(moek_event_record(device_.context, event_, device_.stream)); }
    double microseconds_since(const Event& start) const {
        float milliseconds = 0;
        MOEK_REQUIRE(moek_event_elapsed(&milliseconds, device_.context, start.event_, event_));
        return 1e3 * milliseconds;
    }

private:
    Device& device_;
    void* event_ = nullptr;
};

// `calls` calls, queued one by one or as one graph.
class Sequence {
public:
    Sequence(Device& device, int calls, const std::function<void(int)>& queue, [[maybe_unused]] bool direct)
        : stream_(static_cast<cudaStream_t>(device.stream)), calls_(calls), queue_(queue) {
#if !MOEK_EMULATED
        if (direct) return;
        MOEK_REQUIRE(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
        for (int i = 0; i < calls; ++i) queue(i);
        cudaGraph_t graph = nullptr;
        MOEK_REQUIRE(cudaStreamEndCapture(stream_, &graph));
        const cudaError_t made = cudaGraphInstantiate(&graph_, graph, 0);
        cudaGraphDestroy(graph);
        require(made, "cudaGraphInstantiate");
#endif
    }
    ~Sequence() {
#if !MOEK_EMULATED
        if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
#endif
    }
    Sequence(const Sequence&) = delete;
    Sequence& operator=(const Sequence&) = delete;

    void run() {
#if !MOEK_EMULATED
        if (graph_ != nullptr) return MOEK_REQUIRE(cudaGraphLaunch(graph_, stream_));
#endif
        for (int i = 0; i < calls_; ++i) queue_(i);
    }

private:
    cudaStream_t stream_;
    int calls_;
    const std::function<void(int)>& queue_;
#if !MOEK_EMULATED
    cudaGraphExec_t graph_ = nullptr;
#endif
};

// Microseconds of a run, from an event before it to one behind it.
double sample(Device& device, Sequence& sequence) {
    Event start(device), end(device);
    start.record();
    sequence.run();
    end.record();
    device.wait();
    return end.microseconds_since(start);
}

}  // namespace

void require(moek_status status, const char* call) {
    if (status == MOEK_OK) return;
    char text[1024];
    moek_last_error(text, nullptr, sizeof text);
    throw Failure(std::string(call) + ": " + moek_status_name(status) + ": " + text);
}

void require(cudaError_t error, const char* call) {
    if (error != cudaSuccess) throw Failure(std::string(call) + ": " + cudaGetErrorName(error));
}

Device::Device() {
    MOEK_REQUIRE(moek_context_create(&context, nullptr));
    info.struct_size = sizeof info;
    MOEK_REQUIRE(moek_context_info(&info, context));
    MOEK_REQUIRE(moek_stream_create(&stream, context));
    int bytes = 0;
    MOEK_REQUIRE(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, info.device));
    l2_bytes = static_cast<uint64_t>(bytes);
}

Device::~Device() {
    moek_stream_destroy(context, stream);
    moek_context_destroy(context);
}

Launch Device::launch() const {
    return {info.capability, info.multiprocessors, static_cast<cudaStream_t>(stream)};
}

void Memory::write(const void* source, uint64_t bytes) {
    MOEK_REQUIRE(moek_copy_in(pointer_, device_->context, source, bytes, device_->stream));
    device_->wait();
}

// The period once from the host, then the filled part, twice as long each time.
void Memory::fill(const void* period, uint64_t bytes) {
    uint64_t filled = std::min(bytes, bytes_);
    write(period, filled);
    auto* target = static_cast<unsigned char*>(pointer_);
    while (filled < bytes_) {
        const uint64_t part = std::min(filled, bytes_ - filled);
        MOEK_REQUIRE(moek_copy(target + filled, device_->context, target, part, device_->stream));
        filled += part;
    }
    device_->wait();
}

int rotation_for(const Device& device, uint64_t bytes) {
    const uint64_t sets = 4 * device.l2_bytes / std::max<uint64_t>(bytes, 1) + 2;
    return static_cast<int>(std::min<uint64_t>(sets, 4096));
}

Times time_calls(Device& device, const Options& options, int rotation, const std::function<void(int)>& queue,
                 bool direct) {
    if (options.tiny) {
        Sequence once(device, std::min(rotation, 2), queue, direct);
        return summary({sample(device, once), sample(device, once)}, false);
    }
    constexpr double kSampleMicroseconds = 3000;
    constexpr int kMostCalls = 2000;
    Sequence first(device, rotation, queue, true);
    first.run();
    device.wait();
    const double estimate = sample(device, first) / rotation;
    const int rounds = static_cast<int>(std::ceil(kSampleMicroseconds / (estimate * rotation)));
    const int calls = rotation * std::max(1, std::min(rounds, kMostCalls / rotation));
    Sequence sequence(device, calls, queue, direct);
    for (int i = 0; i < 3; ++i) sample(device, sequence);
    std::vector<double> samples;
    for (int i = 0; i < options.samples; ++i) samples.push_back(sample(device, sequence) / calls);
    return summary(samples, !direct && !MOEK_EMULATED);
}

double floor_us(const Device& device, const Result& result) {
    double seconds = 0;
    if (device.read_bytes_per_second > 0) seconds = result.bytes / device.read_bytes_per_second;
    if (device.bf16_flops_per_second > 0) seconds = std::max(seconds, result.flops / device.bf16_flops_per_second);
    return 1e6 * seconds;
}

void print(const Device& device, const Result& result, const Times& times) {
    std::string shape;
    for (const int64_t size : result.shape) shape += (shape.empty() ? "" : ", ") + std::to_string(size);
    const double seconds = 1e-6 * times.median;
    const double floor = floor_us(device, result);
    std::printf(
        "{\"what\": %s, \"model\": %s, \"detail\": %s, \"shape\": [%s], \"tokens\": %lld, \"us\": %.3f, \"us_p10\": "
        "%.3f, "
        "\"us_p90\": %.3f, \"graph\": %s, \"weights_per_s\": %.4g, \"bytes_per_s\": %.4g, \"tflop_per_s\": %.4g, "
        "\"floor_us\": %.3f, \"of_floor\": %.4f}\n",
        quoted(result.what).c_str(), quoted(result.model).c_str(), quoted(result.detail).c_str(), shape.c_str(),
        static_cast<long long>(result.tokens), times.median, times.p10, times.p90, times.graph ? "true" : "false",
        result.weights / seconds, result.bytes / seconds, 1e-12 * result.flops / seconds, floor, floor / times.median);
    std::fflush(stdout);
}

void print_value(const std::string& what, const std::string& key, double value) {
    std::printf("{\"what\": %s, %s: %.6g}\n", quoted(what).c_str(), quoted(key).c_str(), value);
    std::fflush(stdout);
}

void print_failure(const std::string& what, const std::string& text) {
    ++num_failed;
    std::printf("{\"what\": %s, \"failed\": %s}\n", quoted(what).c_str(), quoted(text).c_str());
    std::fflush(stdout);
}

void run_case(const Options& options, const std::string& name, const std::function<void()>& body) {
    if (name.find(options.only) == std::string::npos) return;
    try {
        body();
    } catch (const std::exception& failure) {
        print_failure(name, failure.what());
    }
}

int failed_cases() {
    return num_failed;
}

}  // namespace moek::bench

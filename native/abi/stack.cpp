#include "abi/stack.hpp"

#include "abi/arguments.hpp"

namespace moek {
namespace {

constexpr int32_t kMaxSize = 1 << 24;
constexpr uint64_t kRowBlock = 64;
constexpr int32_t kMxfp4Block = 32;

uint64_t blocks(uint64_t count, uint64_t size) {
    return (count + size - 1) / size;
}

uint64_t elements(const DenseSource& source) {
    const uint64_t rows = product(source.matrices, source.rows, source.name);
    return product(rows, source.columns, source.name);
}

// Memory for checks on the host: the caller's own, or a copy of what it has on the device.
template <typename T>
class HostView {
public:
    HostView(const T* pointer, uint64_t count, bool on_device) : view_(pointer) {
        if (!on_device || pointer == nullptr) return;
        copy_.resize(count);
        check(cudaMemcpy(copy_.data(), pointer, count * sizeof(T), cudaMemcpyDeviceToHost), "reading weights back");
        view_ = copy_.data();
    }
    const T* get() const { return view_; }

private:
    const T* view_;
    std::vector<T> copy_;
};

// The device pointer of an array: the caller's when borrowed, else a copy that the stack owns.
template <typename T>
const T* place(moek_context& context, Stack& stack, const T* array, uint64_t count, bool borrow, const char* name) {
    const uint64_t bytes = product(count, sizeof(T), name);
    if (borrow) {
        require_device(context, array, bytes, 16, name);
        return array;
    }
    require_pointer(array, name);
    stack.owned.push_back(DeviceBuffer::copy_of(context, array, bytes));
    return stack.owned.back().template as<T>();
}

// Made once: a model has some hundred stacks, and the dictionary takes a tenth of a second.
const std::vector<uint32_t>& host_dictionary() {
    static const std::vector<uint32_t> words = [] {
        std::vector<uint32_t> made(2 * 65536);
        qmoe_dictionary(made.data());
        return made;
    }();
    return words;
}

const std::vector<QmoeEntry>& host_entries() {
    static const std::vector<QmoeEntry> entries = [] {
        std::vector<QmoeEntry> made(65536);
        qmoe_entries(made.data(), host_dictionary().data());
        return made;
    }();
    return entries;
}

// A context's own copy on its device.
const QmoeEntry* entries_of(moek_context& context) {
    const std::lock_guard<std::mutex> lock(context.dictionary_lock);
    if (context.dictionary == nullptr) {
        const std::vector<QmoeEntry>& entries = host_entries();
        const uint64_t bytes = entries.size() * sizeof(QmoeEntry);
        void* memory = device_allocate(context, bytes);
        const cudaError_t copied = cudaMemcpy(memory, entries.data(), bytes, cudaMemcpyHostToDevice);
        if (copied != cudaSuccess) device_free(context, memory);
        check(copied, "copying the dictionary");
        context.dictionary = memory;
    }
    return static_cast<const QmoeEntry*>(context.dictionary);
}

}  // namespace

int32_t Stack::matrices() const {
    return type == Element::kCodebook ? codebook.matrices : type == Element::kQmoe ? qmoe.matrices : dense.matrices;
}

int32_t Stack::rows() const {
    return type == Element::kCodebook ? codebook.rows : type == Element::kQmoe ? qmoe.rows : dense.rows;
}

int32_t Stack::columns() const {
    return type == Element::kCodebook ? codebook.columns : type == Element::kQmoe ? qmoe.columns : dense.columns;
}

uint64_t Stack::owned_bytes() const {
    uint64_t bytes = 0;
    for (const DeviceBuffer& buffer : owned) bytes += buffer.bytes();
    return bytes;
}

uint64_t dense_data_bytes(const DenseSource& source) {
    switch (source.dtype) {
        case MOEK_F8E4M3:
            return elements(source);
        case MOEK_MXFP4:
            return elements(source) / 2;
        default:
            return product(elements(source), element_bytes(source.dtype, "dtype"), source.name);
    }
}

uint64_t dense_scale_bytes(const DenseSource& source) {
    if (source.dtype == MOEK_MXFP4) return elements(source) / kMxfp4Block;
    if (source.dtype != MOEK_F8E4M3) return 0;
    const uint64_t per_matrix =
        blocks(source.rows, source.scale_block_rows) * blocks(source.columns, source.scale_block_columns);
    return product(product(per_matrix, source.matrices, source.name), sizeof(float), source.name);
}

void check_dense(const DenseSource& source) {
    require_range(source.matrices, 1, 1 << 20, "matrices");
    require_range(source.rows, 1, kMaxSize, "rows");
    require_range(source.columns, 1, kMaxSize, "columns");
    if (source.dtype == MOEK_F8E4M3) {
        require_range(source.scale_block_rows, 1, kMaxSize, "scale_block_rows");
        require_range(source.scale_block_columns, 1, kMaxSize, "scale_block_columns");
    } else if (source.dtype == MOEK_MXFP4) {
        if (source.columns % kMxfp4Block != 0) {
            fail(MOEK_E_UNSUPPORTED, "%s: %d columns are no multiple of %d, the block of MXFP4", source.name,
                 source.columns, kMxfp4Block);
        }
    } else {
        element_bytes(source.dtype, "dtype");
    }
    dense_data_bytes(source);
}

moek_codebook_desc checked_codebook(const void* given, const char* name) {
    const moek_codebook_desc desc =
        take(static_cast<const moek_codebook_desc*>(given), moek_codebook_desc{}, sizeof(moek_codebook_desc), name);
    require_range(desc.rows, 1, kMaxSize, "rows");
    require_range(desc.columns, 1, kMaxSize, "columns");
    require_range(desc.dimension, 1, 16, "dimension");
    require_range(desc.stages, 1, 4, "stages");
    require_range(desc.matrices, 1, 1 << 20, "matrices");
    if (desc.codebooks != 1 && desc.codebooks != desc.matrices) {
        fail(MOEK_E_ARGUMENT, "%s: %d codebooks for %d matrices, not 1 or one for each", name, desc.codebooks,
             desc.matrices);
    }
    return desc;
}

moek_qmoe_desc checked_qmoe(const void* given, const char* name) {
    const moek_qmoe_desc desc =
        take(static_cast<const moek_qmoe_desc*>(given), moek_qmoe_desc{}, sizeof(moek_qmoe_desc), name);
    require_range(desc.rows, 1, kMaxSize, "rows");
    require_range(desc.columns, 1, kMaxSize, "columns");
    require_range(desc.matrices, 1, 1 << 20, "matrices");
    return desc;
}

Stack make_dense(moek_context& context, const DenseSource& source) {
    check_dense(source);
    Stack stack;
    stack.type = static_cast<Element>(source.dtype);
    DenseStack& dense = stack.dense;
    dense.type = stack.type;
    dense.matrices = source.matrices;
    dense.rows = source.rows;
    dense.columns = source.columns;
    dense.scale_block_rows = source.scale_block_rows;
    dense.scale_block_columns = source.scale_block_columns;
    const auto* data = static_cast<const unsigned char*>(source.data);
    dense.data = place(context, stack, data, dense_data_bytes(source), source.borrow, source.name);
    const uint64_t scale_bytes = dense_scale_bytes(source);
    if (scale_bytes > 0) {
        const auto* scales = static_cast<const unsigned char*>(source.scales);
        dense.scales = place(context, stack, scales, scale_bytes, source.borrow, "scales");
    }
    if (capability(context) == 90) check(prepare_dense(dense, false, GateUpOrder::kConcatenated), "tensor map");
    return stack;
}

Stack make_codebook(moek_context& context, const moek_codebook_desc& desc, bool borrow, const char* name) {
    const uint64_t row_blocks = blocks(desc.rows, kRowBlock);
    const uint64_t scale_count = product(desc.matrices, row_blocks * kRowBlock, name);
    const uint64_t lines = blocks(desc.columns, desc.dimension) * desc.stages * row_blocks;
    const uint64_t code_count = product(product(desc.matrices, lines, name), kRowBlock, name);
    const uint64_t vector_count = product(desc.codebooks, 128ull * desc.stages * desc.dimension, name);
    const uint64_t input_count = product(desc.codebooks, desc.columns, name);

    Stack stack;
    stack.type = Element::kCodebook;
    CodebookStack& view = stack.codebook;
    view.rows = desc.rows;
    view.columns = desc.columns;
    view.dimension = desc.dimension;
    view.stages = desc.stages;
    view.matrices = desc.matrices;
    view.codebooks = desc.codebooks;
    view.scales = place(context, stack, desc.scales, scale_count, borrow, "scales");
    view.codes = place(context, stack, desc.codes, code_count, borrow, "codes");
    view.codebook = place(context, stack, desc.codebook, vector_count, borrow, "codebook");
    if (desc.inputs != nullptr) view.inputs = place(context, stack, desc.inputs, input_count, borrow, "inputs");

    const HostView<uint16_t> scales(desc.scales, scale_count, borrow);
    const HostView<int8_t> vectors(desc.codebook, vector_count, borrow);
    const HostView<uint16_t> inputs(desc.inputs, input_count, borrow);
    CodebookStack host = view;
    host.scales = scales.get();
    host.codebook = vectors.get();
    host.inputs = inputs.get();
    if (!codebook_numbers_valid(host)) {
        fail(MOEK_E_DATA, "%s: a scale, a factor of the inputs or a vector is out of its range", name);
    }
    return stack;
}

Stack make_qmoe(moek_context& context, const moek_qmoe_desc& desc, bool borrow, const char* name) {
    const uint64_t row_count = product(desc.matrices, desc.rows, name);
    require_pointer(desc.row_offsets, "row_offsets");
    require_pointer(desc.min_max, "min_max");
    require_pointer(desc.codewords, "codewords");
    const HostView<int64_t> offsets(desc.row_offsets, row_count + 1, borrow);
    const int64_t codewords = offsets.get()[row_count];
    if (codewords < 0) fail(MOEK_E_DATA, "%s: the last row offset is negative", name);

    Stack stack;
    stack.type = Element::kQmoe;
    QmoeStack& view = stack.qmoe;
    view.rows = desc.rows;
    view.columns = desc.columns;
    view.matrices = desc.matrices;
    view.entries = entries_of(context);

    const HostView<uint16_t> words(desc.codewords, static_cast<uint64_t>(codewords), borrow);
    QmoeStack host = view;
    host.codewords = words.get();
    host.row_offsets = offsets.get();
    const HostView<uint16_t> levels(desc.min_max, 2 * row_count, borrow);
    host.min_max = levels.get();
    const int64_t bad = qmoe_first_bad_row(host, host_dictionary().data(), codewords);
    if (bad >= 0) {
        fail(MOEK_E_DATA, "%s: row %lld: its codewords do not make %d weights, or a level is not finite", name,
             static_cast<long long>(bad), desc.columns);
    }
    view.codewords = place(context, stack, desc.codewords, static_cast<uint64_t>(codewords), borrow, "codewords");
    view.row_offsets = place(context, stack, desc.row_offsets, row_count + 1, borrow, "row_offsets");
    view.min_max = place(context, stack, desc.min_max, 2 * row_count, borrow, "min_max");
    return stack;
}

uint64_t stack_workspace(const Stack& stack, int64_t slots) {
    switch (stack.type) {
        case Element::kCodebook:
            return codebook_workspace(stack.codebook, slots);
        case Element::kQmoe:
            return qmoe_workspace(stack.qmoe, slots);
        default:
            return dense_workspace(stack.dense, slots);
    }
}

void run_linear(const Stack& stack, const GroupedLinear& call, const Workspace& workspace, const Launch& launch) {
    if (call.groups.max_slots == 0) return;
    switch (stack.type) {
        case Element::kCodebook:
            return check(launch_codebook_linear(call, stack.codebook, workspace, launch), "codebook product");
        case Element::kQmoe:
            return check(launch_qmoe_linear(call, stack.qmoe, workspace, launch), "codeword product");
        default:
            return check(launch_dense_linear(call, stack.dense, workspace, launch), "product");
    }
}

Launch launch_on(const moek_context& context, void* stream) {
    Launch launch;
    launch.capability = capability(context);
    launch.multiprocessors = context.properties.multiProcessorCount;
    launch.stream = stream_of(stream);
    return launch;
}

Element io_element(int32_t io_dtype) {
    if (io_dtype != MOEK_F32 && io_dtype != MOEK_BF16) {
        fail(MOEK_E_ARGUMENT, "io_dtype is %d, not MOEK_F32 or MOEK_BF16", io_dtype);
    }
    return static_cast<Element>(io_dtype);
}

}  // namespace moek

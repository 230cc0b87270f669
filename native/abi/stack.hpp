// A stack of weight matrices on the device, of any type, and the launcher that multiplies with it.
#pragma once

#include <vector>

#include "abi/context.hpp"
#include "kernels/experts/dense.hpp"
#include "kernels/packed/codebook.hpp"
#include "kernels/packed/qmoe.hpp"
#include "moek/packed.h"

namespace moek {

// One of the three views is filled, as `type` says.
struct Stack {
    Element type = Element::kF32;
    DenseStack dense;
    CodebookStack codebook;
    QmoeStack qmoe;
    std::vector<DeviceBuffer> owned;

    int32_t matrices() const;
    int32_t rows() const;
    int32_t columns() const;
    uint64_t owned_bytes() const;
};

// A dense stack as the caller describes it; `name` stands for the data in messages.
struct DenseSource {
    const void* data = nullptr;
    const void* scales = nullptr;
    int32_t dtype = MOEK_F32;
    int32_t matrices = 0;
    int32_t rows = 0;
    int32_t columns = 0;
    int32_t scale_block_rows = 0;
    int32_t scale_block_columns = 0;
    bool borrow = false;
    const char* name = "data";
};

// Bytes of the elements, or of the scales (0 where the type has none).
uint64_t dense_data_bytes(const DenseSource& source);
uint64_t dense_scale_bytes(const DenseSource& source);

// Throws unless the sizes and the type make a stack; reads no pointer.
void check_dense(const DenseSource& source);
moek_codebook_desc checked_codebook(const void* given, const char* name);
moek_qmoe_desc checked_qmoe(const void* given, const char* name);

// Put a stack on the device.
Stack make_dense(moek_context& context, const DenseSource& source);
Stack make_codebook(moek_context& context, const moek_codebook_desc& desc, bool borrow, const char* name);
Stack make_qmoe(moek_context& context, const moek_qmoe_desc& desc, bool borrow, const char* name);

// Scratch memory and product of a stack.
uint64_t stack_workspace(const Stack& stack, int64_t slots);
void run_linear(const Stack& stack, const GroupedLinear& call, const Workspace& workspace, const Launch& launch);

// The device a launcher chooses for, and the stream.
Launch launch_on(const moek_context& context, void* stream);

// Throws unless activations may have this type.
Element io_element(int32_t io_dtype);

}  // namespace moek

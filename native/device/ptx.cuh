// Instructions that CUDA C++ has no name for. The only inline assembly of the library is in device/ptx/.
//
// Each wrapper has two bodies side by side: PTX, and a call of the emulator. tests/native/ptx_*.cu hold a conformance
// test for each.
#pragma once
#include "device/launch.cuh"
#include "device/ptx/bulk.cuh"
#include "device/ptx/cluster.cuh"
#include "device/ptx/copy.cuh"
#include "device/ptx/mbarrier.cuh"
#include "device/ptx/memory.cuh"
#include "device/ptx/mma.cuh"
#include "device/ptx/wgmma.cuh"

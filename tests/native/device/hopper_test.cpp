// Wrappers of device/ptx for compute capability 9.0: mbarrier, bulk and tile copies, wgmma, clusters.
#include "device/hopper_kernels.hpp"
#include "device/types.cuh"
#include "device_array.hpp"

using namespace moek;
using namespace moek::test;

namespace {

std::vector<uint16_t> random_bf16(size_t size, uint64_t seed) {
    Random random(seed);
    std::vector<uint16_t> values(size);
    for (uint16_t& v : values) v = from_float<bf16>(random.uniform()).bits;
    return values;
}

CUtensorMap map_of(const DeviceArray<uint16_t>& matrix, uint64_t columns, uint64_t rows, uint32_t box_rows) {
    CUtensorMap map;
    CHECK_CUDA(encode_tensor_map(
        &map, {matrix.get(), TileElement::bf16, 2, {columns, rows, 1}, {0, columns * 2, 0}, {64, box_rows, 1}, 128}));
    return map;
}

void check_product(const std::vector<float>& d, const std::vector<uint16_t>& a, const std::vector<uint16_t>& b,
                   size_t columns, size_t k) {
    for (size_t r = 0; r < 64; ++r)
        for (size_t c = 0; c < columns; ++c) {
            double expected = 0;
            for (size_t i = 0; i < k; ++i)
                expected += double{to_float(bf16{a[r * k + i]})} * to_float(bf16{b[c * k + i]});
            // Products are exact; each of k additions rounds a sum below k.
            CHECK_NEAR(d[r * columns + c], expected, static_cast<double>(k * k) * 0x1p-24);
        }
}

}  // namespace

CASE(bulk_ring_hands_slots_over) {
    const int blocks = 2, tiles = 5;
    std::vector<int> in(blocks * tiles * 128);
    int expected[blocks] = {};
    for (size_t i = 0; i < in.size(); ++i) {
        in[i] = static_cast<int>(i * i % 1013);
        expected[i / (tiles * 128)] += in[i];
    }
    DeviceArray<int> device_in(in), sums(std::vector<int>(blocks, 0));
    CHECK_CUDA(launch_bulk_ring(sums.get(), device_in.get(), blocks, tiles));
    const std::vector<int> actual = sums.read();
    for (int b = 0; b < blocks; ++b) CHECK_EQ(actual[static_cast<size_t>(b)], expected[b]);
}

CASE(bulk_store_writes_after_the_fence) {
    std::vector<int> in(256);
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<int>(i * 7);
    DeviceArray<int> device_in(in), out(256);
    CHECK_CUDA(launch_bulk_store(out.get(), device_in.get()));
    const std::vector<int> actual = out.read();
    for (size_t i = 0; i < in.size(); ++i) CHECK_EQ(actual[i], in[i] + 1);
}

CASE(tile_load_cuts_a_box_and_fills_with_zero) {
    // [3 planes, 5 rows, 16 floats], a plane of 6 rows' stride; boxes of [2, 4, 8].
    std::vector<float> in(3 * 6 * 16);
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i) + 1;
    DeviceArray<float> device_in(in);
    CUtensorMap map;
    CHECK_CUDA(
        encode_tensor_map(&map, {device_in.get(), TileElement::f32, 3, {16, 5, 3}, {0, 64, 6 * 64}, {8, 4, 2}, 0}));
    const int starts[][3] = {{0, 0, 0}, {8, 2, 1}, {12, -1, 2}, {-4, 4, 0}};
    for (const auto& start : starts) {
        DeviceArray<uint8_t> out(8 * 4 * 2 * sizeof(float));
        CHECK_CUDA(launch_tile_load(out.get(), map, start[0], start[1], start[2], 8 * 4 * 2 * sizeof(float)));
        const std::vector<uint8_t> bytes = out.read();
        std::vector<float> actual(bytes.size() / sizeof(float));
        std::memcpy(actual.data(), bytes.data(), bytes.size());
        for (int p = 0; p < 2; ++p)
            for (int r = 0; r < 4; ++r)
                for (int c = 0; c < 8; ++c) {
                    const int x = start[0] + c, y = start[1] + r, z = start[2] + p;
                    const bool inside = x >= 0 && x < 16 && y >= 0 && y < 5 && z >= 0 && z < 3;
                    const float expected = inside ? static_cast<float>((z * 6 + y) * 16 + x) + 1 : 0;
                    CHECK_EQ(actual[static_cast<size_t>((p * 4 + r) * 8 + c)], expected);
                }
    }
}

CASE(tile_load_swizzles) {
    for (const uint32_t swizzle : {32u, 64u, 128u}) {
        const uint32_t row_units = swizzle / 16;
        std::vector<uint8_t> in(16 * 128);
        for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint8_t>(i * 31 >> 3);
        DeviceArray<uint8_t> device_in(in), out(16 * swizzle);
        CUtensorMap map;
        CHECK_CUDA(encode_tensor_map(
            &map, {device_in.get(), TileElement::u8, 2, {128, 16, 1}, {0, 128, 0}, {swizzle, 16, 1}, swizzle}));
        CHECK_CUDA(launch_tile_load(out.get(), map, 0, 0, -1, 16 * swizzle));
        const std::vector<uint8_t> actual = out.read();
        for (uint32_t r = 0; r < 16; ++r)
            for (uint32_t u = 0; u < row_units; ++u) {
                // The pattern repeats every 8 units of 16 bytes: rows that share a line of 128 bytes share it too.
                const uint32_t line = r * swizzle / 128, moved = u ^ (line % row_units);
                for (uint32_t b = 0; b < 16; ++b)
                    CHECK_EQ(actual[r * swizzle + moved * 16 + b], in[r * 128 + u * 16 + b]);
            }
    }
}

HOST_CASE(tensor_maps_refuse_what_the_hardware_cannot_do) {
    DeviceArray<float> data(1024);
    const TileMap good{data.get(), TileElement::f32, 2, {16, 16, 1}, {0, 64, 0}, {8, 4, 1}, 32};
    CUtensorMap map;
    CHECK_EQ(encode_tensor_map(&map, good), cudaSuccess);
    const auto refuses = [&](auto change) {
        TileMap bad = good;
        change(bad);
        return encode_tensor_map(&map, bad) == cudaErrorInvalidValue;
    };
    CHECK(refuses([](TileMap& m) { m.data = static_cast<const char*>(m.data) + 4; }));
    CHECK(refuses([](TileMap& m) { m.rank = 1; }));
    CHECK(refuses([](TileMap& m) { m.stride_bytes[1] = 60; }));
    CHECK(refuses([](TileMap& m) { m.box[0] = 6; }));
    CHECK(refuses([](TileMap& m) { m.box[0] = 16; }));
    CHECK(refuses([](TileMap& m) { m.box[1] = 257; }));
    CHECK(refuses([](TileMap& m) { m.swizzle_bytes = 48; }));
    CHECK(refuses([](TileMap& m) { m.size[1] = 0; }));
}

CASE(wgmma_multiplies_swizzled_tiles) {
    for (const int columns : {8, 24, 64}) {
        const size_t k = 128, n = static_cast<size_t>(columns);
        const std::vector<uint16_t> a = random_bf16(64 * k, 1), b = random_bf16(n * k, n);
        DeviceArray<uint16_t> device_a(a), device_b(b);
        DeviceArray<float> d(64 * n);
        CHECK_CUDA(launch_wgmma(d.get(), map_of(device_a, k, 64, 64), map_of(device_b, k, n, static_cast<uint32_t>(n)),
                                columns, static_cast<int>(k)));
        check_product(d.read(), a, b, n, k);
    }
}

#ifndef __SANITIZE_THREAD__
HOST_CASE(wgmma_has_every_shape) {
    const size_t k = 64;
    const std::vector<uint16_t> a = random_bf16(64 * k, 1);
    DeviceArray<uint16_t> device_a(a);
    for (int columns = 8; columns <= 256; columns += 8) {
        const auto n = static_cast<size_t>(columns);
        const std::vector<uint16_t> b = random_bf16(n * k, n);
        DeviceArray<uint16_t> device_b(b);
        DeviceArray<float> d(64 * n);
        CHECK_CUDA(launch_wgmma(d.get(), map_of(device_a, k, 64, 64), map_of(device_b, k, n, static_cast<uint32_t>(n)),
                                columns, static_cast<int>(k)));
        check_product(d.read(), a, b, n, k);
    }
}
#endif

CASE(wgmma_reads_every_layout) {
    const size_t k = 32;
    const std::vector<uint16_t> a = random_bf16(64 * k, 5), b = random_bf16(16 * k, 6);
    DeviceArray<uint16_t> device_a(a), device_b(b);
    for (const int swizzle : {0, 32, 64, 128}) {
        DeviceArray<float> d(64 * 16);
        CHECK_CUDA(launch_wgmma_layout(d.get(), device_a.get(), device_b.get(), static_cast<int>(k), swizzle));
        check_product(d.read(), a, b, 16, k);
    }
}

CASE(cluster_reaches_its_neighbour) {
    const int clusters = 2;
    DeviceArray<int> out(4 * clusters);
    CHECK_CUDA(launch_cluster_ring(out.get(), clusters));
    const std::vector<int> actual = out.read();
    for (int b = 0; b < 4 * clusters; ++b) {
        const int rank = b % 4, before = b / 4 * 4 + (rank + 3) % 4;
        CHECK_EQ(actual[static_cast<size_t>(b)], before + 10 * rank);
    }
}

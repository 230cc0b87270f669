// Launches the paper's kernel.
#include "qmoe_baseline.cuh"

namespace moek::bench {

QmoeBaselineShape qmoe_baseline_shape(int32_t rows, int32_t columns) {
    const struct {
        int32_t rows, columns;
        QmoeBaselineShape shape;
    } known[] = {{768, 3072, {10, 10}},  {3072, 768, {38, 32}},  {1024, 4096, {13, 13}},
                 {4096, 1024, {50, 32}}, {2080, 6144, {26, 26}}, {6144, 2080, {75, 32}}};
    for (const auto& matrix : known)
        if (matrix.rows == rows && matrix.columns == columns) return matrix.shape;
    return {};
}

cudaError_t launch_qmoe_baseline(const QmoeBaseline& call, QmoeBaselineShape shape, cudaStream_t stream) {
    if (shape.rows_per_block < 1 || shape.warps < 1) return cudaErrorInvalidValue;
    const int32_t threads = 32 * shape.warps;
    LaunchShape launch;
    launch.grid = dim3(static_cast<unsigned>((call.rows + shape.rows_per_block - 1) / shape.rows_per_block));
    launch.block = dim3(static_cast<unsigned>(threads));
    launch.shared_bytes = sizeof(float) * static_cast<size_t>(call.columns + kBaselineLanes + 4 * threads);
    launch.stream = stream;
    return moek::launch(qmoe_baseline_kernel<0>, launch, call, shape.rows_per_block);
}

}  // namespace moek::bench

// What the CPU shim promises of CUDA, as functions that a test calls.
#include "common/launch.h"

namespace {

// Sums of blocks, by shuffles and shared memory.
template <typename T, int kThreads>
__global__ void __launch_bounds__(kThreads) sumBlocks(const T* values, T* sums, int count)
{
    __shared__ T parts[32];
    T sum = 0;
    for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < count;
         i += static_cast<int>(gridDim.x * blockDim.x)) {
        sum += values[i];
    }
    for (int distance = 16; distance > 0; distance /= 2) {
        sum += __shfl_xor_sync(0xFFFFFFFFU, sum, distance);
    }
    if (threadIdx.x % 32 == 0) {
        parts[threadIdx.x / 32] = sum;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        sum = 0;
        for (unsigned i = 0; i < blockDim.x / 32; ++i) {
            sum += parts[i];
        }
        sums[blockIdx.x] = sum;
    }
}

// Each row of `out` holds what the 32 threads got of one operation.
__global__ void warpOperations(int* out)
{
    const int lane = static_cast<int>(threadIdx.x);
    out[lane] = __shfl_sync(0xFFFFFFFFU, lane, 5);
    out[32 + lane] = __shfl_down_sync(0xFFFFFFFFU, lane, 3);
    out[64 + lane] = __shfl_up_sync(0xFFFFFFFFU, lane, 3);
    out[96 + lane] = __shfl_xor_sync(0xFFFFFFFFU, lane, 1);
    out[128 + lane] = __shfl_sync(0xFFFFFFFFU, lane, 1, 8);
    out[160 + lane] = static_cast<int>(__ballot_sync(0xFFFFFFFFU, lane % 3 == 0));
    const unsigned half = lane < 16 ? 0xFFFFU : 0xFFFF0000U;  // both halves on their own, not at the same time
    int sum = lane;
    for (int distance = 8; distance > 0; distance /= 2) {
        sum += __shfl_xor_sync(half, sum, distance);
    }
    out[192 + lane] = sum;
    out[224 + lane] = atomicAdd(&out[256], 1);
}

// Threads return one after the other; the others' barriers go on without them.
__global__ void earlyReturns(int* out)
{
    for (unsigned round = 0; round < threadIdx.x; ++round) {
        __syncthreads();
    }
    out[threadIdx.x] = static_cast<int>(threadIdx.x);
}

// Reads shared memory that nothing wrote, then writes it for the next block to find.
__global__ void readUnwritten(unsigned* out)
{
    __shared__ unsigned words[8];
    GCPOSE_DYNAMIC_SHARED(unsigned, dynamic);
    out[blockIdx.x * 16 + threadIdx.x] = words[threadIdx.x];
    out[blockIdx.x * 16 + 8 + threadIdx.x] = dynamic[threadIdx.x];
    words[threadIdx.x] = dynamic[threadIdx.x] = 5;
}

__global__ void neverMeet(int* out)
{
    if (threadIdx.x == 0) {
        __shfl_sync(0x3U, out[0], 0);  // thread 1 never comes
    } else {
        __syncthreads();
    }
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int sumInts(const int* values, int* sums, int count)
{
    return GCPOSE_LAUNCH(sumBlocks<int, 128>, dim3(3), dim3(128), 0, nullptr, values, sums, count);
}

EXPORT int sumDoubles(const double* values, double* sums, int count)
{
    return GCPOSE_LAUNCH((sumBlocks<double, 128>), dim3(3), dim3(128), 0, nullptr, values, sums, count);
}

EXPORT int warps(int* out) { return GCPOSE_LAUNCH(warpOperations, dim3(1), dim3(32), 0, nullptr, out); }

EXPORT int returns(int* out) { return GCPOSE_LAUNCH(earlyReturns, dim3(1), dim3(100), 0, nullptr, out); }

EXPORT int unwritten(unsigned* out) { return GCPOSE_LAUNCH(readUnwritten, dim3(2), dim3(8), 32, nullptr, out); }

EXPORT int deadlock(int* out) { return GCPOSE_LAUNCH(neverMeet, dim3(1), dim3(2), 0, nullptr, out); }

EXPORT int launchOf(unsigned blocks, unsigned rows, unsigned threads, size_t shared_bytes, unsigned* out)
{
    return GCPOSE_LAUNCH(readUnwritten, dim3(blocks, rows), dim3(threads), shared_bytes, nullptr, out);
}

EXPORT void toHalf(const float* values, uint16_t* halves, int count)
{
    for (int i = 0; i < count; ++i) {
        halves[i] = __half_as_ushort(__float2half(values[i]));
    }
}

EXPORT void fromHalf(const uint16_t* halves, float* values, int count)
{
    for (int i = 0; i < count; ++i) {
        values[i] = __half2float(__ushort_as_half(halves[i]));
    }
}

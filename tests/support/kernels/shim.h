// Lets a host C++ compiler build the kernels: the same text, one thread after another.
//
// Before it includes a .cu file a host build includes this. Thread and block indices are globals
// that `LAUNCH` walks through; nothing in the kernels may depend on threads running together.
#pragma once
#include <cmath>

#define __global__
#define __device__
#define __restrict__
using std::fabs; using std::fmax; using std::floor; using std::isnan; using std::log10; using std::pow; using std::rint; using std::sqrt;

struct Index { long long x, y; };
static thread_local Index blockIdx, threadIdx, blockDim, gridDim;

static inline double __longlong_as_double(long long bits) { double v; __builtin_memcpy(&v, &bits, 8); return v; }
static inline long long __double_as_longlong(double value) { long long b; __builtin_memcpy(&b, &value, 8); return b; }

template <class T> static inline T atomicAdd(T* address, T value) { T old = *address; *address += value; return old; }
template <class T> static inline T atomicCAS(T* address, T expected, T value) {
    T old = *address;
    if (old == expected) *address = value;
    return old;
}

// Runs CALL once for every thread of a grid of GX x GY blocks of BX threads.
#define LAUNCH(GX, GY, BX, CALL)                                            \
    do {                                                                    \
        gridDim = {GX, GY}; blockDim = {BX, 1};                             \
        for (blockIdx.y = 0; blockIdx.y < (GY); ++blockIdx.y)               \
            for (blockIdx.x = 0; blockIdx.x < (GX); ++blockIdx.x)           \
                for (threadIdx.x = 0; threadIdx.x < (BX); ++threadIdx.x) CALL; \
    } while (0)

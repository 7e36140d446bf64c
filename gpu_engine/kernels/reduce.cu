// Scores of a stretch of a grid and what is kept of them: the best K and, for every pair of axes, the
// best over all others. Threads meet within a warp alone, so there is no shared memory and no barrier.
#include "engine.cuh"

#define WARP 32

// Stands for "no admissible combination": -inf, which no score can be below.
#define NOTHING (-__longlong_as_double(0x7ff0000000000000LL))

// What `score` makes of a window's metrics (gpu_engine/scoring.py holds the rule).
struct Rule {
    int minimise;       // 1: less is better
    int may_be_undefined;
    int significant_digits;
    int least_power;    // of the table
    double min_trades;
    const double* powers;  // of ten, 10^least_power first
};

// Round to significant digits by the steps of gpu_engine/scoring.py, which says why: floor(log10(2^e))
// of the exponent, one comparison with the next power, and the scale from the same table.
__device__ inline double rounded(double value, const Rule& rule) {
    if (value == 0.0 || value - value != 0.0) return value;  // zero, infinities, NaN
    double size = fabs(value);
    int exponent = (int)(__double_as_longlong(size) >> 52) - 1023;  // of a denormal: low enough
    int decade = max(exponent * 78913 >> 18, rule.least_power);
    decade += size >= rule.powers[decade + 1 - rule.least_power];
    double scale = rule.powers[rule.significant_digits - 1 - decade - rule.least_power];
    return rint(value * scale) / scale;
}

// Score of every combination, in place of its objective; NaN is inadmissible.
extern "C" __global__ void score(long long count, Rule rule, const double* objective,
                                 const double* sample_size, const double* net_profit, double* result) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= count) return;
    double value = objective[id];
    const double undefined = __longlong_as_double(0x7ff8000000000000LL);
    if (rule.may_be_undefined && value != value) value = net_profit[id] > 0.0 ? -NOTHING : 0.0;  // validation rules §2.2
    if (rule.minimise) value = -value;
    result[id] = sample_size[id] >= rule.min_trades ? rounded(value, rule) : undefined;
}

// Highest score of every strip of `length` combinations, and how many of them are admissible: a warp
// a strip, so that neighbouring threads read neighbouring scores.
extern "C" __global__ void strip_maxima(long long count, int length, const double* scores,
                                        double* maximum, int* admissible) {
    long long strip = ((long long)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    int lane = threadIdx.x % WARP;
    long long first = strip * length;
    if (first >= count) return;  // the whole warp does
    double best = NOTHING;
    int n_admissible = 0;
    for (long long id = first + lane; id < first + length && id < count; id += WARP) {
        double value = scores[id];
        if (value != value) continue;
        ++n_admissible;
        if (value > best) best = value;
    }
    for (int apart = WARP / 2; apart; apart /= 2) {
        best = fmax(best, __shfl_xor_sync(0xffffffffu, best, apart));
        n_admissible += __shfl_xor_sync(0xffffffffu, n_admissible, apart);
    }
    if (lane) return;
    maximum[strip] = best;
    admissible[strip] = n_admissible;
}

// Positions and values of all scores at or above `least`, or only of those above it; `counter` counts
// them, even beyond `capacity`.
extern "C" __global__ void collect(long long count, double least, int only_above, int capacity,
                                   const double* scores, int* position, double* value, int* counter) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= count || !(only_above ? scores[id] > least : scores[id] >= least)) return;
    int slot = atomicAdd(counter, 1);
    if (slot >= capacity) return;
    position[slot] = (int)id;
    value[slot] = scores[id];
}

// Raise `cell` to `value`; a plain read first, since after the first few thousand hardly any raises it.
__device__ inline void raise(unsigned long long* cell, double value) {
    unsigned long long bits = (unsigned long long)__double_as_longlong(value), current = *cell;
    while (__longlong_as_double((long long)current) < value) {
        unsigned long long old = atomicCAS(cell, current, bits);
        if (old == current) return;
        current = old;
    }
}

// For every pair of axes (a < b) the best score at each of their values, over all other axes.
// `cells` holds the pairs' tables one after another, each row-major, from `pair_start`.
extern "C" __global__ void pair_maxima(long long first, long long count, int n_axes, const int* size,
                                       const long long* pair_start, const double* scores,
                                       unsigned long long* cells) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= count) return;
    double value = scores[id];
    if (value != value) return;
    int at[MAX_AXES];
    long long index = first + id;
    for (int axis = n_axes - 1; axis >= 0; --axis) {
        at[axis] = (int)(index % size[axis]);
        index /= size[axis];
    }
    int pair = 0;
    for (int a = 0; a < n_axes; ++a)
        for (int b = a + 1; b < n_axes; ++b)
            raise(cells + pair_start[pair++] + (long long)at[a] * size[b] + at[b], value);
}

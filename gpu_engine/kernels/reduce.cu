// Scores of a stretch of a grid, place by place and what is kept of them: the best K and, for every pair of axes, the
// best over all others. Threads meet within a warp alone, so there is no shared memory and no barrier.
#include "places.cuh"

#define WARP 32

// Stands for "no admissible combination": -inf, which no score can be below.
#define NOTHING (-__longlong_as_double(0x7ff0000000000000LL))

#define UNDEFINED __longlong_as_double(0x7ff8000000000000LL)

// What `score` makes of a window's metrics (gpu_engine/scoring.py holds the rule).
struct Rule {
    int minimise;       // 1: less is better
    int may_be_undefined;  // 1: the objective is undefined where nothing was lost
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
    if (rule.may_be_undefined && value != value)  // validation rules §2.2
        value = net_profit[id] > 0.0 ? -NOTHING : 0.0;
    if (rule.minimise) value = -value;
    result[id] = sample_size[id] >= rule.min_trades ? rounded(value, rule) : UNDEFINED;
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

// Index of a place, and the value of every axis there.
__device__ inline long long index_of(const Places& places, long long place, int* value) {
    long long index = 0;
    for (int at = places.n_axes - 1; at >= 0; --at) {
        int axis = places.order[at];
        value[axis] = (int)(place % places.size[axis]);
        place /= places.size[axis];
        index += value[axis] * places.stride[axis];
    }
    return index;
}

// Indices and scores of all that are above `least`, or equal to it with an index below `before`;
// `counter` counts them, even beyond `capacity`.
extern "C" __global__ void collect(Places places, long long first, long long count, double least,
                                   long long before, int capacity, const double* scores,
                                   long long* index, double* score, int* counter) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= count || !(scores[id] >= least)) return;
    int value[MAX_AXES];
    long long own = index_of(places, first + id, value);
    if (scores[id] == least && own >= before) return;
    int slot = atomicAdd(counter, 1);
    if (slot >= capacity) return;
    index[slot] = own;
    score[slot] = scores[id];
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
extern "C" __global__ void pair_maxima(Places places, long long first, long long count,
                                       const long long* pair_start, const double* scores,
                                       unsigned long long* cells) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= count) return;
    double score = scores[id];
    if (score != score) return;
    int value[MAX_AXES];
    index_of(places, first + id, value);
    int pair = 0;
    for (int a = 0; a < places.n_axes; ++a)
        for (int b = a + 1; b < places.n_axes; ++b)
            raise(cells + pair_start[pair++] + (long long)value[a] * places.size[b] + value[b], score);
}

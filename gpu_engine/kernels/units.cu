// The walk of a grid: a warp takes one unit and 32 exit settings. Its rows are found by bit masks, one bit
// a row for every value of a threshold, so that all loads but the outcomes' are the same in a warp.
#include "engine.cuh"
#include "places.cuh"

// Bit `row % 64` of word `row / 64` of a mask: whether the row's feature reaches the mask's value.
extern "C" __global__ void masks(Market market, int n_words, int n_masks, const int* threshold,
                                 const double* value, unsigned long long* result) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= (long long)n_words * n_masks) return;
    int mask = (int)(id / n_words), word = (int)(id % n_words);
    const double* feature = market.features + threshold[mask] * market.n_rows;
    unsigned long long bits = 0;
    for (long long row = 64LL * word; row < 64LL * word + 64 && row < market.n_rows; ++row)
        bits |= (unsigned long long)(feature[row] >= value[mask]) << (row % 64);  // NaN fails
    result[id] = bits;
}

// Rows whose bit is set in every mask of a unit, in a range of rows.
struct MaskRows {
    const unsigned long long* mask[N_THRESHOLDS > 0 ? N_THRESHOLDS : 1];  // C++ has no empty arrays
    int word, last, after;
    unsigned long long bits;

    __device__ void begin(const Range& range) {
        word = range.first / 64;
        last = range.after > range.first ? (range.after - 1) / 64 : word;
        after = range.after;
        bits = range.after > range.first ? read() & ~0ull << range.first % 64 : 0;
    }

    __device__ unsigned long long read() const {
        unsigned long long common = word == last ? ~0ull >> (63 - (after - 1) % 64) : ~0ull;
        for (int k = 0; k < N_THRESHOLDS; ++k) common &= mask[k][word];
        return common;
    }

    __device__ int next() {
        while (!bits) {
            if (word == last) return -1;
            ++word;
            bits = read();
        }
        int bit = __ffsll((long long)bits) - 1;
        bits &= bits - 1;
        return word * 64 + bit;
    }
};

// Metrics of FIELDS in one window; result[field][place], place 0 that of the first setting of `first_unit`.
// Units are counted in 32 bits: a division of 64 bits takes as long as a dozen trades.
extern "C" __global__ void walk_units(Market market, Rules rules, const Window* windows, Places places,
                                      const unsigned long long* masks, int n_words, unsigned first_unit,
                                      unsigned n_units, double* result) {
    unsigned id = blockIdx.x * blockDim.x + threadIdx.x;
    unsigned unit = id / (unsigned)places.lanes;
    int setting = (int)(id % (unsigned)places.lanes);
    if (unit >= n_units || setting >= places.n_exits) return;
    MaskRows rows;
    int table = 0;
    unsigned rest = first_unit + unit;
    for (int at = places.n_unit_axes - 1; at >= 0; --at) {
        int axis = places.order[at], value = (int)(rest % (unsigned)places.size[axis]);
        rest /= (unsigned)places.size[axis];
        table += value * places.table_stride[axis];
        // A loop over constants keeps the pointers in registers; an index would spill them.
        for (int k = 0; k < N_THRESHOLDS; ++k)
            if (places.threshold[axis] == k)
                rows.mask[k] = masks + (long long)(places.first_mask[axis] + value) * n_words;
    }
    Window window = windows[0];
    rows.begin(Range(market, window, table));
    Account account = walk(market, rules, window, rows, setting, nullptr, nullptr);
    write_metrics(account, window.n_days, result + (long long)unit * places.n_exits + setting,
                  (long long)n_units * places.n_exits);
}

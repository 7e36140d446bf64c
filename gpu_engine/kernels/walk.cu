// The walk of a batch: a thread per (combination, window). Neighbouring threads take neighbouring exit
// settings of one unit, so they read the same rows and neighbouring outcomes. A grid has its own walk
// (units.cu); this one serves single points, whose thresholds are all different.
#include "engine.cuh"

// Combinations given as units with runs of exit settings (records.Batch).
struct Batch {
    const int* table;
    const double* thresholds;  // [unit][N_THRESHOLDS], multiplied by the sense
    const int* first_exit;
    int exits_per_unit;
};

// Rows of a table that pass the thresholds of one unit, by comparing the features.
struct FeatureRows {
    const Market& market;
    const double* thresholds;
    int row, after;

    __device__ int next() {
        for (; row < after; ++row)
            if (passes()) return row++;
        return -1;
    }

    __device__ bool passes() const {
        for (int k = 0; k < N_THRESHOLDS; ++k)
            if (!(market.features[k * market.n_rows + row] >= thresholds[k])) return false;  // NaN fails
        return true;
    }
};

__device__ inline Account walk_one(const Market& market, const Rules& rules, const Window& window,
                                   const Batch& batch, long long id, double* daily, int* taken) {
    long long unit = id / batch.exits_per_unit;
    Range range(market, window, batch.table[unit]);
    FeatureRows rows = {market, batch.thresholds + unit * N_THRESHOLDS, range.first, range.after};
    int setting = batch.first_exit[unit] + (int)(id % batch.exits_per_unit);
    return walk(market, rules, window, rows, setting, daily, taken);
}

// All metrics (fills rules §10); result[field][window][combination].
extern "C" __global__ void walk_batch(Market market, Rules rules, const Window* windows, Batch batch,
                                      long long count, double* result) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= count) return;
    Window window = windows[blockIdx.y];
    Account account = walk_one(market, rules, window, batch, id, nullptr, nullptr);
    write_metrics(account, window.n_days, result + blockIdx.y * count + id, gridDim.y * count);
}

// Daily returns of every combination in one window, daily[combination][day]; zeroed by the caller.
extern "C" __global__ void walk_daily(Market market, Rules rules, const Window* windows, Batch batch,
                                      long long count, double* daily) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= count) return;
    Window window = windows[0];
    walk_one(market, rules, window, batch, id, daily + id * window.n_days, nullptr);
}

// Rows that one combination takes in one window, and how many.
extern "C" __global__ void walk_taken(Market market, Rules rules, const Window* windows, Batch batch,
                                      int* taken, int* count) {
    if (blockIdx.x != 0 || threadIdx.x != 0) return;
    *count = walk_one(market, rules, windows[0], batch, 0, nullptr, taken).trades;
}

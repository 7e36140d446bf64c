// The walk: a thread per (combination, window). Neighbouring threads take neighbouring combinations of
// one unit, so they read the same rows and neighbouring outcomes.
#include "engine.cuh"

// Combinations given as units with runs of exit settings (records.Batch).
struct Batch {
    const int* table;
    const double* thresholds;  // [unit][N_THRESHOLDS], multiplied by the sense
    const int* first_exit;
    int exits_per_unit;
};

__device__ inline Combination of_batch(const Batch& batch, long long id) {
    Combination c;
    long long unit = id / batch.exits_per_unit;
    c.table = batch.table[unit];
    c.setting = batch.first_exit[unit] + (int)(id % batch.exits_per_unit);
    for (int k = 0; k < N_THRESHOLDS; ++k) c.thresholds[k] = batch.thresholds[unit * N_THRESHOLDS + k];
    return c;
}

// A product of axes, decoded from an index: row-major, the last axis fastest (records.Grid).
struct Grid {
    const int* size;             // of every axis
    const int* table_stride;     // 0 unless the axis is structural
    const int* exit_stride;      // 0 unless the axis is an exit parameter
    const int* threshold;        // which threshold the axis sets, or -1
    const int* first_value;      // where the axis' threshold values begin in `values`
    const double* values;        // multiplied by the sense
    int n_axes;
};

__device__ inline Combination of_grid(const Grid& grid, long long index) {
    Combination c;
    c.table = 0;
    c.setting = 0;
    for (int axis = grid.n_axes - 1; axis >= 0; --axis) {
        int at = (int)(index % grid.size[axis]);
        index /= grid.size[axis];
        c.table += at * grid.table_stride[axis];
        c.setting += at * grid.exit_stride[axis];
        // A loop over constants keeps the thresholds in registers; an index would spill them.
        for (int k = 0; k < N_THRESHOLDS; ++k)
            if (grid.threshold[axis] == k) c.thresholds[k] = grid.values[grid.first_value[axis] + at];
    }
    return c;
}

// Metrics of fills rules §10, `fields` a bit mask of Field; result[field position][window][combination].
__device__ inline void write_metrics(const Walk& walked, int n_days, int fields, double* result,
                                     long long stride) {
    for (int field = 0; field < N_FIELDS; ++field)
        if (fields >> field & 1) {
            *result = metric(walked, n_days, field);
            result += stride;
        }
}

extern "C" __global__ void walk_batch(Market market, Rules rules, const Window* windows, Batch batch,
                                      long long count, int fields, double* result) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= count) return;
    Window window = windows[blockIdx.y];
    Walk walked = walk(market, rules, window, of_batch(batch, id), nullptr, nullptr);
    write_metrics(walked, window.n_days, fields, result + blockIdx.y * count + id, gridDim.y * count);
}

// Combinations [first, first + count) of a grid.
extern "C" __global__ void walk_grid(Market market, Rules rules, const Window* windows, Grid grid,
                                     long long first, long long count, int fields, double* result) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= count) return;
    Window window = windows[blockIdx.y];
    Walk walked = walk(market, rules, window, of_grid(grid, first + id), nullptr, nullptr);
    write_metrics(walked, window.n_days, fields, result + blockIdx.y * count + id, gridDim.y * count);
}

// Daily returns of every combination in one window, daily[combination][day]; zeroed by the caller.
extern "C" __global__ void walk_daily(Market market, Rules rules, const Window* windows, Batch batch,
                                      long long count, double* daily) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= count) return;
    Window window = windows[0];
    walk(market, rules, window, of_batch(batch, id), daily + id * window.n_days, nullptr);
}

// Rows that one combination takes in one window, and how many.
extern "C" __global__ void walk_taken(Market market, Rules rules, const Window* windows, Batch batch,
                                      int* taken, int* count) {
    if (blockIdx.x != 0 || threadIdx.x != 0) return;
    *count = walk(market, rules, windows[0], of_batch(batch, 0), nullptr, taken).trades;
}

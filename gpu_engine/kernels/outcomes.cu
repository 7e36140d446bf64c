// Outcomes: a thread per (entry, exit setting), by first-passage scan to the end of the history (exits rules §5).
// Neighbouring threads share the entry, so they read the same bars.
#include "engine.cuh"

extern "C" __global__ void outcomes(
    long long n_outcomes, int n_exits, int n_bars,
    const double* open, const double* high, const double* low, const double* close, const int* day,
    const signed char* filled,     const int* entry_bar, const signed char* entry_side, const double* entry_atr,
    const double* entry_price, const double* stop_distance, const double* target_multiple,
    Rules rules, Outcome* result, double* exit_price, signed char* exit_reason) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= n_outcomes) return;
    int entry_id = (int)(id / n_exits), setting = (int)(id % n_exits);
    double side = entry_side[entry_id], entry = entry_price[entry_id];
    double distance = stop_distance[setting], atr = entry_atr[entry_id];
    double stop = entry - side * distance * atr;
    double target = entry + side * target_multiple[setting] * (distance * atr);
    double worse = 1.0 - side * rules.slippage;

    if (!(distance * atr > 0.0)) {  // exits rules §3
        result[id] = {0.0, -1, -1};
        return;
    }
    int e = entry_bar[entry_id], j = e;
    Reason reason = END;
    double price = 0.0;
    for (;; ++j) {
        if (!filled[j]) {
            double first = open[j];
            if (j > e) {
                if (side * first <= side * stop) { reason = STOP_GAP; price = first * worse; break; }  // §5.1
                if (side * first >= side * target) { reason = TARGET_GAP; price = target; break; }     // §5.2
            }
            double adverse = side > 0 ? low[j] : high[j];
            if (side * adverse <= side * stop) {  // §5.4
                bool beyond = j == e && side * first < side * stop;
                reason = STOP;
                price = (beyond ? first : stop) * worse;
                break;
            }
            double favourable = side > 0 ? high[j] : low[j];
            if (side * favourable >= side * target) { reason = TARGET; price = target; break; }        // §5.5
        }
        if (j - e + 1 == rules.max_holding_bars) { reason = TIME; price = close[j] * worse; break; }  // §5.6
        if (j == n_bars - 1) { price = close[j] * worse; break; }                                  // §5.7
    }
    result[id] = {net_return(side, entry, price, rules.fee_rate), j, day[j]};
    exit_price[id] = price;
    exit_reason[id] = (signed char)reason;
}

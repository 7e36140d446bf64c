// How entries end under exit settings (exits rules §2 to §6): first passage from the entry bar to the end
// of the history. Prices and levels are signed, side * price: up is good for a long and for a short alike,
// so every rule is written once, and multiplying by 1 or -1 is exact.
#include "engine.cuh"

// Candles of the market; `funding` sums the rates up to every bar, null on spot.
struct Bars {
    const double* open;
    const double* high;
    const double* low;
    const double* close;
    const double* funding;
    const int* day;
    const signed char* filled;
    int count;
};

// Distinct entries. A level is null where no exit setting uses it, NaN where the row has none; `leave` is
// the first bar at whose open a signal closes the position, NEVER for none.
struct Entries {
    const int* bar;
    const signed char* side;
    const double* atr;
    const double* price;
    const double* stop_level;
    const double* target_level;
    const int* leave;
};

// Exit settings (exits.ExitSettings), NaN for none; `holding` in bars, 0 for no limit.
struct Exits {
    const double* stop_distance;
    const double* stop_fraction;
    const double* stop_offset;
    const double* target_multiple;
    const double* target_distance;
    const double* target_fraction;
    const double* target_reach;
    const double* break_even_trigger;
    const double* trail_activation;
    const double* trail_distance;
    const int* holding;
    int count;
};

// Levels of one entry under one setting (levels.Levels): stop and liquidation -inf, all others inf for none.
struct Levels {
    double stop, target, break_even, trail, trail_distance;
    bool dropped;
    double liquidation;
};

struct Ending {
    int bar;
    Reason reason;
    double price;
};

__device__ inline bool has(double value) { return value == value; }

__device__ inline Levels levels_of(const Entries& entries, const Exits& exits, const Rules& rules, int entry,
                                   int x, double open) {
    const double side = entries.side[entry], atr = entries.atr[entry], unsigned_price = entries.price[entry];
    const double price = side * unsigned_price;
    const double liquidation = price * (side > 0.0 ? rules.long_liquidation : rules.short_liquidation);
    Levels levels = {-INFINITE, INFINITE, INFINITE, INFINITE, exits.trail_distance[x] * atr, false, liquidation};
    double distance = UNDEFINED;
    if (has(exits.stop_distance[x])) {
        distance = exits.stop_distance[x] * atr;
        levels.stop = price - distance;
        levels.dropped = !(distance > 0.0);
    } else if (has(exits.stop_fraction[x])) {
        distance = exits.stop_fraction[x] * unsigned_price;
        levels.stop = price - distance;
        levels.dropped = !(distance > 0.0);
    } else if (has(exits.stop_offset[x])) {
        levels.stop = side * entries.stop_level[entry] - exits.stop_offset[x] * atr;
        distance = price - levels.stop;
        levels.dropped = !(distance > 0.0 && side * open > levels.stop);
    }
    if (has(exits.target_multiple[x])) {
        levels.target = price + exits.target_multiple[x] * distance;
    } else if (has(exits.target_distance[x])) {
        levels.target = price + exits.target_distance[x] * atr;
    } else if (has(exits.target_fraction[x])) {
        levels.target = price + exits.target_fraction[x] * unsigned_price;
    } else if (has(exits.target_reach[x])) {
        double level = side * entries.target_level[entry];
        levels.target = price + exits.target_reach[x] * (level - price);
        levels.dropped |= !(level > price);
    }
    if (has(exits.break_even_trigger[x])) levels.break_even = price + exits.break_even_trigger[x] * distance;
    if (has(exits.trail_distance[x])) levels.trail = price + exits.trail_activation[x] * atr;
    levels.stop = fmax(levels.stop, liquidation);
    return levels;
}

// Fill a stop in bar j from a signed price, or liquidate (exits rules §8.4).
__device__ inline Ending stopped(const Rules& rules, const Levels& levels, double side, double entry, int j,
                                 Reason reason, double price) {
    if (price <= levels.liquidation)
        return {j, LIQUIDATION, entry * (side > 0.0 ? rules.long_bankruptcy : rules.short_bankruptcy)};
    return {j, reason, side * price * (1.0 - side * rules.slippage)};
}

// Scan for the exit; of a row that the setting drops the bar is -1.
__device__ inline Ending ending_of(const Bars& bars, const Entries& entries, const Exits& exits,
                                   const Rules& rules, int entry, int x) {
    const int e = entries.bar[entry];
    const Levels levels = levels_of(entries, exits, rules, entry, x, bars.open[e]);
    if (levels.dropped) return {-1, END, UNDEFINED};
    const double side = entries.side[entry], price = side * entries.price[entry];
    const double worse = 1.0 - side * rules.slippage;  // a market order out
    const double* against = side > 0.0 ? bars.low : bars.high;
    const double* in_favour = side > 0.0 ? bars.high : bars.low;
    const int leave = entries.leave[entry];
    const int after = exits.holding[x] ? min(bars.count - e, exits.holding[x]) + e : bars.count;
    double best = -INFINITE;
    for (int j = e; j < after; ++j) {
        double favourable = side * in_favour[j];
        if (!bars.filled[j]) {  // in a filled bar nothing traded
            double open = side * bars.open[j], stop = levels.stop;
            if (best >= levels.break_even) stop = fmax(stop, price);
            if (best >= levels.trail) stop = fmax(stop, best - levels.trail_distance);
            if (j > e) {
                if (open <= stop)                                                           // §5.1
                    return stopped(rules, levels, side, entries.price[entry], j, STOP_GAP, open);
                if (open >= levels.target) return {j, TARGET_GAP, side * levels.target};    // §5.2
                if (j >= leave) return {j, SIGNAL, side * open * worse};                    // §5.3
            }
            if (side * against[j] <= stop)                                                  // §5.4
                return stopped(rules, levels, side, entries.price[entry], j, STOP, j == e ? fmin(stop, open) : stop);
            if (favourable >= levels.target) return {j, TARGET, side * levels.target};      // §5.5
        }
        best = fmax(best, favourable);
    }
    bool timed = after - e == exits.holding[x];
    return {after - 1, timed ? TIME : END, bars.close[after - 1] * worse};                  // §5.6, §5.7
}

// A thread per (entry, exit setting). Neighbouring threads share the entry, so they read the same bars.
extern "C" __global__ void outcomes(Bars bars, Entries entries, Exits exits, Rules rules,
                                    long long n_outcomes, Outcome* result) {
    long long id = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (id >= n_outcomes) return;
    int entry = (int)(id / exits.count), x = (int)(id % exits.count);
    Ending ending = ending_of(bars, entries, exits, rules, entry, x);
    if (ending.bar < 0) {
        result[id] = {0.0, -1, -1};
        return;
    }
    bool at_target = ending.reason == TARGET || ending.reason == TARGET_GAP;
    double exit_fee = at_target ? rules.target_fee : rules.fee_rate;
    double funding = bars.funding ? bars.funding[ending.bar] - bars.funding[entries.bar[entry]] : 0.0;
    double ret = net_return(rules, entries.side[entry], entries.price[entry], ending.price, exit_fee, funding,
                            ending.bar + 1 - entries.bar[entry]);
    result[id] = {ret, ending.bar, bars.day[ending.bar]};
}

// How some entries end under one setting: what a list of trades shows and the walk does not need.
extern "C" __global__ void endings(Bars bars, Entries entries, Exits exits, Rules rules, int count,
                                   const int* entry, int x, int* exit_bar, signed char* reason, double* price) {
    int id = (int)((long long)blockIdx.x * blockDim.x + threadIdx.x);
    if (id >= count) return;
    Ending ending = ending_of(bars, entries, exits, rules, entry[id], x);
    exit_bar[id] = ending.bar;
    reason[id] = (signed char)ending.reason;
    price[id] = ending.price;
}
